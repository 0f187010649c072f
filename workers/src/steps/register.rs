//! Registering the contact: telling the platform's contact database what is in the buffer now.
//!
//! A platform that can only be read is told by a file, `handover/<day>/<meeting>.json` in the buffer, before anything
//! else: it is there, whole and durable, when the queue forgets the meeting. The platform takes it and may remove it.

use recapture_core::buffer::{FileRecordState, Manifest, MeetingFolder};
use recapture_core::contact::{Media, MediaState};
use recapture_core::meeting::FileKind;
use tracing::info;

use super::in_place;
use super::ingest::is_unnamed;
use crate::error::StepError;
use crate::ports::Ports;

/// The manifest's contact with the media that the manifest names. What Zoom gave no id is no medium that anybody could
/// refer to.
pub fn with_media(manifest: &mut Manifest) {
    manifest.contact.media = manifest
        .files
        .iter()
        .filter(|record| !is_unnamed(record))
        .map(|record| Media {
            file_id: record.file_id.clone(),
            file_type: Some(record.file_type.clone()).filter(|kind| !kind.is_empty()),
            kind: Some(FileKind::of(&record.file_type, &record.file_extension)),
            size: record.size,
            sha256: record.sha256.clone(),
            state: match record.state {
                FileRecordState::Available => MediaState::Available,
                FileRecordState::Unavailable => MediaState::Unavailable,
            },
        })
        .collect();
}

/// Merges the contact into the platform's; doing it again changes nothing.
pub async fn register(ports: &Ports, folder: &MeetingFolder, manifest: &Manifest) -> Result<(), StepError> {
    if ports.contacts.are_read_only() {
        let place = ports.buffer.put_handover(folder, &manifest.contact).await?;
        info!(place, "the contact is handed over");
    }
    in_place(|| async { Ok(ports.contacts.register(&manifest.contact).await?) }).await?;
    Ok(())
}
