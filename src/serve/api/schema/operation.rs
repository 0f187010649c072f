//! What is answered of the service as a whole.

use chrono::{DateTime, Utc};
use recapture_core::period::Period;
use recapture_core::queue::Depth;
use serde::Serialize;
use utoipa::ToSchema;

/// What automatic recovery has covered.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Coverage {
    /// Whether this process takes part in automatic recovery.
    pub(in crate::serve) enabled: bool,
    /// The process that looks for missing meetings now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::serve) on_duty: Option<String>,
    /// From here on everything is to be covered; absent while nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::serve) since: Option<DateTime<Utc>>,
    /// Up to here everything should be covered by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::serve) until: Option<DateTime<Utc>>,
    pub(in crate::serve) dimensions: Vec<CoveredDimension>,
    /// Since when Zoom lists nothing where it has listed meetings.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::serve) silent_since: Option<DateTime<Utc>>,
    /// Why the ledger cannot be read; it is made again from evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::serve) unreadable: Option<String>,
}

/// Of one of Zoom's two dimensions of time.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct CoveredDimension {
    /// `meeting_start_time` or `archive_complete_time`.
    pub(in crate::serve) dimension: String,
    pub(in crate::serve) covered: Vec<Covered>,
    pub(in crate::serve) gaps: Vec<Span>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Covered {
    pub(in crate::serve) from: DateTime<Utc>,
    pub(in crate::serve) to: DateTime<Utc>,
    pub(in crate::serve) first_run: String,
    pub(in crate::serve) last_run: String,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(in crate::serve) struct Span {
    pub(in crate::serve) from: DateTime<Utc>,
    pub(in crate::serve) to: DateTime<Utc>,
}

impl From<Period> for Span {
    fn from(Period { from, to }: Period) -> Self {
        Self { from, to }
    }
}

/// Who holds what, and the queue as a whole.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Workers {
    pub(in crate::serve) queue: QueueDepth,
    /// Processes that hold at least one meeting.
    pub(in crate::serve) workers: Vec<Worker>,
    /// More is held than is told here.
    pub(in crate::serve) truncated: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Worker {
    pub(in crate::serve) worker: String,
    pub(in crate::serve) meetings: Vec<Held>,
}

/// A meeting in a worker's hands.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Held {
    pub(in crate::serve) meeting_uuid: String,
    pub(in crate::serve) recovery: String,
    /// This one included.
    pub(in crate::serve) starts: u32,
    /// When the lease ends, unless it is renewed.
    pub(in crate::serve) lease_until: DateTime<Utc>,
    /// When Zoom deletes the meeting.
    pub(in crate::serve) deadline: DateTime<Utc>,
}

/// The whole queue, in meetings.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct QueueDepth {
    ready: u64,
    leased: u64,
    delayed: u64,
    held: u64,
    dead: u64,
    paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    nearest_deadline: Option<DateTime<Utc>>,
}

impl From<Depth> for QueueDepth {
    fn from(depth: Depth) -> Self {
        let Depth { ready, leased, delayed, held, dead, paused, nearest_deadline, .. } = depth;
        Self { ready, leased, delayed, held, dead, paused, nearest_deadline }
    }
}
