//! The same contacts in the Verint form: a log-in, one query by period, and a place that takes new contacts.
//!
//! Reported by clients of that API: paths, names and spellings of the request, the header of the token, the columns of a
//! session, times without a zone that are UTC, no paging. Assumed: both ends of a period are inclusive to the second that
//! they name, rows come in order of start, and the surplus of a row limit is left out without a word.
//!
//! A contact is two sessions at least and one for each of its files, begun one after the other while the meeting lasted;
//! between them stand telephone calls, which are nobody's meeting.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{milliseconds, never, problem};
use crate::connections::Wire;
use crate::counts::Endpoint;
use crate::faults::Fault;
use crate::state::Shared;
use crate::zoom::bearer;

pub(crate) const USER: &str = "recapture";
pub(crate) const PASSWORD: &str = "sim-verint-password-that-no-log-may-show";

/// Contacts that began this much before a period may have sessions in it.
const LONGEST_CONTACT_MS: i64 = 6 * 3_600_000;

const BETWEEN_SESSIONS_MS: i64 = 61_250;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/verint/api/v1/auth/token", post(log_in))
        .route("/verint/DASWebAPI/Query/ExecuteDynamicQuery", post(query))
        .route("/verint/ingest", post(ingest))
}

#[derive(Deserialize)]
struct LogIn {
    user: String,
    password: String,
}

async fn log_in(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Json(given): Json<LogIn>,
) -> Response {
    if let Some(fault) = shared.das_fault(Endpoint::DasLogIn, "") {
        return shared.das_refuse(fault, &wire).await;
    }
    if (given.user.as_str(), given.password.as_str()) != (USER, PASSWORD) {
        return problem(StatusCode::UNAUTHORIZED, "user or password is wrong");
    }
    let (token, _) = shared.das_sessions.issue();
    Json(json!({"AuthToken": {"token": token}})).into_response()
}

#[derive(Deserialize)]
struct Query {
    #[serde(rename = "UserID")]
    _user_id: u64,
    period: Period,
    #[serde(rename = "RequestedColumns")]
    columns: Option<String>,
    #[serde(rename = "CommandTimoutSeconds")]
    _timeout: u64,
}

#[derive(Deserialize)]
struct Period {
    #[serde(rename = "BeginPeriod")]
    from: NaiveDateTime,
    #[serde(rename = "EndPeriod")]
    to: NaiveDateTime,
    #[serde(rename = "Type")]
    kind: String,
}

