//! Zoom: the token endpoint, the archive endpoints and downloads.
//!
//! Documented: paths, parameters, fields, `code` and `message` of an error, 401 with code 124 for a token
//! that is no good for whatever reason, 4711 for a missing scope. Reported: a tracking id in the header of
//! every answer. Assumed: the order of checks (token, scope, rate limit, then the request itself).

mod download;
mod list;
mod metadata;
mod statistics;
mod token;
mod window;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::json;

use crate::chance::between;
use crate::connections::Wire;
use crate::counts::{Endpoint, NO_ANSWER};
use crate::faults::Fault;
use crate::limits::Category;
use crate::state::{Shared, Tokens};
pub(crate) use token::{ACCOUNT_ID, CLIENT_ID, CLIENT_SECRET};
pub(crate) use wire::rfc3339;

pub(crate) fn api() -> Router<Arc<Shared>> {
    Router::new()
        .route("/oauth/token", post(token::token))
        .route("/v2/archive_files", get(list::list))
        .route("/v2/archive_files/statistics", get(statistics::statistics))
        .route("/v2/past_meetings/{*rest}", get(metadata::past_meeting))
        .route("/rec/archive/download/{link}", get(download::first_hop))
        .route("/rec/archive/attached/download/{link}", get(download::first_hop))
        .fallback(async || error(StatusCode::NOT_FOUND, 2300, "This API endpoint is not recognized."))
}

/// The host that downloads are redirected to.
pub(crate) fn media() -> Router<Arc<Shared>> {
    Router::new().route("/rec/archive/{link}", get(download::second_hop))
}

pub(crate) fn error(status: StatusCode, code: u16, message: &str) -> Response {
    (status, axum::Json(json!({"code": code, "message": message}))).into_response()
}

/// An answer other than the one that was asked for.
pub(crate) struct Refusal(Box<Response>);

impl From<Response> for Refusal {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl From<Box<Response>> for Refusal {
    fn from(response: Box<Response>) -> Self {
        Self(response)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// Marks an answer that is never sent because its connection has been cut.
#[derive(Debug, Clone, Copy)]
struct Unsent;

pub(crate) fn cut(wire: &Wire) -> Response {
    wire.cut();
    let mut answer = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    answer.extensions_mut().insert(Unsent);
    answer
}

/// 500, 502 or 503, from the service (JSON) or from what stands before it (HTML).
pub(crate) fn server_error(choice: u64) -> Response {
    let status =
        [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE];
    let status = status[usize::from(choice.to_le_bytes()[0]) % status.len()];
    if between(choice >> 8, 0, 1) == 0 {
        return error(status, status.as_u16(), "Internal server error.");
    }
    (status, Html(format!("<html><body><h1>{status}</h1></body></html>"))).into_response()
}

/// A call of the API, as far as all calls are alike.
struct Call<'a> {
    endpoint: Endpoint,
    /// What the call is about, for the limit of faults in a row.
    entity: u64,
    scope: &'a str,
    category: Category,
}

impl Shared {
    /// Token, scope, rate limit, then faults that replace the whole answer. A fault that only spoils it is
    /// returned.
    fn enter(
        &self,
        call: &Call<'_>,
        headers: &HeaderMap,
        wire: &Wire,
        may: impl Fn(Fault) -> bool,
    ) -> Result<Option<Fault>, Refusal> {
        let token = self.authorize(headers)?;
        if !self.catalogue.scenario.scopes.iter().any(|scope| scope == call.scope) {
            let message = format!("Invalid access token, does not contain scopes:[{}].", call.scope);
            return Err(error(StatusCode::BAD_REQUEST, 4711, &message).into());
        }
        self.limiter.take(call.category)?;
        let Some(fault) = self.mischief.draw(call.endpoint, call.entity, true, may) else {
            return Ok(None);
        };
        self.ledger.write(|counts| *counts.faults.entry(fault).or_default() += 1);
        match self.replace(fault, token, wire) {
            Some(answer) => Err(answer.into()),
            None if fault == Fault::RateLimited => Err(self.limiter.out_of_the_blue(call.category).into()),
            None => Ok(Some(fault)),
        }
    }

    /// The answer of a fault that is the same wherever it strikes.
    fn replace(&self, fault: Fault, token: &str, wire: &Wire) -> Option<Response> {
        match fault {
            Fault::ServerError => Some(server_error(self.mischief.choice())),
            Fault::Reset => Some(cut(wire)),
            Fault::TokenExpired => {
                self.tokens.revoke(token);
                Some(invalid_token())
            }
            _ => None,
        }
    }

