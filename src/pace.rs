//! How fast it goes now: over the last half minute, so that neither the listing before nor a pause an hour ago is in it.
//! What the command line and the service tell of rates and of the time that is left comes from here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(30);

/// More often than this is not remembered.
const GRAIN: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(crate) struct Pace {
    /// When, meetings, bytes; the oldest first.
    seen: VecDeque<(Instant, u64, u64)>,
    now: Option<(Instant, u64, u64)>,
}

impl Pace {
    pub(crate) fn see(&mut self, at: Instant, meetings: u64, bytes: u64) {
        self.now = Some((at, meetings, bytes));
        if self.seen.back().is_none_or(|(last, ..)| at.saturating_duration_since(*last) >= GRAIN) {
            self.seen.push_back((at, meetings, bytes));
        }
        // One that is older than the window stays: the rate is from there on.
        while self.seen.get(1).is_some_and(|(second, ..)| at.saturating_duration_since(*second) >= WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Whether there are two looks to tell a rate from.
    pub(crate) fn is_known(&self) -> bool {
        self.seen.front().zip(self.now.as_ref()).is_some_and(|(first, now)| first.0 < now.0)
    }

    pub(crate) fn meetings_a_second(&self) -> f64 {
        self.rate(|(_, meetings, _)| *meetings)
    }

    pub(crate) fn bytes_a_second(&self) -> f64 {
        self.rate(|(_, _, bytes)| *bytes)
    }

    /// How long so many meetings take at this pace; `None` if nothing is left or nothing moves.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an estimate")]
    pub(crate) fn time_for(&self, meetings: u64) -> Option<chrono::Duration> {
        let rate = self.meetings_a_second();
        (meetings > 0 && rate > 0.0)
            .then(|| chrono::Duration::seconds((meetings as f64 / rate).ceil() as i64))
    }

    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    fn rate(&self, of: impl Fn(&(Instant, u64, u64)) -> u64) -> f64 {
        let (Some(first), Some(now)) = (self.seen.front(), &self.now) else { return 0.0 };
        let seconds = now.0.saturating_duration_since(first.0).as_secs_f64();
        if seconds > 0.0 { of(now).saturating_sub(of(first)) as f64 / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_of_the_last_half_minute() {
        let began = Instant::now();
        let mut pace = Pace::default();
        assert!(pace.meetings_a_second() == 0.0 && pace.time_for(10).is_none() && !pace.is_known());
        // A minute of listing, then ten meetings a second.
        for second in 0..=60 {
            pace.see(began + Duration::from_secs(second), 0, 0);
        }
        assert!(pace.time_for(10).is_none(), "nothing moves");
        for second in 1..=60 {
            pace.see(began + Duration::from_secs(60 + second), second * 10, second * 1000);
        }
        assert!((pace.meetings_a_second() - 10.0).abs() < 0.01, "{}", pace.meetings_a_second());
        assert!((pace.bytes_a_second() - 1000.0).abs() < 1.0, "{}", pace.bytes_a_second());
        assert_eq!(pace.time_for(105), Some(chrono::Duration::seconds(11)));
        assert!(pace.seen.len() < 70, "memory is bounded");
    }
}
