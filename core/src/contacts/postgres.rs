//! What is PostgreSQL's own: the connections, their settings, their errors. The statements beside this file are plain
//! SQL.
//!
//! A server that goes away is told as such, and connected to again by whoever asks next; nothing here waits for it.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, Transaction};
use url::Url;

use super::error::ContactsError;
use crate::http::root_cause;
use crate::secret::Secret;

static SCHEMA: Migrator = sqlx::migrate!("migrations/contacts/postgres");

/// The isolation is named because a database can be set to another one: with an older snapshot than its lock, a
/// transaction would not see what the lock's last holder wrote.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '10s'";
const BUSY_SECONDS: u64 = 10;

/// Held to the end of the transaction. A contact that is not there yet has no row that could be locked instead; two
/// contacts that share a hash wait for each other, no more.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";

/// A thousand contacts take seconds at worst; what takes longer than this will not come.
const WHOLE_REQUEST: Duration = Duration::from_secs(60);

/// For a free connection or a new one.
const CONNECT: Duration = Duration::from_secs(5);

/// More than this at once would only take them from the platform.
const CONNECTIONS: u32 = 8;

/// One database of a server.
#[derive(Debug, Clone)]
pub(super) struct Postgres {
    /// Without user, password and parameters.
    place: String,
    pub(super) pool: PgPool,
}

impl Postgres {
    /// Connects and brings the schema up to date.
    pub(super) async fn open(url: &Url, password: Option<&Secret>) -> Result<Self, ContactsError> {
        let place = place(url);
        let opened = async {
            let options = options(url, password)?;
            let mut connection = options.connect().await?;
            migrate(&mut connection).await?;
            connection.close().await?;
            Ok(PgPoolOptions::new()
                .max_connections(CONNECTIONS)
                .acquire_timeout(CONNECT)
                .connect_lazy_with(options))
        };
        let pool = within(&place, opened).await?;
        Ok(Self { place, pool })
    }

    pub(super) async fn begin(
        &self,
        source: &str,
        source_id: &str,
    ) -> Result<Transaction<'static, sqlx::Postgres>, sqlx::Error> {
        let mut step = self.pool.begin_with(BEGIN).await?;
        let key = format!("recapture contact {source} {source_id}");
        sqlx::query(LOCK).bind(key).persistent(false).execute(&mut *step).await?;
        Ok(step)
    }

    pub(super) async fn complete<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, ContactsError> {
        within(&self.place, work).await
    }

    pub(super) fn place(&self) -> String {
        self.place.clone()
    }
}

/// The connection to a server whose machine is gone can stay silent for hours.
async fn within<T>(
    place: &str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, ContactsError> {
    match tokio::time::timeout(WHOLE_REQUEST, work).await {
        Ok(done) => done.map_err(|error| fault(place, &error)),
        Err(_) => Err(ContactsError::Unreachable {
            request: place.to_owned(),
            why: format!("no answer within {} s", WHOLE_REQUEST.as_secs()),
        }),
    }
}

fn place(url: &Url) -> String {
    let mut bare = url.clone();
    // Both fail for an address without a host only.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare.set_query(None);
    bare.into()
}

fn options(url: &Url, password: Option<&Secret>) -> Result<PgConnectOptions, sqlx::Error> {
    let mut options: PgConnectOptions = url.as_str().parse()?;
    // The driver would look up the name "[::1]".
    if let Some(url::Host::Ipv6(address)) = url.host() {
        options = options.host(&address.to_string());
    }
    if let Some(password) = password {
        options = options.password(password.expose());
    }
    Ok(options.application_name("recapture").disable_statement_logging())
}

/// Leaves a schema alone that is up to date: then a user is enough who may not create tables. Otherwise the migrator
/// takes a lock of its own, so that processes that open a new database at once make its schema once.
async fn migrate(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let applied =
        sqlx::query_scalar::<_, i64>("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(&mut *connection)
            .await
            .unwrap_or_default();
    if SCHEMA.iter().map(|migration| migration.version).eq(applied) {
        return Ok(());
    }
    SCHEMA.run(connection).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
        other => sqlx::Error::Migrate(Box::new(other)),
    })
}

fn fault(place: &str, error: &sqlx::Error) -> ContactsError {
    let place = place.to_owned();
    let unreachable = |why| ContactsError::Unreachable { request: place.clone(), why };
    match error {
        sqlx::Error::Database(told) => of_state(place, told.code().as_deref().unwrap_or(""), told.message()),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => unreachable(root_cause(error)),
        sqlx::Error::PoolTimedOut => unreachable(format!("no connection within {} s", CONNECT.as_secs())),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => unreachable(error.to_string()),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
            ContactsError::Corrupt { place, why: error.to_string() }
        }
        other => ContactsError::Failed { place, why: other.to_string() },
    }
}

/// By SQLSTATE (PostgreSQL's appendix "Error Codes").
fn of_state(place: String, state: &str, message: &str) -> ContactsError {
    let why = message.to_owned();
    match state {
        // The server is starting, stopping, crashed, or has no connection to spare.
        "57P01" | "57P02" | "57P03" | "57P05" | "53300" => ContactsError::Unreachable { request: place, why },
        state if state.starts_with("08") => ContactsError::Unreachable { request: place, why },
        // Who we are, what we may do, which database; a standby takes no writes.
        "42501" | "3D000" | "25006" => ContactsError::Denied { place, why },
        state if state.starts_with("28") => ContactsError::Denied { place, why },
        "55P03" | "40001" | "40P01" => ContactsError::Busy { place, seconds: BUSY_SECONDS },
        "53100" => ContactsError::Full { place },
        state if state.starts_with("XX0") => ContactsError::Corrupt { place, why },
        _ => ContactsError::Failed { place, why },
    }
}
