//! What operators see beside the books.

use super::Bench;
use super::bench::RECOVERED;
use crate::queue::WorkerId;
use crate::run::{Mode, RunId};

pub async fn runs_are_read_page_by_page(bench: Bench) {
    let mut created = Vec::new();
    for _ in 0..5 {
        created.push(bench.run_of(Mode::Manual).await);
        bench.clock.advance(bench.lease());
    }
    created.reverse();
    let mut read: Vec<RunId> = Vec::new();
    loop {
        let page = bench.queue.runs_before(read.last(), 2).await.expect("read");
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 2);
        read.extend(page.into_iter().map(|run| run.id));
    }
    assert_eq!(read, created);
    assert_eq!(bench.queue.runs_before(None, 0).await, Ok(Vec::new()));
}

pub async fn who_holds_what_is_told(bench: Bench) {
    let run = bench.run_with(&[1, 2, 3]).await;
    assert_eq!(bench.queue.leased(10).await, Ok(Vec::new()));
    let first = bench.claim_one().await;
    bench.clock.advance(bench.lease() / 2);
    let other = WorkerId::new();
    let second = bench.queue.claim(&other, 1).await.expect("claimed").pop().expect("a job");
    let leased = bench.queue.leased(10).await.expect("read");
    let told: Vec<_> = leased.iter().map(|job| (&job.uuid, job.worker.as_str(), job.until)).collect();
    let held = [&first, &second].map(|job| (&job.lease.uuid, job.lease.worker.as_str(), job.lease.until));
    assert_eq!(told, held);
    assert!(leased.iter().all(|job| job.owner == run && job.starts == 1));
    assert_eq!(leased[0].deadline, first.payload.deadline);
    assert_eq!(bench.queue.leased(1).await.expect("read").len(), 1);
    bench.settle(&first, RECOVERED).await;
    assert_eq!(bench.queue.leased(10).await.expect("read").len(), 1);
}
