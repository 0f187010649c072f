//! A dry run: lists and compares, and changes nothing.

use chrono::Utc;
use recapture_core::config::Config;
use recapture_core::meeting::Meeting;
use recapture_core::reconcile::Verdict;
use recapture_core::run::{Counts, RecoveryRun, Request, RunId, RunState};
use recapture_worker::Opened;
use tokio_util::sync::CancellationToken;

use super::{What, retention};
use crate::producer::{Producer, ProducerError, Progress, Sink};

/// Compares what is asked for, and tells of each meeting as it comes. The run that it answers stands nowhere.
pub async fn dry_run(
    opened: &Opened,
    config: &Config,
    what: &What,
    request: Request,
    show: &(dyn Fn(&Meeting, &Verdict) + Send + Sync),
    watch: &(dyn Fn(Progress) + Send + Sync),
    stop: CancellationToken,
) -> Result<RecoveryRun, ProducerError> {
    let began = Utc::now();
    let producer = Producer {
        zoom: &opened.ports.zoom,
        contacts: &opened.ports.contacts,
        buffer: &opened.ports.buffer,
        rules: what.rules(config),
        mode: what.mode(),
        retention: retention(config),
        sink: Sink::Dry { show, counts: std::sync::Mutex::default() },
        stop,
        watch,
    };
    let enumerated = what.enumerate(&producer).await?;
    let counts = match &producer.sink {
        Sink::Dry { counts, .. } => *counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
        Sink::Run { .. } => Counts::default(),
    };
    Ok(RecoveryRun {
        id: RunId::new(began),
        request,
        state: RunState::Completed,
        started_at: began,
        finished_at: Some(Utc::now()),
        counts,
        unproven: enumerated.unproven,
        ended_because: None,
    })
}
