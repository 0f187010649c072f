//! `recapture serve`: the service that recovers by itself.

use std::process::ExitCode;

use recapture_core::config::Loaded;
use tokio_util::sync::CancellationToken;

use super::{Failure, output};
use crate::serve;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  recapture serve
  recapture serve --set automatic.enabled=true --set server.listen=127.0.0.1:8080
  recapture serve --work --config recapture.toml          with a shared queue: works too

SIGTERM drains; SIGHUP reads log.level of the configuration anew.")]
pub(super) struct Arguments {
    /// Works in this process too, where the queue is one that workers elsewhere share
    #[arg(long)]
    work: bool,
}

pub(super) async fn run(
    arguments: Arguments,
    loaded: Loaded,
    stop: CancellationToken,
) -> Result<ExitCode, Failure> {
    let served = serve::run(loaded, arguments.work, stop).await;
    served.map_err(|error| Failure::CouldNotRun(error.to_string()))?;
    Ok(output::done())
}
