//! `recapture healthcheck`: what a container's health check runs, beside the process that it asks.
//!
//! It reads the same configuration, so it knows where that process listens, and needs nothing else in the image.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use recapture_core::config::{Config, Loaded};
use recapture_core::http;

use super::{Failure, output};

/// A process that answers later than this is not well; a supervisor's own limit is usually longer.
const WITHIN: Duration = Duration::from_secs(3);

#[derive(clap::Args)]
#[command(after_help = "Examples:
  recapture healthcheck serve
  recapture healthcheck worker --set worker.listen=0.0.0.0:8081

Exit codes: 0 it is well; 1 it is not, or there is none.")]
pub(super) struct Arguments {
    /// Which process of this machine or container is asked
    #[arg(value_enum)]
    process: Process,
}

#[derive(Clone, Copy, ValueEnum)]
enum Process {
    /// `recapture serve`, on server.listen
    Serve,
    /// `recapture worker` and `recapture-worker`, on worker.listen
    Worker,
    /// `recapture das`, on server.listen
    Das,
}

pub(super) async fn run(arguments: Arguments, loaded: Loaded) -> Result<ExitCode, Failure> {
    let (listen, path) = asked(arguments.process, &loaded.config)?;
    let address = format!("http://{}{path}", reachable(listen));
    let client = http::client().map_err(|error| Failure::CouldNotRun(error.to_string()))?;
    let answer = client.get(&address).timeout(WITHIN).send().await;
    let status = answer
        .map_err(|error| Failure::CouldNotRun(format!("{address}: {}", http::transport_words(&error))))?
        .status();
    if status.is_success() {
        return Ok(output::done());
    }
    Err(Failure::CouldNotRun(format!("{address} answers {status}")))
}

fn asked(process: Process, config: &Config) -> Result<(SocketAddr, &'static str), Failure> {
    match process {
        Process::Serve => Ok((config.server.listen, "/healthz")),
        // Nothing else of it is open to those without the token.
        Process::Das => Ok((config.server.listen, "/openapi.json")),
        Process::Worker => match config.worker.listen {
            Some(listen) => Ok((listen, "/healthz")),
            None => Err(Failure::CouldNotRun(
                "worker.listen is not set, so workers cannot be asked; set it, for instance to 0.0.0.0:8081"
                    .to_owned(),
            )),
        },
    }
}

/// Who listens on all addresses of a machine listens on its loopback too.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
