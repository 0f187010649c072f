//! The record of a run: what was asked, listed, compared, decided and done.
//!
//! ```text
//! runs/<run id>/<writer>.jsonl            lines, appended as it happens
//! runs/<run id>/<writer>.seal             what all files of the run held when this writer sealed them
//! runs/<run id>/raw/<SHA-256>.json.gz     Zoom's answers, as the lines name them
//! ```
//!
//! Each process writes files of its own, so writers need no coordination. Each line carries the SHA-256 of the line
//! before it (the first one that of `<run id>/<file name>`), so that a changed, lacking or reordered line shows; a
//! [seal](Statement) pins the ends of all files, signed if there is a key. `docs/evidence.md` describes the format, and
//! how to check it by hand. In an object store a file of lines is a row of `segments`.
//!
//! # What a crash leaves
//!
//! * A line cut off: a line is appended by one `write`, so that is the last line of a file and nothing else. Its
//!   writer does not come back (a new start is a new writer): a reader takes a last line without a line end as never
//!   written.
//! * Lines that were not asked to be durable may be gone. What is gone is the end of a file, and never a line that a
//!   seal names: sealing makes durable what it names.
//! * Lines that tell of a meeting's end are durable before the queue forgets the meeting; a crash between the two
//!   leaves the line and runs the meeting again, so of several ends of one meeting the last counts.
//! * A kept answer that no line names, which nobody misses; a line is written after its answer is durable.
//! * A part of an answer or of a seal. Who next begins to write for the run clears it away, and so does who closes it;
//!   of a run that nobody comes back to, the next process that [starts](Evidence::tidy).
//! * A run that is closed and not sealed. A reader cannot tell this from a seal that was removed, and says so.

mod chain;
#[cfg(test)]
mod fuzz;
mod line;
mod raw;
mod read;
mod seal;
mod segments;
mod whole;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

pub use line::{
    Attempt, AttemptEnd, Controlled, Entry, FileEnd, ListedPage, MeetingEnd, MeetingVerdict, Purged, Retried,
    Selection, Stage,
};
pub use raw::{RawFault, read_raw};
pub use read::{EvidenceError, Met, files, read, read_file};
pub use seal::{Closing, Head, Seal, SealFault, Statement, read_seal};

use crate::buffer::{Buffer, BufferError, RunPlace};
use crate::run::{RecoveryRun, RunId};
use crate::signature::SigningKey;
use chain::{Chain, blocking};
use segments::Segments;

/// How many runs a start looks after.
const TIDIED: usize = 20;

/// One line, as it stands in a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    pub seq: u64,
    pub at: DateTime<Utc>,
    /// SHA-256 of the line before.
    pub prev: String,
    #[serde(flatten)]
    pub entry: Entry,
}

/// The evidence that this process writes, for as many runs as it works for.
#[derive(Clone)]
pub struct Evidence {
    buffer: Buffer,
    writer: Arc<str>,
    key: Option<Arc<SigningKey>>,
    runs: Arc<Mutex<HashMap<RunId, Arc<Writing>>>>,
}

/// A run that this process writes for.
struct Writing {
    file: WritersFile,
    /// How many lines the last seal took in.
    sealed: AtomicU64,
}

enum WritersFile {
    File(Chain),
    Objects(Segments),
}

impl Evidence {
    /// `writer` must be new at each start of a process: a file is never continued. Seals are signed with `key`.
    pub fn new(buffer: Buffer, writer: &str, key: Option<Arc<SigningKey>>) -> Self {
        Self { buffer, writer: writer.into(), key, runs: Arc::default() }
    }

    /// Appends entries to a run's record.
    pub async fn append(&self, run: &RunId, entries: Vec<Entry>) -> Result<(), BufferError> {
        self.writing(run).await?.append(entries).await?;
        Ok(())
    }

    /// Appends entries, and returns once they are durable. Callers at the same time share an `fsync`, or a request.
    pub async fn append_durably(&self, run: &RunId, entries: Vec<Entry>) -> Result<(), BufferError> {
        let writing = self.writing(run).await?;
        let lines = writing.append(entries).await?;
        writing.sync(lines).await
    }

