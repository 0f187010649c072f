//! What can go wrong with the capture buffer, as facts.

use std::io;
use std::path::Path;

use crate::reason::{Cause, Reason};

#[derive(Debug, Clone, thiserror::Error)]
pub enum BufferError {
    #[error(
        "the capture buffer has no room: {path}: {detail}. Free space there, or point buffer.url elsewhere"
    )]
    Full { path: String, detail: String },
    #[error(
        "the capture buffer cannot be written: {path}: {detail}. Check that the folder exists, is a folder, and belongs to this user"
    )]
    Unwritable { path: String, detail: String },
    /// Somebody wants to read it.
    #[error("there is no capture buffer at {path}; the first recovery makes one. Is buffer.url right?")]
    Absent { path: String },
    #[error("the capture buffer failed: {path}: {detail}")]
    Failed { path: String, detail: String },
    /// The object store gave no answer, or an answer that it is not able to serve now.
    #[error(
        "the object store of the capture buffer cannot be reached: {path}: {detail}. Is buffer.endpoint right, and is it up?"
    )]
    Unreachable { path: String, detail: String },
    #[error(
        "the object store refuses: {path}: {detail}. Check buffer.url, buffer.region, and that the key may get, put, list and delete there"
    )]
    Refused { path: String, detail: String },
    /// The part was taken away: another worker holds the meeting now.
    #[error("another worker has taken over {path}")]
    TakenOver { path: String },
    #[error("{path} is no manifest that this version reads: {detail}")]
    UnreadableManifest { path: String, detail: String },
}

impl BufferError {
    pub(crate) fn from_io(path: &Path, error: &io::Error) -> Self {
        let (path, detail) = (path.display().to_string(), error.to_string());
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { path, detail }
            }
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::NotFound => Self::Unwritable { path, detail },
            _ => Self::Failed { path, detail },
        }
    }

    /// The reason and the evidence, for the books.
    pub fn cause(&self) -> Cause {
        let reason = match self {
            Self::Full { .. } => Reason::BufferFull,
            Self::Unwritable { .. }
            | Self::Absent { .. }
            | Self::Failed { .. }
            | Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::UnreadableManifest { .. } => Reason::BufferUnwritable,
            Self::TakenOver { .. } => Reason::LeaseLost,
        };
        Cause::new(reason, self.to_string())
    }
}
