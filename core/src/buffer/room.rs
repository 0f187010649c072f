//! Room that is promised: what downloads under way will still write counts as taken.
//!
//! Free space alone says too much: thirty-two downloads that begin together would each see the same free gigabyte. So a
//! download takes hold of its bytes before it begins, gives them back piece by piece as they reach the disk (where the
//! file system counts them from then on), and what is left at its end, however that comes.
//!
//! Where there is plenty, the disk is looked at now and then and not for each meeting: a look is good for a moment if it
//! showed more than any disk takes in that time.
//!
//! The promise is this process's own. What others write on the same disk shows in its free space only; a write that
//! finds no room all the same fails with `Full` like any other.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For how long a look at the disk is good, where it showed [`PLENTY`].
const LOOK_HOLDS: Duration = Duration::from_millis(250);

/// More than is written in that time: sixteen gigabytes a second.
const PLENTY: u64 = 4 << 30;

/// What is promised and not written yet, of one buffer in this process.
#[derive(Debug, Clone, Default)]
pub(super) struct Promised(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    promised: u64,
    /// When the disk was looked at last, and what was free.
    looked: Option<(Instant, u64)>,
}

impl Promised {
    /// Promises `bytes` if they fit beside all that is promised already. `free` looks how much is free: after what is
    /// promised was looked at, so that bytes which reach the disk in between count twice, and never not at all.
    pub(super) fn take(
        &self,
        bytes: u64,
        free: impl FnOnce() -> io::Result<u64>,
    ) -> io::Result<Result<Reservation, Lack>> {
        let before = self.lock().promised;
        let looked_at = Instant::now();
        let free = free()?;
        let mut state = self.lock();
        state.looked = Some((looked_at, free));
        let promised = before.max(state.promised);
        if free.saturating_sub(promised) < bytes {
            return Ok(Err(Lack { free, promised }));
        }
        Ok(Ok(self.promise(state, bytes)))
    }

    /// The same without a look, if a moment ago there was plenty beside all that is promised and asked.
    pub(super) fn take_of_plenty(&self, bytes: u64, now: Instant) -> Option<Reservation> {
        let state = self.lock();
        let (looked_at, free) = state.looked?;
        let holds = now.saturating_duration_since(looked_at) <= LOOK_HOLDS;
        let needed = state.promised.saturating_add(bytes).saturating_add(PLENTY);
        (holds && free >= needed).then(|| self.promise(state, bytes))
    }

    fn promise(&self, mut state: MutexGuard<'_, State>, bytes: u64) -> Reservation {
        state.promised = state.promised.saturating_add(bytes);
        Reservation { promised: Some(self.clone()), whole: bytes, left: bytes }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lack {
    pub(super) free: u64,
    pub(super) promised: u64,
}

/// Room that nobody else in this process is given, until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    /// `None` where nobody knows of an end.
    promised: Option<Promised>,
    whole: u64,
    /// What is not written yet.
    left: u64,
}

impl Reservation {
    /// Of a store that has no end that one could see.
    pub(super) fn endless() -> Self {
        Self { promised: None, whole: 0, left: 0 }
    }

    /// A part of it, for one file of several.
    #[must_use]
    pub fn split(&mut self, bytes: u64) -> Self {
        let bytes = bytes.min(self.left);
        self.left -= bytes;
        self.whole -= bytes;
        Self { promised: self.promised.clone(), whole: bytes, left: bytes }
    }

    /// So many bytes are on the disk now.
    pub(super) fn written(&mut self, bytes: u64) {
        let bytes = bytes.min(self.left);
        self.left -= bytes;
        if let Some(promised) = &self.promised {
            promised.lock().promised -= bytes;
        }
    }

    /// Nothing of it is on the disk any more: all is to be written again.
    pub(super) fn renew(&mut self) {
        if let Some(promised) = &self.promised {
            let mut state = promised.lock();
            state.promised = state.promised.saturating_add(self.whole - self.left);
            self.left = self.whole;
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.written(self.left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(room: &Promised, bytes: u64, free: u64) -> Result<Reservation, u64> {
        let taken = room.take(bytes, || Ok(free)).expect("a look at the disk");
        taken.map_err(|lack| {
            assert_eq!(lack.free, free);
            lack.promised
        })
    }

    #[test]
    fn what_is_promised_is_promised_once() {
        let room = Promised::default();
        let first = take(&room, 60, 100).expect("room");
        assert_eq!(take(&room, 50, 100).map(drop), Err(60));
        let second = take(&room, 40, 100).expect("room");
        assert_eq!(take(&room, 1, 100).map(drop), Err(100));
        drop(first);
        assert_eq!(take(&room, 61, 100).map(drop), Err(40));
        drop((take(&room, 60, 100).expect("room"), second));
        assert_eq!(take(&room, 100, 100).map(drop), Ok(()));
    }

    #[test]
    fn what_is_written_is_the_file_systems_to_count() {
        let room = Promised::default();
        let mut meeting = take(&room, 100, 100).expect("room");
        let (mut film, chat) = (meeting.split(70), meeting.split(50));
        film.written(60);
        assert_eq!(take(&room, 1, 40).map(drop), Err(40));
        // More came than was listed: nobody else's promise pays for it.
        film.written(60);
        assert_eq!(take(&room, 1, 30).map(drop), Err(30));
        // The file begins anew.
        film.renew();
        assert_eq!(take(&room, 1, 100).map(drop), Err(100));
        drop((film, meeting));
        assert_eq!(take(&room, 1, 30).map(drop), Err(30));
        drop(chat);
        assert_eq!(take(&room, 1, 1).map(drop), Ok(()));
    }

    #[test]
    fn a_look_is_good_for_a_moment_and_only_where_there_is_plenty() {
        let room = Promised::default();
        let now = Instant::now();
        assert!(room.take_of_plenty(0, now).is_none(), "nobody has looked");
        drop(take(&room, 1, PLENTY + 100).expect("room"));
        let now = Instant::now().max(now);
        let first = room.take_of_plenty(60, now).expect("plenty");
        assert!(room.take_of_plenty(41, now).is_none(), "what is promised is not there for others");
        assert!(room.take_of_plenty(40, now + LOOK_HOLDS * 2).is_none(), "it is too long ago");
        let second = room.take_of_plenty(40, now).expect("plenty");
        drop((first, second));
        drop(take(&room, 1, PLENTY).expect("room"));
        assert!(room.take_of_plenty(1, Instant::now()).is_none(), "the last look counts");
    }

    #[test]
    fn what_reaches_the_disk_during_the_look_is_not_forgotten() {
        let room = Promised::default();
        let mut film = take(&room, 60, 100).expect("room");
        let looked = room.take(60, || {
            // The look came first, the bytes then.
            film.written(60);
            Ok(100)
        });
        assert_eq!(looked.expect("a look").map(drop), Err(Lack { free: 100, promised: 60 }));
    }
}
