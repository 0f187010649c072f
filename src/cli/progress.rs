//! What is seen while a recovery runs: bars on a terminal, a line now and then elsewhere. On stderr; what is logged
//! meanwhile scrolls by above the bars.

use std::io::{self, IsTerminal, Write as _};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use chrono::Utc;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use recapture_core::queue::WorkLeft;
use recapture_core::run::Counts;
use tracing_subscriber::fmt::MakeWriter;

use super::output;
use crate::pace::Pace;
use crate::producer;

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

    /// Bytes in the end, if what is left is like what was recovered so far.
    fn expected(&self) -> Option<u64> {
        let Counts { recovered, pending, bytes, .. } = *self.counts;
        let left = bytes.checked_div(recovered)?.saturating_mul(pending);
        Some(bytes.saturating_add(left).max(self.received()))
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
                files.set_length(work.expected().unwrap_or_default());
                files.set_position(work.received());
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
    let expected = work.expected().filter(|_| work.counts.pending > 0);
    let expected = expected.map_or_else(String::new, |bytes| format!(" of about {}", output::bytes(bytes)));
    format!("{all}{expected} · {rate}/s · {} meetings in hand", work.left.leased)
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
            files: bar("downloading", 0, "{prefix:12} {bar:24.blue} {wide_msg}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_still_to_come_is_like_what_came() {
        let left = WorkLeft { ready: 30, leased: 2, ..WorkLeft::default() };
        let expected = |recovered, pending, bytes, received| {
            let counts =
                Counts { detected: recovered + pending, recovered, pending, bytes, ..Counts::default() };
            Work { counts: &counts, left: &left, received }.expected()
        };
        assert_eq!(expected(0, 40, 0, 5000), None, "nothing to tell it from");
        assert_eq!(expected(10, 30, 1000, 1200), Some(4000));
        assert_eq!(expected(40, 0, 4000, 4000), Some(4000));
        assert_eq!(expected(10, 1, 1000, 5000), Some(5000), "what came, came");
    }

    #[test]
    fn a_line_says_how_fast_it_goes_how_long_it_takes_and_what_is_in_the_way() {
        let mut pace = Pace::default();
        let began = Instant::now();
        for second in 0..=10 {
            pace.see(began + Duration::from_secs(second), second * 2, second * 1_000_000);
        }
        let counts = Counts {
            detected: 64,
            recovered: 19,
            failed: 1,
            pending: 44,
            bytes: 19_000_000,
            ..Counts::default()
        };
        let deadline = Utc::now() + chrono::Duration::minutes(90);
        let left = WorkLeft {
            ready: 38,
            leased: 2,
            retrying: 3,
            held: 1,
            nearest_deadline: Some(deadline),
            ..WorkLeft::default()
        };
        let work = Work { counts: &counts, left: &left, received: 20_000_000 };
        let line = of_meetings(&pace, &work);
        assert!(
            line.starts_with("2.0/s · 22s left · 1 failed, 0 unavailable, 0 expired · 3 to be tried again"),
            "{line}"
        );
        assert!(line.contains("1 held by a pause") && line.contains("nearest deadline in 1h 29m"), "{line}");
        assert_eq!(of_files(&pace, &work), "20.0 MB of about 63.0 MB · 1.0 MB/s · 2 meetings in hand");
    }
}
