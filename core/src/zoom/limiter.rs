//! Pacing: how often Zoom may be asked, by the category of its published limits.
//!
//! A slot is a point in time (GCRA): each request takes the next one. Who is late by at most a tenth of a second
//! makes up for it; a longer pause is lost as a whole, so that none is ever followed by a burst that Zoom would refuse. A 429 moves
//! everybody behind its end, those who wait already included.
//!
//! One process keeps its lanes itself ([`local`]); the processes of an account that share a Redis keep them there
//! ([`shared`]).

mod local;
mod shared;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::sharing::Sharing;
use crate::config::Category;

pub use usage::LimitUse;

/// By how much a request may be late and those behind it in time all the same.
const BURST: Duration = Duration::from_millis(100);

/// A longer wait is handed back: a worker should not hold a meeting that it cannot go on with.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The wait would be long; nothing was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongWait {
    pub until: DateTime<Utc>,
}

impl LongWait {
    fn of(wait: Duration) -> Self {
        let wait = chrono::Duration::from_std(wait).unwrap_or(chrono::Duration::days(1));
        Self { until: Utc::now() + wait }
    }
}

pub struct Limiter {
    light: Lane,
    medium: Lane,
    heavy: Lane,
}

struct Lane {
    /// Requests per second.
    allowed: f64,
    usage: usage::Usage,
    kind: Kind,
}

enum Kind {
    Local(local::Lane),
    Shared(Arc<shared::Lane>),
}

impl Limiter {
    /// `rate` gives requests per second, of this process or, with `sharing`, of all.
    pub fn new(rate: impl Fn(Category) -> f64, sharing: Option<&Sharing>) -> Self {
        let lane = |category| {
            let allowed = rate(category).max(0.001);
            let interval = Duration::from_secs_f64(1.0 / allowed);
            let kind = match sharing {
                None => Kind::Local(local::Lane::new(interval)),
                Some(sharing) => {
                    Kind::Shared(Arc::new(shared::Lane::new(interval, category, sharing.clone())))
                }
            };
            Lane { allowed, usage: usage::Usage::default(), kind }
        };
        Self { light: lane(Category::Light), medium: lane(Category::Medium), heavy: lane(Category::Heavy) }
    }

    /// Waits for the next slot. Gives up at once, with when it would be, if that is more than half a minute away.
    pub async fn slot(&self, category: Category) -> Result<(), LongWait> {
        let lane = self.lane(category);
        match &lane.kind {
            Kind::Local(lane) => lane.slot().await,
            Kind::Shared(lane) => lane.slot().await,
        }?;
        lane.usage.count(Utc::now());
        Ok(())
    }

    /// What this process used of the allowed rate in the last hour.
    pub fn used(&self, category: Category) -> LimitUse {
        let lane = self.lane(category);
        lane.usage.read(lane.allowed, Utc::now())
    }

    /// Closes a category until an instant: Zoom said so.
    pub async fn close(&self, category: Category, until: DateTime<Utc>) {
        let wait = (until - Utc::now()).to_std().unwrap_or_default();
        match &self.lane(category).kind {
            Kind::Local(lane) => lane.close(wait),
            Kind::Shared(lane) => lane.close(wait).await,
        }
    }

    fn lane(&self, category: Category) -> &Lane {
        match category {
            Category::Light => &self.light,
            Category::Medium => &self.medium,
            Category::Heavy => &self.heavy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_lane_hands_a_long_wait_back() {
        let limiter = Limiter::new(|_| 1000.0, None);
        limiter.close(Category::Light, Utc::now() + chrono::Duration::hours(3)).await;
        let wait = limiter.slot(Category::Light).await.expect_err("closed for hours");
        assert!(wait.until > Utc::now() + chrono::Duration::hours(2));
        assert_eq!(limiter.slot(Category::Medium).await, Ok(()));
    }
}