    /// Keeps an answer of Zoom, durably; answers the name by which a line can speak of it.
    pub async fn keep_raw(
        &self,
        run: &RunId,
        answer: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<String, BufferError> {
        match self.buffer.run_place(run).await? {
            RunPlace::Folder(folder) => {
                blocking(&folder.clone(), move || raw::keep(&folder, answer.as_ref())).await
            }
            RunPlace::Objects(objects) => raw::keep_object(&objects, answer.as_ref()).await,
        }
    }

    /// Writes the run's closing line, seals the record, and forgets the run.
    pub async fn close(&self, run: &RecoveryRun, because: Option<String>) -> Result<(), BufferError> {
        let heads = self.heads(&run.id).await?;
        let closing = Closing { state: run.state, counts: run.counts };
        let Closing { state, counts } = closing.clone();
        let line = Entry::Closed { state, counts, unproven: run.unproven.clone(), because, heads };
        self.append_durably(&run.id, vec![line]).await?;
        self.runs.lock().await.remove(&run.id);
        self.seal(&run.id, Some(closing)).await?;
        match self.buffer.run_place(&run.id).await? {
            RunPlace::Folder(folder) => clear_dead_parts(folder).await,
            RunPlace::Objects(_) => Ok(()),
        }
    }

    /// Seals what this process wrote since the last call, and closes the files of runs that were quiet since. To be
    /// called now and then, and at the end of a process.
    pub async fn tend(&self) -> Result<(), BufferError> {
        let runs: Vec<_> =
            self.runs.lock().await.iter().map(|(run, file)| (run.clone(), Arc::clone(file))).collect();
        for (run, writing) in runs {
            let lines = writing.lines().await;
            if writing.sealed.swap(lines, Ordering::SeqCst) == lines {
                self.runs.lock().await.remove(&run);
            } else if let Err(error) = self.seal(&run, None).await {
                writing.sealed.store(0, Ordering::SeqCst);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Clears away the parts that dead processes left in the newest runs: older ones were seen to by earlier starts.
    /// Parts of the living are left alone.
    pub async fn tidy(&self) -> Result<(), BufferError> {
        if matches!(self.buffer, Buffer::Objects(_)) {
            // There an object is whole, or it is not there.
            return Ok(());
        }
        for run in self.buffer.runs().await?.iter().rev().take(TIDIED) {
            if let Some(folder) = self.buffer.run_record(run).await? {
                clear_dead_parts(folder.to_path_buf()).await?;
            }
        }
        Ok(())
    }

    async fn seal(&self, run: &RunId, closed: Option<Closing>) -> Result<(), BufferError> {
        let heads = self.heads(run).await?;
        let statement = Statement::new(run, &self.writer, closed, heads);
        let key = self.key.clone();
        match self.buffer.run_place(run).await? {
            RunPlace::Folder(folder) => {
                blocking(&folder.clone(), move || statement.write(&folder, key.as_deref())).await
            }
            RunPlace::Objects(objects) => {
                let sealed = statement.seal(key.as_deref());
                let failed = |detail| BufferError::Failed { path: "a seal".to_owned(), detail };
                let (name, text) = sealed.map_err(|error| failed(error.to_string()))?;
                objects.replace(&name, text.into()).await
            }
        }
    }

    /// Of all files of the run, with all that this process wrote.
    async fn heads(&self, run: &RunId) -> Result<Vec<Head>, BufferError> {
        match self.buffer.run_place(run).await? {
            RunPlace::Folder(folder) => blocking(&folder.clone(), move || seal::heads(&folder)).await,
            RunPlace::Objects(objects) => {
                let writing = self.runs.lock().await.get(run).map(Arc::clone);
                if let Some(writing) = writing {
                    writing.sync(writing.lines().await).await?;
                }
                seal::object_heads(&objects).await
            }
        }
    }

    async fn writing(&self, run: &RunId) -> Result<Arc<Writing>, BufferError> {
        let mut runs = self.runs.lock().await;
        if let Some(writing) = runs.get(run).filter(|writing| !writing.has_failed()) {
            return Ok(Arc::clone(writing));
        }
        let file = match self.buffer.run_place(run).await? {
            RunPlace::Folder(folder) => {
                clear_dead_parts(folder.clone()).await?;
                WritersFile::File(Chain::begin(folder, run, &self.writer).await?)
            }
            RunPlace::Objects(objects) => {
                WritersFile::Objects(Segments::begin(objects, run, &self.writer).await?)
            }
        };
        let writing = Arc::new(Writing { file, sealed: AtomicU64::new(0) });
        runs.insert(run.clone(), Arc::clone(&writing));
        Ok(writing)
    }
}

impl Writing {
    async fn append(&self, entries: Vec<Entry>) -> Result<u64, BufferError> {
        match &self.file {
            WritersFile::File(chain) => chain.append(entries).await,
            WritersFile::Objects(segments) => segments.append(entries).await,
        }
    }

    async fn sync(&self, lines: u64) -> Result<(), BufferError> {
        match &self.file {
            WritersFile::File(chain) => chain.sync(lines).await,
            WritersFile::Objects(segments) => segments.sync(lines).await,
        }
    }

    async fn lines(&self) -> u64 {
        match &self.file {
            WritersFile::File(chain) => chain.lines(),
            WritersFile::Objects(segments) => segments.lines().await,
        }
    }

    fn has_failed(&self) -> bool {
        match &self.file {
            WritersFile::File(chain) => chain.has_failed(),
            WritersFile::Objects(_) => false,
        }
    }
}

async fn clear_dead_parts(folder: PathBuf) -> Result<(), BufferError> {
    blocking(&folder.clone(), move || {
        whole::clear_dead(&folder)?;
        whole::clear_dead(&folder.join("raw"))
    })
    .await
}
