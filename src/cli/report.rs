//! `recapture report`: what became of a run and of each meeting that it did not recover.

use std::path::PathBuf;
use std::process::ExitCode;

use recapture_core::buffer::Buffer;
use recapture_core::config::Loaded;
use recapture_core::run::RunId;

use super::control::open_queue;
use super::{Failure, output};
use crate::report::{Report, ReportError};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  recapture report 01K8ZQ6T5W3N9F2M7B4C1D0E8G
  recapture report 01K8ZQ6T5W3N9F2M7B4C1D0E8G --format html -o recovery.html
  recapture report 01K8ZQ6T5W3N9F2M7B4C1D0E8G --json | jq '.meetings[] | .reason'")]
pub(super) struct Arguments {
    /// The run's id
    run: RunId,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Writes to a file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For scripts: every meeting with its reason and evidence
    Json,
    /// For spreadsheets: a row a meeting, and a row for each of its files
    Csv,
    /// For archives: one page that needs nothing else, to read or to print
    Html,
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        Self::CouldNotRun(error.to_string())
    }
}

pub(super) async fn run(arguments: Arguments, loaded: Loaded) -> Result<ExitCode, Failure> {
    let queue = open_queue(&loaded).await?;
    let buffer = Buffer::open(&loaded.config.buffer).await?;
    let run = queue.run(&arguments.run).await?;
    let run = run.ok_or_else(|| {
        Failure::CouldNotRun(format!("there is no run {}; `recapture status` lists them", arguments.run))
    })?;
    let report = Report::read(&queue, &buffer, run).await?;
    queue.close().await;
    let format = if arguments.json { Format::Json } else { arguments.format };
    let text = match format {
        Format::Text => report.to_text(),
        Format::Csv => report.to_csv(),
        Format::Html => report.to_html(),
        Format::Json => {
            let text = serde_json::to_string_pretty(&report.to_json());
            text.map_err(|error| Failure::CouldNotRun(error.to_string()))? + "\n"
        }
    };
    match arguments.output {
        None => output::print(&text)?,
        Some(file) => std::fs::write(&file, text).map_err(|error| {
            Failure::CouldNotRun(format!("{} cannot be written: {error}", file.display()))
        })?,
    }
    Ok(output::done())
}
