//! Manifests against the ends of their meetings, and files against their manifests.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt;
use recapture_core::buffer::{
    Buffer, BufferError, FileRecord, FileRecordState, Manifest, MeetingFolder, StoredManifest, is_file_name,
};
use recapture_core::meeting::MeetingUuid;
use recapture_core::run::RunId;

use super::findings::{Counted, Fault, Finding};
use super::{End, Ends, Progress, Verifier, VerifyError};

/// Files are hashed by a thread each; more than a few would only make a disk seek.
const AT_ONCE: usize = 4;

/// Checks the folders, each with the meeting that a line says is in it.
pub(super) async fn check(
    verifier: &mut Verifier<'_>,
    targets: BTreeMap<String, Option<MeetingUuid>>,
    watch: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), VerifyError> {
    let mut progress = Progress { of: targets.len() as u64, ..Progress::default() };
    let buffer = verifier.buffer;
    let mut files = std::pin::pin!(futures_util::stream::FuturesUnordered::new());
    for (folder, meeting) in targets {
        progress.meetings += 1;
        let Some(folder) = MeetingFolder::parse(&folder) else { continue };
        let Some(manifest) = verifier.manifest(&folder, meeting.as_ref()).await? else { continue };
        verifier.done.checked.meetings += 1;
        while files.len() >= AT_ONCE {
            take(verifier, files.next().await, &mut progress);
        }
        files.push(check_files(buffer, folder, manifest));
        watch(progress);
    }
    while !files.is_empty() {
        take(verifier, files.next().await, &mut progress);
        watch(progress);
    }
    Ok(())
}

type Checked = (Counted, Vec<Finding>);

fn take(verifier: &mut Verifier<'_>, checked: Option<Checked>, progress: &mut Progress) {
    if let Some((counted, findings)) = checked {
        progress.bytes += counted.bytes;
        verifier.done.take(counted, findings, Vec::new());
    }
}

