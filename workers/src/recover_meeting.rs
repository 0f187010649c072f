//! The job: metadata → ingest → download → complete → register.
//!
//! # Checkpoints
//!
//! | after | stands in the buffer | a crash here costs |
//! | --- | --- | --- |
//! | ingest | the manifest, `ingested` | nothing |
//! | each file, small ones together | the file under its final name | nothing: it is adopted by hash |
//! | download | the manifest, `complete` or `partial`, made durable with its files | nothing |
//! | register | the contact at the platform | the contact is merged once more |
//! | end | a durable line of evidence; then the queue forgets the job and moves the counts | the job runs once more and finds all done |
//!
//! The order is what makes it safe: the platform hears of a file only after the file is durable, and the queue
//! forgets a meeting only after the platform knows it.

use std::sync::Arc;

use chrono::Utc;
use recapture_core::buffer::{
    Claim, FileRecord, FileRecordState, Manifest, ManifestState, ManifestVersion, MeetingFolder,
};
use recapture_core::evidence::FileEnd;
use recapture_core::failpoint;
use recapture_core::queue::{JobPayload, Wanted};
use recapture_core::reason::{Cause, Outcome, Reason};
use recapture_core::run::RunId;
use tracing::{Instrument, info_span};

use crate::disposition::{Disposition, decide};
use crate::error::StepError;
use crate::files_so_far::{FilesSoFar, file_end};
use crate::ports::Ports;
use crate::steps::{download, ingest, metadata, register};

/// A meeting to recover, and the proof that it is ours to recover.
pub struct Assignment<'a> {
    pub payload: &'a JobPayload,
    /// The run that the meeting is recovered for.
    pub run: &'a RunId,
    pub worker: &'a str,
    pub fence: u64,
    /// Where the attempt tells which files it has.
    pub files: &'a FilesSoFar,
    /// Whether the lease still stands, by this machine's own clock.
    pub held: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Assignment<'_> {
    /// Asked right before anything gets a final name.
    pub fn still_held(&self) -> Result<(), StepError> {
        if (self.held)() { Ok(()) } else { Err(StepError::LeaseLost) }
    }

    /// By what files may be given their names, beside the manifest that was put under this lease.
    pub fn claim(&self, manifest: &ManifestVersion) -> Claim {
        let held = Arc::clone(&self.held);
        Claim::new(move || held(), manifest.clone())
    }
}

/// How a meeting ended.
#[derive(Debug)]
pub struct Ended {
    pub outcome: Outcome,
    pub cause: Option<Cause>,
    pub manifest: Option<StoredManifest>,
    /// Of the files that were to be recovered, those that are in the buffer now, and their bytes.
    pub files: u64,
    pub bytes: u64,
    pub file_ends: Vec<FileEnd>,
}

/// The manifest as it was put into the buffer.
#[derive(Debug)]
pub struct StoredManifest {
    pub state: ManifestState,
    pub sha256: String,
    pub folder: String,
}

pub async fn recover_meeting(ports: &Ports, job: &Assignment<'_>) -> Result<Ended, StepError> {
    ports.room.look(&ports.buffer, &job.payload.uuid).await?;
    let read = metadata::read(ports, &job.payload.uuid).instrument(info_span!("metadata"));
    let meeting = match read.await {
        Ok(meeting) => meeting,
        Err(error) if decide(&error) == Disposition::Gone => return Ok(gone(job, &error)),
        Err(error) => return Err(error),
    };
    let mut ingested = ingest::ingest(ports, job, &meeting).instrument(info_span!("ingest")).await?;
    job.files.found(&ingested.manifest.files);
    let lacking = std::mem::take(&mut ingested.lacking);
    let fetched = download::fetch_all(ports, job, &ingested.folder, &ingested.version, lacking).await;
    let mut manifest = ingested.manifest;
    let stored_more = !fetched.records.is_empty();
    manifest.files.extend(fetched.records);
    let waits = ingested.processing && Utc::now() < job.payload.deadline;
    if let Some(error) = fetched.error.or(waits.then_some(StepError::Processing)) {
        // The files that did arrive are named before the job waits for the others.
        if stored_more && job.still_held().is_ok() {
            ports.buffer.put_manifest(&ingested.folder, &manifest, &ingested.version).await?;
        }
        return Err(error);
    }
    let stands = Standing { folder: &ingested.folder, version: &ingested.version };
    finish(ports, job, stands, manifest, ingested.processing).await
}

