//! One trace a meeting, from its listing to its registration, over all processes that take part in it.
//!
//! ```text
//!   detect ─┬─ list            Zoom is asked for the page that names the meeting       ┐ producer
//!           ├─ decide          the platform is asked for it, and it goes on the queue  ┘
//!           └─ meeting         a start of its job                                      ┐
//!                ├─ metadata   ├─ ingest   ├─ download (each file)   └─ register       ┘ a worker, wherever it runs
//! ```
//!
//! What joins them is the job: the ids of the trace and of its first span follow from the run and the meeting that every
//! job names, so there is nothing else to carry, on either queue. A job that is tried again, by another worker or a week
//! later, is in the same trace; one that passes to another run goes on in a trace of that run.
//!
//! Without the feature `otlp`, and without `telemetry.otlp_url`, nothing here does anything.

use std::time::SystemTime;

use tracing::Span;

use crate::meeting::MeetingUuid;
use crate::run::RunId;

/// A meeting that was put on the queue.
pub struct Detected<'a> {
    pub run: &'a RunId,
    pub meeting: &'a MeetingUuid,
    pub verdict: &'a str,
    /// When Zoom was asked for the page that names it.
    pub listed: SystemTime,
    /// When the platform was asked for it.
    pub compared: SystemTime,
}

/// Begins the trace of a meeting.
#[cfg_attr(not(feature = "otlp"), allow(unused_variables, reason = "there are no traces"))]
pub fn detected(detected: &Detected<'_>) {
    #[cfg(feature = "otlp")]
    crate::telemetry::otlp::detected(detected);
}

/// Makes a span, which was not entered yet, a part of the meeting's trace.
#[cfg_attr(not(feature = "otlp"), allow(unused_variables, reason = "there are no traces"))]
pub fn join(span: &Span, run: &RunId, meeting: &MeetingUuid) {
    #[cfg(feature = "otlp")]
    crate::telemetry::otlp::join(span, run, meeting);
}
