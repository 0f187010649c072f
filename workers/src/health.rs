//! What a supervisor asks a worker: `/healthz`, `/readyz`, `/metrics`, on `worker.listen`; `recapture serve` has them on
//! `server.listen`.
//!
//! *Healthy* means that the process works or waits to work; a pool that is dead ends the process, so that a supervisor
//! restarts it. *Ready* means that it could take a job now: the queue answers, the pool's own calls
//! of it succeed (one that can be read and not written gives no jobs), and the pool is not halted.
//! A pool some of whose meetings wait for room in the buffer is ready for the others, and says how many wait.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use chrono::Utc;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use recapture_core::metrics;
use recapture_core::queue::{Depth, Queue, QueueError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Opened;
use crate::ports::Ports;

/// A queue that does not answer in this time is not ready to give a job.
const QUEUE_WITHIN: Duration = Duration::from_secs(2);

/// Why the health endpoints cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    #[error("worker.listen = \"{address}\" cannot be listened on: {error}")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error("metrics cannot be recorded: {0}")]
    Metrics(#[from] BuildError),
}

#[derive(Clone)]
struct Health {
    queue: Queue,
    ports: Arc<Ports>,
    halted: watch::Receiver<Option<String>>,
    metrics: Arc<PrometheusHandle>,
}

/// Serves until `stop`. Returns once it listens.
pub async fn serve(
    address: SocketAddr,
    opened: &Opened,
    halted: watch::Receiver<Option<String>>,
    stop: CancellationToken,
) -> Result<SocketAddr, HealthError> {
    let listener =
        TcpListener::bind(address).await.map_err(|error| HealthError::Listen { address, error })?;
    let bound = listener.local_addr().map_err(|error| HealthError::Listen { address, error })?;
    let routes = routes(opened, halted)?;
    tokio::spawn(async move {
        let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "the health endpoints are gone");
        }
    });
    Ok(bound)
}

/// The three endpoints, for whoever listens. `halted` is why the pool of this process begins no meeting, if it does
/// not. Installs the recorder of metrics, which a process has once.
pub fn routes(opened: &Opened, halted: watch::Receiver<Option<String>>) -> Result<Router, HealthError> {
    let (queue, ports) = (opened.queue.clone(), Arc::clone(&opened.ports));
    let health = Health { queue, ports, halted, metrics: Arc::new(recorder()?) };
    Ok(Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(health))
}

fn recorder() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Full(metrics::JOB_SECONDS.to_owned()),
            &metrics::JOB_SECONDS_BUCKETS,
        )?
        .set_buckets_for_metric(
            Matcher::Full(metrics::LIMIT_WAIT_SECONDS.to_owned()),
            &metrics::LIMIT_WAIT_BUCKETS,
        )?
        .install_recorder()?;
    metrics::begin();
    Ok(handle)
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    if let Some(cause) = health.halted.borrow().clone() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("no meeting is begun: {cause}\n"));
    }
    match tokio::time::timeout(QUEUE_WITHIN, health.queue.depth()).await {
        Ok(Ok(_)) => (StatusCode::OK, format!("ok\n{}", short_of_room(&health.ports))),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
        Err(_) => {
            let words = format!("the queue did not answer within {} s\n", QUEUE_WITHIN.as_secs());
            (StatusCode::SERVICE_UNAVAILABLE, words)
        }
    }
}

/// What is ready all the same: smaller meetings go on.
fn short_of_room(ports: &Ports) -> String {
    match ports.room.waiting() {
        0 => String::new(),
        1 => format!("1 meeting waits for room in {}\n", ports.buffer.location()),
        waiting => format!("{waiting} meetings wait for room in {}\n", ports.buffer.location()),
    }
}

#[allow(clippy::cast_precision_loss, reason = "gauges are floats")]
fn show(depth: &Depth) {
    let now = Utc::now();
    let seconds = |span: chrono::Duration| span.num_milliseconds() as f64 / 1000.0;
    metrics::queue_looked_at(
        [depth.ready, depth.leased, depth.delayed, depth.held, depth.dead],
        depth.nearest_deadline.map(|at| seconds(at - now)),
        depth.oldest.map(|at| seconds(now - at)),
    );
}

async fn render(State(health): State<Health>) -> impl IntoResponse {
    let look = async {
        let depth = health.queue.depth().await?;
        let soon = health.queue.lost_by(Utc::now() + chrono::Duration::hours(24)).await?;
        Ok::<_, QueueError>((depth, soon))
    };
    match tokio::time::timeout(QUEUE_WITHIN, look).await {
        Ok(Ok((depth, soon))) => {
            show(&depth);
            metrics::lost_soon(soon);
        }
        // Without the queue the other figures are worth all the more.
        _ => metrics::queue_is_away(),
    }
    // Shows the figure of this instant.
    health.ports.room.waiting();
    health.metrics.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], health.metrics.render())
}
