//! The shared queue against the conformance suite on a real `redis-server`, and what is particular to it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod audit;
mod clocks;
mod damage;
mod history;
mod limits;
mod lost;
mod outage;
mod places;
mod proxy;
mod refusals;
mod server;

use std::time::Duration;

use futures_util::future::BoxFuture;
use redis::cmd;

use self::server::Server;
use crate::queue::QueueSettings;
use crate::queue::conformance::Store;

fn settings(server: &Server) -> QueueSettings {
    QueueSettings { url: server.url(), lease: Duration::from_secs(60), max_attempts: 3, high_water: 10 }
}

/// A new server with nothing in it.
async fn fresh() -> (Store, Server) {
    let server = Server::start().await;
    (store(&server), server)
}

fn store(server: &Server) -> Store {
    let url = server.url();
    let spoil = Box::new(move |uuid: String, payload: String| {
        let url = url.clone();
        Box::pin(async move {
            let mut aside = server::aside(&url).await;
            let mut get = cmd("HGET");
            let record: String =
                get.arg("{recapture}:jobs").arg(&uuid).query_async(&mut aside).await.unwrap();
            let (rest, _) = record.rsplit_once(';').unwrap();
            let mut set = cmd("HSET");
            set.arg("{recapture}:jobs").arg(&uuid).arg(format!("{rest};{payload}"));
            set.exec_async(&mut aside).await.unwrap();
        }) as BoxFuture<'static, ()>
    });
    Store { settings: settings(server), spoil }
}

mod conformance {
    use super::fresh;

    crate::queue::conformance::suite!(fresh);
}

mod crash {
    use super::fresh;

    crate::queue::conformance::crash::kills!(fresh);
}

mod pool {
    use super::fresh;

    crate::queue::conformance::pool::pools!(fresh);
}
