//! The shared queue: one Redis, or one that speaks like it, for any number of producers and workers.
//!
//! # What is where
//!
//! Every key begins with one tag in braces, `{recapture}` or `{recapture:PREFIX}`, so that all are in one slot of a
//! cluster and a script may touch them together. [`keys`] has them all.
//!
//! | key | type | holds |
//! | --- | --- | --- |
//! | `jobs` | hash | meeting → record of its unfinished job; that it has a field is what makes a meeting unique |
//! | `causes` | hash | meeting → what went wrong last, or what it waits for |
//! | `ready:RUN` | zset | ready jobs that the run owns, by deadline |
//! | `other:RUN` | zset | every other unfinished job that counts for the run: leased, delayed, or another run's; by deadline |
//! | `heads:CLASS` | zset | runs that are served, by the deadline of their most urgent ready job |
//! | `leased`, `delayed` | zset | by the end of the lease, by when they are due |
//! | `run:RUN` | hash | state, pause, beat and the books; also how many of its jobs are leased and delayed |
//! | `about:RUN` | hash | what was asked for; what could not be proven; why it ended |
//! | `runs`, `live`, `paused`, `cancelling` | zset, sets | runs: all; with unfinished jobs; paused; being cancelled |
//! | `dead:RUN`, `graves:RUN` | hash, zset | what the run has given up, and its order |
//! | `ages`, `aged` | zset, hash | instants at which unfinished jobs were enqueued, and how many at each |
//! | `queue` | hash | the last fencing token, the pause of the whole queue, the number of the dead, the version of these forms |
//! | `told:SERIES` | string | the last answer of a series of calls, in case it was not received; gone by itself |
//! | `duty` | hash | who has the duty of automatic recovery, by which token and until when, and the ledger that it keeps |
//! | `news` | channel | something may be claimable |
//!
//! So a queued job costs its record and one entry of `ready`; a claim costs what it takes, not what waits; and counting
//! never walks the jobs. What a finished job leaves is its runs' books.
//!
//! # States and crashes
//!
//! Each arrow of the drawing in [`super`] is one script. Redis runs a script alone, and its append-only file has all of
//! its effects or none (a cut tail is dropped when Redis starts). Scripts check everything before they write, and
//! their first write is one that a full Redis refuses if they would make it fuller, so that `OOM`, `READONLY` and
//! `MISCONF` change nothing. So:
//!
//! - *A client dies before its script arrived*: nothing has happened. *After it*: the step has happened. A claim that
//!   nobody received runs out with its lease and its start is counted.
//! - *A reply is lost* (the connection broke, or five seconds passed): the client cannot know. The step carries a token and
//!   its answer is kept in `told`; the same call made again, by itself or by its caller, presents the same token ([`doubt`])
//!   and gets that answer, if the step was done. So a settlement or a batch that is sent twice is booked once.
//! - *Redis is killed, or power is cut*: with `appendfsync always` everything that was acknowledged is there, leases too.
//!   With `everysec` the last two seconds of it may be gone, with a killed Redis only if its disk was slow (it answers
//!   before it writes while a sync is under way); the same when a replica takes over that had not heard all. Enqueues
//!   that are lost are listed again by the next recovery; settlements that are lost run again, and former holders'
//!   tokens fit no lease that is given out later, because the worker is part of it. A run is told to be enumerated only
//!   when its jobs are on disk, if the server can tell (Redis 7.2).
//! - *An operator's command* on many jobs (cancel, retry) is made of slices of at most [`scripts::SLICE`] jobs, each of
//!   them one script that leaves whole books. Cancelling marks the run first: from there on none of its jobs is handed
//!   out, and if whoever cancels dies, claiming workers cut the remaining slices. A retry that is cut short has retried
//!   some; it is made again.
//! - *An enqueued batch* of more than [`scripts::BATCH`] jobs is cut into such; the tally is booked with the last.
//!
//! # Time
//!
//! Leases and due times are by the clock of the server, read inside the scripts; no other clock is asked. When it is
//! set, leases end early or late; fencing keeps that harmless. An instant that a worker names is by its own clock, and
//! is carried over to the server's ([`clocks`]): a machine whose clock is wrong delays nothing and hurries nothing.
//!
//! # Waiting
//!
//! Workers hear of work on the connection they work with (RESP3): a script that makes something claimable, or due
//! sooner than all else, publishes `news`. Due times and ends of leases are timers here. A lease that is taken after a
//! look ends a whole lease after that look at the earliest, so looking once a lease misses none.
//!
//! # When Redis is away
//!
//! Every call fails within seconds, and whoever holds jobs waits it out ([`super::HeldJob`], [`super::run_pool`]).
//! The connection is made again by whoever calls next, as often as needed ([`Link`]). What a producer records is tried
//! for [`PATIENCE`] before its caller is told, who tries again: of a batch that was done, the answer is kept for
//! [`BATCH_KEPT`].

