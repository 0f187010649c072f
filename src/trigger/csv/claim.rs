//! Taking a file: one process at a time, and a dead one's file is taken over.
//!
//! The lock is on a file of its own beside the input (`.ids.csv.taken`), so that the input keeps its name while its
//! rows are open. It outlives its process: it names the run that has the rows, and since when the file is worked on.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use recapture_core::period::{parse_instant, stamp};
use recapture_core::run::RunId;

use super::error::CsvError;
use super::rows::{Row, Rows};
use crate::producer::Asked;

const SUFFIX: &str = ".taken";

/// How many rejected rows are told of one by one.
const SHOWN: usize = 5;

/// A file that is this process's alone, until it is dropped.
#[derive(Debug)]
pub struct Claim {
    pub(super) path: PathBuf,
    marker: PathBuf,
    lock: Lock,
    earlier: Option<RunId>,
    /// When it was first assigned to a run.
    since: Option<DateTime<Utc>>,
}

/// What a file asks for.
#[derive(Debug, Default)]
pub struct Content {
    /// Each once, in the order of their rows.
    pub asked: Vec<Asked>,
    pub rows: u64,
    pub rejected: u64,
    /// The first rejected rows.
    pub examples: Vec<Row>,
    pub sha256: String,
}

impl Content {
    /// Reads a file to its end.
    pub fn read(path: &Path) -> Result<Self, CsvError> {
        File::open(path).and_then(Self::of).map_err(CsvError::unreadable(path))
    }

    /// Reads what came from elsewhere than a file of ours.
    pub fn of(source: impl Read) -> io::Result<Self> {
        let mut rows = Rows::new(source)?;
        let (mut content, mut known) = (Self::default(), HashSet::new());
        for row in rows.by_ref() {
            let row = row?;
            content.rows += 1;
            match &row.asked {
                Ok(asked) if known.insert(asked.clone()) => content.asked.push(asked.clone()),
                Ok(_) => {}
                Err(_) => {
                    content.rejected += 1;
                    if content.examples.len() < SHOWN {
                        content.examples.push(row);
                    }
                }
            }
        }
        content.sha256 = rows.sha256();
        Ok(content)
    }
}

impl Claim {
    /// Takes a file; `None` if another process has it, or it is gone.
    pub fn take(path: &Path) -> Result<Option<Self>, CsvError> {
        let marker = marker(path);
        let Some(mut lock) = lock(&marker)? else { return Ok(None) };
        if !path.exists() {
            clear(&marker);
            return Ok(None);
        }
        let mut text = String::new();
        // What cannot be read names no run.
        let _ = lock.0.read_to_string(&mut text);
        let mut lines = text.lines();
        let earlier = lines.next().and_then(|run| RunId::parse(run.trim()).ok());
        let since = lines.next().and_then(|since| parse_instant(since.trim()).ok());
        Ok(Some(Self { path: path.to_owned(), marker, lock, earlier, since }))
    }

    /// The file's name, for people.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The run that an earlier process recovered the rows for.
    pub fn earlier(&self) -> Option<&RunId> {
        self.earlier.as_ref()
    }

    /// When an earlier process first recovered rows of it.
    pub fn since(&self) -> Option<DateTime<Utc>> {
        self.since
    }

    pub fn read(&self) -> Result<Content, CsvError> {
        Content::read(&self.path)
    }

    /// From now on the rows are recovered for this run.
    pub fn assign(&mut self, run: &RunId) -> Result<(), CsvError> {
        let since = *self.since.get_or_insert_with(Utc::now);
        let write = || {
            let mut marker = &self.lock.0;
            marker.set_len(0)?;
            marker.rewind()?;
            write!(marker, "{run}\n{}\n", stamp(since))?;
            marker.sync_data()
        };
        write().map_err(CsvError::unwritable(&self.marker))?;
        self.earlier = Some(run.clone());
        Ok(())
    }

    /// The input is gone from its place: nothing is taken any more.
    pub(super) fn end(&self) {
        clear(&self.marker);
    }
}

/// A locked file. It is unlocked, not merely closed: a program that this process is just starting has a copy of every
/// descriptor for a moment, and would hold the lock as long.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing it does the same, a moment later.
        let _ = self.0.unlock();
    }
}

fn marker(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(SUFFIX);
    path.with_file_name(name)
}

/// Locks the marker, which is created if need be; `None` if another process holds it.
fn lock(marker: &Path) -> Result<Option<Lock>, CsvError> {
    let unwritable = CsvError::unwritable(marker);
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(marker)
            .map_err(&unwritable)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
            Ok(()) => {}
        }
        // Between opening and locking its former holder may have finished and removed it.
        let ours = file.metadata().map_err(&unwritable)?.ino();
        if fs::metadata(marker).is_ok_and(|there| there.ino() == ours) {
            return Ok(Some(Lock(file)));
        }
    }
}

/// Removes the marker of a file that was moved by a process which died right after it.
pub(super) fn clear_orphan(entry: &Path) {
    let name = entry.file_name().unwrap_or_default().to_string_lossy();
    let Some(input) = name.strip_prefix('.').and_then(|name| name.strip_suffix(SUFFIX)) else { return };
    if !entry.with_file_name(input).exists()
        && let Ok(Some(_lock)) = lock(entry)
        && !entry.with_file_name(input).exists()
    {
        clear(entry);
    }
}

/// What stays is removed by the next look at the folder.
fn clear(marker: &Path) {
    let _ = fs::remove_file(marker);
}
