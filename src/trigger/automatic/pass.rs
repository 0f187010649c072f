//! One pass: the slices that are due, listed one by one, each into the ledger as soon as it is covered.

use chrono::{DateTime, Utc};
use recapture_core::buffer::BufferError;
use recapture_core::evidence::Entry;
use recapture_core::period::{Period, stamp};
use recapture_core::queue::{DutyToken, Queue, QueueError};
use recapture_core::zoom::{Dimension, ZoomError};
use recapture_worker::Opened;
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::plan::Due;
use super::rebuild::{Found, rebuild};
use super::{Ledger, Plan, Terms, plan};
use crate::producer::{Enumerated, Look, Producer, ProducerError, Sink, SliceEnd, Sweep, lists_anything};

/// What stands against a slice that was listed to its end, but too late.
const TOO_LATE: &str = "it was not listed within zoom.retention: what Zoom had deleted of it by now, nobody can tell. It is not looked at again";

/// Why a pass could not be begun.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("the evidence of earlier runs, from which the ledger is made again: {0}")]
    Buffer(#[from] BufferError),
    #[error(transparent)]
    Lost(#[from] ProducerError),
}

/// A pass that is about to be made.
pub struct Pass {
    plan: Plan,
    now: DateTime<Utc>,
    terms: Terms,
    ledger: Mutex<Ledger>,
    queue: Queue,
    account: String,
    /// Absent in a dry run, which covers nothing.
    duty: Option<DutyToken>,
}

impl Pass {
    /// Loads the ledger, or makes it again, and plans; `None` if there is nothing to list.
    pub async fn prepare(
        opened: &Opened,
        terms: Terms,
        duty: Option<DutyToken>,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>, PassError> {
        let ledger = load(opened, &terms, duty.as_ref(), now).await?;
        Ok(plan(&ledger, &terms, now).map(|plan| Self {
            plan,
            now,
            terms,
            ledger: Mutex::new(ledger),
            queue: opened.queue.clone(),
            account: opened.ports.settings.account.clone(),
            duty,
        }))
    }

    pub fn period(&self) -> Period {
        self.plan.period
    }

    /// What ended later may still be on its way to the platform.
    pub fn settled(&self) -> DateTime<Utc> {
        self.now - self.terms.settle
    }

    /// Lists slice by slice. What is covered when it stops, stays covered.
    pub async fn list(&self, producer: &Producer<'_>) -> Result<Enumerated, ProducerError> {
        let mut sweep = Sweep::over(self.plan.slices.len());
        let mut newest = None;
        // Until something is listed, nobody can tell an account without meetings from one that has fallen silent.
        let mut found = Vec::new();
        for due in &self.plan.slices {
            let look = if due.again { Look::Again } else { Look::First };
            let listed = sweep.list(producer, due.slice, due.dimension, look).await;
            let end = match listed {
                // Of time long past Zoom need not answer at all.
                Err(ProducerError::Zoom(ZoomError::Refused(answer))) if due.aged => {
                    sweep.doubt(due.slice, due.dimension, format!("Zoom refused: {answer}"));
                    SliceEnd { proven: None, indeterminate: 0, newest: None }
                }
                listed => listed?,
            };
            if due.aged && end.proven.is_some() {
                sweep.doubt(due.slice, due.dimension, TOO_LATE.to_owned());
            }
            newest = newest.max(end.newest);
            found.extend(Finding::of(due, &end));
            if sweep.done().listed > 0 {
                self.write(producer, std::mem::take(&mut found), newest).await?;
            }
        }
        if sweep.done().listed == 0 {
            self.end_in_silence(producer, found, &mut sweep).await?;
        }
        Ok(sweep.into_done())
    }

    /// Writes what was found: into the evidence first, from which the ledger can be made again.
    async fn write(
        &self,
        producer: &Producer<'_>,
        findings: Vec<Finding>,
        newest: Option<DateTime<Utc>>,
    ) -> Result<(), ProducerError> {
        let (Sink::Run { run, evidence, .. }, Some(duty)) = (&producer.sink, &self.duty) else {
            return Ok(());
        };
        let lines = findings.iter().filter_map(|finding| finding.line(&self.account)).collect();
        evidence.append_durably(run, lines).await?;
        let mut ledger = self.ledger.lock().await;
        for finding in findings {
            match finding {
                Finding::Covered(period, dimension) => ledger.cover(dimension, period, run),
                Finding::Doubtful(period, dimension) => ledger.uncover(dimension, period),
                Finding::Abandoned(period, dimension) => ledger.abandon(dimension, period, run),
            }
        }
        if newest.is_some() {
            ledger.newest = ledger.newest.max(newest);
            ledger.silent_since = None;
        }
        put(&self.queue, duty, &ledger).await
    }

    /// Nothing was listed at all. That covers something only if the account still lists what it has listed before.
    async fn end_in_silence(
        &self,
        producer: &Producer<'_>,
        findings: Vec<Finding>,
        sweep: &mut Sweep,
    ) -> Result<(), ProducerError> {
        let newest = self.ledger.lock().await.newest;
        // What Zoom has deleted since, it need not list.
        let Some(newest) = newest.filter(|newest| *newest > self.now - self.terms.retention) else {
            return self.write(producer, findings, None).await;
        };
        if lists_anything(producer).await? {
            self.ledger.lock().await.silent_since = None;
            return self.write(producer, findings, None).await;
        }
        let detail = format!(
            "Zoom lists nothing at all, although it has listed a meeting that began at {}: is this still the account, and archiving on?",
            stamp(newest)
        );
        sweep.doubt(self.plan.period, Dimension::StartTime, detail);
        self.ledger.lock().await.silent_since.get_or_insert(self.now);
        self.write(producer, Vec::new(), None).await
    }
}

/// What a slice came to.
#[derive(Debug, Clone, Copy)]
enum Finding {
    Covered(Period, Dimension),
    /// It was covered, and cannot be called so any longer: what came late may be in it.
    Doubtful(Period, Dimension),
    /// It was listed for the last time, too late to know what it held.
    Abandoned(Period, Dimension),
}

impl Finding {
    /// `None` if nothing changes.
    fn of(due: &Due, end: &SliceEnd) -> Option<Self> {
        if due.aged {
            // What the platform could not tell of is still to be recovered.
            return (end.indeterminate == 0).then_some(Self::Abandoned(due.slice, due.dimension));
        }
        match end.proven.filter(|_| end.indeterminate == 0) {
            Some(period) => Some(Self::Covered(period, due.dimension)),
            None => due.again.then_some(Self::Doubtful(due.slice, due.dimension)),
        }
    }

    /// `None` for what the run's own record of unproven slices tells.
    fn line(&self, account: &str) -> Option<Entry> {
        let (account, dimension) = (account.to_owned(), |of: &Dimension| of.as_str().to_owned());
        match self {
            Self::Covered(period, of) => {
                Some(Entry::Covered { account, period: *period, dimension: dimension(of) })
            }
            Self::Doubtful(period, of) => {
                Some(Entry::Uncovered { account, period: *period, dimension: dimension(of) })
            }
            Self::Abandoned(..) => None,
        }
    }
}

async fn put(queue: &Queue, duty: &DutyToken, ledger: &Ledger) -> Result<(), ProducerError> {
    if queue.put_ledger(duty, &ledger.to_text()).await? { Ok(()) } else { Err(ProducerError::DutyLost) }
}

async fn load(
    opened: &Opened,
    terms: &Terms,
    duty: Option<&DutyToken>,
    now: DateTime<Utc>,
) -> Result<Ledger, PassError> {
    let account = &opened.ports.settings.account;
    let stored = opened.queue.duty().await?.ledger;
    let stored =
        stored.as_deref().map(|text| Ledger::parse(text).and_then(|stored| stored.of_account(account)));
    let (mut ledger, changed) = match stored {
        Some(Ok(ledger)) => (ledger, false),
        Some(Err(why)) => {
            warn!(%why, "the ledger of covered intervals cannot be used");
            (made_again(opened, terms, now).await?, true)
        }
        None => (made_again(opened, terms, now).await?, true),
    };
    if ledger.forget_the_future(now) {
        warn!(now = %stamp(now), "the ledger covers time that is still to come: a clock has jumped; that part is listed again");
    }
    // Written before the first slice, so that it begins where the first look was meant to begin.
    if let Some(duty) = duty.filter(|_| changed) {
        put(&opened.queue, duty, &ledger).await?;
    }
    Ok(ledger)
}

async fn made_again(opened: &Opened, terms: &Terms, now: DateTime<Utc>) -> Result<Ledger, BufferError> {
    let account = &opened.ports.settings.account;
    let Found { ledger, runs, open, unreadable } = rebuild(&opened.ports.buffer, account, terms, now).await?;
    if runs == 0 {
        info!(since = %stamp(ledger.since), "the first look: there is no ledger, and no earlier automatic run");
        return Ok(ledger);
    }
    let ends =
        Dimension::BOTH.map(|dimension| ledger.of(dimension).end().map_or("nothing".to_owned(), stamp));
    warn!(
        runs,
        open,
        unreadable,
        covered_by_start = ends[0],
        covered_by_completion = ends[1],
        since = %stamp(ledger.since),
        "the ledger of covered intervals was lost, and is made again from the evidence of earlier runs; what that does not show is listed again"
    );
    Ok(ledger)
}
