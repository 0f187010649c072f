//! `recapture status`: runs, what automatic recovery has covered, and what will be lost soon; or one run with its
//! counts, rate, time left and nearest deadline.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, Utc};
use recapture_core::config::Loaded;
use recapture_core::period::stamp;
use recapture_core::queue::{Queue, WorkLeft};
use recapture_core::run::{RecoveryRun, RunId, RunObject};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::control::open_queue;
use super::{Failure, output};
use crate::trigger::automatic::{SOON, Standing, Terms};

const WATCH_EVERY: Duration = Duration::from_secs(1);
const MOST_RUNS: u32 = 50;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  recapture status                                        runs, what is covered, what is lost soon
  recapture status 01K8ZQ6T5W3N9F2M7B4C1D0E8G --watch     one run, until it ends
  recapture status --json | jq '.queue.nearest_deadline'")]
pub(super) struct Arguments {
    /// The run's id; without it the newest runs are listed, and what is covered
    run: Option<RunId>,
    /// Shows it again every second until the run ends
    #[arg(long)]
    watch: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    arguments: Arguments,
    loaded: Loaded,
    stop: CancellationToken,
) -> Result<ExitCode, Failure> {
    let queue = open_queue(&loaded).await?;
    loop {
        let over = match &arguments.run {
            Some(id) => one(&queue, id, arguments.json).await?,
            None => all(&queue, &loaded, arguments.json).await?,
        };
        if over || !arguments.watch {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(WATCH_EVERY) => {}
            () = stop.cancelled() => break,
        }
    }
    queue.close().await;
    Ok(output::done())
}

async fn one(queue: &Queue, id: &RunId, json: bool) -> Result<bool, Failure> {
    let run = queue.run(id).await?;
    let run = run.ok_or_else(|| {
        Failure::CouldNotRun(format!("there is no run {id}; `recapture status` lists them"))
    })?;
    let left = queue.work_left(id).await?;
    if json {
        output::print_json(&run.to_object())?;
    } else {
        output::print(&words(&run, &left))?;
    }
    Ok(run.state.is_end())
}

/// All that `status` shows, as scripts have it.
#[derive(Serialize)]
struct Shown<'a> {
    schema: &'static str,
    runs: Vec<RunObject<'a>>,
    queue: Waiting,
    automatic: &'a Standing,
}

/// What waits, and what of it will be lost soon.
#[derive(Serialize)]
struct Waiting {
    unfinished: u64,
    nearest_deadline: Option<DateTime<Utc>>,
    lost_within_24h: u64,
}

async fn all(queue: &Queue, loaded: &Loaded, json: bool) -> Result<bool, Failure> {
    let now = Utc::now();
    let runs = queue.runs(MOST_RUNS).await?;
    let depth = queue.depth().await?;
    let waiting = Waiting {
        unfinished: depth.unfinished(),
        nearest_deadline: depth.nearest_deadline,
        lost_within_24h: queue.lost_by(now + SOON).await?,
    };
    let config = &loaded.config;
    let standing = Standing::read(queue, &Terms::of(config), config.automatic.enabled, now).await?;
    if json {
        let runs = runs.iter().map(RecoveryRun::to_object).collect();
        let shown = Shown { schema: "recapture.status/1", runs, queue: waiting, automatic: &standing };
        output::print_json(&shown)?;
        return Ok(false);
    }
    let mut text = list(&runs);
    if let Some(deadline) = waiting.nearest_deadline {
        let (stamp, left) = (stamp(deadline), output::length(deadline - now));
        let _ =
            writeln!(text, "\n{} meetings wait; nearest deadline {stamp} (in {left})", waiting.unfinished);
    }
    if waiting.lost_within_24h > 0 {
        let lost = output::grouped(waiting.lost_within_24h);
        let _ = writeln!(text, "WARNING: Zoom deletes {lost} of them within 24 hours");
    }
    if standing.is_of_use() {
        text.push_str(&standing.to_text(now));
    }
    output::print(&text)?;
    Ok(false)
}

fn list(runs: &[RecoveryRun]) -> String {
    let mut text = String::new();
    if runs.is_empty() {
        let _ = writeln!(text, "No run yet. `recapture recover --last 7d --dry-run` shows what is missing.");
    } else {
        let _ = writeln!(
            text,
            "{:26}  {:11}  {:20}  {:>9} {:>9} {:>9} {:>7} {:>7}",
            "run", "state", "started", "listed", "detected", "recovered", "failed", "pending"
        );
    }
    for run in runs {
        let counts = &run.counts;
        let _ = writeln!(
            text,
            "{}  {:11}  {}  {:>9} {:>9} {:>9} {:>7} {:>7}",
            run.id,
            run.state.as_str(),
            stamp(run.started_at),
            counts.listed,
            counts.detected,
            counts.recovered,
            counts.failed,
            counts.pending
        );
    }
    text
}

#[allow(clippy::cast_precision_loss, reason = "a rate with one digit")]
fn words(run: &RecoveryRun, left: &WorkLeft) -> String {
    let counts = &run.counts;
    let now = Utc::now();
    let seconds = (run.finished_at.unwrap_or(now) - run.started_at).num_milliseconds().max(1) as f64 / 1000.0;
    let done = counts.recovered + counts.failed + counts.unavailable + counts.expired;
    let rate = done as f64 / seconds;
    let mut text = format!("run {} is {}\n", run.id, run.state.as_str());
    let _ = writeln!(
        text,
        "listed {}: {} present, {} incomplete, {} missing, {} excluded, {} indeterminate",
        counts.listed,
        counts.present,
        counts.incomplete,
        counts.missing,
        counts.excluded,
        counts.indeterminate
    );
    let _ = writeln!(
        text,
        "detected {}: {} recovered, {} failed, {} unavailable, {} expired, {} pending",
        counts.detected, counts.recovered, counts.failed, counts.unavailable, counts.expired, counts.pending
    );
    let _ = writeln!(text, "{} files, {}; {rate:.1} meetings/s", counts.files, output::bytes(counts.bytes));
    let open = left.ready + left.leased + left.retrying;
    let _ = writeln!(
        text,
        "on the queue: {} ready, {} under way, {} to be tried again, {} waiting for Zoom, {} held by a pause",
        left.ready, left.leased, left.retrying, left.waiting_for_zoom, left.held
    );
    if open > 0 && rate > 0.0 && !run.state.is_end() {
        #[allow(clippy::cast_possible_truncation, reason = "an estimate")]
        let left = chrono::Duration::seconds((open as f64 / rate).ceil() as i64);
        let _ = writeln!(text, "about {} left", output::length(left));
    }
    if let Some(deadline) = left.nearest_deadline {
        let _ =
            writeln!(text, "nearest deadline {} (in {})", stamp(deadline), output::length(deadline - now));
    }
    if let Some(because) = &run.ended_because {
        let _ = writeln!(text, "{because}");
    }
    text
}
