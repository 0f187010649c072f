//! The access token that all processes of an account use: N workers, one token.
//!
//! Redis keeps it, sealed, under a number that grows with each token. Who finds none takes the right to ask (for as long as
//! one request to Zoom may take), asks, and publishes; the others look again until it is there. Who had a token
//! refused takes back just that one: if somebody replaced it meanwhile, the new one is used.

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use redis::{AsyncCommands, Script};
use serde::{Deserialize, Serialize};

use super::{Grant, Obtained, Token};
use crate::redis::Fault;
use crate::secret::Secret;
use crate::zoom::sharing::Sharing;

/// One request for a token ends within this time; then the right to ask is free again.
const ASKING_MS: u64 = 35_000;

static PUBLISH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("publish.lua")));
static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("forget.lua")));

/// What is sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct SharedToken {
    pub(super) bearer: String,
    /// From then on a new one is asked for.
    pub(super) good_until: DateTime<Utc>,
    pub(super) scopes: Vec<String>,
}

impl SharedToken {
    fn of(grant: &Grant) -> Self {
        let good = chrono::Duration::from_std(grant.usable()).unwrap_or_default();
        Self { bearer: grant.access_token.clone(), good_until: Utc::now() + good, scopes: grant.scopes() }
    }

    pub(super) fn is_good(&self) -> bool {
        self.good_until > Utc::now()
    }

    pub(super) fn into_obtained(self, number: u64) -> Obtained {
        let usable = (self.good_until - Utc::now()).to_std().unwrap_or_default();
        let token = Token { number, shared: true, bearer: Secret::new(self.bearer), worked: Arc::default() };
        (token, usable, self.scopes)
    }
}

/// Where the shared token lies.
pub(super) struct Shelf<'a>(pub(super) &'a Sharing);

impl Shelf<'_> {
    /// The token that is there, with its number. One that our secret does not open counts as none.
    pub(super) async fn find(&self) -> Result<Option<(u64, SharedToken)>, Fault> {
        let key = self.0.token_key("token");
        let (number, sealed): (Option<u64>, Option<Vec<u8>>) = self
            .0
            .link
            .send(|mut connection| {
                let key = key.clone();
                async move { connection.hmget(key, &["n", "s"]).await }
            })
            .await?;
        let text = sealed.and_then(|sealed| self.0.open(&sealed));
        let token = text.and_then(|text| serde_json::from_slice(&text).ok());
        Ok(number.zip(token))
    }

    /// Whether `who` may ask Zoom for a token now.
    pub(super) async fn may_ask(&self, who: &str) -> Result<bool, Fault> {
        let key = self.0.token_key("asking");
        let taken: Option<String> = self
            .0
            .link
            .send(|mut connection| {
                let mut set = redis::cmd("SET");
                set.arg(&key).arg(who).arg("NX").arg("PX").arg(ASKING_MS);
                async move { set.query_async(&mut connection).await }
            })
            .await?;
        Ok(taken.is_some())
    }

    /// Puts a token where all find it, and lets the next one ask; without a token just the latter. Gives its number.
    pub(super) async fn conclude(&self, who: &str, grant: Option<&Grant>) -> Result<u64, Fault> {
        let token = grant.map(SharedToken::of);
        let sealed = token.as_ref().and_then(|token| serde_json::to_vec(token).ok());
        let sealed = sealed.map(|text| self.0.seal(&text)).unwrap_or_default();
        let life = token.map_or(0, |token| (token.good_until - Utc::now()).num_milliseconds().max(1));
        let keys = ["token", "asking", "number"].map(|name| self.0.token_key(name));
        self.0
            .link
            .send(|mut connection| {
                let mut call = PUBLISH.key(&keys);
                call.arg(who).arg(&sealed).arg(life);
                async move { call.invoke_async(&mut connection).await }
            })
            .await
    }

    /// Takes a refused token back.
    pub(super) async fn forget(&self, number: u64) -> Result<(), Fault> {
        self.0
            .link
            .send(|mut connection| {
                let mut call = FORGET.key(self.0.token_key("token"));
                call.arg(number);
                async move { call.invoke_async(&mut connection).await }
            })
            .await
    }
}
