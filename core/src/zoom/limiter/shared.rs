//! A lane that all processes of an account share: Redis keeps the time of the next free slot.
//!
//! # Slots
//!
//! Slots are reserved in batches: for as many as wait in this process right now, and for at most a second of the lane.
//! A process asks for its next batch when the last slot of the former one has come; meanwhile others have come to wait,
//! who share the question. So the busier a lane, the fewer questions a request costs, and no slot is reserved that
//! nobody waits for. Whoever waits need not be counted by Redis before its turn: the lane is never idle while somebody
//! does, because the last slot of a batch is followed by the next free one.
//!
//! # A lane that is closed
//!
//! A 429 closes the lane for everybody, for those too who have a slot and wait for it. Who closes it publishes that; a
//! process that hears it asks for how long, and so does one that has not asked for some seconds or has a new connection,
//! because it may not have heard. Then whoever comes to its slot takes another one.
//!
//! # When Redis is away
//!
//! That is found out once and not by each request: one call that is not answered within [`ANSWERED_WITHIN`] makes the
//! process pace itself, at its share among those who used the lane of late and at no more than a quarter of the rate. A
//! task looks each second whether Redis is back. No lock is held meanwhile by anyone who would be waited for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::Script;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{BURST, LONGEST_WAIT, LongWait, local};
use crate::config::Category;
use crate::redis::CLOSING;
use crate::zoom::sharing::Sharing;

/// A batch covers at most so much of the lane's time.
const BATCH: Duration = Duration::from_secs(1);

/// A process that has not reserved for so long does not share the lane any more.
const COUNTED_FOR: Duration = Duration::from_secs(120);

/// While Redis is away nobody knows who else begins to use the lane: a process counts with at least so many.
const SHARE_ALONE: u32 = 4;

/// Redis is away when a question has found no answer by then.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// How soon it is noticed that Redis is back.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long a closing may go unheard on a connection that looks alive.
const DOUBTED_AFTER: Duration = Duration::from_secs(5);

static RESERVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("reserve.lua")));
static CLOSED: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("closed.lua")));
static CLOSE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("close.lua")));

pub(super) struct Lane {
    key: String,
    /// This process among those who use the lane.
    user: String,
    interval: Duration,
    sharing: Sharing,
    waiting: AtomicU64,
    /// Of those who wait one reserves, for all.
    turn: AsyncMutex<()>,
    slots: Mutex<Slots>,
    door: Mutex<Door>,
    away: AtomicBool,
    alone: local::Lane,
}

/// What is left of a batch, and the last slot that was taken of it.
#[derive(Default)]
struct Slots {
    left: u64,
    next: Option<Instant>,
    last: Option<Instant>,
}

impl Slots {
    /// A slot of this caller's own. What nobody came for in time is lost, or there would be a burst.
    fn take(&mut self, now: Instant, interval: Duration) -> Option<Instant> {
        while self.left > 0 {
            let at = self.next?;
            self.left -= 1;
            self.next = Some(at + interval);
            if at + BURST >= now {
                self.last = Some(at);
                return Some(at);
            }
        }
        None
    }
}

/// What is known of the lane's being closed.
struct Door {
    news: tokio::sync::watch::Receiver<()>,
    asked: Option<Instant>,
    closed_until: Option<Instant>,
}

struct Reserved {
    slots: u64,
    wait: Duration,
    users: u32,
}

impl Lane {
    pub(super) fn new(interval: Duration, category: Category, sharing: Sharing) -> Self {
        Self {
            key: sharing.lane_key(category),
            user: format!("{:016x}", fastrand::u64(..)),
            interval,
            alone: local::Lane::new(interval * SHARE_ALONE),
            door: Mutex::new(Door { news: sharing.link.closings(), asked: None, closed_until: None }),
            sharing,
            waiting: AtomicU64::new(0),
            turn: AsyncMutex::default(),
            slots: Mutex::default(),
            away: AtomicBool::new(false),
        }
    }

    pub(super) async fn slot(self: &Arc<Self>) -> Result<(), LongWait> {
        loop {
            // On a task of its own: a caller that is not polled for a while has a turn, and holds up nobody.
            let taken = AbortOnDropHandle::new(tokio::spawn(Arc::clone(self).next_slot())).await;
            // Not joined when the runtime ends.
            let Some(at) = taken.unwrap_or(Ok(None))? else {
                return self.alone.slot().await;
            };
            tokio::time::sleep_until(at.into()).await;
            if self.is_open().await {
                return Ok(());
            }
        }
    }

    /// A slot of this caller's own; `None` while Redis is away.
    async fn next_slot(self: Arc<Self>) -> Result<Option<Instant>, LongWait> {
        let _waits = Waits::among(&self.waiting);
        let _turn = self.turn.lock().await;
        if let Some(at) = lock(&self.slots).take(Instant::now(), self.interval) {
            return Ok(Some(at));
        }
        self.until_the_last_slot().await;
        if self.away.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let waiting = self.waiting.load(Ordering::SeqCst);
        let most = u64::try_from(BATCH.as_micros() / self.interval.as_micros().max(1)).unwrap_or(u64::MAX);
        let Some(Reserved { slots, wait, users }) = self.reserve(waiting.min(most).max(1)).await else {
            self.is_away();
            return Ok(None);
        };
        if slots == 0 {
            return Err(LongWait::of(wait));
        }
        self.alone.pace(self.interval * users.max(SHARE_ALONE));
        let now = Instant::now();
        let mut batch = lock(&self.slots);
        batch.left = slots;
        batch.next = Some(now + wait);
        Ok(batch.take(now, self.interval))
    }

