//! The dashboard: pages that are whole without a script, for people who watch recoveries and act on them.
//!
//! Every page is written here, on each request, from the queue and the evidence; the one script listens to events and then
//! asks for the page again, to put in what changed. Nothing comes from elsewhere, and the page forbids itself anything
//! that is not its own (Content-Security-Policy with a nonce). Whatever came from a client, from Zoom or from the platform
//! is escaped.
//!
//! A browser logs in with a token and gets a session (`api/session.rs`). Forms carry a proof that they were made for that
//! session, and a browser that says that a page of another site asks is refused: see `api/admission.rs`.

mod chart;
mod coverage;
mod forms;
mod login;
mod page;
mod reference;
mod run;
mod runs;
mod workers;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::api::{Admission, Api};
use crate::web::problem::Problem;

/// A form with a list of ids.
const LARGEST_FORM: usize = 1 << 20;

/// What the pages share.
#[derive(Clone)]
struct Dashboard {
    api: Api,
    admission: Admission,
}

pub(super) fn routes(api: Api, admission: Admission) -> Router {
    let dashboard = Dashboard { api, admission: admission.clone() };
    let guarded = Router::new()
        .route("/", get(runs::page))
        .route("/runs", post(forms::begin))
        .route("/runs/{id}", get(run::page))
        .route("/runs/{id}/{action}", post(forms::control))
        .route("/coverage", get(coverage::page))
        .route("/workers", get(workers::page))
        .route("/dead", get(workers::dead))
        .route("/logout", post(login::logout))
        .layer(from_fn_with_state(admission, knock));
    Router::new()
        .route("/login", get(login::page).post(login::login))
        .route("/docs", get(reference::page))
        .merge(guarded)
        .layer(DefaultBodyLimit::max(LARGEST_FORM))
        .with_state(dashboard)
}

/// Who is not known is asked to log in; what else is refused is told on a page.
async fn knock(State(admission): State<Admission>, mut request: Request, next: Next) -> Response {
    match admission.admit(&mut request) {
        Ok(()) => next.run(request).await,
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
            (StatusCode::SEE_OTHER, [(header::LOCATION, "/login")]).into_response()
        }
        Err(problem) => Refusal(problem).into_response(),
    }
}

/// A problem as a page.
struct Refusal(Problem);

impl<T: Into<Problem>> From<T> for Refusal {
    fn from(problem: T) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        page::refusal(&self.0)
    }
}
