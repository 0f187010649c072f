//! The simulator as a program of its own, for containers and for trying things by hand.
//!
//! When it is ready it prints one line of JSON with everything that a client has to be configured with, and
//! runs until it is interrupted.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::Parser;
use recapture_simulator::{Addresses, Faults, FileSpec, Scenario, Simulator};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

/// Zoom and a data access service that can misbehave on purpose
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where Zoom listens; the host of its downloads and the DAS take the next two ports
    #[arg(long, default_value = "127.0.0.1:9010", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// The name under which clients reach Zoom
    #[arg(long, default_value = "127.0.0.1", value_name = "NAME")]
    zoom_host: String,
    /// The name under which they reach the host of its downloads; has to be another
    #[arg(long, default_value = "localhost", value_name = "NAME")]
    media_host: String,
    /// The name under which they reach the DAS
    #[arg(long, default_value = "127.0.0.1", value_name = "NAME")]
    das_host: String,

    /// A scenario in JSON; the flags below come over it
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    #[arg(long)]
    seed: Option<u64>,
    /// How many meetings there are
    #[arg(long, value_name = "NUMBER")]
    meetings: Option<u32>,
    /// When the first may start, RFC 3339
    #[arg(long, value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// By when the last has started
    #[arg(long, value_name = "TIME")]
    to: Option<DateTime<Utc>>,
    /// A file of every meeting, in place of the usual mix: its type and its size in bytes
    #[arg(long = "file", value_name = "TYPE=SIZE[-SIZE]", value_parser = file_spec)]
    files: Vec<FileSpec>,
    #[command(flatten)]
    shares: Shares,
    /// The probability of each transient fault, a request
    #[arg(long, value_name = "PROBABILITY")]
    faults: Option<f64>,
}

/// Shares of all meetings, 0 to 1.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Shares of all meetings, 0 to 1")]
struct Shares {
    /// In the DAS already
    #[arg(long, value_name = "SHARE")]
    captured: Option<f64>,
    /// In the DAS without some of their files
    #[arg(long, value_name = "SHARE")]
    incomplete: Option<f64>,
    /// Completed without any file
    #[arg(long, value_name = "SHARE")]
    no_files: Option<f64>,
    /// Still being archived
    #[arg(long, value_name = "SHARE")]
    processing: Option<f64>,
    /// With a file that Zoom failed to make
    #[arg(long, value_name = "SHARE")]
    failed_files: Option<f64>,
    /// With a file that cannot be fetched
    #[arg(long, value_name = "SHARE")]
    gone_files: Option<f64>,
    /// Listed, but gone
    #[arg(long, value_name = "SHARE")]
    gone_meetings: Option<f64>,
}

fn file_spec(text: &str) -> Result<FileSpec, String> {
    let wrong = || format!("{text:?} is no file: it should read like MP4=1000000 or CHAT=500-9000");
    let (file_type, sizes) = text.split_once('=').ok_or_else(wrong)?;
    let (least, most) = sizes.split_once('-').unwrap_or((sizes, sizes));
    let (least, most) = (least.parse().map_err(|_| wrong())?, most.parse().map_err(|_| wrong())?);
    if least > most { Err(wrong()) } else { Ok(FileSpec::new(file_type, least, most)) }
}

impl Arguments {
    fn scenario(&self) -> Result<Scenario, Box<dyn Error>> {
        let mut scenario = match &self.scenario {
            Some(path) => {
                let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
                serde_json::from_reader(io::BufReader::new(file))
                    .map_err(|error| format!("{} is no scenario: {error}", path.display()))?
            }
            None => Scenario::default(),
        };
        let shares = &self.shares;
        over(&mut scenario.seed, self.seed);
        over(&mut scenario.meetings, self.meetings);
        over(&mut scenario.from, self.from);
        over(&mut scenario.to, self.to);
        over(&mut scenario.captured, shares.captured);
        over(&mut scenario.incomplete, shares.incomplete);
        over(&mut scenario.no_files, shares.no_files);
        over(&mut scenario.processing, shares.processing);
        over(&mut scenario.failed_files, shares.failed_files);
        over(&mut scenario.gone_files, shares.gone_files);
        over(&mut scenario.gone_meetings, shares.gone_meetings);
        if !self.files.is_empty() {
            scenario.files.clone_from(&self.files);
        }
        Ok(scenario)
    }

    fn addresses(&self) -> Result<Addresses, Box<dyn Error>> {
        let port = |offset: u16| match self.listen.port() {
            0 => Ok(0),
            port => port.checked_add(offset).ok_or("--listen leaves no room for the two ports after it"),
        };
        Ok(Addresses {
            zoom: self.listen,
            media: SocketAddr::new(self.listen.ip(), port(1)?),
            das: SocketAddr::new(self.listen.ip(), port(2)?),
            zoom_host: self.zoom_host.clone(),
            media_host: self.media_host.clone(),
            das_host: self.das_host.clone(),
        })
    }
}

fn over<T>(value: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *value = given;
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let simulator = Simulator::start_at(arguments.scenario()?, arguments.addresses()?).await?;
    if let Some(probability) = arguments.faults {
        simulator.set_faults(Faults::all(probability));
    }
    // Before the line is out: whoever reads it may send a signal at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let ready = json!({
        "api_url": simulator.api_url(),
        "oauth_url": simulator.oauth_url(),
        "das_url": simulator.das_url(),
        "das_token": simulator.das_token(),
        "verint_url": simulator.verint_url(),
        "verint_user": simulator.verint_user(),
        "verint_password": simulator.verint_password(),
        "ingest_url": simulator.ingest_url(),
        "account_id": simulator.account_id(),
        "client_id": simulator.client_id(),
        "client_secret": simulator.client_secret(),
        "download_hosts": simulator.download_hosts(),
        "control_url": simulator.control_url(),
    });
    writeln!(io::stdout(), "{ready}")?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    simulator.stop().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_flags_hold_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_file_is_a_type_and_a_size() {
        assert_eq!(file_spec("MP4=5"), Ok(FileSpec::exactly("MP4", 5)));
        assert_eq!(file_spec("CC=5-9"), Ok(FileSpec::new("CC", 5, 9)));
        for wrong in ["MP4", "MP4=", "MP4=9-5", "MP4=x"] {
            assert!(file_spec(wrong).is_err(), "{wrong}");
        }
    }
}
