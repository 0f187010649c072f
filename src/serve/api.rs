//! The API (`/v1`): what the command line does, over HTTP, for other programs.
//!
//! Everything is asked of the queue and of the evidence at the moment of the request: a process of the service holds
//! nothing that another one would answer differently. What is remembered for a moment is what would otherwise be read for
//! each of many clients anew: the state of the runs once a second for all streams of events, and the last reports.
//!
//! The document (`/openapi.json`) is made from the code of the routes, and `/docs` shows it.

mod admission;
mod change;
mod document;
mod fault;
mod order;
mod overview;
mod pulse;
mod rate;
mod read;
mod reports;
#[allow(clippy::struct_field_names, reason = "the fields have the names that clients see")]
pub(super) mod schema;
mod session;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(super) use admission::{Admission, Caller, Role, admit, is_of_another_site};
pub(super) use change::{Asking, cancel_run, pause_run, plan, resume_run, retry_run};
pub(super) use document::document;
pub(super) use order::{order, order_csv};
pub(super) use overview::{coverage, workers};
pub(super) use pulse::{Paces, Pulse};
pub(super) use reports::Reports;
pub(super) use session::Sessions;

use super::Service;
use super::recoveries::Recoveries;
use crate::web::attend::Attendance;
use crate::web::problem::Problem;

/// A hundred thousand ids.
const LARGEST_BODY: usize = 8 << 20;

/// A dry run of a long period lists for a while before it answers.
pub(super) const ATTENDANCE: Attendance =
    Attendance { patience: Duration::from_secs(600), reading_is_news: false };

/// Dry runs of this process at once.
const DRY_RUNS: usize = 2;

/// Streams of events of this process at once.
const STREAMS: usize = 500;

/// What the routes share.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) service: Service,
    pub(super) recoveries: Recoveries,
    pub(super) reports: Reports,
    pub(super) pulse: Pulse,
    pub(super) dry_runs: Arc<Semaphore>,
    pub(super) streams: Arc<Semaphore>,
    /// Ends streams, so that the service can stop.
    pub(super) stop: CancellationToken,
}

impl Api {
    pub(super) fn new(service: Service, recoveries: Recoveries, stop: CancellationToken) -> Self {
        Self {
            reports: Reports::new(service.opened.clone()),
            pulse: Pulse::new(service.opened.queue.clone()),
            dry_runs: Arc::new(Semaphore::new(DRY_RUNS)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            service,
            recoveries,
            stop,
        }
    }
}

/// The routes that ask who is there.
pub(super) fn routes(api: Api, admission: Admission) -> Router {
    Router::new()
        .route("/v1/recoveries", get(read::list).post(change::begin))
        .route("/v1/recoveries/{id}", get(read::one))
        .route("/v1/recoveries/{id}/meetings", get(read::meetings))
        .route("/v1/recoveries/{id}/report", get(read::report))
        .route("/v1/recoveries/{id}/pause", post(change::pause))
        .route("/v1/recoveries/{id}/resume", post(change::resume))
        .route("/v1/recoveries/{id}/cancel", post(change::cancel))
        .route("/v1/recoveries/{id}/retry", post(change::retry))
        .route("/v1/coverage", get(read::coverage))
        .route("/v1/workers", get(read::workers))
        .route("/v1/events", get(pulse::events))
        .method_not_allowed_fallback(wrong_method)
        .with_state(api)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(admission, admit))
}

/// The document, which anyone may read: it tells nothing of this service.
pub(super) fn open_routes(asks: bool) -> Router {
    let document = document::text(asks);
    let json = [(header::CONTENT_TYPE, "application/json")];
    Router::new()
        .route("/openapi.json", get(async move || (json, document)))
        .method_not_allowed_fallback(wrong_method)
}

async fn wrong_method() -> Problem {
    let detail = "this path has other methods; see the header Allow";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
