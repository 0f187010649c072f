//! This machine's clock beside the server's. Whoever names an instant (a retry, the end of a snooze, the next beat)
//! does so by its own clock, and the scripts compare it with the server's: between the two lies what was measured here.
//!
//! The server's instant of a question was after it was sent and before it was answered. As long as this machine's clock
//! agrees with that, nothing is carried over; if not, the least that makes it agree.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};
use redis::cmd;

use super::RedisQueue;
use crate::queue::clock::Millis;

/// How far the server's clock is ahead of this machine's.
#[derive(Debug, Default)]
pub(super) struct Ahead(AtomicI64);

impl Ahead {
    fn learn(&self, asked: Millis, answered: Millis, server: Millis) {
        // Each instant was cut off to whole milliseconds.
        let ahead = if server + 1 < asked {
            server + 1 - asked
        } else if server > answered + 1 {
            server - answered - 1
        } else {
            0
        };
        self.0.store(ahead, Ordering::SeqCst);
    }
}

impl RedisQueue {
    /// Asks the server for its time. Who is not told goes on with what was known.
    pub(super) async fn compare_clocks(&self) {
        if self.0.clock.set_by_hand().is_some() {
            return;
        }
        let asked = self.0.clock.millis();
        let Ok(answer) = self.command(cmd("TIME")).await else { return };
        let answered = self.0.clock.millis();
        let parts: Vec<Millis> = answer.texts().iter().filter_map(|part| part.parse().ok()).collect();
        if let [seconds, micros] = parts[..] {
            self.0.ahead.learn(asked, answered, seconds * 1000 + micros / 1000);
        }
    }

    /// An instant of this machine's clock by the server's.
    pub(super) fn by_the_server(&self, at: DateTime<Utc>) -> Millis {
        at.timestamp_millis().saturating_add(self.0.ahead.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_agree_carry_nothing_over() {
        let ahead = Ahead::default();
        let learnt = |asked, answered, server| {
            ahead.learn(asked, answered, server);
            ahead.0.load(Ordering::SeqCst)
        };
        for server in 999..=1011 {
            assert_eq!(learnt(1000, 1010, server), 0);
        }
        assert_eq!(learnt(1000, 1010, 601_011), 600_000);
        assert_eq!(learnt(601_000, 601_010, 999), -600_000);
    }
}
