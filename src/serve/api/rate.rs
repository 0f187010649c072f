//! How many requests a client address may make: a bucket each, which fills evenly.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// More addresses than this are not told apart for long: full buckets are forgotten.
const MOST_ADDRESSES: usize = 10_000;

/// A wrong token costs as much as this many requests: guessing is slow, and loud.
const WRONG_TOKEN: f64 = 100.0;

#[derive(Clone)]
pub(in crate::serve) struct Rate {
    per_second: f64,
    buckets: Arc<Mutex<HashMap<IpAddr, Bucket>>>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl Rate {
    pub(in crate::serve) fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second), buckets: Arc::default() }
    }

    /// Whether one request more is allowed; it is counted if so.
    pub(in crate::serve) fn allows(&self, address: IpAddr) -> bool {
        self.take(address, 1.0, Instant::now())
    }

    /// Whether another token may be tried; it is counted as a wrong one.
    pub(in crate::serve) fn wrong_token(&self, address: IpAddr) -> bool {
        self.take(address, WRONG_TOKEN.min(self.per_second), Instant::now())
    }

    fn take(&self, address: IpAddr, cost: f64, now: Instant) -> bool {
        let full = self.per_second * 2.0;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST_ADDRESSES && !buckets.contains_key(&address) {
            buckets.retain(|_, bucket| bucket.filled(now, self.per_second) < full);
        }
        let bucket = buckets.entry(address).or_insert(Bucket { left: full, at: now });
        bucket.left = bucket.filled(now, self.per_second).min(full);
        bucket.at = now;
        let allowed = bucket.left >= cost;
        if allowed {
            bucket.left -= cost;
        }
        allowed
    }
}

impl Bucket {
    fn filled(&self, now: Instant, per_second: f64) -> f64 {
        self.left + now.saturating_duration_since(self.at).as_secs_f64() * per_second
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_an_even_rate_for_each_address() {
        let rate = Rate::new(10);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let now = Instant::now();
        let taken = |address, at| (0..100).filter(|_| rate.take(address, 1.0, at)).count();
        assert_eq!(taken(one, now), 20);
        assert_eq!(taken(other, now), 20);
        assert_eq!(taken(one, now + Duration::from_millis(500)), 5);
        assert_eq!(taken(one, now + Duration::from_secs(3600)), 20);
    }
}
