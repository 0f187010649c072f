//! SQLite's errors as facts.

use std::path::Path;

use sqlx::migrate::MigrateError;

use crate::queue::error::QueueError;

/// Why a command is undone: SQLite failed, or the command is refused.
#[derive(Debug)]
pub(super) enum Failure {
    Sql(sqlx::Error),
    Refused(QueueError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        Self::Refused(error)
    }
}

impl Failure {
    pub(super) fn at(self, path: &Path) -> QueueError {
        match self {
            Self::Sql(error) => fault(path, &error),
            Self::Refused(error) => error,
        }
    }
}

/// How long one attempt to get the write lock waits, in seconds.
pub(super) const BUSY_SECONDS: u64 = 5;

pub(super) fn fault(path: &Path, error: &sqlx::Error) -> QueueError {
    let place = path.display().to_string();
    let why = error.to_string();
    match primary_code(error) {
        Some(5 | 6) => QueueError::Busy { place, seconds: BUSY_SECONDS },
        Some(13) => QueueError::Full { place },
        Some(11 | 26) => QueueError::Corrupt { place, why },
        Some(3 | 8 | 23) => QueueError::Unwritable { place, why },
        Some(14) => QueueError::Unreachable { place, why },
        _ if is_newer(error) => QueueError::Newer { place },
        _ if matches!(error, sqlx::Error::PoolClosed) => QueueError::Closed,
        // A row that our own statements cannot read back was written by something else.
        _ if matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {
            QueueError::Corrupt { place, why }
        }
        _ => QueueError::Failed { place, why },
    }
}

/// The file has a step of the schema that this program does not know.
fn is_newer(error: &sqlx::Error) -> bool {
    let sqlx::Error::Migrate(error) = error else {
        return false;
    };
    matches!(**error, MigrateError::VersionMissing(_))
}

pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(5 | 6))
}

/// SQLite's primary result code; the rest of the number says where it came from.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
