//! Real processes that are killed in the middle of it: this test binary runs itself as the victim.
#![allow(clippy::print_stdout, reason = "the victim reports to its parent on stdout")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::{Bench, Store};
use crate::queue::{Clock, Depth, Fate, QueueSettings, Settled, WorkerId};
use crate::reason::{Outcome, Reason};
use crate::run::{Counts, RunId, Tally};

const PART: &str = "RECAPTURE_TEST_PART";
const URL: &str = "RECAPTURE_TEST_URL";
const RUN: &str = "RECAPTURE_TEST_RUN";
const LEASE: Duration = Duration::from_millis(200);

async fn bench(url: String) -> Bench {
    let settings = QueueSettings { url, lease: LEASE, max_attempts: 3, high_water: 1_000_000 };
    let mut bench = Bench::new(Store { settings, spoil: Box::new(|_, _| Box::pin(async {})) }).await;
    bench.clock = Clock::system();
    bench.queue = bench.open_again().await;
    bench
}

/// Not a test of its own: what a victim does, when the tests below run this binary again.
#[tokio::test]
async fn victim() {
    let Ok(part) = std::env::var(PART) else { return };
    let bench = bench(std::env::var(URL).unwrap()).await;
    let run = RunId::parse(&std::env::var(RUN).unwrap()).unwrap();
    match part.as_str() {
        "producer" => {
            for batch in 0u32.. {
                let jobs: Vec<_> = (batch * 10..batch * 10 + 10).map(|meeting| bench.job(meeting)).collect();
                bench.queue.enqueue(&run, &jobs, Tally { present: 1, ..Tally::default() }).await.unwrap();
                println!("\nacknowledged {batch}");
            }
        }
        "worker" => loop {
            for job in bench.queue.claim(&WorkerId::new(), 3).await.unwrap() {
                let fate = Fate::Finish { outcome: Outcome::Recovered };
                if bench.settle(&job, fate.moved(4, 100)).await == Settled::Done {
                    println!("\nacknowledged {}", job.payload.uuid);
                }
            }
        },
        "poisoned" => loop {
            bench.queue.wait_for_work().await.unwrap();
            if let Some(job) = bench.queue.claim(&WorkerId::new(), 1).await.unwrap().pop() {
                println!("\nacknowledged {}", job.starts);
                std::process::abort();
            }
        },
        other => panic!("there is no part '{other}'"),
    }
}

struct Victim {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Victim {
    fn start(part: &str, bench: &Bench, run: &RunId) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["queue::conformance::crash::victim", "--exact", "--nocapture"])
            .envs([(PART, part), (URL, &bench.store.settings.url), (RUN, run.as_str())])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// What it says next of what was acknowledged to it; nothing once it is dead.
    async fn acknowledged(&mut self) -> Option<String> {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            if let Some(what) = line.strip_prefix("acknowledged ") {
                return Some(what.to_owned());
            }
        }
        None
    }

    /// Lets it be acknowledged so often, kills it at whatever it does then, and counts all that it was told.
    async fn kill_after(mut self, times: u64) -> u64 {
        for _ in 0..times {
            self.acknowledged().await.unwrap();
        }
        self.process.start_kill().unwrap();
        let mut told = times;
        while self.acknowledged().await.is_some() {
            told += 1;
        }
        self.process.wait().await.unwrap();
        told
    }
}

pub(crate) async fn q1_what_was_acknowledged_survives_the_killing_of_its_producer(store: Store) {
    let bench = bench(store.settings.url).await;
    let run = bench.run_with(&[]).await;
    let told = Victim::start("producer", &bench, &run).kill_after(20).await;
    let counts = bench.counts(&run).await;
    assert!(counts.pending >= told * 10, "{told} batches were acknowledged, and the books say {counts:?}");
    let whole = counts.pending / 10;
    let books = Counts { present: whole, missing: whole * 10, detected: whole * 10, ..Counts::default() };
    assert_eq!(
        counts,
        Counts { listed: whole * 11, pending: whole * 10, ..books },
        "a batch is whole or not there"
    );
    assert_eq!(bench.queue.depth().await.unwrap().ready, counts.pending);
    bench.queue.check().await.unwrap();
}

pub(crate) async fn q7_the_books_are_exact_whatever_worker_is_killed(store: Store) {
    let bench = bench(store.settings.url).await;
    let meetings: Vec<u32> = (0..2000).collect();
    let run = bench.run_with(&meetings).await;
    let mut told = 0;
    for times in [1, 7, 20] {
        told += Victim::start("worker", &bench, &run).kill_after(times).await;
        let counts = bench.counts(&run).await;
        assert!(counts.recovered >= told);
        assert!(counts.balance());
        assert_eq!((counts.files, counts.bytes), (counts.recovered * 4, counts.recovered * 100));
        assert_eq!(bench.queue.depth().await.unwrap().unfinished(), counts.pending);
    }
}

pub(crate) async fn q5_a_job_that_aborts_its_process_is_dead_after_its_last_start(store: Store) {
    let bench = bench(store.settings.url).await;
    let run = bench.run_with(&[1]).await;
    for start in 1..=3 {
        let mut victim = Victim::start("poisoned", &bench, &run);
        assert_eq!(victim.acknowledged().await, Some(start.to_string()));
        assert!(!victim.process.wait().await.unwrap().success());
    }
    // Ends when the last lease does; claiming is what buries the job.
    bench.queue.wait_for_work().await.unwrap();
    assert!(bench.claim(1).await.is_empty());
    assert_eq!(bench.queue.dead(&run, None, 9).await.unwrap()[0].cause.reason, Reason::WorkerDied);
    assert_eq!(bench.queue.depth().await, Ok(Depth { dead: 1, ..Depth::default() }));
}

/// Makes a test of each; the argument is that of `suite!`.
macro_rules! kills {
    ($fresh:expr) => {
        $crate::queue::conformance::crash::kills! {
            $fresh;
            q1_what_was_acknowledged_survives_the_killing_of_its_producer,
            q5_a_job_that_aborts_its_process_is_dead_after_its_last_start,
            q7_the_books_are_exact_whatever_worker_is_killed,
        }
    };
    ($fresh:expr; $($name:ident,)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                let (store, _keep) = $fresh().await;
                $crate::queue::conformance::crash::$name(store).await;
            }
        )+
    };
}
pub(crate) use kills;
