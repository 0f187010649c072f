//! Hearing that leases were taken back: whoever cancels a run takes its jobs from their holders, and these should stop
//! before their next renewal, not at it.
//!
//! A recall is a hint and nothing else: it makes a pool ask at once whether its leases still stand. One that is missed
//! costs the time until the next renewal, a third of a lease.

use tokio::sync::watch;

use super::{Queue, SqliteQueue};

/// A pool's ear.
#[derive(Debug)]
pub(super) enum Recalls {
    /// Told by the shared queue's channel.
    Heard(watch::Receiver<()>),
    /// Seen in the file, whichever process wrote it; what was seen last.
    Seen(SqliteQueue, Option<i64>),
}

impl Recalls {
    pub(super) fn of(queue: &Queue) -> Self {
        match queue {
            Queue::Sqlite(queue) => Self::Seen(queue.clone(), None),
            Queue::Redis(queue) => Self::Heard(queue.link().recalls()),
        }
    }

    /// Returns when leases may have been taken back since the last call. May be dropped half-way.
    pub(super) async fn next(&mut self) {
        match self {
            Self::Heard(told) => {
                if told.changed().await.is_err() {
                    // Nobody tells any more: the pool ends by other means.
                    std::future::pending::<()>().await;
                }
            }
            Self::Seen(queue, last) => queue.recalled(last).await,
        }
    }
}
