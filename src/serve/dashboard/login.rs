//! Logging in with a token, and out.

use axum::Form;
use axum::extract::FromRequest;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::page::Page;
use super::{Dashboard, Refusal};
use crate::serve::api::{Sessions, is_of_another_site};
use crate::web::problem::Problem;

#[derive(Deserialize)]
struct Given {
    token: String,
}

pub(super) async fn page(State(dashboard): State<Dashboard>) -> Response {
    if dashboard.admission.asks() { form("", StatusCode::OK) } else { to("/") }
}

fn to(place: &'static str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

fn form(note: &str, status: StatusCode) -> Response {
    let body = format!(
        "<div class=\"narrow\"><h1>Log in</h1>\n{note}<form method=\"post\" action=\"/login\">\
         <label for=\"token\">Token of an operator or a viewer</label>\
         <input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"current-password\" required autofocus>\
         <button class=\"main\">Log in</button></form>\n\
         <p class=\"soft\">It is <code>server.token</code> or <code>server.viewer_token</code> of the configuration.</p></div>\n"
    );
    Page { title: "Log in", place: "", run: None, live: false }.with_status(status, None, &body)
}

pub(super) async fn login(State(dashboard): State<Dashboard>, request: Request) -> Response {
    let address = dashboard.admission.client(&request);
    if is_of_another_site(request.headers()) {
        let problem = Problem::new(StatusCode::FORBIDDEN, "a page of another site asks for this");
        return Refusal(problem).into_response();
    }
    // A proxy ends TLS before us; where the page came from, the browser tells.
    let origin = request.headers().get(header::ORIGIN);
    let over_tls = origin.is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    if !dashboard.admission.may_ask(address) {
        return too_many();
    }
    let Ok(Form(Given { token })) = Form::from_request(request, &()).await else {
        return form("", StatusCode::BAD_REQUEST);
    };
    if let Some(role) = dashboard.admission.role_of(token.trim().as_bytes()) {
        let session = dashboard.admission.sessions.begin(role, over_tls);
        return ([(header::SET_COOKIE, session)], to("/")).into_response();
    }
    dashboard.admission.wrong_token(address);
    form(
        "<p class=\"note bad\" role=\"alert\">This is no token of this service.</p>\n",
        StatusCode::UNAUTHORIZED,
    )
}

fn too_many() -> Response {
    let note = "<p class=\"note bad\" role=\"alert\">Too many tries. Wait a little.</p>\n";
    form(note, StatusCode::TOO_MANY_REQUESTS)
}

pub(super) async fn logout() -> Response {
    ([(header::SET_COOKIE, Sessions::end())], to("/login")).into_response()
}
