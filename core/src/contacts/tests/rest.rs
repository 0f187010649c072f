//! What a data access service can do wrong, over real connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request};
use axum::http::{HeaderMap, Response, StatusCode, header};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::server::{Server, TOKEN, problem};
use crate::config::{self, ContactsUrl};
use crate::contact::Contact;
use crate::contacts::conformance::full;
use crate::contacts::{Contacts, ContactsError};
use crate::http;
use crate::period::{Period, parse_instant};
use crate::reason::Reason;
use crate::secret::Secret;

async fn open(url: &str, token: Option<&str>) -> Contacts {
    let url = ContactsUrl::Rest(url.parse().unwrap());
    let timeout = Duration::from_secs(5);
    let settings = config::Contacts { url, token: token.map(Secret::new), password: None, timeout };
    Contacts::open(&settings, http::client().unwrap()).await.unwrap()
}

async fn service(url: &str, token: &str) -> Contacts {
    open(url, Some(token)).await
}

fn october() -> Period {
    Period::new(parse_instant("2026-10-01").unwrap(), parse_instant("2026-11-01").unwrap()).unwrap()
}

/// A client of a service that gives one answer to everything.
async fn answering<F>(answer: F) -> (Contacts, Server)
where
    F: Fn() -> Response<Body> + Clone + Send + Sync + 'static,
{
    let server = Server::start(Router::new().fallback(move || async move { answer() })).await;
    (service(&server.url(), TOKEN).await, server)
}

async fn json_answer(body: serde_json::Value) -> (Contacts, Server) {
    answering(move || Response::new(Body::from(body.to_string()))).await
}

#[tokio::test]
async fn a_wrong_token_is_unauthorized_and_stays_unseen() {
    let answer = || async { problem(StatusCode::UNAUTHORIZED, "no or wrong token") };
    let server = Server::start(Router::new().fallback(answer)).await;
    let contacts = service(&server.url(), "hunter2").await;
    for error in [
        contacts.check().await.unwrap_err(),
        contacts.get("a==").await.unwrap_err(),
        contacts.register(&full("a==")).await.unwrap_err(),
    ] {
        assert!(matches!(error, ContactsError::Unauthorized { status: 401, .. }), "{error:?}");
        assert!(error.to_string().contains(&server.url()) && error.to_string().contains("contacts.token"));
        assert!(!format!("{error} {error:?} {contacts:?}").contains("hunter2"));
        assert_eq!(error.cause().reason, Reason::ContactsRefused);
    }
}

#[tokio::test]
async fn statuses_become_facts() {
    for (status, is_later) in [
        (500, true),
        (502, true),
        (503, true),
        (429, true),
        (408, true),
        (400, false),
        (409, false),
        (422, false),
    ] {
        let answer = move || problem(StatusCode::from_u16(status).unwrap(), "because");
        let (contacts, _server) = answering(answer).await;
        let error = contacts.register(&full("a==")).await.unwrap_err();
        let fits = match &error {
            ContactsError::Server { status: told, retry_after: None, .. } => *told == status && is_later,
            ContactsError::Refused { status: told, .. } => *told == status && !is_later,
            _ => false,
        };
        assert!(fits, "{status} {error:?}");
        assert!(error.to_string().contains("because"), "{error}");
        assert_eq!(error.cause().status, Some(status));
    }
    let (contacts, _server) = answering(|| problem(StatusCode::FORBIDDEN, "")).await;
    let error = contacts.check().await.unwrap_err();
    assert!(matches!(error, ContactsError::Unauthorized { status: 403, .. }), "{error:?}");
}

#[tokio::test]
async fn the_services_own_delay_is_told() {
    let (contacts, _server) = answering(|| {
        let mut answer = problem(StatusCode::SERVICE_UNAVAILABLE, "");
        answer.headers_mut().insert(header::RETRY_AFTER, "120".parse().unwrap());
        answer
    })
    .await;
    let error = contacts.lookup(&["a"]).await.unwrap_err();
    assert!(matches!(error, ContactsError::Server { retry_after: Some(_), .. }), "{error:?}");
}

