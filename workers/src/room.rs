//! Meetings that wait for room in the capture buffer.
//!
//! A meeting whose files do not fit goes back to the queue without an attempt, and the others go on. Meanwhile a pool does
//! not run in circles:
//!
//! * A meeting waits for as long as the shortage has lasted, from five seconds to five minutes.
//! * What a meeting needs is remembered: its next start looks at the disk first, and asks Zoom only if that has changed.
//! * A disk that has room by its own account and takes nothing (a quota, a thin volume, a limit on the size of files) is
//!   doubted: of the meetings that are as large as the one that failed, one at a time is tried.
//! * Where not even a byte fits, nothing is begun (`work.rs`).
//!
//! All of it is this process's own knowledge, and nothing is lost with it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use recapture_core::buffer::{Buffer, BufferError, Reservation};
use recapture_core::meeting::MeetingUuid;
use recapture_core::metrics;
use tracing::{info, warn};

const SHORTEST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A meeting that was not seen again in this time is another worker's, or nobody's any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(900);

/// What more meetings need is asked for again each time: a bound on memory.
const MOST_REMEMBERED: usize = 10_000;

/// What this process knows of the buffer's room.
#[derive(Debug, Default)]
pub struct Room(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<MeetingUuid, Waiting>,
    since: Option<Instant>,
    doubt: Option<Doubt>,
}

#[derive(Debug)]
struct Waiting {
    bytes: u64,
    seen: Instant,
}

/// A meeting of so many bytes was promised room and found none.
#[derive(Debug)]
struct Doubt {
    bytes: u64,
    until: Instant,
}

impl Room {
    /// Whether a meeting may fit, as far as is known before Zoom is asked.
    pub async fn look(&self, buffer: &Buffer, meeting: &MeetingUuid) -> Result<(), BufferError> {
        let needed = self.state().waiting.get(meeting).map_or(0, |waiting| waiting.bytes);
        // Also where it needs nothing of the reserve: on a disk that is full to the brim not even a manifest is begun.
        buffer.reserve(needed.max(1)).await.map(drop)
    }

    /// Takes hold of room for the files that a meeting lacks.
    pub async fn reserve(
        &self,
        buffer: &Buffer,
        meeting: &MeetingUuid,
        bytes: u64,
    ) -> Result<Reservation, BufferError> {
        let promised = match self.doubted(bytes, Instant::now()) {
            Some(least) => Err(BufferError::Full {
                path: buffer.location(),
                detail: format!(
                    "{bytes} bytes are needed, and a meeting of {least} found no room a moment ago, though there seemed to be some"
                ),
            }),
            None => buffer.reserve(bytes).await,
        };
        if promised.is_err() {
            self.remember(meeting, bytes, Instant::now());
        }
        promised
    }

    /// All files of a meeting are stored.
    pub fn stored(&self, meeting: &MeetingUuid, bytes: u64) {
        let mut state = self.state();
        state.doubt.take_if(|doubt| doubt.bytes <= bytes);
        if state.waiting.remove(meeting).is_some() {
            state.tell(Instant::now());
        }
    }

    /// A write found no room, though there seemed to be some.
    pub fn was_refused(&self, meeting: &MeetingUuid, bytes: u64) {
        let now = Instant::now();
        self.remember(meeting, bytes, now);
        let mut state = self.state();
        let until = now + state.wait(now);
        let least = state.doubt.as_ref().map_or(bytes, |doubt| doubt.bytes.min(bytes));
        state.doubt = Some(Doubt { bytes: least.max(1), until });
    }

    /// How long a meeting that found no room waits. `chance` spreads those that were refused together.
    pub fn wait(&self, meeting: &MeetingUuid, why: &BufferError, chance: f64) -> Duration {
        let now = Instant::now();
        self.remember(meeting, 0, now);
        let mut state = self.state();
        if state.since.is_none() {
            state.since = Some(now);
            warn!(%why, "meetings that do not fit wait for room; the others go on");
        }
        state.tell(now);
        state.wait(now).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }

    /// Meetings that wait, and forgets those that wait no more; to be called now and then.
    pub fn waiting(&self) -> usize {
        let mut state = self.state();
        state.tell(Instant::now());
        state.waiting.len()
    }

