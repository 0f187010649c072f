//! The command line: one file a command. stdout carries results only; progress and logs go to stderr.

mod buffer;
mod completions;
mod config;
mod control;
mod das;
mod demo;
mod doctor;
mod failure;
mod healthcheck;
mod output;
mod progress;
mod recover;
mod report;
mod serve;
mod status;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use recapture_core::config::{Config, Loaded, Sources};
use recapture_core::{shutdown, telemetry};
use tokio_util::sync::CancellationToken;

pub use failure::Failure;
pub use output::{bytes, grouped, length};

/// Finds the Zoom meetings that a recording platform missed and brings them back
#[derive(Parser)]
#[command(name = "recapture", version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  recapture demo                                          a whole recovery against a simulated Zoom
  recapture doctor                                        is everything in place?
  recapture recover --last 7d --dry-run                   what is missing?
  recapture recover --from 2026-10-01 --to 2026-10-03     bring it back

Exit codes:
  0  reconciled, nothing failed
  1  could not run
  2  wrong arguments
  3  some meetings failed, expired or are pending
  4  the books do not balance, or part of the period could not be proven listed";

#[derive(Args, Clone)]
struct Global {
    /// Configuration file over the built-in defaults
    #[arg(long, global = true, value_name = "FILE", env = "RECAPTURE_CONFIG")]
    config: Option<PathBuf>,
    /// Overrides one setting; may be repeated
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Finds what is missing in a period and recovers it
    Recover(recover::Arguments),
    /// Shows runs, or one run
    Status(status::Arguments),
    /// Shows what became of a run and of each meeting that it did not recover
    Report(report::Arguments),
    /// Proves that the buffer still holds what the evidence says, file by file
    Verify(verify::Arguments),
    /// Puts what failed back on the queue
    Retry(control::Retry),
    /// Ends a run and takes its meetings off the queue
    Cancel(control::Cancel),
    /// Hands out no more work: of one run, or none at all
    Pause(control::Pause),
    /// Takes a pause back
    Resume(control::Resume),
    /// Recovers what waits on the queue, until it is stopped
    #[command(after_help = WORKER_EXAMPLES)]
    Worker,
    /// Looks for missing meetings by itself, watches the folder of CSV files, and serves the dashboard, the API, health
    /// and metrics, until it is stopped
    Serve(serve::Arguments),
    /// Looks after the capture buffer
    Buffer(buffer::Arguments),
    /// Serves a contact database as a data access service, until it is stopped
    #[command(after_help = DAS_EXAMPLES)]
    Das,
    /// Checks each connection, credential and scope
    Doctor(doctor::Arguments),
    /// Asks a process beside this one whether it is well; for the health checks of containers
    Healthcheck(healthcheck::Arguments),
    /// Shows the effective configuration and where each value came from
    Config(config::Arguments),
    /// A whole recovery on this machine against a simulated Zoom; nothing to install
    Demo(demo::Arguments),
    /// Prints what a shell needs to complete these commands
    Completions(completions::Completions),
    /// Writes the manual pages of these commands
    Man(completions::Man),
}

const WORKER_EXAMPLES: &str = "\
Examples:
  recapture worker --config recapture.toml
  recapture worker --set queue.url=redis://127.0.0.1 --set worker.concurrency=16

SIGTERM drains; SIGHUP reads log.level of the configuration anew.";

const DAS_EXAMPLES: &str = "\
Examples:
  recapture das --set contacts.url=sqlite:///var/lib/recapture/contacts.db --set server.listen=127.0.0.1:8090";

/// Parses the arguments, runs the command, and gives the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // These say what the program can do, whatever it is configured to.
    match &cli.command {
        Command::Completions(arguments) => return ended(completions::completions(arguments)),
        Command::Man(arguments) => return ended(completions::man(arguments)),
        _ => {}
    }
    // The demo brings its own configuration.
    let sources = match &cli.command {
        Command::Demo(_) => Sources { file: None, env: Vec::new(), flags: cli.global.settings.clone() },
        _ => Sources::of_process(cli.global.config.clone(), cli.global.settings.clone()),
    };
    let loaded = match Config::load(&sources) {
        Ok(loaded) => loaded,
        Err(error) => return Failure::CouldNotRun(error.to_string()).tell(),
    };
    let telemetry = match telemetry::start(&loaded.config, &level(&cli.command, &loaded), progress::AboveBars)
    {
        Ok(telemetry) => telemetry,
        Err(error) => return Failure::CouldNotRun(error.to_string()).tell(),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::CouldNotRun(format!("no threads to run on: {error}")).tell(),
    };
    let done = runtime.block_on(async {
        let stop = shutdown::on_signals()?;
        // What stays for long is turned up and down in place; a terminal that hangs up ends all else.
        if cli.command.stays() {
            telemetry.on_hangup(move || sources.log_level())?;
        }
        Box::pin(run(cli.command, loaded, stop)).await
    });
    // A blocked write of an abandoned download must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    telemetry.end();
    ended(done)
}

fn ended(done: Result<ExitCode, Failure>) -> ExitCode {
    done.unwrap_or_else(|failure| failure.tell())
}

/// The command that these words start, the program's name first.
fn command_of<'a>(words: impl Iterator<Item = &'a str>) -> Option<Command> {
    Cli::try_parse_from(words).ok().map(|cli| cli.command)
}

impl Command {
    /// What can be asked for its health, if it stays.
    fn process(&self) -> Option<healthcheck::Process> {
        match self {
            Self::Worker => Some(healthcheck::Process::Worker),
            Self::Serve(_) => Some(healthcheck::Process::Serve),
            Self::Das => Some(healthcheck::Process::Das),
            _ => None,
        }
    }

    /// Whether it runs until it is stopped.
    fn stays(&self) -> bool {
        self.process().is_some()
    }
}

/// In the foreground the progress display tells what matters; a level that somebody chose is kept.
fn level(command: &Command, loaded: &Loaded) -> String {
    let level = loaded.config.log.level.clone();
    match command {
        command if command.stays() => level,
        _ if level == "info" => "warn".to_owned(),
        _ => level,
    }
}

async fn run(command: Command, loaded: Loaded, stop: CancellationToken) -> Result<ExitCode, Failure> {
    match command {
        Command::Recover(arguments) => Box::pin(recover::run(arguments, loaded, stop)).await,
        Command::Status(arguments) => status::run(arguments, loaded, stop).await,
        Command::Report(arguments) => report::run(arguments, loaded).await,
        Command::Verify(arguments) => verify::run(arguments, loaded).await,
        Command::Retry(arguments) => control::retry(arguments, loaded).await,
        Command::Cancel(arguments) => control::cancel(arguments, loaded).await,
        Command::Pause(arguments) => control::pause(arguments, loaded).await,
        Command::Resume(arguments) => control::resume(arguments, loaded).await,
        Command::Worker => {
            recapture_worker::run(&loaded.config, stop).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Serve(arguments) => serve::run(arguments, loaded, stop).await,
        Command::Buffer(arguments) => buffer::run(arguments, loaded, stop).await,
        Command::Das => das::run(loaded, stop).await,
        Command::Doctor(arguments) => doctor::run(arguments, loaded).await,
        Command::Healthcheck(arguments) => healthcheck::run(arguments, loaded).await,
        Command::Config(arguments) => config::run(&arguments, &loaded),
        Command::Demo(arguments) => Box::pin(demo::run(arguments, loaded, stop)).await,
        // Answered before anything was opened.
        Command::Completions(arguments) => completions::completions(&arguments),
        Command::Man(arguments) => completions::man(&arguments),
    }
}
