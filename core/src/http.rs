//! What every HTTP client of ours shares: TLS, time limits, capped bodies, `Retry-After`, and which addresses a
//! server may send us to.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use url::Url;

/// A server that does not accept a connection in this time is out of reach.
const CONNECT: Duration = Duration::from_secs(10);

/// The longest that a server may make us wait: a daily limit ends within a day, and clocks may differ. Who asks for more is
/// asked again then.
pub const LONGEST_WAIT: Duration = Duration::from_secs(25 * 3600);

/// Why no client could be made, or a body not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HttpError {
    #[error(
        "TLS cannot be set up: {0}. Are the system's root certificates installed (Debian: apt install ca-certificates)?"
    )]
    Tls(String),
    #[error("the answer is larger than {cap} bytes")]
    TooLarge { cap: usize },
    #[error("no answer in time")]
    Late,
    #[error("{0}")]
    Broken(String),
}

/// A client that follows no redirect by itself: where a redirect may lead is decided hop by hop, in the open.
pub fn client() -> Result<reqwest::Client, HttpError> {
    build(builder())
}

/// The same, for files. Each comes over a connection of its own (HTTP/1.1), whose window the kernel opens as far as the line
/// needs it. Over one HTTP/2 connection all of them would share a window of a few megabytes, which on a long way is all
/// that moves in a round trip, and one that waits for the disk would hold up the others.
pub fn download_client() -> Result<reqwest::Client, HttpError> {
    build(builder().http1_only())
}

/// The same, for processes of this machine: none of them is behind a proxy, whatever the surroundings say.
pub fn loopback_client() -> Result<reqwest::Client, HttpError> {
    build(builder().no_proxy())
}

/// The same, for hosts that nobody listed: it refuses to connect to private, loopback and link-local addresses,
/// whatever a name resolves to.
pub fn public_only_client() -> Result<reqwest::Client, HttpError> {
    build(builder().http1_only().no_proxy().dns_resolver(PublicOnly))
}

/// Chooses the one TLS implementation for every client of this process.
pub fn install_tls() {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn builder() -> reqwest::ClientBuilder {
    install_tls();
    reqwest::Client::builder()
        .user_agent(concat!("recapture/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .tcp_keepalive(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none())
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, HttpError> {
    builder.build().map_err(|error| HttpError::Tls(root_cause(&error)))
}

/// The innermost cause of an error: what a person can act on. `reqwest`'s own text repeats the address, which may
/// be a signed one.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// What became of a connection, in words without the address.
pub fn transport_words(error: &reqwest::Error) -> String {
    let cause = root_cause(&error);
    match () {
        () if error.is_timeout() => "no answer in time".to_owned(),
        () if error.is_connect() => format!("no connection: {cause}"),
        () => format!("the connection broke: {cause}"),
    }
}

/// Reads a whole body of at most `cap` bytes.
pub async fn read_capped(mut response: reqwest::Response, cap: usize) -> Result<Bytes, HttpError> {
    let too_large = HttpError::TooLarge { cap };
    let announced = response.content_length().unwrap_or(0);
    if announced > cap as u64 {
        return Err(too_large);
    }
    let mut body = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0));
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body.freeze()),
            Ok(Some(chunk)) if body.len() + chunk.len() > cap => return Err(too_large),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) if error.is_timeout() => return Err(HttpError::Late),
            Err(error) => return Err(HttpError::Broken(transport_words(&error))),
        }
    }
}

/// `Retry-After` as Zoom sends it (an RFC 3339 instant), as HTTP has it (a date), or as seconds; at most
/// [`LONGEST_WAIT`] from now.
pub fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let latest = now + LONGEST_WAIT;
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(latest.min(now + chrono::Duration::seconds(i64::from(seconds))));
    }
    let at = instant(text)?;
    // The server's own time, if it tells: the clock of this machine may be wrong, and the length of the wait is right.
    let sent = headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(instant);
    let at = sent.map_or(Some(at), |sent| now.checked_add_signed(at - sent))?;
    Some(latest.min(at))
}

/// By how much this machine's clock is ahead of a server's, as the `Date` of whatever it answers tells, give or take a
/// second; `None` if it tells none.
pub async fn clock_ahead(client: &reqwest::Client, url: Url) -> Result<Option<chrono::Duration>, String> {
    let answer = client.get(url).timeout(CONNECT).send().await.map_err(|error| transport_words(&error))?;
    let sent = answer.headers().get(DATE).and_then(|date| date.to_str().ok()).and_then(instant);
    Ok(sent.map(|sent| Utc::now() - sent))
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc2822(text));
    at.ok().map(|at| at.to_utc())
}

/// Whether an address belongs to the public internet.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(v6) => embedded_v4(v6).map_or_else(
            || {
                !(v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || v6.is_unique_local()
                    || v6.is_unicast_link_local()
                    || v6.segments()[0] == 0x2001 && v6.segments()[1] == 0x0db8)
            },
            |v4| is_public(v4.into()),
        ),
    }
}

