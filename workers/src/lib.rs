//! The worker pool: takes jobs from the queue and recovers one meeting each.
//!
//! [`open`] puts the ports together, [`run_pool`] works until it is stopped or has to halt. `recapture-worker` and
//! `recapture worker` are [`run`]; `recapture recover` runs the same pool in its own process.

pub mod disposition;
pub mod error;
pub mod files_so_far;
pub mod halt;
pub mod health;
pub mod ports;
pub mod recover_meeting;
pub mod room;
pub mod steps;
pub mod work;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use recapture_core::buffer::{Buffer, BufferError};
use recapture_core::config::{Config, MissingCredentials};
use recapture_core::contacts::{Contacts, ContactsError};
use recapture_core::evidence::Evidence;
use recapture_core::http::{self, HttpError};
use recapture_core::metrics;
use recapture_core::queue::{self, PoolSettings, Queue, QueueError, QueueSettings, WorkerId};
use recapture_core::reason::Cause;
use recapture_core::zoom::{Sharing, Zoom};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use error::StepError;
use halt::Halt;
use health::HealthError;
use ports::{Ports, Settings};
use room::Room;

/// How long a pool that halted waits before it looks whether things are better; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How often what this process wrote into the evidence of runs is sealed.
const SEAL_EVERY: Duration = Duration::from_secs(60);

/// Why work could not begin. Each message names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Credentials(#[from] MissingCredentials),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Buffer(#[from] BufferError),
    #[error(transparent)]
    Contacts(#[from] ContactsError),
    #[error(transparent)]
    Health(#[from] HealthError),
}

/// What a process needs to work: the queue, the ports, and its name.
pub struct Opened {
    pub queue: Queue,
    pub ports: Arc<Ports>,
    pub worker: WorkerId,
}

pub fn queue_settings(config: &Config) -> QueueSettings {
    QueueSettings {
        url: config.queue.url.clone(),
        lease: config.queue.lease,
        max_attempts: config.queue.max_attempts,
        high_water: config.queue.high_water,
    }
}

/// Opens every port and checks that it can be used; Zoom is not asked yet.
pub async fn open(config: &Config) -> Result<Opened, OpenError> {
    let credentials = config.zoom.credentials()?;
    let account = credentials.account_id.clone();
    let buffer = Buffer::open(&config.buffer).await?;
    buffer.check().await?;
    let contacts = Contacts::open(&config.contacts, http::client()?).await?;
    check(&contacts).await?;
    let queue = Queue::open(&queue_settings(config)).await?;
    queue.belong_to(&account).await?;
    let sharing = queue.shared_connection().map(|link| Sharing::new(link, &credentials));
    let zoom = Zoom::new(&config.zoom, credentials, &config.security, sharing)?;
    let worker = WorkerId::new();
    let evidence = Evidence::new(buffer.clone(), worker.as_str(), config.evidence.key.clone());
    evidence.tidy().await?;
    let ports = Ports {
        zoom,
        contacts,
        evidence,
        buffer,
        download_slots: Semaphore::new(config.worker.downloads),
        received: AtomicU64::new(0),
        room: Room::default(),
        settings: Settings {
            account,
            processing_poll: config.zoom.processing_poll,
            fingerprint: config.zoom.fingerprint,
        },
    };
    Ok(Opened { queue, ports: Arc::new(ports), worker })
}

/// Whether the platform is there, asked as patiently as it is told of a contact.
async fn check(contacts: &Contacts) -> Result<(), ContactsError> {
    let checked = steps::in_place(|| async { Ok(contacts.check().await?) }).await;
    match checked {
        Err(StepError::Contacts(error)) => Err(error),
        // Nothing else is asked here.
        _ => Ok(()),
    }
}

/// How a pool ended, with no job left in its hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolEnd {
    Stopped,
    /// No meeting would fare better now.
    Halted(Cause),
}

/// Works until `stop`, then drains; or until something halts the pool.
pub async fn run_pool(
    opened: &Opened,
    config: &Config,
    stop: &CancellationToken,
) -> Result<PoolEnd, QueueError> {
    run_pool_telling(opened, config, stop, &watch::Sender::new(None)).await
}