async fn query(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    headers: HeaderMap,
    body: Result<Json<Query>, JsonRejection>,
) -> Response {
    let token = headers.get("Impact360AuthToken").and_then(|token| token.to_str().ok()).unwrap_or_default();
    if !shared.das_sessions.is_valid(token) {
        return problem(StatusCode::UNAUTHORIZED, "log in first");
    }
    let Json(Query { period, columns, .. }) = match body {
        Ok(query) => query,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    if period.kind != "Absolute" {
        return problem(StatusCode::BAD_REQUEST, "only absolute periods are simulated");
    }
    let [from, to] = [period.from, period.to].map(|at| at.and_utc().timestamp_millis());
    match shared.das_fault(Endpoint::DasQuery, &format!("{from} {to}")) {
        Some(Fault::DasSessionExpired) => {
            shared.das_sessions.revoke(token);
            return problem(StatusCode::UNAUTHORIZED, "the session has expired");
        }
        Some(fault) => return shared.das_refuse(fault, &wire).await,
        None => {}
    }
    let limits = &shared.catalogue.scenario.das;
    let length = to.saturating_sub(from).unsigned_abs() / 1000;
    if limits.longest_period_s.is_some_and(|longest| length > longest) {
        return never(&shared).await;
    }
    let answered_to = limits.clamp_s.map_or(to, |clamp| to.min(from.saturating_add_unsigned(clamp * 1000)));
    let mut sessions = sessions(&shared, from, answered_to + 999);
    sessions.truncate(limits.rows.unwrap_or(usize::MAX));
    if let Some(columns) = columns.filter(|columns| !columns.is_empty()) {
        let wanted = |name: &str| columns.split(',').any(|column| column.trim().eq_ignore_ascii_case(name));
        for session in &mut sessions {
            session.retain(|name, _| wanted(name));
        }
    }
    let understood = json!([{"TIME_FROM": instant(from), "TIME_TO": instant(answered_to),
        "REL_TIME_TO": null, "REL_TIME_FROM": null}]);
    Json(json!({"Sessions": sessions, "QDI": understood})).into_response()
}

/// The sessions that began within `from..=to`, in milliseconds, in order of their start.
fn sessions(shared: &Shared, from: i64, to: i64) -> Vec<Map<String, Value>> {
    let around = from.saturating_sub(LONGEST_CONTACT_MS)..to.saturating_add(1);
    let listed = shared.shelf.list(&shared.catalogue, "zoom", around, usize::MAX, None);
    let (contacts, _) = listed.unwrap_or_default();
    let mut rows: Vec<(i64, Map<String, Value>)> = contacts.iter().flat_map(of_contact).collect();
    rows.extend(calls(shared.catalogue.scenario.das.calls_per_hour, from, to));
    rows.retain(|(at, _)| (from..=to).contains(at));
    rows.sort_by_key(|(at, _)| *at);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn of_contact(contact: &Value) -> Vec<(i64, Map<String, Value>)> {
    let time = |name: &str| contact[name].as_str().and_then(milliseconds);
    let start = time("started_at").unwrap_or_default();
    let end = time("ended_at").unwrap_or(start).max(start);
    let files: Vec<&str> = contact["media"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|file| file["file_id"].as_str())
        .collect();
    let session = |place: usize| {
        let after = i64::try_from(place).unwrap_or_default() * BETWEEN_SESSIONS_MS;
        let at = (start + after).min(end);
        let mut row = row(at, contact["source_id"].as_str().unwrap_or_default());
        row.insert("audio_end_time".into(), if place % 3 == 2 { Value::Null } else { instant(end).into() });
        row.insert("ani".into(), format!("participant{place}@example.com").into());
        row.insert("cd2".into(), contact["topic"].clone());
        row.insert("cd17".into(), files.get(place).map_or(Value::Null, |file| (*file).into()));
        (at, row)
    };
    (0..files.len().max(2)).map(session).collect()
}

/// Telephone calls, evenly.
fn calls(per_hour: u32, from: i64, to: i64) -> impl Iterator<Item = (i64, Map<String, Value>)> {
    let step = if per_hour == 0 { i64::MAX } else { 3_600_000 / i64::from(per_hour) };
    let first = from.div_euclid(step).saturating_add(1).saturating_mul(step);
    std::iter::successors(Some(first), move |at| at.checked_add(step))
        .take_while(move |at| *at <= to)
        .map(|at| (at, row(at, &format!("{:020}", at.unsigned_abs()))))
}

fn row(at: i64, call: &str) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("sid".into(), (at % 1_000_000_007).into());
    row.insert("site_id".into(), 871_001.into());
    row.insert("switch_call_id".into(), call.into());
    row.insert("AUDIO_START_TIME".into(), instant(at).into());
    row.insert("audio_end_time".into(), instant(at + 60_000).into());
    row.insert("direction".into(), 3.into());
    row.insert("exception_reason".into(), Value::Null);
    row
}

/// Without a zone, and UTC.
fn instant(at: i64) -> String {
    let at = DateTime::<Utc>::from_timestamp_millis(at).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Millis, true).trim_end_matches('Z').to_owned()
}

/// Takes a contact in, as the platform's own ingestion would; again changes nothing.
async fn ingest(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    headers: HeaderMap,
    Json(contact): Json<Value>,
) -> Response {
    if bearer(&headers) != Some(super::TOKEN) {
        return problem(StatusCode::UNAUTHORIZED, "the bearer token is missing or wrong");
    }
    let (source, source_id) = (contact["source"].as_str(), contact["source_id"].as_str());
    let started_at = contact["started_at"].as_str().and_then(milliseconds);
    let (Some(source), Some(source_id), Some(started_at)) = (source, source_id, started_at) else {
        return problem(StatusCode::BAD_REQUEST, "a contact has source, source_id and started_at");
    };
    let (source, source_id) = (source.to_owned(), source_id.to_owned());
    if let Some(fault) = shared.das_fault(Endpoint::DasIngest, &source_id) {
        return shared.das_refuse(fault, &wire).await;
    }
    shared.shelf.merge(&shared.catalogue, &source, &source_id, started_at, contact);
    shared.ledger.write(|counts| *counts.das_puts.entry(source_id).or_default() += 1);
    StatusCode::ACCEPTED.into_response()
}
