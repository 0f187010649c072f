//! Handing jobs out and taking them back, in one step; and keeping leases. Every step is fenced: token, worker, state
//! and time must all fit.

use chrono::{DateTime, Utc};

use super::record::{Leased, read};
use super::reply::Fields;
use super::runs::to_json;
use super::{RedisQueue, scripts, span, stamp};
use crate::meeting::MeetingUuid;
use crate::queue::MOST_EXCHANGED;
use crate::queue::clock::instant;
use crate::queue::error::QueueError;
use crate::queue::lease::{Claimed, Exchanged, ExtendOutcome, Fate, Lease, Settled, Settlement, WorkerId};
use crate::reason::{Cause, Outcome, Reason};
use crate::run::RunId;

impl RedisQueue {
    pub(in crate::queue) async fn claim(
        &self,
        worker: &WorkerId,
        most: usize,
    ) -> Result<Vec<Claimed>, QueueError> {
        Ok(self.exchange(worker, &[], most).await?.claimed)
    }

    pub(in crate::queue) async fn settle(
        &self,
        lease: &Lease,
        settlement: Settlement,
    ) -> Result<Settled, QueueError> {
        let given = [(lease.clone(), settlement)];
        let exchanged = self.exchange(&lease.worker, &given, 0).await?;
        Ok(exchanged.settled.first().copied().unwrap_or(Settled::Lost))
    }

    pub(in crate::queue) async fn exchange(
        &self,
        worker: &WorkerId,
        given: &[(Lease, Settlement)],
        most: usize,
    ) -> Result<Exchanged, QueueError> {
        let arguments = self.exchange_arguments(worker, given, most)?;
        let answer = if given.is_empty() {
            self.eval_at_most_once(&scripts::EXCHANGE, arguments).await?
        } else {
            let name = || {
                let fences: Vec<String> = given.iter().map(|(lease, _)| lease.fence.to_string()).collect();
                format!("settle {} of {worker}", fences.join(" "))
            };
            self.eval_once(name, &scripts::EXCHANGE, arguments).await?
        };
        let mut answer = Fields::of(answer);
        let settled = answer.text().chars().map(settled_as).collect();
        let (taken, abandoned) = (answer.next().texts(), answer.next().texts());
        for pair in abandoned.chunks_exact(2) {
            let [meeting, worker] = pair else { continue };
            tracing::warn!(meeting, worker, "a job was abandoned: its worker stopped renewing the lease");
        }
        let mut claimed = Vec::with_capacity(taken.len() / 2);
        for pair in taken.chunks_exact(2) {
            match taken_job(&pair[0], &pair[1], worker) {
                Ok(job) => claimed.push(job),
                Err(why) => self.give_up(&pair[0], &pair[1], worker, &why).await,
            }
        }
        Ok(Exchanged { settled, claimed })
    }

    fn who_asks(&self, worker: &WorkerId, most: usize) -> Vec<String> {
        let most = most.min(MOST_EXCHANGED).to_string();
        vec![written(worker), self.0.max_attempts.to_string(), span(self.0.lease), most]
    }

    fn exchange_arguments(
        &self,
        worker: &WorkerId,
        given: &[(Lease, Settlement)],
        most: usize,
    ) -> Result<Vec<String>, QueueError> {
        let mut arguments = Vec::with_capacity(4 + 6 * given.len());
        arguments.extend(self.who_asks(worker, most));
        for (lease, Settlement { fate, moved }) in given {
            if matches!(fate, Fate::Finish { outcome: Outcome::Failed }) {
                return Err(QueueError::FailedWithoutCause);
            }
            arguments.extend([
                lease.uuid.to_string(),
                lease.fence.to_string(),
                moved.files.to_string(),
                moved.bytes.to_string(),
            ]);
            self.push_fate(&mut arguments, fate);
        }
        Ok(arguments)
    }

