//! `recapture retry`, `cancel`, `pause` and `resume`: one call each to the queue, while workers run.

use std::process::ExitCode;

use recapture_core::config::Loaded;
use recapture_core::meeting::MeetingUuid;
use recapture_core::queue::{Queue, RetryReport};
use recapture_core::reason::Reason;
use recapture_core::run::RunId;

use super::{Failure, output};

#[derive(clap::Args)]
pub(super) struct Retry {
    /// The run's id
    run: RunId,
    /// Only this meeting; may be repeated
    #[arg(long = "meeting", value_name = "UUID")]
    meetings: Vec<MeetingUuid>,
    /// Only what failed for this reason, as `recapture report` names it
    #[arg(long, value_name = "REASON", value_parser = reason, conflicts_with = "meetings")]
    reason: Option<Reason>,
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
    output::print(&format!(
        "{} back on the queue, {} on it already. `recapture worker` or the next `recapture recover` takes them up.\n",
        report.requeued, report.already_queued
    ))?;
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

pub(super) async fn cancel(run: RunId, loaded: Loaded) -> Result<ExitCode, Failure> {
    let queue = open_queue(&loaded).await?;
    let report = queue.cancel(&run).await?;
    output::print(&format!(
        "run {run} is {}; {} meetings were taken off the queue, {} stay for other runs\n",
        report.state.as_str(),
        report.removed,
        report.passed_on
    ))?;
    queue.close().await;
    Ok(output::done())
}

pub(super) async fn pause(run: Option<RunId>, loaded: Loaded) -> Result<ExitCode, Failure> {
    let queue = open_queue(&loaded).await?;
    queue.pause(run.as_ref()).await?;
    output::print(&format!("{} is paused; what is under way is finished\n", subject(run.as_ref())))?;
    queue.close().await;
    Ok(output::done())
}

pub(super) async fn resume(run: Option<RunId>, loaded: Loaded) -> Result<ExitCode, Failure> {
    let queue = open_queue(&loaded).await?;
    queue.resume(run.as_ref()).await?;
    output::print(&format!("{} goes on\n", subject(run.as_ref())))?;
    queue.close().await;
    Ok(output::done())
}

fn subject(run: Option<&RunId>) -> String {
    run.map_or_else(|| "the queue".to_owned(), |run| format!("run {run}"))
}
