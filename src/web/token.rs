//! Bearer tokens.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use recapture_core::digest::sha256;
use recapture_core::mac::MacKey;
use recapture_core::secret::Secret;

/// A token as its signature by a key that nobody else has: comparing takes a time that says nothing of the token.
#[derive(Clone)]
pub(crate) struct Token {
    key: MacKey,
    signature: Arc<str>,
}

impl Token {
    pub(crate) fn new(token: &Secret) -> Self {
        let key = MacKey::random();
        let signature = key.sign(&sha256(token.expose().as_bytes())).into();
        Self { key, signature }
    }

    pub(crate) fn is(&self, token: &[u8]) -> bool {
        self.key.is_of(&sha256(token), &self.signature)
    }
}

/// What a request brings. The scheme's case does not matter (RFC 9110).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_token_itself_is_admitted() {
        let token = Token::new(&Secret::new("t0ken"));
        for (value, admitted) in [
            ("Bearer t0ken", true),
            ("bearer  t0ken ", true),
            ("Bearer t0ke", false),
            ("Bearer t0kenn", false),
            ("Bearer", false),
            ("Bearer ", false),
            ("Basic t0ken", false),
            ("t0ken", false),
        ] {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header");
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.clone())]);
            assert_eq!(bearer(&headers).is_some_and(|brought| token.is(brought)), admitted, "{value:?}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
