//! The capture buffer: where recovered meetings and the evidence of runs are kept.
//!
//! # What a reader sees
//!
//! ```text
//! meetings/2026/10/01/<key>/manifest.json     what is known of the meeting and its files
//! meetings/2026/10/01/<key>/<file id>.<ext>   a verified file
//! meetings/2026/10/01/<key>/.<name>.<n>.part  a file on its way; never read by anyone but its writer
//! runs/<run id>/<writer>.jsonl                evidence
//! handover/2026/10/01/<key>.json              a contact for a platform that takes contacts in by itself
//! ```
//!
//! Nothing stands under a final name that is not whole and verified: a file is written under a part name that no
//! other try uses, checked, made durable (`fsync`), and then renamed; so is a manifest. Folders are 0700, files 0600.
//!
//! # What a crash leaves
//!
//! * Before the rename: a part. The next holder of the meeting's lease removes all parts of the meeting before it
//!   begins, and replaces the manifest. Either stops a writer that lost its lease without knowing: a rename finds nothing,
//!   and none is made where another manifest stands than the writer's own ([`Claim`]).
//! * Of a small file before that: nothing, it is in memory; it is fetched again.
//! * Between a file's rename and the manifest: a verified file that no manifest names. It is adopted, after its size
//!   and hash are read again, and not fetched a second time.
//! * While a contact is handed over: a part of it, which nobody misses; the next try has one of its own.
//! * Between the manifest `ingested` and the manifest `complete`: the same; the manifest is written over.
//!
//! An object store has the same names and gives the same promises by other means: the head of `buffer/objects.rs`. One
//! conformance suite (`buffer/conformance.rs`) holds for both.
//!
//! # Room
//!
//! A download holds a [`Reservation`] of what it will still write: however many begin at once, none begins that would
//! fill the disk (`buffer/room.rs`).
//!
//! # Who replaces a manifest
//!
//! Only who knows which one stands there ([`ManifestVersion`]): a worker that lost its lease, and does not know it, finds
//! that its successor has written since, and writes nothing.
//!
//! # Why not `object_store`'s local file system
//!
//! It creates files with the process's default mode, does not `fsync`, and its uploads cannot be continued or checked
//! before they get their final name. Folders are therefore written by a writer of our own.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
mod facts;
mod folder;
mod folder_names;
mod folder_writer;
mod layout;
mod listing;
mod manifest;
mod objects;
mod room;
#[cfg(test)]
mod tests;
mod writer;

pub use error::BufferError;
pub use facts::FileFacts;
pub use folder::FolderBuffer;
pub use layout::{MeetingFolder, file_name, is_file_name};
pub use manifest::{
    FileRecord, FileRecordState, FingerprintMatch, Manifest, ManifestState, ManifestVersion, SCHEMA,
    StoredManifest, WrittenBy,
};
pub use objects::{ObjectBuffer, RunObjects, Stands};
pub use room::Reservation;
pub use writer::{Claim, PartWriter, Written};

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::config;
use crate::contact::Contact;
use crate::run::RunId;

/// The stores that a buffer can be kept in.
#[derive(Debug, Clone)]
pub enum Buffer {
    Folder(FolderBuffer),
    Objects(ObjectBuffer),
}

/// Where a run's evidence is written.
#[derive(Debug, Clone)]
pub enum RunPlace {
    Folder(PathBuf),
    Objects(RunObjects),
}

/// A run's evidence as files: where it stands, or a copy that goes away with this.
#[derive(Debug)]
pub struct RunRecord {
    folder: PathBuf,
    _copy: Option<TempDir>,
}

impl std::ops::Deref for RunRecord {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.folder
    }
}

/// The same call to whichever store it is.
macro_rules! each {
    ($buffer:expr, $store:ident => $call:expr) => {
        match $buffer {
            Self::Folder($store) => $call.await,
            Self::Objects($store) => $call.await,
        }
    };
}

impl Buffer {
    /// Opens the place that `buffer.url` names; a folder is created if it is not there, a bucket has to be.
    pub async fn open(place: &config::Buffer) -> Result<Self, BufferError> {
        match place {
            config::Buffer::Folder(root) => FolderBuffer::open(root.clone()).await.map(Self::Folder),
            config::Buffer::S3(place) => ObjectBuffer::open(place).map(Self::Objects),
        }
    }

    /// Opens a buffer that is there, to be read: nothing in it has to be writable.
    pub async fn open_to_read(place: &config::Buffer) -> Result<Self, BufferError> {
        match place {
            config::Buffer::Folder(root) => FolderBuffer::open_to_read(root.clone()).await.map(Self::Folder),
            config::Buffer::S3(place) => ObjectBuffer::open(place).map(Self::Objects),
        }
    }

    /// Writes, reads and removes a probe, and tries that conditions are heeded; gives the free bytes, where there is
    /// an end of them.
    pub async fn check(&self) -> Result<Option<u64>, BufferError> {
        each!(self, store => store.check())
    }

    /// Takes hold of room for `bytes`, beside what downloads under way in this process will still write and a rest that
    /// is always kept free; fails with `Full` if there is not as much.
    pub async fn reserve(&self, bytes: u64) -> Result<Reservation, BufferError> {
        match self {
            Self::Folder(folder) => folder.reserve(bytes).await,
            // Nobody can tell; one that is full says so when it is written to.
            Self::Objects(_) => Ok(Reservation::endless()),
        }
    }

    /// The meeting's manifest, if there is one.
    pub async fn manifest(&self, meeting: &MeetingFolder) -> Result<Option<StoredManifest>, BufferError> {
        each!(self, store => store.manifest(meeting))
    }

