//! What a client is told when something of ours is in the way: what it can put right, and of the rest that the log says
//! why. A path or an address is not the client's business.

use axum::http::StatusCode;
use recapture_core::buffer::BufferError;
use recapture_core::queue::QueueError;

use crate::control::ControlError;
use crate::producer::ProducerError;
use crate::recovery::RecoveryError;
use crate::report::ReportError;
use crate::serve::recoveries::BeginError;
use crate::web::problem::Problem;

/// What is told of the queue.
pub(in crate::serve) fn queue_fault(error: &QueueError) -> Problem {
    match error {
        QueueError::UnknownRun(run) => Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is no recovery {run}; GET /v1/recoveries lists them"),
        ),
        QueueError::RunOver { .. } => Problem::new(StatusCode::CONFLICT, error.to_string()),
        other => unavailable("the queue", other),
    }
}

fn unavailable(what: &str, error: &dyn std::error::Error) -> Problem {
    tracing::error!("{error}");
    let detail = format!("{what} cannot be used now; the log of this service says why");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        queue_fault(&error)
    }
}

impl From<BufferError> for Problem {
    fn from(error: BufferError) -> Self {
        unavailable("the capture buffer", &error)
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Queue(error) => error.into(),
            ControlError::Evidence(error) => error.into(),
        }
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Queue(error) => error.into(),
            ReportError::Buffer(error) => error.into(),
        }
    }
}

impl From<RecoveryError> for Problem {
    fn from(error: RecoveryError) -> Self {
        match error {
            RecoveryError::Queue(error) => error.into(),
            RecoveryError::Buffer(error) => error.into(),
            RecoveryError::RunLost(_) => unavailable("the queue", &error),
        }
    }
}

impl From<BeginError> for Problem {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::Recovery(error) => error.into(),
            BeginError::OtherRequest(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            BeginError::TooMany | BeginError::Stopping => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
        }
    }
}

impl From<ProducerError> for Problem {
    /// Of a dry run. What Zoom and the platform say is what the client wants to know.
    fn from(error: ProducerError) -> Self {
        match error {
            ProducerError::Queue(error) => error.into(),
            ProducerError::Evidence(error) => error.into(),
            ProducerError::Zoom(_) | ProducerError::Contacts(_) => {
                tracing::warn!("{error}");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("{error}; nothing was changed"))
            }
            ProducerError::Interrupted | ProducerError::DutyLost => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "the service is stopping; nothing was changed")
            }
        }
    }
}
