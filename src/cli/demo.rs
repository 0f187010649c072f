//! `recapture demo`: a whole recovery on this machine, through the same code as a real one.
//!
//! It starts a simulated Zoom and data access service on loopback, with a few hundred meetings of which a third is
//! captured and with some faults switched on, and then runs `recover` against it; and `serve`, for who asks for that.

use std::path::PathBuf;
use std::process::ExitCode;

use chrono::Utc;
use recapture_core::config::{Config, Loaded, Sources};
use recapture_simulator::{Faults, Scenario, Simulator};
use tokio_util::sync::CancellationToken;

use super::progress::say;
use super::{Failure, recover};
use crate::serve;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  recapture demo
  recapture demo --serve                                  and then the dashboard, on http://127.0.0.1:8080
  recapture demo --meetings 5000 --faults 0.05 --folder /tmp/demo")]
pub(super) struct Arguments {
    /// How many meetings the simulated Zoom has
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    meetings: u32,
    /// Share of requests that go wrong, of each kind of fault
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    faults: f64,
    /// Where to put what is recovered; a new folder otherwise
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Stays afterwards, and serves the dashboard and the API of it on server.listen
    #[arg(long)]
    serve: bool,
    /// Prints the run object
    #[arg(long)]
    json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=0.2).contains(&share) => Ok(share),
        _ => Err("a number from 0 to 0.2 (seven faults can befall one request)".to_owned()),
    }
}

pub(super) async fn run(
    arguments: Arguments,
    loaded: Loaded,
    stop: CancellationToken,
) -> Result<ExitCode, Failure> {
    let scenario = Scenario {
        meetings: arguments.meetings,
        captured: 0.33,
        no_files: 0.01,
        failed_files: 0.02,
        processing: 0.01,
        ..Scenario::default()
    };
    let (from, to) = (scenario.from, scenario.to);
    let simulator = Simulator::start(scenario).await?;
    simulator.set_faults(Faults { latency_ms: 10, jitter_ms: 20, ..Faults::all(arguments.faults) });
    let folder = arguments
        .folder
        .unwrap_or_else(|| PathBuf::from(format!("data/demo/{}", Utc::now().format("%Y%m%dT%H%M%SZ"))));
    let loaded = configuration(&simulator, &folder, &loaded)?;
    say(&format!(
        "A simulated Zoom at {} has archived {} meetings; the platform behind {} captured a third of them.",
        simulator.api_url(),
        arguments.meetings,
        simulator.das_url()
    ));
    say(&format!("{:.0} % of requests go wrong, in each of a dozen ways.\n", arguments.faults * 100.0));
    let recover = recover::Arguments {
        from: Some(from),
        to: Some(to),
        by: Some("demo".to_owned()),
        reason: Some("an outage that never was".to_owned()),
        json: arguments.json,
        ..recover::Arguments::default()
    };
    let code = Box::pin(recover::run(recover, loaded.clone(), stop.clone())).await?;
    let folder = folder.display();
    say(&format!(
        "\nLook around: {folder}/buffer/meetings holds a folder a meeting with its manifest.json and files. And:\n  \
         recapture status --set queue.url=sqlite://{folder}/queue.db\n  \
         recapture verify --set buffer.url={folder}/buffer"
    ));
    if arguments.serve && !stop.is_cancelled() {
        let address = loaded.config.server.listen;
        say(&format!(
            "\nThe dashboard is at http://{address}, and Zoom goes on to be simulated, until Ctrl-C."
        ));
        let served = serve::run(loaded, true, stop).await;
        served.map_err(|error| Failure::CouldNotRun(error.to_string()))?;
    }
    simulator.stop().await;
    Ok(code)
}

/// The demo's settings, over those given by `--set`.
fn configuration(simulator: &Simulator, folder: &std::path::Path, given: &Loaded) -> Result<Loaded, Failure> {
    let mut flags = vec![
        format!("zoom.api_url={}", simulator.api_url()),
        format!("zoom.oauth_url={}", simulator.oauth_url()),
        format!("zoom.account_id={}", simulator.account_id()),
        format!("zoom.client_id={}", simulator.client_id()),
        format!("zoom.client_secret={}", simulator.client_secret()),
        format!("zoom.download_hosts={}", simulator.download_hosts().join(",")),
        "zoom.plan=business".to_owned(),
        // Faults should show, not be waited for.
        "zoom.stall_timeout=1s".to_owned(),
        "zoom.processing_poll=1s".to_owned(),
        format!("contacts.url={}", simulator.das_url()),
        format!("contacts.token={}", simulator.das_token()),
        format!("queue.url=sqlite://{}", folder.join("queue.db").display()),
        format!("buffer.url={}", folder.join("buffer").display()),
    ];
    for (key, name) in
        [("csv.dir", "csv"), ("csv.processed", "csv/processed"), ("csv.rejected", "csv/rejected")]
    {
        flags.push(format!("{key}={}", folder.join(name).display()));
    }
    flags.push(format!("server.listen={}", given.config.server.listen));
    flags.push(format!("log.level={}", given.config.log.level));
    Config::load(&Sources { file: None, env: Vec::new(), flags })
        .map_err(|error| Failure::CouldNotRun(error.to_string()))
}
