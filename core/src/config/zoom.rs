//! The section of Zoom: where it is, who we are to it, and how fast we may be.

use std::time::Duration;

use url::Url;

use super::addresses::web;
use super::hosts::{HostPattern, hosts};
use super::reader::Reader;
use super::sections::Security;
use super::sources::variable_of;
use super::values::{self, Expected};
use crate::secret::Secret;

#[derive(Debug, Clone)]
pub struct Zoom {
    pub api_url: Url,
    pub oauth_url: Url,
    pub account_id: Option<String>,
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    pub plan: Plan,
    /// Above 0, at most 1.
    pub budget: f64,
    pub limits: ZoomLimits,
    pub retention: Duration,
    /// Never empty.
    pub download_hosts: Vec<HostPattern>,
    pub processing_poll: Duration,
    pub request_timeout: Duration,
    pub stall_timeout: Duration,
    pub fingerprint: Fingerprint,
}

/// The plan of a Zoom account, as far as it decides rate limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    Free,
    Pro,
    /// Education and Enterprise too.
    Business,
}

/// Zoom's rate label of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    Light,
    Medium,
    Heavy,
}

/// Requests per second that were set by hand.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ZoomLimits {
    pub light: Option<f64>,
    pub medium: Option<f64>,
    pub heavy: Option<f64>,
}

/// What a differing `encryption_fingerprint` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fingerprint {
    Record,
    Require,
}

/// What a token is asked for with.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub account_id: String,
    pub client_id: String,
    pub client_secret: Secret,
}

/// Which of the three values are not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Zoom cannot be asked without credentials: {} not set; take the values of a Server-to-Server OAuth app and set \
     them in the configuration file or as {}; the secret may also be given as zoom.client_secret_file",
    keys.join(", "),
    variables(keys)
)]
pub struct MissingCredentials {
    pub keys: Vec<&'static str>,
}

fn variables(keys: &[&str]) -> String {
    keys.iter().map(|key| variable_of(key)).collect::<Vec<_>>().join(", ")
}

impl Category {
    pub const ALL: [Self; 3] = [Self::Light, Self::Medium, Self::Heavy];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Medium => "medium",
            Self::Heavy => "heavy",
        }
    }
}

impl Plan {
    /// Zoom's published requests per second, for the whole account and all its apps.
    pub fn published_rate(self, category: Category) -> f64 {
        let [light, medium, heavy] = match self {
            Self::Free => [4.0, 2.0, 1.0],
            Self::Pro => [30.0, 20.0, 10.0],
            Self::Business => [80.0, 60.0, 40.0],
        };
        match category {
            Category::Light => light,
            Category::Medium => medium,
            Category::Heavy => heavy,
        }
    }
}

impl Zoom {
    /// Requests per second that recovery may send: what was set by hand, or the plan's limit times the budget.
    pub fn rate(&self, category: Category) -> f64 {
        let by_hand = match category {
            Category::Light => self.limits.light,
            Category::Medium => self.limits.medium,
            Category::Heavy => self.limits.heavy,
        };
        by_hand.unwrap_or_else(|| self.plan.published_rate(category) * self.budget)
    }

    /// The three values that Zoom's token endpoint wants; the error names those that are not set.
    pub fn credentials(&self) -> Result<Credentials, MissingCredentials> {
        match (&self.account_id, &self.client_id, &self.client_secret) {
            (Some(account_id), Some(client_id), Some(client_secret)) => Ok(Credentials {
                account_id: account_id.clone(),
                client_id: client_id.clone(),
                client_secret: client_secret.clone(),
            }),
            (account, client, secret) => {
                let set = [account.is_some(), client.is_some(), secret.is_some()];
                let keys = ["zoom.account_id", "zoom.client_id", "zoom.client_secret"];
                Err(MissingCredentials {
                    keys: keys.into_iter().zip(set).filter(|(_, set)| !set).map(|(key, _)| key).collect(),
                })
            }
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>, security: &Security) -> Self {
        const PLANS: &[(&str, Plan)] =
            &[("free", Plan::Free), ("pro", Plan::Pro), ("business", Plan::Business)];
        const FINGERPRINTS: &[(&str, Fingerprint)] =
            &[("record", Fingerprint::Record), ("require", Fingerprint::Require)];
        Self {
            api_url: reader.get("zoom.api_url", web(security)),
            oauth_url: reader.get("zoom.oauth_url", web(security)),
            account_id: reader.get("zoom.account_id", values::optional_text),
            client_id: reader.get("zoom.client_id", values::optional_text),
            client_secret: reader.secret("zoom.client_secret", |_| Ok(())),
            plan: reader.get("zoom.plan", values::word(PLANS)),
            budget: reader.get("zoom.budget", values::share),
            limits: ZoomLimits {
                light: reader.get("zoom.limits.light", values::rate),
                medium: reader.get("zoom.limits.medium", values::rate),
                heavy: reader.get("zoom.limits.heavy", values::rate),
            },
            retention: reader.get("zoom.retention", values::length(Duration::from_secs(60))),
            download_hosts: reader.get("zoom.download_hosts", download_hosts),
            processing_poll: reader.get("zoom.processing_poll", values::length(Duration::from_millis(1))),
            request_timeout: reader.get("zoom.request_timeout", values::length(Duration::from_millis(100))),
            stall_timeout: reader.get("zoom.stall_timeout", values::length(Duration::from_millis(100))),
            fingerprint: reader.get("zoom.fingerprint", values::word(FINGERPRINTS)),
        }
    }
}

fn download_hosts(value: &toml::Value) -> Result<Vec<HostPattern>, Expected> {
    let hosts = hosts(value)?;
    if hosts.is_empty() {
        return Err(Expected("at least one host; without any, nothing could be downloaded".to_owned()));
    }
    Ok(hosts)
}