    /// The size above which nothing is tried now, if `bytes` is. The first one after a wait is tried, and the others wait
    /// for what becomes of it.
    fn doubted(&self, bytes: u64, now: Instant) -> Option<u64> {
        let mut state = self.state();
        let wait = state.wait(now);
        let doubt = state.doubt.as_mut().filter(|doubt| doubt.bytes <= bytes)?;
        if now < doubt.until {
            return Some(doubt.bytes);
        }
        doubt.until = now + wait;
        None
    }

    fn remember(&self, meeting: &MeetingUuid, bytes: u64, now: Instant) {
        let mut state = self.state();
        if let Some(waiting) = state.waiting.get_mut(meeting) {
            waiting.bytes = waiting.bytes.max(bytes);
            waiting.seen = now;
        } else if state.waiting.len() < MOST_REMEMBERED {
            state.waiting.insert(meeting.clone(), Waiting { bytes, seen: now });
        }
    }

    /// No panic can leave it half-changed: each change is one call.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&self, now: Instant) -> Duration {
        let lasted = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        lasted.clamp(SHORTEST_WAIT, LONGEST_WAIT)
    }

    /// Shows how many wait, without those that nobody asks for any more.
    fn tell(&mut self, now: Instant) {
        self.waiting.retain(|_, waiting| now.saturating_duration_since(waiting.seen) < FORGOTTEN_AFTER);
        metrics::waiting_for_room(self.waiting.len());
        if self.waiting.is_empty() && self.since.take().is_some() {
            info!("no meeting waits for room in the capture buffer any more");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meeting(number: u8) -> MeetingUuid {
        MeetingUuid::parse(&format!("444{number}AAAiAAAAAiAiAiiAii==")).expect("a UUID")
    }

    fn full() -> BufferError {
        BufferError::Full { path: "/buffer".to_owned(), detail: "no space".to_owned() }
    }

    async fn buffer() -> (Buffer, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("buffer").into();
        (Buffer::open(&place).await.expect("a buffer"), folder)
    }

    #[tokio::test]
    async fn what_does_not_fit_waits_and_is_not_asked_for_again() {
        let (room, (buffer, _folder)) = (Room::default(), buffer().await);
        assert!(room.look(&buffer, &meeting(1)).await.is_ok());
        let error = room.reserve(&buffer, &meeting(1), u64::MAX).await.expect_err("no disk is that large");
        assert_eq!(room.wait(&meeting(1), &error, 1.0), SHORTEST_WAIT);
        assert!(room.look(&buffer, &meeting(1)).await.is_err(), "its size is remembered");
        assert!(room.look(&buffer, &meeting(2)).await.is_ok(), "others go on");
        assert!(room.reserve(&buffer, &meeting(2), 1000).await.is_ok());
        assert_eq!(room.waiting(), 1);
        room.stored(&meeting(1), 10);
        assert!(room.look(&buffer, &meeting(1)).await.is_ok());
        assert_eq!(room.waiting(), 0);
    }

    #[tokio::test]
    async fn a_disk_that_takes_nothing_is_tried_by_one_at_a_time() {
        let (room, (buffer, _folder)) = (Room::default(), buffer().await);
        room.was_refused(&meeting(1), 1000);
        room.wait(&meeting(1), &full(), 0.0);
        assert!(room.reserve(&buffer, &meeting(2), 1000).await.is_err(), "as large as what failed");
        assert!(room.reserve(&buffer, &meeting(3), 999).await.is_ok());
        let later = Instant::now() + SHORTEST_WAIT + Duration::from_secs(1);
        assert_eq!(room.doubted(1000, later), None, "one is tried");
        assert_eq!(room.doubted(1000, later), Some(1000), "the next one waits for what becomes of it");
        room.stored(&meeting(2), 1000);
        assert_eq!(room.doubted(1000, later), None);
    }

    #[test]
    fn waits_grow_with_the_shortage_up_to_five_minutes() {
        let room = Room::default();
        room.wait(&meeting(1), &full(), 0.0);
        let state = room.state();
        let began = state.since.expect("it began");
        for (after, waits) in [(0, 5), (5, 5), (60, 60), (300, 300), (5000, 300)] {
            assert_eq!(state.wait(began + Duration::from_secs(after)), Duration::from_secs(waits));
        }
    }

    #[test]
    fn a_meeting_that_never_comes_back_is_forgotten() {
        let room = Room::default();
        room.wait(&meeting(1), &full(), 0.0);
        room.state().tell(Instant::now() + FORGOTTEN_AFTER);
        assert_eq!((room.waiting(), room.state().since), (0, None));
    }
}
