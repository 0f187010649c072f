//! What the Redis queue costs, and what others cost on the same machine in the same hour.
//!
//! Each repetition of each peer gets a `redis-server` of its own, so that none finds the memory or the append-only file
//! of another. Repetitions go round the peers, so that a machine that is busy for a while is busy for all of them.
#![allow(clippy::print_stdout, reason = "the tables are the output")]

mod bullmq;
mod downloads;
mod embedded;
mod enumeration;
mod evalsha;
mod jobs;
mod machine;
mod million;
mod peer;
mod pool;
mod processes;
mod python;
mod recovery;
mod serve;
mod server;
mod table;

use std::error::Error;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use self::peer::{Peer, Plan};

/// Nobody handles these: whoever runs the benchmark reads them.
type Fault = Box<dyn Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Measures the Redis queue and its peers; needs redis-server and python3 in the PATH")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Rates, latency and memory of each peer
    Queue {
        /// Repetitions of which the median is told
        #[arg(long, default_value_t = 3)]
        repeat: usize,
        /// Only these peers
        #[arg(long, value_delimiter = ',')]
        peers: Vec<Peer>,
        /// A part of the work, in percent, to try something out
        #[arg(long, default_value_t = 100)]
        scale: usize,
        /// A tenth of the work, once: whether it runs, and roughly what it tells
        #[arg(long, conflicts_with_all = ["repeat", "scale"])]
        short: bool,
    },
    /// A million queued jobs, and an operator's commands on them
    Million {
        #[arg(long, default_value_t = 1_000_000)]
        jobs: u32,
    },
    /// Clients that look on while a recovery runs in `recapture serve`
    Serve(serve::Plan),
    /// What downloading costs, beside curl and sha256sum; needs curl and /usr/bin/time
    Downloads(downloads::Arguments),
    /// Whole recoveries, beside what one would write instead and beside the least that could be done
    Recovery(recovery::Arguments),
    /// Where a worker's processor time goes, by the stages of a meeting
    Stages(recovery::stages::Arguments),
    /// Listing alone, of up to a million meetings
    Enumeration(enumeration::Arguments),
    /// Whether the measurements run: a few jobs, meetings and pages through the programs that are built beside this one
    Smoke,
    /// The bare loop of a measurement
    #[command(hide = true)]
    Floor { task: PathBuf },
    /// A worker with a clock at its stages
    #[command(hide = true)]
    TimedWorker {
        #[arg(long)]
        config: PathBuf,
        #[arg(long)]
        report: PathBuf,
    },
    /// Puts no-op jobs on a queue, for a profile of those who work on them
    #[command(hide = true)]
    Fill { url: String, jobs: usize },
    /// A worker process of a measurement
    #[command(hide = true)]
    Work { peer: Peer, url: String, concurrency: usize },
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let done = measure(Arguments::parse().what).await;
    recovery::clear();
    done
}

async fn measure(what: What) -> Result<(), Fault> {
    match what {
        What::Queue { repeat, peers, scale, short } => {
            let plan =
                if short { Plan { repeat: 1, scale: 10 } } else { Plan { repeat: repeat.max(1), scale } };
            peer::compare(&plan, &peers).await
        }
        What::Million { jobs } => million::measure(jobs).await,
        What::Serve(plan) => serve::measure(&plan).await,
        What::Downloads(arguments) => downloads::measure(arguments),
        What::Recovery(arguments) => recovery::compare(arguments).await,
        What::Stages(arguments) => recovery::stages::measure(arguments).await,
        What::Enumeration(arguments) => enumeration::measure(arguments).await,
        What::Smoke => {
            peer::compare(&Plan { repeat: 1, scale: 1 }, &[Peer::Recapture, Peer::Scripts]).await?;
            recovery::compare_part(recovery::Arguments::smoke(), 100).await?;
            enumeration::measure(enumeration::Arguments::smoke()).await
        }
        What::Floor { task } => tokio::task::spawn_blocking(move || recovery::floor(&task)).await?,
        What::TimedWorker { config, report } => {
            tokio::task::spawn_blocking(move || recovery::stages::work(config, &report)).await?
        }
        What::Fill { url, jobs } => pool::enqueue(&url, jobs).await.map(drop),
        What::Work { peer: Peer::Bullmq, url, concurrency } => bullmq::work(&url, concurrency).await,
        What::Work { url, concurrency, .. } => pool::work(&url, concurrency).await,
    }
}
