//! Recoveries that the service is asked for over HTTP: begun at once, listed in the background, and never forgotten.
//!
//! # States
//!
//! ```text
//!   asked ─► begun: evidence, run, list of ids ─► answered ─► listed here ─► on the queue: the run's own states
//!                                │                   │             │
//!                                └──────── killed, or stopped ─────┘
//!                                                    ▼
//!               its producer beats no more ─► taken up by a run of its own, which names the one before
//! ```
//!
//! A run is answered for (202) when a restart can no longer lose it: who asked for what stands in the evidence and in the
//! queue's store, and a list of ids is kept beside the evidence, durably.
//!
//! # What a crash leaves
//!
//! * *Killed before the answer*: perhaps a run, which is taken up like any other. A client that got no answer sends the
//!   request again with the same `Idempotency-Key`, and is told of that run.
//! * *Killed or stopped while it lists*: a run that is enumerating and whose producer beats no more. Batches of it are on
//!   the queue and in its books, so listing it again under the same id would count them twice. Instead a new run lists
//!   everything again, finds queued what is on the queue, and says which run it continues; the old one ends as `stopped`
//!   and says which run goes on. The new run's id follows from the old one and from when it fell silent, and an id is
//!   created once: of many processes one takes a run up, and a crash between the two steps is made good by the next look.
//! * *A process that only slept* finds its run ended, and its next batch refused.
//! * *A run whose list of ids was not kept yet*, or cannot be read, ends as `stopped` and says so: it is asked for again.
//!
//! A listing that is cut short [`MOST_STARTS`] times in a row is left as it is, and says so.
//!
//! What is listed is on the queue: from there on nothing here is needed. As with every detached run, its record is closed
//! then; what workers add is sealed by them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use recapture_core::buffer::BufferError;
use recapture_core::digest::sha256;
use recapture_core::evidence::{self, Entry};
use recapture_core::queue::QueueError;
use recapture_core::run::{RecoveryRun, Request, RunId, RunState, Served};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Service;
use crate::producer::{Asked, ProducerError};
use crate::recovery::{End, Part, Recovery, RecoveryError, What, begin, begin_as, conclude};

/// How often runs are looked for whose listing was cut short.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How many of the newest runs are looked at, for that and for keys of clients.
const NEWEST: u32 = 1000;

/// Listings of this process at once; a client that wants one more is asked to wait.
const MOST_LISTINGS: usize = 8;

/// How often a listing is begun.
const MOST_STARTS: usize = 5;

/// What a client asked for, checked.
pub(super) struct Order {
    pub(super) what: What,
    /// In the client's words: `last 7d` is the same however often it is said, and its period is not.
    pub(super) words: String,
    pub(super) by: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) list: Option<List>,
}

/// A list of meetings as it came.
pub(super) struct List {
    pub(super) name: String,
    pub(super) text: Vec<u8>,
    pub(super) rows: u64,
    pub(super) rejected: u64,
}

/// Who asks, and under which key.
pub(super) struct Client {
    pub(super) address: String,
    pub(super) request_id: String,
    pub(super) key: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum BeginError {
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    #[error("this Idempotency-Key was used for another request, which is run {0}; use a new key")]
    OtherRequest(RunId),
    #[error("{MOST_LISTINGS} recoveries are being listed; ask again when one of them is")]
    TooMany,
    #[error("the service is stopping")]
    Stopping,
}

impl From<QueueError> for BeginError {
    fn from(error: QueueError) -> Self {
        Self::Recovery(error.into())
    }
}

impl From<BufferError> for BeginError {
    fn from(error: BufferError) -> Self {
        Self::Recovery(error.into())
    }
}

/// A run that was begun, and whether an earlier request had begun it.
pub(super) struct Begun {
    pub(super) run: RecoveryRun,
    pub(super) is_new: bool,
}

/// Takes orders; a handle for the routes.
#[derive(Clone)]
pub(super) struct Recoveries {
    service: Service,
    listings: UnboundedSender<(RunId, What)>,
    under_way: Arc<Mutex<usize>>,
    one_at_a_time: Arc<tokio::sync::Mutex<()>>,
}

pub(super) struct Waiting(UnboundedReceiver<(RunId, What)>);

impl Recoveries {
    pub(super) fn new(service: Service) -> (Self, Waiting) {
        let (listings, waiting) = unbounded_channel();
        let recoveries = Self { service, listings, under_way: Arc::default(), one_at_a_time: Arc::default() };
        (recoveries, Waiting(waiting))
    }

