//! The section of the contact database: where it is, which form it speaks, and who we are to it.

use std::path::PathBuf;
use std::time::Duration;

use toml::Value;
use url::Url;

use super::addresses::{postgres, sqlite_path, take_password, web};
use super::fault::Fault;
use super::reader::Reader;
use super::sections::{Security, fits_a_header};
use super::values::{self, Expected};
use crate::secret::Secret;

#[derive(Debug, Clone)]
pub struct Contacts {
    pub url: ContactsUrl,
    /// For [`ContactsUrl::Rest`], and for [`Verint::ingest_url`].
    pub token: Option<Secret>,
    /// For [`ContactsUrl::Postgres`], wherever it was given.
    pub password: Option<Secret>,
    /// How long one request to a service may take.
    pub timeout: Duration,
}

/// Where the contact database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContactsUrl {
    Sqlite(PathBuf),
    /// A database of PostgreSQL; the address holds no password.
    Postgres(Url),
    /// A data access service of the REST form.
    Rest(Url),
    /// A data access service of the Verint form.
    Verint(Box<Verint>),
}

/// What the Verint form leaves to each installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verint {
    pub url: Url,
    pub user: String,
    pub password: Secret,
    pub login_path: String,
    pub query_path: String,
    /// `UserID` of a query.
    pub user_id: u64,
    /// `ConditionsString` of a query.
    pub conditions: String,
    /// `RequestedColumns`; empty asks for all.
    pub columns: Vec<String>,
    /// The column that carries the meeting UUID.
    pub key_column: String,
    pub start_column: String,
    pub end_column: String,
    /// The column that carries the id of an archived file, if the installation keeps it.
    pub file_column: Option<String>,
    /// So many rows count as an answer that was cut.
    pub row_limit: usize,
    /// How far a session's start may lie outside its meeting.
    pub margin: Duration,
    /// Where new contacts are handed to, beside the file in the buffer.
    pub ingest_url: Option<Url>,
}

/// The `contacts.api` of an http(s) address.
#[derive(Clone, Copy)]
enum Api {
    Rest,
    Verint,
}

impl Contacts {
    pub(super) fn read(reader: &mut Reader<'_>, security: &Security) -> Self {
        const APIS: &[(&str, Api)] = &[("rest", Api::Rest), ("verint", Api::Verint)];
        let api = reader.get("contacts.api", values::word(APIS));
        let mut url = reader.get("contacts.url", |value| contacts_url(value, security));
        let mut password = reader.secret("contacts.password", |_| Ok(()));
        if let ContactsUrl::Postgres(url) = &mut url
            && let Some(in_url) = take_password(url)
            && password.replace(in_url).is_some()
        {
            let origin = reader.origin("contacts.url");
            reader.fault(Fault::PasswordTwice { origin });
        }
        let verint = Verint::read(reader, security);
        if let (Api::Verint, ContactsUrl::Rest(address)) = (api, &url) {
            if verint.user.is_empty() || verint.password.expose().is_empty() {
                let origin = reader.origin("contacts.api");
                reader.fault(Fault::NoLogIn { origin });
            }
            url = ContactsUrl::Verint(Box::new(Verint { url: address.clone(), ..verint }));
        }
        Self {
            url,
            token: reader.secret("contacts.token", fits_a_header),
            password,
            timeout: reader.get("contacts.timeout", values::length(Duration::from_millis(100))),
        }
    }
}

impl Verint {
    /// The section, whichever form is spoken: a fault in it is told at once. The address is not its own.
    fn read(reader: &mut Reader<'_>, security: &Security) -> Self {
        Self {
            url: Url::parse("https://unset.invalid/").expect("an address"),
            user: reader.get("contacts.verint.user", values::optional_text).unwrap_or_default(),
            password: reader
                .secret("contacts.verint.password", |_| Ok(()))
                .unwrap_or_else(|| Secret::new("")),
            login_path: reader.get("contacts.verint.login_path", path),
            query_path: reader.get("contacts.verint.query_path", path),
            user_id: reader.get("contacts.verint.user_id", values::whole(0..=i64::MAX)),
            conditions: reader.get("contacts.verint.conditions", |value| Ok(values::text(value)?.to_owned())),
            columns: reader.get("contacts.verint.columns", |value| {
                Ok(values::texts(value)?.into_iter().map(str::to_owned).collect())
            }),
            key_column: reader.get("contacts.verint.key_column", column),
            start_column: reader.get("contacts.verint.start_column", column),
            end_column: reader.get("contacts.verint.end_column", column),
            file_column: reader.get("contacts.verint.file_column", values::optional_text),
            row_limit: reader.get("contacts.verint.row_limit", values::whole(1..=10_000_000)),
            margin: reader.get("contacts.verint.margin", values::length(Duration::from_secs(1))),
            ingest_url: reader.get("contacts.ingest_url", |value| match values::optional_text(value)? {
                Some(_) => web(security)(value).map(Some),
                None => Ok(None),
            }),
        }
    }
}

/// A path below the service's address.
fn path(value: &Value) -> Result<String, Expected> {
    let text = values::text(value)?;
    let fits = text.starts_with('/') && !text.contains(['?', '#', ' ']);
    fits.then(|| text.to_owned()).ok_or_else(|| {
        Expected("a path below contacts.url that begins with '/', without '?' and '#'".to_owned())
    })
}

fn column(value: &Value) -> Result<String, Expected> {
    values::optional_text(value)?.ok_or_else(|| Expected("the name of a column".to_owned()))
}

fn contacts_url(value: &Value, security: &Security) -> Result<ContactsUrl, Expected> {
    let text = values::text(value)?;
    if let Some(path) = sqlite_path(text) {
        return path.map(ContactsUrl::Sqlite);
    }
    if let Some(url) = postgres(text, security) {
        return url.map(ContactsUrl::Postgres);
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        return web(security)(value).map(ContactsUrl::Rest);
    }
    let known = "sqlite:// and a path, postgres://user@host/database, or https:// of a data access service";
    Err(Expected(known.to_owned()))
}
