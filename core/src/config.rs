//! The configuration: where each value comes from, and what is wrong with it.
//!
//! `config/default.toml` is embedded, names every key and is the manual. Over it come a file, the environment and
//! flags ([`Sources`]); the strongest layer that names a key decides it. [`Config::load`] reports every fault of all
//! layers at once, each with its key, its layer and what would be right, and never prints a secret.
//!
//! Loading reads files and changes nothing. Zoom's credentials may be missing, because half of the commands need
//! none; [`Zoom::credentials`] says so where they are needed.

mod addresses;
mod buffer;
mod contacts;
mod describe;
mod fault;
mod hosts;
mod layers;
mod networks;
mod reader;
mod redis_address;
mod sections;
mod sources;
mod values;
mod zoom;

use std::path::PathBuf;

pub use addresses::without_credentials;
pub use buffer::{Buffer, S3};
pub use contacts::{Contacts, ContactsUrl, Verint};
pub use describe::Row;
pub use fault::{ConfigError, Fault};
pub use hosts::{HostPattern, NoHostPattern};
pub use layers::Origin;
pub use networks::{Network, NoNetwork};
pub use redis_address::{Node, RedisAddress};
pub use sections::{
    Automatic, Csv, Evidence, Exclude, ExcludedKind, Log, LogFormat, Queue, Security, Server, Telemetry,
    Worker,
};
pub use zoom::{Category, Credentials, Fingerprint, MissingCredentials, Plan, Zoom, ZoomLimits};

use fault::Faults;
use layers::Settings;
use reader::Reader;

/// The manual of settings, and the weakest layer.
pub const DEFAULT: &str = include_str!("../../config/default.toml");

/// The environment variable that names the configuration file when no flag does.
pub const FILE_VARIABLE: &str = "RECAPTURE_CONFIG";

/// The keys that may be given as `<key>_file` and are never shown.
const SECRETS: [&str; 9] = [
    "buffer.secret_access_key",
    "contacts.password",
    "contacts.token",
    "contacts.verint.password",
    "evidence.key",
    "queue.password",
    "server.token",
    "server.viewer_token",
    "zoom.client_secret",
];

/// The effective configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub zoom: Zoom,
    pub contacts: Contacts,
    pub queue: Queue,
    pub buffer: Buffer,
    pub worker: Worker,
    pub automatic: Automatic,
    pub csv: Csv,
    pub evidence: Evidence,
    pub server: Server,
    pub security: Security,
    pub exclude: Exclude,
    pub log: Log,
    pub telemetry: Telemetry,
}

/// The layers over the embedded default, as values.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config`; without it `RECAPTURE_CONFIG` of `env` counts.
    pub file: Option<PathBuf>,
    /// Variables that are not of the form `RECAPTURE_<SECTION>__<KEY>` are passed over.
    pub env: Vec<(String, String)>,
    /// `--set key=value`, in the order given; of two for one key the later counts.
    pub flags: Vec<String>,
}

impl Sources {
    /// The environment of this process under the given file and flags.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<String>) -> Self {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let env = std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect();
        Self { file, env, flags }
    }

    /// `log.level` as these layers have it now; what is wrong with them otherwise.
    pub fn log_level(&self) -> Result<String, String> {
        Config::load(self).map(|loaded| loaded.config.log.level).map_err(|error| error.to_string())
    }
}

/// A configuration and where its values came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    settings: Settings,
}

impl Config {
    /// Puts the layers over each other and checks the outcome; fails with all faults there are.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
        let mut faults = Faults::default();
        let settings = Settings::of(sources, &mut faults);
        let mut reader = Reader::new(&settings, &mut faults);
        let config = Self::read(&mut reader);
        faults.none_or_error()?;
        Ok(Loaded { config, settings })
    }

    fn read(reader: &mut Reader<'_>) -> Self {
        // First, because it decides which addresses the other sections may name.
        let security = Security::read(reader);
        Self {
            zoom: Zoom::read(reader, &security),
            contacts: Contacts::read(reader, &security),
            queue: Queue::read(reader),
            buffer: Buffer::read(reader, &security),
            worker: Worker::read(reader),
            automatic: Automatic::read(reader),
            csv: Csv::read(reader),
            evidence: Evidence::read(reader),
            server: Server::read(reader),
            telemetry: Telemetry::read(reader, &security),
            security,
            exclude: Exclude::read(reader),
            log: Log::read(reader),
        }
    }
}

impl Loaded {
    /// One row a key, in alphabetical order: what `recapture config` prints. Secrets are masked.
    pub fn describe(&self) -> Vec<Row> {
        describe::rows(&self.settings)
    }

    /// SHA-256 (hex) over the effective values of all keys that are no secrets: the same for the same behaviour,
    /// whichever layers it was put together from.
    pub fn effective_hash(&self) -> String {
        describe::hash(&self.settings)
    }
}
