//! What is particular to PostgreSQL: users, connections that end, restarts, plans.

use sqlx::{ConnectOptions, Executor, PgConnection, Row};
use tokio::sync::mpsc::UnboundedSender;
use url::Url;

use crate::contacts::conformance::full;
use crate::contacts::conformance::server::PostgresServer;
use crate::contacts::statements::{self, After, Statement};
use crate::contacts::{ContactsError, Registered, SqlContacts};
use crate::period::parse_instant;
use crate::secret::Secret;

async fn open(server: &PostgresServer, url: &Url) -> SqlContacts {
    SqlContacts::postgres(url, Some(&server.password())).await.unwrap()
}

/// A connection beside those of the contacts, as another program has it.
async fn aside(server: &PostgresServer, url: &Url) -> PgConnection {
    server.options(url.path().trim_start_matches('/')).connect().await.unwrap()
}

fn is_unreachable(error: &ContactsError) -> bool {
    matches!(error, ContactsError::Unreachable { .. })
}

#[tokio::test]
async fn a_killed_server_is_unreachable_and_everything_is_there_when_it_is_back() {
    let server = PostgresServer::start();
    let url = server.database().await;
    let contacts = open(&server, &url).await;
    contacts.merge(&full("before")).await.unwrap();

    // Eight connections of the pool end in the middle of their work.
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let sides: Vec<_> =
        (0..8).map(|side| tokio::spawn(merge_until_it_fails(contacts.clone(), side, tell.clone()))).collect();
    let mut merged = Vec::new();
    while merged.len() < 40 {
        merged.push(told.recv().await.unwrap());
    }
    let server = tokio::task::spawn_blocking(move || {
        server.kill();
        server
    });
    let server = server.await.unwrap();
    for side in sides {
        let error = side.await.unwrap();
        assert!(is_unreachable(&error), "{error:?}");
    }
    drop(tell);
    while let Some(id) = told.recv().await {
        merged.push(id);
    }

    let error = SqlContacts::postgres(&url, Some(&server.password())).await.unwrap_err();
    assert!(is_unreachable(&error), "{error:?}");
    let error = contacts.get("zoom", "before").await.unwrap_err();
    assert!(is_unreachable(&error) && !format!("{error} {error:?}").contains("p@ss"), "{error:?}");

    let server = tokio::task::spawn_blocking(move || {
        server.start_again();
        server
    });
    let server = server.await.unwrap();
    assert_eq!(contacts.get("zoom", "before").await.unwrap(), Some(full("before")));
    for id in merged {
        assert_eq!(contacts.get("zoom", &id).await.unwrap(), Some(full(&id)));
    }
    assert_eq!(contacts.merge(&full("after")).await.unwrap(), (Registered::Created, full("after")));
    drop(server);
}

async fn merge_until_it_fails(
    contacts: SqlContacts,
    side: u32,
    tell: UnboundedSender<String>,
) -> ContactsError {
    for number in 0.. {
        let id = format!("{side}/{number}");
        match contacts.merge(&full(&id)).await {
            Ok(_) => tell.send(id).unwrap(),
            Err(error) => return error,
        }
    }
    unreachable!("the server was not killed")
}

#[tokio::test]
async fn a_connection_that_the_server_ends_is_replaced() {
    let server = PostgresServer::shared();
    let url = server.database().await;
    let contacts = open(server, &url).await;
    contacts.merge(&full("a")).await.unwrap();
    let mut aside = aside(server, &url).await;
    aside.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'recapture' AND datname = current_database()").await.unwrap();
    assert_eq!(contacts.get("zoom", "a").await.unwrap(), Some(full("a")));
}

#[tokio::test]
async fn a_wrong_password_is_denied_and_stays_unseen() {
    let server = PostgresServer::shared();
    let url = server.database().await;
    let error = SqlContacts::postgres(&url, Some(&Secret::new("hunter2"))).await.unwrap_err();
    assert!(matches!(error, ContactsError::Denied { .. }), "{error:?}");
    let told = format!("{error} {error:?}");
    assert!(told.contains("contacts.password") && told.contains(url.path()), "{told}");
    assert!(!told.contains("hunter2"), "{told}");

    let mut elsewhere = url.clone();
    elsewhere.set_path("/no_such_database");
    let error = SqlContacts::postgres(&elsewhere, Some(&server.password())).await.unwrap_err();
    assert!(matches!(error, ContactsError::Denied { .. }), "{error:?}");
    assert!(error.to_string().contains("no_such_database"), "{error}");
}

