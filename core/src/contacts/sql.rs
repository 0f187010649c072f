//! The contact database itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike, Utc};
use url::Url;

use super::database::{Database, Transaction};
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::statements::{self, After, Statement};
use super::{ContactPage, ContactsError, LARGEST_BATCH, Registered, page_size};
use crate::contact::Contact;
use crate::secret::Secret;

/// The longest source, source_id and file_id, in characters: the three together fit into one entry of an index of
/// PostgreSQL.
pub const LONGEST_ID: usize = 255;

/// A contact database in a SQLite file or in PostgreSQL. Clones share its connections. Its questions name the source,
/// because the reference data access service answers for any.
#[derive(Debug, Clone)]
pub struct SqlContacts(Database);

impl SqlContacts {
    /// Opens the file; makes it, readable for this user only, if it is not there.
    pub async fn sqlite(path: &Path) -> Result<Self, ContactsError> {
        Sqlite::open(path).await.map(|sqlite| Self(Database::Sqlite(sqlite)))
    }

    /// Connects to a database that is there; makes its tables if they are not.
    pub async fn postgres(url: &Url, password: Option<&Secret>) -> Result<Self, ContactsError> {
        Postgres::open(url, password).await.map(|postgres| Self(Database::Postgres(postgres)))
    }

    /// Those of the given contacts that exist; at most [`LARGEST_BATCH`] ids.
    pub async fn lookup(&self, source: &str, source_ids: &[&str]) -> Result<Vec<Contact>, ContactsError> {
        debug_assert!(source_ids.len() <= LARGEST_BATCH, "larger look-ups are cut up by the caller");
        // PostgreSQL refuses a question for what it cannot hold.
        let holdable: Vec<&str> = source_ids.iter().copied().filter(|id| is_id(id)).collect();
        if holdable.is_empty() || !is_id(source) {
            return Ok(Vec::new());
        }
        self.read(statements::lookup(source, &holdable)).await
    }

    pub async fn get(&self, source: &str, source_id: &str) -> Result<Option<Contact>, ContactsError> {
        Ok(self.lookup(source, &[source_id]).await?.pop())
    }

