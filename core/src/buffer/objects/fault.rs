//! What an object store's errors mean for the buffer.

use object_store::Error;
use object_store::client::HttpError;

use crate::buffer::error::BufferError;
use crate::http;

/// The condition of a write did not hold.
pub(super) fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. })
}

pub(super) fn absent_is_none<T>(result: object_store::Result<T>) -> object_store::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        // A bucket that is not there is not the same as an object that is not there.
        Err(Error::NotFound { source, .. }) if !source.to_string().contains("NoSuchBucket") => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn fault(path: &str, error: &Error) -> BufferError {
    let (path, text) = (path.to_owned(), chain(error));
    let detail = words(&text).unwrap_or_else(|| http::root_cause(error));
    match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            BufferError::Refused { path, detail }
        }
        Error::NotFound { .. } => {
            let detail = format!("there is no such bucket or object ({detail})");
            BufferError::Refused { path, detail }
        }
        error if is_conflict(error) => BufferError::TakenOver { path },
        // The crate keeps the type of a refused request to itself; its words are all there is.
        _ => match status(&text) {
            Some(507) => BufferError::Full { path, detail },
            Some(_) if ["QuotaExceeded", "StorageFull"].iter().any(|word| text.contains(word)) => {
                BufferError::Full { path, detail }
            }
            Some(301 | 307 | 308 | 400..=499) => BufferError::Refused { path, detail },
            Some(_) => BufferError::Unreachable { path, detail },
            // How Amazon answers a question to the wrong region.
            None if text.contains("redirect without LOCATION") => BufferError::Refused { path, detail },
            None if is_transport(error) => BufferError::Unreachable { path, detail },
            None => BufferError::Failed { path, detail },
        },
    }
}

/// All that the error and its causes say.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str("; ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

fn is_transport(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if inner.is::<HttpError>() {
            return true;
        }
        cause = inner.source();
    }
    false
}

fn status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

/// The status and the code and message of the store's answer, without the request: an answer in XML, and mostly short.
fn words(text: &str) -> Option<String> {
    let between = |open: &str, close: &str| {
        let (_, rest) = text.split_once(open)?;
        Some(rest.split_once(close)?.0.chars().take(200).collect::<String>())
    };
    let status = status(text)?;
    let code = between("<Code>", "</Code>").unwrap_or_default();
    let message = between("<Message>", "</Message>").unwrap_or_default();
    Some(format!("HTTP {status} {code} {message}").trim_end().to_owned())
}
