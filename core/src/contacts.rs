//! The port to the platform's contact database: which meetings it has, and registering those that were recovered.
//!
//! Its members keep one promise, and `contacts/conformance.rs` holds each to it: the database itself, SQLite or
//! PostgreSQL ([`SqlContacts`]), and a data access service, of the REST form ([`RestContacts`]) or of the Verint form
//! ([`VerintContacts`]), which can only be read.
//!
//! - A meeting is found by its UUID and nothing else, whatever characters it holds.
//! - Only "answered, and it has none" means absent. An answer that may have been cut is asked for again in smaller parts
//!   until it is not; what cannot be told even so is *unknown*. Whatever else happens is an error, never an empty answer.
//! - Registering is idempotent: the media merge by file, and repeating it changes nothing. It is atomic as well: a
//!   crash leaves the contact as it was or as it was to be, so the worker registers again without looking.
//!
//! Nothing is tried again here: errors state facts ([`ContactsError`]), and the caller's table decides.

mod database;
mod error;
mod group;
mod postgres;
mod request;
mod rest;
mod sql;
mod sqlite;
mod statements;
mod verint;
mod wire;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

pub use error::ContactsError;
pub use rest::RestContacts;
pub use sql::{LONGEST_ID, SqlContacts};
pub use verint::VerintContacts;

use crate::config::{self, ContactsUrl};
use crate::contact::{Contact, SOURCE};
use crate::period::Period;

/// The most ids of one look-up and the most contacts of one page.
pub const LARGEST_BATCH: usize = 1000;

/// The size of a page for a caller who wants at most `limit` contacts.
fn page_size(limit: u32) -> usize {
    usize::try_from(limit).map_or(LARGEST_BATCH, |limit| limit.clamp(1, LARGEST_BATCH))
}

/// The contact database, directly or behind its service.
#[derive(Debug, Clone)]
pub enum Contacts {
    Sql(SqlContacts),
    Rest(RestContacts),
    Verint(VerintContacts),
}

/// A meeting that is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Sought<'a> {
    pub source_id: &'a str,
    /// From when to when it was held, at most; not every member finds a meeting without it.
    pub held: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// What looking for some meetings came to. Of whatever is neither here nor there the platform has none.
#[derive(Debug, Default)]
pub struct Found {
    /// Each once.
    pub contacts: Vec<Contact>,
    pub unknown: Vec<Unknown>,
}

/// A meeting of which the platform could not tell whether it has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    pub source_id: String,
    pub why: String,
}

/// Contacts in order of `started_at`, and where the next page begins; `None` after the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactPage {
    pub contacts: Vec<Contact>,
    /// Opaque; good for the same period only.
    pub next_cursor: Option<String>,
}

/// What registering did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    Created,
    Merged,
    /// The platform takes it in by itself, from where it was put.
    HandedOver,
}

impl Contacts {
    /// Opens the database (a file is made if it is not there yet), or prepares the client of the service, which is not asked
    /// anything yet. `http` should follow no redirects: each would carry the contacts elsewhere.
    pub async fn open(settings: &config::Contacts, http: reqwest::Client) -> Result<Self, ContactsError> {
        match &settings.url {
            ContactsUrl::Sqlite(path) => SqlContacts::sqlite(path).await.map(Self::Sql),
            ContactsUrl::Postgres(url) => {
                SqlContacts::postgres(url, settings.password.as_ref()).await.map(Self::Sql)
            }
            ContactsUrl::Rest(url) => {
                let token = settings.token.clone();
                Ok(Self::Rest(RestContacts::new(url, token, settings.timeout, http)))
            }
            ContactsUrl::Verint(verint) => {
                let token = settings.token.clone();
                Ok(Self::Verint(VerintContacts::new(verint, token, settings.timeout, http)))
            }
        }
    }