    fn authorize<'a>(&self, headers: &'a HeaderMap) -> Result<&'a str, Refusal> {
        bearer(headers)
            .filter(|token| self.tokens.is_valid(token))
            .ok_or_else(|| Refusal::from(invalid_token()))
    }
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn invalid_token() -> Response {
    error(StatusCode::UNAUTHORIZED, 124, "Invalid access token.")
}

/// JSON with status 200, cut short where that is the fault.
/// What comes with status 200, is good JSON, and is no answer.
const WRONG_SHAPES: [&str; 4] =
    ["{}", r#"{"code":500,"message":"Internal error."}"#, r#"{"meetings":"x","total_records":0}"#, "[]"];

fn answer(value: &impl Serialize, fault: Option<Fault>) -> Response {
    const WRITTEN: &str = "what the simulator answers can be written as JSON";
    let mut body = serde_json::to_vec(value).expect(WRITTEN);
    match fault {
        Some(Fault::MalformedPage) => body.truncate(body.len() / 2),
        Some(Fault::WrongShape) => body = WRONG_SHAPES[body.len() % WRONG_SHAPES.len()].into(),
        Some(Fault::UntoldTotal) => {
            let mut told = serde_json::to_value(value).expect(WRITTEN);
            if let Some(fields) = told.as_object_mut() {
                fields.remove("total_records");
            }
            body = told.to_string().into();
        }
        _ => {}
    }
    ([(header::CONTENT_TYPE, "application/json;charset=UTF-8")], body).into_response()
}

/// Around every request of every listener: slowness, counting, and the tracking id.
pub(crate) async fn observe(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let endpoint = endpoint(request.method(), request.uri().path());
    let query = request.uri().query().unwrap_or_default();
    if query.contains("access_token=") || query.contains(Tokens::PREFIX) {
        shared.ledger.write(|counts| counts.tokens_in_queries += 1);
    }
    let faults = shared.mischief.faults();
    if endpoint != Endpoint::Control && faults.latency_ms + faults.jitter_ms > 0 {
        let jitter = between(shared.mischief.choice(), 0, faults.jitter_ms);
        tokio::time::sleep(std::time::Duration::from_millis(faults.latency_ms + jitter)).await;
    }
    let mut response = next.run(request).await;
    let unsent = response.extensions().get::<Unsent>().is_some();
    let status = if unsent { NO_ANSWER } else { response.status().as_u16() };
    let number = shared.ledger.write(|counts| {
        let count = counts.requests.entry(endpoint).or_default().entry(status).or_default();
        *count += 1;
        *count
    });
    if let Ok(id) = HeaderValue::from_str(&format!("sim_{endpoint:?}_{status}_{number}")) {
        response.headers_mut().insert("x-zm-trackingid", id);
    }
    response
}

fn endpoint(method: &Method, path: &str) -> Endpoint {
    if let Some(path) = path.strip_prefix("/das/v1/contacts") {
        return match *method {
            Method::GET if path.is_empty() => Endpoint::DasList,
            Method::POST if path == "/lookup" => Endpoint::DasLookup,
            Method::GET => Endpoint::DasGet,
            Method::PUT => Endpoint::DasPut,
            _ => Endpoint::Unknown,
        };
    }
    if let Some(path) = path.strip_prefix("/v2/past_meetings/") {
        return if path.ends_with("/instances") { Endpoint::Instances } else { Endpoint::Metadata };
    }
    match path {
        "/verint/api/v1/auth/token" => Endpoint::DasLogIn,
        "/verint/DASWebAPI/Query/ExecuteDynamicQuery" => Endpoint::DasQuery,
        "/verint/ingest" => Endpoint::DasIngest,
        "/oauth/token" => Endpoint::Token,
        "/v2/archive_files" => Endpoint::List,
        "/v2/archive_files/statistics" => Endpoint::Statistics,
        _ if path.starts_with("/rec/archive/download/") => Endpoint::Download,
        _ if path.starts_with("/rec/archive/attached/download/") => Endpoint::Download,
        _ if path.starts_with("/rec/archive/") => Endpoint::Media,
        _ if path.starts_with("/_sim/") => Endpoint::Control,
        _ => Endpoint::Unknown,
    }
}
