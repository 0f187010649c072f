//! A job in a worker's hands: the lease, what can become of it, and how the queue answers.

use std::fmt;

use chrono::{DateTime, Utc};

use super::job::JobPayload;
use crate::meeting::MeetingUuid;
use crate::reason::{Cause, Outcome};
use crate::run::RunId;

/// One worker process, new at each start: a process that was restarted is not the one that died.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkerId(String);

impl WorkerId {
    /// `host-pid-random`.
    pub fn new() -> Self {
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        Self(format!("{host}-{}-{:08x}", std::process::id(), fastrand::u32(..)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for WorkerId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long a job rests after the end of a lease that its worker let end: less than a second, and not at all the first time.
///
/// Each job rests for as long as its UUID says, and differently after each start. Jobs that died with one worker would be
/// taken by one worker together again: whatever kills workers regularly could meet the same innocent jobs each time, until
/// their starts are used up. `exchange.lua` says the same.
pub(in crate::queue) fn rest(starts: u32, uuid: &MeetingUuid) -> chrono::Duration {
    if starts < 2 {
        return chrono::Duration::zero();
    }
    let share: u32 = uuid.as_str().bytes().map(u32::from).sum();
    chrono::Duration::milliseconds(i64::from((share % 16 + 7 * (starts % 16)) % 16 * 60))
}

/// The right to work on a job until an instant, and the token that proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub uuid: MeetingUuid,
    /// Given out once, ever.
    pub fence: u64,
    pub worker: WorkerId,
    /// By the queue's clock.
    pub until: DateTime<Utc>,
}

/// A job that was claimed. Its start is counted already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    pub payload: JobPayload,
    pub lease: Lease,
    /// This one included.
    pub starts: u32,
    pub owner: RunId,
    /// Every run in whose books it is pending; the owner is among them.
    pub runs: Vec<RunId>,
}

/// What became of the wish to keep a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtendOutcome {
    Held {
        until: DateTime<Utc>,
    },
    /// It ran out, passed to another worker, or the job was cancelled. The holder stops and writes nothing more.
    Lost,
}

/// What was stored anew under a lease: added to the books of every run that wants the job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    pub files: u64,
    pub bytes: u64,
}

/// How a holder gives a job back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    pub fate: Fate,
    pub moved: Moved,
}

/// What becomes of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is over. Any outcome but `Failed`, which is `Dead` with its cause.
    Finish { outcome: Outcome },
    /// It failed and may succeed later; dead if its starts are used up.
    Retry { at: DateTime<Utc>, cause: Cause },
    /// It cannot be done yet, which is nobody's failure: the start is given back.
    Snooze { until: DateTime<Utc>, cause: Cause },
    /// The worker goes; the start is given back.
    Release,
    /// It was refused for good.
    Dead { cause: Cause },
}

impl Fate {
    pub fn moved(self, files: u64, bytes: u64) -> Settlement {
        Settlement { fate: self, moved: Moved { files, bytes } }
    }
}

impl From<Fate> for Settlement {
    fn from(fate: Fate) -> Self {
        Self { fate, moved: Moved::default() }
    }
}

/// What an exchange brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchanged {
    /// In the order of what was given back.
    pub settled: Vec<Settled>,
    pub claimed: Vec<Claimed>,
}

/// How the queue took a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Done,
    /// The lease was not held any more: nothing was changed, nothing counted.
    Lost,
    /// A retry whose starts are used up: the job is dead.
    Died,
}
