//! `recapture das` as a process: the promise of the contact database, the document that it keeps to, and what it
//! refuses.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod document;
mod outages;
mod process;
mod refusals;

mod on_sqlite {
    use super::process::Das;
    use recapture_core::contacts::Contacts;

    async fn fresh() -> (Contacts, Das) {
        let das = Das::on_sqlite();
        (das.client().await, das)
    }

    recapture_core::contacts_claims!(fresh);
}

mod on_postgres {
    use super::process::Das;
    use recapture_core::contacts::Contacts;
    use recapture_core::contacts::conformance::server::PostgresServer;

    async fn fresh() -> (Contacts, Das) {
        let das = Das::on_postgres(PostgresServer::shared()).await;
        (das.client().await, das)
    }

    recapture_core::contacts_claims!(fresh);
}
