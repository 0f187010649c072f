//! What operators may do. Who did it stands in the evidence of the run, before it is done: `src/control.rs`.

use std::sync::Mutex;
use std::sync::PoisonError;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::Utc;
use recapture_core::evidence::Selection;
use recapture_core::meeting::{Meeting, MeetingUuid};
use recapture_core::queue::{QueueError, RetryReport};
use recapture_core::reason::Reason;
use recapture_core::reconcile::Verdict;
use recapture_core::run::{RecoveryRun, RunId};
use serde::de::DeserializeOwned;
use tracing::Instrument;

use super::order::{LONGEST_NAME, NoOrder, order, order_csv, refuse, text};
use super::read::{Id, run_of};
use super::schema::{Cancelled, Control, CsvQuery, NewRecovery, Plan, Planned, Recovery, Retried, Retry};
use super::{Api, Caller, schema};
use crate::control::{Asker, ControlError, Operator};
use crate::recovery::dry_run;
use crate::serve::recoveries::{Begun, Client, Order, Recoveries};
use crate::web::problem::Problem;

/// How many meetings a dry run tells of one by one.
const MOST_PLANNED: usize = 1000;

const MOST_RETRIED: usize = 10_000;

/// Who asks, in whichever way.
pub(in crate::serve) struct Asking {
    pub(in crate::serve) client: String,
    pub(in crate::serve) request_id: String,
    pub(in crate::serve) by: Option<String>,
}

impl Asking {
    pub(in crate::serve) fn new(caller: &Caller, by: Option<String>) -> Result<Self, NoOrder> {
        let by = text(by, LONGEST_NAME, "by")?;
        Ok(Self { client: caller.client.clone(), request_id: caller.request_id.clone(), by })
    }

    fn operator(&self, api: &Api) -> Operator {
        let opened = &api.service.opened;
        let asker = Asker {
            by: self.by.clone().unwrap_or_else(|| format!("a client at {}", self.client)),
            client: self.client.clone(),
            request_id: self.request_id.clone(),
        };
        Operator { queue: opened.queue.clone(), evidence: opened.ports.evidence.clone(), asker }
    }
}

/// Begins a recovery, or says what one would do
///
/// A run that is begun is listed in the background, and goes on after a restart of the service. A request that is sent
/// once more with the same `Idempotency-Key` begins nothing and is answered with the run (200). A CSV file takes its
/// settings from the query.
#[utoipa::path(post, path = "/v1/recoveries", tag = "recoveries",
    params(CsvQuery, ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 200, pattern = "^[!-~]+$",
        description = "A name of the client's for this request, remembered as long as its run is among the newest thousand")),
    request_body(content((NewRecovery = "application/json"), (String = "text/csv"))), responses(
    (status = 200, description = "The run that the same request has begun before; or what a dry run found",
        body = Plan),
    (status = 202, description = "The run that was begun", body = Recovery,
        headers(("Location" = String, description = "Where the run is"))),
    (status = 413, description = "More than 8 MiB", body = schema::Problem, content_type = "application/problem+json"),
    (status = 415, description = "Neither JSON nor CSV", body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, description = "Nothing to recover, or the key was used for another request", body = schema::Problem,
        content_type = "application/problem+json"),
    (status = 503, description = "Zoom, the platform or the queue cannot be used now, or too much is listed already",
        body = schema::Problem, content_type = "application/problem+json"),
))]
pub(super) async fn begin(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<CsvQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let query = query.checked()?;
    let body = body.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let (order, dry) = match kind(&headers) {
        Some("application/json") => {
            let asked: NewRecovery = read(&body)?;
            let dry = asked.dry_run;
            (order(asked, Utc::now())?, dry)
        }
        Some("text/csv") => {
            let dry = query.dry_run;
            (order_csv(&body, query)?, dry)
        }
        _ => {
            let detail = "send application/json, or text/csv with a file that names meetings";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
    };
    let client =
        Client { address: caller.client, request_id: caller.request_id, key: idempotency_key(&headers)? };
    if dry {
        return Ok(Json(plan(&api, &order, &client).await?).into_response());
    }
    let Begun { run, is_new } = api.recoveries.begin(order, &client).await?;
    let status = if is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
    let mut response = (status, Json(Recovery::of(&run, &api.pulse.paces, Utc::now()))).into_response();
    let location = HeaderValue::from_str(&format!("/v1/recoveries/{}", run.id));
    response.headers_mut().insert(header::LOCATION, location.expect("an id is made of letters and digits"));
    Ok(response)
}

fn kind(headers: &HeaderMap) -> Option<&str> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let kind = kind.split(';').next().unwrap_or(kind).trim();
    ["application/json", "text/csv"].into_iter().find(|known| kind.eq_ignore_ascii_case(known))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let status = if error.is_data() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
        Problem::new(status, format!("the body is not what is described in /openapi.json: {error}"))
    })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, NoOrder> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    match key.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= LONGEST_NAME => Ok(Some(key.to_owned())),
        _ => refuse(format!("Idempotency-Key is 1 to {LONGEST_NAME} visible ASCII characters")),
    }
}