/// The IPv4 address inside a mapped (`::ffff:a.b.c.d`) or NAT64 (`64:ff9b::a.b.c.d`) one.
fn embedded_v4(v6: Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    let segments = v6.segments();
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [a, b] = segments[6].to_be_bytes();
        let [c, d] = segments[7].to_be_bytes();
        return Some(std::net::Ipv4Addr::new(a, b, c, d));
    }
    v6.to_ipv4_mapped()
}

/// A name that stands for private addresses alone.
#[derive(Debug, thiserror::Error)]
#[error("its name leads to no public address")]
struct NotPublic;

/// Whether a connection was refused because the name leads into a private network.
pub fn is_not_public(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(at) = cause {
        if at.is::<NotPublic>() {
            return true;
        }
        cause = at.source();
    }
    false
}

/// Resolves names by the system, and drops what is not public.
struct PublicOnly;

impl reqwest::dns::Resolve for PublicOnly {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let all: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> = all.into_iter().filter(|at| is_public(at.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

impl From<PublicOnly> for Arc<dyn reqwest::dns::Resolve> {
    fn from(resolver: PublicOnly) -> Self {
        Arc::new(resolver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client offers to speak in its first bytes, to a server that hears no more of it.
    fn offered(client: &reqwest::Client) -> Vec<String> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("https://{}/", listener.local_addr().expect("an address"));
        let heard = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut hello = rustls::server::Acceptor::default();
            loop {
                hello.read_tls(&mut stream).expect("bytes");
                if let Some(accepted) = hello.accept().map_err(|(error, _)| error).expect("TLS") {
                    let offered = accepted.client_hello().alpn().into_iter().flatten();
                    return offered.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
                }
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        drop(runtime.block_on(client.get(address).send()).expect_err("the server hung up"));
        heard.join().expect("what was heard")
    }

    #[test]
    fn files_come_over_connections_of_their_own() {
        assert_eq!(offered(&client().expect("a client")), ["h2", "http/1.1"]);
        let files = offered(&download_client().expect("a client"));
        assert!(!files.contains(&"h2".to_owned()), "{files:?}");
    }

    #[test]
    fn retry_after_has_three_forms() {
        let now = crate::period::parse_instant("2026-02-09T10:00:00Z").expect("an instant");
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, reqwest::header::HeaderValue::from_static(text));
            retry_after(&headers, now).map(crate::period::stamp)
        };
        assert_eq!(read("2026-02-10T00:00:00Z").as_deref(), Some("2026-02-10T00:00:00Z"));
        assert_eq!(read("Tue, 10 Feb 2026 00:00:00 GMT").as_deref(), Some("2026-02-10T00:00:00Z"));
        assert_eq!(read("120").as_deref(), Some("2026-02-09T10:02:00Z"));
        // A hundred years, in each form.
        assert_eq!(read("4294967295").as_deref(), Some("2026-02-10T11:00:00Z"));
        assert_eq!(read("2126-02-10T00:00:00Z").as_deref(), Some("2026-02-10T11:00:00Z"));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-5"), None);
    }

    #[test]
    fn a_wait_is_as_long_as_the_server_says_whatever_our_clock_says() {
        let ours = crate::period::parse_instant("2026-02-09T10:10:00Z").expect("an instant");
        let mut headers = HeaderMap::new();
        for (name, text) in [(DATE, "Mon, 09 Feb 2026 10:00:00 GMT"), (RETRY_AFTER, "2026-02-09T10:00:30Z")] {
            headers.insert(name, reqwest::header::HeaderValue::from_static(text));
        }
        assert_eq!(retry_after(&headers, ours), Some(ours + chrono::Duration::seconds(30)));
        for (name, text) in [(DATE, "-9999-01-01T00:00:00Z"), (RETRY_AFTER, "+200000-01-01T00:00:00Z")] {
            headers.insert(name, reqwest::header::HeaderValue::from_static(text));
        }
        assert_eq!(retry_after(&headers, ours), None, "years that no calendar has");
        for (name, text) in [(DATE, "Mon, 01 Jan 0001 00:00:00 GMT"), (RETRY_AFTER, "9999-12-31T00:00:00Z")] {
            headers.insert(name, reqwest::header::HeaderValue::from_static(text));
        }
        let longest = chrono::Duration::from_std(LONGEST_WAIT).expect("a wait");
        assert_eq!(retry_after(&headers, ours), Some(ours + longest));
    }

    #[test]
    fn private_addresses_in_any_dress_are_not_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "255.255.255.255",
            "224.0.0.1",
        ] {
            assert!(!is_public(private.parse().expect("an address")), "{private}");
        }
        for public in ["170.114.52.2", "2600:1f18::1", "8.8.8.8"] {
            assert!(is_public(public.parse().expect("an address")), "{public}");
        }
    }
}
