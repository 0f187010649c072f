//! Power cuts: whatever of the log reached the disk, opening finds whole steps, the first so many of them. And the file
//! does not grow with what passes through it.

use std::path::Path;

use futures_util::future::join_all;

use super::{aside, fresh, settings};
use crate::queue::conformance::Bench;
use crate::queue::{Clock, Fate, Queue};
use crate::reason::Outcome;
use crate::run::{Mode, RunId};

const RECOVERED: Fate = Fate::Finish { outcome: Outcome::Recovered };

/// Of SQLite's log.
const HEADER: usize = 32;
const FRAME: usize = 24 + 4096;

fn path_of(url: &str) -> &Path {
    Path::new(url.trim_start_matches("sqlite://"))
}

/// What a disk holds after a cut: the file, and of its log the first so many bytes.
async fn after_the_cut(file: &[u8], log: &[u8]) -> (tempfile::TempDir, Queue) {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    std::fs::write(path_of(&settings.url), file).unwrap();
    std::fs::write(path_of(&settings.url).with_extension("db-wal"), log).unwrap();
    let queue = Queue::open_at(&settings, Clock::system()).await.unwrap();
    (folder, queue)
}

/// How far the run had come: enqueued, recovered.
async fn progress(queue: &Queue, run: &RunId) -> (u64, u64) {
    queue.check().await.unwrap();
    let unfinished = queue.depth().await.unwrap().unfinished();
    let Some(run) = queue.run(run).await.unwrap() else {
        assert_eq!(unfinished, 0, "jobs without their run");
        return (0, 0);
    };
    assert!(run.counts.balance(), "{:?}", run.counts);
    assert_eq!(run.counts.pending, unfinished);
    (run.counts.detected, run.counts.recovered)
}

#[tokio::test]
async fn a_power_cut_leaves_whole_steps() {
    let (store, _folder) = fresh().await;
    let bench = Bench::new(store).await;
    let path = path_of(&bench.store.settings.url).to_owned();
    let run = bench.run_of(Mode::Manual).await;
    for batch in 0..4 {
        bench.enqueue(&run, &[3 * batch, 3 * batch + 1, 3 * batch + 2]).await;
        for job in bench.claim(2).await {
            bench.settle(&job, RECOVERED).await;
        }
    }
    let (file, log) = (std::fs::read(&path).unwrap(), std::fs::read(path.with_extension("db-wal")).unwrap());
    assert!(log.len() > HEADER + 10 * FRAME, "nothing was moved from the log into the file yet");

    let mut last = (0, 0);
    let frames = (log.len() - HEADER) / FRAME;
    for frame in 0..=frames {
        // At the end of a page, and within the next.
        for more in [0, 1, FRAME / 2, FRAME - 1] {
            let cut = (HEADER + frame * FRAME + more).min(log.len());
            let (_folder, queue) = after_the_cut(&file, &log[..cut]).await;
            let now = progress(&queue, &run).await;
            assert!(now >= last, "more of the log is less of the work: {last:?}, then {now:?}");
            assert_eq!(now.0 % 3, 0, "half a batch");
            last = now;
            queue.close().await;
        }
    }
    assert_eq!(last, (12, 8), "with the whole log all that was acknowledged is there");

    // A page of it that the disk never wrote, although later ones it did.
    for lost in 0..frames {
        let mut log = log.clone();
        log[HEADER + lost * FRAME..HEADER + (lost + 1) * FRAME].fill(0);
        let (_folder, queue) = after_the_cut(&file, &log).await;
        assert!(progress(&queue, &run).await <= last);
        queue.close().await;
    }
}

#[tokio::test]
async fn every_answer_is_on_disk_before_it_is_given() {
    let (store, _folder) = fresh().await;
    let bench = Bench::new(store).await;
    let Queue::Sqlite(queue) = &bench.queue else { panic!("the URL names a file") };
    let (log, sync): (String, i64) = queue
        .write(|step| {
            Box::pin(async move {
                let log = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut step.conn).await?;
                let sync = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut step.conn).await?;
                Ok((log, sync))
            })
        })
        .await
        .unwrap();
    assert_eq!((log.as_str(), sync), ("wal", 2), "2 is FULL");
}

#[tokio::test]
async fn the_file_does_not_grow_with_what_passes_through() {
    let (store, _folder) = fresh().await;
    let bench = Bench::new(store).await;
    let mut pages = Vec::new();
    for round in 0..5 {
        let run = bench.run_of(Mode::Manual).await;
        for batch in (round * 1500..(round + 1) * 1500).collect::<Vec<_>>().chunks(300) {
            bench.enqueue(&run, batch).await;
        }
        loop {
            let jobs = bench.claim(256).await;
            if jobs.is_empty() {
                break;
            }
            join_all(jobs.iter().map(|job| bench.settle(job, RECOVERED))).await;
        }
        let count: i64 = sqlx::query_scalar("PRAGMA page_count")
            .fetch_one(&mut aside(&bench.store.settings.url).await)
            .await
            .unwrap();
        pages.push(count);
    }
    assert!(pages[4] <= pages[0] + pages[0] / 10, "{pages:?}");
}
