//! A lane that all processes of an account share: Redis keeps the time of the next free slot.
//!
//! Slots are reserved in batches, for as many as wait in this process right now and for at most a twentieth of a
//! second of the lane, so that Redis is not asked once a request and no slot is reserved that nobody uses. The slots of
//! those who wait may lie seconds ahead: whoever comes to its slot asks whether the lane was closed meanwhile (one
//! question in a twentieth of a second serves all), and then takes another one. So a 429 that another process met holds
//! after a twentieth of a second, for those who wait already too.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::Script;
use tokio::sync::Mutex;

use super::{BURST, LONGEST_WAIT, LongWait, local};
use crate::config::Category;
use crate::zoom::sharing::Sharing;

/// A batch covers so much of the lane's time.
const BATCH: Duration = Duration::from_millis(50);

/// While Redis is away nobody knows how many share the lane.
const SHARE_ALONE: u32 = 4;

static RESERVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("reserve.lua")));
static CLOSED: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("closed.lua")));
static CLOSE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("close.lua")));

pub(super) struct Lane {
    key: String,
    interval: Duration,
    sharing: Sharing,
    waiting: AtomicU64,
    batch: Mutex<Batch>,
    door: Mutex<Door>,
    alone: local::Lane,
}

#[derive(Default)]
struct Batch {
    left: u64,
    next: Option<Instant>,
    redis_is_away: bool,
}

/// What is known of the lane's being closed.
#[derive(Default)]
struct Door {
    asked: Option<Instant>,
    closed_until: Option<Instant>,
}

impl Lane {
    pub(super) fn new(interval: Duration, category: Category, sharing: Sharing) -> Self {
        Self {
            key: sharing.lane_key(category),
            interval,
            alone: local::Lane::new(interval * SHARE_ALONE),
            sharing,
            waiting: AtomicU64::new(0),
            batch: Mutex::default(),
            door: Mutex::default(),
        }
    }

    pub(super) async fn slot(&self) -> Result<(), LongWait> {
        loop {
            let Some(at) = self.next_slot().await? else {
                return self.alone.slot().await;
            };
            tokio::time::sleep_until(at.into()).await;
            if self.is_open().await {
                return Ok(());
            }
        }
    }

    /// A slot of this caller's own; `None` while Redis is away.
    async fn next_slot(&self) -> Result<Option<Instant>, LongWait> {
        let _waits = Waits::among(&self.waiting);
        let mut batch = self.batch.lock().await;
        if batch.left == 0 {
            match self.reserve().await {
                Some((0, wait)) => return Err(LongWait::of(wait)),
                Some((slots, wait)) => {
                    if std::mem::take(&mut batch.redis_is_away) {
                        tracing::info!("Zoom's rate limit is shared through Redis again");
                    }
                    *batch = Batch { left: slots, next: Some(Instant::now() + wait), redis_is_away: false };
                }
                None => {
                    if !std::mem::replace(&mut batch.redis_is_away, true) {
                        tracing::warn!("Redis is away: this process paces itself at a quarter of the rate");
                    }
                    return Ok(None);
                }
            }
        }
        let at = batch.next.unwrap_or_else(Instant::now);
        batch.left -= 1;
        batch.next = Some(at + self.interval);
        Ok(Some(at))
    }

    /// Whether nobody has closed the lane, as far as was known a moment ago.
    async fn is_open(&self) -> bool {
        let mut door = self.door.lock().await;
        if door.asked.is_none_or(|asked| asked.elapsed() >= BATCH) {
            let key = self.closed_key();
            let asked = self.sharing.link.send(|mut connection| {
                let call = CLOSED.key(&key);
                async move { call.invoke_async::<u64>(&mut connection).await }
            });
            if let Ok(wait) = asked.await {
                let now = Instant::now();
                let until = (wait > 0).then(|| now + Duration::from_micros(wait));
                *door = Door { asked: Some(now), closed_until: door.closed_until.max(until) };
            }
        }
        door.closed_until.is_none_or(|until| until <= Instant::now())
    }

    fn closed_key(&self) -> String {
        format!("{}:closed", self.key)
    }

    pub(super) async fn close(&self, wait: Duration) {
        self.alone.close(wait);
        self.batch.lock().await.left = 0;
        {
            let mut door = self.door.lock().await;
            door.closed_until = door.closed_until.max(Some(Instant::now() + wait));
        }
        let (micros, closed_key) = (micros(wait), self.closed_key());
        let closed = self.sharing.link.send(|mut connection| {
            let mut call = CLOSE.key(&self.key);
            call.key(&closed_key).arg(micros);
            async move { call.invoke_async::<()>(&mut connection).await }
        });
        if let Err(error) = closed.await {
            tracing::warn!(%error, "the other processes could not be told of Zoom's rate limit");
        }
    }

    /// Slots, and how long until the first; `None` while Redis is away.
    async fn reserve(&self) -> Option<(u64, Duration)> {
        let most = (BATCH.as_micros() / self.interval.as_micros().max(1)).max(1);
        let wanted = self.waiting.load(Ordering::SeqCst).clamp(1, u64::try_from(most).unwrap_or(u64::MAX));
        let reserved = self.sharing.link.send(|mut connection| {
            let mut call = RESERVE.key(&self.key);
            call.arg(micros(self.interval)).arg(micros(BURST)).arg(wanted).arg(micros(LONGEST_WAIT));
            async move { call.invoke_async::<(u64, i64)>(&mut connection).await }
        });
        let (slots, wait) = reserved.await.ok()?;
        // Counted from when the answer is here: late by the way back, never early.
        Some((slots, Duration::from_micros(u64::try_from(wait).unwrap_or(0))))
    }
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
