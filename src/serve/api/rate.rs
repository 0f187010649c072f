//! How many requests one who asks may make: a bucket each, which fills evenly.
//!
//! A bucket may be in debt: a wrong token costs more than is in it, and until that is paid off nothing of its owner is
//! looked at, the next token neither. So guessing is slow whatever is guessed.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Buckets that are kept at once. Full ones are forgotten; whoever finds no place then shares one with all the others, so
/// that a flood of addresses takes neither memory nor time.
const MOST_BUCKETS: usize = 10_000;
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// A wrong token costs as much as this many requests: guessing is slow, and loud.
const WRONG_TOKEN: f64 = 100.0;

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::serve) enum Asker {
    V4(Ipv4Addr),
    /// The first 64 bits: who has one address of those has all of them.
    V6(u64),
    /// A browser that has logged in, wherever it is.
    Session(Box<str>),
    /// All for whom there is no place.
    Others,
}

impl From<IpAddr> for Asker {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                Self::V6(u64::try_from(address.to_bits() >> 64).expect("64 bits are left of 128"))
            }
        }
    }
}

#[derive(Clone)]
pub(in crate::serve) struct Rate {
    per_second: f64,
    buckets: Arc<Mutex<Buckets>>,
}

#[derive(Default)]
struct Buckets {
    of: HashMap<Asker, Bucket>,
    forgot: Option<Instant>,
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
    pub(in crate::serve) fn allows(&self, asker: Asker) -> bool {
        self.take(asker, Instant::now())
    }

    /// Counts a wrong token, whatever is left.
    pub(in crate::serve) fn wrong_token(&self, asker: Asker) {
        self.fine(asker, Instant::now());
    }

    fn take(&self, asker: Asker, now: Instant) -> bool {
        self.bucket(asker, now, |bucket| {
            let allowed = bucket.left >= 1.0;
            if allowed {
                bucket.left -= 1.0;
            }
            allowed
        })
    }

    fn fine(&self, asker: Asker, now: Instant) {
        self.bucket(asker, now, |bucket| bucket.left -= WRONG_TOKEN);
    }

    fn bucket<T>(&self, mut asker: Asker, now: Instant, then: impl FnOnce(&mut Bucket) -> T) -> T {
        let full = self.per_second * 2.0;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let Buckets { of, forgot } = &mut *buckets;
        if of.len() >= MOST_BUCKETS && !of.contains_key(&asker) {
            if forgot.is_none_or(|at| now.saturating_duration_since(at) >= FORGET_EVERY) {
                *forgot = Some(now);
                of.retain(|_, bucket| bucket.filled(now, self.per_second) < full);
            }
            if of.len() >= MOST_BUCKETS {
                asker = Asker::Others;
            }
        }
        let bucket = of.entry(asker).or_insert(Bucket { left: full, at: now });
        bucket.left = bucket.filled(now, self.per_second).min(full);
        bucket.at = now;
        then(bucket)
    }
}

impl Bucket {
    fn filled(&self, now: Instant, per_second: f64) -> f64 {
        self.left + now.saturating_duration_since(self.at).as_secs_f64() * per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(number: u32) -> Asker {
        IpAddr::from(Ipv4Addr::from_bits(number)).into()
    }

    #[test]
    fn a_burst_is_allowed_and_then_an_even_rate_for_each_address() {
        let rate = Rate::new(10);
        let now = Instant::now();
        let taken = |number, at| (0..100).filter(|_| rate.take(v4(number), at)).count();
        assert_eq!(taken(1, now), 20);
        assert_eq!(taken(2, now), 20);
        assert_eq!(taken(1, now + Duration::from_millis(500)), 5);
        assert_eq!(taken(1, now + Duration::from_secs(3600)), 20);
    }

    #[test]
    fn a_wrong_token_costs_a_hundred_requests_even_where_there_are_none_left() {
        let rate = Rate::new(10);
        let now = Instant::now();
        assert!(rate.take(v4(1), now));
        rate.fine(v4(1), now);
        // 19 were left, so 81 are owed, and one more is needed.
        assert!(!rate.take(v4(1), now + Duration::from_millis(8150)));
        assert!(rate.take(v4(1), now + Duration::from_millis(8250)));
        assert!(rate.take(v4(2), now), "others do not pay for it");
    }

    #[test]
    fn a_flood_of_addresses_shares_one_bucket_and_those_who_were_there_keep_theirs() {
        let rate = Rate::new(10);
        let now = Instant::now();
        let flood = u32::try_from(MOST_BUCKETS).expect("a small number") * 2;
        let allowed = (0..flood).filter(|number| rate.take(v4(*number), now)).count();
        assert_eq!(allowed, MOST_BUCKETS + 20, "one each, and a bucket for all the others");
        assert!(rate.buckets.lock().expect("nobody panicked").of.len() <= MOST_BUCKETS + 1);
        assert!(rate.take(v4(0), now));
        assert!(rate.take(v4(flood + 1), now + Duration::from_secs(5)), "full buckets are forgotten");
    }

    #[test]
    fn a_network_of_the_sixth_version_is_one_asker() {
        let asker = |text: &str| Asker::from(text.parse::<IpAddr>().expect("an address"));
        assert_eq!(asker("2001:db8:1:2::1"), asker("2001:db8:1:2:ffff::9"));
        assert_ne!(asker("2001:db8:1:2::1"), asker("2001:db8:1:3::1"));
        assert_eq!(asker("::ffff:10.0.0.1"), asker("10.0.0.1"));
    }
}
