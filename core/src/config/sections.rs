//! The sections besides Zoom's: one struct each, read and checked here.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use toml::Value;
use url::Url;

use super::addresses::{sqlite_path, web, without_credentials};
use super::fault::Fault;
use super::hosts::{HostPattern, hosts};
use super::networks::Network;
use super::reader::Reader;
use super::redis_address::RedisAddress;
use super::values::{self, Expected};
use crate::secret::Secret;
use crate::signature::{KeyError, PublicKey, SigningKey};

/// The shortest interval, poll or lease: what is shorter would only keep a processor busy.
const SHORTEST: Duration = Duration::from_millis(1);

#[derive(Clone)]
pub struct Queue {
    /// `sqlite://` and a path, or an address of Redis; it may hold a password.
    pub url: String,
    pub high_water: u64,
    pub lease: Duration,
    pub max_attempts: u32,
}

#[derive(Debug, Clone)]
pub struct Worker {
    pub concurrency: usize,
    pub downloads: usize,
    pub drain: Duration,
    /// Where the health endpoints are served, if anywhere.
    pub listen: Option<SocketAddr>,
}

#[derive(Debug, Clone)]
pub struct Automatic {
    pub enabled: bool,
    pub interval: Duration,
    pub settle: Duration,
    pub overlap: Duration,
    pub lookback: Duration,
}

#[derive(Debug, Clone)]
pub struct Csv {
    pub dir: PathBuf,
    pub settle: Duration,
    pub processed: PathBuf,
    pub rejected: PathBuf,
}

#[derive(Debug, Clone)]
pub struct Evidence {
    /// Signs seals.
    pub key: Option<Arc<SigningKey>>,
    /// The only key whose seals `verify` takes.
    pub public_key: Option<PublicKey>,
}

#[derive(Debug, Clone)]
pub struct Server {
    pub listen: SocketAddr,
    /// Of operators, who may do everything. Always there when `listen` is not a loopback address.
    pub token: Option<Secret>,
    /// Of viewers, who change nothing. Only where there is a token of operators, and another than that.
    pub viewer_token: Option<Secret>,
    pub requests_per_second: u32,
    /// Whose word counts about who asks.
    pub trusted_proxies: Vec<Network>,
}

#[derive(Debug, Clone)]
pub struct Security {
    /// Every host may be spoken to in the clear.
    pub allow_http: bool,
    /// These may.
    pub http_hosts: Vec<HostPattern>,
}

/// Meetings that are legitimately absent from the contact database.
#[derive(Debug, Clone)]
pub struct Exclude {
    /// Meetings shorter than this.
    pub minimum_length: Duration,
    pub hosts: Vec<String>,
    pub groups: Vec<String>,
    pub kinds: Vec<ExcludedKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExcludedKind {
    Meeting,
    Webinar,
    BreakoutRoom,
}

#[derive(Debug, Clone)]
pub struct Log {
    /// A filter of `tracing_subscriber`, checked.
    pub level: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Where the traces of meetings are sent.
    pub otlp_url: Option<Url>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Queue {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let password = reader.secret("queue.password", |_| Ok(()));
        Self {
            url: reader.get("queue.url", |value| queue_url(value, password.as_ref())),
            high_water: reader.get("queue.high_water", values::whole(1..=1_000_000_000)),
            lease: reader.get("queue.lease", values::length(Duration::from_secs(1))),
            max_attempts: reader.get("queue.max_attempts", values::whole(1..=1000)),
        }
    }
}

fn queue_url(value: &Value, password: Option<&Secret>) -> Result<String, Expected> {
    let text = values::text(value)?;
    let address = |why: &str| Expected(format!("an address of Redis: {why}"));
    let whole = match password {
        Some(password) if RedisAddress::parse(text).is_some() => {
            RedisAddress::with_password(text, password).map_err(address)?
        }
        _ => text.to_owned(),
    };
    if let Some(parsed) = RedisAddress::parse(&whole) {
        return parsed.map(|_| whole).map_err(address);
    }
    match sqlite_path(text) {
        Some(path) => path.map(|_| text.to_owned()),
        None => Err(Expected("sqlite:// and a path, or redis:// and a host".to_owned())),
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, high_water, lease, max_attempts } = self;
        f.debug_struct("Queue")
            .field("url", &without_credentials(url))
            .field("high_water", high_water)
            .field("lease", lease)
            .field("max_attempts", max_attempts)
            .finish()
    }
}

impl Worker {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            concurrency: reader.get("worker.concurrency", values::whole(1..=10_000)),
            downloads: reader.get("worker.downloads", values::whole(1..=10_000)),
            drain: reader.get("worker.drain", values::length(Duration::ZERO)),
            listen: reader.get("worker.listen", optional_address),
        }
    }
}