/// Where the meeting is kept, and which manifest stands there.
struct Standing<'a> {
    folder: &'a MeetingFolder,
    version: &'a ManifestVersion,
}

async fn finish(
    ports: &Ports,
    job: &Assignment<'_>,
    Standing { folder, version }: Standing<'_>,
    mut manifest: Manifest,
    processing: bool,
) -> Result<Ended, StepError> {
    let all_in = manifest.files.iter().all(|file| file.state == FileRecordState::Available);
    manifest.state = if all_in && !processing { ManifestState::Complete } else { ManifestState::Partial };
    manifest.completed_at = Some(Utc::now());
    register::with_media(&mut manifest);
    job.still_held()?;
    let sha256 = ports.buffer.put_manifest(folder, &manifest, version).await?.0;
    let is_stored = |file: &&FileRecord| file.state == FileRecordState::Available;
    let is_wanted = |file: &&FileRecord| ingest::is_wanted(&job.payload.wanted, &file.file_id);
    let stored: Vec<&FileRecord> = manifest.files.iter().filter(is_stored).filter(is_wanted).collect();
    let (files, bytes) = (stored.len() as u64, stored.iter().filter_map(|file| file.size).sum());
    let nothing_came = stored.is_empty();
    let file_ends = manifest.files.iter().map(file_end).collect();
    let put = Some(StoredManifest { state: manifest.state, sha256, folder: folder.as_str().to_owned() });
    if nothing_came {
        // The platform is not told of a meeting of which nothing came: it stays missing, or incomplete, with its reason.
        let cause = Some(nothing_to_fetch(&manifest, &job.payload.wanted, processing));
        return Ok(Ended { outcome: Outcome::Unavailable, cause, manifest: put, files, bytes, file_ends });
    }
    failpoint::reach("before-registration");
    register::register(ports, folder, &manifest).instrument(info_span!("register")).await?;
    failpoint::reach("registered");
    Ok(Ended { outcome: Outcome::Recovered, cause: None, manifest: put, files, bytes, file_ends })
}

/// Zoom does not know the meeting any more.
fn gone(job: &Assignment<'_>, error: &StepError) -> Ended {
    let (outcome, reason) = if Utc::now() >= job.payload.deadline {
        (Outcome::Expired, Reason::RetentionOver)
    } else {
        (Outcome::Unavailable, Reason::Gone)
    };
    let cause = Some(Cause { reason, ..error.cause() });
    Ended { outcome, cause, manifest: None, files: 0, bytes: 0, file_ends: Vec::new() }
}

fn nothing_to_fetch(manifest: &Manifest, wanted: &Wanted, processing: bool) -> Cause {
    let lacking = || manifest.files.iter().filter(|file| ingest::is_wanted(wanted, &file.file_id));
    match (lacking().find_map(|file| file.reason), wanted) {
        (Some(reason), Wanted::All) => {
            let count = lacking().count();
            Cause::new(reason, format!("Zoom has none of the meeting's {count} files to give"))
        }
        (Some(reason), Wanted::Files(ids)) => {
            let count = ids.len();
            Cause::new(reason, format!("Zoom has none of the {count} lacking files to give"))
        }
        (None, _) if processing => {
            Cause::new(Reason::ArchiveProcessing, "Zoom had not made the archive when its deadline passed")
        }
        (None, _) => {
            Cause::new(Reason::ArchiveEmpty, "Zoom's archive of the meeting is complete and holds no file")
        }
    }
}
