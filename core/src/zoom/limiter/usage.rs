//! How much of the allowed rate was used, minute by minute, for those who look on.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

/// Minutes that are remembered, the one under way included.
const MINUTES: usize = 60;

/// Requests of this process by the minute, the newest last.
#[derive(Debug, Default)]
pub(super) struct Usage(Mutex<VecDeque<(i64, u32)>>);

/// What one category allows, and what this process asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitUse {
    /// Requests a second.
    pub allowed: f64,
    /// The share of the allowed rate that was used in each of the last sixty minutes, the newest last.
    pub shares: Vec<f64>,
    /// Requests in that time.
    pub requests: u64,
}

impl Usage {
    pub(super) fn count(&self, now: DateTime<Utc>) {
        let minute = now.timestamp().div_euclid(60);
        let mut minutes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match minutes.back_mut() {
            Some((last, requests)) if *last == minute => *requests = requests.saturating_add(1),
            _ => minutes.push_back((minute, 1)),
        }
        while minutes.len() > MINUTES {
            minutes.pop_front();
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "seconds of a minute")]
    pub(super) fn read(&self, allowed: f64, now: DateTime<Utc>) -> LimitUse {
        let this = now.timestamp().div_euclid(60);
        let mut read = LimitUse { allowed, shares: vec![0.0; MINUTES], requests: 0 };
        for (minute, requests) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let Some(place) =
                usize::try_from(this - minute).ok().and_then(|ago| (MINUTES - 1).checked_sub(ago))
            else {
                continue;
            };
            // Of the minute under way only the part that has passed counts.
            let seconds = if *minute == this { now.timestamp().rem_euclid(60) + 1 } else { 60 };
            read.shares[place] = f64::from(*requests) / (allowed * seconds as f64);
            read.requests += u64::from(*requests);
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).expect("a time")
    }

    #[test]
    fn an_hour_is_remembered_by_the_minute() {
        let usage = Usage::default();
        let counted = |second, requests| (0..requests).for_each(|_| usage.count(at(second)));
        counted(0, 60);
        counted(3540, 30);
        counted(3549, 30);
        let read = usage.read(2.0, at(3549));
        assert_eq!((read.shares.len(), read.requests), (MINUTES, 120));
        assert!((read.shares[0] - 0.5).abs() < 1e-9, "60 of 120: {:?}", read.shares);
        assert!((read.shares[59] - 3.0).abs() < 1e-9, "60 in ten seconds: {:?}", read.shares);
        assert_eq!(usage.read(2.0, at(3600)).requests, 60, "the first minute is forgotten");
        assert_eq!(usage.read(2.0, at(90_000)).requests, 0);
    }
}
