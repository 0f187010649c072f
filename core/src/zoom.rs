//! The port to Zoom: its token, its listing, one meeting's metadata, the control totals, and downloads.
//!
//! Each call is paced by the [`Limiter`], carries the shared token, and refreshes it once when Zoom calls it dead.
//! Nothing is retried beyond that: errors state facts ([`ZoomError`], [`DownloadError`]), and the caller's table
//! decides. No error, log line or value of this module carries a token or a signed address.

mod auth;
mod download;
mod error;
#[cfg(test)]
mod fuzz;
mod limiter;
mod refusals;
mod sharing;
mod wire;

use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::Utc;
use reqwest::header::AUTHORIZATION;
use url::Url;

pub use download::Body;
pub use error::{Answer, DownloadError, ZoomError};
pub use limiter::{LimitUse, Limiter, LongWait};
pub use sharing::Sharing;
pub use wire::{Instance, Page};

use self::refusals::Refusals;
use crate::config::{self, Category};
use crate::http;
use crate::meeting::{Meeting, MeetingUuid};
use crate::metrics;
use crate::period::{Period, stamp};
use crate::reason::{Cause, Reason};

/// The most meetings that Zoom gives in one page.
const PAGE_SIZE: &str = "300";

/// 300 meetings with 150 files each, and room.
const LARGEST_ANSWER: usize = 128 << 20;

/// How many tokens one request may use up: others may have theirs refused, and replaced, at the same time.
const MOST_REFUSALS: usize = 3;

/// Which time a query means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    StartTime,
    ArchiveTime,
}

impl Dimension {
    /// Both: an archive that is still being made has no completion time, and a long meeting's archive appears
    /// late. Neither sweep alone sees all.
    pub const BOTH: [Self; 2] = [Self::StartTime, Self::ArchiveTime];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::StartTime => "meeting_start_time",
            Self::ArchiveTime => "archive_complete_time",
        }
    }
}

/// A page as it came, for evidence, and as it was read.
#[derive(Debug, Clone)]
pub struct Listed {
    pub page: Page,
    pub raw: Bytes,
}

/// The client; one for the process.
pub struct Zoom {
    api_url: Url,
    http: reqwest::Client,
    tokens: auth::Tokens,
    limiter: Limiter,
    downloads: download::Downloads,
    request_timeout: Duration,
    refusals: Refusals,
}

impl Zoom {
    pub fn new(
        settings: &config::Zoom,
        credentials: config::Credentials,
        security: &config::Security,
        sharing: Option<Sharing>,
    ) -> Result<Self, http::HttpError> {
        let client = http::client()?;
        Ok(Self {
            api_url: settings.api_url.clone(),
            limiter: Limiter::new(|category| settings.rate(category), sharing.as_ref()),
            tokens: auth::Tokens::new(settings.oauth_url.clone(), credentials, client.clone(), sharing),
            downloads: download::Downloads {
                listed: http::download_client()?,
                unlisted: http::public_only_client()?,
                hosts: settings.download_hosts.clone(),
                // An account that is spoken to over https has no file to give in the clear.
                clear: (settings.api_url.scheme() == "http").then(|| security.clone()),
                stall: settings.stall_timeout,
            },
            request_timeout: settings.request_timeout,
            refusals: Refusals::default(),
            http: client,
        })
    }

    /// The host of a download's address, and whether `zoom.download_hosts` allows a download to begin there.
    pub fn download_host(&self, address: &str) -> Option<(String, bool)> {
        let host = Url::parse(address).ok()?.host_str()?.to_owned();
        let allowed = self.downloads.hosts.iter().any(|pattern| pattern.matches(&host));
        Some((host, allowed))
    }

    /// What this process used of the rate that it may ask at, in the last hour.
    pub fn limit_use(&self, category: Category) -> LimitUse {
        self.limiter.used(category)
    }

    /// One page of what Zoom archived in a slice of at most seven days. `to` is resent as Zoom returned it: a page
    /// token is bound to it.
    pub async fn list(
        &self,
        slice: Period,
        dimension: Dimension,
        page_token: Option<&str>,
    ) -> Result<Listed, ZoomError> {
        let mut url = self.url("archive_files");
        url.query_pairs_mut()
            .append_pair("from", &stamp(slice.from))
            .append_pair("to", &stamp(slice.to))
            .append_pair("query_date_type", dimension.as_str())
            .append_pair("page_size", PAGE_SIZE)
            .extend_pairs(page_token.map(|token| ("next_page_token", token)));
        let request = format!("GET /archive_files ({slice}, {})", dimension.as_str());
        let got = self.get(url, Category::Medium, request, page_token.is_some()).await?;
        let page = wire::read_page(&got.body).map_err(|detail| got.unreadable(detail))?;
        Ok(Listed { page, raw: got.body })
    }

