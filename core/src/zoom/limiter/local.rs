//! A lane of one process.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{BURST, LONGEST_WAIT, LongWait};

pub(super) struct Lane {
    state: Mutex<State>,
}

struct State {
    interval: Duration,
    next: Instant,
    closed_until: Instant,
}

impl Lane {
    pub(super) fn new(interval: Duration) -> Self {
        let now = Instant::now();
        Self { state: Mutex::new(State { interval, next: now, closed_until: now }) }
    }

    pub(super) async fn slot(&self) -> Result<(), LongWait> {
        loop {
            let at = self.reserve()?;
            tokio::time::sleep_until(at.into()).await;
            // A 429 may have closed the lane while we waited.
            if self.lock().closed_until <= Instant::now() {
                return Ok(());
            }
        }
    }

    pub(super) fn close(&self, wait: Duration) {
        let mut state = self.lock();
        state.closed_until = state.closed_until.max(Instant::now() + wait);
        state.next = state.next.max(state.closed_until);
    }

    /// From here on so much time lies between slots.
    pub(super) fn pace(&self, interval: Duration) {
        self.lock().interval = interval;
    }

    fn reserve(&self) -> Result<Instant, LongWait> {
        let mut state = self.lock();
        let now = Instant::now();
        let begins_anew = state.next + BURST < now;
        let at = if begins_anew { now } else { state.next }.max(state.closed_until);
        let wait = at.saturating_duration_since(now);
        if wait > LONGEST_WAIT {
            return Err(LongWait::of(wait));
        }
        state.next = at + state.interval;
        Ok(at)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_spaced() {
        let lane = Lane::new(Duration::from_millis(50));
        let slots: Vec<Instant> = (0..20).map(|_| lane.reserve().expect("a slot")).collect();
        assert!(slots.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(50)));
    }

    #[test]
    fn a_moment_is_made_up_for_and_a_pause_is_not() {
        let lane = Lane::new(Duration::from_millis(10));
        let began = Instant::now();
        lane.lock().next = began.checked_sub(BURST * 2).expect("a machine that is up for a while");
        assert!(lane.reserve().expect("a slot") >= began, "a pause");
        let a_moment_ago = Instant::now().checked_sub(BURST / 2).expect("a machine that is up for a while");
        lane.lock().next = a_moment_ago;
        lane.lock().closed_until = a_moment_ago;
        assert_eq!(lane.reserve(), Ok(a_moment_ago), "a moment");
    }
}
