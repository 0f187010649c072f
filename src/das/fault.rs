//! What a client is told when the contact database is in the way.

use axum::http::StatusCode;
use recapture_core::contacts::ContactsError;

use crate::web::problem::Problem;

impl From<ContactsError> for Problem {
    /// What the client can put right is told to it. The rest is told to whoever runs the service, here: a path or an
    /// address of the database is not the client's business.
    fn from(error: ContactsError) -> Self {
        match error {
            ContactsError::NotAContact { .. } | ContactsError::NotACursor => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
            }
            ContactsError::Unreachable { .. }
            | ContactsError::Late { .. }
            | ContactsError::Unauthorized { .. }
            | ContactsError::LogInRefused { .. }
            | ContactsError::NotOffered { .. }
            | ContactsError::Refused { .. }
            | ContactsError::Server { .. }
            | ContactsError::Unreadable { .. }
            | ContactsError::Denied { .. }
            | ContactsError::Busy { .. }
            | ContactsError::Full { .. }
            | ContactsError::Unwritable { .. }
            | ContactsError::Corrupt { .. }
            | ContactsError::Failed { .. } => {
                tracing::error!("{error}");
                let detail = "the contact database cannot be used now; the log of this service says why";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            }
        }
    }
}
