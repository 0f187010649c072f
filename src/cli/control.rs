//! `recapture retry`, `cancel`, `pause` and `resume`: one call each to the queue, while workers run.

use std::process::ExitCode;

use recapture_core::config::Loaded;
use recapture_core::meeting::MeetingUuid;
use recapture_core::queue::{CancelReport, Queue, RetryReport};
use recapture_core::reason::Reason;
use recapture_core::run::RunId;
use serde_json::json;

use super::{Failure, output};

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

pub(super) async fn open_queue(loaded: &Loaded) -> Result<Queue, Failure> {
    Ok(Queue::open(&recapture_worker::queue_settings(&loaded.config)).await?)
}

pub(super) async fn retry(arguments: Retry, loaded: Loaded) -> Result<ExitCode, Failure> {
    let queue = open_queue(&loaded).await?;
    let only = match arguments.reason {
        Some(reason) => Some(failed_for(&queue, &arguments.run, reason).await?),
        None => Some(arguments.meetings).filter(|meetings| !meetings.is_empty()),
    };
    let report = match &only {
        Some(none) if none.is_empty() => RetryReport::default(),
        only => queue.retry(&arguments.run, only.as_deref()).await?,
    };
    let RetryReport { requeued, already_queued } = report;
    let words = format!(
        "{requeued} back on the queue, {already_queued} on it already. `recapture worker` or the next `recapture recover` takes them up.\n"
    );
    let object = json!({ "run": arguments.run, "requeued": requeued, "already_queued": already_queued });
    output::print_either(arguments.json, &object, &words)?;
    queue.close().await;
    Ok(output::done())
}

/// What the run has given up for that reason.
async fn failed_for(queue: &Queue, run: &RunId, reason: Reason) -> Result<Vec<MeetingUuid>, Failure> {
    const ROWS: u32 = 1000;
    let (mut failed, mut after) = (Vec::new(), None);
    loop {
        let rows = queue.dead(run, after.as_ref(), ROWS).await?;
        let Some(last) = rows.last() else { return Ok(failed) };
        after = Some(last.uuid.clone());
        failed.extend(rows.into_iter().filter(|dead| dead.cause.reason == reason).map(|dead| dead.uuid));
    }
}

pub(super) async fn cancel(arguments: Cancel, loaded: Loaded) -> Result<ExitCode, Failure> {
    let Cancel { run, json } = arguments;
    let queue = open_queue(&loaded).await?;
    let CancelReport { state, removed, passed_on } = queue.cancel(&run).await?;
    let state = state.as_str();
    let words = format!(
        "run {run} is {state}; {removed} meetings were taken off the queue, {passed_on} stay for other runs\n"
    );
    let object = json!({ "run": run, "state": state, "removed": removed, "passed_on": passed_on });
    output::print_either(json, &object, &words)?;
    queue.close().await;
    Ok(output::done())
}

pub(super) async fn pause(arguments: Pause, loaded: Loaded) -> Result<ExitCode, Failure> {
    let Pause { run, json } = arguments;
    let queue = open_queue(&loaded).await?;
    queue.pause(run.as_ref()).await?;
    let words = format!("{} is paused; what is under way is finished\n", subject(run.as_ref()));
    output::print_either(json, &json!({ "run": run, "paused": true }), &words)?;
    queue.close().await;
    Ok(output::done())
}

pub(super) async fn resume(arguments: Resume, loaded: Loaded) -> Result<ExitCode, Failure> {
    let Resume { run, json } = arguments;
    let queue = open_queue(&loaded).await?;
    queue.resume(run.as_ref()).await?;
    let words = format!("{} goes on\n", subject(run.as_ref()));
    output::print_either(json, &json!({ "run": run, "paused": false }), &words)?;
    queue.close().await;
    Ok(output::done())
}

fn subject(run: Option<&RunId>) -> String {
    run.map_or_else(|| "the queue".to_owned(), |run| format!("run {run}"))
}
