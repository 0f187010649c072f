//! THE place that decides what becomes of an error: one match, without a wildcard.
//!
//! | disposition | what happens to the job | costs an attempt |
//! | --- | --- | --- |
//! | `Retry` | tried again in place (at most [`IN_PLACE`] times within half a minute), then later from the queue | yes |
//! | `Snooze` | waits on the queue until the instant | no |
//! | `NoRoom` | waits on the queue until its files may fit (`room.rs`) | no |
//! | `Gone` | finished: `unavailable`, or `expired` past its deadline | – |
//! | `Dead` | kept aside with its cause; `retry` takes it up again | – |
//! | `Outage` | tried again in place; what lasts longer halts the pool | no |
//! | `Halt` | goes back unharmed, and this pool stops: no meeting would fare better | no |
//! | `Release` | goes back unharmed | no |
//! | `Nothing` | another worker owns it | no |
//!
//! `docs/failures.md` shows the table of every error; a test compares the two.

use std::time::Duration;

use chrono::{DateTime, Utc};
use recapture_core::buffer::BufferError;
use recapture_core::contacts::ContactsError;
use recapture_core::http;
use recapture_core::zoom::{DownloadError, ZoomError};

use crate::error::StepError;

/// How often a step is tried again in place.
pub const IN_PLACE: usize = 3;

/// How often during an outage, over some twenty seconds: most are over by then.
pub const IN_PLACE_OUTAGE: usize = 6;

/// A wait that is longer than this is spent on the queue.
pub const LONGEST_IN_PLACE: Duration = Duration::from_secs(30);

const FIRST_DELAY: Duration = Duration::from_secs(5);
const LONGEST_DELAY: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// `not_before`: the server's own wish.
    Retry {
        not_before: Option<DateTime<Utc>>,
    },
    /// Until the instant; `None`: as long as `zoom.processing_poll` says.
    Snooze {
        until: Option<DateTime<Utc>>,
    },
    /// Smaller meetings may fare better.
    NoRoom,
    Gone,
    Dead,
    /// `not_before`: the server's own wish.
    Outage {
        not_before: Option<DateTime<Utc>>,
    },
    Halt,
    Release,
    Nothing,
}

use Disposition::{Dead, Gone, Halt, NoRoom, Nothing, Outage, Release, Retry, Snooze};

const RETRY: Disposition = Retry { not_before: None };

pub fn decide(error: &StepError) -> Disposition {
    match error {
        StepError::Zoom(error) => of_zoom(error),
        StepError::Download { error, .. } => of_download(error),
        StepError::Buffer(error) => of_buffer(error),
        StepError::Contacts(error) => of_contacts(error),
        StepError::SizeDiffers { .. } | StepError::FingerprintDiffers { .. } | StepError::Panicked(_) => {
            RETRY
        }
        StepError::Processing => Snooze { until: None },
        StepError::LeaseLost => Nothing,
        StepError::Stopping => Release,
    }
}

fn of_zoom(error: &ZoomError) -> Disposition {
    match error {
        ZoomError::RateLimited { until, .. } => Snooze { until: Some(*until) },
        ZoomError::Unauthorized(_) | ZoomError::ScopeMissing(_) => Halt,
        ZoomError::NotFound(_) => Gone,
        ZoomError::Server { retry_after, .. } => Retry { not_before: *retry_after },
        // Without Zoom's API no meeting can be begun; burning every meeting's attempts would not bring it back.
        ZoomError::Transport { .. } => Outage { not_before: None },
        ZoomError::Unreadable { .. } | ZoomError::PageTokenExpired(_) | ZoomError::TokenRefused(_) => RETRY,
        ZoomError::Refused(_) => Dead,
    }
}

fn of_download(error: &DownloadError) -> Disposition {
    match error {
        // What the configuration forbids does not become allowed by trying again.
        DownloadError::ForeignHost { .. } | DownloadError::RedirectLoop { .. } => Dead,
        DownloadError::Gone { .. } => Gone,
        // A download's host is one of many: its trouble is this file's.
        DownloadError::Zoom(ZoomError::Transport { .. })
        | DownloadError::AddressExpired { .. }
        | DownloadError::Truncated { .. }
        | DownloadError::Stalled { .. }
        | DownloadError::TooSlow { .. }
        | DownloadError::NotTheFile { .. } => RETRY,
        DownloadError::Zoom(error) => of_zoom(error),
    }
}

fn of_buffer(error: &BufferError) -> Disposition {
    match error {
        BufferError::Full { .. } => NoRoom,
        BufferError::Unwritable { .. } | BufferError::Absent { .. } | BufferError::Refused { .. } => Halt,
        // Without the store no meeting can be kept, and often it is back in a moment.
        BufferError::Unreachable { .. } => Outage { not_before: None },
        BufferError::Failed { .. } => RETRY,
        BufferError::TakenOver { .. } => Nothing,
        // Somebody else's file, or a newer version's: never overwritten.
        BufferError::UnreadableManifest { .. } => Dead,
    }
}

fn of_contacts(error: &ContactsError) -> Disposition {
    match error {
        // Without the platform's word no meeting can be finished, and often it is back in a moment.
        ContactsError::Unreachable { .. }
        | ContactsError::Late { .. }
        | ContactsError::Unreadable { .. }
        | ContactsError::Busy { .. }
        | ContactsError::Failed { .. } => Outage { not_before: None },
        ContactsError::Server { retry_after, .. } => Outage { not_before: *retry_after },
        ContactsError::Unauthorized { .. }
        | ContactsError::LogInRefused { .. }
        | ContactsError::Denied { .. }
        | ContactsError::Full { .. }
        | ContactsError::Unwritable { .. }
        | ContactsError::Corrupt { .. } => Halt,
        ContactsError::Refused { .. }
        | ContactsError::NotAContact { .. }
        | ContactsError::NotACursor
        | ContactsError::NotOffered { .. } => Dead,
    }
}

/// For how long no meeting would fare better, if Zoom has closed the door for longer than a worker holds a meeting: the
/// daily limit, most of all. The pool begins nothing until then, instead of taking every job up to put it back. What a
/// download's host says is about that download: whoever a redirect leads to must not close the pool.
pub fn closed_for(error: &StepError, now: DateTime<Utc>) -> Option<Duration> {
    let StepError::Zoom(ZoomError::RateLimited { until, .. }) = error else { return None };
    let wait = (*until - now).to_std().ok().filter(|wait| *wait > LONGEST_IN_PLACE)?;
    Some(wait.min(http::LONGEST_WAIT))
}

/// When a job that failed for the `starts`-th time runs again: doubling from five seconds to five minutes, spread over
/// the second half so that many meetings that failed together do not come back together.
pub fn delay(starts: u32, chance: f64) -> Duration {
    let doubled = FIRST_DELAY.saturating_mul(1u32 << starts.saturating_sub(1).min(16));
    doubled.min(LONGEST_DELAY).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}
