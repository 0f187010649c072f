//! Zoom's JSON, read leniently.
//!
//! Every field takes null, absence, an empty text and a value of another type as "not said"; unknown fields are
//! skipped, unknown kinds survive as text. The one thing that a meeting needs is a UUID: an entry without one cannot
//! be compared with anything, and is reported instead of dropped.

mod instances;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

pub use instances::Instance;
pub(super) use instances::read_instances;

use crate::meeting::{ArchiveFile, ArchiveState, FileState, Meeting, MeetingKind, MeetingUuid};

/// Any JSON value, kept only if it is a scalar.
#[derive(Debug, Default, PartialEq)]
enum Scalar {
    #[default]
    Nothing,
    Text(String),
    Number(i64),
    Flag(bool),
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(if text.is_empty() { Scalar::Nothing } else { Scalar::Text(text.to_owned()) })
            }
            fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar::Number(number))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
                Ok(i64::try_from(number).map_or(Scalar::Nothing, Scalar::Number))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
                // A whole number that was sent as 12.0; 2^53 is where f64 stops being exact.
                #[allow(clippy::cast_possible_truncation, reason = "checked to be whole and exact")]
                let whole = (number.fract() == 0.0 && number.abs() < 9.0e15).then_some(number as i64);
                Ok(whole.map_or(Scalar::Nothing, Scalar::Number))
            }
            fn visit_bool<E>(self, flag: bool) -> Result<Scalar, E> {
                Ok(Scalar::Flag(flag))
            }
            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar::Nothing)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Nothing)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Nothing)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl Scalar {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(number) => Some(number.to_string()),
            Self::Nothing | Self::Flag(_) => None,
        }
    }

    fn number(self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Nothing | Self::Flag(_) => None,
        }
    }

    fn count(self) -> Option<u64> {
        self.number().and_then(|number| u64::try_from(number).ok())
    }

    fn flag(self) -> bool {
        match self {
            Self::Flag(flag) => flag,
            Self::Number(number) => number != 0,
            Self::Text(text) => text.eq_ignore_ascii_case("true"),
            Self::Nothing => false,
        }
    }

    fn instant(self) -> Option<DateTime<Utc>> {
        let text = self.text()?;
        crate::period::parse_instant(text.trim()).ok()
    }
}