    /// How many meetings Zoom itself counts in a slice (by start time, as far as is known).
    pub async fn control_total(&self, slice: Period) -> Result<Option<u64>, ZoomError> {
        let mut url = self.url("archive_files/statistics");
        url.query_pairs_mut().append_pair("from", &stamp(slice.from)).append_pair("to", &stamp(slice.to));
        let request = format!("GET /archive_files/statistics ({slice})");
        let got = self.get(url, Category::Medium, request, false).await?;
        wire::read_total(&got.body).map_err(|error| got.unreadable(error.to_string()))
    }

    /// One meeting with its files and fresh download addresses.
    pub async fn meeting(&self, uuid: &MeetingUuid) -> Result<Meeting, ZoomError> {
        match self.meeting_at(uuid, &uuid.zoom_path_segment()).await {
            // Some clients need a UUID with a single slash encoded twice; a wrong encoding looks like "not found".
            Err(ZoomError::NotFound(answer)) => match uuid.zoom_path_segment_alternative() {
                Some(segment) => self.meeting_at(uuid, &segment).await,
                None => Err(ZoomError::NotFound(answer)),
            },
            other => other,
        }
    }

    async fn meeting_at(&self, uuid: &MeetingUuid, segment: &str) -> Result<Meeting, ZoomError> {
        let url = self.url(&format!("past_meetings/{segment}/archive_files"));
        let request = format!("GET /past_meetings/{uuid}/archive_files");
        let got = self.get(url, Category::Light, request, false).await?;
        let meeting = wire::read_meeting(&got.body).map_err(|detail| got.unreadable(detail))?;
        if meeting.uuid != *uuid {
            return Err(got.unreadable(format!("it is of another meeting, {}", meeting.uuid)));
        }
        Ok(meeting)
    }

    /// The meetings that were held under a number, as far as Zoom still knows them.
    pub async fn instances(&self, number: u64) -> Result<Vec<Instance>, ZoomError> {
        let path = format!("past_meetings/{number}/instances");
        let request = format!("GET /{path}");
        let got = self.get(self.url(&path), Category::Medium, request, false).await?;
        wire::read_instances(&got.body).map_err(|detail| got.unreadable(detail))
    }

    /// Opens a file's body from `offset` on; `total` is the size seen in an earlier part.
    pub async fn open(&self, address: &str, offset: u64, total: Option<u64>) -> Result<Body, DownloadError> {
        self.downloads.open(&self.tokens, address, offset, total).await
    }

    /// The scopes that the token brings; asks for a token if there is none.
    pub async fn scopes(&self) -> Result<Vec<String>, ZoomError> {
        self.tokens.scopes().await
    }

    /// `path` is encoded already; `Url::join` would decode nothing but could be led astray by a `//`.
    fn url(&self, path: &str) -> Url {
        let mut url = self.api_url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{path}"));
        url
    }

    async fn get(
        &self,
        url: Url,
        category: Category,
        request: String,
        paging: bool,
    ) -> Result<Got, ZoomError> {
        let mut refusals = 0;
        loop {
            let token = self.tokens.get().await?;
            let waiting = Instant::now();
            self.limiter.slot(category).await.map_err(|wait| ZoomError::RateLimited {
                until: wait.until,
                daily: true,
                answer: Answer { request: request.clone(), ..Answer::default() },
            })?;
            metrics::limit_waited(waiting.elapsed());
            let sent = self.http.get(url.clone()).header(AUTHORIZATION, token.header());
            let got = self.receive(sent, &request).await;
            metrics::zoom_answered(endpoint(&url), got.as_ref().map_or(0, |got| got.status));
            let got = got?;
            if got.status == 200 {
                token.worked();
                return Ok(got);
            }
            if !got.says_token_is_dead() {
                return Err(self.refusal(got, category, paging).await);
            }
            refusals += 1;
            match self.tokens.refused(&token).await {
                auth::Refusal::OfCredentials => return Err(ZoomError::Unauthorized(got.answer)),
                auth::Refusal::OfToken if refusals > MOST_REFUSALS => {
                    return Err(ZoomError::TokenRefused(got.answer));
                }
                auth::Refusal::OfToken => {}
            }
        }
    }

