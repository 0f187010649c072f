//! The reference data access service (`recapture das`): a contact database over HTTP, by the document in
//! `docs/das-openapi.json` and nothing beside it.
//!
//! A platform that has no such service of its own can run this one, and one that builds its own can hold it against
//! this: what the document allows is answered, everything else is refused with a problem (RFC 9457) that says why.
//! Nothing that a client sends is a failure of the service; 503 means that the database cannot be used now.
//!
//! It keeps nothing in memory. A contact is merged in one transaction, so a crash leaves it as it was or as it was to
//! be, and a client that got no answer sends it again.

mod fault;
mod request;
mod routes;

use std::time::Duration;

use recapture_core::contacts::SqlContacts;
use recapture_core::secret::Secret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The document that the service keeps to; `GET /openapi.json` gives it to anyone.
pub const OPENAPI: &str = include_str!("../docs/das-openapi.json");

/// Answers until `stop`; then takes no more connections and gives running requests `drain` to end. Without a token
/// whoever reaches the listener is answered: it should be one of loopback then.
pub async fn serve(
    listener: TcpListener,
    contacts: SqlContacts,
    token: Option<&Secret>,
    drain: Duration,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let routes = routes::routes(contacts, token);
    let serving = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
    let patience = async {
        stop.cancelled().await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        served = serving => served,
        () = patience => {
            tracing::warn!("{} s after being asked to stop, requests are still running: they are cut", drain.as_secs());
            Ok(())
        }
    }
}
