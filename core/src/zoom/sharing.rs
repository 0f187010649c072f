//! What the processes of one Zoom account share through Redis: the rate limit and the access token.
//!
//! The keys carry the queue's hash tag and a name made from the account (and, for the token, the client), so that one
//! Redis serves several accounts. The token is sealed (ChaCha20-Poly1305) with a key made from the client's secret:
//! who can read Redis, its file or a backup of it cannot use it.
//!
//! When Redis is away, no process stops for it: each paces itself at its share of the rate and gets a token of its own,
//! until Redis is back. No job can be claimed meanwhile, so what is asked then is the rest of what was begun.

use std::sync::Arc;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::config::{Category, Credentials};
use crate::digest;
use crate::redis::Link;

/// The share of one Zoom account in a Redis.
#[derive(Clone)]
pub struct Sharing {
    pub(super) link: Arc<Link>,
    account: String,
    client: String,
    seal: Arc<LessSafeKey>,
}

impl std::fmt::Debug for Sharing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sharing").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Sharing {
    pub fn new(link: Arc<Link>, credentials: &Credentials) -> Self {
        let name = |text: &str| digest::sha256(text.as_bytes())[..16].to_owned();
        let secret = format!("recapture token {}", credentials.client_secret.expose());
        let key = ring::digest::digest(&ring::digest::SHA256, secret.as_bytes());
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).expect("SHA-256 has the key's length");
        Self {
            account: name(&credentials.account_id),
            client: name(&format!("{} {}", credentials.account_id, credentials.client_id)),
            seal: Arc::new(LessSafeKey::new(key)),
            link,
        }
    }

    pub(super) fn lane_key(&self, category: Category) -> String {
        self.link.key(&format!("zoom:{}:lane:{}", self.account, category.as_str()))
    }

    /// `what`: `token`, `asking`, `number`.
    pub(super) fn token_key(&self, what: &str) -> String {
        self.link.key(&format!("zoom:{}:{what}", self.client))
    }

    pub(super) fn seal(&self, text: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).expect("the system gives random bytes");
        let mut sealed = text.to_vec();
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        self.seal.seal_in_place_append_tag(nonce_used, Aad::empty(), &mut sealed).expect("a token is short");
        [nonce.as_slice(), &sealed].concat()
    }

    /// `None` for what was not sealed with our secret: another client's, or from before a new secret.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = sealed.to_vec();
        let opened = self.seal.open_in_place(nonce, Aad::empty(), &mut text).ok()?;
        Some(opened.to_vec())
    }
}
