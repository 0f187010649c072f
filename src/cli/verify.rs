//! `recapture verify`: whether the buffer still holds what the evidence says.

use std::fmt::Write;
use std::process::ExitCode;
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use recapture_core::buffer::Buffer;
use recapture_core::config::Loaded;
use recapture_core::run::RunId;
use serde_json::json;

use super::{Failure, output};
use crate::verify::{self, Progress, Verification, VerifyError};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  recapture verify                                        the whole buffer
  recapture verify 01K8ZQ6T5W3N9F2M7B4C1D0E8G             one run and the meetings that it recovered
  recapture verify --set buffer.url=/mnt/archive --json

Needs the capture buffer alone: no server, no queue, no key.
Exit codes: 0 everything verifies; 1 could not run; 4 something does not verify.")]
pub(super) struct Arguments {
    /// The run's id, for its evidence and the meetings that it recovered; without it the whole buffer
    run: Option<RunId>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        Self::CouldNotRun(error.to_string())
    }
}

pub(super) async fn run(arguments: Arguments, loaded: Loaded) -> Result<ExitCode, Failure> {
    let buffer = Buffer::open_to_read(&loaded.config.buffer).await?;
    let bar = bar();
    let watch = |progress: Progress| show(&bar, progress);
    let expected = loaded.config.evidence.public_key.as_ref();
    let verification = verify::verify(&buffer, arguments.run.as_ref(), expected, &watch).await;
    lock(&bar).finish_and_clear();
    let verification = verification?;
    if arguments.json {
        output::print_json(&json!({
            "schema": "recapture.verify/1",
            "buffer": buffer.location(),
            "run": arguments.run,
            "verified": verification.verified(),
            "checked": verification.checked,
            "findings": verification.findings,
            "notes": verification.notes,
        }))?;
    } else {
        output::print(&words(&verification))?;
    }
    Ok(ExitCode::from(if verification.verified() { 0 } else { 4 }))
}

/// Drawn on a terminal only.
fn bar() -> Mutex<ProgressBar> {
    let style = ProgressStyle::with_template("verifying  {bar:24} {pos:>6}/{len:6} {wide_msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─");
    Mutex::new(ProgressBar::new(0).with_style(style))
}

fn lock(bar: &Mutex<ProgressBar>) -> std::sync::MutexGuard<'_, ProgressBar> {
    bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn show(bar: &Mutex<ProgressBar>, progress: Progress) {
    let bar = lock(bar);
    bar.set_length(progress.of);
    bar.set_position(progress.meetings);
    bar.set_message(output::bytes(progress.bytes));
}

fn words(verification: &Verification) -> String {
    let mut text = String::new();
    for finding in &verification.findings {
        let _ = writeln!(text, "FAIL  {:<20} {}: {}", finding.fault.as_str(), finding.path, finding.detail);
    }
    for note in &verification.notes {
        let _ = writeln!(text, "note  {note}");
    }
    let checked = &verification.checked;
    let number = |count: u64, one: &str, many: &str| {
        format!("{} {}", output::grouped(count), if count == 1 { one } else { many })
    };
    let _ = writeln!(
        text,
        "{}, {} in {}, {}, {}; {}, {}, {}",
        number(checked.runs, "run", "runs"),
        number(checked.lines, "line", "lines"),
        number(checked.writers, "file", "files"),
        number(checked.seals, "seal", "seals"),
        number(checked.raw_answers, "answer of Zoom", "answers of Zoom"),
        number(checked.meetings, "meeting", "meetings"),
        number(checked.files, "file", "files"),
        output::bytes(checked.bytes)
    );
    for key in &checked.keys {
        let _ = writeln!(text, "signed by {key}");
    }
    let verdict = match verification.findings.len() {
        0 => "everything verifies".to_owned(),
        count => number(count as u64, "thing does not verify", "things do not verify"),
    };
    let _ = writeln!(text, "{verdict}");
    text
}
