//! The requests of the document, one function each.

use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use recapture_core::contact::Contact;
use recapture_core::contacts::{Registered, SqlContacts};
use recapture_core::period::stamp;
use recapture_core::secret::Secret;
use serde::Serialize;
use serde_json::{Value, json};

use super::OPENAPI;
use super::request::{Id, Lookup, PageQuery, SentContact, Source};
use crate::web::attend::{Attendance, attend};
use crate::web::problem::Problem;
use crate::web::token::{Token, bearer};

/// A thousand of the longest ids, each character escaped; a contact with thousands of files.
const LARGEST_BODY: usize = 8 << 20;

/// The database gives up before.
const ATTENDANCE: Attendance = Attendance { patience: Duration::from_secs(90), reading_is_news: true };

#[derive(Serialize)]
struct Page {
    contacts: Vec<Contact>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Found {
    contacts: Vec<Contact>,
}

pub(super) fn routes(contacts: SqlContacts, token: Option<&Secret>) -> Router {
    let document = document(token.is_some());
    Router::new()
        .route("/v1/contacts", get(list))
        .route("/v1/contacts/lookup", post(lookup))
        .route("/v1/contacts/{source}/{source_id}", get(read).put(merge))
        .with_state(contacts)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is no such path; see /openapi.json"))
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(token.map(Token::new), admit))
        .route("/openapi.json", get(async || ([(header::CONTENT_TYPE, "application/json")], document)))
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(ATTENDANCE, attend))
}

async fn admit(State(token): State<Option<Token>>, request: Request, next: Next) -> Response {
    let brought = bearer(request.headers());
    if token.is_none_or(|token| brought.is_some_and(|brought| token.is(brought))) {
        return next.run(request).await;
    }
    let detail = "the bearer token is missing or wrong; send it as Authorization: Bearer …";
    Problem::new(StatusCode::UNAUTHORIZED, detail).into_response()
}

async fn wrong_method() -> Problem {
    let detail = "this path has other methods; see the header Allow";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// The document as it is true of this service: without a token it asks for none.
fn document(has_token: bool) -> String {
    if has_token {
        return OPENAPI.to_owned();
    }
    let mut document: Value = serde_json::from_str(OPENAPI).expect("the document is JSON");
    document["security"] = json!([]);
    document.to_string()
}

async fn list(
    State(contacts): State<SqlContacts>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let (from, to) = (query.from.0, query.to.0);
    if from > to {
        let detail =
            format!("the period ends ({}) before it begins ({}); swap from and to", stamp(to), stamp(from));
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let page = contacts.page(&query.source.0, from, to, query.limit.0, query.cursor.as_deref()).await?;
    Ok(Json(Page { contacts: page.contacts, next_cursor: page.next_cursor }).into_response())
}

async fn lookup(
    State(contacts): State<SqlContacts>,
    body: Result<Json<Lookup>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(lookup) = body?;
    let ids: Vec<&str> = lookup.source_ids.0.iter().map(|id| id.0.as_str()).collect();
    let found = contacts.lookup(&lookup.source.0, &ids).await?;
    Ok(Json(Found { contacts: found }).into_response())
}

type Names = Result<Path<(Source, Id)>, PathRejection>;

async fn read(State(contacts): State<SqlContacts>, names: Names) -> Result<Response, Problem> {
    let Path((source, source_id)) = names?;
    match contacts.get(&source.0, &source_id.0).await? {
        Some(contact) => Ok(Json(contact).into_response()),
        None => Err(Problem::new(StatusCode::NOT_FOUND, "there is no such contact")),
    }
}

async fn merge(
    State(contacts): State<SqlContacts>,
    names: Names,
    body: Result<Json<SentContact>, JsonRejection>,
) -> Result<Response, Problem> {
    let Path((source, source_id)) = names?;
    let Json(sent) = body?;
    if (&sent.source, &sent.source_id) != (&source, &source_id) {
        let detail = "source and source_id of the contact are not those of the path; is the id encoded once?";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let (registered, whole) = contacts.merge(&sent.into()).await?;
    let status = match registered {
        Registered::Created => StatusCode::CREATED,
        Registered::Merged | Registered::HandedOver => StatusCode::OK,
    };
    Ok((status, Json(whole)).into_response())
}
