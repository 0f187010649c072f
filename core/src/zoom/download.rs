//! Fetching one file: which hosts may see the token, how redirects are followed, how a body is continued.
//!
//! * A download begins at a host of `zoom.download_hosts`, over https (plain http for loopback, or for hosts that
//!   `security` names if Zoom's API is itself plain http, as a simulator's is); no other host ever gets the token.
//! * Redirects are followed by hand, at most five. Another origin gets no token: signed addresses refuse it. If a
//!   listed host then answers 401 or 403, it is asked once more with the token, because one client reports that
//!   Zoom's second host wants it.
//! * A host that is not listed is followed over https only, and never into a private or loopback address, whatever
//!   its name resolves to.
//! * A continued download counts only on 206 with the very start that was asked and an unchanged total; on 200 the
//!   file begins anew. 416 says how long the file is: if that is what we have, it is whole, and lacked but its end.
//! * A body comes as it is (`identity`): what a server packs on the way has another size and hash than the file.
//! * A body that stands still is given up, and so is one that keeps below [`SLOWEST`], however regularly it drips: it
//!   would hold a slot, and the meeting's lease, for ever.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::Utc;
use reqwest::StatusCode;
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE,
};
use url::Url;

use super::auth::{Refusal, Token, Tokens};
use super::error::{Answer, DownloadError, ZoomError};
use crate::config::{HostPattern, Security};
use crate::http;

const MOST_HOPS: usize = 5;

/// How long the headers of a hop may take.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);

/// Bytes a second, over the whole of a body. A hundred downloads at once over a line of 16 Mbit/s have as much each; what
/// is slower is continued by a new request, at the price of a connection.
const SLOWEST: u64 = 16 << 10;

/// A body may be slower than [`SLOWEST`] for this many times the stall timeout altogether.
const GRACE: u32 = 10;

pub(super) struct Downloads {
    pub(super) listed: reqwest::Client,
    pub(super) unlisted: reqwest::Client,
    pub(super) hosts: Vec<HostPattern>,
    /// Who decides of plain http; without it loopback alone is spoken to so.
    pub(super) clear: Option<Security>,
    pub(super) stall: Duration,
}

/// A body on its way.
pub struct Body {
    /// `None`: there is nothing left to come.
    response: Option<reqwest::Response>,
    stall: Duration,
    /// For how long the server was waited for. What our own disk takes is not the server's fault.
    waited: Duration,
    /// The first byte that this body brings: what was asked for, or 0 if the server begins anew.
    pub start: u64,
    /// The whole file's size, where the server tells it.
    pub total: Option<u64>,
    got: u64,
}

impl Body {
    /// The next bytes, or `None` at the announced end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DownloadError> {
        let at = self.start + self.got;
        let Some(response) = &mut self.response else { return Ok(None) };
        let allowed = self.stall * GRACE + Duration::from_secs(self.got / SLOWEST);
        if self.waited > allowed {
            return Err(DownloadError::TooSlow { got: self.got, seconds: self.waited.as_secs() });
        }
        let asked = Instant::now();
        let came = tokio::time::timeout(self.stall, response.chunk()).await;
        self.waited += asked.elapsed();
        match came {
            Err(_) => Err(DownloadError::Stalled { got: at, seconds: self.stall.as_secs() }),
            Ok(Err(_)) => Err(DownloadError::Truncated { expected: self.total, got: at }),
            Ok(Ok(None)) if self.total.is_some_and(|total| at < total) => {
                Err(DownloadError::Truncated { expected: self.total, got: at })
            }
            Ok(Ok(None)) => Ok(None),
            Ok(Ok(Some(bytes))) => {
                self.got += bytes.len() as u64;
                Ok(Some(bytes))
            }
        }
    }
}

struct Hop {
    url: Url,
    listed: bool,
    with_token: bool,
}

