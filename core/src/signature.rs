//! Ed25519: who sealed a record, and with which key.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde::{Deserialize, Serialize};

/// What stands before the 32 bytes of an Ed25519 key in a `SubjectPublicKeyInfo`.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A private key. It prints nothing of itself.
pub struct SigningKey(Ed25519KeyPair);

/// A public key as base64 of its DER form: the line between the dashes that `openssl pkey -pubout` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

/// A text that is no key; says what would be one, and nothing of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error(
        "an Ed25519 private key as `openssl genpkey -algorithm ed25519` writes it, or its 32 bytes as 64 hex digits"
    )]
    Private,
    #[error("an Ed25519 public key as `openssl pkey -pubout` prints it, with or without the lines of dashes")]
    Public,
}

impl SigningKey {
    /// Reads a PEM text, or 64 hex digits.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let pair = if let Some(seed) = from_hex(text) {
            Ed25519KeyPair::from_seed_unchecked(&seed)
        } else {
            let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyError::Private)?;
            // OpenSSL's form does not hold the public key, which the strict reader insists on.
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
        };
        pair.map(Self).map_err(|_| KeyError::Private)
    }

    /// Base64 of the signature.
    pub fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.0.sign(message))
    }

    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(key)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public()).finish()
    }
}

impl PublicKey {
    /// Reads a PEM text or its base64 line.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let der = match STANDARD.decode(text) {
            Ok(der) => der,
            Err(_) => SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes())
                .map_err(|_| KeyError::Public)?
                .to_vec(),
        };
        let key = der.strip_prefix(&SPKI).and_then(|key| key.try_into().ok());
        key.map(Self).ok_or(KeyError::Public)
    }

    /// Whether the holder of the private key signed the message.
    pub fn signed(&self, message: &[u8], signature: &str) -> bool {
        STANDARD.decode(signature).is_ok_and(|signature| {
            UnparsedPublicKey::new(&ED25519, &self.0).verify(message, &signature).is_ok()
        })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode([&SPKI[..], &self.0].concat()))
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::parse(&text)
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    // RFC 8032, test 1, as bytes and as OpenSSL writes and prints the pair.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----";
    const PUBLIC: &str = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    #[test]
    fn keys_are_read_in_each_form() {
        for text in [SEED, PEM, &format!("{PEM}\n")] {
            assert_eq!(SigningKey::parse(text).unwrap().public().to_string(), PUBLIC);
        }
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{PUBLIC}\n-----END PUBLIC KEY-----\n");
        assert_eq!(PublicKey::parse(&pem), PublicKey::parse(PUBLIC));
        for wrong in ["", "x", &SEED[1..], PUBLIC, &PEM[..80]] {
            assert_eq!(SigningKey::parse(wrong).unwrap_err(), KeyError::Private);
        }
        assert_eq!(PublicKey::parse(SEED), Err(KeyError::Public));
    }

    #[test]
    fn a_signature_is_of_one_message_by_one_key() {
        let key = SigningKey::parse(SEED).unwrap();
        let signature = key.sign(b"a");
        assert!(key.public().signed(b"a", &signature));
        assert!(!key.public().signed(b"b", &signature) && !key.public().signed(b"a", "AAAA"));
        let other = SigningKey::parse(&"0".repeat(64)).unwrap();
        assert!(!other.public().signed(b"a", &signature));
        assert!(!format!("{key:?}").contains(&SEED[..8]));
    }
}
