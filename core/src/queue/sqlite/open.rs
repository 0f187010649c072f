//! Opening: the file, its permissions, its schema.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::fault::{BUSY_SECONDS, fault, is_busy};
use super::writer::Writer;
use super::{Inner, SqliteQueue, Terms};
use crate::queue::QueueSettings;
use crate::queue::clock::{Clock, millis};
use crate::queue::error::QueueError;

static SCHEMA: Migrator = sqlx::migrate!("migrations/queue");

/// The log is cut down to this after a large transaction.
const LOG_BYTES: &str = "67108864";

const READERS: u32 = 4;

impl SqliteQueue {
    /// Creates folders (0700) and file (0600) as needed and brings the schema up to date.
    pub(in crate::queue) async fn open(
        path: &str,
        settings: &QueueSettings,
        clock: Clock,
    ) -> Result<Self, QueueError> {
        let path = path_of(path)?;
        create(path.clone()).await?;
        let options = options(&path);
        let connect = || async {
            let mut conn = options.connect().await?;
            migrate(&mut conn).await.map(|()| conn)
        };
        // Switching a new file to WAL is refused at once while another process does the same.
        let conn = connect
            .retry(
                ExponentialBuilder::default()
                    .with_jitter()
                    .with_min_delay(Duration::from_millis(20))
                    .with_max_times(6),
            )
            .when(is_busy)
            .await
            .map_err(|error| fault(&path, &error))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_lazy_with(options.clone().pragma("query_only", "ON"));
        let terms =
            Terms { lease: millis(settings.lease), max_attempts: i64::from(settings.max_attempts.max(1)) };
        let writer = Writer::start(path.clone(), options, conn, clock.clone());
        Ok(Self(Arc::new(Inner {
            path,
            clock,
            terms,
            high_water: settings.high_water.max(1),
            writer,
            readers,
        })))
    }

    /// That the file is whole and can be written.
    pub(in crate::queue) async fn check(&self) -> Result<(), QueueError> {
        let mut reader = self.reader().await?;
        let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&mut *reader)
            .await
            .map_err(|error| self.fault(&error))?;
        if found != "ok" {
            return Err(QueueError::Corrupt { place: self.0.path.display().to_string(), why: found });
        }
        self.write(|step| {
            Box::pin(async move {
                sqlx::query("UPDATE queue SET fence = fence").execute(&mut step.conn).await?;
                Ok(())
            })
        })
        .await
    }
}

fn path_of(path: &str) -> Result<PathBuf, QueueError> {
    match path {
        "" => Err(QueueError::BadUrl { why: "it names no file".into() }),
        // Nothing is durable in memory.
        ":memory:" => Err(QueueError::BadUrl { why: "a queue in memory would forget its jobs".into() }),
        odd if odd.contains('?') => {
            Err(QueueError::BadUrl { why: "sqlite takes no parameters after '?' here".into() })
        }
        path => Ok(PathBuf::from(path)),
    }
}

/// An existing file is never opened here: closing it would drop the locks that SQLite holds on it in this process.
async fn create(path: PathBuf) -> Result<(), QueueError> {
    let place = path.display().to_string();
    let made = tokio::task::spawn_blocking(move || {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            // The name must be as durable as what will be in the file.
            Ok(_) => File::open(folder)?.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    });
    match made.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(QueueError::Unreachable { place, why: error.to_string() }),
        Err(error) => Err(QueueError::Unreachable { place, why: error.to_string() }),
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(BUSY_SECONDS))
        .pragma("journal_size_limit", LOG_BYTES)
        .disable_statement_logging()
}

/// In one transaction that holds the write lock, because sqlx's migrator locks nothing on SQLite: two processes that
/// open a new file at once make its schema once.
async fn migrate(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut whole = conn.begin_with("BEGIN IMMEDIATE").await?;
    SCHEMA.run_direct(None, &mut *whole, false).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
        other => sqlx::Error::Migrate(Box::new(other)),
    })?;
    whole.commit().await
}