    async fn receive(&self, sent: reqwest::RequestBuilder, request: &str) -> Result<Got, ZoomError> {
        let transport = |detail| ZoomError::Transport { request: request.to_owned(), detail };
        let response = sent
            .timeout(self.request_timeout)
            .send()
            .await
            .map_err(|error| transport(http::transport_words(&error)))?;
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let tracking_id = header("x-zm-trackingid");
        let daily =
            header("x-ratelimit-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("daily"));
        let status = response.status().as_u16();
        let retry_after = http::retry_after(response.headers(), Utc::now());
        let body = http::read_capped(response, LARGEST_ANSWER).await.map_err(|error| match error {
            http::HttpError::TooLarge { .. } => ZoomError::Unreadable {
                request: request.to_owned(),
                detail: error.to_string(),
                tracking_id: tracking_id.clone(),
            },
            other => transport(other.to_string()),
        })?;
        let (code, message) =
            if status == 200 { (None, String::new()) } else { wire::WireError::read(&body) };
        let answer = Answer { request: request.to_owned(), status: Some(status), code, message, tracking_id };
        Ok(Got { status, body, daily, retry_after, answer })
    }

    async fn refusal(&self, got: Got, category: Category, paging: bool) -> ZoomError {
        let Got { status, daily, retry_after, answer, .. } = got;
        match (status, answer.code) {
            (429, _) => {
                let until = retry_after.unwrap_or_else(|| Utc::now() + self.refusals.pause(Instant::now()));
                self.limiter.close(category, until).await;
                metrics::zoom_throttled(category.as_str(), daily);
                ZoomError::RateLimited { until, daily, answer }
            }
            (400 | 401 | 403, Some(4711)) => ZoomError::ScopeMissing(answer),
            // Zoom has one code for every bad parameter; with a page token it is the token that went bad.
            (400, Some(300)) if paging => ZoomError::PageTokenExpired(answer),
            // Zoom gives its reason as a code. A page without one is of a proxy, or of a host that knows nothing of it.
            (404, Some(_)) => ZoomError::NotFound(answer),
            (404, None) => ZoomError::Server { retry_after, answer },
            (400..=499, _) => ZoomError::Refused(answer),
            _ => ZoomError::Server { retry_after, answer },
        }
    }
}

/// An endpoint's name in metrics: without what tells meetings apart.
fn endpoint(url: &Url) -> &'static str {
    let path = url.path();
    match path.rsplit('/').next() {
        Some("statistics") => "statistics",
        Some("instances") => "instances",
        Some("archive_files") if path.contains("/past_meetings/") => "meeting",
        Some("archive_files") => "list",
        _ => "other",
    }
}

/// An answer of the API with a whole body.
struct Got {
    status: u16,
    body: Bytes,
    daily: bool,
    retry_after: Option<chrono::DateTime<Utc>>,
    answer: Answer,
}

impl Got {
    fn says_token_is_dead(&self) -> bool {
        self.answer.code == Some(124) || self.status == 401 && self.answer.code != Some(4711)
    }

    fn unreadable(&self, detail: String) -> ZoomError {
        ZoomError::Unreadable {
            request: self.answer.request.clone(),
            detail,
            tracking_id: self.answer.tracking_id.clone(),
        }
    }
}

impl ZoomError {
    /// The reason and the evidence, for the books.
    pub fn cause(&self) -> Cause {
        let (reason, answer) = match self {
            Self::RateLimited { answer, .. } => (Reason::Throttled, Some(answer)),
            Self::Unauthorized(answer) | Self::ScopeMissing(answer) | Self::TokenRefused(answer) => {
                (Reason::Unauthorized, Some(answer))
            }
            Self::NotFound(answer) => (Reason::Gone, Some(answer)),
            Self::PageTokenExpired(answer) | Self::Refused(answer) => (Reason::ZoomRefused, Some(answer)),
            Self::Server { answer, .. } => (Reason::ZoomError, Some(answer)),
            Self::Transport { .. } => (Reason::Network, None),
            Self::Unreadable { .. } => (Reason::ZoomUnreadable, None),
        };
        Cause {
            reason,
            detail: self.to_string(),
            status: answer.and_then(|answer| answer.status),
            code: answer.and_then(|answer| answer.code),
            tracking_id: answer.and_then(|answer| answer.tracking_id.clone()),
        }
    }
}

impl DownloadError {
    /// The reason and the evidence, for the books.
    pub fn cause(&self) -> Cause {
        let (reason, status) = match self {
            Self::Zoom(error) => return error.cause(),
            Self::ForeignHost { .. } | Self::RedirectLoop { .. } => (Reason::ForeignHost, None),
            Self::AddressExpired { status } => (Reason::ZoomRefused, Some(*status)),
            Self::Gone { status } => (Reason::Gone, Some(*status)),
            Self::Truncated { .. } => (Reason::Truncated, None),
            Self::Stalled { .. } | Self::TooSlow { .. } => (Reason::Stalled, None),
            Self::NotTheFile { .. } => (Reason::NotTheFile, None),
        };
        Cause { status, ..Cause::new(reason, self.to_string()) }
    }
}
