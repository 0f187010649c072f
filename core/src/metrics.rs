//! What can be measured: every metric's name, kind and meaning, in one place.
//!
//! The names are part of the outside contract: dashboards and alerts rely on them. Whoever counts calls a function of
//! this module; whether anybody listens is decided by the process (`recapture-worker` and `recapture serve` do).

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::config::Category;
use crate::meeting::FileKind;
use crate::reason::Outcome;

/// Seconds of a meeting's recovery: from a text file to hours of video.
pub const JOB_SECONDS: &str = "recapture_job_seconds";
pub const JOB_SECONDS_BUCKETS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0];

/// Seconds of waiting for Zoom's rate limit.
pub const LIMIT_WAIT_SECONDS: &str = "recapture_limit_wait_seconds";
pub const LIMIT_WAIT_BUCKETS: [f64; 8] = [0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

const MEETINGS: &str = "recapture_meetings_total";
const ATTEMPTS: &str = "recapture_attempts_total";
const FILES: &str = "recapture_files_total";
const DOWNLOAD_BYTES: &str = "recapture_download_bytes_total";
const ZOOM_REQUESTS: &str = "recapture_zoom_requests_total";
const ZOOM_THROTTLED: &str = "recapture_zoom_throttled_total";
const QUEUE_UP: &str = "recapture_queue_up";
const QUEUE_JOBS: &str = "recapture_queue_jobs";
const NEAREST_DEADLINE: &str = "recapture_nearest_deadline_seconds";
const OLDEST_MISSING: &str = "recapture_oldest_missing_seconds";
const UNCOVERED: &str = "recapture_uncovered_seconds";
const ABANDONED: &str = "recapture_abandoned_seconds";
const SOURCE_SILENT: &str = "recapture_source_silent_seconds";
const ON_DUTY: &str = "recapture_on_duty";
const PASSES: &str = "recapture_passes_total";
const LOST_SOON: &str = "recapture_lost_within_24h";
const LEASES_LOST: &str = "recapture_leases_lost_total";
const POOL_HALTED: &str = "recapture_pool_halted";
const WAITING_FOR_ROOM: &str = "recapture_waiting_for_room";

/// What becomes of starts besides the outcomes of meetings.
const DISPOSITIONS: [&str; 5] = ["retry", "snooze", "release", "dead", "lost"];

const PASS_OUTCOMES: [&str; 5] = ["covered", "unproven", "stopped", "failed", "idle"];

const FILE_OUTCOMES: [&str; 2] = ["stored", "unavailable"];

pub const JOB_STATES: [&str; 5] = ["ready", "leased", "delayed", "held", "dead"];

/// Tells a recorder what each metric means, and begins every counter whose labels are known at 0: the rise from nothing
/// to something is what alerts ask for, and a counter that is born with its first event has no such rise. Called once,
/// after the recorder is installed.
pub fn begin() {
    describe();
    for outcome in Outcome::ALL {
        counter!(MEETINGS, "outcome" => outcome.as_str()).increment(0);
        counter!(ATTEMPTS, "disposition" => outcome.as_str()).increment(0);
    }
    for disposition in DISPOSITIONS {
        counter!(ATTEMPTS, "disposition" => disposition).increment(0);
    }
    for kind in FileKind::ALL {
        for outcome in FILE_OUTCOMES {
            counter!(FILES, "kind" => kind.as_str(), "outcome" => outcome).increment(0);
        }
    }
    for category in Category::ALL {
        for kind in ["rate", "daily"] {
            counter!(ZOOM_THROTTLED, "category" => category.as_str(), "type" => kind).increment(0);
        }
    }
    for outcome in PASS_OUTCOMES {
        counter!(PASSES, "outcome" => outcome).increment(0);
    }
    counter!(DOWNLOAD_BYTES).increment(0);
    counter!(LEASES_LOST).increment(0);
    pool_halted(false);
    // Until the first look nothing is known of it.
    queue_is_away();
}

fn describe() {
    describe_counter!(MEETINGS, "Meetings that came to an end, by outcome");
    describe_histogram!(JOB_SECONDS, Unit::Seconds, "Time from a job's start to its settlement");
    describe_counter!(ATTEMPTS, "Starts of jobs, by what became of them");
    describe_counter!(FILES, "Files, by kind and outcome");
    describe_counter!(DOWNLOAD_BYTES, Unit::Bytes, "Bytes of files received");
    describe_counter!(ZOOM_REQUESTS, "Requests to Zoom's API, by endpoint and HTTP status");
    describe_counter!(ZOOM_THROTTLED, "Answers 429 of Zoom, by category and type of limit");
    describe_histogram!(LIMIT_WAIT_SECONDS, Unit::Seconds, "Time that requests waited for Zoom's rate limit");
    describe_gauge!(QUEUE_UP, "1 if the queue answered when this was asked for, else 0");
    describe_gauge!(QUEUE_JOBS, "Jobs on the queue, by state; NaN while the queue does not answer");
    describe_gauge!(NEAREST_DEADLINE, Unit::Seconds, "Time until Zoom deletes the next meeting that waits");
    describe_gauge!(OLDEST_MISSING, Unit::Seconds, "How long the oldest unfinished meeting has waited");
    describe_gauge!(
        UNCOVERED,
        Unit::Seconds,
        "Age of the oldest time that automatic recovery has not covered"
    );
    describe_gauge!(
        ABANDONED,
        Unit::Seconds,
        "How much time automatic recovery did not list while Zoom kept it"
    );
    describe_gauge!(
        SOURCE_SILENT,
        Unit::Seconds,
        "How long Zoom has listed nothing where it has listed meetings, 0 if it lists"
    );
    describe_gauge!(ON_DUTY, "1 where this process makes automatic recovery, else 0");
    describe_counter!(PASSES, "Passes of automatic recovery, by outcome");
    describe_gauge!(LOST_SOON, "Waiting meetings that Zoom deletes within 24 hours");
    describe_counter!(LEASES_LOST, "Leases that ran out or passed to another worker under work");
    describe_gauge!(POOL_HALTED, "1 while the pool begins no meeting because none would fare better now");
    describe_gauge!(
        WAITING_FOR_ROOM,
        "Meetings that this process put back because the capture buffer has no room for them"
    );
}

pub fn meeting_ended(outcome: Outcome) {
    counter!(MEETINGS, "outcome" => outcome.as_str()).increment(1);
}

/// `disposition` is what became of the start: `recovered`, `retry`, `snooze`, …
pub fn attempt_ended(disposition: &'static str, took: Duration) {
    counter!(ATTEMPTS, "disposition" => disposition).increment(1);
    histogram!(JOB_SECONDS).record(took.as_secs_f64());
}

pub fn file_ended(kind: &'static str, outcome: &'static str) {
    counter!(FILES, "kind" => kind, "outcome" => outcome).increment(1);
}

pub fn bytes_received(count: u64) {
    counter!(DOWNLOAD_BYTES).increment(count);
}

/// `status` is 0 where there was no answer.
pub fn zoom_answered(endpoint: &'static str, status: u16) {
    counter!(ZOOM_REQUESTS, "endpoint" => endpoint, "status" => status.to_string()).increment(1);
}

pub fn zoom_throttled(category: &'static str, daily: bool) {
    let kind = if daily { "daily" } else { "rate" };
    counter!(ZOOM_THROTTLED, "category" => category, "type" => kind).increment(1);
}

pub fn limit_waited(wait: Duration) {
    histogram!(LIMIT_WAIT_SECONDS).record(wait.as_secs_f64());
}

pub fn lease_lost() {
    counter!(LEASES_LOST).increment(1);
}

pub fn pool_halted(halted: bool) {
    gauge!(POOL_HALTED).set(f64::from(u8::from(halted)));
}

#[allow(clippy::cast_precision_loss, reason = "gauges are floats")]
pub fn waiting_for_room(meetings: usize) {
    gauge!(WAITING_FOR_ROOM).set(meetings as f64);
}

/// The queue does not answer. What it told before is true no more, and a deadline that stands still would never be near:
/// the gauges of the queue are no numbers until it answers again.
pub fn queue_is_away() {
    gauge!(QUEUE_UP).set(0.0);
    for state in JOB_STATES {
        gauge!(QUEUE_JOBS, "state" => state).set(f64::NAN);
    }
    for name in [NEAREST_DEADLINE, OLDEST_MISSING, LOST_SOON] {
        gauge!(name).set(f64::NAN);
    }
}

/// Sets the gauges of the queue: jobs by state, seconds to the nearest deadline, seconds that the oldest job waits.
/// Without an unfinished job the deadline is infinitely far away, so that an alert on a small value is quiet.
#[allow(clippy::cast_precision_loss, reason = "gauges are floats")]
pub fn queue_looked_at(jobs: [u64; JOB_STATES.len()], nearest_deadline: Option<f64>, oldest: Option<f64>) {
    gauge!(QUEUE_UP).set(1.0);
    for (state, count) in JOB_STATES.into_iter().zip(jobs) {
        gauge!(QUEUE_JOBS, "state" => state).set(count as f64);
    }
    gauge!(NEAREST_DEADLINE).set(nearest_deadline.unwrap_or(f64::INFINITY));
    gauge!(OLDEST_MISSING).set(oldest.unwrap_or(0.0));
}

/// How far back the oldest interval begins that should be covered by now, in one dimension of time, and how much was
/// not covered while Zoom kept it.
#[allow(clippy::cast_precision_loss, reason = "gauges are floats")]
pub fn coverage_looked_at(dimension: &'static str, uncovered: u64, abandoned: u64) {
    gauge!(UNCOVERED, "dimension" => dimension).set(uncovered as f64);
    gauge!(ABANDONED, "dimension" => dimension).set(abandoned as f64);
}

/// Since when Zoom lists nothing where it has listed meetings, in seconds; 0 if it lists.
#[allow(clippy::cast_precision_loss, reason = "gauges are floats")]
pub fn source_silent(seconds: u64) {
    gauge!(SOURCE_SILENT).set(seconds as f64);
}

pub fn on_duty(is: bool) {
    gauge!(ON_DUTY).set(u8::from(is));
}

/// `outcome` is `covered`, `unproven`, `stopped`, `failed` or `idle`.
pub fn pass_ended(outcome: &'static str) {
    counter!(PASSES, "outcome" => outcome).increment(1);
}

/// Waiting meetings that Zoom deletes within a day.
#[allow(clippy::cast_precision_loss, reason = "gauges are floats")]
pub fn lost_soon(meetings: u64) {
    gauge!(LOST_SOON).set(meetings as f64);
}
