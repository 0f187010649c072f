//! `GET /v2/archive_files`.
//!
//! Documented: pages of at most 300 (30 by default), a page token that lives 15 minutes and is bound to all
//! other parameters and to the returned `to`, an empty token on the last page. Assumed: the order (rising by
//! the time that was asked for), and that `total_records` counts the whole list.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::window::{Params, Window, invalid};
use super::wire::{MeetingWire, rfc3339};
use super::{Call, Refusal, answer, error};
use crate::chance::{between, digest};
use crate::connections::Wire;
use crate::counts::{Endpoint, PageRequest};
use crate::faults::Fault;
use crate::limits::Category;
use crate::state::Shared;

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "Zoom's names")]
struct Page<'a> {
    from: String,
    to: String,
    page_size: u32,
    total_records: usize,
    next_page_token: String,
    meetings: Vec<MeetingWire<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Start,
    Completion,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "meeting_start_time",
            Self::Completion => "archive_complete_time",
        }
    }
}

/// What the page token is bound to.
#[derive(Debug, Clone, Copy)]
struct Search {
    window: Window,
    by: By,
    page_size: u32,
}

impl Search {
    fn read(params: &Params) -> Result<Self, Refusal> {
        let by = match params.get("query_date_type").map(String::as_str) {
            None | Some("" | "meeting_start_time") => By::Start,
            Some("archive_complete_time") => By::Completion,
            Some(_) => return Err(invalid("query_date_type", "The value is not in the enumeration.")),
        };
        let page_size = match params.get("page_size").filter(|text| !text.is_empty()) {
            None => 30,
            Some(text) => text
                .parse()
                .ok()
                .filter(|size| (1..=300).contains(size))
                .ok_or_else(|| invalid("page_size", "The value must be between 1 and 300."))?,
        };
        Ok(Self { window: Window::read(params)?, by, page_size })
    }

    fn signature(&self, shared: &Shared, offset: usize, minted: i64) -> String {
        let Self { window, by, page_size } = self;
        let text = format!("{offset} {minted} {} {} {} {page_size}", window.from, window.to, by.name());
        shared.sign(&text)
    }

    fn token(&self, shared: &Shared, offset: usize) -> String {
        let minted = Utc::now().timestamp();
        format!("{offset:x}.{minted:x}.{}", self.signature(shared, offset, minted))
    }

    /// The place in the list that a token stands for; `None` if it is not for this search, or too old.
    fn offset(&self, shared: &Shared, token: &str) -> Option<usize> {
        let mut parts = token.split('.');
        let offset = usize::from_str_radix(parts.next()?, 16).ok()?;
        let minted = i64::from_str_radix(parts.next()?, 16).ok()?;
        let age = (Utc::now().timestamp() - minted).unsigned_abs();
        let fresh = age < shared.catalogue.scenario.page_token_lifetime_s;
        (fresh && parts.next()? == self.signature(shared, offset, minted)).then_some(offset)
    }

    /// One page of meetings and the length of the whole list.
    fn page(&self, shared: &Shared, offset: usize) -> (Vec<u32>, usize) {
        let Window { from, to } = self.window;
        let size = usize::try_from(self.page_size).unwrap_or(usize::MAX);
        match self.by {
            By::Start => {
                let all = shared.catalogue.started_within(from, to);
                (all.clone().skip(offset).take(size).collect(), all.len())
            }
            By::Completion => {
                let early = shared.catalogue.completed_within(from, to);
                let late = shared.progress.completed_within(from, to);
                let rest = late.iter().skip(offset.saturating_sub(early.len()));
                (
                    early.iter().skip(offset).chain(rest).take(size).copied().collect(),
                    early.len() + late.len(),
                )
            }
        }
    }
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let token = params.get("next_page_token").filter(|token| !token.is_empty()).cloned();
    let period = digest(0, &format!("{:?} {:?}", params.get("from"), params.get("query_date_type")));
    let call = Call {
        endpoint: Endpoint::List,
        entity: digest(
            period,
            token.as_deref().and_then(|token| token.split('.').next()).unwrap_or_default(),
        ),
        scope: "archiving:read:list_archived_files:admin",
        category: Category::Medium,
    };
    let fault = shared.enter(&call, &headers, &wire, |fault| match fault {
        Fault::PageTokenExpired => token.is_some() && shared.mischief.may_restart(period),
        Fault::Duplicates => token.is_some(),
        Fault::ShiftedRange => token.is_none(),
        _ => true,
    })?;
    let mut search = Search::read(&params)?;
    count(&shared, &search, token.is_none());
    if fault == Some(Fault::ShiftedRange) {
        search.window = search.window.shortened();
    }
    if fault == Some(Fault::PageTokenExpired) {
        shared.mischief.restarted(period);
        return Err(bad_token().into());
    }
    let mut offset = match &token {
        Some(token) => search.offset(&shared, token).ok_or_else(bad_token)?,
        None => 0,
    };
    if fault == Some(Fault::Duplicates) {
        offset -= offset.min(usize::try_from(between(shared.mischief.choice(), 1, 3)).unwrap_or(1));
    }
    // Fingerprints may have to be worked out, megabytes for each meeting of the page.
    let page = tokio::task::spawn_blocking(move || render(&shared, &search, offset, fault));
    Ok(page.await.expect("a page can be rendered"))
}

fn render(shared: &Shared, search: &Search, offset: usize, fault: Option<Fault>) -> Response {
    let (mut indexes, total) = search.page(shared, offset);
    if fault == Some(Fault::ShortPage) {
        indexes.truncate((indexes.len() / 2).max(1));
    }
    let next = offset + indexes.len();
    match fault {
        Some(Fault::Reordered) => indexes.reverse(),
        Some(Fault::LostEntry) => _ = indexes.pop(),
        _ => {}
    }
    let page = Page {
        from: rfc3339(search.window.from),
        to: rfc3339(search.window.to),
        page_size: search.page_size,
        total_records: total + usize::from(fault == Some(Fault::WrongTotal)),
        next_page_token: if next < total { search.token(shared, next) } else { String::new() },
        meetings: indexes.into_iter().map(|index| MeetingWire::new(shared, index)).collect(),
    };
    answer(&page, fault)
}

fn bad_token() -> Response {
    error(StatusCode::BAD_REQUEST, 300, "The next page token is invalid or expired.")
}

fn count(shared: &Shared, search: &Search, first: bool) {
    let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    let (from, to) = (time(search.window.from), time(search.window.to));
    let page = PageRequest { from, to, query_date_type: search.by.name(), first };
    shared.ledger.write(|counts| counts.pages.push(page));
}
