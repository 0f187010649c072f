//! Removing from the capture buffer what the platform has taken over.
//!
//! A meeting's folder goes only if its manifest is `complete` and old enough, and the platform's contact, asked for
//! just now, holds every one of its files as available, with the same hash and size where it tells them. A contact
//! without media confirms nothing, and a manifest that was put there meanwhile was not asked about. Everything else stays, and so does whatever else lies in the folder.
//!
//! # What a crash leaves
//!
//! A line in the evidence of the run that wrote the manifest is durable before the first file goes, and the manifest
//! goes last: a folder that is half removed still says what it was, and the next purge ends it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use recapture_core::buffer::{
    Buffer, BufferError, FileRecord, FileRecordState, Manifest, ManifestState, ManifestVersion,
    MeetingFolder, StoredManifest,
};
use recapture_core::contact::{Contact, Media, MediaState};
use recapture_core::contacts::{Contacts, ContactsError, LARGEST_BATCH, Sought};
use recapture_core::evidence::{Entry, Evidence, Purged};
use recapture_core::meeting::MeetingUuid;
use recapture_core::run::RunId;
use tokio_util::sync::CancellationToken;

/// Why purging stopped. What was removed until then is recorded.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    #[error(transparent)]
    Buffer(#[from] BufferError),
    #[error("the platform cannot be asked what it has; nothing more is removed: {0}")]
    Contacts(#[from] ContactsError),
}

/// Why a meeting that is old enough stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stays {
    /// The manifest cannot be read, or is not of this folder.
    Unreadable(String),
    NoContact,
    /// The platform's contact lacks this file, or has another one in its place.
    Unconfirmed {
        file_id: String,
    },
    /// Another manifest was put there since this one was read.
    Replaced,
}

/// What purging came to.
#[derive(Debug, Default)]
pub struct Purge {
    /// Folders that were removed, or would be in a dry run, with their bytes.
    pub removed: Vec<(MeetingFolder, u64)>,
    pub stay: Vec<(MeetingFolder, Stays)>,
    /// Folders that hold something else beside what was removed.
    pub not_empty: Vec<MeetingFolder>,
    /// Younger, or not complete.
    pub not_due: u64,
}

/// A complete meeting that is old enough.
struct Candidate {
    folder: MeetingFolder,
    meeting: MeetingUuid,
    run: RunId,
    manifest: Manifest,
    version: ManifestVersion,
    sha256: String,
}

/// Purges what was completed before an instant. `evidence: None` is a dry run.
pub async fn purge(
    buffer: &Buffer,
    contacts: &Contacts,
    evidence: Option<&Evidence>,
    before: DateTime<Utc>,
    stop: &CancellationToken,
) -> Result<Purge, PurgeError> {
    let mut purge = Purge::default();
    for day in buffer.days().await? {
        let folders = buffer.meetings_of(&day).await?;
        for folders in folders.chunks(LARGEST_BATCH) {
            if stop.is_cancelled() {
                return Ok(purge);
            }
            let candidates = purge.candidates(buffer, folders, before).await?;
            purge.remove(buffer, contacts, evidence, candidates).await?;
        }
    }
    Ok(purge)
}