#[tokio::test]
async fn a_user_who_may_only_read_is_denied_and_one_who_may_write_needs_no_more() {
    let server = PostgresServer::shared();
    let url = server.database().await;
    open(server, &url).await.merge(&full("a")).await.unwrap();
    let mut aside = aside(server, &url).await;
    let name = url.path().trim_start_matches('/').to_owned();
    let grant = |rights: &str| {
        sqlx::AssertSqlSafe(format!("GRANT {rights} ON contacts, media, _sqlx_migrations TO user_{name}"))
    };
    let create = sqlx::AssertSqlSafe(format!("CREATE ROLE user_{name} LOGIN PASSWORD 'small'"));
    aside.execute(create).await.unwrap();
    aside.execute(grant("SELECT")).await.unwrap();

    let mut small = url.clone();
    small.set_username(&format!("user_{name}")).unwrap();
    let contacts = SqlContacts::postgres(&small, Some(&Secret::new("small"))).await.unwrap();
    assert_eq!(contacts.get("zoom", "a").await.unwrap(), Some(full("a")));
    for error in [contacts.check().await.unwrap_err(), contacts.merge(&full("b")).await.unwrap_err()] {
        assert!(matches!(error, ContactsError::Denied { .. }), "{error:?}");
    }
    aside.execute(grant("INSERT, UPDATE")).await.unwrap();
    assert_eq!(contacts.merge(&full("b")).await.unwrap(), (Registered::Created, full("b")));
    assert!(contacts.check().await.unwrap().ends_with("2 contacts"));
}

#[tokio::test]
async fn a_standby_is_told_at_once() {
    let server = PostgresServer::shared();
    let url = server.database().await;
    let contacts = open(server, &url).await;
    let name = url.path().trim_start_matches('/');
    let read_only =
        sqlx::AssertSqlSafe(format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    aside(server, &url).await.execute(read_only).await.unwrap();
    let error = open(server, &url).await.check().await.unwrap_err();
    assert!(matches!(error, ContactsError::Denied { .. }), "{error:?}");
    assert!(error.to_string().contains("read-only"), "{error}");
    drop(contacts);
}

#[tokio::test]
async fn openers_of_a_new_database_do_not_trip_over_each_other() {
    let server = PostgresServer::shared();
    let url = server.database().await;
    let opened = futures_util::future::join_all((0..8).map(|_| open(server, &url))).await;
    for contacts in opened {
        contacts.check().await.unwrap();
    }
}

#[tokio::test]
async fn look_ups_and_pages_go_by_an_index() {
    let server = PostgresServer::shared();
    let url = server.database().await;
    open(server, &url).await;
    let mut aside = aside(server, &url).await;
    // A small table is read whole, with right.
    aside
        .execute(
            "INSERT INTO contacts SELECT 'zoom', n::text, n::bigint * 10000000, NULL, NULL, NULL, '[]', NULL, NULL
             FROM generate_series(170000000, 170020000) n;
             INSERT INTO media SELECT 'zoom', source_id, f::text, f, NULL, NULL, NULL, NULL, 'available'
             FROM contacts, generate_series(1, 3) f;
             ANALYZE",
        )
        .await
        .unwrap();
    let ids: Vec<String> = (170_000_000..170_000_020).map(|id| id.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let lookup = plan(&mut aside, statements::lookup("zoom", &ids)).await;
    assert!(lookup.contains("contacts_pkey") && !lookup.contains("Seq Scan"), "{lookup}");
    let at = |text| parse_instant(text).unwrap();
    for after in [None, Some(After { started_at: at("2023-11-15"), source_id: "x".to_owned() })] {
        let page = statements::page("zoom", at("2023-11-15"), at("2023-11-16"), after.as_ref(), 20);
        let page = plan(&mut aside, page).await;
        assert!(page.contains("contacts_in_order") && !page.contains("Seq Scan"), "{page}");
    }
}

async fn plan(connection: &mut PgConnection, statement: Statement) -> String {
    let rows = statement.explained("EXPLAIN").query().fetch_all(connection).await.unwrap();
    rows.iter().map(|row: &sqlx::postgres::PgRow| row.get::<String, _>(0) + "\n").collect()
}
