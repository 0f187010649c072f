//! The queue's clock: time enters as a value, so that tests move it instead of waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};

/// Milliseconds since 1970.
pub(super) type Millis = i64;

/// The machine's clock never goes back within a process; when it is set forward, leases end early and their holders
/// learn it from the fence.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The time of this machine, held at the latest instant that was seen.
    System(Arc<AtomicI64>),
    /// The machine's time, wrong by so much.
    #[cfg(any(test, feature = "conformance"))]
    Wrong(Millis),
    #[cfg(any(test, feature = "conformance"))]
    Manual(Arc<tokio::sync::watch::Sender<Millis>>),
}

impl Clock {
    pub fn system() -> Self {
        Self::System(Arc::default())
    }

    pub fn now(&self) -> DateTime<Utc> {
        instant(self.millis())
    }

    pub(super) fn millis(&self) -> Millis {
        match self {
            Self::System(latest) => {
                let now = Utc::now().timestamp_millis();
                latest.fetch_max(now, Ordering::SeqCst).max(now)
            }
            #[cfg(any(test, feature = "conformance"))]
            Self::Wrong(by) => Utc::now().timestamp_millis() + by,
            #[cfg(any(test, feature = "conformance"))]
            Self::Manual(now) => *now.borrow(),
        }
    }

    /// The instant of a clock that is moved by hand: where time is otherwise another machine's, it takes its place.
    pub(super) fn set_by_hand(&self) -> Option<Millis> {
        match self {
            Self::System(_) => None,
            #[cfg(any(test, feature = "conformance"))]
            Self::Wrong(_) => None,
            #[cfg(any(test, feature = "conformance"))]
            Self::Manual(now) => Some(*now.borrow()),
        }
    }

    /// Returns at `end` or a little later.
    pub(super) async fn until(&self, end: Millis) {
        match self {
            Self::System(_) => {
                let left = u64::try_from(end.saturating_sub(self.millis())).unwrap_or_default();
                tokio::time::sleep(Duration::from_millis(left)).await;
            }
            #[cfg(any(test, feature = "conformance"))]
            Self::Wrong(_) => {
                let left = u64::try_from(end.saturating_sub(self.millis())).unwrap_or_default();
                tokio::time::sleep(Duration::from_millis(left)).await;
            }
            #[cfg(any(test, feature = "conformance"))]
            Self::Manual(now) => {
                // The sender lives in `self`: waiting cannot fail.
                let _ = now.subscribe().wait_for(|now| *now >= end).await;
            }
        }
    }
}

#[cfg(any(test, feature = "conformance"))]
impl Clock {
    /// Stands still until it is moved.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self::Manual(Arc::new(tokio::sync::watch::Sender::new(start.timestamp_millis())))
    }

    /// Moves a manual clock; the machine's own cannot be moved.
    pub fn advance(&self, by: Duration) {
        match self {
            Self::System(_) | Self::Wrong(_) => panic!("only a manual clock can be moved"),
            Self::Manual(now) => now.send_modify(|now| *now += millis(by)),
        }
    }
}

/// The instant of a stored number; one outside chrono's range becomes its nearest end.
pub(super) fn instant(at: Millis) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at).unwrap_or(if at < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}

pub(super) fn millis(length: Duration) -> Millis {
    Millis::try_from(length.as_millis()).unwrap_or(Millis::MAX / 4)
}