/// A list whose absence, null or other type is an empty list.
struct List<T>(Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list, or anything in its place")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<List<T>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(List::default())
            }
            fn visit_str<E>(self, _: &str) -> Result<List<T>, E> {
                Ok(List::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<List<T>, E> {
                Ok(List::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<List<T>, E> {
                Ok(List::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<List<T>, E> {
                Ok(List::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<List<T>, E> {
                Ok(List::default())
            }
            fn visit_unit<E>(self) -> Result<List<T>, E> {
                Ok(List::default())
            }
        }
        deserializer.deserialize_any(Items(std::marker::PhantomData))
    }
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct WirePage {
    from: Scalar,
    to: Scalar,
    total_records: Scalar,
    next_page_token: Scalar,
    meetings: List<WireMeeting>,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct WireMeeting {
    uuid: Scalar,
    id: Scalar,
    host_id: Scalar,
    group_id: Scalar,
    topic: Scalar,
    #[serde(rename = "type")]
    kind: Scalar,
    meeting_type: Scalar,
    start_time: Scalar,
    duration: Scalar,
    duration_in_second: Scalar,
    complete_time: Scalar,
    status: Scalar,
    is_breakout_room: Scalar,
    parent_meeting_id: Scalar,
    recording_count: Scalar,
    archive_files: List<WireFile>,
    physical_files: List<WireAttachment>,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct WireFile {
    id: Scalar,
    file_type: Scalar,
    file_extension: Scalar,
    file_size: Scalar,
    download_url: Scalar,
    status: Scalar,
    encryption_fingerprint: Scalar,
    number_of_messages: Scalar,
    participant_email: Scalar,
}

/// A file shared in the chat: no status, no type, no fingerprint.
#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct WireAttachment {
    file_id: Scalar,
    file_name: Scalar,
    file_size: Scalar,
    download_url: Scalar,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct WireStatistics {
    total_records: Scalar,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
pub(super) struct WireError {
    code: Scalar,
    message: Scalar,
}

impl WireError {
    pub(super) fn read(body: &[u8]) -> (Option<i64>, String) {
        let error: Self = serde_json::from_slice(body).unwrap_or_default();
        let mut message = error.message.text().unwrap_or_default();
        if let Some((cut, _)) = message.char_indices().nth(300) {
            message.truncate(cut);
        }
        (error.code.number(), message)
    }
}

/// One page of a listing.
#[derive(Debug, Clone)]
pub struct Page {
    /// The bounds as Zoom understood them.
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    /// Zoom's own count; of the page or of the whole is worded loosely.
    pub total_records: Option<u64>,
    pub next_page_token: Option<String>,
    pub meetings: Vec<Meeting>,
    /// Entries that name no meeting: what was wrong with each.
    pub unreadable: Vec<String>,
}

impl Page {
    /// Reads an answer of the listing, as it came or as it was kept.
    pub fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        read_page(body)
    }
}

pub(super) fn read_page(body: &[u8]) -> Result<Page, serde_json::Error> {
    let page: WirePage = serde_json::from_slice(body)?;
    let mut meetings = Vec::with_capacity(page.meetings.0.len());
    let mut unreadable = Vec::new();
    for entry in page.meetings.0 {
        match into_meeting(entry, serde_json::Value::Null) {
            Ok(meeting) => meetings.push(meeting),
            Err(why) => unreadable.push(why),
        }
    }
    Ok(Page {
        from: page.from.instant(),
        to: page.to.instant(),
        total_records: page.total_records.count(),
        next_page_token: page.next_page_token.text(),
        meetings,
        unreadable,
    })
}

/// One meeting with its raw object, download addresses withheld.
pub(super) fn read_meeting(body: &[u8]) -> Result<Meeting, String> {
    let mut raw: serde_json::Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let entry: WireMeeting = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    withhold_addresses(&mut raw);
    into_meeting(entry, raw)
}

pub(super) fn read_total(body: &[u8]) -> Result<Option<u64>, serde_json::Error> {
    Ok(serde_json::from_slice::<WireStatistics>(body)?.total_records.count())
}

/// Addresses are short-lived, may carry signatures and say nothing of the meeting: evidence does without them.
fn withhold_addresses(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                if key == "download_url" && inner.is_string() {
                    *inner = serde_json::Value::String("withheld".to_owned());
                } else {
                    withhold_addresses(inner);
                }
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(withhold_addresses),
        _ => {}
    }
}

fn into_meeting(wire: WireMeeting, raw: serde_json::Value) -> Result<Meeting, String> {
    let uuid = wire.uuid.text().ok_or("an entry without a uuid")?;
    let uuid = MeetingUuid::parse(&uuid).map_err(|error| error.to_string())?;
    let breakout = wire.is_breakout_room.flag();
    let duration_minutes = wire.duration.count();
    let duration = wire.duration_in_second.count().or(duration_minutes.map(|minutes| minutes * 60));
    let files = wire.archive_files.0.into_iter().filter_map(into_file);
    let attachments = wire.physical_files.0.into_iter().filter_map(into_attachment);
    Ok(Meeting {
        uuid,
        number: wire.id.number(),
        host_id: wire.host_id.text(),
        group_id: wire.group_id.text(),
        topic: wire.topic.text(),
        kind: MeetingKind::from_code(wire.kind.number(), breakout),
        external: wire.meeting_type.text().as_deref() == Some("external"),
        started_at: wire.start_time.instant(),
        duration_seconds: duration,
        archived_at: wire.complete_time.instant(),
        archive: match wire.status.text().as_deref() {
            Some("completed") => ArchiveState::Completed,
            Some("processing") => ArchiveState::Processing,
            _ => ArchiveState::Unknown,
        },
        parent: wire.parent_meeting_id.text().and_then(|parent| MeetingUuid::parse(&parent).ok()),
        files: files.chain(attachments).collect(),
        recording_count: wire.recording_count.count(),
        raw,
    })
}

/// A file without an id cannot be told from its neighbours; Zoom documents the id as required.
fn into_file(wire: WireFile) -> Option<ArchiveFile> {
    let state = match wire.status.text().as_deref() {
        Some("completed") => FileState::Completed,
        Some("processing") => FileState::Processing,
        Some("failed") => FileState::Failed,
        _ => FileState::Unknown,
    };
    Some(ArchiveFile {
        id: wire.id.text()?,
        file_type: wire.file_type.text().unwrap_or_default(),
        extension: wire.file_extension.text().unwrap_or_default().to_ascii_lowercase(),
        size: wire.file_size.count(),
        state,
        download_url: wire.download_url.text(),
        fingerprint: wire.encryption_fingerprint.text(),
        number_of_messages: wire.number_of_messages.count(),
        participant_email: wire.participant_email.text(),
    })
}

fn into_attachment(wire: WireAttachment) -> Option<ArchiveFile> {
    let name = wire.file_name.text().unwrap_or_default();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    Some(ArchiveFile {
        id: wire.file_id.text()?,
        file_type: "ATTACHMENT".to_owned(),
        extension: extension.unwrap_or_default(),
        size: wire.file_size.count(),
        state: FileState::Unknown,
        download_url: wire.download_url.text(),
        fingerprint: None,
        number_of_messages: None,
        participant_email: None,
    })
}
