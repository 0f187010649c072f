//! What viewers may ask.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use recapture_core::meeting::MeetingUuid;
use recapture_core::reason::Reason;
use recapture_core::run::{RecoveryRun, RunId};

use super::schema::{
    Coverage, Format, Meeting, Meetings, MeetingsQuery, PageQuery, Recoveries, Recovery, RecoveryDetail,
    ReportQuery, Workers,
};
use super::{Api, overview, schema};
use crate::report::Report;
use crate::web::problem::Problem;

pub(super) type Id = Result<Path<String>, PathRejection>;

/// The run that a path names.
pub(super) async fn run_of(api: &Api, id: Id) -> Result<RecoveryRun, Problem> {
    let Path(text) = id?;
    let none = || {
        let detail = "there is no such recovery; GET /v1/recoveries lists them";
        Problem::new(StatusCode::NOT_FOUND, detail)
    };
    let id = RunId::parse(&text).map_err(|_| none())?;
    api.service.opened.queue.run(&id).await?.ok_or_else(none)
}

fn no_cursor() -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "cursor is none that a page before has given")
}

/// Runs, newest first
#[utoipa::path(get, path = "/v1/recoveries", tag = "recoveries", params(PageQuery), responses(
    (status = 200, description = "A page of runs", body = Recoveries),
    (status = 422, description = "The cursor is none", body = schema::Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(api): State<Api>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Recoveries>, Problem> {
    let Query(query) = query?;
    let before = query.cursor.map(|cursor| RunId::parse(&cursor)).transpose().map_err(|_| no_cursor())?;
    let limit = query.limit.0;
    let runs = api.service.opened.queue.runs_before(before.as_ref(), limit).await?;
    let full = runs.len() == limit as usize;
    let next_cursor = runs.last().filter(|_| full).map(|run| run.id.to_string());
    let now = Utc::now();
    Ok(Json(Recoveries {
        recoveries: runs.iter().map(|run| Recovery::of(run, &api.pulse.paces, now)).collect(),
        next_cursor,
    }))
}

/// One run, and where its unfinished meetings stand
#[utoipa::path(get, path = "/v1/recoveries/{id}", tag = "recoveries",
    params(("id" = String, Path, description = "The run's id")), responses(
    (status = 200, description = "The run", body = RecoveryDetail),
    (status = 404, description = "There is no such run", body = schema::Problem, content_type = "application/problem+json"),
))]
pub(super) async fn one(State(api): State<Api>, id: Id) -> Result<Json<RecoveryDetail>, Problem> {
    let run = run_of(&api, id).await?;
    let left = api.service.opened.queue.work_left(&run.id).await?;
    Ok(Json(RecoveryDetail { recovery: Recovery::of(&run, &api.pulse.paces, Utc::now()), left: left.into() }))
}

/// What became of each meeting of a run that the platform did not have
#[utoipa::path(get, path = "/v1/recoveries/{id}/meetings", tag = "recoveries",
    params(("id" = String, Path, description = "The run's id"), MeetingsQuery), responses(
    (status = 200, description = "A page of meetings", body = Meetings),
    (status = 404, description = "There is no such run", body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, description = "The cursor or the reason is none", body = schema::Problem, content_type = "application/problem+json"),
))]
pub(super) async fn meetings(
    State(api): State<Api>,
    id: Id,
    query: Result<Query<MeetingsQuery>, QueryRejection>,
) -> Result<Json<Meetings>, Problem> {
    let Query(query) = query?;
    let after =
        query.cursor.map(|cursor| MeetingUuid::parse(&cursor)).transpose().map_err(|_| no_cursor())?;
    if let Some(reason) = &query.reason
        && !Reason::ALL.iter().any(|(_, word, _)| word == reason)
    {
        let words: Vec<&str> = Reason::ALL.iter().map(|(_, word, _)| *word).collect();
        let detail = format!("reason is one of {}", words.join(", "));
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let run = run_of(&api, id).await?;
    let report = api.reports.of(run).await?;
    let limit = query.limit.0 as usize;
    let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
    let mut found = report.meetings.range((from, std::ops::Bound::Unbounded)).filter(|(_, meeting)| {
        let cause = meeting.cause().map(|cause| cause.reason.as_str());
        query.outcome.is_none_or(|outcome| outcome.as_str() == meeting.outcome())
            && query.reason.as_deref().is_none_or(|reason| cause == Some(reason))
    });
    let meetings: Vec<Meeting> =
        found.by_ref().take(limit).map(|(uuid, meeting)| Meeting::of(uuid.as_str(), meeting)).collect();
    let more = found.next().is_some();
    let next_cursor = meetings.last().filter(|_| more).map(|meeting| meeting.meeting_uuid.clone());
    Ok(Json(Meetings { meetings, next_cursor, evidence_damage: report.damage.clone() }))
}

/// The report of a run, as `recapture report` writes it
#[utoipa::path(get, path = "/v1/recoveries/{id}/report", tag = "recoveries",
    params(("id" = String, Path, description = "The run's id"), ReportQuery), responses(
    (status = 200, description = "The report", content(
        (serde_json::Value = "application/json"), (String = "text/csv"), (String = "text/html"), (String = "text/plain"))),
    (status = 404, description = "There is no such run", body = schema::Problem, content_type = "application/problem+json"),
))]
pub(super) async fn report(
    State(api): State<Api>,
    id: Id,
    query: Result<Query<ReportQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let run = run_of(&api, id).await?;
    let name = run.id.to_string();
    let report = api.reports.of(run).await?;
    let (kind, ending) = match query.format.unwrap_or(Format::Json) {
        Format::Json => ("application/json", None),
        Format::Csv => ("text/csv; charset=utf-8", Some("csv")),
        Format::Html => ("text/html; charset=utf-8", None),
        Format::Text => ("text/plain; charset=utf-8", None),
    };
    let form = move |report: &Report| match query.format.unwrap_or(Format::Json) {
        Format::Json => report.to_json().to_string(),
        Format::Csv => report.to_csv(),
        Format::Html => report.to_html(),
        Format::Text => report.to_text(),
    };
    let text = api.reports.written(report, form).await?;
    let mut response = ([(header::CONTENT_TYPE, kind)], text).into_response();
    if let Some(ending) = ending {
        let file = format!("attachment; filename=\"recovery-{name}.{ending}\"");
        let file = file.parse().expect("an id is made of letters and digits");
        response.headers_mut().insert(header::CONTENT_DISPOSITION, file);
    }
    Ok(response)
}

/// What automatic recovery has covered, and its gaps
#[utoipa::path(get, path = "/v1/coverage", tag = "operation", responses(
    (status = 200, description = "Covered intervals and gaps in both dimensions of time", body = Coverage),
))]
pub(super) async fn coverage(State(api): State<Api>) -> Result<Json<Coverage>, Problem> {
    Ok(Json(overview::coverage(&api.service).await?))
}

/// Who holds what, and the queue as a whole
#[utoipa::path(get, path = "/v1/workers", tag = "operation", responses(
    (status = 200, description = "Leases by worker", body = Workers),
))]
pub(super) async fn workers(State(api): State<Api>) -> Result<Json<Workers>, Problem> {
    Ok(Json(overview::workers(&api.service.opened.queue).await?))
}
