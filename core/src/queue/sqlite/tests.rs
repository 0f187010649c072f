//! The embedded queue against the conformance suite, and what is particular to a file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod file;
mod history;
mod power;

use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tempfile::TempDir;

use crate::queue::QueueSettings;
use crate::queue::conformance::Store;

fn settings(folder: &TempDir) -> QueueSettings {
    QueueSettings {
        url: format!("sqlite://{}/queue.db", folder.path().display()),
        lease: Duration::from_secs(60),
        max_attempts: 3,
        high_water: 10,
    }
}

/// A new file in a folder of its own.
async fn fresh() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    let url = settings.url.clone();
    let spoil = move |uuid: String, payload: String| {
        let url = url.clone();
        Box::pin(async move {
            let spoilt = sqlx::query("UPDATE jobs SET payload = ? WHERE uuid = ?")
                .bind(payload)
                .bind(uuid)
                .execute(&mut aside(&url).await)
                .await
                .unwrap();
            assert_eq!(spoilt.rows_affected(), 1);
        }) as futures_util::future::BoxFuture<'static, ()>
    };
    (Store { settings, spoil: Box::new(spoil) }, folder)
}

/// A connection beside the queue's, as another program has it.
async fn aside(url: &str) -> SqliteConnection {
    SqliteConnectOptions::new().filename(url.trim_start_matches("sqlite://")).connect().await.unwrap()
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
