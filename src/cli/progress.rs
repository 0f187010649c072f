//! What is seen while a recovery runs: bars on a terminal, a line now and then elsewhere. On stderr; what is logged
//! meanwhile scrolls by above the bars.

mod pace;

use std::io::{self, IsTerminal, Write as _};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use chrono::Utc;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use recapture_core::queue::WorkLeft;
use recapture_core::run::Counts;
use tracing_subscriber::fmt::MakeWriter;

use super::output;
use crate::producer;
use pace::Pace;

/// How often a line is written where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The bars of this process, while there are any.
static BARS: OnceLock<MultiProgress> = OnceLock::new();

pub(super) struct Display {
    pace: Mutex<Pace>,
    face: Face,
}

enum Face {
    Bars(Bars),
    Lines { last: Mutex<Option<Instant>>, listing: Mutex<Option<producer::Progress>> },
}

/// One a stage.
struct Bars {
    listing: ProgressBar,
    meetings: ProgressBar,
    files: ProgressBar,
}

/// What there is to show of the work.
pub(super) struct Work<'a> {
    pub(super) counts: &'a Counts,
    pub(super) left: &'a WorkLeft,
    /// Bytes that this process received.
    pub(super) received: u64,
}

impl Work<'_> {
    fn done(&self) -> u64 {
        self.counts.detected - self.counts.pending.min(self.counts.detected)
    }

    /// Workers elsewhere tell what they received when a meeting ends.
    fn received(&self) -> u64 {
        self.received.max(self.counts.bytes)
    }
}

impl Display {
    pub(super) fn new() -> Self {
        let face = if io::stderr().is_terminal() {
            Face::Bars(Bars::draw())
        } else {
            Face::Lines { last: Mutex::default(), listing: Mutex::default() }
        };
        Self { pace: Mutex::default(), face }
    }

    pub(super) fn listing(&self, progress: &producer::Progress) {
        match &self.face {
            Face::Bars(Bars { listing, .. }) => {
                listing.set_length(progress.slices as u64);
                listing.set_position(progress.slice as u64 - 1);
                listing.set_message(format!(
                    "{} meetings · {}",
                    output::grouped(progress.listed),
                    progress.listing
                ));
            }
            Face::Lines { listing, .. } => *lock(listing) = Some(progress.clone()),
        }
    }

    pub(super) fn listed(&self) {
        match &self.face {
            Face::Bars(Bars { listing, .. }) => listing.finish(),
            Face::Lines { listing, .. } => *lock(listing) = None,
        }
    }

    pub(super) fn work(&self, work: &Work) {
        let mut pace = lock(&self.pace);
        pace.see(Instant::now(), work.done(), work.received());
        match &self.face {
            Face::Bars(Bars { meetings, files, .. }) => {
                meetings.set_length(work.counts.detected);
                meetings.set_position(work.done());
                meetings.set_message(of_meetings(&pace, work));
                files.set_message(of_files(&pace, work));
            }
            Face::Lines { last, listing } => {
                let mut last = lock(last);
                if work.counts.listed == 0 || last.is_some_and(|at| at.elapsed() < LINE_EVERY) {
                    return;
                }
                *last = Some(Instant::now());
                let listing = lock(listing).as_ref().map_or_else(String::new, |at| {
                    format!("listing {}/{}: {}; ", at.slice, at.slices, at.listing)
                });
                say(&format!(
                    "{listing}{} of {} meetings; {} · {}",
                    work.done(),
                    work.counts.detected,
                    of_meetings(&pace, work),
                    of_files(&pace, work)
                ));
            }
        }
    }

    /// Leaves the screen as it is.
    pub(super) fn end(&self) {
        if let Face::Bars(Bars { listing, meetings, files }) = &self.face {
            for bar in [listing, meetings, files] {
                bar.finish_and_clear();
            }
        }
    }
}

/// The rate, the time left, and what somebody should know.
fn of_meetings(pace: &Pace, work: &Work) -> String {
    let mut words = vec![format!("{:.1}/s", pace.meetings_a_second())];
    let WorkLeft { ready, leased, retrying, held, nearest_deadline, .. } = *work.left;
    if let Some(left) = pace.time_for(ready + leased + retrying) {
        words.push(format!("{} left", output::length(left)));
    }
    let Counts { failed, unavailable, expired, .. } = *work.counts;
    if failed + unavailable + expired > 0 {
        words.push(format!("{failed} failed, {unavailable} unavailable, {expired} expired"));
    }
    if retrying > 0 {
        words.push(format!("{} to be tried again", output::grouped(retrying)));
    }
    if held > 0 {
        words.push(format!("{} held by a pause until `recapture resume`", output::grouped(held)));
    }
    if let Some(deadline) = nearest_deadline {
        words.push(format!("nearest deadline in {}", output::length(deadline - Utc::now())));
    }
    words.join(" · ")
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people")]
fn of_files(pace: &Pace, work: &Work) -> String {
    let (all, rate) = (output::bytes(work.received()), output::bytes(pace.bytes_a_second().max(0.0) as u64));
    format!("{all} · {rate}/s · {} meetings in hand", work.left.leased)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Bars {
    fn draw() -> Self {
        let all = BARS.get_or_init(MultiProgress::new);
        let bar = |stage: &'static str, length, template: &str| {
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = all.add(ProgressBar::new(length));
            bar.set_style(style.progress_chars("━╸─"));
            bar.set_prefix(stage);
            bar
        };
        Self {
            listing: bar("listing", 1, "{prefix:12} {bar:24} {pos:>6}/{len:6} {wide_msg}"),
            meetings: bar("recovering", 0, "{prefix:12} {bar:24.green} {pos:>6}/{len:6} {wide_msg}"),
            files: bar("downloading", 0, "{prefix:12} {wide_msg}"),
        }
    }
}

/// Writes a line for people on stderr, above the bars if there are any.
pub(super) fn say(line: &str) {
    // Nobody is left to be told.
    let _ = writeln!(AboveBars, "{line}");
}

/// Where logs go: stderr, above the bars.
#[derive(Clone, Copy)]
pub(super) struct AboveBars;

impl io::Write for AboveBars {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let write = || io::stderr().lock().write_all(text);
        match BARS.get() {
            Some(bars) => bars.suspend(write),
            None => write(),
        }?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}
