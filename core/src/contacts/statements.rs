//! The statements of the contact database and what their rows mean.
//!
//! Plain SQL, as text with its values: nothing here knows which database will run it. A contact and its files are
//! read by one statement, so they belong together whatever is written meanwhile.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use sqlx::database::HasStatementCache;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Database, Encode, FromRow, Type};

use crate::contact::{Contact, Media, MediaState};
use crate::meeting::FileKind;

type Result<T> = std::result::Result<T, sqlx::Error>;

const COLUMNS: &str = "SELECT c.source, c.source_id, c.started_at, c.ended_at, c.topic, c.host, c.participants, \
     c.run_id, c.buffer_path, m.file_id, m.file_type, m.kind, m.size, m.sha256, m.state FROM ";

const WITH_MEDIA: &str = " c LEFT JOIN media m ON m.source = c.source AND m.source_id = c.source_id ";

/// Rows of one statement, at most: of nine values each, it is far from as many as either database takes.
const ROWS: usize = 500;

/// A statement and the values of its placeholders, `$1` first.
#[derive(Debug, Clone, Default)]
pub(super) struct Statement {
    text: String,
    values: Vec<Value>,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
}

/// Where a page begins: after this contact.
pub(super) struct After {
    pub(super) started_at: DateTime<Utc>,
    pub(super) source_id: String,
}

impl Statement {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Writes the placeholder of a value.
    pub(super) fn push_value(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        let _ = write!(self.text, "${}", self.values.len());
        self
    }

    /// Writes one row of what is to be inserted.
    fn push_row<const N: usize>(&mut self, row: usize, values: [Value; N]) {
        self.push(if row == 0 { "(" } else { ", (" });
        for (at, value) in values.into_iter().enumerate() {
            self.push(if at == 0 { "" } else { ", " }).push_value(value);
        }
        self.push(")");
    }

    /// The question how this would be done.
    #[cfg(test)]
    pub(super) fn explained(self, how: &str) -> Self {
        Self { text: format!("{how} {}", self.text), values: self.values }
    }

    /// As a query of the database at hand. Never kept prepared: look-ups differ by the number of their ids, and a
    /// pooler in front of PostgreSQL may give each transaction another connection.
    pub(super) fn query<DB>(self) -> Query<'static, DB, DB::Arguments>
    where
        DB: Database + HasStatementCache,
        Option<String>: for<'q> Encode<'q, DB> + Type<DB>,
        Option<i64>: for<'q> Encode<'q, DB> + Type<DB>,
    {
        // All text is from here and from the migrations; what comes from outside is a value.
        let query = sqlx::query(AssertSqlSafe(self.text)).persistent(false);
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        })
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

pub(super) fn lookup(source: &str, source_ids: &[&str]) -> Statement {
    let mut lookup = Statement::new(COLUMNS);
    lookup.push("contacts").push(WITH_MEDIA).push("WHERE c.source = ").push_value(source);
    lookup.push(" AND c.source_id IN (");
    for (at, id) in source_ids.iter().enumerate() {
        lookup.push(if at == 0 { "" } else { ", " }).push_value(*id);
    }
    lookup.push(") ORDER BY c.source_id, m.position");
    lookup
}

/// Contacts with `from <= started_at < to`.
pub(super) fn page(
    source: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    after: Option<&After>,
    limit: i64,
) -> Statement {
    let mut page = Statement::new(COLUMNS);
    page.push("(SELECT * FROM contacts WHERE source = ").push_value(source);
    page.push(" AND started_at < ").push_value(to.timestamp_micros());
    match after {
        None => page.push(" AND started_at >= ").push_value(from.timestamp_micros()),
        Some(After { started_at, source_id }) => page
            .push(" AND (started_at, source_id) > (")
            .push_value(started_at.timestamp_micros())
            .push(", ")
            .push_value(source_id.as_str())
            .push(")"),
    };
    page.push(" ORDER BY started_at, source_id LIMIT ").push_value(limit).push(")");
    page.push(WITH_MEDIA).push("ORDER BY c.started_at, c.source_id, m.position");
    page
}

/// Writes the whole contacts, each of them once, over what is there, and then their files.
pub(super) fn put(contacts: &[&Contact]) -> Result<Vec<Statement>> {
    let mut statements = Vec::new();
    for contacts in contacts.chunks(ROWS) {
        statements.push(put_contacts(contacts)?);
    }
    let files = contacts.iter().flat_map(|contact| {
        (0i64..).zip(&contact.media).map(|(position, media)| File { contact, position, media })
    });
    let files: Vec<File<'_>> = files.collect();
    statements.extend(files.chunks(ROWS).map(put_files));
    Ok(statements)
}

