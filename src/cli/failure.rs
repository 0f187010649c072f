//! Why a command could not do what it was asked: the message and the exit code.

use std::process::ExitCode;

use recapture_core::buffer::BufferError;
use recapture_core::queue::QueueError;
use recapture_worker::OpenError;

#[derive(Debug)]
pub enum Failure {
    /// Configuration, credentials, a service out of reach.
    CouldNotRun(String),
    WrongArguments(String),
}

impl Failure {
    #[allow(clippy::print_stderr, reason = "the last words of a command")]
    pub fn tell(&self) -> ExitCode {
        let (message, code) = match self {
            Self::CouldNotRun(message) => (message, 1),
            Self::WrongArguments(message) => (message, 2),
        };
        eprintln!("recapture: {message}");
        ExitCode::from(code)
    }
}

macro_rules! could_not_run {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::CouldNotRun(error.to_string())
            }
        })+
    };
}

could_not_run!(OpenError, QueueError, BufferError, std::io::Error);
