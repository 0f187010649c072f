//! What is SQLite's own: the file, its settings, its errors. The statements beside this file are plain SQL.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqliteConnection, Transaction};

use super::error::ContactsError;
use super::group::Group;

static SCHEMA: Migrator = sqlx::migrate!("migrations/contacts/sqlite");

/// Begins a transaction that already holds the write lock: one that takes it later can fail in its middle.
const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// How long one attempt to get the write lock waits, in seconds.
const BUSY_SECONDS: u64 = 10;

/// The log is cut down to this after a large transaction.
const LOG_BYTES: &str = "67108864";

const READERS: u32 = 4;

/// One database file.
#[derive(Debug, Clone)]
pub(super) struct Sqlite {
    path: PathBuf,
    /// One connection: SQLite has one writer at a time, and waiting here is fair while its lock is not.
    writer: SqlitePool,
    pub(super) readers: SqlitePool,
    pub(super) group: Arc<Group>,
}

impl Sqlite {
    /// Creates folder (0700) and file (0600) as needed and brings the schema up to date.
    pub(super) async fn open(path: &Path) -> Result<Self, ContactsError> {
        create(path.to_owned()).await?;
        let options = options(path);
        let connect = || async {
            let mut connection = options.connect().await?;
            migrate(&mut connection).await?;
            connection.close().await
        };
        // Switching a new file to WAL is refused at once while another process does the same.
        connect
            .retry(
                ExponentialBuilder::default()
                    .with_jitter()
                    .with_min_delay(Duration::from_millis(20))
                    .with_max_times(6),
            )
            .when(|error| matches!(primary_code(error), Some(5 | 6)))
            .await
            .map_err(|error| fault(path, &error))?;
        let readers = options.clone().pragma("query_only", "ON");
        Ok(Self {
            path: path.to_owned(),
            writer: SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options),
            readers: SqlitePoolOptions::new().max_connections(READERS).connect_lazy_with(readers),
            group: Arc::default(),
        })
    }

    pub(super) async fn begin(&self) -> Result<Transaction<'static, sqlx::Sqlite>, sqlx::Error> {
        self.writer.begin_with(BEGIN_WRITE).await
    }

    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) fn fault(&self, error: &sqlx::Error) -> ContactsError {
        fault(&self.path, error)
    }
}

/// An existing file is never opened here: closing it would drop the locks that SQLite holds on it in this process.
async fn create(path: PathBuf) -> Result<(), ContactsError> {
    let place = path.display().to_string();
    let made = tokio::task::spawn_blocking(move || {
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            // The name must be as durable as what will be in the file.
            Ok(_) => File::open(folder)?.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    });
    let why = match made.await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    Err(ContactsError::Unwritable { place, why })
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
async fn migrate(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut whole = connection.begin_with(BEGIN_WRITE).await?;
    SCHEMA.run_direct(None, &mut *whole, false).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
        other => sqlx::Error::Migrate(Box::new(other)),
    })?;
    whole.commit().await
}

fn fault(path: &Path, error: &sqlx::Error) -> ContactsError {
    let place = path.display().to_string();
    let why = error.to_string();
    match primary_code(error) {
        Some(5 | 6) => ContactsError::Busy { place, seconds: BUSY_SECONDS },
        Some(13) => ContactsError::Full { place },
        Some(3 | 8 | 14 | 23) => ContactsError::Unwritable { place, why },
        Some(11 | 26) => ContactsError::Corrupt { place, why },
        _ if matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {
            ContactsError::Corrupt { place, why }
        }
        _ => ContactsError::Failed { place, why },
    }
}

/// SQLite's primary result code; the rest of the number says where it came from.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
