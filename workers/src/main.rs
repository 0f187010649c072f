//! `recapture-worker`: the worker pool alone.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use recapture_core::config::{Config, Sources};
use recapture_core::{shutdown, telemetry};

/// Recovers the meetings that wait on the queue, until it is stopped
#[derive(Parser)]
#[command(name = "recapture-worker", version)]
struct Arguments {
    /// Configuration file over the built-in defaults
    #[arg(long, value_name = "FILE", env = "RECAPTURE_CONFIG")]
    config: Option<PathBuf>,
    /// Overrides one setting; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let sources = Sources::of_process(arguments.config, arguments.settings);
    let config = match Config::load(&sources) {
        Ok(loaded) => loaded.config,
        Err(error) => return fail(&error),
    };
    let telemetry = match telemetry::start(&config, &config.log.level, std::io::stderr) {
        Ok(telemetry) => telemetry,
        Err(error) => return fail(&error),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let worked = runtime.block_on(async {
        let stop = shutdown::on_signals().map_err(|error| error.to_string())?;
        telemetry.on_hangup(move || sources.log_level()).map_err(|error| error.to_string())?;
        recapture_worker::run(&config, stop).await.map_err(|error| error.to_string())
    });
    telemetry.end();
    match worked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[allow(clippy::print_stderr, reason = "the last words of a program that could not run")]
fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("recapture-worker: {error}");
    ExitCode::FAILURE
}