impl Downloads {
    /// Opens a file's body from `offset` on. `total` is the size that an earlier part of the same download had.
    pub(super) async fn open(
        &self,
        tokens: &Tokens,
        address: &str,
        offset: u64,
        total: Option<u64>,
    ) -> Result<Body, DownloadError> {
        let mut hop = self.first_hop(address)?;
        let mut refusals = 0;
        let mut hops = 0;
        loop {
            let token = if hop.with_token { Some(tokens.get().await?) } else { None };
            let response = self.send(token.as_ref(), &hop, offset).await?;
            let status = response.status();
            match status {
                StatusCode::OK | StatusCode::PARTIAL_CONTENT => return self.body(response, offset, total),
                StatusCode::RANGE_NOT_SATISFIABLE => return self.nothing_left(&response, offset),
                _ if status.is_redirection() => {
                    if let Some(token) = token {
                        token.worked();
                    }
                    hops += 1;
                    if hops > MOST_HOPS {
                        return Err(DownloadError::RedirectLoop { hops: MOST_HOPS });
                    }
                    hop = self.next_hop(&hop, &response)?;
                }
                StatusCode::UNAUTHORIZED if hops == 0 && refusals < super::MOST_REFUSALS => {
                    refusals += 1;
                    if let Some(token) = token
                        && tokens.refused(&token).await == Refusal::OfCredentials
                    {
                        return Err(refusal(&hop, hops, &response));
                    }
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
                    if hops > 0 && hop.listed && !hop.with_token =>
                {
                    hop.with_token = true;
                }
                _ => return Err(refusal(&hop, hops, &response)),
            }
        }
    }

    fn first_hop(&self, address: &str) -> Result<Hop, DownloadError> {
        let foreign = |host: &str, why| DownloadError::ForeignHost { host: host.to_owned(), why };
        let url = Url::parse(address).map_err(|_| foreign("no address", "it is no URL"))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        if !self.is_listed(&host) {
            return Err(foreign(&host, "it is not listed"));
        }
        if !self.scheme_is_safe(&url) {
            return Err(foreign(&host, "the address is not https"));
        }
        Ok(Hop { url, listed: true, with_token: true })
    }

    fn next_hop(&self, from: &Hop, response: &reqwest::Response) -> Result<Hop, DownloadError> {
        let foreign = |host: &str, why| DownloadError::ForeignHost { host: host.to_owned(), why };
        let location =
            response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let url = from.url.join(location).map_err(|_| foreign("no address", "the redirect names no URL"))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let listed = self.is_listed(&host);
        if from.url.scheme() == "https" && url.scheme() != "https" {
            return Err(foreign(&host, "the redirect falls back to plain http"));
        }
        if !listed && url.scheme() != "https" || listed && !self.scheme_is_safe(&url) {
            return Err(foreign(&host, "the redirect is not https"));
        }
        let literal = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().ok();
        if !listed && literal.is_some_and(|ip| !http::is_public(ip)) {
            return Err(foreign(&host, "the redirect leads into a private network"));
        }
        let with_token = from.with_token && listed && url.origin() == from.url.origin();
        Ok(Hop { url, listed, with_token })
    }

    fn is_listed(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| pattern.matches(host))
    }

    fn scheme_is_safe(&self, url: &Url) -> bool {
        match url.scheme() {
            "https" => true,
            "http" if is_loopback(url) => true,
            "http" => {
                let host = url.host_str().unwrap_or_default();
                self.clear.as_ref().is_some_and(|security| security.may_be_clear(host))
            }
            _ => false,
        }
    }

