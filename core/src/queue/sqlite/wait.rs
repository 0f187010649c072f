//! Waiting for work: woken by this process's commits and by time; other processes are noticed by looking.

use std::time::Duration;

use sqlx::Row;

use super::SqliteQueue;
use crate::queue::clock::Millis;
use crate::queue::error::QueueError;

/// How soon work that another process brought is seen. A look is three index seeks.
const LOOK: Duration = Duration::from_millis(200);

/// How soon a run that another process cancelled is seen by those who hold its jobs. A look reads the list of runs.
const RECALL_LOOK: Duration = Duration::from_secs(1);

/// What an idle worker waits for.
struct Outlook {
    claimable: bool,
    /// When the next job is due, or the next lease ends.
    next: Option<Millis>,
}

impl SqliteQueue {
    pub(in crate::queue) async fn wait_for_work(&self) -> Result<(), QueueError> {
        let mut news = self.0.writer.news();
        loop {
            // Marked before looking: what is committed after the look is news.
            news.mark_unchanged();
            let outlook = self.outlook().await?;
            if outlook.claimable || outlook.next.is_some_and(|next| next <= self.0.clock.millis()) {
                return Ok(());
            }
            let in_time = async {
                match outlook.next {
                    Some(next) => self.0.clock.until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = news.changed() => changed.map_err(|_| QueueError::Closed)?,
                () = in_time => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Returns when runs were cancelled since `last`, the number of cancelled runs; a number that was never taken is
    /// taken first.
    pub(in crate::queue) async fn recalled(&self, last: &mut Option<i64>) {
        loop {
            if let Ok(cancelled) = self.cancelled_runs().await
                && last.replace(cancelled).is_some_and(|last| last != cancelled)
            {
                return;
            }
            tokio::time::sleep(RECALL_LOOK).await;
        }
    }

    async fn cancelled_runs(&self) -> Result<i64, QueueError> {
        sqlx::query_scalar("SELECT count(*) FROM runs WHERE state = 'cancelled'")
            .fetch_one(&mut *self.reader().await?)
            .await
            .map_err(|error| self.fault(&error))
    }

    async fn outlook(&self) -> Result<Outlook, QueueError> {
        let row = sqlx::query(
            "WITH RECURSIVE owners (run) AS ( \
             SELECT min(owner) FROM jobs WHERE state = 'ready' \
             UNION ALL \
             SELECT (SELECT min(owner) FROM jobs WHERE state = 'ready' AND owner > run) FROM owners \
               WHERE run IS NOT NULL) \
             SELECT \
             NOT (SELECT paused FROM queue) AND EXISTS \
               (SELECT 1 FROM owners CROSS JOIN runs ON runs.id = owners.run WHERE NOT runs.paused) AS claimable, \
             (SELECT min(due) FROM jobs WHERE state = 'delayed') AS due, \
             (SELECT min(lease_until) FROM jobs WHERE state = 'leased') AS lease_end",
        )
        .fetch_one(&mut *self.reader().await?)
        .await;
        let outlook = row.and_then(|row| {
            let due: Option<Millis> = row.try_get("due")?;
            let lease_end: Option<Millis> = row.try_get("lease_end")?;
            Ok(Outlook { claimable: row.try_get("claimable")?, next: due.into_iter().chain(lease_end).min() })
        });
        outlook.map_err(|error| self.fault(&error))
    }
}
