//! Listing a period: every slice in both time dimensions, page by page, proven against Zoom's own totals.
//!
//! A slice counts as proven when the listing came to its last page, every entry could be read, the bounds were those
//! that were asked, and the number of different meetings is the one that Zoom's control totals give, of which there has
//! to be one: an answer that counts nothing proves nothing. A difference
//! is settled by a second listing, because archives may complete while pages are read; one that stays makes the
//! slice *unproven*, which the run's exit code tells.
//!
//! A listing has one page under way, because the next page's token comes with it; so several slices are listed at once, and
//! what Zoom takes to answer does not bound how many pages it is asked for. What they share is which meetings came
//! already: whichever listing holds a meeting first takes it, and all others only count it. Each listing is proven by
//! what it held itself, so neither order nor company changes what is proven, taken or kept.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use recapture_core::evidence::Entry;
use recapture_core::meeting::Meeting;
use recapture_core::period::Period;
use recapture_core::run::Unproven;
use recapture_core::zoom::{Dimension, Listed, ZoomError};
use tracing::{info, warn};

use super::compare::compare;
use super::page::{Line, Listing, record};
use super::persist::persist;
use super::seen::{Key, Seen};
use super::silence::lists_anything;
use super::{Enumerated, Producer, ProducerError, Progress, Taken};

/// How often a slice is begun anew because its page token expired, before the listing gives up.
const MOST_RESTARTS: usize = 5;

/// Listings under way at once. With 150 ms for an answer they ask for 53 pages a second, of the 60 that Zoom's largest plan
/// allows; each holds two pages in memory.
const AT_ONCE: usize = 8;

/// Lists a period and takes each meeting once.
pub async fn enumerate(producer: &Producer<'_>, period: Period) -> Result<Enumerated, ProducerError> {
    let slices = period.slices();
    let sweep = Sweep::over(slices.len() * Dimension::BOTH.len());
    // Begun oldest first: those are the first that Zoom deletes. Both dimensions of a slice follow each other, so that
    // the first jobs do not wait for a sweep of the whole period. The futures are made before the stream: one made of
    // borrowing closures could not be spawned.
    let parts = slices.into_iter().flat_map(|slice| Dimension::BOTH.map(|dimension| (slice, dimension)));
    let listings: Vec<_> =
        parts.map(|(slice, dimension)| sweep.list(producer, slice, dimension, Look::First)).collect();
    let mut listings = stream::iter(listings).buffer_unordered(AT_ONCE);
    let mut first = None;
    // After an error the others come to the end of their pages: what is on the queue stands in the evidence too.
    while let Some(ended) = listings.next().await {
        if let Err(error) = ended {
            sweep.state().given_up = true;
            first.get_or_insert(error);
        }
    }
    drop(listings);
    if let Some(error) = first {
        return Err(error);
    }
    if sweep.state().done.listed == 0 {
        sweep.find_silence(producer, period).await?;
    }
    let mut done = sweep.into_done();
    done.unproven.sort_by(|a, b| (a.from, &b.dimension).cmp(&(b.from, &a.dimension)));
    Ok(done)
}

/// Whether a slice was looked at before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    First,
    /// For what came late. Zoom's answer is kept only if it holds something new: the first look has kept the rest, and
    /// a service that looks all day would fill the disk with answers of no news.
    Again,
}

/// Listings of slices, one after the other or several at once, that take each meeting once.
pub struct Sweep {
    slices: usize,
    state: Mutex<State>,
}

/// What its listings share.
#[derive(Default)]
struct State {
    seen: Seen,
    done: Enumerated,
    /// Slices that were begun.
    slice: usize,
    /// Meetings that could not be compared.
    doubtful: Seen,
    /// One of the listings has failed: the others take no further page.
    given_up: bool,
}

/// What listing a slice came to.
#[derive(Debug)]
pub struct SliceEnd {
    /// The part of the slice that Zoom answered for; absent if that could not be proven whole.
    pub proven: Option<Period>,
    /// Meetings that it lists and that could not be compared.
    pub indeterminate: u64,
    /// The latest start of a meeting that it lists.
    pub newest: Option<DateTime<Utc>>,
}

impl Sweep {
    /// How many slices there will be is for those who watch.
    pub fn over(slices: usize) -> Self {
        Self { slices, state: Mutex::default() }
    }