impl Verifier<'_> {
    /// Reads a manifest and holds it against the last end of its meeting; `None` where there is nothing to go on with.
    async fn manifest(
        &mut self,
        folder: &MeetingFolder,
        meeting: Option<&MeetingUuid>,
    ) -> Result<Option<Manifest>, VerifyError> {
        let path = format!("{}/manifest.json", folder.as_str());
        let StoredManifest { manifest, sha256, .. } = match self.buffer.manifest(folder).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                self.judge_absence(path, meeting).await?;
                return Ok(None);
            }
            Err(error @ BufferError::UnreadableManifest { .. }) => {
                self.done.found(Fault::ManifestUnreadable, path, error.to_string());
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let source = &manifest.contact.source_id;
        if meeting.is_some_and(|meeting| meeting.as_str() != source)
            || MeetingUuid::parse(source).is_ok_and(|uuid| !folder.as_str().ends_with(&uuid.folder_key()))
        {
            let detail = format!("it is of another meeting, {source}");
            self.done.found(Fault::ManifestChanged, path, detail);
            return Ok(Some(manifest));
        }
        let whole = self.judge_manifest(path, &manifest, &sha256).await?;
        Ok(Some(manifest).filter(|_| whole))
    }

    async fn judge_absence(
        &mut self,
        path: String,
        meeting: Option<&MeetingUuid>,
    ) -> Result<(), VerifyError> {
        let Some(meeting) = meeting else {
            self.done
                .notes
                .push(format!("{path}: not there; the meeting's recovery has just begun, or was broken off"));
            return Ok(());
        };
        // The run that wrote the manifest last tells of its removal, which may be another than the one asked for.
        for run in self.buffer.runs().await? {
            let ends = self.ends_of(&run).await?;
            if ends.is_some_and(|ends| ends.by_meeting.get(meeting).is_some_and(|end| end.purged)) {
                return Ok(());
            }
        }
        let detail = format!("meeting {meeting} was recovered, and its manifest is gone");
        self.done.found(Fault::ManifestLacking, path, detail);
        Ok(())
    }

    /// False for a meeting whose files are not expected to be there.
    async fn judge_manifest(
        &mut self,
        path: String,
        manifest: &Manifest,
        sha256: &str,
    ) -> Result<bool, VerifyError> {
        let Some(ends) = self.evidence_of(&path, manifest).await? else { return Ok(true) };
        let uuid = MeetingUuid::parse(&manifest.contact.source_id);
        let end = uuid.ok().and_then(|uuid| ends.by_meeting.get(&uuid)).filter(|end| end.stored);
        match end {
            None => self.done.notes.push(format!(
                "{path}: run {} has not ended this meeting yet; nothing pins its manifest",
                manifest.run_id
            )),
            Some(End { manifest_sha256: Some(pinned), .. }) if pinned != sha256 => {
                let detail = format!("its SHA-256 is {sha256}, the evidence says {pinned}");
                self.done.found(Fault::ManifestChanged, path, detail);
            }
            Some(End { purged: true, .. }) => {
                self.done.notes.push(format!("{path}: its removal was broken off; the next purge ends it"));
                return Ok(false);
            }
            Some(End { manifest_sha256: Some(_), .. }) => {}
            Some(end) => self.judge_by_files(&path, manifest, end),
        }
        Ok(true)
    }

    async fn evidence_of(
        &mut self,
        path: &str,
        manifest: &Manifest,
    ) -> Result<Option<Arc<Ends>>, VerifyError> {
        let ends = match RunId::parse(&manifest.run_id) {
            Ok(run) => self.ends_of(&run).await?,
            Err(_) => None,
        };
        if ends.is_none() {
            let detail = format!("there is no evidence of run {}, which wrote it", manifest.run_id);
            self.done.found(Fault::EvidenceLacking, path, detail);
        }
        Ok(ends)
    }

    /// For records that do not tell the manifest's hash: each file of the end is in the manifest as it was.
    fn judge_by_files(&mut self, path: &str, manifest: &Manifest, end: &End) {
        for file in end.files.iter().filter(|file| file.sha256.is_some()) {
            let named = manifest.files.iter().find(|record| record.file_id == file.file_id);
            if named.is_none_or(|record| record.sha256 != file.sha256 || record.size != file.size) {
                let detail = format!("it does not name file {} as the evidence does", file.file_id);
                self.done.found(Fault::ManifestChanged, path, detail);
            }
        }
    }
}

async fn check_files(buffer: &Buffer, folder: MeetingFolder, manifest: Manifest) -> Checked {
    let (mut counted, mut findings) = (Counted::default(), Vec::new());
    for file in manifest.files.iter().filter(|file| file.state == FileRecordState::Available) {
        let name = file.path.as_deref().unwrap_or_default();
        let path = format!("{}/{name}", folder.as_str());
        match check_file(buffer, &folder, file, name).await {
            Ok(bytes) => {
                counted.files += 1;
                counted.bytes += bytes;
            }
            Err((fault, detail)) => findings.push(Finding::new(fault, path, detail)),
        }
    }
    (counted, findings)
}

async fn check_file(
    buffer: &Buffer,
    folder: &MeetingFolder,
    file: &FileRecord,
    name: &str,
) -> Result<u64, (Fault, String)> {
    if !is_file_name(name) {
        return Err((Fault::ManifestChanged, format!("file {} has no name in its folder", file.file_id)));
    }
    let found = buffer.read_file(folder, name).await;
    let found = found.map_err(|error| (Fault::FileUnreadable, error.to_string()))?;
    let found = found.ok_or((Fault::FileLacking, "its manifest names it, and it is gone".to_owned()))?;
    if file.size != Some(found.size) {
        let said = file.size.map_or_else(|| "none".to_owned(), |size| size.to_string());
        return Err((Fault::FileChanged, format!("it has {} bytes, its manifest says {said}", found.size)));
    }
    if file.sha256.as_deref() != Some(&found.sha256) {
        let said = file.sha256.as_deref().unwrap_or("none");
        return Err((
            Fault::FileChanged,
            format!("its SHA-256 is {}, its manifest says {said}", found.sha256),
        ));
    }
    Ok(found.size)
}
