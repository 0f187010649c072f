//! A data access service in memory: lists, looks up, reads and merges contacts. It speaks two forms, of the same
//! contacts: the REST form (`/das`), and the Verint form (`/verint`), in which it can be read only.
//!
//! The first follows the contract of the REST form: bearer token, `application/problem+json`, a source
//! id that is encoded once in a path, media that merge by `file_id`. What it holds at the start are the
//! captured and the incomplete meetings of the scenario.

mod shelf;
mod verint;

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::chance::digest;
use crate::connections::Wire;
use crate::counts::Endpoint;
use crate::faults::Fault;
use crate::state::Shared;
use crate::zoom::{Refusal, bearer, cut, server_error};
pub(crate) use shelf::Shelf;
pub(crate) use verint::{PASSWORD as VERINT_PASSWORD, USER as VERINT_USER};

pub(crate) const TOKEN: &str = "sim-das-token-that-no-log-may-show";

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/das/v1/contacts", get(list))
        .route("/das/v1/contacts/lookup", post(lookup))
        .route("/das/v1/contacts/{source}/{source_id}", get(read).put(merge))
        .fallback(async || problem(StatusCode::NOT_FOUND, "there is no such path"))
        .layer(from_fn(authorize))
        // It has an authorization of its own.
        .merge(verint::routes())
}

async fn authorize(request: Request, next: Next) -> Response {
    if bearer(request.headers()) != Some(TOKEN) {
        return problem(StatusCode::UNAUTHORIZED, "the bearer token is missing or wrong");
    }
    next.run(request).await
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    let mut response = (status, Json(body)).into_response();
    let kind = header::HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

impl Shared {
    fn das_fault(&self, endpoint: Endpoint, entity: &str) -> Option<Fault> {
        let fault = self.mischief.draw(endpoint, digest(0, entity), true, |_| true)?;
        self.ledger.write(|counts| *counts.faults.entry(fault).or_default() += 1);
        Some(fault)
    }

    async fn das_refuse(&self, fault: Fault, wire: &Wire) -> Response {
        match fault {
            Fault::DasReset => cut(wire),
            Fault::DasLate => never(self).await,
            _ => server_error(self.mischief.choice()),
        }
    }
}

/// No answer, for as long as the client waits.
async fn never(shared: &Shared) -> Response {
    shared.ledger.write(|counts| counts.das_unanswered += 1);
    std::future::pending().await
}

fn time(query: &HashMap<String, String>, name: &str) -> Result<i64, Refusal> {
    let text = query.get(name).map(String::as_str).unwrap_or_default();
    let wrong = || problem(StatusCode::BAD_REQUEST, &format!("{name} must be an RFC 3339 time"));
    Ok(milliseconds(text).ok_or_else(wrong)?)
}

fn milliseconds(text: &str) -> Option<i64> {
    Some(text.parse::<DateTime<Utc>>().ok()?.timestamp_millis())
}

async fn list(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let entity = format!("{:?} {:?} {:?}", query.get("from"), query.get("to"), query.get("cursor"));
    if let Some(fault) = shared.das_fault(Endpoint::DasList, &entity) {
        return shared.das_refuse(fault, &wire).await;
    }
    page(&shared, &query).into_response()
}

fn page(shared: &Shared, query: &HashMap<String, String>) -> Result<Response, Refusal> {
    let source = query.get("source").map_or("zoom", String::as_str);
    let (from, to) = (time(query, "from")?, time(query, "to")?);
    let limit = query.get("limit").map_or(Ok(100), |limit| limit.parse());
    let limit = limit.ok().filter(|limit| (1..=1000).contains(limit));
    let limit = limit.ok_or_else(|| problem(StatusCode::BAD_REQUEST, "limit must be between 1 and 1000"))?;
    let cursor = query.get("cursor").map(String::as_str).filter(|cursor| !cursor.is_empty());
    let (contacts, next) = shared
        .shelf
        .list(&shared.catalogue, source, from..to, limit, cursor)
        .ok_or_else(|| problem(StatusCode::BAD_REQUEST, "the cursor is none that this service gave out"))?;
    Ok(Json(json!({"contacts": contacts, "next_cursor": next})).into_response())
}

#[derive(Deserialize)]
struct Lookup {
    source: String,
    source_ids: Vec<String>,
}

async fn lookup(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    body: Result<Json<Lookup>, JsonRejection>,
) -> Response {
    let Json(lookup) = match body {
        Ok(lookup) => lookup,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    if lookup.source_ids.len() > 1000 {
        return problem(StatusCode::BAD_REQUEST, "at most 1000 source ids are looked up at once");
    }
    let entity = lookup.source_ids.first().map(String::as_str).unwrap_or_default();
    if let Some(fault) = shared.das_fault(Endpoint::DasLookup, entity) {
        return shared.das_refuse(fault, &wire).await;
    }
    let limits = &shared.catalogue.scenario.das;
    if limits.most_ids.is_some_and(|most| lookup.source_ids.len() > most) {
        return never(&shared).await;
    }
    let find = |id: &String| shared.shelf.read(&shared.catalogue, &lookup.source, id);
    let contacts: Vec<_> =
        lookup.source_ids.iter().filter_map(find).take(limits.rows.unwrap_or(usize::MAX)).collect();
    Json(json!({"contacts": contacts})).into_response()
}

async fn read(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path((source, source_id)): Path<(String, String)>,
) -> Response {
    if let Some(fault) = shared.das_fault(Endpoint::DasGet, &source_id) {
        return shared.das_refuse(fault, &wire).await;
    }
    match shared.shelf.read(&shared.catalogue, &source, &source_id) {
        Some(contact) => Json(contact).into_response(),
        None => problem(StatusCode::NOT_FOUND, "there is no such contact"),
    }
}

async fn merge(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path((source, source_id)): Path<(String, String)>,
    body: Result<Json<Value>, JsonRejection>,
) -> Response {
    let contact = match body {
        Ok(Json(contact)) => contact,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    if contact["source"] != source.as_str() || contact["source_id"] != source_id.as_str() {
        return problem(StatusCode::BAD_REQUEST, "source and source_id must be those of the path");
    }
    let Some(started_at) = contact["started_at"].as_str().and_then(milliseconds) else {
        return problem(StatusCode::BAD_REQUEST, "started_at must be an RFC 3339 time");
    };
    let fault = shared.das_fault(Endpoint::DasPut, &source_id);
    // A connection may die before the contact is stored or after it: the client cannot know which.
    let stored_anyway = fault == Some(Fault::DasReset) && shared.mischief.choice() % 2 == 0;
    if let Some(fault) = fault.filter(|_| !stored_anyway) {
        return shared.das_refuse(fault, &wire).await;
    }
    let (created, merged) = shared.shelf.merge(&shared.catalogue, &source, &source_id, started_at, contact);
    shared.ledger.write(|counts| *counts.das_puts.entry(source_id).or_default() += 1);
    if let Some(fault) = fault {
        return shared.das_refuse(fault, &wire).await;
    }
    (if created { StatusCode::CREATED } else { StatusCode::OK }, Json(merged)).into_response()
}
