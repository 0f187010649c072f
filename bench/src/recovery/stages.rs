//! Where the processor time of a meeting goes: a recovery on Redis whose worker is this program, with the code of
//! `recapture-worker` and a clock at its spans.
//!
//! A stage is charged with what the network's threads do in its span, and in no span within that. What they do outside of
//! the spans is the rest: connections, the queue, the runtime. The disk's threads have no spans, and are told as a whole.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use recapture_core::config::{Config, Sources};
use recapture_core::shutdown;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing::span::Id;
use tracing::{Subscriber, subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use super::ours::{self, Form};
use super::processes::Programs;
use super::{Profile, script, zoom::Zoom};
use crate::{Fault, machine};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these profiles
    #[arg(long = "profile", value_delimiter = ',', default_values = ["small", "mixed"])]
    profiles: Vec<Profile>,
    /// A tenth of the work: whether it runs, and roughly what it tells
    #[arg(long)]
    short: bool,
    /// The programs that are measured are built already, beside this one or in the workspace's release build
    #[arg(long)]
    built: bool,
}

/// The spans of a meeting, and what stands in the table of each.
const STAGES: [(&str, &str); 5] = [
    ("metadata", "metadata: asked for and read"),
    ("ingest", "ingest: what is written, and waiting for it"),
    ("download", "download: asked for, received, hashed"),
    ("register", "register: at the data access service"),
    ("meeting", "between them: commits, evidence, decisions"),
];

/// Nanoseconds of a processor.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Spent {
    stages: [u64; STAGES.len()],
    network: u64,
    process: u64,
}

#[allow(clippy::print_stdout, reason = "the tables are the output")]
pub(crate) async fn measure(arguments: Arguments) -> Result<(), Fault> {
    for profile in arguments.profiles {
        let meetings = profile.meetings() / if arguments.short { 10 } else { 1 };
        let spent = recover(profile, meetings, arguments.built).await?;
        println!("\n| {} | CPU µs a meeting | of all |\n| --- | ---: | ---: |", profile.title());
        let row = |what: &str, nanos: u64| {
            let micros = Duration::from_nanos(nanos).as_secs_f64() * 1e6 / f64::from(meetings);
            let share = Duration::from_nanos(nanos).div_duration_f64(Duration::from_nanos(spent.process));
            println!("| {what} | {micros:.0} | {:.0} % |", share * 100.0);
        };
        for ((_, what), nanos) in STAGES.iter().zip(spent.stages) {
            row(what, nanos);
        }
        let within: u64 = spent.stages.iter().sum();
        row(
            "connections, queue, runtime: the network's threads outside of a meeting",
            spent.network.saturating_sub(within),
        );
        row("what is handed over to the disk's threads", spent.process.saturating_sub(spent.network));
        row("all", spent.process);
    }
    println!("\n{}", machine::describe());
    Ok(())
}

async fn recover(profile: Profile, meetings: u32, built: bool) -> Result<Spent, Fault> {
    let report = tempfile::NamedTempFile::new()?;
    let programs = Programs::release(built).await?.timed(report.path().to_owned());
    let zoom = Zoom::start(&programs, &profile.scenario(None)).await?;
    script::warm(&zoom, profile.meetings()).await?;
    zoom.be_slow(profile).await?;
    let form = Form { workers: 1, at_once: None, plan: None };
    let measured = ours::measure(&programs, &zoom, form, meetings).await;
    zoom.end().await?;
    measured?;
    Ok(serde_json::from_slice(&fs::read(report.path())?)?)
}

/// The worker, until it is asked to end; then it writes what it spent.
pub(crate) fn work(configuration: PathBuf, report: &Path) -> Result<(), Fault> {
    let config = Config::load(&Sources::of_process(Some(configuration), Vec::new()))?.config;
    let clock = Clock::default();
    let lines = tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr);
    let subscriber = tracing_subscriber::registry()
        .with(lines.with_filter(LevelFilter::INFO))
        .with(clock.clone().with_filter(LevelFilter::INFO));
    subscriber::set_global_default(subscriber)?;

    let before = threads()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let network: BTreeSet<_> = threads()?.difference(&before).cloned().collect();
    let began = nanos(ClockId::ProcessCPUTime);
    runtime.block_on(async {
        recapture_worker::run(&config, shutdown::on_signals()?).await.map_err(Fault::from)
    })?;
    let mut spent = Spent { process: nanos(ClockId::ProcessCPUTime) - began, ..Spent::default() };
    for thread in network {
        spent.network += of_thread(&thread)?;
    }
    for (stage, spent) in clock.spent.iter().zip(&mut spent.stages) {
        *spent = stage.load(Ordering::Relaxed);
    }
    Ok(fs::write(report, serde_json::to_vec(&spent)?)?)
}

/// Those of this process.
fn threads() -> Result<BTreeSet<PathBuf>, Fault> {
    Ok(fs::read_dir("/proc/self/task")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?)
}

fn of_thread(path: &Path) -> Result<u64, Fault> {
    let text = fs::read_to_string(path.join("schedstat"))?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    Duration::try_from(time).map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// What was spent in the span of each stage.
#[derive(Clone, Default)]
struct Clock {
    spent: Arc<[AtomicU64; STAGES.len()]>,
}

thread_local! {
    /// The stages that this thread is in, one within the other, and since when it is in the last.
    static WITHIN: RefCell<(Vec<Option<usize>>, u64)> = const { RefCell::new((Vec::new(), 0)) };
}

impl Clock {
    /// Charges the stage that the thread is in, and lets it be in another.
    fn turn(&self, to: impl FnOnce(&mut Vec<Option<usize>>)) {
        WITHIN.with_borrow_mut(|(stages, since)| {
            let now = nanos(ClockId::ThreadCPUTime);
            if let Some(Some(stage)) = stages.last() {
                self.spent[*stage].fetch_add(now - *since, Ordering::Relaxed);
            }
            to(stages);
            *since = now;
        });
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Clock {
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let name = context.metadata(id).map(tracing::Metadata::name);
        let stage = STAGES.iter().position(|(span, _)| Some(*span) == name);
        self.turn(|stages| stages.push(stage));
    }

    fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        self.turn(|stages| {
            stages.pop();
        });
    }
}
