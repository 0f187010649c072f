//! What can go wrong with Zoom, as facts. What becomes of each is decided elsewhere.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::period::stamp;

/// What Zoom answered, as far as it helps to understand or to ask its support.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// What was asked, without secrets: `GET /archive_files`.
    pub request: String,
    pub status: Option<u16>,
    /// Zoom's own error code.
    pub code: Option<i64>,
    pub message: String,
    /// `x-zm-trackingid`.
    pub tracking_id: Option<String>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.request)?;
        if let Some(status) = self.status {
            write!(f, " was answered {status}")?;
        }
        if let Some(code) = self.code {
            write!(f, " with code {code}")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(id) = &self.tracking_id {
            write!(f, " [tracking id {id}]")?;
        }
        Ok(())
    }
}

/// A request to Zoom's API that did not give what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ZoomError {
    #[error("Zoom's {} is reached until {}: {answer}", if *daily { "daily limit" } else { "rate limit" }, stamp(*until))]
    RateLimited { until: DateTime<Utc>, daily: bool, answer: Answer },
    /// Zoom gives no token, or several new ones in a row did not work.
    #[error(
        "Zoom refuses the credentials: {0}. Check zoom.account_id, zoom.client_id and zoom.client_secret, and that the app is activated; `recapture doctor` tests them"
    )]
    Unauthorized(Answer),
    /// This request's tokens were refused, though others work: another program may be replacing them.
    #[error(
        "Zoom no longer takes the access token: {0}. Does another program use the same Zoom app? Each new token can void the former"
    )]
    TokenRefused(Answer),
    #[error("the Zoom app lacks a scope: {0}. Add the scope to the app; it takes effect with the next token")]
    ScopeMissing(Answer),
    #[error("Zoom does not know it: {0}")]
    NotFound(Answer),
    #[error("Zoom no longer takes the page token: {0}")]
    PageTokenExpired(Answer),
    #[error("Zoom refused: {0}")]
    Refused(Answer),
    #[error("Zoom failed: {answer}")]
    Server { retry_after: Option<DateTime<Utc>>, answer: Answer },
    #[error("{request}: {detail}")]
    Transport { request: String, detail: String },
    #[error("{request}: the answer cannot be read: {detail}")]
    Unreadable { request: String, detail: String, tracking_id: Option<String> },
}

/// A download that did not give the file.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DownloadError {
    /// The API's own trouble: token, limits, 5xx.
    #[error(transparent)]
    Zoom(#[from] ZoomError),
    #[error("the download leads to {host}, which zoom.download_hosts does not allow: {why}")]
    ForeignHost { host: String, why: &'static str },
    #[error("the download was redirected more than {hops} times")]
    RedirectLoop { hops: usize },
    /// 401, 403 or 410 at a later hop, or on an address that was good before: ask the API for a new one.
    #[error("the download address is no longer good ({status})")]
    AddressExpired { status: u16 },
    /// 404: of this address. Whether of the file, the API tells.
    #[error("the file is gone ({status})")]
    Gone { status: u16 },
    #[error("the body ended after {got} bytes{}", expected.map(|n| format!(" of {n}")).unwrap_or_default())]
    Truncated { expected: Option<u64>, got: u64 },
    #[error("nothing more arrived for {seconds} s, after {got} bytes")]
    Stalled { got: u64, seconds: u64 },
    #[error("{got} bytes arrived in {seconds} s: that is no pace for a file")]
    TooSlow { got: u64, seconds: u64 },
    #[error("what arrived is not the file: {found}")]
    NotTheFile { found: String },
}
