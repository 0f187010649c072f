//! A data access service over HTTP.

use std::collections::HashSet;
use std::time::Duration;

use chrono::Utc;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use url::Url;

use super::request::{Asked, MOST_LATE};
use super::wire::{Lookup, WireContact, WireContacts};
use super::{ContactPage, ContactsError, LARGEST_BATCH, Registered, page_size};
use crate::config::without_credentials;
use crate::contact::{Contact, SOURCE};
use crate::period::{Period, stamp};
use crate::secret::Secret;

/// What RFC 3986 leaves as it is in a path segment; everything else is percent-encoded, once.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The client of one service. Clones share its connections.
#[derive(Debug, Clone)]
pub struct RestContacts {
    /// Without a slash at its end.
    base: String,
    token: Option<Secret>,
    timeout: Duration,
    http: reqwest::Client,
}

impl RestContacts {
    pub(super) fn new(url: &Url, token: Option<Secret>, timeout: Duration, http: reqwest::Client) -> Self {
        Self { base: url.as_str().trim_end_matches('/').to_owned(), token, timeout, http }
    }

    /// At most [`LARGEST_BATCH`] different ids. An answer that brings some of them and not others may have been cut at a
    /// limit of the service. So the others are asked for again, until an answer brings none of them: only that tells
    /// that there are none.
    pub(super) async fn lookup(&self, source_ids: &[&str]) -> Result<Vec<Contact>, ContactsError> {
        debug_assert!(source_ids.len() <= LARGEST_BATCH, "larger look-ups are cut up by the caller");
        let mut open = source_ids.to_vec();
        let mut found = Vec::new();
        while !open.is_empty() {
            let brought = self.lookup_in_time(&open).await?;
            let ids: HashSet<&str> = brought.iter().map(|contact| contact.source_id.as_str()).collect();
            open.retain(|id| !ids.contains(id));
            let none = ids.is_empty();
            found.extend(brought);
            if none {
                break;
            }
        }
        Ok(found)
    }

    /// Asks for so few ids that the answer comes in time.
    async fn lookup_in_time(&self, source_ids: &[&str]) -> Result<Vec<Contact>, ContactsError> {
        let (mut parts, mut found, mut late) = (vec![source_ids], Vec::new(), 0);
        while let Some(part) = parts.pop() {
            match self.lookup_once(part).await {
                Ok(contacts) => {
                    late = 0;
                    found.extend(contacts);
                }
                Err(error) if error.is_late() && part.len() > 1 && late < MOST_LATE => {
                    late += 1;
                    let (first, second) = part.split_at(part.len() / 2);
                    tracing::info!(ids = part.len(), %error, "the look-up is made again in halves");
                    parts.extend([second, first]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn lookup_once(&self, source_ids: &[&str]) -> Result<Vec<Contact>, ContactsError> {
        let asked = self.ask(Method::POST, "/v1/contacts/lookup");
        let asked = asked.with(|request| request.json(&Lookup { source: SOURCE, source_ids }));
        let (answer, _) = asked.read::<WireContacts>().await?;
        let mut contacts = ours(answer.contacts);
        contacts.retain(|contact| source_ids.contains(&contact.source_id.as_str()));
        Ok(contacts)
    }

    pub(super) async fn page(
        &self,
        period: Period,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<ContactPage, ContactsError> {
        let limit = page_size(limit);
        let query = [
            ("source", SOURCE.to_owned()),
            ("from", stamp(period.from)),
            ("to", stamp(period.to)),
            ("limit", limit.to_string()),
        ];
        let asked = self.ask(Method::GET, "/v1/contacts");
        let asked =
            asked.with(|request| request.query(&query).query(&cursor.map(|cursor| [("cursor", cursor)])));
        let (answer, request) = asked.read::<WireContacts>().await?;
        let next_cursor = answer.next_cursor.filter(|next| !next.is_empty());
        if next_cursor.is_some() && next_cursor.as_deref() == cursor {
            let what = "the page's next_cursor leads to the same page again".to_owned();
            return Err(ContactsError::Unreadable { request, what });
        }
        Ok(ContactPage { contacts: ours(answer.contacts), next_cursor })
    }

    pub(super) async fn register(&self, contact: &Contact) -> Result<Registered, ContactsError> {
        let asked = self.ask(Method::PUT, &contact_path(&contact.source, &contact.source_id)?);
        let (response, _) = asked.with(|request| request.json(contact)).send().await?;
        Ok(match response.status() {
            StatusCode::CREATED => Registered::Created,
            _ => Registered::Merged,
        })
    }

    /// Asks for one contact of the last day: that the service answers, takes the token and speaks our language.
    pub(super) async fn check(&self) -> Result<String, ContactsError> {
        let now = Utc::now();
        let last_day = Period::new(now - chrono::Duration::days(1), now).map_err(|error| {
            ContactsError::Unreadable { request: self.base.clone(), what: error.to_string() }
        })?;
        let page = self.page(last_day, 1, None).await?;
        let found = if page.contacts.is_empty() { "no contact" } else { "contacts" };
        Ok(format!("{} answers; {found} in the last 24 hours", without_credentials(&self.base)))
    }

    fn ask(&self, method: Method, path: &str) -> Asked {
        let address = format!("{}{path}", self.base);
        let asked =
            Asked::new(&self.http, method, address, self.timeout, "contacts.url is the address before /v1");
        match &self.token {
            Some(token) => asked.with(|request| request.bearer_auth(token.expose())),
            None => asked,
        }
    }
}

/// The contacts of our source; what else a service sends is not our business.
fn ours(contacts: Vec<WireContact>) -> Vec<Contact> {
    contacts.into_iter().map(Contact::from).filter(|contact| contact.source == SOURCE).collect()
}

fn contact_path(source: &str, source_id: &str) -> Result<String, ContactsError> {
    for segment in [source, source_id] {
        // An address loses such segments on its way, encoded or not, and would name something else.
        if matches!(segment, "" | "." | "..") {
            let why = format!("'{segment}' can be no source and no source_id");
            return Err(ContactsError::NotAContact { why });
        }
    }
    let encode = |text| utf8_percent_encode(text, SEGMENT);
    Ok(format!("/v1/contacts/{}/{}", encode(source), encode(source_id)))
}
