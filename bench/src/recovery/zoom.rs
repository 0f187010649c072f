//! The server that everything is fetched from: the simulator, as a process of its own.

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::processes::{Output, Programs, Running};
use super::profile::Profile;
use super::usage;
use crate::Fault;

pub(crate) struct Zoom {
    process: Running,
    ready: Ready,
    _scenario: NamedTempFile,
}

/// What the simulator says when it is ready.
#[derive(Deserialize)]
struct Ready {
    api_url: String,
    oauth_url: String,
    account_id: String,
    client_id: String,
    client_secret: String,
    download_hosts: Vec<String>,
    control_url: String,
    das_url: String,
    das_token: String,
}

impl Zoom {
    pub(crate) async fn start(programs: &Programs, scenario: &Value) -> Result<Self, Fault> {
        let mut file = NamedTempFile::new()?;
        file.write_all(scenario.to_string().as_bytes())?;
        let mut command = programs.command("recapture-simulator");
        command.args(["--listen", "127.0.0.1:0", "--scenario"]).arg(file.path());
        let (process, line) = Running::start(command, Output::Stdout, "api_url", 1).await?;
        Ok(Self { process, ready: serde_json::from_str(&line)?, _scenario: file })
    }

    pub(crate) fn api_url(&self) -> &str {
        &self.ready.api_url
    }

    /// Address and token of a data access service that has what the scenario says.
    pub(crate) fn das(&self) -> (&str, &str) {
        (&self.ready.das_url, &self.ready.das_token)
    }

    /// The part of a configuration that tells of Zoom.
    pub(crate) fn settings(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("zoom.api_url", json!(self.ready.api_url)),
            ("zoom.oauth_url", json!(self.ready.oauth_url)),
            ("zoom.account_id", json!(self.ready.account_id)),
            ("zoom.client_id", json!(self.ready.client_id)),
            ("zoom.client_secret", json!(self.ready.client_secret)),
            ("zoom.download_hosts", json!(self.ready.download_hosts)),
        ]
    }

    pub(crate) fn used(&self) -> Duration {
        usage::by(self.process.id())
    }

    /// From now on each request waits for so long.
    pub(crate) async fn be_slow(&self, profile: Profile) -> Result<(), Fault> {
        self.wait_before_answers(u64::try_from(profile.latency().as_millis())?).await
    }

    /// The same, in milliseconds.
    pub(crate) async fn wait_before_answers(&self, latency: u64) -> Result<(), Fault> {
        let faults = json!({ "latency_ms": latency }).to_string();
        let url = format!("{}/faults", self.ready.control_url);
        blocking(move || {
            ureq::post(&url).header("content-type", "application/json").send(faults)?;
            Ok(())
        })
        .await
    }

    /// An access token for those who take one as given.
    pub(crate) async fn token(&self) -> Result<String, Fault> {
        let Ready { oauth_url, account_id, client_id, client_secret, .. } = &self.ready;
        let basic = format!("Basic {}", STANDARD.encode(format!("{client_id}:{client_secret}")));
        let (url, account) = (oauth_url.clone(), account_id.clone());
        blocking(move || {
            let form = [("grant_type", "account_credentials"), ("account_id", account.as_str())];
            let mut answer = ureq::post(&url).header("authorization", &basic).send_form(form)?;
            let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
            Ok(answer["access_token"].as_str().ok_or("no token")?.to_owned())
        })
        .await
    }

    /// Has the simulator sort its meetings, which it does when it is first asked for those by completion.
    pub(crate) async fn sort_by_completion(&self, [from, to]: &[String; 2]) -> Result<(), Fault> {
        let url = format!(
            "{}/archive_files?query_date_type=archive_complete_time&page_size=1&from={from}&to={to}",
            self.ready.api_url
        );
        let token = self.token().await?;
        blocking(move || {
            ureq::get(&url).header("authorization", format!("Bearer {token}")).call()?;
            Ok(())
        })
        .await
    }

    /// How many requests to an endpoint were answered so far, and how many of them with 429.
    pub(crate) async fn answered(&self, endpoint: &str) -> Result<(u64, u64), Fault> {
        let url = format!("{}/counts", self.ready.control_url);
        let counts: Value = blocking(move || {
            let mut answer = ureq::get(&url).call()?;
            Ok(serde_json::from_str(&answer.body_mut().with_config().limit(1 << 30).read_to_string()?)?)
        })
        .await?;
        let statuses = counts["requests"][endpoint].as_object().cloned().unwrap_or_default();
        let all = statuses.values().filter_map(Value::as_u64).sum();
        Ok((all, statuses.get("429").and_then(Value::as_u64).unwrap_or_default()))
    }

    pub(crate) async fn end(self) -> Result<(), Fault> {
        self.process.kill().await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await?
}
