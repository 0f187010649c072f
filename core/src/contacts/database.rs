//! The database under [`SqlContacts`](super::SqlContacts): a closed set, each member with its own connections,
//! transactions and errors; they run the same statements.

use sqlx::FromRow;

use super::ContactsError;
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::statements::{self, Line, Statement};
use crate::contact::Contact;

type Result<T> = std::result::Result<T, sqlx::Error>;

/// Clones share its connections.
#[derive(Debug, Clone)]
pub(super) enum Database {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// Rolled back when dropped.
pub(super) enum Transaction {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl Database {
    /// Runs some work to its end; what went wrong is told in the terms of this database.
    pub(super) async fn complete<T>(
        &self,
        work: impl Future<Output = Result<T>>,
    ) -> std::result::Result<T, ContactsError> {
        match self {
            Self::Sqlite(sqlite) => work.await.map_err(|error| sqlite.fault(&error)),
            Self::Postgres(postgres) => postgres.complete(work).await,
        }
    }

    pub(super) async fn read(&self, statement: Statement) -> Result<Vec<Contact>> {
        let lines = match self {
            Self::Sqlite(sqlite) => lines(&statement.query().fetch_all(&sqlite.readers).await?),
            Self::Postgres(postgres) => lines(&statement.query().fetch_all(&postgres.pool).await?),
        };
        statements::contacts(lines?)
    }

    /// Begins a transaction beside which no other one writes the same contact.
    pub(super) async fn begin(&self, source: &str, source_id: &str) -> Result<Transaction> {
        Ok(match self {
            Self::Sqlite(sqlite) => Transaction::Sqlite(sqlite.begin().await?),
            Self::Postgres(postgres) => Transaction::Postgres(postgres.begin(source, source_id).await?),
        })
    }

    /// That contacts can be read and written, and how many there are.
    pub(super) async fn count(&self) -> Result<i64> {
        // An insert of nothing is refused like any other where this user may not write, or nobody may.
        let mut probe = self.begin("", "").await?;
        probe.execute(Statement::new("INSERT INTO contacts SELECT * FROM contacts WHERE 1 = 0")).await?;
        drop(probe);
        let count = "SELECT count(*) FROM contacts";
        match self {
            Self::Sqlite(sqlite) => sqlx::query_scalar(count).fetch_one(&sqlite.readers).await,
            Self::Postgres(postgres) => sqlx::query_scalar(count).fetch_one(&postgres.pool).await,
        }
    }

    /// Where it is, without secrets.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Sqlite(sqlite) => sqlite.place(),
            Self::Postgres(postgres) => postgres.place(),
        }
    }
}

impl Transaction {
    pub(super) async fn read(&mut self, statement: Statement) -> Result<Vec<Contact>> {
        let lines = match self {
            Self::Sqlite(step) => lines(&statement.query().fetch_all(&mut **step).await?),
            Self::Postgres(step) => lines(&statement.query().fetch_all(&mut **step).await?),
        };
        statements::contacts(lines?)
    }

    pub(super) async fn execute(&mut self, statement: Statement) -> Result<()> {
        match self {
            Self::Sqlite(step) => statement.query().execute(&mut **step).await.map(|_| ()),
            Self::Postgres(step) => statement.query().execute(&mut **step).await.map(|_| ()),
        }
    }

    pub(super) async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(step) => step.commit().await,
            Self::Postgres(step) => step.commit().await,
        }
    }
}

fn lines<'r, R: sqlx::Row>(rows: &'r [R]) -> Result<Vec<Line>>
where
    Line: FromRow<'r, R>,
{
    rows.iter().map(Line::from_row).collect()
}