/// A dry run; a client that goes away ends it.
pub(in crate::serve) async fn plan(api: &Api, order: &Order, client: &Client) -> Result<Plan, Problem> {
    let Ok(_turn) = api.dry_runs.try_acquire() else {
        let detail = "this process makes as many dry runs as it may; ask again when one of them is done";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let mut request = Recoveries::request(order, client);
    request.dry_run = true;
    let found = Mutex::new((Vec::new(), 0_u64));
    let show = |meeting: &Meeting, verdict: &Verdict| {
        let word = match verdict {
            Verdict::Missing => "missing",
            Verdict::Incomplete { .. } => "incomplete",
            Verdict::Indeterminate { .. } => "indeterminate",
            Verdict::Present | Verdict::Excluded { .. } => return,
        };
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.0.len() == MOST_PLANNED {
            found.1 += 1;
            return;
        }
        found.0.push(Planned {
            meeting_uuid: meeting.uuid.to_string(),
            verdict: word.to_owned(),
            started_at: meeting.started_at,
        });
    };
    let crate::serve::Service { opened, loaded, .. } = &api.service;
    let run = dry_run(opened, &loaded.config, &order.what, request, &show, &|_| {}, api.stop.clone()).await?;
    let (meetings, more) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Plan { recovery: Recovery::of(&run, &api.pulse.paces, Utc::now()), meetings, more })
}

/// The body of a request that may have none.
fn optional<T: DeserializeOwned + Default>(body: Result<Bytes, BytesRejection>) -> Result<T, Problem> {
    let body = body.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    if body.is_empty() { Ok(T::default()) } else { read::<Option<T>>(&body).map(Option::unwrap_or_default) }
}

type Body = Result<Bytes, BytesRejection>;

/// Hands out no more meetings of the run; what is under way is finished
#[utoipa::path(post, path = "/v1/recoveries/{id}/pause", tag = "recoveries",
    params(("id" = String, Path, description = "The run's id")), request_body = Option<Control>, responses(
    (status = 200, description = "The run", body = Recovery),
    (status = 404, description = "There is no such run", body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, description = "The body is not what is described", body = schema::Problem, content_type = "application/problem+json"),
))]
pub(super) async fn pause(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Id,
    body: Body,
) -> Result<Json<Recovery>, Problem> {
    let asking = Asking::new(&caller, optional::<Control>(body)?.by)?;
    let run = run_of(&api, id).await?;
    Ok(Json(Recovery::of(&pause_run(&api, &run.id, &asking).await?, &api.pulse.paces, Utc::now())))
}

/// Takes a pause back
#[utoipa::path(post, path = "/v1/recoveries/{id}/resume", tag = "recoveries",
    params(("id" = String, Path, description = "The run's id")), request_body = Option<Control>, responses(
    (status = 200, description = "The run", body = Recovery),
    (status = 404, description = "There is no such run", body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, description = "The body is not what is described", body = schema::Problem, content_type = "application/problem+json"),
))]
pub(super) async fn resume(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Id,
    body: Body,
) -> Result<Json<Recovery>, Problem> {
    let asking = Asking::new(&caller, optional::<Control>(body)?.by)?;
    let run = run_of(&api, id).await?;
    Ok(Json(Recovery::of(&resume_run(&api, &run.id, &asking).await?, &api.pulse.paces, Utc::now())))
}

/// Ends the run and takes its meetings off the queue, unless other runs want them
#[utoipa::path(post, path = "/v1/recoveries/{id}/cancel", tag = "recoveries",
    params(("id" = String, Path, description = "The run's id")), request_body = Option<Control>, responses(
    (status = 200, description = "What was taken off the queue, and the run", body = Cancelled),
    (status = 404, description = "There is no such run", body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, description = "The body is not what is described", body = schema::Problem, content_type = "application/problem+json"),
))]
pub(super) async fn cancel(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Id,
    body: Body,
) -> Result<Json<Cancelled>, Problem> {
    let asking = Asking::new(&caller, optional::<Control>(body)?.by)?;
    let run = run_of(&api, id).await?;
    Ok(Json(cancel_run(&api, &run.id, &asking).await?))
}