fn put_contacts(contacts: &[&Contact]) -> Result<Statement> {
    let mut put = Statement::new(
        "INSERT INTO contacts (source, source_id, started_at, ended_at, topic, host, participants, run_id, buffer_path) \
         VALUES ",
    );
    for (row, contact) in contacts.iter().enumerate() {
        let participants = serde_json::to_string(&contact.participants)
            .map_err(|error| sqlx::Error::Encode(error.into()))?;
        put.push_row(
            row,
            [
                contact.source.as_str().into(),
                contact.source_id.as_str().into(),
                contact.started_at.timestamp_micros().into(),
                contact.ended_at.map(|at| at.timestamp_micros()).into(),
                contact.topic.as_deref().into(),
                contact.host.as_deref().into(),
                participants.as_str().into(),
                contact.run_id.as_deref().into(),
                contact.buffer_path.as_deref().into(),
            ],
        );
    }
    put.push(
        " ON CONFLICT (source, source_id) DO UPDATE SET
             started_at = excluded.started_at, ended_at = excluded.ended_at, topic = excluded.topic,
             host = excluded.host, participants = excluded.participants, run_id = excluded.run_id,
             buffer_path = excluded.buffer_path",
    );
    Ok(put)
}

/// A file of a contact, and its place among that contact's files.
struct File<'a> {
    contact: &'a Contact,
    position: i64,
    media: &'a Media,
}

fn put_files(files: &[File<'_>]) -> Statement {
    let mut put = Statement::new(
        "INSERT INTO media (source, source_id, file_id, position, file_type, kind, size, sha256, state) VALUES ",
    );
    for (row, File { contact, position, media }) in files.iter().enumerate() {
        put.push_row(
            row,
            [
                contact.source.as_str().into(),
                contact.source_id.as_str().into(),
                media.file_id.as_str().into(),
                (*position).into(),
                media.file_type.as_deref().into(),
                media.kind.map(FileKind::as_str).into(),
                media.size.and_then(|size| i64::try_from(size).ok()).into(),
                media.sha256.as_deref().into(),
                state_name(media.state).into(),
            ],
        );
    }
    put.push(
        " ON CONFLICT (source, source_id, file_id) DO UPDATE SET
             position = excluded.position, file_type = excluded.file_type, kind = excluded.kind,
             size = excluded.size, sha256 = excluded.sha256, state = excluded.state",
    );
    put
}

/// A contact beside one of its files, or beside none.
#[derive(Debug, FromRow)]
pub(super) struct Line {
    source: String,
    source_id: String,
    started_at: i64,
    ended_at: Option<i64>,
    topic: Option<String>,
    host: Option<String>,
    participants: String,
    run_id: Option<String>,
    buffer_path: Option<String>,
    file_id: Option<String>,
    file_type: Option<String>,
    kind: Option<String>,
    size: Option<i64>,
    sha256: Option<String>,
    state: Option<String>,
}

/// The contacts of the lines of a look-up or a page; a contact's lines follow each other.
pub(super) fn contacts(lines: Vec<Line>) -> Result<Vec<Contact>> {
    let mut contacts: Vec<Contact> = Vec::new();
    for mut line in lines {
        let media = line.media();
        if contacts.last().is_none_or(|last| last.source_id != line.source_id) {
            contacts.push(line.contact()?);
        }
        if let (Some(contact), Some(media)) = (contacts.last_mut(), media) {
            contact.media.push(media);
        }
    }
    Ok(contacts)
}

impl Line {
    fn media(&mut self) -> Option<Media> {
        Some(Media {
            file_id: self.file_id.take()?,
            file_type: self.file_type.take(),
            kind: self.kind.as_deref().and_then(kind_of),
            size: self.size.and_then(|size| size.try_into().ok()),
            sha256: self.sha256.take(),
            state: self.state.as_deref().map_or(MediaState::Unknown, state_of),
        })
    }

    fn contact(self) -> Result<Contact> {
        Ok(Contact {
            source: self.source,
            source_id: self.source_id,
            started_at: instant(self.started_at)?,
            ended_at: self.ended_at.map(instant).transpose()?,
            topic: self.topic,
            host: self.host,
            participants: serde_json::from_str(&self.participants)
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
            run_id: self.run_id,
            buffer_path: self.buffer_path,
            media: Vec::new(),
        })
    }
}

fn instant(micros: i64) -> Result<DateTime<Utc>> {
    let out_of_range = || sqlx::Error::Decode(format!("{micros} is no instant in microseconds").into());
    DateTime::from_timestamp_micros(micros).ok_or_else(out_of_range)
}

/// What is not known by name survives as "unknown", here and on the wire.
pub(super) fn kind_of(name: &str) -> Option<FileKind> {
    [FileKind::Audio, FileKind::Video, FileKind::Text].into_iter().find(|kind| kind.as_str() == name)
}

pub(super) fn state_of(name: &str) -> MediaState {
    match name {
        "available" => MediaState::Available,
        "unavailable" => MediaState::Unavailable,
        _ => MediaState::Unknown,
    }
}

fn state_name(state: MediaState) -> &'static str {
    match state {
        MediaState::Available => "available",
        MediaState::Unavailable => "unavailable",
        MediaState::Unknown => "unknown",
    }
}