    /// Those of the given meetings that the platform has, and those of which that cannot be told; any number.
    pub async fn find(&self, sought: &[Sought<'_>]) -> Result<Found, ContactsError> {
        self.search(sought).run().await
    }

    /// The same, for a caller who goes on after an error.
    pub fn search<'a>(&'a self, sought: &[Sought<'a>]) -> Search<'a> {
        Search(match self {
            Self::Verint(verint) => How::Periods(verint.search(sought)),
            Self::Sql(_) | Self::Rest(_) => {
                How::Ids { contacts: self, ids: sought.iter().map(|meeting| meeting.source_id).collect() }
            }
        })
    }

    /// Whether new contacts have to be put where the platform fetches them.
    pub fn are_read_only(&self) -> bool {
        matches!(self, Self::Verint(_))
    }

    /// Those of the given meetings that the platform has; any number, in batches of [`LARGEST_BATCH`].
    pub async fn lookup(&self, source_ids: &[&str]) -> Result<Vec<Contact>, ContactsError> {
        let mut wanted = source_ids.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut found = Vec::new();
        for batch in wanted.chunks(LARGEST_BATCH) {
            found.extend(match self {
                Self::Sql(sql) => sql.lookup(SOURCE, batch).await?,
                Self::Rest(rest) => rest.lookup(batch).await?,
                Self::Verint(_) => return Err(ContactsError::NotOffered { what: "look-up by id" }),
            });
        }
        Ok(found)
    }

    /// One page of the contacts that started in the period. [`Contacts::pages`] walks all of them.
    pub async fn page(
        &self,
        period: Period,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<ContactPage, ContactsError> {
        match self {
            Self::Sql(sql) => sql.page(SOURCE, period.from, period.to, limit, cursor).await,
            Self::Rest(rest) => rest.page(period, limit, cursor).await,
            Self::Verint(_) => Err(ContactsError::NotOffered { what: "pages" }),
        }
    }

    /// All pages of the period.
    pub fn pages(&self, period: Period, limit: u32) -> Pages<'_> {
        Pages { contacts: self, period, limit, cursor: None, ended: false, seen: HashSet::new() }
    }

    /// A look-up of one: a service's 404 could as well mean that its address is wrong.
    pub async fn get(&self, source_id: &str) -> Result<Option<Contact>, ContactsError> {
        Ok(self.lookup(&[source_id]).await?.pop())
    }

    /// Creates the contact, or merges it into the one that is there.
    pub async fn register(&self, contact: &Contact) -> Result<Registered, ContactsError> {
        match self {
            Self::Sql(sql) => sql.merge(contact).await.map(|(registered, _)| registered),
            Self::Rest(rest) => rest.register(contact).await,
            Self::Verint(verint) => verint.register(contact).await,
        }
    }

    /// Whether the database can be reached and used as configured; a line for a person that says what was found.
    pub async fn check(&self) -> Result<String, ContactsError> {
        match self {
            Self::Sql(sql) => sql.check().await,
            Self::Rest(rest) => rest.check().await,
            Self::Verint(verint) => verint.check().await,
        }
    }
}

/// Looks for some meetings, over as many questions as it takes.
#[derive(Debug)]
pub struct Search<'a>(How<'a>);

#[derive(Debug)]
enum How<'a> {
    Ids { contacts: &'a Contacts, ids: Vec<&'a str> },
    Periods(verint::PeriodSearch<'a>),
}

impl Search<'_> {
    /// After an error it may be called again, and goes on with what is not answered yet.
    pub async fn run(&mut self) -> Result<Found, ContactsError> {
        let mut found = match &mut self.0 {
            How::Ids { contacts, ids } => {
                Found { contacts: contacts.lookup(ids).await?, unknown: Vec::new() }
            }
            How::Periods(search) => search.run().await?,
        };
        found.contacts = each_once(found.contacts);
        Ok(found)
    }

    /// How many questions have been answered for good: what grows between two errors makes patience worth while.
    pub fn answered(&self) -> u64 {
        match &self.0 {
            How::Ids { .. } => 0,
            How::Periods(search) => search.answered,
        }
    }
}

/// A service may give a contact twice, whole here and in part there: what it tells of files counts together.
fn each_once(contacts: Vec<Contact>) -> Vec<Contact> {
    let mut places: HashMap<String, usize> = HashMap::with_capacity(contacts.len());
    let mut each: Vec<Contact> = Vec::with_capacity(contacts.len());
    for contact in contacts {
        if let Some(place) = places.get(&contact.source_id) {
            each[*place].merge(contact);
        } else {
            places.insert(contact.source_id.clone(), each.len());
            each.push(contact);
        }
    }
    each
}

/// Walks the pages of a period, one request a step.
#[derive(Debug)]
pub struct Pages<'a> {
    contacts: &'a Contacts,
    period: Period,
    limit: u32,
    cursor: Option<String>,
    ended: bool,
    seen: HashSet<String>,
}

impl Pages<'_> {
    /// The contacts of the next page, `None` after the last. After an error the same page is asked for again. A
    /// service that leads back to a page that it has already given is an error, so the walk ends.
    pub async fn next(&mut self) -> Result<Option<Vec<Contact>>, ContactsError> {
        if self.ended {
            return Ok(None);
        }
        let page = self.contacts.page(self.period, self.limit, self.cursor.as_deref()).await?;
        if let Some(next) = &page.next_cursor
            && !self.seen.insert(next.clone())
        {
            return Err(ContactsError::Unreadable {
                request: format!("listing the contacts from {}", self.period),
                what: "the pages go round in a circle: a next_cursor comes back".to_owned(),
            });
        }
        self.ended = page.next_cursor.is_none();
        self.cursor = page.next_cursor;
        Ok(Some(page.contacts))
    }
}
