//! Ingesting a meeting: its metadata into the buffer, and what of its files is there already.
//!
//! A file counts as there if the manifest names it as available and it has the recorded size, or if it stands under
//! its final name without being named: then an earlier try died between the rename and the manifest. Only verified
//! files get a final name, so such a file is read, hashed and adopted, not fetched again, with whatever size it has: one
//! that differs from the listing was accepted when it arrived.
//!
//! Files that Zoom lists without an id, or counts and does not list, are named in the manifest as unavailable: they are
//! not recovered, and a meeting that has any is not complete.

use chrono::{DateTime, Utc};
use recapture_core::buffer::{
    FileRecord, FileRecordState, FingerprintMatch, Manifest, ManifestState, ManifestVersion, MeetingFolder,
    WrittenBy, file_name,
};
use recapture_core::contact::{Contact, SOURCE};
use recapture_core::meeting::{ArchiveFile, ArchiveState, FileState, Meeting};
use recapture_core::queue::Wanted;
use recapture_core::reason::Reason;

use super::acceptance::{self, Wrong};
use crate::error::StepError;
use crate::ports::Ports;
use crate::recover_meeting::Assignment;

/// What stands in place of an id in the record of a file that has none.
const UNNAMED: &str = "unnamed-";

/// A count may be any number; more records than this tell no more.
const MOST_UNNAMED: u64 = 1000;

/// A meeting in the buffer, and what is left to do for it.
pub struct Ingested {
    pub folder: MeetingFolder,
    pub manifest: Manifest,
    /// The manifest that stands there: what comes next replaces this one and no other.
    pub version: ManifestVersion,
    /// Files that Zoom has and the buffer lacks.
    pub lacking: Vec<ArchiveFile>,
    /// Zoom is still making the archive, or some of the wanted files.
    pub processing: bool,
}

pub async fn ingest(ports: &Ports, job: &Assignment<'_>, meeting: &Meeting) -> Result<Ingested, StepError> {
    let folder = MeetingFolder::new(&job.payload.uuid, started_at(job.payload.started_at, meeting));
    let new = sorted(ports, job, meeting, &folder, (true, None)).await?;
    let first = manifest(ports, job, meeting, &folder, None, new.records.clone());
    job.still_held()?;
    // Nearly every meeting is new, and needs one step on the disk.
    if let Some(version) = ports.buffer.put_first_manifest(&folder, &first).await? {
        return Ok(Ingested {
            folder,
            manifest: first,
            version,
            lacking: new.lacking,
            processing: new.processing,
        });
    }
    let is_new = !ports.buffer.clear_parts(&folder).await?;
    let standing = if is_new { None } else { ports.buffer.manifest(&folder).await? };
    let mut version = standing.as_ref().map_or(ManifestVersion::NONE, |standing| standing.version.clone());
    let earlier = standing.map(|standing| standing.manifest);
    let sorted = sorted(ports, job, meeting, &folder, (is_new, earlier.as_ref())).await?;
    let manifest = manifest(ports, job, meeting, &folder, earlier.as_ref(), sorted.records);
    job.still_held()?;
    // Nothing changes for a meeting that is in already: its manifest is left as it is.
    if !sorted.lacking.is_empty() || sorted.processing || earlier.is_none() {
        (_, version) = ports.buffer.put_manifest(&folder, &manifest, &version).await?;
    }
    Ok(Ingested { folder, manifest, version, lacking: sorted.lacking, processing: sorted.processing })
}

/// What is to be done for each file that is wanted, of a meeting that is new to the buffer, or of which a manifest stands
/// there.
async fn sorted(
    ports: &Ports,
    job: &Assignment<'_>,
    meeting: &Meeting,
    folder: &MeetingFolder,
    (is_new, earlier): (bool, Option<&Manifest>),
) -> Result<Sorted, StepError> {
    let mut sorted = Sorted { processing: meeting.archive == ArchiveState::Processing, ..Sorted::default() };
    if let Some(earlier) = earlier {
        // What an earlier recovery stored and nobody asks for now stays named.
        let wanted = |id: &str| is_wanted(&job.payload.wanted, id) || id.starts_with(UNNAMED);
        sorted.records.extend(earlier.files.iter().filter(|record| !wanted(&record.file_id)).cloned());
    }
    for file in meeting.files.iter().filter(|file| is_wanted(&job.payload.wanted, &file.id)) {
        let record = if is_new { None } else { stored(ports, folder, earlier, file).await? };
        match record {
            Some(record) => sorted.records.push(record),
            None => sort(file, meeting, &mut sorted),
        }
    }
    note_vanished(&job.payload.wanted, meeting, &mut sorted.records);
    let unnamed = (1..=meeting.unnamed_files.min(MOST_UNNAMED)).map(|number| format!("{UNNAMED}{number}"));
    sorted.records.extend(unnamed.map(|id| unavailable(&known_by_id(id), Reason::ZoomUnreadable)));
    Ok(sorted)
}

/// As listed; where the listing did not say (of a meeting that was asked for by an id which Zoom did not know then),
/// as the metadata say.
fn started_at(listed: DateTime<Utc>, meeting: &Meeting) -> DateTime<Utc> {
    match meeting.started_at {
        Some(at) if listed == DateTime::UNIX_EPOCH => at,
        _ => listed,
    }
}

#[derive(Default)]
struct Sorted {
    records: Vec<FileRecord>,
    lacking: Vec<ArchiveFile>,
    processing: bool,
}

