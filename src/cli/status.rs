//! `recapture status`: runs, what automatic recovery has covered, and what will be lost soon; or one run with its
//! counts, rate, time left and nearest deadline.

use std::fmt::Write;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use recapture_core::config::Loaded;
use recapture_core::period::stamp;
use recapture_core::queue::{Queue, WorkLeft};
use recapture_core::run::{RecoveryRun, RunId, RunObject, RunState};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::control::open_queue;
use super::{Failure, output};
use crate::pace::Pace;
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
    /// Shows it again every second until the run ends; with --json an object a line
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
    let face = Face::of(&arguments);
    let mut pace = Pace::default();
    loop {
        let over = match &arguments.run {
            Some(id) => one(&queue, id, &face, &mut pace).await?,
            None => all(&queue, &loaded, &face).await?,
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

/// How it is shown.
enum Face {
    Json,
    /// An object a line, so that a script can tell where one ends.
    JsonLines,
    Words,
    /// Each time in the place of the one before.
    Screen,
    /// Each time below the one before.
    Below,
}

impl Face {
    fn of(arguments: &Arguments) -> Self {
        match (arguments.json, arguments.watch) {
            (true, false) => Self::Json,
            (true, true) => Self::JsonLines,
            (false, false) => Self::Words,
            (false, true) if std::io::stdout().is_terminal() => Self::Screen,
            (false, true) => Self::Below,
        }
    }

    fn show(&self, value: &impl Serialize, words: impl FnOnce() -> String) -> Result<(), Failure> {
        match self {
            Self::Json => output::print_json(value),
            Self::JsonLines => {
                let line = serde_json::to_string(value);
                let line = line.map_err(|error| Failure::CouldNotRun(error.to_string()))?;
                output::print(&format!("{line}\n"))
            }
            Self::Words => output::print(&words()),
            // To the upper left corner, and nothing of what stood there stays.
            Self::Screen => output::print(&format!("\x1b[H\x1b[2J{}", words())),
            Self::Below => output::print(&format!("{}\n", words())),
        }
    }
}

async fn one(queue: &Queue, id: &RunId, face: &Face, pace: &mut Pace) -> Result<bool, Failure> {
    let mut look = look(queue, id, pace).await?;
    // How fast it goes shows only to who looks twice.
    if matches!(face, Face::Words) && look.0.state == RunState::Running {
        tokio::time::sleep(WATCH_EVERY).await;
        look = self::look(queue, id, pace).await?;
    }
    let (run, left) = look;
    face.show(&run.to_object(), || words(&run, &left, pace))?;
    Ok(run.state.is_end())
}

async fn look(queue: &Queue, id: &RunId, pace: &mut Pace) -> Result<(RecoveryRun, WorkLeft), Failure> {
    let run = queue.run(id).await?;
    let run = run.ok_or_else(|| {
        Failure::CouldNotRun(format!("there is no run {id}; `recapture status` lists them"))
    })?;
    let left = queue.work_left(id).await?;
    pace.see(Instant::now(), run.counts.done(), run.counts.bytes);
    Ok((run, left))
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

async fn all(queue: &Queue, loaded: &Loaded, face: &Face) -> Result<bool, Failure> {
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
    let objects = runs.iter().map(RecoveryRun::to_object).collect();
    let shown = Shown { schema: "recapture.status/1", runs: objects, queue: waiting, automatic: &standing };
    face.show(&shown, || overview(&runs, &shown, now))?;
    Ok(false)
}

fn overview(runs: &[RecoveryRun], shown: &Shown, now: DateTime<Utc>) -> String {
    let mut text = list(runs);
    let waiting = &shown.queue;
    if let Some(deadline) = waiting.nearest_deadline {
        let (stamp, left) = (stamp(deadline), output::length(deadline - now));
        let _ =
            writeln!(text, "\n{} meetings wait; nearest deadline {stamp} (in {left})", waiting.unfinished);
    }
    if waiting.lost_within_24h > 0 {
        let lost = output::grouped(waiting.lost_within_24h);
        let _ = writeln!(text, "WARNING: Zoom deletes {lost} of them within 24 hours");
    }
    if shown.automatic.is_of_use() {
        text.push_str(&shown.automatic.to_text(now));
    }
    text
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

fn words(run: &RecoveryRun, left: &WorkLeft, pace: &Pace) -> String {
    let counts = &run.counts;
    let now = Utc::now();
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
    let _ = writeln!(
        text,
        "{} files, {}; {}",
        counts.files,
        output::bytes(counts.bytes),
        rate(run, left, pace, now)
    );
    let _ = writeln!(
        text,
        "on the queue: {} ready, {} under way, {} to be tried again, {} waiting for Zoom, {} held by a pause",
        left.ready, left.leased, left.retrying, left.waiting_for_zoom, left.held
    );
    if let Some(deadline) = left.nearest_deadline {
        let _ =
            writeln!(text, "nearest deadline {} (in {})", stamp(deadline), output::length(deadline - now));
    }
    if let Some(because) = &run.ended_because {
        let _ = writeln!(text, "{because}");
    }
    text
}

/// How fast it goes now, and how long what could be begun takes at that; of a run that has ended how fast it went.
#[allow(clippy::cast_precision_loss, reason = "a rate with one digit")]
fn rate(run: &RecoveryRun, left: &WorkLeft, pace: &Pace, now: DateTime<Utc>) -> String {
    if !run.state.is_end() && pace.is_known() {
        let time = pace.time_for(left.ready + left.leased + left.retrying);
        let time = time.map(|time| format!(", about {} left", output::length(time)));
        return format!("{:.1} meetings/s now{}", pace.meetings_a_second(), time.unwrap_or_default());
    }
    let seconds = (run.finished_at.unwrap_or(now) - run.started_at).num_milliseconds().max(1) as f64 / 1000.0;
    format!("{:.1} meetings/s on average", run.counts.done() as f64 / seconds)
}
