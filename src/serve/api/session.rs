//! The session of a browser: a cookie that says which role it has and until when, signed with a key that is derived from
//! the tokens. So nothing is stored: a session outlives a restart, holds at every process of the service, and ends when a
//! token is changed. The token itself is in no cookie.

use axum::http::{HeaderMap, header};
use chrono::Utc;
use recapture_core::config::Server;
use recapture_core::mac::MacKey;
use ulid::Ulid;

use super::admission::Role;

const COOKIE: &str = "recapture_session";
const LASTS: chrono::Duration = chrono::Duration::hours(12);

#[derive(Clone)]
pub(in crate::serve) struct Sessions {
    cookies: MacKey,
    forms: MacKey,
}

impl Sessions {
    pub(in crate::serve) fn new(server: &Server) -> Self {
        let Some(token) = &server.token else {
            return Self { cookies: MacKey::random(), forms: MacKey::random() };
        };
        let viewer = server.viewer_token.as_ref().map_or("", |token| token.expose());
        let secret = format!("{}\n{viewer}", token.expose());
        let key = |purpose| MacKey::derive(secret.as_bytes(), purpose);
        Self { cookies: key("recapture session cookies"), forms: key("recapture forms") }
    }

    /// A new session, as the value of `Set-Cookie`; of a browser that came over TLS, for TLS alone.
    pub(in crate::serve) fn begin(&self, role: Role, over_tls: bool) -> String {
        let said = format!("{}.{}.{}", role.as_str(), (Utc::now() + LASTS).timestamp(), Ulid::generate());
        let session = format!("{said}.{}", self.cookies.sign(&said));
        let secure = if over_tls { "; Secure" } else { "" };
        let seconds = LASTS.num_seconds();
        format!("{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
    }

    /// The value of `Set-Cookie` that ends it.
    pub(in crate::serve) fn end() -> String {
        format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
    }

    /// The role of a session that is good still, and its text.
    pub(in crate::serve) fn of(&self, headers: &HeaderMap) -> Option<(Role, String)> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let session = cookies
            .flat_map(|line| line.split(';'))
            .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
        Some((self.role(session)?, session.to_owned()))
    }

    fn role(&self, session: &str) -> Option<Role> {
        let (said, signature) = session.rsplit_once('.')?;
        if !self.cookies.is_of(said, signature) {
            return None;
        }
        let (role, rest) = said.split_once('.')?;
        let until: i64 = rest.split_once('.')?.0.parse().ok()?;
        let role = [Role::Viewer, Role::Operator].into_iter().find(|known| known.as_str() == role)?;
        (until > Utc::now().timestamp()).then_some(role)
    }

    /// What a form carries to prove that it is of a page that this session was shown.
    pub(in crate::serve) fn proof(&self, session: Option<&str>) -> String {
        self.forms.sign(session.unwrap_or("no session"))
    }

    pub(in crate::serve) fn is_proof(&self, session: Option<&str>, proof: &str) -> bool {
        self.forms.is_of(session.unwrap_or("no session"), proof)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::http::HeaderValue;
    use recapture_core::secret::Secret;

    use super::*;

    fn sessions(token: &str) -> Sessions {
        Sessions::new(&Server {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: Some(Secret::new(token)),
            viewer_token: None,
            requests_per_second: 1,
            trusted_proxies: Vec::new(),
        })
    }

    fn cookie(set: &str) -> HeaderMap {
        let pair = set.split(';').next().expect("a pair");
        let value = HeaderValue::from_str(&format!("a=b; {pair}; c=d")).expect("a header");
        HeaderMap::from_iter([(header::COOKIE, value)])
    }

    #[test]
    fn a_session_holds_for_the_same_tokens_and_no_others() {
        let set = sessions("t0ken").begin(Role::Viewer, true);
        assert!(
            !set.contains("t0ken") && set.contains("HttpOnly; SameSite=Strict") && set.ends_with("; Secure"),
            "{set}"
        );
        let (role, session) = sessions("t0ken").of(&cookie(&set)).expect("it is good");
        assert_eq!(role, Role::Viewer);
        assert_eq!(sessions("changed").of(&cookie(&set)), None);
        assert_eq!(sessions("t0ken").of(&cookie(&set.replace("viewer", "operator"))), None);
        let proof = sessions("t0ken").proof(Some(&session));
        assert!(sessions("t0ken").is_proof(Some(&session), &proof));
        assert!(!sessions("t0ken").is_proof(None, &proof));
        assert!(!sessions("t0ken").is_proof(Some(&session), ""));
    }
}