/// A file that the buffer lacks.
fn sort(file: &ArchiveFile, meeting: &Meeting, sorted: &mut Sorted) {
    match (file.state, &file.download_url) {
        (FileState::Processing, _) => sorted.processing = true,
        (FileState::Failed, _) => sorted.records.push(unavailable(file, Reason::ArchiveFailed)),
        (FileState::Completed | FileState::Unknown, Some(_)) => sorted.lacking.push(file.clone()),
        (FileState::Unknown, None) if meeting.archive == ArchiveState::Processing => {}
        (FileState::Completed | FileState::Unknown, None) => {
            sorted.records.push(unavailable(file, Reason::NoAddress));
        }
    }
}

/// The record of a file that is in the buffer, named by the earlier manifest or adopted.
async fn stored(
    ports: &Ports,
    folder: &MeetingFolder,
    earlier: Option<&Manifest>,
    file: &ArchiveFile,
) -> Result<Option<FileRecord>, StepError> {
    let name = file_name(&file.id, &file.extension);
    let named = earlier.and_then(|manifest| {
        manifest
            .files
            .iter()
            .find(|record| record.file_id == file.id && record.state == FileRecordState::Available)
    });
    if let Some(record) = named
        && record.path.as_deref() == Some(name.as_str())
        && ports.buffer.file_size(folder, &name).await? == record.size
    {
        return Ok(Some(record.clone()));
    }
    let Some(found) = ports.buffer.read_file(folder, &name).await? else {
        return Ok(None);
    };
    let form = match acceptance::look(file, &found.head) {
        Ok(()) => None,
        Err(Wrong::Odd(why)) => Some(why),
        Err(Wrong::NotIt(_)) => return Ok(None),
    };
    Ok(Some(FileRecord { form, ..available(file, name, found.size, found.sha256) }))
}

pub fn available(file: &ArchiveFile, name: String, size: u64, sha256: String) -> FileRecord {
    FileRecord {
        path: Some(name),
        size: Some(size),
        listed_size: file.size.filter(|listed| *listed != size),
        fingerprint_match: FingerprintMatch::of(file.fingerprint.as_deref(), &sha256),
        sha256: Some(sha256),
        state: FileRecordState::Available,
        reason: None,
        downloaded_at: Some(Utc::now()),
        ..unavailable(file, Reason::Gone)
    }
}

pub fn unavailable(file: &ArchiveFile, reason: Reason) -> FileRecord {
    FileRecord {
        file_id: file.id.clone(),
        file_type: file.file_type.clone(),
        file_extension: file.extension.clone(),
        path: None,
        size: None,
        listed_size: file.size,
        sha256: None,
        fingerprint: file.fingerprint.clone(),
        fingerprint_match: FingerprintMatch::Absent,
        state: FileRecordState::Unavailable,
        reason: Some(reason),
        downloaded_at: None,
        messages: None,
        listed_messages: None,
        form: None,
    }
}

/// Whether a record is of a file that Zoom gave no id.
pub fn is_unnamed(record: &FileRecord) -> bool {
    record.file_id.starts_with(UNNAMED)
}

pub fn is_wanted(wanted: &Wanted, id: &str) -> bool {
    match wanted {
        Wanted::All => true,
        Wanted::Files(ids) => ids.iter().any(|wanted| wanted == id),
    }
}

/// Files that were asked for by id and that Zoom no longer lists.
fn note_vanished(wanted: &Wanted, meeting: &Meeting, records: &mut Vec<FileRecord>) {
    let Wanted::Files(ids) = wanted else { return };
    for id in ids.iter().filter(|id| !meeting.files.iter().any(|file| file.id == **id)) {
        records.push(unavailable(&known_by_id(id.clone()), Reason::Gone));
    }
}

/// A file of which nothing else is known.
fn known_by_id(id: String) -> ArchiveFile {
    ArchiveFile {
        id,
        file_type: String::new(),
        extension: String::new(),
        size: None,
        state: FileState::Unknown,
        download_url: None,
        fingerprint: None,
        number_of_messages: None,
        participant_email: None,
    }
}

fn manifest(
    ports: &Ports,
    job: &Assignment<'_>,
    meeting: &Meeting,
    folder: &MeetingFolder,
    earlier: Option<&Manifest>,
    files: Vec<FileRecord>,
) -> Manifest {
    let mut participants: Vec<String> =
        meeting.files.iter().filter_map(|file| file.participant_email.clone()).collect();
    participants.sort();
    participants.dedup();
    Manifest {
        schema: recapture_core::buffer::SCHEMA.to_owned(),
        source: SOURCE.to_owned(),
        account: ports.settings.account.clone(),
        meeting: meeting.raw.clone(),
        contact: Contact {
            source: SOURCE.to_owned(),
            source_id: meeting.uuid.to_string(),
            started_at: started_at(job.payload.started_at, meeting),
            ended_at: meeting.ended_at(),
            topic: meeting.topic.clone(),
            host: meeting.host_id.clone(),
            participants,
            run_id: Some(job.run.to_string()),
            buffer_path: Some(folder.as_str().to_owned()),
            media: Vec::new(),
        },
        state: ManifestState::Ingested,
        run_id: job.run.to_string(),
        ingested_at: earlier.map_or_else(Utc::now, |manifest| manifest.ingested_at),
        completed_at: None,
        written_by: WrittenBy { worker: job.worker.to_string(), fence: job.fence },
        files,
    }
}
