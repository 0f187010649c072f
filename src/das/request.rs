//! What a request may hold: each value is checked where it is read, so that nothing else reaches the database.

use chrono::{DateTime, Utc};
use recapture_core::contact::{Contact, Media, MediaState};
use recapture_core::contacts::{LARGEST_BATCH, LONGEST_ID};
use recapture_core::meeting::FileKind;
use recapture_core::period::parse_instant;
use serde::Deserialize;

const LONGEST_SOURCE: usize = 64;

/// The name of a kind of meetings: `zoom`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Source(pub(super) String);

impl TryFrom<String> for Source {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_mark = |byte: u8| matches!(byte, b'.' | b'_' | b'-');
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = text.len() <= LONGEST_SOURCE
            && text.bytes().next().is_some_and(is_plain)
            && text.bytes().all(|byte| is_plain(byte) || is_mark(byte));
        if fits {
            return Ok(Self(text));
        }
        Err(format!(
            "a source is 1 to {LONGEST_SOURCE} of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit"
        ))
    }
}

/// A source_id or a file_id.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Id(pub(super) String);

impl TryFrom<String> for Id {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // "." and ".." do not survive their way in a path, encoded or not.
        let fits = !matches!(text.as_str(), "" | "." | "..")
            && !text.contains('\0')
            && text.chars().count() <= LONGEST_ID;
        if fits {
            return Ok(Self(text));
        }
        Err(format!("an id is 1 to {LONGEST_ID} characters, none of them NUL, and neither '.' nor '..'"))
    }
}

/// An instant by RFC 3339.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Instant(DateTime<Utc>);

impl TryFrom<String> for Instant {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let at = DateTime::parse_from_rfc3339(&text);
        at.map(|at| Self(at.to_utc())).map_err(|_| "an instant is written 2026-10-01T08:00:04Z".to_owned())
    }
}

/// The end of a period: an instant, or a date for its midnight (UTC).
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Bound(pub(super) DateTime<Utc>);

impl TryFrom<String> for Bound {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_instant(&text).map(Self).map_err(|error| error.to_string())
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
pub(super) struct Limit(pub(super) u32);

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<u32> for Limit {
    type Error = String;

    fn try_from(limit: u32) -> Result<Self, String> {
        let fits = usize::try_from(limit).is_ok_and(|limit| (1..=LARGEST_BATCH).contains(&limit));
        if fits { Ok(Self(limit)) } else { Err(format!("limit is 1 to {LARGEST_BATCH}")) }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct PageQuery {
    pub(super) source: Source,
    pub(super) from: Bound,
    pub(super) to: Bound,
    #[serde(default)]
    pub(super) limit: Limit,
    pub(super) cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Lookup {
    pub(super) source: Source,
    pub(super) source_ids: Ids,
}

/// At most as many as one look-up takes.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<Id>")]
pub(super) struct Ids(pub(super) Vec<Id>);

impl TryFrom<Vec<Id>> for Ids {
    type Error = String;

    fn try_from(ids: Vec<Id>) -> Result<Self, String> {
        if ids.len() <= LARGEST_BATCH {
            return Ok(Self(ids));
        }
        Err(format!("{} source_ids are given; at most {LARGEST_BATCH} are looked up at once", ids.len()))
    }
}

/// A contact as a client sends it. A field that is null counts as absent, one that we do not know is passed over.
#[derive(Debug, Deserialize)]
pub(super) struct SentContact {
    pub(super) source: Source,
    pub(super) source_id: Id,
    started_at: Instant,
    ended_at: Option<Instant>,
    topic: Option<String>,
    host: Option<String>,
    participants: Option<Vec<String>>,
    run_id: Option<String>,
    buffer_path: Option<String>,
    media: Option<Vec<SentMedia>>,
}

#[derive(Debug, Deserialize)]
struct SentMedia {
    file_id: Id,
    file_type: Option<String>,
    kind: Option<FileKind>,
    size: Option<Size>,
    sha256: Option<String>,
    state: Option<SentState>,
}

/// Bytes. JSON has one kind of number, and 1659.0 is as whole as 1659.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "serde_json::Number")]
struct Size(u64);

impl TryFrom<serde_json::Number> for Size {
    type Error = String;

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole and within the range"
    )]
    fn try_from(number: serde_json::Number) -> Result<Self, String> {
        let is_whole = |number: &f64| number.fract() == 0.0 && (0.0..9e18).contains(number);
        let whole = number.as_u64().or_else(|| number.as_f64().filter(is_whole).map(|number| number as u64));
        whole.map(Self).ok_or_else(|| "a size is a whole number from 0 on".to_owned())
    }
}

/// A misspelt state would be a file that nobody recovers.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SentState {
    Available,
    Unavailable,
    Unknown,
}

impl From<SentContact> for Contact {
    fn from(sent: SentContact) -> Self {
        Self {
            source: sent.source.0,
            source_id: sent.source_id.0,
            started_at: sent.started_at.0,
            ended_at: sent.ended_at.map(|at| at.0),
            topic: sent.topic,
            host: sent.host,
            participants: sent.participants.unwrap_or_default(),
            run_id: sent.run_id,
            buffer_path: sent.buffer_path,
            media: sent.media.into_iter().flatten().map(Media::from).collect(),
        }
    }
}

impl From<SentMedia> for Media {
    fn from(sent: SentMedia) -> Self {
        Self {
            file_id: sent.file_id.0,
            file_type: sent.file_type,
            kind: sent.kind,
            size: sent.size.map(|size| size.0),
            sha256: sent.sha256,
            state: match sent.state {
                None | Some(SentState::Available) => MediaState::Available,
                Some(SentState::Unavailable) => MediaState::Unavailable,
                Some(SentState::Unknown) => MediaState::Unknown,
            },
        }
    }
}
