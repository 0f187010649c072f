//! What the service answers: `/healthz`, `/readyz` and `/metrics`, which need no token and tell no secrets; the API
//! ([`super::api`]) and the dashboard, which ask who is there.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use recapture_worker::health::{self, HealthError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Service;
use super::api::{self, Admission, Api};
use super::dashboard;
use crate::web::attend::attend;
use crate::web::problem::Problem;

/// All routes of the service.
pub(super) fn routes(service: &Service, api: Api) -> Result<Router, HealthError> {
    let health = health::routes(&service.opened, service.halted.clone())?;
    let admission = Admission::new(&service.loaded.config.server);
    let open = api::open_routes(admission.asks());
    let dashboard = dashboard::routes(api.clone(), admission.clone());
    let asking = api::routes(api, admission);
    let attended = health
        .merge(open)
        .merge(asking)
        .merge(dashboard)
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is no such path; see /openapi.json"))
        .layer(from_fn_with_state(api::ATTENDANCE, attend));
    Ok(attended)
}

/// Answers until `stop`; then takes no more connections and gives running requests `drain` to end.
pub(super) async fn serve(
    listener: TcpListener,
    routes: Router,
    drain: Duration,
    stop: CancellationToken,
) -> Result<(), String> {
    let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
    let patience = async {
        stop.cancelled().await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        served = serving => served.map_err(|error| error.to_string()),
        () = patience => Ok(()),
    }
}
