//! Redis's errors as the queue's facts.

use redis::{ErrorKind, RedisError};

use crate::queue::error::QueueError;
use crate::redis::Fault;

/// What a failed call means for the queue.
pub(super) fn told(fault: Fault, place: &str) -> QueueError {
    match fault {
        Fault::Unsent(error) | Fault::Unanswered(error) | Fault::Refused(error) => fact(place, &error),
        Fault::Closed => QueueError::Closed,
    }
}

/// Something that this program wrote and cannot read back.
pub(super) fn unreadable(place: &str, what: impl std::fmt::Display) -> QueueError {
    QueueError::Corrupt { place: place.to_owned(), why: what.to_string() }
}

fn fact(place: &str, error: &RedisError) -> QueueError {
    let (place, why) = (place.to_owned(), error.to_string());
    match (error.code(), error.kind()) {
        (Some("OOM"), _) => QueueError::Full { place },
        (Some("READONLY" | "MISCONF" | "NOREPLICAS"), _) => QueueError::Unwritable { place, why },
        (Some("NOPERM" | "NOAUTH" | "WRONGPASS"), _) | (_, ErrorKind::AuthenticationFailed) => {
            QueueError::Refused { place, why }
        }
        (Some("WRONGTYPE"), _) => QueueError::Corrupt {
            place,
            why: "a key of the queue is of another type; something else writes to it".to_owned(),
        },
        (Some("LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "ASK" | "MOVED" | "BUSY"), _)
        | (_, ErrorKind::Io | ErrorKind::Parse) => QueueError::Unreachable { place, why },
        (_, ErrorKind::RESP3NotSupported) => {
            QueueError::Unreachable { place, why: "the server is older than Redis 6".to_owned() }
        }
        (_, ErrorKind::InvalidClientConfig) => QueueError::BadUrl { why },
        _ => QueueError::Failed { place, why },
    }
}