/// The same; `trouble` is why the queue gives no jobs, for as long as it does not answer as it should.
async fn run_pool_telling(
    opened: &Opened,
    config: &Config,
    stop: &CancellationToken,
    trouble: &watch::Sender<Option<String>>,
) -> Result<PoolEnd, QueueError> {
    let stop_or_halt = stop.child_token();
    let halt = Halt::new(stop_or_halt.clone());
    let settings = PoolSettings { concurrency: config.worker.concurrency, drain: config.worker.drain };
    let (ports, halting) = (Arc::clone(&opened.ports), halt.clone());
    let handler = move |held| work::work(Arc::clone(&ports), halting.clone(), held);
    let (jobs, worker) = (opened.queue.clone(), opened.worker.clone());
    let pool = queue::run_pool_telling(jobs, worker, settings, stop_or_halt, trouble.clone(), handler);
    let ended = tokio::select! {
        ended = pool => ended,
        never = seal_regularly(&opened.ports.evidence) => match never {},
    };
    ended?;
    Ok(halt.cause().map_or(PoolEnd::Stopped, |cause| PoolEnd::Halted(cause.clone())))
}

/// A worker process: works until `stop`. What halts the pool is said loudly and looked at again after a pause. Fails
/// when the pool is dead, so that a supervisor restarts the process.
pub async fn run(config: &Config, stop: CancellationToken) -> Result<(), OpenError> {
    let opened = open(config).await?;
    let (halted, watch_halted) = watch::channel(None);
    // The health endpoints outlive the drain: a supervisor may watch it.
    let served = CancellationToken::new();
    let _end_of_service = served.clone().drop_guard();
    if let Some(address) = config.worker.listen {
        let bound = health::serve(address, &opened, watch_halted, served).await?;
        info!(address = %bound, "serving /healthz, /readyz and /metrics");
    }
    info!(worker = %opened.worker, concurrency = config.worker.concurrency, "working");
    let ended = work_on(&opened, config, &stop, &halted).await;
    seal(&opened.ports.evidence).await;
    ended?;
    opened.queue.close().await;
    info!("stopped; nothing is left in hand");
    Ok(())
}

/// Works until `stop`. What halts the pool, or keeps the queue from giving it jobs, is said to `halted` and in the log, and looked at again after a pause, which
/// is how a process with other duties beside the pool has it. Fails when the pool is dead.
pub async fn work_on(
    opened: &Opened,
    config: &Config,
    stop: &CancellationToken,
    halted: &watch::Sender<Option<String>>,
) -> Result<(), QueueError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
        match run_pool_telling(opened, config, stop, halted).await? {
            PoolEnd::Stopped => return Ok(()),
            PoolEnd::Halted(cause) => {
                // A pool that worked for a while before it halted met a new trouble, not the old one again.
                pause = if began.elapsed() > LONGEST_PAUSE { FIRST_PAUSE } else { pause };
                warn!(%cause, again_in = ?pause, "no meeting is begun until this is mended");
                halted.send_replace(Some(cause.to_string()));
                metrics::pool_halted(true);
                if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                    return Ok(());
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                halted.send_replace(None);
                metrics::pool_halted(false);
            }
        }
    }
}

/// Pins what this process has written, minute by minute: whoever closes a run may do so before its workers are done.
async fn seal_regularly(evidence: &Evidence) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(SEAL_EVERY).await;
        seal(evidence).await;
    }
}

/// Pins what this process wrote into the evidence of runs; to be called at its end.
pub async fn seal(evidence: &Evidence) {
    if let Err(error) = evidence.tend().await {
        warn!(%error, "the evidence could not be sealed; it is tried again in a minute");
    }
}

/// How many random cases a fuzz test runs: thousands in the suite, `FUZZ_CASES` of them for `make fuzz`.
#[cfg(test)]
fn fuzz_cases() -> u32 {
    std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2000)
}
