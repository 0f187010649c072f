//! Machines whose clock is wrong: what they name comes when it was meant to.

use std::time::{Duration, Instant};

use super::server::Server;
use super::store;
use crate::queue::conformance::Bench;
use crate::queue::{Clock, Fate};
use crate::reason::{Cause, Reason};
use crate::run::{Mode, RunState};

const TEN_MINUTES: i64 = 600_000;
const WAIT: Duration = Duration::from_millis(400);

async fn bench(server: &Server, clock: Clock) -> Bench {
    let mut bench = Bench::new(store(server)).await;
    bench.clock = clock;
    bench.queue = bench.open_again().await;
    bench
}

#[tokio::test]
async fn a_worker_whose_clock_is_wrong_delays_and_hurries_nothing() {
    let server = Server::start().await;
    let right = bench(&server, Clock::system()).await;
    for by in [-TEN_MINUTES, TEN_MINUTES] {
        let wrong = bench(&server, Clock::Wrong(by)).await;
        let cause = || Cause::new(Reason::Network, "told by a test");
        let fates: [fn(_, _) -> Fate; 2] =
            [|at, cause| Fate::Retry { at, cause }, |until, cause| Fate::Snooze { until, cause }];
        for fate in fates {
            let run = right.run_with(&[1]).await;
            let job = wrong.claim_one().await;
            wrong.queue.extend(std::slice::from_ref(&job.lease)).await.unwrap();
            let began = Instant::now();
            wrong.settle(&job, fate(wrong.now() + WAIT, cause())).await;
            while right.claim(1).await.is_empty() {
                right.queue.wait_for_work().await.unwrap();
            }
            // Instants are whole milliseconds.
            assert!(began.elapsed() + Duration::from_millis(5) >= WAIT, "{:?}", began.elapsed());
            assert!(began.elapsed() < WAIT * 10, "{:?}", began.elapsed());
            right.queue.cancel(&run).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_producer_whose_clock_is_wrong_lives_as_long_as_it_says() {
    let server = Server::start().await;
    let right = bench(&server, Clock::system()).await;
    for by in [-TEN_MINUTES, TEN_MINUTES] {
        let wrong = bench(&server, Clock::Wrong(by)).await;
        let run = wrong.run_of(Mode::Manual).await;
        wrong.queue.producer_beat(&run, wrong.now() + Duration::from_secs(30)).await.unwrap();
        assert_eq!(right.state(&run).await, RunState::Enumerating);

        let began = Instant::now();
        wrong.queue.producer_beat(&run, wrong.now() + WAIT).await.unwrap();
        while right.state(&run).await != RunState::Stopped {
            assert!(began.elapsed() < WAIT * 10);
        }
        assert!(began.elapsed() + Duration::from_millis(5) >= WAIT);
    }
}
