//! One pass: the slices that are due, listed one by one, each into the ledger as soon as it is covered.

use chrono::{DateTime, Utc};
use recapture_core::buffer::BufferError;
use recapture_core::evidence::Entry;
use recapture_core::period::{Period, stamp};
use recapture_core::queue::{DutyToken, Queue, QueueError};
use recapture_core::zoom::Dimension;
use recapture_worker::Opened;
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::plan::Due;
use super::rebuild::{Found, rebuild};
use super::{Ledger, Plan, Terms, plan};
use crate::producer::{Enumerated, Look, Producer, ProducerError, Sink, SliceEnd, Sweep};

/// How long silence where there were meetings is no proof.
const SILENCE: chrono::Duration = chrono::Duration::days(1);

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
            let end = sweep.list(producer, due.slice, due.dimension, look).await?;
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
        let lines = findings.iter().map(|finding| finding.line(&self.account)).collect();
        evidence.append_durably(run, lines).await?;
        let mut ledger = self.ledger.lock().await;
        for finding in findings {
            match finding {
                Finding::Covered(period, dimension) => ledger.cover(dimension, period, run),
                Finding::Doubtful(period, dimension) => ledger.uncover(dimension, period),
            }
        }
        if newest.is_some() {
            ledger.newest = ledger.newest.max(newest);
            ledger.silent_since = None;
        }
        put(&self.queue, duty, &ledger).await
    }

    /// Nothing was listed at all.
    async fn end_in_silence(
        &self,
        producer: &Producer<'_>,
        findings: Vec<Finding>,
        sweep: &mut Sweep,
    ) -> Result<(), ProducerError> {
        let doubt = {
            let mut ledger = self.ledger.lock().await;
            let vanished = self.vanished(&ledger);
            if vanished.is_some() {
                let since = *ledger.silent_since.get_or_insert(self.now);
                vanished.filter(|_| self.now - since < SILENCE)
            } else {
                None
            }
        };
        let Some((slice, newest)) = doubt else {
            if self.ledger.lock().await.silent_since.is_some() {
                warn!(
                    "Zoom lists nothing for more than a day where it has listed meetings; is archiving still on for this account?"
                );
            }
            return self.write(producer, findings, None).await;
        };
        let newest = stamp(newest);
        let detail = format!(
            "Zoom lists nothing at all, although it has listed a meeting that began at {newest}: is this still the account, and archiving on?"
        );
        sweep.doubt(slice, Dimension::StartTime, detail);
        // The ledger remembers since when.
        self.write(producer, Vec::new(), None).await
    }

    /// The slice in which Zoom listed a meeting before that it should still have, and does not list now.
    fn vanished(&self, ledger: &Ledger) -> Option<(Period, DateTime<Utc>)> {
        let newest = ledger.newest.filter(|newest| *newest > self.now - self.terms.retention)?;
        let holds = |due: &&Due| {
            due.dimension == Dimension::StartTime && due.slice.from <= newest && newest < due.slice.to
        };
        self.plan.slices.iter().find(holds).map(|due| (due.slice, newest))
    }
}

/// What a slice came to.
#[derive(Debug, Clone, Copy)]
enum Finding {
    Covered(Period, Dimension),
    /// It was covered, and cannot be called so any longer: what came late may be in it.
    Doubtful(Period, Dimension),
}

impl Finding {
    /// `None` if nothing changes.
    fn of(due: &Due, end: &SliceEnd) -> Option<Self> {
        match end.proven.filter(|_| end.indeterminate == 0) {
            Some(period) => Some(Self::Covered(period, due.dimension)),
            None => due.again.then_some(Self::Doubtful(due.slice, due.dimension)),
        }
    }

    fn line(&self, account: &str) -> Entry {
        let (account, dimension) = (account.to_owned(), |of: &Dimension| of.as_str().to_owned());
        match self {
            Self::Covered(period, of) => {
                Entry::Covered { account, period: *period, dimension: dimension(of) }
            }
            Self::Doubtful(period, of) => {
                Entry::Uncovered { account, period: *period, dimension: dimension(of) }
            }
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