    /// Contacts with `from <= started_at < to` in order of (`started_at`, `source_id`), at most `limit` and
    /// [`LARGEST_BATCH`].
    pub async fn page(
        &self,
        source: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<ContactPage, ContactsError> {
        let after = cursor.map(read_cursor).transpose()?;
        // Never before the period, whatever the cursor says.
        let after = after.filter(|after| after.started_at >= from);
        let limit = page_size(limit);
        // One more than asked for tells whether there is a next page.
        let one_more = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        if !is_id(source) {
            return Ok(ContactPage { contacts: Vec::new(), next_cursor: None });
        }
        let page = statements::page(source, from, to, after.as_ref(), one_more);
        let mut contacts = self.read(page).await?;
        let more = contacts.len() > limit;
        contacts.truncate(limit);
        let next_cursor = contacts.last().filter(|_| more).map(write_cursor);
        Ok(ContactPage { contacts, next_cursor })
    }

    /// Creates the contact, or merges it into the one that is there, all or nothing and durably; gives back what is there
    /// now.
    pub async fn merge(&self, contact: &Contact) -> Result<(Registered, Contact), ContactsError> {
        let contact = storable(contact)?;
        match &self.0 {
            // One writer at a time: those who come meanwhile share its next transaction, and its fsync.
            Database::Sqlite(sqlite) => sqlite.group.merge(&self.0, contact).await,
            Database::Postgres(_) => {
                let merged = self.0.complete(Box::pin(merge_all(&self.0, vec![contact]))).await?;
                Ok(merged.into_iter().next().expect("one came of one"))
            }
        }
    }

    /// That contacts can be read and written, and how many there are.
    pub async fn check(&self) -> Result<String, ContactsError> {
        let count = self.0.complete(Box::pin(self.0.count())).await?;
        let plural = if count == 1 { "" } else { "s" };
        Ok(format!("{}: {count} contact{plural}", self.0.place()))
    }

    // Boxed, as above: in every future around it there would be room for opening a connection otherwise.
    async fn read(&self, statement: Statement) -> Result<Vec<Contact>, ContactsError> {
        self.0.complete(Box::pin(self.0.read(statement))).await
    }
}

/// Merges contacts in one transaction, in their order. Those of one source are looked up together, and all that changed is
/// written together: what a contact costs is mostly the statements' number.
pub(super) async fn merge_all(
    database: &Database,
    contacts: Vec<Contact>,
) -> Result<Vec<(Registered, Contact)>, sqlx::Error> {
    let Some(first) = contacts.first() else { return Ok(Vec::new()) };
    let mut step = database.begin(&first.source, &first.source_id).await?;
    let mut standing = standing(&mut step, &contacts).await?;
    let mut changed = BTreeSet::new();
    let mut merged = Vec::with_capacity(contacts.len());
    for contact in contacts {
        let key = (contact.source.clone(), contact.source_id.clone());
        let known = standing.get(&key);
        let registered = if known.is_some() { Registered::Merged } else { Registered::Created };
        // A new contact is merged into its own bare self: of a file that it names twice the later counts.
        let mut whole = known.cloned().unwrap_or_else(|| Contact { media: Vec::new(), ..contact.clone() });
        whole.merge(contact);
        if known != Some(&whole) {
            standing.insert(key.clone(), whole.clone());
            changed.insert(key);
        }
        merged.push((registered, whole));
    }
    let changed: Vec<&Contact> = changed.iter().filter_map(|key| standing.get(key)).collect();
    for statement in statements::put(&changed)? {
        step.execute(statement).await?;
    }
    step.commit().await?;
    Ok(merged)
}

/// What the database has of these contacts, by source and id.
async fn standing(
    step: &mut Transaction,
    contacts: &[Contact],
) -> Result<BTreeMap<(String, String), Contact>, sqlx::Error> {
    let mut asked: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for contact in contacts {
        asked.entry(&contact.source).or_default().insert(&contact.source_id);
    }
    let mut standing = BTreeMap::new();
    for (source, ids) in asked {
        let ids: Vec<&str> = ids.into_iter().collect();
        for contact in step.read(statements::lookup(source, &ids)).await? {
            standing.insert((contact.source.clone(), contact.source_id.clone()), contact);
        }
    }
    Ok(standing)
}

/// Whether a text can be a source, a source_id or a file_id: PostgreSQL holds no NUL.
fn is_id(text: &str) -> bool {
    !text.is_empty() && !text.contains('\0') && text.chars().count() <= LONGEST_ID
}

/// The contact as the database can hold it, so that reading it back gives the same.
fn storable(contact: &Contact) -> Result<Contact, ContactsError> {
    let not_a_contact = |why: String| Err(ContactsError::NotAContact { why });
    if !is_id(&contact.source) || !is_id(&contact.source_id) {
        return not_a_contact(format!(
            "its source or its source_id is empty, holds a NUL or is longer than {LONGEST_ID} characters"
        ));
    }
    if let Some(media) = contact.media.iter().find(|media| !is_id(&media.file_id)) {
        let shown: String = media.file_id.chars().take(LONGEST_ID).collect();
        return not_a_contact(format!(
            "its file_id {shown:?} is empty, holds a NUL or is longer than {LONGEST_ID} characters"
        ));
    }
    if let Some(media) = contact.media.iter().find(|media| !fits(media.size)) {
        return not_a_contact(format!("its file {} is larger than any file", media.file_id));
    }
    let mut contact = contact.clone();
    contact.started_at = storable_instant(contact.started_at)?;
    contact.ended_at = contact.ended_at.map(storable_instant).transpose()?;
    for text in [&mut contact.topic, &mut contact.host, &mut contact.run_id, &mut contact.buffer_path] {
        replace_nul(text);
    }
    for media in &mut contact.media {
        replace_nul(&mut media.file_type);
        replace_nul(&mut media.sha256);
    }
    Ok(contact)
}

fn fits(size: Option<u64>) -> bool {
    size.is_none_or(|size| i64::try_from(size).is_ok())
}

/// In whole microseconds; a leap second becomes the second after it. JSON has four digits for a year.
fn storable_instant(at: DateTime<Utc>) -> Result<DateTime<Utc>, ContactsError> {
    DateTime::from_timestamp_micros(at.timestamp_micros())
        .filter(|at| (0..=9999).contains(&at.year()))
        .ok_or_else(|| ContactsError::NotAContact { why: format!("{at} is not within the years 0 to 9999") })
}

/// A word with a hole in it is better than a meeting that cannot be registered.
fn replace_nul(text: &mut Option<String>) {
    if let Some(text) = text.as_mut().filter(|text| text.contains('\0')) {
        *text = text.replace('\0', "\u{fffd}");
    }
}

fn write_cursor(last: &Contact) -> String {
    URL_SAFE_NO_PAD.encode(format!("{} {}", last.started_at.timestamp_micros(), last.source_id))
}

fn read_cursor(cursor: &str) -> Result<After, ContactsError> {
    let read = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (micros, source_id) = text.split_once(' ')?;
        let started_at = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
        Some(After { started_at, source_id: source_id.to_owned() }).filter(|after| is_id(&after.source_id))
    };
    read().ok_or(ContactsError::NotACursor)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::contacts::conformance::full;
    use crate::period::parse_instant;
    use sqlx::Row;
    use std::os::unix::fs::PermissionsExt;

