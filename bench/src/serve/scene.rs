//! A simulator, a `recapture serve` of the measurement's own, and a recovery in it.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use recapture_simulator::{Faults, FileSpec, Scenario, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Fault;

/// A meeting costs one of Zoom's light requests, of which the largest plan gives 80 a second and recovery takes 0.8.
const MEETINGS_A_SECOND: u64 = 64;

/// Killed when it is dropped.
pub(super) struct Scene {
    pub(super) url: String,
    pub(super) run: String,
    http: reqwest::Client,
    process: Child,
    _simulator: Simulator,
    _folder: TempDir,
}

impl Scene {
    /// A recovery under way, with work for so many seconds.
    pub(super) async fn start(program: &Path, seconds: u64) -> Result<Self, Fault> {
        let scenario = Scenario {
            meetings: u32::try_from(MEETINGS_A_SECOND * seconds)?,
            captured: 0.0,
            incomplete: 0.0,
            files: vec![
                FileSpec::new("MP4", 64 << 10, 128 << 10),
                FileSpec::new("M4A", 16 << 10, 32 << 10),
                FileSpec::new("TRANSCRIPT", 1 << 10, 8 << 10),
            ],
            ..Scenario::default()
        };
        let period = json!({ "from": scenario.from, "to": scenario.to });
        let simulator = Simulator::start(scenario).await?;
        simulator.set_faults(Faults { latency_ms: 20, jitter_ms: 20, ..Faults::default() });
        let folder = tempfile::tempdir()?;
        let (process, url) = serve(program, folder.path(), &simulator).await?;
        recapture_core::http::install_tls();
        let http = reqwest::Client::builder().no_proxy().build()?;
        let asked = http.post(format!("{url}/v1/recoveries")).json(&period).send().await?;
        let run: Value = asked.error_for_status()?.json().await?;
        let run = run["id"].as_str().ok_or("the run has no id")?.to_owned();
        let scene = Self { url, run, http, process, _simulator: simulator, _folder: folder };
        // Listed, and at work.
        while scene.told().await?["state"] == "enumerating" || scene.recovered().await? == 0 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(scene)
    }

    async fn told(&self) -> Result<Value, Fault> {
        let answer = self.http.get(format!("{}/v1/recoveries/{}", self.url, self.run)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn recovered(&self) -> Result<u64, Fault> {
        Ok(self.told().await?["counts"]["recovered"].as_u64().ok_or("the run has no counts")?)
    }

    /// Meetings that are recovered a second, over so long a time.
    #[allow(clippy::cast_precision_loss, reason = "some thousands")]
    pub(super) async fn rate(&self, long: Duration) -> Result<f64, Fault> {
        let (before, began) = (self.recovered().await?, Instant::now());
        tokio::time::sleep(long).await;
        let (after, took) = (self.recovered().await?, began.elapsed());
        if self.told().await?["state"] != "running" {
            return Err("the recovery ended before the measurement did".into());
        }
        Ok((after - before) as f64 / took.as_secs_f64())
    }

    fn read(&self, file: &str) -> Result<String, Fault> {
        let id = self.process.id().ok_or("recapture serve has ended")?;
        Ok(std::fs::read_to_string(format!("/proc/{id}/{file}"))?)
    }

    /// The most memory that the service ever held, in KiB.
    pub(super) fn peak(&self) -> Result<u64, Fault> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// How much of a processor the service has used.
    pub(super) fn used(&self) -> Result<Duration, Fault> {
        let id = self.process.id().ok_or("recapture serve has ended")?;
        Ok(crate::machine::ticks(&id.to_string(), 11..13))
    }

    pub(super) async fn stop(mut self) -> Result<(), Fault> {
        self.process.kill().await?;
        Ok(())
    }
}

/// The service, when it listens.
async fn serve(program: &Path, folder: &Path, simulator: &Simulator) -> Result<(Child, String), Fault> {
    let settings = [
        format!("zoom.api_url={}", simulator.api_url()),
        format!("zoom.oauth_url={}", simulator.oauth_url()),
        format!("zoom.account_id={}", simulator.account_id()),
        format!("zoom.client_id={}", simulator.client_id()),
        format!("zoom.client_secret={}", simulator.client_secret()),
        format!("zoom.download_hosts={}", simulator.download_hosts().join(",")),
        "zoom.plan=business".to_owned(),
        format!("contacts.url={}", simulator.das_url()),
        format!("contacts.token={}", simulator.das_token()),
        "server.listen=127.0.0.1:0".to_owned(),
        "log.level=recapture=info,warn".to_owned(),
    ];
    let mut command = Command::new(program);
    command.arg("serve").args(settings.iter().flat_map(|setting| ["--set", setting]));
    command.current_dir(folder).stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().map_err(|error| {
        let program = program.display();
        format!(
            "{program} cannot be started; `cargo build --release` makes it, --program names another: {error}"
        )
    })?;
    let mut lines = BufReader::new(process.stderr.take().ok_or("no output")?).lines();
    loop {
        let line = lines.next_line().await?.ok_or("recapture serve ended before it listened")?;
        if let Some((_, rest)) = line.split_once("listening on http://") {
            let address = rest.split(';').next().unwrap_or_default().to_owned();
            // Emptied, or the service would stop at a full pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok((process, format!("http://{address}")));
        }
    }
}
