//! The peers, and what is measured of each.

use std::time::Duration;

use clap::ValueEnum;

use crate::server::{Executed, Server};
use crate::table::{Figures, WIDTHS, print, print_ratios, spread};
use crate::{Fault, bullmq, embedded, evalsha, machine, pool, processes, python};

/// Jobs at once, and how many no-op jobs of the backlog are done so.
const PARTS: [(usize, usize); WIDTHS] = [(1, 9_000), (16, 25_000), (32, 25_000), (128, 40_000)];
/// A little more than all parts: a worker that is told to stop has begun some jobs more than were asked for.
const BACKLOG: usize = 100_000;
/// The same for peers that do hundreds of jobs a second, and take more than they are asked for: each part is its backlog.
const SLOW_PARTS: [(usize, usize); WIDTHS] = [(1, 2_000), (16, 5_000), (32, 5_000), (128, 5_000)];
const SLOW_BACKLOG: usize = 10_000;
const SAMPLES: u32 = 200;
const PROCESSES: usize = 4;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) repeat: usize,
    /// In percent.
    pub(crate) scale: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    Recapture,
    Embedded,
    Scripts,
    Bullmq,
    Arq,
    Taskiq,
    Dramatiq,
    Celery,
}

/// Measures all of them, or those that are named, and prints the tables.
#[allow(clippy::print_stdout, reason = "the tables are the output")]
pub(crate) async fn compare(plan: &Plan, only: &[Peer]) -> Result<(), Fault> {
    let peers: Vec<Peer> = Peer::value_variants()
        .iter()
        .copied()
        .filter(|peer| only.is_empty() || only.contains(peer))
        .collect();
    for peer in &peers {
        if let Some(name) = peer.package() {
            python::prepare(name).await?;
        }
    }
    let mut figures: Vec<(Peer, Vec<Figures>)> = peers.iter().map(|peer| (*peer, Vec::new())).collect();
    let mut bare = Vec::new();
    for _ in 0..plan.repeat {
        bare.push(evalsha::rate().await?);
        for (peer, found) in &mut figures {
            found.push(peer.measure(*plan).await.map_err(|error| format!("{peer:?}: {error}"))?);
        }
    }
    println!("{}\n", machine::describe());
    let rows: Vec<(&str, Vec<Figures>)> =
        figures.into_iter().map(|(peer, found)| (peer.title(), found)).collect();
    print(&rows);
    print_ratios(&rows);
    println!(
        "\nOf a script a job that takes it out and does nothing else `redis-benchmark` calls {} a second.",
        spread(bare, 0)
    );
    Ok(())
}