    /// Others come meanwhile, who share the next batch. A closing makes an end of it: the batch is of no use any more.
    async fn until_the_last_slot(&self) {
        let Some(last) = lock(&self.slots).last else { return };
        let mut closings = self.sharing.link.closings();
        tokio::select! {
            () = tokio::time::sleep_until(last.into()) => {}
            _ = closings.changed() => {}
        }
    }

    /// Whether nobody has closed the lane, as far as is known.
    async fn is_open(self: &Arc<Self>) -> bool {
        if self.has_to_ask() && !self.ask().await {
            self.is_away();
        }
        lock(&self.door).closed_until.is_none_or(|until| until <= Instant::now())
    }

    /// Of those who come at once one asks.
    fn has_to_ask(&self) -> bool {
        let mut door = lock(&self.door);
        let heard = door.news.has_changed().unwrap_or(false);
        let doubted = door.asked.is_none_or(|asked| asked.elapsed() >= DOUBTED_AFTER);
        if heard || doubted {
            // Before the question: what is published after it is news.
            door.news.mark_unchanged();
            door.asked = Some(Instant::now());
        }
        heard || doubted
    }

    /// Asks for how long the lane is closed; false if there is no answer.
    async fn ask(&self) -> bool {
        let key = self.closed_key();
        let asked = self.sharing.link.send(|mut connection| {
            let call = CLOSED.key(&key);
            async move { call.invoke_async::<u64>(&mut connection).await }
        });
        let Ok(Ok(wait)) = timeout(ANSWERED_WITHIN, asked).await else { return false };
        if wait > 0 {
            self.closed_for(Duration::from_micros(wait));
        }
        true
    }

    fn closed_for(&self, wait: Duration) {
        self.alone.close(wait);
        let mut door = lock(&self.door);
        door.closed_until = door.closed_until.max(Some(Instant::now() + wait));
    }

    fn closed_key(&self) -> String {
        format!("{}:closed", self.key)
    }

    pub(super) async fn close(self: &Arc<Self>, wait: Duration) {
        self.closed_for(wait);
        lock(&self.slots).left = 0;
        let (micros, closed_key) = (micros(wait), self.closed_key());
        let closed = self.sharing.link.send(|mut connection| {
            let mut call = CLOSE.key(&self.key);
            call.key(&closed_key).arg(micros).arg(self.sharing.link.channel()).arg(CLOSING);
            async move { call.invoke_async::<()>(&mut connection).await }
        });
        let told = match timeout(ANSWERED_WITHIN, closed).await {
            Ok(told) => told.map_err(|error| error.to_string()),
            Err(_) => Err(format!("Redis did not answer within {} s", ANSWERED_WITHIN.as_secs())),
        };
        if let Err(error) = told {
            tracing::warn!(%error, "the other processes could not be told of Zoom's rate limit");
        }
    }

    /// `None` while Redis is away.
    async fn reserve(&self, wanted: u64) -> Option<Reserved> {
        let users = format!("{}:users", self.key);
        let reserved = self.sharing.link.send(|mut connection| {
            let mut call = RESERVE.key(&self.key);
            call.key(&users)
                .arg(micros(self.interval))
                .arg(micros(BURST))
                .arg(wanted)
                .arg(micros(LONGEST_WAIT));
            call.arg(&self.user).arg(micros(COUNTED_FOR));
            async move { call.invoke_async::<(u64, i64, u32)>(&mut connection).await }
        });
        let (slots, wait, users) = timeout(ANSWERED_WITHIN, reserved).await.ok()?.ok()?;
        // Counted from when the answer is here: late by the way back, never early. What lies behind is made up for now.
        Some(Reserved { slots, wait: Duration::from_micros(u64::try_from(wait).unwrap_or(0)), users })
    }

    /// From here on this process paces itself, until Redis answers.
    fn is_away(self: &Arc<Self>) {
        if self.away.swap(true, Ordering::SeqCst) {
            return;
        }
        tracing::warn!(
            "Redis is away: this process paces itself at its share of Zoom's rate, a quarter at most"
        );
        let lane = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_AGAIN).await;
                let Some(lane) = lane.upgrade() else { return };
                // Of nothing: what a Redis that takes no writes could answer is no sign.
                if lane.reserve(0).await.is_some() {
                    lane.away.store(false, Ordering::SeqCst);
                    tracing::info!("Zoom's rate limit is shared through Redis again");
                    return;
                }
            }
        });
    }
}

/// No panic can leave what is behind it half-changed.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Counts a waiter for as long as it waits for a batch.
struct Waits<'a>(&'a AtomicU64);

impl<'a> Waits<'a> {
    fn among(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_that_nobody_came_for_are_no_burst() {
        let (begun, interval) = (Instant::now(), Duration::from_millis(50));
        let now = begun + Duration::from_secs(1);
        let mut slots = Slots { left: 30, next: Some(begun), last: None };
        let taken: Vec<Instant> = std::iter::from_fn(|| slots.take(now, interval)).collect();
        let late = taken.iter().filter(|at| **at < now).count();
        assert!(late <= 2, "{late} slots at once");
        assert_eq!(taken.last(), Some(&(begun + 29 * interval)), "those to come are there");
        assert_eq!(slots.last, taken.last().copied());
    }
}
