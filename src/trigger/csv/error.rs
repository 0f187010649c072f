//! Why a file of meetings cannot be worked on.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    #[error("{} is not there", .0.display())]
    NotThere(PathBuf),
    #[error("{path} cannot be read: {detail}. Nothing was changed")]
    Unreadable { path: String, detail: String },
    #[error(
        "{path} cannot be written: {detail}. Check that its folder belongs to this user and has room; no row is lost, and the same command goes on"
    )]
    Unwritable { path: String, detail: String },
    #[error("{} holds files that are finished; point csv.processed and csv.rejected to other folders than the one with new files", .0.display())]
    OwnFolder(PathBuf),
}

impl CsvError {
    pub(super) fn unreadable(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |error| match error.kind() {
            io::ErrorKind::NotFound => Self::NotThere(path.to_owned()),
            _ => Self::Unreadable { path: path.display().to_string(), detail: error.to_string() },
        }
    }

    pub(super) fn unwritable(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |error| Self::Unwritable { path: path.display().to_string(), detail: error.to_string() }
    }
}