    /// Replaces the manifest that stands there, whole or not at all, and makes it and all files of the folder durable.
    /// Answers the SHA-256 of what was written, and its version. Fails with `TakenOver` if another one stands there
    /// than `after`.
    pub async fn put_manifest(
        &self,
        meeting: &MeetingFolder,
        manifest: &Manifest,
        after: &ManifestVersion,
    ) -> Result<(String, ManifestVersion), BufferError> {
        each!(self, store => store.put_manifest(meeting, manifest, after))
    }

    /// Puts the manifest of a meeting of which the buffer holds nothing; `None` if something may stand there, and then nothing
    /// was done.
    pub async fn put_first_manifest(
        &self,
        meeting: &MeetingFolder,
        manifest: &Manifest,
    ) -> Result<Option<ManifestVersion>, BufferError> {
        match self {
            Self::Folder(folder) => folder.put_first_manifest(meeting, manifest).await,
            // To know it takes a request, and that one tells of what stands there as well.
            Self::Objects(_) => Ok(None),
        }
    }

    /// Puts a contact where a platform fetches it that can only be read; whole, durable, and over what is there. Answers
    /// where, relative to the buffer.
    pub async fn put_handover(
        &self,
        meeting: &MeetingFolder,
        contact: &Contact,
    ) -> Result<String, BufferError> {
        each!(self, store => store.put_handover(meeting, contact))
    }

    /// Removes what earlier tries left under part names, and answers whether anything else may stand there. Only the holder
    /// of the meeting's lease may call it.
    pub async fn clear_parts(&self, meeting: &MeetingFolder) -> Result<bool, BufferError> {
        each!(self, store => store.clear_parts(meeting))
    }

    /// Size and hash of a file that stands under its final name, or `None`.
    pub async fn read_file(
        &self,
        meeting: &MeetingFolder,
        name: &str,
    ) -> Result<Option<FileFacts>, BufferError> {
        each!(self, store => store.read_file(meeting, name))
    }

    /// Size of a file that stands under its final name, or `None`.
    pub async fn file_size(&self, meeting: &MeetingFolder, name: &str) -> Result<Option<u64>, BufferError> {
        each!(self, store => store.file_size(meeting, name))
    }

    /// Begins a file that is expected to have that many bytes, under a part name of its own.
    pub async fn begin(
        &self,
        meeting: &MeetingFolder,
        name: &str,
        expected: Option<u64>,
    ) -> Result<PartWriter, BufferError> {
        match self {
            Self::Folder(folder) => Ok(folder.begin(meeting, name).into()),
            Self::Objects(objects) => objects.begin(meeting, name, expected).await.map(Into::into),
        }
    }

    /// Gives files of a meeting their final names: from here on readers see them. Fails with `TakenOver` if they are not this
    /// worker's to give any more. In a folder the names themselves are durable with the meeting's next manifest.
    pub async fn give_names(
        &self,
        meeting: &MeetingFolder,
        files: Vec<Written>,
        claim: &Claim,
    ) -> Result<(), BufferError> {
        let (of_folder, of_objects, _rooms) = Written::sort(files);
        if let Self::Folder(folder) = self {
            return folder_names::give_names(folder.folder(meeting), of_folder, claim).await;
        }
        for file in of_objects {
            if !claim.is_held() {
                return Err(BufferError::TakenOver { path: meeting.as_str().to_owned() });
            }
            file.commit().await?;
        }
        Ok(())
    }

    /// Where to write a run's evidence.
    pub async fn run_place(&self, run: &RunId) -> Result<RunPlace, BufferError> {
        match self {
            Self::Folder(folder) => folder.run_folder(run).await.map(RunPlace::Folder),
            Self::Objects(objects) => Ok(RunPlace::Objects(objects.run(run))),
        }
    }

    /// The runs that have a record, the oldest first.
    pub async fn runs(&self) -> Result<Vec<RunId>, BufferError> {
        each!(self, store => store.runs())
    }

    /// A run's evidence to read, if there is any.
    pub async fn run_record(&self, run: &RunId) -> Result<Option<RunRecord>, BufferError> {
        match self {
            Self::Folder(folder) => {
                let found = folder.run_record(run).await?;
                Ok(found.map(|folder| RunRecord { folder, _copy: None }))
            }
            Self::Objects(objects) => {
                let copy = objects.run(run).copy().await?;
                Ok(copy.map(|copy| RunRecord { folder: copy.path().to_owned(), _copy: Some(copy) }))
            }
        }
    }

    /// The days that have meetings, as folders relative to the buffer.
    pub async fn days(&self) -> Result<Vec<String>, BufferError> {
        each!(self, store => store.days())
    }

    /// The meetings of one of the [`days`](Self::days).
    pub async fn meetings_of(&self, day: &str) -> Result<Vec<MeetingFolder>, BufferError> {
        each!(self, store => store.meetings_of(day))
    }

    /// Removes the files that the manifest names, the manifest, and the folder; false if the folder holds something
    /// else, which stays. A crash in between leaves the manifest, so that removing can be done again. Fails with
    /// `TakenOver` if another manifest stands there than `version`: what was written since stays.
    pub async fn remove(
        &self,
        meeting: &MeetingFolder,
        manifest: &Manifest,
        version: &ManifestVersion,
    ) -> Result<bool, BufferError> {
        each!(self, store => store.remove(meeting, manifest, version))
    }

    /// Where to look, for people.
    pub fn location(&self) -> String {
        match self {
            Self::Folder(folder) => folder.root().display().to_string(),
            Self::Objects(objects) => objects.location(),
        }
    }
}