mod clocks;
mod control;
mod doubt;
mod duty;
mod enqueue;
mod exchange;
mod fault;
mod keys;
mod open;
mod record;
mod reply;
mod runs;
mod scripts;
mod views;
mod wait;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use redis::Script;

use self::clocks::Ahead;
use self::doubt::Doubts;
use self::fault::unreadable;
use self::keys::Keys;
use self::reply::Reply;
pub(super) use self::scripts::BATCH as MOST_ENQUEUED;
use super::clock::{Clock, Millis};
use super::error::QueueError;
use crate::redis::{Fault, Link};

/// How long an answer is kept for a call that did not receive it, besides the length of a lease.
const ANSWER_KEPT: Duration = Duration::from_secs(60);

/// The same for what a producer enqueues, who waits for a queue that is away: its tally is not to be booked twice.
const BATCH_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the calls of a producer are tried again while Redis is out of reach.
const PATIENCE: Duration = Duration::from_secs(60);

/// A queue in Redis. Clones share one connection.
#[derive(Debug, Clone)]
pub struct RedisQueue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keys: Keys,
    link: Arc<Link>,
    clock: Clock,
    lease: Duration,
    max_attempts: u32,
    high_water: u64,
    doubts: Doubts,
    ahead: Ahead,
}

impl RedisQueue {
    pub(super) fn lease(&self) -> Duration {
        self.0.lease
    }

    /// The connection, for what else is kept in the same Redis.
    pub(super) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.0.link)
    }

    /// Closes the queue for every clone; calls then err with `Closed`.
    pub(super) async fn close(self) {
        self.0.link.close().await;
    }

    /// Runs a script that may be run twice.
    async fn eval(&self, script: &Script, arguments: Vec<String>) -> Result<Reply, QueueError> {
        twice(|| self.try_eval(script, &arguments)).await.map_err(|fault| self.told(fault))
    }

    /// Runs a script once, or perhaps not at all. It has no token.
    async fn eval_at_most_once(&self, script: &Script, arguments: Vec<String>) -> Result<Reply, QueueError> {
        let mut whole = vec![String::new(), String::new(), String::new()];
        whole.extend(arguments);
        self.try_eval(script, &whole).await.map_err(|fault| self.told(fault))
    }

    /// Runs a script that keeps its answer, so that it is done once however often it is sent: `what` names this call
    /// for as long as its outcome is uncertain. The script gets its token, and how long to keep the answer.
    async fn eval_once(
        &self,
        what: impl Fn() -> String,
        script: &Script,
        arguments: Vec<String>,
    ) -> Result<Reply, QueueError> {
        self.eval_once_and_keep(self.0.lease + ANSWER_KEPT, what, script, arguments).await
    }

    /// The same with another time for which the answer is kept.
    async fn eval_once_and_keep(
        &self,
        kept: Duration,
        what: impl Fn() -> String,
        script: &Script,
        arguments: Vec<String>,
    ) -> Result<Reply, QueueError> {
        let mut attempt = self.0.doubts.begin(what);
        let token = attempt.token();
        let mut whole = vec![token.series.clone(), token.number.to_string(), span(kept)];
        whole.extend(arguments);
        let answer = twice(|| self.try_eval(script, &whole)).await;
        // An error says nothing of a former attempt: a server that is just starting refuses what it has done before.
        if answer.is_ok() {
            attempt.answered();
        }
        answer.map_err(|fault| self.told(fault))
    }

    async fn try_eval(&self, script: &Script, arguments: &[String]) -> Result<Reply, Fault> {
        let mut call = script.key(self.0.keys.tag());
        call.arg(self.0.clock.set_by_hand().map_or_else(String::new, |now| now.to_string()));
        call.arg(arguments);
        let call = &call;
        let sent = self.0.link.send(|mut connection| async move { call.invoke_async(&mut connection).await });
        sent.await.map(Reply::new)
    }

    fn told(&self, fault: Fault) -> QueueError {
        fault::told(fault, self.0.link.place())
    }

    /// What is stored, and cannot be read back.
    fn corrupt(&self, what: impl std::fmt::Display) -> QueueError {
        unreadable(self.0.link.place(), what)
    }
}

/// Makes a call again, once, if its connection turns out to be broken, as one that was idle for long may be.
async fn twice<F>(call: impl Fn() -> F) -> Result<Reply, Fault>
where
    F: Future<Output = Result<Reply, Fault>>,
{
    match call().await {
        Err(Fault::Unanswered(error)) if !error.is_timeout() => call().await,
        answer => answer,
    }
}

/// A length of time as scripts take it.
fn span(length: Duration) -> String {
    length.as_millis().to_string()
}

fn stamp(at: Millis) -> String {
    at.to_string()
}
