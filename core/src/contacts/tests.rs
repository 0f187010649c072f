//! The databases against the conformance suite, what is particular to PostgreSQL, and the client of a service against
//! what that can do wrong. The suite meets a real service in the tests of `recapture das`, and the Verint form in `core/tests/das`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod postgres;
mod rest;
mod server;

mod on_sqlite {
    use crate::contacts::{Contacts, SqlContacts};

    async fn fresh() -> (Contacts, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let contacts = SqlContacts::sqlite(&folder.path().join("contacts.db")).await.unwrap();
        (Contacts::Sql(contacts), folder)
    }

    crate::contacts_claims!(fresh);
}

mod on_postgres {
    use crate::contacts::conformance::server::PostgresServer;
    use crate::contacts::{Contacts, SqlContacts};

    async fn fresh() -> (Contacts, ()) {
        let server = PostgresServer::shared();
        let url = server.database().await;
        let contacts = SqlContacts::postgres(&url, Some(&server.password())).await.unwrap();
        (Contacts::Sql(contacts), ())
    }

    crate::contacts_claims!(fresh);
}