    /// What no worker can read is dead with its reason; what cannot even be told by its fence is left until its starts
    /// are used up.
    async fn give_up(&self, uuid: &str, record: &str, worker: &WorkerId, why: &str) {
        let cause = Cause::new(Reason::PayloadUnreadable, why.to_owned());
        let Some(record) = Leased::read(record) else {
            tracing::warn!(meeting = uuid, why, "an unreadable job is left to whoever claims it next");
            return;
        };
        let mut arguments = self.who_asks(worker, 0);
        arguments.extend([uuid.to_owned(), record.fence.to_string(), "0".to_owned(), "0".to_owned()]);
        self.push_fate(&mut arguments, &Fate::Dead { cause });
        let name = || format!("give {} up", record.fence);
        if let Err(error) = self.eval_once(name, &scripts::EXCHANGE, arguments).await {
            tracing::warn!(meeting = uuid, %error, why, "an unreadable job is left to whoever claims it next");
        }
    }

    pub(in crate::queue) async fn extend(&self, leases: &[Lease]) -> Result<Vec<ExtendOutcome>, QueueError> {
        let mut outcomes = Vec::with_capacity(leases.len());
        for slice in leases.chunks(scripts::SLICE) {
            let mut arguments = vec![span(self.0.lease)];
            for lease in slice {
                arguments.extend([lease.uuid.to_string(), lease.fence.to_string(), written(&lease.worker)]);
            }
            let answers = self.eval(&scripts::EXTEND, arguments).await?.texts();
            outcomes.extend(answers.iter().map(|until| match until.parse() {
                Ok(until) => ExtendOutcome::Held { until: instant(until) },
                Err(_) => ExtendOutcome::Lost,
            }));
        }
        self.compare_clocks().await;
        Ok(outcomes)
    }

    /// A fate as the script takes it.
    fn push_fate(&self, arguments: &mut Vec<String>, fate: &Fate) {
        let delayed = |word: &str, until: &DateTime<Utc>, cause: &Cause| {
            let until = stamp(self.by_the_server(*until));
            [word.to_owned(), until, to_json(cause), waiting_for(cause).to_owned()]
        };
        match fate {
            Fate::Finish { outcome } => arguments.extend(["finish", outcome.as_str()].map(str::to_owned)),
            Fate::Dead { cause } => arguments.extend(["dead".to_owned(), to_json(cause)]),
            Fate::Release => arguments.push("release".to_owned()),
            Fate::Retry { at, cause } => arguments.extend(delayed("retry", at, cause)),
            Fate::Snooze { until, cause } => arguments.extend(delayed("snooze", until, cause)),
        }
    }
}

/// A worker's name as records have it: without the signs that divide their fields.
fn written(worker: &WorkerId) -> String {
    worker.as_str().replace([';', ','], "_")
}

fn settled_as(letter: char) -> Settled {
    match letter {
        'd' => Settled::Done,
        'x' => Settled::Died,
        _ => Settled::Lost,
    }
}

/// The state in which a job is delayed.
fn waiting_for(cause: &Cause) -> &'static str {
    if cause.reason == Reason::ArchiveProcessing { "z" } else { "d" }
}

/// A claimed job, or why it cannot be read: whatever is wrong with it is its own matter, and not that of its mates.
fn taken_job(uuid: &str, record: &str, worker: &WorkerId) -> Result<Claimed, String> {
    let uuid = MeetingUuid::parse(uuid).map_err(|error| error.to_string())?;
    let record = Leased::read(record).ok_or("its record is not of the form that records have")?;
    let run = |text: &str| RunId::parse(text).map_err(|error| error.to_string());
    let owner = run(record.owner)?;
    let mut runs = vec![owner.clone()];
    for other in record.others.split(',').filter(|run| !run.is_empty()) {
        runs.push(run(other)?);
    }
    runs.sort();
    let payload = read(&uuid, record.deadline, record.payload).map_err(|error| error.to_string())?;
    let until = instant(record.until);
    let lease = Lease { uuid, fence: record.fence, worker: worker.clone(), until };
    Ok(Claimed { payload, lease, starts: record.starts, owner, runs })
}
