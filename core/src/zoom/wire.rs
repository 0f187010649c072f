//! Zoom's JSON, read leniently.
//!
//! Every field takes null, absence, an empty text and a value of another type as "not said"; unknown fields are
//! skipped, unknown kinds survive as text. What an answer cannot do without:
//!
//! * A listing has its list of meetings, and an archive its list of files unless it says that it has none: an error
//!   object with status 200, or `{}`, is no proof that there is nothing.
//! * A meeting has a UUID: an entry without one cannot be compared with anything, and is reported instead of dropped.
//! * A file has an id. Entries without one, and files that Zoom counts and does not list, are counted
//!   ([`Meeting::unnamed_files`]): a meeting that has any is never called complete.

mod instances;
mod lenient;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

pub use instances::Instance;
pub(super) use instances::read_instances;
use lenient::{List, Scalar};

use crate::meeting::{ArchiveFile, ArchiveState, FileState, Meeting, MeetingKind, MeetingUuid};

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
    pub fn read(body: &[u8]) -> Result<Self, String> {
        read_page(body)
    }
}

pub(super) fn read_page(body: &[u8]) -> Result<Page, String> {
    let page: WirePage = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if !page.meetings.is_there {
        return Err("it has no list of meetings".to_owned());
    }
    let mut meetings = Vec::with_capacity(page.meetings.items.len());
    let mut unreadable = Vec::new();
    for entry in page.meetings.items {
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
    withhold_secrets(&mut raw);
    // In a listing such an entry is compared by its UUID alone; here its files are what was asked for.
    if !entry.archive_files.is_there && entry.uuid != Scalar::Nothing && entry.recording_count.is_not_zero() {
        return Err("it has no list of files".to_owned());
    }
    into_meeting(entry, raw)
}

pub(super) fn read_total(body: &[u8]) -> Result<Option<u64>, serde_json::Error> {
    Ok(serde_json::from_slice::<WireStatistics>(body)?.total_records.count())
}

/// Addresses are short-lived, may carry signatures and say nothing of the meeting; tokens open what they stand for:
/// evidence does without them.
fn withhold_secrets(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                if is_secret_key(key) && inner.is_string() {
                    *inner = serde_json::Value::String("withheld".to_owned());
                } else {
                    withhold_secrets(inner);
                }
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(withhold_secrets),
        _ => {}
    }
}

/// Whether what stands under a key of Zoom's answers may open something: `download_url`, `download_access_token`,
/// `next_page_token` and their like.
fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.ends_with("token") || key.ends_with("_url")
}

fn into_meeting(wire: WireMeeting, raw: serde_json::Value) -> Result<Meeting, String> {
    let uuid = wire.uuid.text().ok_or("an entry without a uuid")?;
    let uuid = MeetingUuid::parse(&uuid).map_err(|error| error.to_string())?;
    let breakout = wire.is_breakout_room.flag();
    let duration_minutes = wire.duration.count();
    let duration =
        wire.duration_in_second.count().or(duration_minutes.and_then(|minutes| minutes.checked_mul(60)));
    let recording_count = wire.recording_count.count();
    let (entries, attachments) = (wire.archive_files.items, wire.physical_files.items);
    let (listed, shared) = (entries.len() as u64, attachments.len() as u64);
    // Whether files shared in the chat are counted is not documented.
    let unlisted = recording_count
        .filter(|count| *count != listed + shared)
        .map_or(0, |count| count.saturating_sub(listed));
    let files: Vec<ArchiveFile> = entries
        .into_iter()
        .filter_map(into_file)
        .chain(attachments.into_iter().filter_map(into_attachment))
        .collect();
    let unnamed_files = listed + shared - files.len() as u64 + unlisted;
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
        files,
        recording_count,
        unnamed_files,
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
        extension: wire
            .file_extension
            .text()
            .unwrap_or_default()
            .trim_start_matches('.')
            .to_ascii_lowercase(),
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
