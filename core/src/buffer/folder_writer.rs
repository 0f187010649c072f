//! Writing one file of a folder buffer: under a part name, hashed on the way, verified by the caller, then durable, then renamed.
//!
//! The file's work is done on blocking threads in pieces of [`PIECE`], so that a slow disk never holds up the
//! network's threads, and a writer holds at most two pieces of memory whatever the file's size.
//!
//! A file that is smaller than a piece never gets so far: it stays in memory, where it is hashed, until it gets its name.
//! Then it is made, written, made durable and renamed in one go, and its neighbours with it: `folder_names.rs`.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::error::BufferError;
use super::folder::{create_folders, create_new};
use crate::digest::{Hasher, sha256};
use crate::failpoint;

/// Large enough that handing over to another thread does not count, small enough for a hundred downloads at once.
const PIECE: usize = 256 << 10;

/// A file on its way. Dropping it removes the part.
#[derive(Debug)]
pub(super) struct FolderWriter {
    final_path: PathBuf,
    part: PathBuf,
    abandoned: Arc<AtomicBool>,
    inner: Option<Inner>,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    /// A write failed: what of it is in the part is not known, and nothing but a new beginning helps.
    failed: bool,
    named: bool,
}

struct Inner {
    part: PathBuf,
    /// Made when there is something to write.
    file: Option<File>,
    hasher: Hasher,
    /// The writer is dropped: perhaps while a step on disk made the part that it would have removed.
    abandoned: Arc<AtomicBool>,
}

impl Inner {
    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            create_folders(self.part.parent().unwrap_or(Path::new(".")))?;
        }
        self.file_in_its_folder()
    }

    fn file_in_its_folder(&mut self) -> io::Result<&mut File> {
        let file = if let Some(file) = self.file.take() {
            file
        } else {
            let file = create_new(&self.part)?;
            failpoint::reach("part-created");
            file
        };
        Ok(self.file.insert(file))
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("file", &self.file).finish_non_exhaustive()
    }
}

