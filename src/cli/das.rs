//! `recapture das`: the reference data access service over a contact database.

use std::process::ExitCode;

use recapture_core::config::{ContactsUrl, Loaded};
use recapture_core::contacts::{Contacts, SqlContacts};
use recapture_core::http;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::das;

pub(super) async fn run(loaded: Loaded, stop: CancellationToken) -> Result<ExitCode, Failure> {
    let config = &loaded.config;
    let contacts = database(&loaded).await?;
    let found = contacts.check().await.map_err(|error| Failure::CouldNotRun(error.to_string()))?;
    let listen = config.server.listen;
    let could_not_listen =
        |error| Failure::CouldNotRun(format!("server.listen: {listen} cannot be listened on: {error}"));
    let listener = TcpListener::bind(listen).await.map_err(could_not_listen)?;
    let address = listener.local_addr().map_err(could_not_listen)?;
    let token = config.server.token.as_ref();
    let terms = if token.is_some() { "with the token only" } else { "whoever asks, on this machine" };
    tracing::info!("listening on http://{address}, answering {terms}; {found}");
    das::serve(listener, contacts, token, config.worker.drain, stop).await?;
    Ok(ExitCode::SUCCESS)
}

async fn database(loaded: &Loaded) -> Result<SqlContacts, Failure> {
    let settings = &loaded.config.contacts;
    let service = match &settings.url {
        ContactsUrl::Rest(url) => Some(url),
        ContactsUrl::Verint(verint) => Some(&verint.url),
        ContactsUrl::Sqlite(_) | ContactsUrl::Postgres(_) => None,
    };
    if let Some(url) = service {
        return Err(Failure::CouldNotRun(format!(
            "contacts.url is {url}, a service; `recapture das` is one over a database: set contacts.url to \
             sqlite:// and a path, or postgres://user@host/database"
        )));
    }
    let client = http::client().map_err(|error| Failure::CouldNotRun(error.to_string()))?;
    match Contacts::open(settings, client).await {
        Ok(Contacts::Sql(contacts)) => Ok(contacts),
        Ok(Contacts::Rest(_) | Contacts::Verint(_)) => {
            unreachable!("the address of a service was refused above")
        }
        Err(error) => Err(Failure::CouldNotRun(error.to_string())),
    }
}
