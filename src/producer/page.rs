//! Pages as Zoom lists them: what they say of the listing, and their lines of evidence.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use recapture_core::digest;
use recapture_core::evidence::{Entry, ListedPage};
use recapture_core::meeting::Meeting;
use recapture_core::period::Period;
use recapture_core::zoom::{Dimension, Listed, Page};

use super::seen::{Distinct, Key, Seen};
use super::{Producer, ProducerError, Sink};

/// By how much our clock and Zoom's may differ without a word.
const CLOCKS_DIFFER: chrono::Duration = chrono::Duration::minutes(5);

/// What one listing of a slice showed.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) distinct: Distinct,
    /// The earliest end that a page was answered for.
    pub(super) answered_to: Option<DateTime<Utc>>,
    pub(super) newest: Option<DateTime<Utc>>,
    pub(super) total_records: Option<u64>,
    /// Zoom gave a total, be it just the page's.
    pub(super) has_total: bool,
    pub(super) faults: Vec<String>,
    /// Meetings that could not be compared, whenever that was tried.
    pub(super) indeterminate: u64,
}

/// A page that is still to be recorded.
pub(super) struct Line {
    page: ListedPage,
    raw: Bytes,
}

impl Listing {
    /// Takes over what a page says.
    pub(super) fn read(
        &mut self,
        listed: Listed,
        slice: Period,
        dimension: Dimension,
        number: u64,
    ) -> (Page, Line) {
        let Listed { page, raw } = listed;
        let from = page.from.unwrap_or(slice.from);
        let to = page.to.unwrap_or(slice.to);
        // A clock that runs a little ahead of Zoom's asks for a moment that Zoom has yet to see: nothing is missing
        // there.
        let lowered_to_now = to + CLOCKS_DIFFER >= slice.to && slice.to + CLOCKS_DIFFER >= Utc::now();
        let cut = from > slice.from || to < slice.to && !lowered_to_now;
        let ends = slice.to.min(to);
        self.answered_to = Some(self.answered_to.map_or(ends, |earlier| earlier.min(ends)));
        let shifted_to = cut.then_some(Period { from, to });
        if let Some(shifted) = shifted_to {
            self.faults.push(format!("Zoom answered for {shifted} only"));
        }
        for entry in &page.unreadable {
            self.faults.push(format!("page {number} holds {entry}"));
        }
        self.has_total |= page.total_records.is_some();
        // Whether the total is that of the page or of the whole is worded loosely: one that is just the page's says
        // nothing of the whole.
        let of_the_page = Some(page.meetings.len() as u64);
        self.total_records =
            page.total_records.filter(|_| page.total_records != of_the_page).or(self.total_records);
        let line = ListedPage {
            period: slice,
            dimension: dimension.as_str().to_owned(),
            page: number,
            meetings: page.meetings.len(),
            sha256: digest::sha256(&raw),
            raw: None,
            unreadable: page.unreadable.clone(),
            shifted_to,
        };
        (page, Line { page: line, raw })
    }

    /// Counts a meeting of the listing; true for one that no listing of the sweep held before.
    pub(super) fn holds(&mut self, meeting: &Meeting, key: Key, sweep: &mut Seen) -> bool {
        self.distinct.count(key);
        self.newest = self.newest.max(meeting.started_at);
        sweep.insert(key)
    }

    /// What stands against it, or `None`.
    pub(super) fn doubt(&self, statistics: Option<u64>) -> Option<String> {
        let listed = self.distinct.len();
        if let Some(fault) = self.faults.first() {
            return Some(fault.clone());
        }
        if let Some(total) = statistics.filter(|total| *total != listed) {
            return Some(format!("{listed} meetings were listed, Zoom's statistics count {total}"));
        }
        // An answer that counts nothing may be any answer: that it lists little, or nothing, proves nothing.
        if statistics.is_none() && !self.has_total {
            return Some(format!(
                "{listed} meetings were listed, and Zoom gave no total to hold that against"
            ));
        }
        self.total_records
            .filter(|total| *total != listed)
            .map(|total| format!("{listed} meetings were listed, Zoom's listing says {total}"))
    }
}

impl Line {
    /// Records the page, with the answer as it came if that is to be kept.
    pub(super) async fn note(&mut self, producer: &Producer<'_>, kept: bool) -> Result<(), ProducerError> {
        if kept {
            self.page.raw = keep(producer, self.raw.clone()).await?;
        }
        record(producer, Entry::Listed(self.page.clone())).await
    }
}

/// Keeps the page as it came, and answers its name.
async fn keep(
    producer: &Producer<'_>,
    raw: impl AsRef<[u8]> + Send + 'static,
) -> Result<Option<String>, ProducerError> {
    match &producer.sink {
        Sink::Run { run, evidence, .. } => Ok(Some(evidence.keep_raw(run, raw).await?)),
        Sink::Dry { .. } => Ok(None),
    }
}

pub(super) async fn record(producer: &Producer<'_>, entry: Entry) -> Result<(), ProducerError> {
    match &producer.sink {
        Sink::Run { run, evidence, .. } => Ok(evidence.append(run, vec![entry]).await?),
        Sink::Dry { .. } => Ok(()),
    }
}
