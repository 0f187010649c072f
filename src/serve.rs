//! `recapture serve`: one process that stays, and recovers by itself.
//!
//! ```text
//!             ┌── http        /healthz /readyz /metrics /v1 and the dashboard on server.listen
//!             ├── recoveries  lists what clients ask for, and takes up what was cut short
//!             ├── events      looks at the queue for who listens
//!             ├── workers     the pool, if the queue is embedded or --work asks for it
//!   serve ────┼── automatic   looks for missing meetings, if automatic.enabled
//!             └── folder      takes CSV files from csv.dir
//! ```
//!
//! Each of these is a loop that ends when it is told to and never otherwise: one that does end, by an error or a panic,
//! ends the process with a code other than 0, and the supervisor starts it afresh. A service that lives on with one
//! of its duties dead is worse than one that is seen to restart.
//!
//! What passes by itself is no reason to end: Zoom or the platform away, the queue away, a folder that cannot be
//! written. The loop that meets it says so and goes on.
//!
//! # Stopping
//!
//! SIGTERM ends the loops: no new pass, no new file, no new meeting; what the pool has in hand gets `worker.drain`. HTTP
//! ends last, so that a supervisor can watch the others end. A process that is killed leaves what each loop's own
//! module says.

mod api;
mod dashboard;
mod http;
mod loops;
mod recoveries;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use recapture_core::config::Loaded;
use recapture_worker::health::HealthError;
use recapture_worker::{OpenError, Opened, open, seal};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::trigger::{automatic, csv};
use api::Api;
use loops::Loops;
use recoveries::Recoveries;

/// Why the service could not start, or came to an end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("server.listen: {address} cannot be listened on: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Health(#[from] HealthError),
    #[error("{loop_name} ended by itself, so the service ends; start it again: {why}")]
    Ended { loop_name: &'static str, why: String },
}

/// What the loops and the routes share.
#[derive(Clone)]
pub struct Service {
    pub opened: Arc<Opened>,
    pub loaded: Arc<Loaded>,
    /// Why the pool of this process begins no meeting, while it does not.
    pub halted: watch::Receiver<Option<String>>,
}

/// Serves until `stop`. Works too if the queue is embedded, or if `work` asks for it.
pub async fn run(loaded: Loaded, work: bool, stop: CancellationToken) -> Result<(), ServeError> {
    let address = loaded.config.server.listen;
    let could_not_listen = |error| ServeError::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(could_not_listen)?;
    let bound = listener.local_addr().map_err(could_not_listen)?;
    let opened = Arc::new(open(&loaded.config).await?);
    let (halt, halted) = watch::channel(None);
    let service = Service { opened: Arc::clone(&opened), loaded: Arc::new(loaded), halted };
    let mut loops = Loops::new(&stop);
    let (recoveries, waiting) = Recoveries::new(service.clone());
    let api = Api::new(service.clone(), recoveries.clone(), loops.stop());
    let pulse = api.pulse.clone();
    let routes = http::routes(&service, api)?;
    loops.start("recoveries asked for over HTTP", |stop| recoveries.keep(waiting, stop));
    loops.start("events", |stop| pulse.keep(stop));
    let drain = service.loaded.config.worker.drain;
    loops.last("http", |stop| http::serve(listener, routes, drain, stop));
    if work || opened.queue.is_embedded() {
        let service = service.clone();
        loops.start("the worker pool", |stop| async move {
            let config = &service.loaded.config;
            let worked = recapture_worker::work_on(&service.opened, config, &stop, &halt).await;
            worked.map_err(|error| error.to_string())
        });
    }
    if service.loaded.config.automatic.enabled {
        let service = service.clone();
        loops.start("automatic recovery", |stop| async move {
            automatic::keep(&service.opened, &service.loaded, stop).await
        });
    }
    let watching = service.clone();
    loops.start("the watch of CSV files", |stop| async move {
        csv::watch(&watching.opened, &watching.loaded, stop).await
    });
    info!("listening on http://{bound}; the dashboard is at /, the API at /v1");
    let ended = loops.run().await;
    seal(&opened.ports.evidence).await;
    opened.queue.clone().close().await;
    ended?;
    info!("stopped; nothing is left in hand");
    Ok(())
}
