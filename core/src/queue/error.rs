//! What can be wrong with a queue: facts, with what to do about them.

use crate::run::{RunId, RunState};

/// Nothing that an erring call was asked to do has been done, unless the variant says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    #[error("queue.url cannot be used: {why}; write sqlite://data/queue.db or redis://host:6379")]
    BadUrl { why: String },
    /// A call that was on its way may have been done.
    #[error(
        "the queue at {place} cannot be reached: {why}; check queue.url, and that the folder or the server is there and open to this user"
    )]
    Unreachable { place: String, why: String },
    #[error(
        "the queue at {place} was locked by another process for more than {seconds} s; find out who holds it (`fuser {place}`)"
    )]
    Busy { place: String, seconds: u64 },
    #[error(
        "the queue at {place} is full; make room on its disk, or raise maxmemory of Redis; nothing that was acknowledged is lost"
    )]
    Full { place: String },
    #[error(
        "the queue at {place} is damaged: {why}; restore it or move it away, the next recovery lists everything again"
    )]
    Corrupt { place: String, why: String },
    #[error(
        "the queue at {place} holds the work of the Zoom account {theirs}, and zoom.account_id is {ours}: its meetings are not this account's to recover; give each account a queue of its own, as another file or ?prefix=NAME in the Redis URL"
    )]
    OtherAccount { place: String, theirs: String, ours: String },
    #[error(
        "the queue at {place} was made by a newer version of Recapture; use that one, or another queue.url"
    )]
    Newer { place: String },
    #[error(
        "the queue at {place} cannot be written: {why}; check the permissions of the file and its folder"
    )]
    Unwritable { place: String, why: String },
    #[error(
        "the queue at {place} refuses this user: {why}; check user and password in queue.url, and the user's rights"
    )]
    Refused { place: String, why: String },
    #[error("the queue at {place} may lose jobs: {why}")]
    Unsafe { place: String, why: String },
    #[error("the queue at {place} failed: {why}")]
    Failed { place: String, why: String },
    #[error("there is no run {0}; `recapture status` lists them")]
    UnknownRun(RunId),
    #[error("run {0} exists already")]
    RunExists(RunId),
    #[error("run {run} is {state} and takes no more meetings", state = .state.as_str())]
    RunOver { run: RunId, state: RunState },
    #[error("a run cannot end as {}", .0.as_str())]
    NoEnd(RunState),
    #[error("a failed job is settled as dead, with its cause, so that it can be retried")]
    FailedWithoutCause,
    #[error("the queue has been closed in this process")]
    Closed,
}

impl QueueError {
    /// Whether waiting can help; what is not transient ends a worker pool. So does a `Failed` that stays the same.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Busy { .. }
            | Self::Full { .. }
            | Self::Unwritable { .. }
            | Self::Refused { .. }
            | Self::Unsafe { .. }
            | Self::Failed { .. } => true,
            Self::BadUrl { .. }
            | Self::Corrupt { .. }
            | Self::Newer { .. }
            | Self::OtherAccount { .. }
            | Self::UnknownRun(_)
            | Self::RunExists(_)
            | Self::RunOver { .. }
            | Self::NoEnd(_)
            | Self::FailedWithoutCause
            | Self::Closed => false,
        }
    }
}
