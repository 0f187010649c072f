//! Who may do what: roles by bearer token, or by the session of a browser.
//!
//! *Viewers* look, *operators* do. Without `server.token` whoever reaches the service is an operator: the configuration
//! lets it listen on loopback only. A browser on this machine reaches it too, with whatever page is open in it; so a name
//! that is not one of loopback is refused then (a page may give its own name our address), and what changes anything is
//! refused, with a token or without, if the browser says that another site's page asks for it.
//!
//! The rate is limited before a token is looked at, so that what a wrong one costs is paid first.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use recapture_core::config::{Network, Server};

use super::rate::{Asker, Rate};
use super::session::Sessions;
use crate::web::attend::RequestId;
use crate::web::problem::Problem;
use crate::web::token::{Token, bearer};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::serve) enum Role {
    Viewer,
    Operator,
}

impl Role {
    pub(in crate::serve) fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub(in crate::serve) struct Caller {
    pub(in crate::serve) role: Role,
    /// The address.
    pub(in crate::serve) client: String,
    pub(in crate::serve) request_id: String,
    /// The session's text, of a browser that has one.
    pub(in crate::serve) session: Option<String>,
}

#[derive(Clone)]
pub(in crate::serve) struct Admission {
    operator: Option<Token>,
    viewer: Option<Token>,
    pub(in crate::serve) sessions: Sessions,
    rate: Rate,
    proxies: Arc<[Network]>,
}

impl Admission {
    pub(in crate::serve) fn new(server: &Server) -> Self {
        Self {
            operator: server.token.as_ref().map(Token::new),
            viewer: server.viewer_token.as_ref().map(Token::new),
            sessions: Sessions::new(server),
            rate: Rate::new(server.requests_per_second),
            proxies: server.trusted_proxies.clone().into(),
        }
    }

    /// Whether there is anything to log in with.
    pub(in crate::serve) fn asks(&self) -> bool {
        self.operator.is_some()
    }

    /// The role that a token gives; the time that it takes says nothing of any token.
    pub(in crate::serve) fn role_of(&self, token: &[u8]) -> Option<Role> {
        let operator = self.operator.as_ref().is_some_and(|known| known.is(token));
        let viewer = self.viewer.as_ref().is_some_and(|known| known.is(token));
        match (operator, viewer) {
            (true, _) => Some(Role::Operator),
            (false, true) => Some(Role::Viewer),
            (false, false) => None,
        }
    }

    /// Counts a request of somebody unknown; false if there were too many.
    pub(in crate::serve) fn may_ask(&self, client: IpAddr) -> bool {
        self.rate.allows(client.into())
    }

    pub(in crate::serve) fn wrong_token(&self, client: IpAddr) {
        self.rate.wrong_token(client.into());
    }

    /// Who sent the request. A proxy that is trusted says from whom it has it, at the end of what it was told itself.
    pub(in crate::serve) fn client(&self, request: &Request) -> IpAddr {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip().to_canonical());
        let is_proxy = |address| self.proxies.iter().any(|network| network.contains(address));
        let lines = request.headers().get_all("x-forwarded-for").iter();
        let hops: Vec<&str> = lines.flat_map(|line| line.to_str().unwrap_or("?").split(',')).collect();
        let mut hops = hops.into_iter().rev().map(address_of);
        let mut client = peer;
        while is_proxy(client)
            && let Some(Some(hop)) = hops.next()
        {
            client = hop;
        }
        client
    }

