//! The file: who may read it, what opening makes of it, and what goes wrong with disks and locks.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use futures_util::future::join_all;
use sqlx::Row;

use super::{aside, fresh, settings};
use crate::queue::conformance::Bench;
use crate::queue::sqlite::claim::{ABANDONED, HEAD, PROMOTE, SERVED, URGENT};
use crate::queue::{Queue, QueueError, QueueSettings};
use crate::run::{Mode, Tally};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn only_its_owner_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/queue.db");
    let settings = QueueSettings { url: format!("sqlite://{}", path.display()), ..settings(&folder) };
    let queue = Queue::open(&settings).await.unwrap();
    queue.check().await.unwrap();
    for folder in [path.parent().unwrap(), path.parent().unwrap().parent().unwrap()] {
        assert_eq!(mode(folder), 0o700);
    }
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
}

#[tokio::test]
async fn urls_that_name_no_queue_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for url in
        ["", "queue.db", "sqlite://", "sqlite://:memory:", "sqlite://q.db?mode=ro", "amqp://user:secret@host"]
    {
        let settings = QueueSettings { url: url.into(), ..settings(&folder) };
        let error = Queue::open(&settings).await.expect_err(url);
        assert!(matches!(error, QueueError::BadUrl { .. }), "{error}");
        assert!(!error.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn many_can_open_a_new_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let queues = join_all((0..8).map(|_| Queue::open(&settings))).await;
    for queue in queues {
        queue.expect("opened").check().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_database_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let text = "dear diary, ".repeat(1000);
    std::fs::write(&path, &text).unwrap();
    let error = Queue::open(&settings(&folder)).await.expect_err("no database");
    assert!(matches!(error, QueueError::Corrupt { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn the_file_of_a_newer_version_is_refused() {
    let (store, _folder) = fresh().await;
    let bench = Bench::new(store).await;
    bench.queue.clone().close().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (99, 'from the future', true, x'00', 0)",
    )
    .execute(&mut aside(&bench.store.settings.url).await)
    .await
    .unwrap();
    let error = Queue::open(&bench.store.settings).await.expect_err("newer");
    assert!(matches!(error, QueueError::Newer { .. }), "{error}");
}

#[tokio::test]
async fn a_full_disk_refuses_what_is_new_and_loses_nothing() {
    let (store, _folder) = fresh().await;
    let bench = Bench::new(store).await;
    let run = bench.run_with(&[1, 2]).await;
    let Queue::Sqlite(queue) = &bench.queue else { panic!("the URL names a file") };
    let allow = |pages: &'static str| {
        queue.write(move |step| {
            Box::pin(async move { Ok(sqlx::query(pages).execute(&mut step.conn).await.map(|_| ())?) })
        })
    };
    let before = bench.counts(&run).await;
    // SQLite takes no limit below what the file has.
    allow("PRAGMA max_page_count = 1").await.unwrap();
    let many: Vec<_> = (10..2000).map(|meeting| bench.job(meeting)).collect();
    let full = bench.queue.enqueue(&run, &many, Tally::default()).await;
    assert!(matches!(full, Err(QueueError::Full { .. })), "{full:?}");
    assert!(QueueError::is_transient(&full.unwrap_err()));
    assert_eq!(bench.counts(&run).await, before);
    assert_eq!(bench.claim(9).await.len(), 2, "what is there can be worked on");

    allow("PRAGMA max_page_count = 1000000").await.unwrap();
    bench.queue.enqueue(&run, &many, Tally::default()).await.unwrap();
    assert_eq!(bench.counts(&run).await.pending, 1992);
}

#[tokio::test]
async fn a_lock_of_another_process_is_waited_for() {
    let (store, _folder) = fresh().await;
    let bench = Bench::new(store).await;
    let mut other = aside(&bench.store.settings.url).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let queue = bench.queue.clone();
    let (claimed, ()) = tokio::join!(queue.claim(&bench.worker, 1), async {
        // Reading goes on meanwhile.
        assert_eq!(bench.queue.depth().await.unwrap().unfinished(), 0);
        sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    });
    assert_eq!(claimed, Ok(Vec::new()));
}

/// Claiming costs what is claimed: none of its lookups may walk through the backlog.
#[tokio::test]
async fn claiming_looks_everything_up_by_index() {
    let (store, _folder) = fresh().await;
    let bench = Bench::new(store).await;
    let mut reader = aside(&bench.store.settings.url).await;
    for statement in [HEAD, ABANDONED, PROMOTE, SERVED, URGENT] {
        let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
        let rows = plan.fetch_all(&mut reader).await.unwrap();
        let steps: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        let walks = steps.iter().any(|step| step.contains("SCAN jobs"));
        let sorts = statement == URGENT && steps.iter().any(|step| step.contains("B-TREE"));
        assert!(!walks && !sorts, "{statement}: {steps:?}");
    }
}

#[tokio::test]
async fn a_closed_queue_says_so() {
    let (store, _folder) = fresh().await;
    let bench = Bench::new(store).await;
    let run = bench.run_of(Mode::Manual).await;
    bench.queue.clone().close().await;
    assert_eq!(bench.queue.claim(&bench.worker, 1).await, Err(QueueError::Closed));
    assert_eq!(bench.queue.run(&run).await, Err(QueueError::Closed));
    assert_eq!(bench.queue.wait_for_work().await, Err(QueueError::Closed));
    assert!(bench.open_again().await.run(&run).await.unwrap().is_some());
}