    /// What all slices came to so far.
    pub fn done(&self) -> impl Deref<Target = Enumerated> + '_ {
        Done(self.state())
    }

    pub fn into_done(self) -> Enumerated {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).done
    }

    /// Counts a slice as not proven after all.
    pub fn doubt(&self, slice: Period, dimension: Dimension, detail: String) {
        let dimension = dimension.as_str();
        warn!(%slice, dimension, detail, "this part of the period could not be proven listed");
        let dimension = dimension.to_owned();
        self.state().done.unproven.push(Unproven { from: slice.from, to: slice.to, dimension, detail });
    }

    /// Never held over an answer; no panic can leave it half-changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing was listed. If the account lists nothing at any other time either, that is no proof that nothing was held.
    async fn find_silence(&self, producer: &Producer<'_>, period: Period) -> Result<(), ProducerError> {
        if lists_anything(producer).await? {
            warn!(%period, "Zoom lists no meeting at all in this period, though it does at other times. Is the period right?");
            return Ok(());
        }
        let detail = "Zoom lists no meeting at all, at no time for which it keeps archives: is archiving on for this account?";
        self.doubt(period, Dimension::StartTime, detail.to_owned());
        Ok(())
    }

    /// Lists a slice, once more if there is a doubt, and takes its new meetings.
    pub async fn list(
        &self,
        producer: &Producer<'_>,
        slice: Period,
        dimension: Dimension,
        look: Look,
    ) -> Result<SliceEnd, ProducerError> {
        let number = {
            let mut state = self.state();
            if state.given_up {
                return Err(ProducerError::Interrupted);
            }
            state.slice += 1;
            state.slice
        };
        let mut doubt = None;
        let mut listing = Listing::default();
        for last in [false, true] {
            listing = list(producer, slice, dimension, look, (self, number)).await?;
            let statistics = control_total(producer, slice, dimension).await?;
            doubt = listing.doubt(statistics);
            if doubt.is_none() || last {
                let entry = Entry::Slice {
                    period: slice,
                    dimension: dimension.as_str().to_owned(),
                    listed: listing.distinct.len(),
                    total_records: listing.total_records,
                    statistics,
                    proven: doubt.is_none(),
                };
                record(producer, entry).await?;
                break;
            }
            info!(%slice, dimension = dimension.as_str(), doubt, "the listing is in doubt, and is made once more");
        }
        let answered = Period::new(slice.from, listing.answered_to.unwrap_or(slice.to));
        let proven = answered.ok().filter(|_| doubt.is_none());
        if let Some(detail) = doubt {
            self.doubt(slice, dimension, detail);
        }
        Ok(SliceEnd { proven, indeterminate: listing.indeterminate, newest: listing.newest })
    }

    /// Takes a page's new meetings, with when Zoom was asked for it. Zoom's answer is kept while they are compared, and before anything is said of them.
    async fn take(
        &self,
        producer: &Producer<'_>,
        (listed, new): (SystemTime, Vec<Meeting>),
        mut line: Line,
        look: Look,
        listing: &mut Listing,
    ) -> Result<(), ProducerError> {
        self.state().done.listed += new.len() as u64;
        let asked_at = [listed, SystemTime::now()];
        let noted = async { if look == Look::First { line.note(producer, true).await } else { Ok(()) } };
        let compared = async { if new.is_empty() { Ok(Vec::new()) } else { compare(producer, &new).await } };
        let (noted, verdicts) = tokio::join!(noted, compared);
        noted?;
        let verdicts = verdicts?;
        let found =
            if new.is_empty() { Taken::default() } else { producer.put(&new, verdicts, asked_at).await? };
        {
            let mut state = self.state();
            state.done.detected += found.detected;
            for uuid in &found.indeterminate {
                listing.indeterminate += u64::from(state.doubtful.is_new(uuid));
            }
        }
        if look == Look::Again {
            let news = found.detected > 0 || listing.indeterminate > 0 || !listing.faults.is_empty();
            line.note(producer, news).await?;
        }
        Ok(())
    }
}

/// A look at what a sweep came to.
struct Done<'a>(MutexGuard<'a, State>);

impl Deref for Done<'_> {
    type Target = Enumerated;

    fn deref(&self) -> &Enumerated {
        &self.0.done
    }
}