#[tokio::test]
async fn a_wrong_address_is_never_an_absent_contact() {
    let (contacts, _server) = answering(|| {
        let mut answer = Response::new(Body::from("<html>nothing here</html>"));
        *answer.status_mut() = StatusCode::NOT_FOUND;
        answer
    })
    .await;
    let error = contacts.get("a==").await.unwrap_err();
    assert!(matches!(error, ContactsError::Refused { status: 404, .. }), "{error:?}");
    assert!(error.to_string().contains("before /v1"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_but_told_without_its_query() {
    let (contacts, _server) = answering(|| {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        let to = "https://elsewhere.example.com/v1?signature=hunter2".parse().unwrap();
        answer.headers_mut().insert(header::LOCATION, to);
        answer
    })
    .await;
    let error = contacts.register(&full("a==")).await.unwrap_err().to_string();
    assert!(error.contains("elsewhere.example.com") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_refused_connection_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = service(&url, TOKEN).await.get("a==").await.unwrap_err();
    assert!(matches!(&error, ContactsError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&url) && error.to_string().contains("refused"), "{error}");
    assert_eq!(error.cause().reason, Reason::ContactsUnreachable);
}

#[tokio::test]
async fn an_answer_that_is_cut_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(connection.read(&mut request).await.unwrap() > 0);
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"contacts\": [";
        connection.write_all(half).await.unwrap();
    });
    let error = service(&url, TOKEN).await.page(october(), 10, None).await.unwrap_err();
    assert!(matches!(error, ContactsError::Unreachable { .. }), "{error:?}");
    server.await.unwrap();
}

#[tokio::test]
async fn what_is_no_answer_is_unreadable() {
    for body in [
        "",
        "<html>",
        "null",
        "[]",
        "{}",
        "{\"contacts\": null}",
        "{\"contacts\": [{}]}",
        "{\"contacts\": [{\"source\":",
        "{\"contacts\": [{\"source\": \"zoom\", \"source_id\": \"a\", \"started_at\": \"yesterday\"}]}",
        "{\"contacts\": [{\"source\": \"zoom\", \"source_id\": null, \"started_at\": \"2026-10-01T00:00:00Z\"}]}",
    ] {
        let (contacts, _server) = answering(move || Response::new(Body::from(body))).await;
        let error = contacts.get("a").await.unwrap_err();
        assert!(matches!(error, ContactsError::Unreadable { .. }), "{body} {error:?}");
    }
}

#[tokio::test]
async fn a_huge_answer_is_refused_announced_or_not() {
    let announced = || {
        let mut answer = Response::new(Body::from_stream(spaces()));
        answer.headers_mut().insert(header::CONTENT_LENGTH, "99999999999".parse().unwrap());
        answer
    };
    let (contacts, _server) = answering(announced).await;
    let error = contacts.get("a").await.unwrap_err();
    assert!(error.to_string().contains("larger than 64 MiB"), "{error}");

    let (contacts, _server) = answering(|| Response::new(Body::from_stream(spaces()))).await;
    let error = contacts.get("a").await.unwrap_err();
    assert!(error.to_string().contains("larger than 64 MiB"), "{error}");
}

/// White space without end.
fn spaces() -> impl futures_util::Stream<Item = std::io::Result<String>> + Send {
    futures_util::stream::repeat_with(|| Ok(" ".repeat(1 << 20)))
}

#[tokio::test]
async fn pages_that_stand_still_or_go_round_are_errors() {
    let (contacts, _server) = json_answer(json!({"contacts": [], "next_cursor": "again"})).await;
    let mut pages = contacts.pages(october(), 10);
    assert!(pages.next().await.unwrap().is_some());
    let error = pages.next().await.unwrap_err();
    assert!(error.to_string().contains("same page again"), "{error}");

    let rounds = Router::new().fallback(|Query(query): Query<Vec<(String, String)>>| async move {
        let cursor = query.into_iter().find(|(name, _)| name == "cursor").map(|(_, cursor)| cursor);
        let next = if cursor.as_deref() == Some("a") { "b" } else { "a" };
        json!({"contacts": [], "next_cursor": next}).to_string()
    });
    let server = Server::start(rounds).await;
    let contacts = service(&server.url(), TOKEN).await;
    let mut pages = contacts.pages(october(), 10);
    assert!(pages.next().await.unwrap().is_some());
    assert!(pages.next().await.unwrap().is_some());
    let error = pages.next().await.unwrap_err();
    assert!(error.to_string().contains("round in a circle"), "{error}");
}

#[tokio::test]
async fn an_empty_cursor_is_the_end() {
    let (contacts, _server) = json_answer(json!({"contacts": [full("a")], "next_cursor": ""})).await;
    let mut pages = contacts.pages(october(), 10);
    assert_eq!(pages.next().await.unwrap(), Some(vec![full("a")]));
    assert_eq!(pages.next().await.unwrap(), None);
}

#[tokio::test]
async fn what_was_not_asked_for_is_passed_over() {
    let mut other = full("a");
    other.source = "teams".to_owned();
    let answer = json!({"contacts": [other, full("b"), full("a")], "more": 1});
    let (contacts, _server) = json_answer(answer).await;
    assert_eq!(contacts.lookup(&["a"]).await.unwrap(), [full("a")]);
}

#[tokio::test]
async fn a_service_without_a_token_is_asked_without_one() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let router = Router::new().fallback(move |headers: HeaderMap| async move {
        count.fetch_add(usize::from(headers.contains_key(header::AUTHORIZATION)), Ordering::Relaxed);
        StatusCode::CREATED
    });
    let server = Server::start(router).await;
    let contacts = open(&server.url(), None).await;
    contacts.register(&full("a")).await.unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_id_is_encoded_once_in_a_path() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let router = Router::new().fallback(move |request: Request| async move {
        seen.lock().unwrap().push(request.uri().path().to_owned());
        StatusCode::CREATED
    });
    let server = Server::start(router).await;
    open(&server.url(), None).await.register(&full("/aB3//x+y%2F==")).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), ["/v1/contacts/zoom/%2FaB3%2F%2Fx%2By%252F%3D%3D"]);
}

#[tokio::test]
async fn ids_that_an_address_would_lose_are_refused() {
    let (contacts, _server) = json_answer(json!({})).await;
    for id in [".", ".."] {
        let error = contacts.register(&Contact { source_id: id.to_owned(), ..full("a") }).await.unwrap_err();
        assert!(matches!(error, ContactsError::NotAContact { .. }), "{error:?}");
    }
}
