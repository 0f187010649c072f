//! What can go wrong while a meeting is recovered, as facts. `disposition.rs` alone decides what becomes of each.

use recapture_core::buffer::BufferError;
use recapture_core::contacts::ContactsError;
use recapture_core::reason::{Cause, Reason};
use recapture_core::zoom::{DownloadError, ZoomError};

#[derive(Debug, Clone, thiserror::Error)]
pub enum StepError {
    #[error(transparent)]
    Zoom(#[from] ZoomError),
    #[error("file {file_id}: {error}")]
    Download { file_id: String, error: DownloadError },
    /// Arrived whole, but its size is not the listed one.
    #[error("file {file_id}: {got} bytes arrived, Zoom lists {listed}")]
    SizeDiffers { file_id: String, listed: u64, got: u64 },
    #[error("file {file_id}: its SHA-256 is not Zoom's fingerprint, and zoom.fingerprint is \"require\"")]
    FingerprintDiffers { file_id: String },
    #[error(transparent)]
    Buffer(#[from] BufferError),
    #[error(transparent)]
    Contacts(#[from] ContactsError),
    #[error("Zoom is still making the archive")]
    Processing,
    #[error("the lease passed to another worker")]
    LeaseLost,
    #[error("the worker is stopping")]
    Stopping,
    #[error("the job panicked: {0}. This is a defect of Recapture; please report it")]
    Panicked(String),
}

impl StepError {
    /// The reason and the evidence, for the books.
    pub fn cause(&self) -> Cause {
        let reason = match self {
            Self::Zoom(error) => return error.cause(),
            Self::Download { error, .. } => {
                return Cause { detail: self.to_string(), ..error.cause() };
            }
            Self::Buffer(error) => return error.cause(),
            Self::Contacts(error) => return error.cause(),
            Self::SizeDiffers { .. } => Reason::Truncated,
            Self::FingerprintDiffers { .. } => Reason::FingerprintDiffers,
            Self::Processing => Reason::ArchiveProcessing,
            Self::LeaseLost => Reason::LeaseLost,
            Self::Stopping => Reason::Draining,
            Self::Panicked(_) => Reason::Panicked,
        };
        Cause::new(reason, self.to_string())
    }
}