/// Lists a slice from its first to its last page; begins anew when its page token expires.
async fn list(
    producer: &Producer<'_>,
    slice: Period,
    dimension: Dimension,
    look: Look,
    sweep: (&Sweep, usize),
) -> Result<Listing, ProducerError> {
    for _ in 0..MOST_RESTARTS {
        match list_once(producer, slice, dimension, look, sweep).await {
            Err(ProducerError::Zoom(ZoomError::PageTokenExpired(answer))) => {
                info!(%slice, %answer, "the page token expired; the slice is listed from its beginning");
            }
            other => return other,
        }
    }
    let fault = format!("its page token expired {MOST_RESTARTS} times before the last page");
    Ok(Listing { faults: vec![fault], ..Listing::default() })
}

/// What is asked of Zoom for one page.
#[derive(Clone)]
struct Ask {
    /// As Zoom returned it: the next page token is bound to it.
    period: Period,
    dimension: Dimension,
    token: Option<String>,
}

impl Ask {
    /// With when it was asked.
    async fn of(&self, producer: &Producer<'_>) -> Result<(SystemTime, Listed), ProducerError> {
        let asked_at = SystemTime::now();
        let page = || producer.zoom.list(self.period, self.dimension, self.token.as_deref());
        Ok((asked_at, persist(producer, page).await?))
    }
}

/// Takes a page while Zoom is asked for the next one.
async fn list_once(
    producer: &Producer<'_>,
    slice: Period,
    dimension: Dimension,
    look: Look,
    sweep: (&Sweep, usize),
) -> Result<Listing, ProducerError> {
    let (sweep, order) = sweep;
    let mut listing = Listing::default();
    let mut ask = Ask { period: slice, dimension, token: None };
    let (mut asked_at, mut listed) = ask.of(producer).await?;
    for number in 1.. {
        let before = listing.distinct.len();
        let (mut page, line) = listing.read(listed, slice, dimension, number);
        {
            let mut state = sweep.state();
            if state.given_up {
                return Err(ProducerError::Interrupted);
            }
            page.meetings.retain(|meeting| {
                let key = Key::of(&meeting.uuid);
                listing.indeterminate += u64::from(state.doubtful.holds(key));
                listing.holds(meeting, key, &mut state.seen)
            });
        }
        let mut next = page.next_page_token;
        // A server that gives the same token and nothing new for ever must not hold us for ever.
        if next.is_some() && next == ask.token && listing.distinct.len() == before {
            listing.faults.push("the listing repeats a page without end".to_owned());
            next = None;
        }
        if let Some(to) = page.to.filter(|to| *to > ask.period.from && *to < ask.period.to) {
            ask.period.to = to;
        }
        ask.token = next;
        let following = async { if ask.token.is_some() { Some(ask.of(producer).await) } else { None } };
        // Both to their end: what was asked for in vain takes nothing away from the page that is here.
        let (taken, following) = tokio::join!(
            sweep.take(producer, (asked_at, page.meetings), line, look, &mut listing),
            following
        );
        taken?;
        let (listed_so_far, detected) = {
            let done = sweep.done();
            (done.listed, done.detected)
        };
        (producer.watch)(Progress {
            slice: order,
            slices: sweep.slices,
            listing: format!("{slice} by {}", dimension.as_str()),
            listed: listed_so_far,
            detected,
        });
        match following {
            Some(page) => (asked_at, listed) = page?,
            None => break,
        }
    }
    Ok(listing)
}

/// Zoom's own count of a slice. It is taken to count by start time; without the scope for it the listing's own
/// total has to do.
async fn control_total(
    producer: &Producer<'_>,
    slice: Period,
    dimension: Dimension,
) -> Result<Option<u64>, ProducerError> {
    if dimension != Dimension::StartTime {
        return Ok(None);
    }
    match persist(producer, || producer.zoom.control_total(slice)).await {
        Err(ProducerError::Zoom(
            error @ (ZoomError::ScopeMissing(_) | ZoomError::Refused(_) | ZoomError::NotFound(_)),
        )) => {
            warn!(%error, "Zoom's statistics cannot be read; only the listing's own total proves it whole");
            Ok(None)
        }
        // A host that has no such endpoint says so in its own words.
        Err(ProducerError::Zoom(ZoomError::Server { answer, .. })) if answer.status == Some(404) => {
            warn!(%answer, "Zoom's statistics are not there; only the listing's own total proves it whole");
            Ok(None)
        }
        other => other,
    }
}