    async fn plan(contacts: &SqlContacts, statement: Statement) -> String {
        let Database::Sqlite(sqlite) = &contacts.0 else { panic!("a file was opened") };
        let rows =
            statement.explained("EXPLAIN QUERY PLAN").query().fetch_all(&sqlite.readers).await.unwrap();
        rows.iter().map(|row: &sqlx::sqlite::SqliteRow| row.get::<String, _>("detail") + "\n").collect()
    }

    #[tokio::test]
    async fn look_ups_and_pages_go_by_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let contacts = SqlContacts::sqlite(&folder.path().join("contacts.db")).await.unwrap();
        let ids: Vec<String> = (0..300).map(|id| id.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let lookup = plan(&contacts, statements::lookup("zoom", &ids)).await;
        assert!(lookup.contains("SEARCH c USING INDEX") && !lookup.contains("SCAN"), "{lookup}");

        let at = |text| parse_instant(text).unwrap();
        for after in [None, Some(After { started_at: at("2026-10-01"), source_id: "x".to_owned() })] {
            let page = statements::page("zoom", at("2026-10-01"), at("2026-10-02"), after.as_ref(), 10);
            let page = plan(&contacts, page).await;
            assert!(page.contains("USING INDEX contacts_in_order (source=? AND "), "{page}");
            assert!(!page.contains("SCAN contacts"), "{page}");
        }
    }

    #[tokio::test]
    async fn what_a_database_cannot_hold_is_put_right_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let contacts = SqlContacts::sqlite(&folder.path().join("contacts.db")).await.unwrap();
        let mut odd = full("a");
        odd.topic = Some("a\0b".to_owned());
        odd.started_at = parse_instant("2016-12-31T23:59:60.1234567Z").unwrap();
        let (_, stored) = contacts.merge(&odd).await.unwrap();
        assert_eq!(stored.topic.as_deref(), Some("a\u{fffd}b"));
        assert_eq!(stored.started_at, parse_instant("2017-01-01T00:00:00.123456Z").unwrap());
        assert_eq!(contacts.lookup("zoom", &["a", "a\0", ""]).await.unwrap(), [stored]);
        assert_eq!(contacts.get("zo\0om", "a").await.unwrap(), None);
        for out_of_range in ["0000-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"] {
            odd.started_at = parse_instant(out_of_range).unwrap();
            let error = contacts.merge(&odd).await.unwrap_err();
            assert!(matches!(error, ContactsError::NotAContact { .. }), "{error:?}");
        }
    }

    #[tokio::test]
    async fn folder_and_file_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/contacts.db");
        SqlContacts::sqlite(&path).await.unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    }

    #[tokio::test]
    async fn openers_of_a_new_file_do_not_trip_over_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contacts.db");
        let opened = futures_util::future::join_all((0..8).map(|_| SqlContacts::sqlite(&path))).await;
        for contacts in opened {
            contacts.unwrap().check().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_told_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contacts.db");
        std::fs::write(&path, "this is a text of more than a hundred bytes ".repeat(4)).unwrap();
        let error = SqlContacts::sqlite(&path).await.unwrap_err();
        assert!(matches!(&error, ContactsError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()));
        let error = SqlContacts::sqlite(folder.path()).await.unwrap_err();
        assert!(matches!(error, ContactsError::Unwritable { .. }), "{error:?}");
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for bad in ["", "x", "MTIz", "////", "eCB5"] {
            assert!(matches!(read_cursor(bad), Err(ContactsError::NotACursor)), "{bad}");
        }
    }
}
