//! The simulator's remote control, under `/_sim/` beside the API: for tests that run it in a container.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /_sim/counts` | [`crate::Counts`] as JSON |
//! | `GET /_sim/truth` | one [`crate::TruthMeeting`] a line |
//! | `POST /_sim/faults` | takes a whole [`crate::Faults`]; what it does not name is off |
//! | `POST /_sim/control` | changes what is named: `das_up`, `hold_downloads`, `token_lifetime_s`, `finish_processing`, `limits` |

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde::Deserialize;

use crate::faults::Faults;
use crate::limits::Limits;
use crate::state::Shared;
use crate::truth::truth;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_sim/counts", get(counts))
        .route("/_sim/truth", get(truth_lines))
        .route("/_sim/faults", post(faults))
        .route("/_sim/control", post(control))
}

async fn counts(State(shared): State<Arc<Shared>>) -> Response {
    shared.ledger.read(|counts| Json(counts).into_response())
}

async fn truth_lines(State(shared): State<Arc<Shared>>) -> Response {
    let lines = truth(shared).map(|meeting| {
        let mut line = serde_json::to_vec(&meeting)?;
        line.push(b'\n');
        Ok::<_, serde_json::Error>(Bytes::from(line))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(stream::iter(lines))).into_response()
}

async fn faults(State(shared): State<Arc<Shared>>, Json(faults): Json<Faults>) -> StatusCode {
    shared.mischief.set(faults);
    StatusCode::NO_CONTENT
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Control {
    das_up: Option<bool>,
    hold_downloads: Option<bool>,
    token_lifetime_s: Option<u64>,
    finish_processing: bool,
    limits: Option<Limits>,
}

async fn control(State(shared): State<Arc<Shared>>, Json(control): Json<Control>) -> StatusCode {
    if let Some(up) = control.das_up {
        shared.doors.das.set_open(up);
    }
    if let Some(hold) = control.hold_downloads {
        shared.held.send_replace(hold);
    }
    if let Some(seconds) = control.token_lifetime_s {
        shared.tokens.set_lifetime(Duration::from_secs(seconds));
    }
    if control.finish_processing {
        shared.progress.finish_all(&shared.catalogue);
    }
    if let Some(limits) = control.limits {
        shared.limiter.set(limits);
    }
    StatusCode::NO_CONTENT
}