    /// The request as it is recorded.
    pub(super) fn request(order: &Order, client: &Client) -> Request {
        Request {
            mode: order.what.mode(),
            dry_run: false,
            requested_by: order.by.clone().unwrap_or_else(|| format!("a client at {}", client.address)),
            reason: order.reason.clone(),
            period: order.what.period(),
            served: Some(Served {
                client: client.address.clone(),
                request_id: client.request_id.clone(),
                asked_sha256: order.sha256(),
                key_sha256: client.key.as_ref().map(|key| sha256(key.as_bytes())),
                continues: None,
            }),
        }
    }

    /// Begins a run, unless the client's key names one.
    pub(super) async fn begin(&self, order: Order, client: &Client) -> Result<Begun, BeginError> {
        // Two requests with one key that arrive together must not both find no run.
        let _turn = self.one_at_a_time.lock().await;
        let request = Self::request(&order, client);
        if let Some(run) = self.begun_before(&request, None).await? {
            return Ok(Begun { run, is_new: false });
        }
        if self.listings.is_closed() {
            return Err(BeginError::Stopping);
        }
        if *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) >= MOST_LISTINGS {
            return Err(BeginError::TooMany);
        }
        let opened = &self.service.opened;
        let run = begin(opened, request.clone(), self.service.loaded.effective_hash()).await?;
        if let Some(list) = order.list {
            self.keep_list(&run.id, list).await?;
        }
        // Another process may have been asked with the same key at the same moment: the older run stands.
        if let Some(older) = self.begun_before(&request, Some(&run.id)).await? {
            let because = format!("the same request is run {}", older.id);
            self.end(&run, RunState::Cancelled, &because).await?;
            return Ok(Begun { run: older, is_new: false });
        }
        *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        if self.listings.send((run.id.clone(), order.what)).is_err() {
            return Err(BeginError::Stopping);
        }
        Ok(Begun { run, is_new: true })
    }

    /// The run that a request with this key has begun, older than the given one.
    async fn begun_before(
        &self,
        request: &Request,
        before: Option<&RunId>,
    ) -> Result<Option<RecoveryRun>, BeginError> {
        let key_of = |request: &Request| request.served.as_ref().and_then(|served| served.key_sha256.clone());
        let Some(key) = key_of(request) else { return Ok(None) };
        let runs = self.service.opened.queue.runs_before(before, NEWEST).await?;
        let Some(run) = runs.into_iter().find(|run| key_of(&run.request).as_ref() == Some(&key)) else {
            return Ok(None);
        };
        let asked = |request: &Request| request.served.as_ref().map(|served| served.asked_sha256.clone());
        if asked(&run.request) == asked(request) {
            return Ok(Some(run));
        }
        Err(BeginError::OtherRequest(run.id))
    }

    async fn keep_list(&self, run: &RunId, list: List) -> Result<(), BufferError> {
        let evidence = &self.service.opened.ports.evidence;
        let List { name, text, rows, rejected } = list;
        let sha256 = sha256(&text);
        let raw = Some(evidence.keep_raw(run, text).await?);
        evidence.append_durably(run, vec![Entry::Input { name, sha256, rows, rejected, raw }]).await
    }

