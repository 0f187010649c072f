//! What is seen while a recovery runs: bars on a terminal, a line now and then elsewhere. On stderr.

use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use chrono::Utc;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use recapture_core::queue::WorkLeft;
use recapture_core::run::Counts;

use super::output;
use crate::producer;

/// How often a line is written where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Display {
    began: Instant,
    face: Face,
}

enum Face {
    Bars { listing: ProgressBar, meetings: ProgressBar, _all: MultiProgress },
    Lines { last: Mutex<Option<Instant>>, listing: Mutex<Option<producer::Progress>> },
    Nothing,
}

/// What there is to show of the work.
pub(super) struct Work<'a> {
    pub(super) counts: &'a Counts,
    pub(super) left: &'a WorkLeft,
    /// Bytes that this process received.
    pub(super) received: u64,
}

impl Display {
    pub(super) fn new(quiet: bool) -> Self {
        let face = match () {
            () if quiet => Face::Nothing,
            () if std::io::stderr().is_terminal() => bars(),
            () => Face::Lines { last: Mutex::default(), listing: Mutex::default() },
        };
        Self { began: Instant::now(), face }
    }

    pub(super) fn listing(&self, progress: &producer::Progress) {
        match &self.face {
            Face::Bars { listing, .. } => {
                listing.set_length(progress.slices as u64);
                listing.set_position(progress.slice as u64 - 1);
                listing.set_message(format!(
                    "{} meetings · {}",
                    output::grouped(progress.listed),
                    progress.listing
                ));
            }
            Face::Lines { listing, .. } => {
                *listing.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(progress.clone());
            }
            Face::Nothing => {}
        }
    }

    pub(super) fn listed(&self) {
        match &self.face {
            Face::Bars { listing, .. } => listing.finish(),
            Face::Lines { listing, .. } => {
                *listing.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
            }
            Face::Nothing => {}
        }
    }

    pub(super) fn work(&self, work: &Work) {
        let done = work.counts.detected - work.counts.pending.min(work.counts.detected);
        let words = self.words(work, done);
        match &self.face {
            Face::Bars { meetings, .. } => {
                meetings.set_length(work.counts.detected);
                meetings.set_position(done);
                meetings.set_message(words);
            }
            Face::Lines { last, listing } => {
                let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let anything = work.counts.listed > 0;
                if anything && last.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
                    *last = Some(Instant::now());
                    let listing = listing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    let listing = listing
                        .as_ref()
                        .map(|at| format!("listing {}/{}: {}; ", at.slice, at.slices, at.listing));
                    say(&format!(
                        "{}{done} of {} meetings; {words}",
                        listing.unwrap_or_default(),
                        work.counts.detected
                    ));
                }
            }
            Face::Nothing => {}
        }
    }

    fn words(&self, work: &Work, done: u64) -> String {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let open = work.left.ready + work.left.leased + work.left.retrying;
        // Workers elsewhere tell what they received when a meeting ends.
        let received = work.received.max(work.counts.bytes);
        let (rate, received_a_second) = (tenths_a_second(done, ms), output::bytes(received * 1000 / ms));
        let mut words = format!("{rate}/s · {} · {received_a_second}/s", output::bytes(received));
        if done > 0 && open > 0 {
            let left = i64::try_from(ms.saturating_mul(open) / done).unwrap_or(i64::MAX / 2);
            let _ = write!(words, " · {} left", output::length(chrono::Duration::milliseconds(left)));
        }
        let Counts { failed, unavailable, expired, .. } = work.counts;
        if failed + unavailable + expired > 0 {
            let _ = write!(words, " · {failed} failed, {unavailable} unavailable, {expired} expired");
        }
        if work.left.held > 0 {
            let held = output::grouped(work.left.held);
            let _ = write!(words, " · {held} held by a pause until `recapture resume`");
        }
        if let Some(deadline) = work.left.nearest_deadline {
            let _ = write!(words, " · nearest deadline in {}", output::length(deadline - Utc::now()));
        }
        words
    }

    /// Leaves the screen as it is.
    pub(super) fn end(&self) {
        if let Face::Bars { listing, meetings, .. } = &self.face {
            listing.finish_and_clear();
            meetings.finish_and_clear();
        }
    }
}

/// `done` in `ms` as a rate with one digit behind the point.
fn tenths_a_second(done: u64, ms: u64) -> String {
    let tenths = done * 10_000 / ms;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn bars() -> Face {
    let style = |template: &str| {
        ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸─")
    };
    let all = MultiProgress::new();
    let listing = all.add(ProgressBar::new(1));
    listing.set_style(style("{prefix:10} {bar:24} {pos:>6}/{len:6} {wide_msg}"));
    listing.set_prefix("listing");
    let meetings = all.add(ProgressBar::new(0));
    meetings.set_style(style("{prefix:10} {bar:24.green} {pos:>6}/{len:6} {wide_msg}"));
    meetings.set_prefix("recovering");
    Face::Bars { listing, meetings, _all: all }
}

/// A line for people on stderr.
#[allow(clippy::print_stderr, reason = "progress is shown on stderr")]
pub(super) fn say(line: &str) {
    eprintln!("{line}");
}