/// Puts what failed back on the queue: all of it, some meetings, or what failed for one reason
#[utoipa::path(post, path = "/v1/recoveries/{id}/retry", tag = "recoveries",
    params(("id" = String, Path, description = "The run's id")), request_body = Option<Retry>, responses(
    (status = 200, description = "What was put back, and the run", body = Retried),
    (status = 404, description = "There is no such run", body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, description = "A meeting or the reason is none", body = schema::Problem, content_type = "application/problem+json"),
))]
pub(super) async fn retry(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Id,
    body: Body,
) -> Result<Json<Retried>, Problem> {
    let asked: Retry = optional(body)?;
    let asking = Asking::new(&caller, asked.by.clone())?;
    let run = run_of(&api, id).await?;
    Ok(Json(retry_run(&api, &run.id, asked, &asking).await?))
}

async fn read_run(api: &Api, id: &RunId) -> Result<RecoveryRun, Problem> {
    let run = api.service.opened.queue.run(id).await?;
    run.ok_or_else(|| QueueError::UnknownRun(id.clone()).into())
}

/// A client that goes away leaves nothing half done: it is done in a task of its own, which ends whoever waits for it.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ControlError>> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the service gave it up; see its log")),
    }
}

pub(in crate::serve) async fn pause_run(
    api: &Api,
    id: &RunId,
    asking: &Asking,
) -> Result<RecoveryRun, Problem> {
    let (operator, run) = (asking.operator(api), id.clone());
    to_its_end(async move { operator.pause(Some(&run)).await }).await?;
    read_run(api, id).await
}

pub(in crate::serve) async fn resume_run(
    api: &Api,
    id: &RunId,
    asking: &Asking,
) -> Result<RecoveryRun, Problem> {
    let (operator, run) = (asking.operator(api), id.clone());
    to_its_end(async move { operator.resume(Some(&run)).await }).await?;
    read_run(api, id).await
}

pub(in crate::serve) async fn cancel_run(
    api: &Api,
    id: &RunId,
    asking: &Asking,
) -> Result<Cancelled, Problem> {
    let (operator, run) = (asking.operator(api), id.clone());
    let report = to_its_end(async move { operator.cancel(&run).await }).await?;
    let recovery = Recovery::of(&read_run(api, id).await?, &api.pulse.paces, Utc::now());
    Ok(Cancelled { removed: report.removed, passed_on: report.passed_on, recovery })
}

pub(in crate::serve) async fn retry_run(
    api: &Api,
    id: &RunId,
    asked: Retry,
    asking: &Asking,
) -> Result<Retried, Problem> {
    let (operator, run, selection) = (asking.operator(api), id.clone(), selection(asked)?);
    let RetryReport { requeued, already_queued } =
        to_its_end(async move { operator.retry(&run, selection).await }).await?;
    let run = read_run(api, id).await?;
    Ok(Retried { requeued, already_queued, recovery: Recovery::of(&run, &api.pulse.paces, Utc::now()) })
}

fn selection(asked: Retry) -> Result<Selection, NoOrder> {
    let meetings = asked.meetings.map(uuids).transpose()?.map(|meetings| meetings.into_iter().collect());
    let known =
        |word: String| Reason::ALL.iter().find(|(_, known, _)| *known == word).map(|(reason, ..)| *reason);
    let reason = match asked.reason {
        None => None,
        Some(word) => match known(word) {
            None => return refuse("reason is none that docs/reasons.md names"),
            reason => reason,
        },
    };
    Ok(Selection { reason, meetings })
}

fn uuids(meetings: Vec<String>) -> Result<Vec<MeetingUuid>, NoOrder> {
    if meetings.len() > MOST_RETRIED {
        return refuse(format!("more than {MOST_RETRIED} meetings are given"));
    }
    let uuid = |meeting: String| match MeetingUuid::parse(&meeting) {
        Ok(uuid) if meeting.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(uuid),
        _ => refuse("a meeting's UUID has 1 to 255 visible ASCII characters"),
    };
    meetings.into_iter().map(uuid).collect()
}
