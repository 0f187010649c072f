//! Several Zoom accounts on one Redis: a queue and a pool each. What one has waiting costs another nothing.
#![allow(clippy::print_stdout, reason = "what is measured is told")]

use std::time::{Duration, Instant};

use super::audit::audit;
use super::outage::Pools;
use super::server::Server;
use super::store;
use crate::queue::conformance::Bench;
use crate::queue::{Clock, NewJob};
use crate::run::{Mode, RunId, Tally};

/// Scaled down from a million: a claim touches what it takes, so that the number does not matter.
const BACKLOG: u32 = 100_000;

async fn account(server: &Server, name: &str) -> Bench {
    let mut store = store(server);
    store.settings.url = format!("{}?prefix={name}", server.url());
    store.settings.high_water = 1_000_000;
    let mut bench = Bench::new(store).await;
    bench.clock = Clock::system();
    bench.queue = bench.open_again().await;
    bench.queue.belong_to(name).await.unwrap();
    bench
}

async fn enqueue(bench: &Bench, meetings: std::ops::Range<u32>) -> RunId {
    let run = bench.run_of(Mode::Manual).await;
    for batch in meetings.collect::<Vec<_>>().chunks(300) {
        let batch: Vec<NewJob> = batch.iter().map(|meeting| bench.job(*meeting)).collect();
        bench.queue.enqueue(&run, &batch, Tally::default()).await.unwrap();
    }
    run
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backlog_of_one_account_starves_no_other() {
    let server = Server::start().await;
    let (large, small) = (account(&server, "large").await, account(&server, "small").await);
    let backlog = enqueue(&large, 0..BACKLOG).await;
    let mut busy = Pools::start(&large, 2, 32, BACKLOG as usize).await;
    busy.recovered(&large, &backlog, 1000).await;
    let mut idle = Pools::start(&small, 1, 4, 1000).await;

    let mut waits = Vec::new();
    for meeting in 0..100 {
        let began = Instant::now();
        let run = enqueue(&small, meeting..meeting + 1).await;
        idle.recovered(&small, &run, 1).await;
        waits.push(began.elapsed());
    }
    let left = large.counts(&backlog).await.pending;
    waits.sort();
    println!(
        "with {left} jobs of another account waiting, one takes {:?} (median) and {:?} at most",
        waits[50], waits[99]
    );
    assert!(left > 0, "the other account's backlog was not there all the time");
    assert!(waits[50] < Duration::from_millis(200), "{waits:?}");

    busy.recovered(&large, &backlog, u64::from(BACKLOG)).await;
    busy.end().await;
    idle.end().await;
    audit(&server.url(), Some("large")).await;
    audit(&server.url(), Some("small")).await;
}
