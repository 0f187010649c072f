//! Why a call of Redis failed, as far as its connection is concerned.

use std::fmt;
use std::io;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why a call failed.
#[derive(Debug)]
pub enum Fault {
    /// It was not sent: there is no connection, and none could be made.
    Unsent(RedisError),
    /// It may have been sent, and no answer came: it may have been done.
    Unanswered(RedisError),
    /// The server refused it, and nothing was done.
    Refused(RedisError),
    Closed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent(error) => write!(f, "no connection to Redis: {error}"),
            Self::Unanswered(error) => write!(f, "Redis did not answer: {error}"),
            Self::Refused(error) => write!(f, "Redis refused: {error}"),
            Self::Closed => f.write_str("the connection to Redis is closed"),
        }
    }
}

impl std::error::Error for Fault {}

/// Whether the connection on which this was met is of no use any more: it is broken, it answered nothing in time, it
/// leads to the wrong server, or the server has forgotten who we are.
pub(super) fn ends_connection(error: &RedisError) -> bool {
    is_transport(error)
        || is_for_another(error)
        || error.kind() == ErrorKind::AuthenticationFailed
        || error.code() == Some("NOAUTH")
}

/// Whether another server is the right one: it has become the master, or has the slot.
pub(super) fn is_for_another(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::Moved | ServerErrorKind::MasterDown)
    )
}

/// Whether the call was lost with its connection.
pub(super) fn is_transport(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse)
}

pub(super) fn timed_out(what: &'static str) -> RedisError {
    io::Error::new(io::ErrorKind::TimedOut, what).into()
}
