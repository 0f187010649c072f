//! The folders of rows. One that is done is emptied, and its names are kept until everything is measured: ext4 gives no
//! new file a place that was deleted in the last minutes, and looks at all of those first, one after the other. Where
//! thousands had just been deleted that took a third of the processor, from whichever row came next.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

use crate::Fault;

static DONE: Mutex<Vec<TempDir>> = Mutex::new(Vec::new());

/// A folder for one row, on the disk that cargo builds on; its room is given back when this is dropped.
pub(crate) struct Place(Option<TempDir>);

impl Place {
    pub(crate) fn new() -> Result<Self, Fault> {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), Into::into);
        Ok(Self(Some(tempfile::Builder::new().prefix("bench-recovery-").tempdir_in(target)?)))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(folder) = self.0.take() {
            if let Err(error) = empty(folder.path()) {
                eprintln!("{} is not emptied: {error}", folder.path().display());
            }
            DONE.lock().unwrap_or_else(PoisonError::into_inner).push(folder);
        }
    }
}

/// Gives the room back, and leaves the names.
fn empty(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            empty(&entry.path())?;
        } else {
            OpenOptions::new().write(true).open(entry.path())?.set_len(0)?;
        }
    }
    Ok(())
}

/// Removes what rows have left.
pub(crate) fn clear() {
    DONE.lock().unwrap_or_else(PoisonError::into_inner).clear();
}