    /// Limits the rate, finds out who asks, and lets operators alone change anything.
    pub(in crate::serve) fn admit(&self, request: &mut Request) -> Result<(), Problem> {
        let address = self.client(request);
        let headers = request.headers();
        let session = if bearer(headers).is_none() { self.sessions.of(headers) } else { None };
        let asker = match &session {
            Some((_, session)) => Asker::Session(session.as_str().into()),
            None => address.into(),
        };
        if !self.rate.allows(asker) {
            return Err(too_many());
        }
        let caller = self.caller(request, address, session)?;
        let changes = !request.method().is_safe();
        if changes && caller.role < Role::Operator {
            let detail = "this token may look and change nothing; it takes server.token";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        // A session is the dashboard's: its forms carry a proof that they are its own, which nothing else does.
        if changes && caller.session.is_some() && request.uri().path().starts_with("/v1/") {
            let detail = "what changes anything needs the bearer token itself; a browser's session is for the dashboard";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        request.extensions_mut().insert(caller);
        Ok(())
    }

    fn caller(
        &self,
        request: &Request,
        address: IpAddr,
        session: Option<(Role, String)>,
    ) -> Result<Caller, Problem> {
        let headers = request.headers();
        let request_id = request.extensions().get::<RequestId>().map_or_else(String::new, |id| id.0.clone());
        let caller = |role, session| Caller { role, client: address.to_string(), request_id, session };
        if !request.method().is_safe() && is_of_another_site(headers) {
            let detail =
                "a page of another site asks for this; requests come from this site, or from no page";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        if !self.asks() {
            if !names_loopback(headers) {
                let detail =
                    "without server.token the service answers to names of loopback only, as http://127.0.0.1";
                return Err(Problem::new(StatusCode::FORBIDDEN, detail));
            }
            return Ok(caller(Role::Operator, None));
        }
        if let Some(token) = bearer(headers) {
            if let Some(role) = self.role_of(token) {
                return Ok(caller(role, None));
            }
            self.wrong_token(address);
        } else if let Some((role, session)) = session {
            return Ok(caller(role, Some(session)));
        }
        let detail = "the bearer token is missing or wrong; send it as Authorization: Bearer …";
        Err(Problem::new(StatusCode::UNAUTHORIZED, detail))
    }
}

fn too_many() -> Problem {
    let detail = "too many requests of yours, of which a wrong token counts as a hundred; \
                  server.requests_per_second is the limit";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
}

/// An address of a list of hops, with a port or without.
fn address_of(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().or_else(|_| hop.parse().map(|socket: SocketAddr| socket.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

/// Browsers tell by themselves who asks; what is no browser does not.
pub(in crate::serve) fn is_of_another_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    let host = text("host").unwrap_or_default();
    text("origin").is_some_and(|origin| origin.split_once("://").is_none_or(|(_, name)| name != host))
}

fn names_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Lets in who may do what the request asks for.
pub(in crate::serve) async fn admit(
    State(admission): State<Admission>,
    mut request: Request,
    next: Next,
) -> Response {
    match admission.admit(&mut request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{HeaderName, HeaderValue};
    use recapture_core::secret::Secret;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn pages_of_other_sites_are_told_by_the_browser() {
        for (pairs, foreign) in [
            (&[("host", "127.0.0.1:8080")][..], false),
            (&[("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:8080")], false),
            (&[("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:9090")], true),
            (&[("host", "127.0.0.1:8080"), ("origin", "null")], true),
            (&[("host", "a"), ("origin", "http://a"), ("sec-fetch-site", "cross-site")], true),
            (&[("host", "a"), ("sec-fetch-site", "same-site")], true),
            (&[("host", "a"), ("sec-fetch-site", "same-origin")], false),
            (&[("host", "a"), ("sec-fetch-site", "none")], false),
        ] {
            assert_eq!(is_of_another_site(&headers(pairs)), foreign, "{pairs:?}");
        }
    }

    #[test]
    fn names_that_others_can_give_are_not_of_loopback() {
        for (host, loopback) in [
            ("127.0.0.1:8080", true),
            ("127.0.0.1", true),
            ("[::1]:8080", true),
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("evil.example:8080", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1:8080", false),
            ("", false),
        ] {
            assert_eq!(names_loopback(&headers(&[("host", host)])), loopback, "{host}");
        }
    }

    fn admission(per_second: u32, proxies: &[&str]) -> Admission {
        Admission::new(&Server {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: Some(Secret::new("t0ken")),
            viewer_token: None,
            requests_per_second: per_second,
            trusted_proxies: proxies.iter().map(|text| text.parse().expect("a network")).collect(),
        })
    }

    fn request(peer: &str, pairs: &[(&'static str, &str)]) -> Request {
        let mut request = Request::new(Body::empty());
        let peer: IpAddr = peer.parse().expect("an address");
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 1))));
        for (name, value) in pairs {
            let value = HeaderValue::from_str(value).expect("a header");
            request.headers_mut().append(HeaderName::from_static(name), value);
        }
        request
    }

    #[test]
    fn who_guesses_is_not_told_of_a_right_guess() {
        let admission = admission(10, &[]);
        let ask = |peer, token: &str| {
            let mut request = request(peer, &[("authorization", &format!("Bearer {token}"))]);
            admission.admit(&mut request).map_err(|problem| problem.status().as_u16())
        };
        assert_eq!(ask("10.0.0.1", "guess"), Err(401));
        assert_eq!(ask("10.0.0.1", "t0ken"), Err(429), "what a wrong token costs is paid first");
        assert_eq!(ask("10.0.0.2", "t0ken"), Ok(()));
        // A browser that has logged in does not pay for others at its address.
        let cookie = admission.sessions.begin(Role::Viewer, false);
        let cookie = cookie.split(';').next().expect("a pair");
        assert!(admission.admit(&mut request("10.0.0.1", &[("cookie", cookie)])).is_ok());
    }

    #[test]
    fn proxies_that_are_trusted_say_who_asks_and_nobody_else_does() {
        let admission = admission(10, &["10.0.0.0/8", "fd00::1"]);
        for (peer, said, client) in [
            ("192.0.2.1", &[][..], "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.7"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("fd00::1", &["2001:db8::7"], "2001:db8::7"),
            ("::ffff:10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            // What the client wrote itself stands before what proxies add.
            ("10.0.0.1", &["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["10.0.0.3"], "10.0.0.3"),
        ] {
            let pairs: Vec<_> = said.iter().map(|line| ("x-forwarded-for", *line)).collect();
            let found = admission.client(&request(peer, &pairs));
            assert_eq!(found.to_string(), client, "{peer} {said:?}");
        }
    }
}
