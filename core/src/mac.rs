//! HMAC-SHA256: what this service said itself, and not somebody else.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

/// A key that is derived from a secret. It prints nothing of itself.
#[derive(Clone)]
pub struct MacKey(hmac::Key);

impl MacKey {
    /// Keys of different purposes say nothing of each other, nor of the secret.
    pub fn derive(secret: &[u8], purpose: &str) -> Self {
        let master = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&master, purpose.as_bytes()).as_ref()))
    }

    /// A key that no other process has, nor this one after a restart.
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        let filled = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
        filled.expect("the system has randomness");
        Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
    }

    pub fn sign(&self, message: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, message.as_bytes()))
    }

    /// Takes a time that says nothing of the right answer.
    pub fn is_of(&self, message: &str, signature: &str) -> bool {
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        hmac::verify(&self.0, message.as_bytes(), &bytes).is_ok()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_with_the_key_for_the_purpose_is_of_it() {
        let key = MacKey::derive(b"t0ken", "sessions");
        let signature = key.sign("operator");
        assert!(key.is_of("operator", &signature));
        assert!(MacKey::derive(b"t0ken", "sessions").is_of("operator", &signature));
        assert!(!key.is_of("viewer", &signature));
        for other in
            [MacKey::derive(b"t0ken", "forms"), MacKey::derive(b"other", "sessions"), MacKey::random()]
        {
            assert!(!other.is_of("operator", &signature));
        }
        for odd in ["", "=", "x", &signature[..signature.len() - 1]] {
            assert!(!key.is_of("operator", odd), "{odd}");
        }
    }
}