impl Peer {
    fn title(self) -> &'static str {
        match self {
            Self::Recapture => "**Recapture**",
            Self::Embedded => "**Recapture**, embedded (SQLite)",
            Self::Scripts => "its scripts, without a pool",
            Self::Bullmq => "bullmq-official 1.4 (Rust)",
            Self::Arq => "arq 0.28, uvloop, looks every ms",
            Self::Taskiq => "taskiq 0.13, a list, uvloop, acknowledges early",
            Self::Dramatiq => "dramatiq 2.2, threads, no middleware",
            Self::Celery => "Celery 5.7, solo or threads, acknowledges early",
        }
    }

    /// As it is given on a command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Recapture => "recapture",
            Self::Embedded => "embedded",
            Self::Scripts => "scripts",
            Self::Bullmq => "bullmq",
            Self::Arq => "arq",
            Self::Taskiq => "taskiq",
            Self::Dramatiq => "dramatiq",
            Self::Celery => "celery",
        }
    }

    /// How many jobs are not done; of a peer that runs in this program.
    pub(crate) async fn left(self, server: &mut Server) -> Result<usize, Fault> {
        match self {
            Self::Bullmq => server.count(&bullmq::LEFT).await,
            _ => server.count(&[("HLEN", "{recapture}:jobs")]).await,
        }
    }

    /// The environment of a peer in Python.
    fn package(self) -> Option<&'static str> {
        match self {
            Self::Recapture | Self::Embedded | Self::Scripts | Self::Bullmq => None,
            _ => Some(self.name()),
        }
    }

    async fn measure(self, plan: Plan) -> Result<Figures, Fault> {
        let mut figures = Figures::default();
        let scaled = |count: usize| (count * plan.scale / 100).max(200);
        let (parts, backlog) =
            if self.package().is_some() { (SLOW_PARTS, SLOW_BACKLOG) } else { (PARTS, BACKLOG) };

        if self == Self::Embedded {
            let parts = SLOW_PARTS.map(|(concurrency, jobs)| (concurrency, scaled(jobs)));
            return embedded::measure(parts, SAMPLES).await;
        }
        let mut server = Server::start().await?;
        self.fill(&mut server, scaled(backlog), &mut figures).await?;
        for (at, (concurrency, jobs)) in parts.into_iter().enumerate() {
            let jobs = scaled(jobs);
            if self.package().is_some() {
                server = Server::start().await?;
                self.enqueue(&server.url(), jobs).await?;
            }
            let before = (server.executed().await?, server.used().await?, machine::used());
            let took = self.drain(&server.url(), concurrency, jobs).await?;
            figures.done[at] = rate(jobs, took);
            figures.count_of_job(before.0, server.executed().await?, jobs, concurrency == 128);
            if concurrency == 16 {
                let used = |now: Duration, before: Duration| micros_per_job(now.saturating_sub(before), jobs);
                figures.used = [used(machine::used(), before.2), used(server.used().await?, before.1)];
            }
        }
        if matches!(self, Self::Recapture | Self::Bullmq) {
            for (at, (concurrency, _)) in parts.into_iter().enumerate() {
                let mut server = Server::start().await?;
                self.enqueue(&server.url(), scaled(backlog)).await?;
                let rate = processes::rate(self, &mut server, PROCESSES, concurrency).await?;
                figures.by_processes[at] = Some(rate);
            }
        }
        if self != Self::Scripts {
            let server = Server::start().await?;
            figures.latencies(self.latencies(&server.url()).await?);
        }
        Ok(figures)
    }

    async fn fill(self, server: &mut Server, jobs: usize, figures: &mut Figures) -> Result<(), Fault> {
        let (memory, before) = (server.memory().await?, server.executed().await?);
        figures.enqueued = rate(jobs, self.enqueue(&server.url(), jobs).await?);
        figures.bytes = per_job(server.memory().await?.saturating_sub(memory), jobs);
        figures.count_of_job(before, server.executed().await?, jobs, true);
        Ok(())
    }

    async fn enqueue(self, url: &str, jobs: usize) -> Result<Duration, Fault> {
        match (self, self.package()) {
            (_, Some(name)) => python::enqueue(name, url, jobs).await,
            (Self::Bullmq, _) => bullmq::enqueue(url, jobs).await,
            _ => pool::enqueue(url, jobs).await,
        }
    }

    async fn drain(self, url: &str, concurrency: usize, jobs: usize) -> Result<Duration, Fault> {
        match (self, self.package()) {
            (_, Some(name)) => python::drain(name, url, concurrency, jobs).await,
            (Self::Bullmq, _) => bullmq::drain(url, concurrency, jobs).await,
            (Self::Scripts, _) => pool::drain_bare(url, concurrency, jobs).await,
            _ => pool::drain(url, concurrency, jobs).await,
        }
    }

    async fn latencies(self, url: &str) -> Result<Vec<Duration>, Fault> {
        match (self, self.package()) {
            (_, Some(name)) => python::latencies(name, url, SAMPLES).await,
            (Self::Bullmq, _) => bullmq::latencies(url, SAMPLES).await,
            _ => pool::latencies(url, SAMPLES).await,
        }
    }
}

impl Figures {
    /// What one job costs the server, from being enqueued to being finished at the widest concurrency.
    fn count_of_job(&mut self, before: Executed, after: Executed, jobs: usize, counts: bool) {
        if counts {
            self.commands += per_job(after.commands - before.commands, jobs);
            self.scripts += per_job(after.scripts - before.scripts, jobs);
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "what is counted is far below 2^52")]
pub(crate) fn rate(jobs: usize, took: Duration) -> f64 {
    jobs as f64 / took.as_secs_f64()
}

#[allow(clippy::cast_precision_loss, reason = "what is counted is far below 2^52")]
pub(crate) fn per_job(amount: u64, jobs: usize) -> f64 {
    amount as f64 / jobs as f64
}

#[allow(clippy::cast_precision_loss, reason = "what is counted is far below 2^52")]
pub(crate) fn micros_per_job(used: Duration, jobs: usize) -> f64 {
    used.as_secs_f64() * 1e6 / jobs as f64
}