    /// Lists what was asked for, and takes up what was cut short, until `stop`.
    pub(super) async fn keep(self, waiting: Waiting, stop: CancellationToken) -> Result<(), String> {
        let Waiting(mut waiting) = waiting;
        let mut listings = JoinSet::new();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some((id, what)) = waiting.recv() => {
                    listings.spawn(self.clone().list(id, what, stop.clone()).boxed());
                }
                Some(ended) = listings.join_next(), if !listings.is_empty() => self.ended(ended),
                _ = look.tick() => {
                    let looked = self.take_up(&mut listings, &stop).await;
                    if let Err(error) = looked {
                        warn!(%error, "runs that were cut short cannot be looked for; it is tried again");
                    }
                }
            }
        }
        // An order that came in at the last moment is begun, and taken up at the next start.
        waiting.close();
        while let Ok((id, _)) = waiting.try_recv() {
            self.leave(&id).await;
        }
        while let Some(ended) = listings.join_next().await {
            self.ended(ended);
        }
        Ok(())
    }

    fn ended(&self, ended: Result<(), tokio::task::JoinError>) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        *under_way = under_way.saturating_sub(1);
        if let Err(error) = ended {
            error!(%error, "a listing panicked; it is taken up again");
        }
    }

    async fn list(self, id: RunId, what: What, stop: CancellationToken) {
        let Service { opened, loaded, .. } = &self.service;
        let recovery =
            Recovery { opened, config: &loaded.config, id: id.clone(), tell: &|_| {}, stop: stop.clone() };
        let end = match recovery.recover(&what, Part::List).await {
            Ok(End::Listing(ProducerError::Interrupted)) if stop.is_cancelled() => {
                return self.leave(&id).await;
            }
            Ok(end) => end,
            Err(error) => return error!(run = %id, %error, "a listing ended; it is taken up again"),
        };
        match conclude(opened, &id, &end).await {
            Ok((_, Some(because))) => warn!(run = %id, because, "the listing stopped"),
            Ok((run, None)) => info!(run = %id, detected = run.counts.detected, "listed"),
            Err(error) => error!(run = %id, %error, "a listing could not be concluded; it is taken up again"),
        }
    }

    /// Who starts next need not wait for this process to be missed.
    async fn leave(&self, id: &RunId) {
        info!(run = %id, "the listing is left; the next start takes it up");
        if let Err(error) = self.service.opened.queue.producer_beat(id, Utc::now()).await {
            warn!(run = %id, %error, "the queue could not be told; the listing is taken up half a minute later");
        }
    }

    /// Looks for runs of the service whose listing was cut short, and goes on with them.
    async fn take_up(
        &self,
        listings: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> Result<(), RecoveryError> {
        let runs = self.service.opened.queue.runs(NEWEST).await?;
        for run in &runs {
            let Some((served, silent)) = cut_short(run) else { continue };
            if starts(&runs, run) >= MOST_STARTS {
                let because =
                    format!("its listing was cut short {MOST_STARTS} times in a row; ask for it again");
                self.end(run, RunState::Stopped, &because).await?;
                continue;
            }
            let next = RunId::after(&run.id, silent);
            if self.service.opened.queue.run(&next).await?.is_none() {
                let Some(what) = self.begin_again(&next, run, served).await? else { continue };
                *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                info!(run = %next, continues = %run.id, "a listing that was cut short is taken up");
                listings.spawn(self.clone().list(next.clone(), what, stop.clone()).boxed());
            }
            self.end(
                run,
                RunState::Stopped,
                &format!("its listing was cut short; run {next} goes on with it"),
            )
            .await?;
        }
        Ok(())
    }

    /// Begins the run that continues another; `None` if that cannot be, or somebody else does.
    async fn begin_again(
        &self,
        next: &RunId,
        run: &RecoveryRun,
        served: &Served,
    ) -> Result<Option<What>, RecoveryError> {
        let (what, list) = match run.request.period {
            Some(period) => (What::Period(period), None),
            None => match self.read_list(&run.id).await {
                Ok((asked, list)) => (What::Meetings(asked), Some(list)),
                Err(why) => {
                    let because = format!("its listing was cut short, and {why}; ask for it again");
                    self.end(run, RunState::Stopped, &because).await?;
                    return Ok(None);
                }
            },
        };
        // The key stays with the first run: a client that sends its request again is told of that one, which tells
        // where it goes on.
        let served = Served { continues: Some(run.id.clone()), key_sha256: None, ..served.clone() };
        let request = Request { served: Some(served), ..run.request.clone() };
        let config = self.service.loaded.effective_hash();
        match begin_as(next.clone(), &self.service.opened, request, config).await {
            Err(RecoveryError::Queue(QueueError::RunExists(_))) => return Ok(None),
            other => other?,
        };
        if let Some(list) = list {
            self.keep_list(next, list).await?;
        }
        Ok(Some(what))
    }

    async fn end(&self, run: &RecoveryRun, state: RunState, because: &str) -> Result<(), RecoveryError> {
        let opened = &self.service.opened;
        opened.queue.end_run(&run.id, state, Some(because)).await?;
        if let Some(run) = opened.queue.run(&run.id).await?
            && let Err(error) = opened.ports.evidence.close(&run, Some(because.to_owned())).await
        {
            error!(run = %run.id, %error, "the evidence could not be closed");
        }
        Ok(())
    }

    /// The ids that a run was asked for, as they are kept beside its evidence.
    async fn read_list(&self, run: &RunId) -> Result<(Vec<Asked>, List), String> {
        let none = || "its list of meetings was not kept yet".to_owned();
        let folder = self.service.opened.ports.buffer.run_record(run).await;
        let folder = folder.map_err(|error| error.to_string())?.ok_or_else(none)?;
        let run = run.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut input = None;
            let read = evidence::read(&folder, &run, |line| {
                if let Entry::Input { name, rows, rejected, raw: Some(raw), .. } = line.entry {
                    input = Some((name, rows, rejected, raw));
                }
            });
            read.map_err(|error| error.to_string())?;
            let (name, rows, rejected, raw) = input.ok_or_else(none)?;
            let text = evidence::read_raw(&folder, &raw).map_err(|error| error.to_string())?;
            let asked = ids(&text)?;
            Ok((asked, List { name, text, rows, rejected }))
        });
        read.await.map_err(|error| error.to_string())?
    }
}