fn optional_address(value: &Value) -> Result<Option<SocketAddr>, Expected> {
    let address = values::optional_text(value)?.map(|text| text.parse());
    address.transpose().map_err(|_| {
        Expected("an IP address and a port, for instance 127.0.0.1:8081; \"\" is none".to_owned())
    })
}

impl Automatic {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            enabled: reader.get("automatic.enabled", values::switch),
            interval: reader.get("automatic.interval", values::length(SHORTEST)),
            settle: reader.get("automatic.settle", values::length(Duration::ZERO)),
            overlap: reader.get("automatic.overlap", values::length(Duration::ZERO)),
            lookback: reader.get("automatic.lookback", values::length(Duration::from_secs(1))),
        }
    }
}

impl Csv {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            dir: reader.get("csv.dir", values::path),
            settle: reader.get("csv.settle", values::length(Duration::ZERO)),
            processed: reader.get("csv.processed", values::path),
            rejected: reader.get("csv.rejected", values::path),
        }
    }
}

impl Evidence {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let expected = |error: KeyError| Expected(error.to_string());
        let key = reader.secret("evidence.key", |text| SigningKey::parse(text).map(drop).map_err(expected));
        Self {
            key: key.and_then(|key| SigningKey::parse(key.expose()).ok()).map(Arc::new),
            public_key: reader.get("evidence.public_key", |value| {
                let text = values::optional_text(value)?;
                text.map(|text| PublicKey::parse(&text).map_err(expected)).transpose()
            }),
        }
    }
}

impl Server {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let listen: SocketAddr = reader.get("server.listen", |value| {
            let address = values::text(value)?.parse();
            address.map_err(|_| Expected("an IP address and a port, for instance 127.0.0.1:8080".to_owned()))
        });
        let token = reader.secret("server.token", fits_a_header);
        if token.is_none() && !listen.ip().is_loopback() {
            let origin = reader.origin("server.listen");
            reader.fault(Fault::OpenServer { origin, listen: listen.to_string() });
        }
        let viewer_token = reader.secret("server.viewer_token", fits_a_header);
        if viewer_token.is_some() && (token.is_none() || viewer_token == token) {
            let origin = reader.origin("server.viewer_token");
            reader.fault(Fault::ViewerAlone { origin });
        }
        let requests_per_second = reader.get("server.requests_per_second", values::whole(1..=1_000_000));
        let trusted_proxies = reader.get("server.trusted_proxies", |value| {
            let networks = values::texts(value)?.into_iter().map(str::parse::<Network>);
            networks.collect::<Result<_, _>>().map_err(|error| Expected(error.to_string()))
        });
        Self { listen, token, viewer_token, requests_per_second, trusted_proxies }
    }
}

/// A bearer token travels in a header, which takes visible ASCII only.
pub(super) fn fits_a_header(token: &str) -> Result<(), Expected> {
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Expected("one line of visible ASCII characters without spaces".to_owned()))
}

impl Security {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            allow_http: reader.get("security.allow_http", values::switch),
            http_hosts: reader.get("security.http_hosts", hosts),
        }
    }

    /// Whether what is said to this host, another than this machine, may cross the network in the clear.
    pub fn may_be_clear(&self, host: &str) -> bool {
        self.allow_http || self.http_hosts.iter().any(|pattern| pattern.matches(host))
    }
}

impl Exclude {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        const KINDS: &[(&str, ExcludedKind)] = &[
            ("meeting", ExcludedKind::Meeting),
            ("webinar", ExcludedKind::Webinar),
            ("breakout_room", ExcludedKind::BreakoutRoom),
        ];
        Self {
            minimum_length: reader.get("exclude.minimum_length", values::length(Duration::ZERO)),
            hosts: reader.get("exclude.hosts", ids),
            groups: reader.get("exclude.groups", ids),
            kinds: reader.get("exclude.kinds", values::words(KINDS)),
        }
    }
}

fn ids(value: &Value) -> Result<Vec<String>, Expected> {
    Ok(values::texts(value)?.into_iter().map(str::to_owned).collect())
}

impl Log {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
        Self {
            level: reader.get("log.level", values::log_filter),
            format: reader.get("log.format", values::word(FORMATS)),
        }
    }
}

impl Telemetry {
    pub(super) fn read(reader: &mut Reader<'_>, security: &Security) -> Self {
        let web = web(security);
        let otlp_url = |value: &Value| match values::optional_text(value)? {
            Some(_) => web(value).map(Some),
            None => Ok(None),
        };
        Self { otlp_url: reader.get("telemetry.otlp_url", otlp_url) }
    }
}