impl FolderWriter {
    pub(super) fn new(final_path: PathBuf, part: PathBuf) -> Self {
        let abandoned = Arc::new(AtomicBool::new(false));
        Self {
            final_path,
            inner: Some(Inner {
                part: part.clone(),
                file: None,
                hasher: Hasher::default(),
                abandoned: Arc::clone(&abandoned),
            }),
            part,
            abandoned,
            waiting: Vec::new(),
            waiting_bytes: 0,
            failed: false,
            named: false,
        }
    }

    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), BufferError> {
        self.waiting_bytes += bytes.len();
        self.waiting.push(bytes);
        if self.waiting_bytes >= PIECE { self.flush(false).await } else { Ok(()) }
    }

    pub(super) fn sha256(&self) -> String {
        let mut hasher = self.inner.as_ref().map(|inner| inner.hasher.clone()).unwrap_or_default();
        self.waiting.iter().for_each(|piece| hasher.update(piece));
        hasher.finish()
    }

    /// Begins anew: the server would not continue.
    pub(super) async fn restart(&mut self) -> Result<(), BufferError> {
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.failed = false;
        self.on_disk(|inner| {
            inner.hasher = Hasher::default();
            let Some(file) = &mut inner.file else { return Ok(()) };
            file.set_len(0)?;
            file.rewind()
        })
        .await
    }

    /// Writes the rest and makes the part durable, unless all of it is small enough to wait in memory for its name.
    pub(super) async fn finish(&mut self) -> Result<String, BufferError> {
        if self.in_memory().is_some() && !self.failed {
            // Copied together: a piece of a few bytes may keep the connection's whole buffer.
            let mut whole = Vec::with_capacity(self.waiting_bytes);
            self.waiting.drain(..).for_each(|piece| whole.extend_from_slice(&piece));
            let sha256 = sha256(&whole);
            self.waiting.push(whole.into());
            return Ok(sha256);
        }
        self.flush(true).await?;
        let hasher = self.inner.as_ref().map(|inner| inner.hasher.clone()).unwrap_or_default();
        Ok(hasher.finish())
    }

    async fn flush(&mut self, durable: bool) -> Result<(), BufferError> {
        let pieces = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.on_disk(move |inner| {
            inner.file()?;
            for piece in pieces {
                inner.hasher.update(&piece);
                inner.file()?.write_all(&piece)?;
            }
            failpoint::reach(if durable { "before-fsync" } else { "body" });
            if durable {
                inner.file()?.sync_data()?;
                failpoint::reach("after-fsync");
            }
            Ok(())
        })
        .await
    }

    async fn on_disk<F>(&mut self, work: F) -> Result<(), BufferError>
    where
        F: FnOnce(&mut Inner) -> io::Result<()> + Send + 'static,
    {
        let failed = |detail: &str| BufferError::Failed {
            path: self.part.display().to_string(),
            detail: detail.to_owned(),
        };
        if self.failed {
            return Err(failed("an earlier write failed"));
        }
        let Some(mut inner) = self.inner.take() else {
            return Err(failed("an earlier write was given up"));
        };
        let (inner, done) = tokio::task::spawn_blocking(move || {
            let done = work(&mut inner);
            if inner.abandoned.load(Ordering::SeqCst) {
                remove(&inner.part);
            }
            (inner, done)
        })
        .await
        .map_err(|_| failed("the write was given up"))?;
        self.inner = Some(inner);
        self.failed = done.is_err();
        done.map_err(|error| BufferError::from_io(&self.part, &error))
    }

    /// Bytes of a file that waits in memory for its name.
    pub(super) fn in_memory(&self) -> Option<usize> {
        self.inner.as_ref().is_some_and(|inner| inner.file.is_none()).then_some(self.waiting_bytes)
    }

    /// Writes into the part what waited in memory for it; true if it is to be made durable. To be called on a blocking
    /// thread, as the two that follow, and in a folder that is there.
    pub(super) fn store(&mut self) -> io::Result<bool> {
        let Some(inner) = self.inner.as_mut().filter(|inner| inner.file.is_none()) else { return Ok(false) };
        let file = inner.file_in_its_folder()?;
        self.waiting.drain(..).try_for_each(|piece| file.write_all(&piece))?;
        Ok(true)
    }

    pub(super) fn make_durable(&mut self) -> io::Result<()> {
        failpoint::reach("before-fsync");
        self.inner.as_mut().map_or(Ok(()), |inner| inner.file_in_its_folder()?.sync_data())?;
        failpoint::reach("after-fsync");
        Ok(())
    }

    /// The final name. From here on readers see the file. Not found: another worker has cleared the part away.
    pub(super) fn rename(&mut self) -> io::Result<()> {
        failpoint::reach("before-rename");
        std::fs::rename(&self.part, &self.final_path)?;
        failpoint::reach("after-rename");
        self.named = true;
        Ok(())
    }

    pub(super) fn final_path(&self) -> &Path {
        &self.final_path
    }
}

impl Drop for FolderWriter {
    fn drop(&mut self) {
        if !self.named {
            // First said, then done: whichever of the two comes later, this or a step that is under way, finds the part.
            self.abandoned.store(true, Ordering::SeqCst);
            remove(&self.part);
        }
    }
}

/// A part that cannot be removed is cleared away by the meeting's next try.
fn remove(part: &Path) {
    let _ = std::fs::remove_file(part);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use futures_util::FutureExt;

    use super::*;

    /// A handler that loses its lease is dropped while its last step on disk goes on.
    #[test]
    fn whoever_is_dropped_in_a_step_leaves_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let mut under_way = 0;
        for _ in 0..200 {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let mut writer = FolderWriter::new(folder.path().join("a.mp4"), folder.path().join("a.part"));
                writer.write(Bytes::from(vec![7; PIECE - 1])).await.unwrap();
                under_way +=
                    u32::from(writer.write(Bytes::from_static(b"the rest")).now_or_never().is_none());
            });
            // Ends with the step.
            drop(runtime);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
        // Now and then a step ends before anybody looks.
        assert!(under_way > 0, "no step was under way");
    }
}