    async fn send(
        &self,
        token: Option<&Token>,
        hop: &Hop,
        offset: u64,
    ) -> Result<reqwest::Response, DownloadError> {
        let client = if hop.listed { &self.listed } else { &self.unlisted };
        let mut request = client.get(hop.url.clone()).header(ACCEPT_ENCODING, "identity");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token.header());
        }
        if offset > 0 {
            request = request.header(RANGE, format!("bytes={offset}-"));
        }
        let asked = || format!("GET {}", place(&hop.url));
        match tokio::time::timeout(HEADERS_WITHIN, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if !hop.listed && http::is_not_public(&error) => {
                let host = hop.url.host_str().unwrap_or_default().to_owned();
                Err(DownloadError::ForeignHost { host, why: "the redirect leads into a private network" })
            }
            Ok(Err(error)) => {
                let detail = http::transport_words(&error);
                Err(ZoomError::Transport { request: asked(), detail }.into())
            }
            Err(_) => {
                let detail = format!("no answer within {} s", HEADERS_WITHIN.as_secs());
                Err(ZoomError::Transport { request: asked(), detail }.into())
            }
        }
    }

    fn body(
        &self,
        response: reqwest::Response,
        offset: u64,
        known: Option<u64>,
    ) -> Result<Body, DownloadError> {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let kind = header(CONTENT_TYPE).unwrap_or_default();
        if kind.to_ascii_lowercase().starts_with("text/html") {
            return Err(not_the_file(&format!("a page of type {kind}")));
        }
        if let Some(packed) = header(CONTENT_ENCODING).filter(|how| !how.eq_ignore_ascii_case("identity")) {
            return Err(not_the_file(&format!("a body that is packed ({packed}), which was not asked for")));
        }
        let length = response.content_length();
        let (start, total) = if response.status() == StatusCode::PARTIAL_CONTENT {
            let (start, total) =
                header(CONTENT_RANGE).and_then(read_content_range).unwrap_or((u64::MAX, None));
            // A part that does not begin where we stopped, or belongs to a file of another size, is not a part of ours.
            if start != offset || known.is_some() && total.is_some() && known != total {
                return Err(not_the_file("another part than the one asked for"));
            }
            (start, total.or(length.map(|length| start + length)))
        } else {
            (0, length)
        };
        let stall = self.stall;
        Ok(Body { response: Some(response), stall, waited: Duration::ZERO, start, total, got: 0 })
    }

    /// 416: nothing stands at the place that was asked for.
    fn nothing_left(&self, response: &reqwest::Response, offset: u64) -> Result<Body, DownloadError> {
        let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let size = range.and_then(|range| range.trim().strip_prefix("bytes */")?.parse::<u64>().ok());
        if offset == 0 || size != Some(offset) {
            return Err(not_the_file("a file that is shorter than what came of it before"));
        }
        let stall = self.stall;
        Ok(Body { response: None, stall, waited: Duration::ZERO, start: offset, total: size, got: 0 })
    }
}

fn not_the_file(found: &str) -> DownloadError {
    DownloadError::NotTheFile { found: found.to_owned() }
}

fn refusal(hop: &Hop, hops: usize, response: &reqwest::Response) -> DownloadError {
    let status = response.status().as_u16();
    let answer =
        Answer { request: format!("GET {}", place(&hop.url)), status: Some(status), ..Answer::default() };
    let retry_after = http::retry_after(response.headers(), Utc::now());
    match status {
        429 => ZoomError::RateLimited {
            until: retry_after.unwrap_or_else(|| Utc::now() + chrono::Duration::seconds(1)),
            daily: false,
            answer,
        }
        .into(),
        401 if hops == 0 => ZoomError::TokenRefused(answer).into(),
        404 => DownloadError::Gone { status },
        401 | 403 | 410 => DownloadError::AddressExpired { status },
        500..=599 => ZoomError::Server { retry_after, answer }.into(),
        _ => ZoomError::Refused(answer).into(),
    }
}

/// Scheme, host and port: what of a download's address may be told. The rest may be signed.
fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// `bytes 5-9/10` → (5, Some(10)); `bytes 5-9/*` → (5, None).
fn read_content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (span, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = span.split_once('-')?;
    let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
    (start <= end).then(|| (start, total.parse().ok()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use crate::config::{Config, Sources};
    use crate::zoom::Zoom;

    /// Whether a download may begin at a listed host, over plain http.
    fn begins(address: &str, settings: &[&str]) -> bool {
        let credentials = ["zoom.account_id=a", "zoom.client_id=b", "zoom.client_secret=c"];
        let hosts = ["zoom.download_hosts=media.example,localhost"];
        let flags = credentials.iter().chain(&hosts).chain(settings).map(|flag| (*flag).to_owned()).collect();
        let config = Config::load(&Sources { file: None, env: Vec::new(), flags }).unwrap().config;
        let credentials = config.zoom.credentials().unwrap();
        let zoom = Zoom::new(&config.zoom, credentials, &config.security, None).unwrap();
        zoom.downloads.first_hop(address).is_ok()
    }

    #[test]
    fn files_come_in_the_clear_from_a_named_host_of_a_zoom_that_is_itself_in_the_clear() {
        let (named, clear) =
            ("security.http_hosts=media.example,zoom.example", "zoom.api_url=http://zoom.example");
        assert!(begins("http://media.example/file", &[named, clear]));
        assert!(begins("http://media.example/file", &["security.allow_http=true", clear]));
        assert!(!begins("http://media.example/file", &[named]));
        assert!(!begins("http://media.example/file", &["security.allow_http=true"]));
        assert!(!begins("http://media.example/file", &["security.http_hosts=zoom.example", clear]));
        assert!(begins("http://localhost/file", &[]) && begins("https://media.example/file", &[]));
    }
}
