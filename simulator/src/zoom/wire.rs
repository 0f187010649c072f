//! The meeting object of lists and of metadata: field by field as Zoom documents it.
//!
//! Documented: the fields, and that `id`, `host_id` and `topic` are removed for external meetings. Reported:
//! a file that is still processing has size 0 and no URL.

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

use crate::catalogue::{Archive, Attachment, Fate, File, Form, Kind, Meeting, Seconds};
use crate::chance::mix;
use crate::state::Shared;

pub(crate) fn rfc3339(seconds: Seconds) -> String {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The user groups that archives are made for.
const GROUPS: [&str; 3] = ["grpTrading4RzEQ1xIpwiDZ", "grpSales5Jw0hRt8KqLmNv", "grpOffice6Xb2YcTg9PzKu"];

#[derive(Serialize)]
pub(super) struct MeetingWire<'a> {
    account_name: &'static str,
    uuid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    meeting_type: &'static str,
    #[serde(rename = "type")]
    type_code: u8,
    start_time: String,
    timezone: &'static str,
    duration: i64,
    duration_in_second: i64,
    complete_time: String,
    status: &'static str,
    is_breakout_room: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_meeting_id: Option<String>,
    recording_count: usize,
    total_size: u64,
    archive_files: Vec<FileWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_files: Option<[AttachmentWire; 1]>,
}

#[derive(Serialize)]
struct FileWire<'a> {
    id: String,
    file_type: &'a str,
    file_extension: &'static str,
    file_size: u64,
    download_url: String,
    status: &'static str,
    recording_type: &'static str,
    individual: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    participant_email: Option<String>,
    participant_join_time: String,
    participant_leave_time: String,
    encryption_fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    number_of_messages: Option<u64>,
}

#[derive(Serialize)]
struct AttachmentWire {
    file_id: String,
    file_name: &'static str,
    file_size: u64,
    download_url: String,
}

impl<'a> MeetingWire<'a> {
    pub(super) fn new(shared: &'a Shared, index: u32) -> Self {
        let catalogue = &shared.catalogue;
        let meeting = catalogue.meeting(index);
        let complete = shared.progress.complete(catalogue, index);
        let external = meeting.kind == Kind::External;
        let seconds = meeting.end - meeting.start;
        let files = catalogue.files(index);
        let is_done = |file: &File| complete.is_some() || is_done_early(&files, file);
        let archive_files: Vec<_> =
            files.iter().map(|file| FileWire::new(shared, &meeting, file, is_done(file))).collect();
        Self {
            account_name: "Nordwind Kapital AG",
            id: meeting.number,
            host_id: (!external).then(|| host_id(&meeting.host)),
            group_id: (!external).then(|| GROUPS[index as usize % GROUPS.len()]),
            meeting_type: if external { "external" } else { "internal" },
            type_code: meeting.type_code,
            start_time: rfc3339(meeting.start),
            timezone: ["Europe/Berlin", "America/New_York", "Asia/Tokyo", ""][index as usize % 4],
            duration: seconds.div_euclid(60) + 1,
            duration_in_second: seconds,
            complete_time: complete.map(rfc3339).unwrap_or_default(),
            status: if complete.is_some() { "completed" } else { "processing" },
            is_breakout_room: matches!(meeting.kind, Kind::Breakout { .. }),
            parent_meeting_id: match meeting.kind {
                Kind::Breakout { parent } => Some(catalogue.uuid(parent)),
                _ => None,
            },
            recording_count: archive_files.len(),
            total_size: if complete.is_some() {
                archive_files.iter().map(|file| file.file_size).sum()
            } else {
                0
            },
            physical_files: catalogue
                .attachment(index)
                .map(|attachment| [AttachmentWire::new(shared, &attachment)]),
            archive_files,
            topic: (!external).then_some(meeting.topic),
            uuid: meeting.uuid,
        }
    }
}

impl<'a> FileWire<'a> {
    fn new(shared: &'a Shared, meeting: &Meeting, file: &File, done: bool) -> Self {
        let individual = shared.catalogue.scenario.files[usize::from(file.key.ordinal)].individual;
        let status = match (file.fate, done) {
            (Fate::Failed, _) => "failed",
            (_, false) => "processing",
            (_, true) => "completed",
        };
        let there = status == "completed";
        Self {
            id: shared.catalogue.file_id(file.key),
            file_type: shared.catalogue.file_type(file),
            file_extension: file.form.extension(),
            file_size: if there { file.size } else { 0 },
            download_url: if there { shared.download_url(file) } else { String::new() },
            status,
            recording_type: recording_type(file.form, shared.catalogue.file_type(file)),
            individual,
            participant_email: individual.then(|| format!("participant{}@example.com", file.key.ordinal)),
            participant_join_time: rfc3339(meeting.start + 5),
            participant_leave_time: rfc3339(meeting.end),
            encryption_fingerprint: if there {
                shared.bodies.fingerprint(&shared.catalogue, file)
            } else {
                String::new()
            },
            number_of_messages: shared.bodies.messages(file).filter(|_| there),
        }
    }
}

impl AttachmentWire {
    fn new(shared: &Shared, attachment: &Attachment) -> Self {
        Self {
            file_id: shared.catalogue.file_id(attachment.file.key),
            file_name: attachment.name,
            file_size: attachment.file.size,
            download_url: shared.download_url(&attachment.file),
        }
    }
}

/// Of an archive in the making the last file is done already and the others are not.
fn is_done_early(files: &[File], file: &File) -> bool {
    files.len() > 1 && files.last().is_some_and(|last| last.key == file.key)
}

fn recording_type(form: Form, file_type: &str) -> &'static str {
    match form {
        Form::Mp4 => "shared_screen_with_speaker_view",
        Form::M4a => "audio_only",
        Form::ChatText => "chat_file",
        Form::Vtt => "closed_caption",
        _ if file_type == "TRANSCRIPT" => "audio_transcript",
        _ if file_type.starts_with("AIC") => "aic_conversation",
        _ => "chat_message",
    }
}

/// The 22 characters of a user's id.
fn host_id(host: &str) -> String {
    use base64::Engine as _;
    let name = crate::chance::digest(7, host);
    let bytes = [name.to_be_bytes(), mix(name).to_be_bytes()].concat();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

impl Shared {
    /// Whether the file can be fetched now.
    pub(crate) fn is_there(&self, file: &File) -> bool {
        let meeting = file.key.meeting;
        let processing = self.catalogue.archive(meeting) == Archive::Processing
            && self.progress.complete(&self.catalogue, meeting).is_none();
        file.fate == Fate::Available && (!processing || is_done_early(&self.catalogue.files(meeting), file))
    }

    /// The opaque link carries the file, its edition and a signature; whoever reads the meeting gets a good
    /// one.
    fn download_url(&self, file: &File) -> String {
        let id = self.catalogue.file_id(file.key);
        let edition = self.links.mint(file.key);
        let signature = self.sign(&format!("{id} {edition}"));
        let origin = self.catalogue.scenario.downloads.origin.as_deref().unwrap_or(&self.zoom_origin);
        let folder = if file.form == Form::Png { "attached/download" } else { "download" };
        format!("{origin}/rec/archive/{folder}/{id}.{edition}.{signature}")
    }
}