/// The ids of a kept list: a CSV file, which a list of ids alone is too.
fn ids(text: &[u8]) -> Result<Vec<Asked>, String> {
    let content = crate::trigger::csv::Content::of(text).map_err(|error| error.to_string())?;
    Ok(content.asked)
}

impl Order {
    /// What is asked for, and not by whom or when: a request that is sent once more has the same.
    fn sha256(&self) -> String {
        let list = self.list.as_ref().map_or_else(String::new, |list| sha256(&list.text));
        let (by, reason) =
            (self.by.as_deref().unwrap_or_default(), self.reason.as_deref().unwrap_or_default());
        sha256(format!("{}\n{list}\n{by}\n{reason}", self.words).as_bytes())
    }
}

/// Of a run of the service that was cut short while it was listed: how it came, and when it fell silent.
fn cut_short(run: &RecoveryRun) -> Option<(&Served, DateTime<Utc>)> {
    let served = run.request.served.as_ref()?;
    // Shown as stopped, and not said to be: so only its silence tells.
    let silent = run.state == RunState::Stopped
        && run.ended_because.as_deref() == Some(recapture_core::queue::FELL_SILENT);
    silent.then_some((served, run.finished_at?))
}

/// How many runs in a row this one is the last of.
fn starts(runs: &[RecoveryRun], run: &RecoveryRun) -> usize {
    let before = |run: &RecoveryRun| {
        let id = run.request.served.as_ref()?.continues.as_ref()?;
        runs.iter().find(|other| other.id == *id)
    };
    std::iter::successors(Some(run), |run| before(run)).take(MOST_STARTS).count()
}
