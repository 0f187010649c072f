//! The duty that one process has at a time: automatic recovery, and the ledger that it keeps.
//!
//! # The promise
//!
//! - One process is on duty: who takes the duty holds it for `queue.lease`, and again each time that it is kept.
//! - Whoever lost the duty writes nothing: each taking has a token of its own, and the ledger is written only for the
//!   token that is stored at that moment, in one step with looking at it. A process that slept through its lease finds
//!   another's token there; if nobody took the duty meanwhile, its own is still good.
//! - A store that lost everything lost the token too. What was begun before it was lost can therefore not be written
//!   after it: a ledger is never there without the jobs that it speaks for.
//!
//! The ledger is a text to the queue: what it means is the business of automatic recovery.
//!
//! # After a crash
//!
//! Each call is one step of the backend. A process that is killed leaves its token, and somebody else takes the duty when
//! its lease is over.

use chrono::{DateTime, Utc};
use ulid::Ulid;

use super::{Queue, QueueError, WorkerId};

/// Proof of having taken the duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DutyToken(String);

impl DutyToken {
    fn new() -> Self {
        Self(Ulid::generate().to_string())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who is on duty, and what is in the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Duty {
    pub on_duty: Option<OnDuty>,
    /// As it was written; absent if there is none, or if the store lost it.
    pub ledger: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnDuty {
    pub process: String,
    /// Until then nobody else takes it.
    pub until: DateTime<Utc>,
}

impl Queue {
    /// Takes the duty, unless another process has it.
    pub async fn take_duty(&self, process: &WorkerId) -> Result<Option<DutyToken>, QueueError> {
        let token = DutyToken::new();
        let done = match self {
            Self::Sqlite(queue) => queue.take_duty(&token, process).await?,
            Self::Redis(queue) => queue.take_duty(&token, process).await?,
        };
        Ok(done.then_some(token))
    }

    /// Holds the duty for a whole lease from now; false if it is lost.
    pub async fn keep_duty(&self, token: &DutyToken) -> Result<bool, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.keep_duty(token).await,
            Self::Redis(queue) => queue.keep_duty(token).await,
        }
    }

    /// Gives the duty up, so that nobody has to wait for its lease; of a lost one nothing.
    pub async fn leave_duty(&self, token: &DutyToken) -> Result<(), QueueError> {
        match self {
            Self::Sqlite(queue) => queue.leave_duty(token).await,
            Self::Redis(queue) => queue.leave_duty(token).await,
        }
    }

    /// Replaces the ledger; false, and nothing is written, if the duty is lost.
    pub async fn put_ledger(&self, token: &DutyToken, text: &str) -> Result<bool, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.put_ledger(token, text).await,
            Self::Redis(queue) => queue.put_ledger(token, text).await,
        }
    }

    pub async fn duty(&self) -> Result<Duty, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.duty().await,
            Self::Redis(queue) => queue.duty().await,
        }
    }

    /// How many unfinished meetings Zoom deletes before an instant. Those that several runs wait for count once. In a
    /// shared queue, beyond a thousand a run that are not ready, it is the least that it can be.
    pub async fn lost_by(&self, at: DateTime<Utc>) -> Result<u64, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.lost_by(at).await,
            Self::Redis(queue) => queue.lost_by(at).await,
        }
    }
}
