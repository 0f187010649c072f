//! One writer's file of one run: lines that follow from each other, and who waits for them to be durable.
//!
//! Lines are written under a lock, one `write` for a batch. `fsync` has a lock of its own: whoever holds it makes
//! durable all that was written when it began, so those that wait behind it mostly find their lines durable already,
//! and many writers at once cost few `fsync`s.
//!
//! A write or `fsync` that failed ends the file: what of it is on disk is not known any more, and a second `fsync`
//! that succeeds would prove nothing. The next line begins a new file.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::Utc;
use tokio::sync::Mutex;

use super::{Entry, Line};
use crate::buffer::BufferError;
use crate::digest;
use crate::failpoint;
use crate::run::RunId;

/// The hash that the first line of a file names as the one before it.
pub(super) fn root(run: &RunId, stem: &str) -> String {
    digest::sha256(format!("{run}/{stem}").as_bytes())
}

#[derive(Debug)]
pub(super) struct Chain {
    path: PathBuf,
    file: Arc<File>,
    end: Arc<Mutex<End>>,
    /// Lines that stand in the file, and how many of them are durable.
    written: AtomicU64,
    durable: Mutex<Durable>,
    failed: AtomicBool,
}

#[derive(Debug, Default)]
struct Durable {
    lines: u64,
    /// How many `fsync`s it took.
    syncs: u64,
}

/// Where the next line follows.
#[derive(Debug)]
pub(super) struct End {
    pub(super) seq: u64,
    pub(super) prev: String,
}

impl Chain {
    /// Begins a file of its own: `<writer>.jsonl`, or `<writer>.1.jsonl` and so on if this process wrote for the run
    /// before.
    pub(super) async fn begin(folder: PathBuf, run: &RunId, writer: &str) -> Result<Self, BufferError> {
        let (run, writer, shown) = (run.clone(), writer.to_owned(), folder.clone());
        blocking(&shown, move || {
            for part in 0_u32.. {
                let stem = if part == 0 { writer.clone() } else { format!("{writer}.{part}") };
                let path = folder.join(format!("{stem}.jsonl"));
                let opened =
                    std::fs::OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path);
                let file = match opened {
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                    other => other?,
                };
                // The file's own name; its lines follow when somebody asks for it.
                File::open(&folder)?.sync_all()?;
                let end = Arc::new(Mutex::new(End { seq: 0, prev: root(&run, &stem) }));
                return Ok(Self {
                    path,
                    file: Arc::new(file),
                    end,
                    written: AtomicU64::new(0),
                    durable: Mutex::default(),
                    failed: AtomicBool::new(false),
                });
            }
            Err(std::io::Error::other("no name is free"))
        })
        .await
    }

    /// Appends entries; answers how many lines the file has now.
    pub(super) async fn append(&self, entries: Vec<Entry>) -> Result<u64, BufferError> {
        // The lock goes along to the thread that writes: a caller that gives up must not let the next one in early.
        let mut end = Arc::clone(&self.end).lock_owned().await;
        let file = Arc::clone(&self.file);
        let written = blocking(&self.path, move || {
            end.write(&file, entries)?;
            failpoint::reach("lines-written");
            Ok(end.seq)
        })
        .await;
        match written {
            Ok(lines) => {
                self.written.fetch_max(lines, Ordering::SeqCst);
                Ok(lines)
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Returns once the first `lines` lines are durable.
    pub(super) async fn sync(&self, lines: u64) -> Result<(), BufferError> {
        let mut durable = self.durable.lock().await;
        if durable.lines >= lines {
            return Ok(());
        }
        let written = self.written.load(Ordering::SeqCst);
        let file = Arc::clone(&self.file);
        match blocking(&self.path, move || file.sync_data()).await {
            Ok(()) => {
                failpoint::reach("lines-durable");
                *durable = Durable { lines: written, syncs: durable.syncs + 1 };
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    pub(super) fn lines(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    fn fail(&self, error: BufferError) -> BufferError {
        self.failed.store(true, Ordering::SeqCst);
        error
    }
}

impl End {
    /// The text of the lines that follow, which from now on are the end.
    pub(super) fn lines(&mut self, entries: Vec<Entry>) -> serde_json::Result<Vec<u8>> {
        let mut text = Vec::new();
        let (mut seq, mut prev) = (self.seq, self.prev.clone());
        for entry in entries {
            let line = Line { seq, at: Utc::now(), prev, entry };
            let start = text.len();
            serde_json::to_writer(&mut text, &line)?;
            prev = digest::sha256(&text[start..]);
            text.push(b'\n');
            seq += 1;
        }
        (self.seq, self.prev) = (seq, prev);
        Ok(text)
    }

    fn write(&mut self, mut file: &File, entries: Vec<Entry>) -> std::io::Result<()> {
        let (seq, prev) = (self.seq, self.prev.clone());
        let text = self.lines(entries)?;
        let before = file.metadata()?.len();
        if let Err(error) = file.write_all(&text) {
            // Half a batch is no record: what can be taken back is, so that the file ends with a whole line.
            let _ = file.set_len(before);
            (self.seq, self.prev) = (seq, prev);
            return Err(error);
        }
        Ok(())
    }
}

pub(super) async fn blocking<T, F>(path: &Path, work: F) -> Result<T, BufferError>
where
    T: Send + 'static,
    F: FnOnce() -> std::io::Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(std::io::Error::other("the work was given up")))
        .map_err(|error| BufferError::from_io(path, &error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::evidence::{Met, read_file};
    use crate::run::RunState;

    fn entry() -> Entry {
        Entry::Closed {
            state: RunState::Completed,
            counts: crate::run::Counts::default(),
            unproven: Vec::new(),
            because: None,
            heads: Vec::new(),
        }
    }

    fn whole_lines(path: &Path, run: &RunId) -> u64 {
        let mut lines = 0;
        read_file(path, run, |met| match met {
            Met::Line { number, .. } => lines = number,
            other => panic!("{other:?}"),
        })
        .unwrap();
        lines
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn writers_at_the_same_time_share_their_fsyncs() {
        const WRITERS: u64 = 32;
        let folder = tempfile::tempdir().unwrap();
        let run = RunId::new(Utc::now());
        let chain = Arc::new(Chain::begin(folder.path().to_owned(), &run, "w").await.unwrap());
        // All have written before the first one syncs: what is measured does not depend on who is how fast.
        let all_wrote = Arc::new(tokio::sync::Barrier::new(usize::try_from(WRITERS).unwrap()));
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let (chain, all_wrote) = (Arc::clone(&chain), Arc::clone(&all_wrote));
                tokio::spawn(async move {
                    let lines = chain.append(vec![entry()]).await.unwrap();
                    all_wrote.wait().await;
                    chain.sync(lines).await.unwrap();
                    assert!(chain.durable.lock().await.lines >= lines);
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(whole_lines(&chain.path, &run), WRITERS);
        assert_eq!(chain.durable.lock().await.syncs, 1);
    }

    #[tokio::test]
    async fn a_process_that_comes_back_to_a_run_begins_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunId::new(Utc::now());
        for expected in ["w.jsonl", "w.1.jsonl", "w.2.jsonl"] {
            let chain = Chain::begin(folder.path().to_owned(), &run, "w").await.unwrap();
            chain.append(vec![entry(), entry()]).await.unwrap();
            assert_eq!(chain.path.file_name().unwrap(), expected);
            assert_eq!(whole_lines(&chain.path, &run), 2);
        }
    }
}
