//! `POST /oauth/token`, Server-to-Server OAuth.
//!
//! Documented: Basic authentication, the grant and the account id in the form body, the fields of the answer,
//! about an hour of life. Assumed: the exact words of a refusal.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::{cut, server_error};
use crate::connections::Wire;
use crate::counts::Endpoint;
use crate::faults::Fault;
use crate::state::Shared;

pub(crate) const ACCOUNT_ID: &str = "sim-account";
pub(crate) const CLIENT_ID: &str = "sim-client";
pub(crate) const CLIENT_SECRET: &str = "sim-secret-that-no-log-may-show";

pub(super) async fn token(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    headers: HeaderMap,
    body: String,
) -> Response {
    if let Some(fault) = shared.mischief.draw(Endpoint::Token, 0, true, |_| true) {
        shared.ledger.write(|counts| *counts.faults.entry(fault).or_default() += 1);
        return if fault == Fault::Reset { cut(&wire) } else { server_error(shared.mischief.choice()) };
    }
    let expected = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    if headers.get(header::AUTHORIZATION).is_none_or(|given| given.as_bytes() != expected.as_bytes()) {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_client", "Invalid client_id or client_secret");
    }
    let form = form(&body);
    if form.get("grant_type").is_none_or(|grant| grant != "account_credentials") {
        return refusal(StatusCode::BAD_REQUEST, "unsupported_grant_type", "Unsupported grant type");
    }
    if form.get("account_id").is_none_or(|account| account != ACCOUNT_ID) {
        return refusal(StatusCode::BAD_REQUEST, "invalid_request", "Bad request");
    }
    let (token, lifetime_s) = shared.tokens.issue();
    shared.ledger.write(|counts| counts.tokens_issued += 1);
    Json(json!({
        "access_token": token,
        "token_type": "bearer",
        "expires_in": lifetime_s,
        "scope": shared.catalogue.scenario.scopes.join(" "),
        "api_url": shared.zoom_origin,
    }))
    .into_response()
}

fn refusal(status: StatusCode, error: &str, reason: &str) -> Response {
    (status, Json(json!({"reason": reason, "error": error}))).into_response()
}

fn form(body: &str) -> HashMap<String, String> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (decode(key), decode(value))).collect()
}
