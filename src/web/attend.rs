//! What every request goes through: a name for the logs, and a limit to its time.

use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ulid::Ulid;

use super::problem::Problem;

/// In the answer it is the client's own, if it sent one of visible ASCII.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_REQUEST_ID: usize = 64;

/// How a service attends to its requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attendance {
    /// From the head of the request to that of the answer, the body's arrival included.
    pub(crate) patience: Duration,
    /// Whether what was read, and is in order, is a line of the log too.
    pub(crate) reading_is_news: bool,
}

/// The request's name, for whoever answers it.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// The outermost: names the request, limits its time, and writes the line of the log.
pub(crate) async fn attend(
    State(attendance): State<Attendance>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let name = id.to_str().unwrap_or_default().to_owned();
    request.extensions_mut().insert(RequestId(name.clone()));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = match tokio::time::timeout(attendance.patience, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "the request took too long to arrive").into_response()
        }
    };
    let status = response.status();
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    if attendance.reading_is_news || !method.is_safe() || !status.is_success() {
        let status = status.as_u16();
        tracing::info!(request_id = name, %method, path, status, milliseconds, "answered");
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    // Contacts are about people.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_sound = |id: &&HeaderValue| {
        (1..=LONGEST_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    headers.get(REQUEST_ID).filter(is_sound).cloned().unwrap_or_else(|| {
        HeaderValue::from_str(&Ulid::generate().to_string()).expect("an ULID is made of letters and digits")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_request_id_is_kept_and_another_replaced() {
        let headers = |value: &'static str| {
            HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_bytes(value.as_bytes()).expect("a header"))])
        };
        assert_eq!(request_id(&headers("abc-1")), "abc-1");
        for odd in ["", "a b", "é"] {
            let id = request_id(&headers(odd));
            assert_eq!(id.len(), 26, "{odd}");
        }
    }
}
