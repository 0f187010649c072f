//! Keeps automatic recovery going in a process that stays: on duty a pass every `interval`, else waiting to take over.

use std::time::Duration;

use chrono::Utc;
use futures_util::FutureExt;
use recapture_core::config::Loaded;
use recapture_core::metrics;
use recapture_core::queue::{DutyToken, Queue, QueueError};
use recapture_core::run::Request;
use recapture_worker::Opened;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{error, info, warn};

use super::{Pass, PassError, Standing, Terms};
use crate::recovery::{End, Part, Recovery, RecoveryError, What, begin, conclude, exit_code};

/// The duty, for as long as this is kept.
pub struct Keeper {
    token: DutyToken,
    queue: Queue,
    /// Cancelled when the duty is lost, and with the token that it was made from.
    pub lost: CancellationToken,
    renewing: JoinHandle<()>,
    _ends_renewing: DropGuard,
}

impl Keeper {
    /// Takes the duty and renews it until it is left or lost; `None` if another process has it.
    pub async fn take(opened: &Opened, stop: &CancellationToken) -> Result<Option<Self>, QueueError> {
        let queue = opened.queue.clone();
        let Some(token) = queue.take_duty(&opened.worker).await? else { return Ok(None) };
        let lost = stop.child_token();
        let end = CancellationToken::new();
        let renewing = tokio::spawn(renew(queue.clone(), token.clone(), lost.clone(), end.clone()));
        Ok(Some(Self { token, queue, lost, renewing, _ends_renewing: end.drop_guard() }))
    }

    pub fn token(&self) -> DutyToken {
        self.token.clone()
    }

    /// Lets others take over at once.
    pub async fn leave(self) {
        self.renewing.abort();
        if let Err(error) = self.queue.leave_duty(&self.token).await {
            info!(%error, "the duty of automatic recovery could not be left; it ends with its lease");
        }
    }
}

async fn renew(queue: Queue, token: DutyToken, lost: CancellationToken, end: CancellationToken) {
    while end.run_until_cancelled(tokio::time::sleep(queue.lease() / 3)).await.is_some() {
        match queue.keep_duty(&token).await {
            Ok(true) => {}
            Ok(false) => {
                lost.cancel();
                return;
            }
            // Nobody can take it over while the queue is away.
            Err(error) => info!(%error, "the duty of automatic recovery could not be renewed; trying again"),
        }
    }
}

/// Runs until `stop`. What passes by itself is said and waited for.
pub async fn keep(opened: &Opened, loaded: &Loaded, stop: CancellationToken) -> Result<(), String> {
    let mut told = false;
    metrics::on_duty(false);
    loop {
        match Keeper::take(opened, &stop).await {
            Ok(Some(keeper)) => {
                info!(process = %opened.worker, "on duty: automatic recovery is made by this process");
                metrics::on_duty(true);
                on_duty(opened, loaded, &keeper, &stop).await;
                metrics::on_duty(false);
                if stop.is_cancelled() {
                    keeper.leave().await;
                    return Ok(());
                }
                warn!("automatic recovery has passed to another process, or the queue has lost what it held");
                told = false;
            }
            Ok(None) if !std::mem::replace(&mut told, true) => {
                info!("standing by: another process makes automatic recovery");
            }
            Ok(None) => {}
            Err(error) if error.is_transient() => {
                warn!(%error, "automatic recovery waits for the queue");
            }
            Err(error) => return Err(error.to_string()),
        }
        measure(opened, loaded).await;
        if stop.run_until_cancelled(tokio::time::sleep(opened.queue.lease() / 3)).await.is_none() {
            return Ok(());
        }
    }
}

/// A pass each interval, until the duty is lost or left.
async fn on_duty(opened: &Opened, loaded: &Loaded, keeper: &Keeper, stop: &CancellationToken) {
    let interval = loaded.config.automatic.interval;
    while !keeper.lost.is_cancelled() {
        let outcome = match pass(opened, loaded, keeper).await {
            Ok(outcome) => outcome,
            Err(error) => {
                error!(%error, again_in = ?interval, "a pass of automatic recovery failed");
                "failed"
            }
        };
        if stop.is_cancelled() {
            return;
        }
        metrics::pass_ended(outcome);
        measure(opened, loaded).await;
        wait(interval, opened, loaded, keeper).await;
    }
}

/// Waits for the next pass; the gauges stay true meanwhile.
async fn wait(interval: Duration, opened: &Opened, loaded: &Loaded, keeper: &Keeper) {
    let next = tokio::time::Instant::now() + interval;
    loop {
        let look = next.min(tokio::time::Instant::now() + Duration::from_secs(30));
        let slept = keeper.lost.run_until_cancelled(tokio::time::sleep_until(look)).await;
        if slept.is_none() || tokio::time::Instant::now() >= next {
            return;
        }
        measure(opened, loaded).await;
    }
}

async fn measure(opened: &Opened, loaded: &Loaded) {
    let (config, now) = (&loaded.config, Utc::now());
    let terms = Terms::of(config);
    if let Ok(standing) = Standing::read(&opened.queue, &terms, config.automatic.enabled, now).await {
        standing.measure(now);
    }
}

/// Lists what is due and puts what is missing on the queue; workers do the rest.
async fn pass(opened: &Opened, loaded: &Loaded, keeper: &Keeper) -> Result<&'static str, Failed> {
    let config = &loaded.config;
    let prepared = Pass::prepare(opened, Terms::of(config), Some(keeper.token()), Utc::now()).await?;
    let Some(pass) = prepared else { return Ok("idle") };
    let what = What::Pass(Box::new(pass));
    let request = Request {
        mode: what.mode(),
        dry_run: false,
        requested_by: "recapture serve".to_owned(),
        reason: None,
        period: what.period(),
        served: None,
    };
    let run = begin(opened, request, loaded.effective_hash()).await?;
    let recovery = Recovery { opened, config, id: run.id.clone(), tell: &|_| {}, stop: keeper.lost.clone() };
    let end = recovery.recover(&what, Part::List).boxed().await?;
    let (run, because) = conclude(opened, &run.id, &end).await?;
    if let Some(because) = because {
        warn!(run = %run.id, because, "a pass of automatic recovery stopped; what it has covered stays covered, the rest is taken by the next");
    }
    Ok(match (&end, exit_code(&run, &end)) {
        (End::Detached, 0) => "covered",
        (End::Detached, _) => "unproven",
        _ => "stopped",
    })
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Pass(#[from] PassError),
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}
