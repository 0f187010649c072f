//! The files of a meeting as an attempt finds and stores them: told in the evidence however the attempt ends, also if it
//! is interrupted in the middle of a file.

use std::sync::{Mutex, MutexGuard, PoisonError};

use recapture_core::buffer::{FileRecord, FileRecordState};
use recapture_core::evidence::FileEnd;
use recapture_core::reason::{Cause, Reason};

use crate::steps::ingest;

#[derive(Debug, Default)]
pub struct FilesSoFar(Mutex<Files>);

#[derive(Debug, Default)]
struct Files {
    /// What stood in the buffer when the attempt began to fetch.
    found: Vec<FileEnd>,
    /// What it settled itself.
    settled: Vec<FileEnd>,
}

impl FilesSoFar {
    /// What the attempt need not fetch.
    pub fn found(&self, records: &[FileRecord]) {
        self.lock().found = records.iter().map(file_end).collect();
    }

    /// A file that the attempt stored, or that Zoom does not have.
    pub fn settled(&self, record: &FileRecord) {
        self.lock().settled.push(file_end(record));
    }

    pub(crate) fn of_this_attempt(&self) -> Vec<FileEnd> {
        self.lock().settled.clone()
    }

    pub(crate) fn all(&self) -> Vec<FileEnd> {
        let files = self.lock();
        [files.found.as_slice(), &files.settled].concat()
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn file_end(record: &FileRecord) -> FileEnd {
    let detail = || {
        if ingest::is_unnamed(record) {
            "Zoom counts a file that it lists without an id, or not at all".to_owned()
        } else {
            format!("file {}", record.file_id)
        }
    };
    let unavailable = (record.state == FileRecordState::Unavailable)
        .then(|| Cause::new(record.reason.unwrap_or(Reason::Gone), detail()));
    FileEnd {
        file_id: record.file_id.clone(),
        path: record.path.clone(),
        size: record.size,
        listed_size: record.listed_size,
        sha256: record.sha256.clone(),
        downloaded_at: record.downloaded_at,
        unavailable,
    }
}