impl Purge {
    async fn candidates(
        &mut self,
        buffer: &Buffer,
        folders: &[MeetingFolder],
        before: DateTime<Utc>,
    ) -> Result<Vec<Candidate>, PurgeError> {
        let mut candidates = Vec::new();
        for folder in folders {
            let StoredManifest { manifest, sha256, version } = match buffer.manifest(folder).await {
                Ok(Some(found)) => found,
                Ok(None) => {
                    self.not_due += 1;
                    continue;
                }
                Err(error @ BufferError::UnreadableManifest { .. }) => {
                    self.stay.push((folder.clone(), Stays::Unreadable(error.to_string())));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let is_due = manifest.completed_at.is_some_and(|at| at < before);
            if manifest.state != ManifestState::Complete || !is_due {
                self.not_due += 1;
                continue;
            }
            match (MeetingUuid::parse(&manifest.contact.source_id), RunId::parse(&manifest.run_id)) {
                (Ok(meeting), Ok(run))
                    if folder.as_str().ends_with(&format!("/{}", meeting.folder_key())) =>
                {
                    let folder = folder.clone();
                    candidates.push(Candidate { folder, meeting, run, manifest, version, sha256 });
                }
                _ => {
                    let why = "its manifest is not of this folder".to_owned();
                    self.stay.push((folder.clone(), Stays::Unreadable(why)));
                }
            }
        }
        Ok(candidates)
    }

    async fn remove(
        &mut self,
        buffer: &Buffer,
        contacts: &Contacts,
        evidence: Option<&Evidence>,
        candidates: Vec<Candidate>,
    ) -> Result<(), PurgeError> {
        let sought = |candidate: &'_ Candidate| {
            let contact = &candidate.manifest.contact;
            (contact.started_at, contact.ended_at.unwrap_or(contact.started_at))
        };
        let sought: Vec<Sought<'_>> = candidates
            .iter()
            .map(|of| Sought { source_id: of.meeting.as_str(), held: Some(sought(of)) })
            .collect();
        let known = if sought.is_empty() { Vec::new() } else { contacts.find(&sought).await?.contacts };
        let known: HashMap<&str, &Contact> =
            known.iter().map(|contact| (contact.source_id.as_str(), contact)).collect();
        for candidate in candidates {
            if let Err(why) = confirm(&candidate.manifest, known.get(candidate.meeting.as_str()).copied()) {
                self.stay.push((candidate.folder, why));
                continue;
            }
            let Candidate { folder, meeting, run, manifest, version, sha256 } = candidate;
            let bytes = manifest.files.iter().filter_map(|file| file.size).sum();
            if let Some(evidence) = evidence {
                let line = Purged {
                    meeting,
                    folder: folder.as_str().to_owned(),
                    manifest_sha256: sha256,
                    files: manifest.files.len(),
                    bytes,
                };
                evidence.append_durably(&run, vec![Entry::Purged(line)]).await?;
                match buffer.remove(&folder, &manifest, &version).await {
                    Ok(true) => {}
                    Ok(false) => self.not_empty.push(folder.clone()),
                    Err(BufferError::TakenOver { .. }) => {
                        self.stay.push((folder, Stays::Replaced));
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            self.removed.push((folder, bytes));
        }
        Ok(())
    }
}

/// Whether the platform has all that the manifest names.
fn confirm(manifest: &Manifest, contact: Option<&Contact>) -> Result<(), Stays> {
    let contact = contact.ok_or(Stays::NoContact)?;
    let lacking = manifest.files.iter().find(|file| {
        let held = contact.media.iter().find(|media| media.file_id == file.file_id);
        file.state != FileRecordState::Available || !held.is_some_and(|media| is_same(file, media))
    });
    match lacking {
        Some(file) => Err(Stays::Unconfirmed { file_id: file.file_id.clone() }),
        None if manifest.files.is_empty() => Err(Stays::NoContact),
        None => Ok(()),
    }
}

fn is_same(file: &FileRecord, media: &Media) -> bool {
    let same_hash = media.sha256.is_none() || media.sha256 == file.sha256;
    let same_size = media.size.is_none() || media.size == file.size;
    media.state == MediaState::Available && same_hash && same_size
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// A platform that holds another file under the same id confirms nothing.
    #[test]
    fn a_hash_or_a_size_that_differs_confirms_nothing() {
        let file: FileRecord = serde_json::from_value(serde_json::json!({
            "file_id": "a", "file_type": "MP4", "file_extension": "MP4", "path": "a.mp4", "size": 10,
            "sha256": "0".repeat(64), "fingerprint_match": "absent", "state": "available"
        }))
        .unwrap();
        let media = |of: serde_json::Value| -> Media {
            let mut media = serde_json::json!({ "file_id": "a", "kind": "video", "state": "available" });
            media.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
            serde_json::from_value(media).unwrap()
        };
        for (of, same) in [
            (serde_json::json!({ "size": 10, "sha256": "0".repeat(64) }), true),
            (serde_json::json!({}), true),
            (serde_json::json!({ "size": 11, "sha256": "0".repeat(64) }), false),
            (serde_json::json!({ "size": 10, "sha256": "1".repeat(64) }), false),
            (serde_json::json!({ "size": 10, "sha256": "0".repeat(64), "state": "unavailable" }), false),
        ] {
            assert_eq!(is_same(&file, &media(of.clone())), same, "{of}");
        }
    }
}
