//! `recapture retry`, `cancel`, `pause` and `resume`, while workers run elsewhere: `src/control.rs` does it, and records
//! who asked.

use std::process::ExitCode;

use recapture_core::buffer::Buffer;
use recapture_core::config::Loaded;
use recapture_core::evidence::{Evidence, Selection};
use recapture_core::meeting::MeetingUuid;
use recapture_core::queue::{CancelReport, Queue, RetryReport, WorkerId};
use recapture_core::reason::Reason;
use recapture_core::run::RunId;
use serde_json::json;
use tracing::warn;

use super::recover::who;
use super::{Failure, output};
use crate::control::{Asker, ControlError, Operator};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  recapture retry 01K8ZQ6T5W3N9F2M7B4C1D0E8G
  recapture retry 01K8ZQ6T5W3N9F2M7B4C1D0E8G --reason network
  recapture retry 01K8ZQ6T5W3N9F2M7B4C1D0E8G --meeting '/aB3dE//gHiJkL4mNoPqRg=='")]
pub(super) struct Retry {
    /// The run's id
    run: RunId,
    /// Only this meeting; may be repeated
    #[arg(long = "meeting", value_name = "UUID")]
    meetings: Vec<MeetingUuid>,
    /// Only what failed for this reason, as `recapture report` names it
    #[arg(long, value_name = "REASON", value_parser = reason, conflicts_with = "meetings")]
    reason: Option<Reason>,
    /// Who asks, for the evidence; otherwise the user that runs it
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  recapture cancel 01K8ZQ6T5W3N9F2M7B4C1D0E8G

What is stored stays; the same recovery, asked for again, goes on from there.")]
pub(super) struct Cancel {
    /// The run's id
    run: RunId,
    /// Who asks, for the evidence; otherwise the user that runs it
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  recapture pause                                   the whole queue
  recapture pause 01K8ZQ6T5W3N9F2M7B4C1D0E8G        one run

What is under way is finished. `recapture resume` takes it back.")]
pub(super) struct Pause {
    /// The run's id; without it the whole queue
    run: Option<RunId>,
    /// Who asks, for the evidence; otherwise the user that runs it
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  recapture resume
  recapture resume 01K8ZQ6T5W3N9F2M7B4C1D0E8G")]
pub(super) struct Resume {
    /// The run's id; without it the whole queue
    run: Option<RunId>,
    /// Who asks, for the evidence; otherwise the user that runs it
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn reason(word: &str) -> Result<Reason, String> {
    let known = Reason::ALL.iter().find(|(_, known, _)| *known == word).map(|(reason, ..)| *reason);
    known.ok_or_else(|| {
        let words: Vec<&str> = Reason::ALL.iter().map(|(_, word, _)| *word).collect();
        format!("one of {}", words.join(", "))
    })
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Queue(error) => error.into(),
            error @ ControlError::Evidence(_) => Self::CouldNotRun(error.to_string()),
        }
    }
}

pub(super) async fn open_queue(loaded: &Loaded) -> Result<Queue, Failure> {
    Ok(Queue::open(&recapture_worker::queue_settings(&loaded.config)).await?)
}

/// Who asks, with a hand on the queue and a pen of its own.
async fn operator(loaded: &Loaded, by: Option<String>) -> Result<Operator, Failure> {
    let config = &loaded.config;
    let queue = open_queue(loaded).await?;
    let buffer = Buffer::open(&config.buffer).await?;
    let evidence = Evidence::new(buffer, WorkerId::new().as_str(), config.evidence.key.clone());
    let asker = Asker { by: who(by), client: String::new(), request_id: String::new() };
    Ok(Operator { queue, evidence, asker })
}

/// Seals what was recorded. The lines are durable without it, so what was done is not called a failure.
async fn end(Operator { queue, evidence, .. }: Operator) -> ExitCode {
    if let Err(error) = evidence.tend().await {
        warn!(%error, "the record of who asked is written, and not sealed");
    }
    queue.close().await;
    output::done()
}

pub(super) async fn retry(arguments: Retry, loaded: Loaded) -> Result<ExitCode, Failure> {
    let operator = operator(&loaded, arguments.by).await?;
    let meetings = Some(arguments.meetings).filter(|meetings| !meetings.is_empty());
    let selection = Selection {
        reason: arguments.reason,
        meetings: meetings.map(|meetings| meetings.into_iter().collect()),
    };
    let RetryReport { requeued, already_queued } = operator.retry(&arguments.run, selection).await?;
    let words = format!(
        "{requeued} back on the queue, {already_queued} on it already. `recapture worker` or the next `recapture recover` takes them up.\n"
    );
    let object = json!({ "run": arguments.run, "requeued": requeued, "already_queued": already_queued });
    output::print_either(arguments.json, &object, &words)?;
    Ok(end(operator).await)
}

pub(super) async fn cancel(arguments: Cancel, loaded: Loaded) -> Result<ExitCode, Failure> {
    let Cancel { run, by, json } = arguments;
    let operator = operator(&loaded, by).await?;
    let CancelReport { state, removed, passed_on } = operator.cancel(&run).await?;
    let state = state.as_str();
    let words = format!(
        "run {run} is {state}; {removed} meetings were taken off the queue, {passed_on} stay for other runs\n"
    );
    let object = json!({ "run": run, "state": state, "removed": removed, "passed_on": passed_on });
    output::print_either(json, &object, &words)?;
    Ok(end(operator).await)
}

pub(super) async fn pause(arguments: Pause, loaded: Loaded) -> Result<ExitCode, Failure> {
    let Pause { run, by, json } = arguments;
    let operator = operator(&loaded, by).await?;
    operator.pause(run.as_ref()).await?;
    let words = format!("{} is paused; what is under way is finished\n", subject(run.as_ref()));
    output::print_either(json, &json!({ "run": run, "paused": true }), &words)?;
    Ok(end(operator).await)
}

pub(super) async fn resume(arguments: Resume, loaded: Loaded) -> Result<ExitCode, Failure> {
    let Resume { run, by, json } = arguments;
    let operator = operator(&loaded, by).await?;
    operator.resume(run.as_ref()).await?;
    let words = format!("{} goes on\n", subject(run.as_ref()));
    output::print_either(json, &json!({ "run": run, "paused": false }), &words)?;
    Ok(end(operator).await)
}

fn subject(run: Option<&RunId>) -> String {
    run.map_or_else(|| "the queue".to_owned(), |run| format!("run {run}"))
}
