//! Downloads: the link that Zoom lists, the signed URL on another host that it redirects to, and the bytes.
//!
//! Documented: the bearer token at the first host, and that a redirect may follow. Reported: the second host
//! takes a signed URL and answers 403 when the token arrives there too; it serves ranges, and at times leaves
//! out Content-Length; a page of HTML may come with status 200. Assumed: how a dead link answers (403), and a
//! file that is gone (404).

mod transfer;

use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::window::Params;
use super::{Refusal, error};
use crate::catalogue::{File, FileKey};
use crate::connections::Wire;
use crate::counts::Endpoint;
use crate::faults::Fault;
use crate::limits::Category;
use crate::state::Shared;

const LOG_IN: &str =
    "<!DOCTYPE html><html><head><title>Sign In - Zoom</title></head><body>Sign in</body></html>";

pub(super) async fn first_hop(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(link): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let token = shared.authorize(&headers)?;
    let (key, edition) = shared.read_link(&link).ok_or_else(gone)?;
    if let Some(fault) = shared.draw(Endpoint::Download, key, false) {
        return Err(match fault {
            Fault::Html200 => Html(LOG_IN).into_response(),
            Fault::RateLimited => shared.limiter.out_of_the_blue(Category::Light),
            Fault::UrlExpired => {
                shared.links.kill(key);
                expired()
            }
            _ => shared.replace(fault, token, &wire).unwrap_or_else(expired),
        }
        .into());
    }
    if !shared.links.is_good(key, edition) {
        return Err(expired().into());
    }
    let file = shared.catalogue.find(key).filter(|file| shared.is_there(file)).ok_or_else(gone)?;
    let downloads = &shared.catalogue.scenario.downloads;
    if downloads.direct {
        return serve(&shared, &wire, &headers, &file).await;
    }
    let location = downloads.redirect_to.clone().unwrap_or_else(|| shared.signed_url(&link, &file));
    Ok((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
}

pub(super) async fn second_hop(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(link): Path<String>,
    Query(query): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if headers.contains_key(header::AUTHORIZATION) {
        shared.ledger.write(|counts| counts.authorization_at_second_host += 1);
        return Err(denied("Only one authentication mechanism allowed").into());
    }
    let policy = query.get("Policy").cloned().unwrap_or_default();
    let signature = shared.sign(&format!("{link} {policy}"));
    if query.get("Signature") != Some(&signature) {
        return Err(denied("Access denied").into());
    }
    let (key, _) = shared.read_link(&link).ok_or_else(gone)?;
    let file = shared.catalogue.find(key).ok_or_else(gone)?;
    serve(&shared, &wire, &headers, &file).await
}

/// The bytes, from whichever host; the faults of the second hop happen here.
async fn serve(
    shared: &Arc<Shared>,
    wire: &Wire,
    headers: &HeaderMap,
    file: &File,
) -> Result<Response, Refusal> {
    let fault = shared.draw(Endpoint::Media, file.key, true);
    match fault {
        Some(Fault::Html200) => Err(Html(LOG_IN).into_response().into()),
        Some(fault @ (Fault::ServerError | Fault::Reset)) => {
            Err(shared.replace(fault, "", wire).unwrap_or_else(expired).into())
        }
        _ => Ok(transfer::send(shared, headers, file, fault).await),
    }
}

impl Shared {
    fn draw(&self, endpoint: Endpoint, key: FileKey, last: bool) -> Option<Fault> {
        let fault = self.mischief.draw(endpoint, key.number(), last, |_| true);
        if let Some(fault) = fault {
            self.ledger.write(|counts| *counts.faults.entry(fault).or_default() += 1);
        }
        fault
    }

    fn read_link(&self, link: &str) -> Option<(FileKey, u32)> {
        let mut parts = link.split('.');
        let (id, edition, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let edition = edition.parse().ok()?;
        (signature == self.sign(&format!("{id} {edition}"))).then_some(())?;
        Some((self.catalogue.file_of(id)?, edition))
    }

    fn signed_url(&self, link: &str, file: &File) -> String {
        let policy = "eyJTdGF0ZW1lbnQiOltdfQ__";
        let signature = self.sign(&format!("{link} {policy}"));
        let content_type = file.form.content_type().split(';').next().unwrap_or_default();
        format!(
            "{}/rec/archive/{link}?response-content-type={content_type}&Policy={policy}&Signature={signature}\
             &Key-Pair-Id=SIMULATED",
            self.media_origin
        )
    }
}

fn expired() -> Response {
    error(StatusCode::FORBIDDEN, 403, "The download URL has expired.")
}

fn gone() -> Response {
    error(StatusCode::NOT_FOUND, 3301, "This recording does not exist.")
}

/// As the storage behind Zoom says it.
fn denied(message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"
    );
    (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}
