//! The closed list of reasons why a meeting or a file is not recovered, and of the outcomes of a meeting.
//!
//! Scripts and auditors match on these words: one may be added, none may change its meaning. `docs/reasons.md`
//! holds the same list; a test compares the two.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How the recovery of one detected meeting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every file that Zoom still has is in the buffer and verified, and the contact is registered.
    Recovered,
    /// Given up after `queue.max_attempts` starts, or refused for good; `retry` takes it up again.
    Failed,
    /// Zoom itself has no file to give.
    Unavailable,
    /// Gone from Zoom after its deadline had passed.
    Expired,
}

impl Outcome {
    pub const ALL: [Self; 4] = [Self::Recovered, Self::Failed, Self::Unavailable, Self::Expired];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::Failed => "failed",
            Self::Unavailable => "unavailable",
            Self::Expired => "expired",
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// Why a meeting or a file is not recovered, or not yet.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Reason { $($(#[doc = $doc])+ #[serde(rename = $word)] $name,)+ }

        impl Reason {
            /// Every reason with its word and its explanation, in the order of the documentation.
            pub const ALL: &'static [(Self, &'static str, &'static str)] =
                &[$((Self::$name, $word, concat!($($doc),+)),)+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

reasons! {
    /// Zoom is still making the archive; the meeting waits on the queue.
    ArchiveProcessing = "archive_processing",
    /// The archive is complete and holds no file.
    ArchiveEmpty = "archive_empty",
    /// Zoom reports that it failed to make this file, or every file of the meeting.
    ArchiveFailed = "archive_failed",
    /// Zoom no longer knows the meeting or the file, before its deadline.
    Gone = "gone",
    /// Gone from Zoom, and its deadline had passed.
    RetentionOver = "retention_over",
    /// Zoom lists the file without an address to fetch it from (on-premise storage).
    NoAddress = "no_address",
    /// Zoom's rate limit; the meeting waits on the queue.
    Throttled = "throttled",
    /// Zoom answered with an error of its own (5xx).
    ZoomError = "zoom_error",
    /// Zoom's answer could not be read.
    ZoomUnreadable = "zoom_unreadable",
    /// Zoom refused the request for good.
    ZoomRefused = "zoom_refused",
    /// Zoom refused the credentials or a scope is missing; the pool pauses.
    Unauthorized = "unauthorized",
    /// A connection failed, was reset or timed out.
    Network = "network",
    /// A body ended before its announced length.
    Truncated = "truncated",
    /// A body stopped arriving.
    Stalled = "stalled",
    /// What came is not the file: an HTML page, a wrong container, unreadable JSON.
    NotTheFile = "not_the_file",
    /// The bytes differ from Zoom's fingerprint, and `zoom.fingerprint = "require"`.
    FingerprintDiffers = "fingerprint_differs",
    /// A download led to a host or scheme that the configuration does not allow.
    ForeignHost = "foreign_host",
    /// The capture buffer cannot be written (permissions, a folder in the way).
    BufferUnwritable = "buffer_unwritable",
    /// The capture buffer is full; the meeting waits on the queue.
    BufferFull = "buffer_full",
    /// The contact database or data access service cannot be reached or answered with an error.
    ContactsUnreachable = "contacts_unreachable",
    /// The data access service refused the contact or the credentials.
    ContactsRefused = "contacts_refused",
    /// The job's payload on the queue cannot be read, or is of an unknown version.
    PayloadUnreadable = "payload_unreadable",
    /// The worker died while it held the job, `queue.max_attempts` times.
    WorkerDied = "worker_died",
    /// The job panicked: a defect of Recapture; please report it.
    Panicked = "panicked",
    /// The worker is stopping; the job went back unharmed.
    Draining = "draining",
    /// The lease passed to another worker.
    LeaseLost = "lease_lost",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A reason with the evidence for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    pub reason: Reason,
    /// What happened, for a person: no secrets, no signed addresses.
    pub detail: String,
    /// HTTP status, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Zoom's error code, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Zoom's `x-zm-trackingid`: what its support asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_id: Option<String>,
}

impl Cause {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), status: None, code: None, tracking_id: None }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The detail is an error's own text, which has told status, code and tracking id already.
        write!(f, "{}: {}", self.reason, self.detail)
    }
}
