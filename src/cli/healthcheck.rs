//! `recapture healthcheck`: what a container's health check runs, beside the process that it asks.
//!
//! It reads the same configuration, so it knows where that process listens, and needs nothing else in the image. Without
//! being told whom to ask it asks what the container was started with, its first process: one image, one health check.

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
  recapture healthcheck
  recapture healthcheck serve
  recapture healthcheck worker --set worker.listen=0.0.0.0:8081

Exit codes: 0 it is well; 1 it is not, or there is none.")]
pub(super) struct Arguments {
    /// Which process of this machine or container is asked; by default the one that the container was started with
    #[arg(value_enum)]
    process: Option<Process>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Process {
    /// `recapture serve`, on server.listen
    Serve,
    /// `recapture worker` and `recapture-worker`, on worker.listen
    Worker,
    /// `recapture das`, on server.listen
    Das,
}

pub(super) async fn run(arguments: Arguments, loaded: Loaded) -> Result<ExitCode, Failure> {
    let process = match arguments.process {
        Some(process) => Some(process),
        None => started_with(&std::fs::read("/proc/1/cmdline").map_err(|error| {
            Failure::CouldNotRun(format!(
                "/proc/1/cmdline: {error}; say which process is asked: serve, worker or das"
            ))
        })?)?,
    };
    let Some(process) = process else {
        return Ok(output::done());
    };
    let (listen, path) = asked(process, &loaded.config)?;
    let address = format!("http://{}{path}", reachable(listen));
    let client = http::loopback_client().map_err(|error| Failure::CouldNotRun(error.to_string()))?;
    let answer = client.get(&address).timeout(WITHIN).send().await;
    let status = answer
        .map_err(|error| Failure::CouldNotRun(format!("{address}: {}", http::transport_words(&error))))?
        .status();
    if status.is_success() {
        return Ok(output::done());
    }
    Err(Failure::CouldNotRun(format!("{address} answers {status}")))
}

/// Whom a command line of `/proc` starts; `None` for a command that ends by itself, which is well while it runs. An init
/// program may stand before it.
fn started_with(command_line: &[u8]) -> Result<Option<Process>, Failure> {
    let words: Vec<_> = command_line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let name = |word: &str| word.rsplit('/').next().map(str::to_owned).unwrap_or_default();
    for (at, word) in words.iter().enumerate() {
        match name(word).as_str() {
            "recapture-worker" => return Ok(Some(Process::Worker)),
            "recapture" => {
                let given = words[at..].iter().map(AsRef::as_ref).filter(|word: &&str| !word.is_empty());
                return Ok(super::command_of(given).and_then(|command| command.process()));
            }
            _ => {}
        }
    }
    Err(Failure::CouldNotRun(
        "the container's first process is none of recapture's; say which one is asked: serve, worker or das"
            .to_owned(),
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_tells_whom_to_ask() {
        for (line, asked) in [
            ("recapture\0serve\0", Some(Process::Serve)),
            ("/usr/local/bin/recapture\0--set\0log.level=debug\0das\0", Some(Process::Das)),
            ("recapture\0--config\0worker\0serve\0", Some(Process::Serve)),
            ("recapture\0worker\0", Some(Process::Worker)),
            ("recapture-worker\0--config\0/etc/serve\0", Some(Process::Worker)),
            ("/sbin/docker-init\0--\0recapture\0serve\0", Some(Process::Serve)),
            ("recapture\0recover\0--last\x007d\0--by\0worker\0", None),
            ("recapture\0--help\0", None),
        ] {
            assert_eq!(started_with(line.as_bytes()).ok(), Some(asked), "{line:?}");
        }
        assert!(started_with(b"sh\0-c\0sleep 1\0").is_err());
    }
}
