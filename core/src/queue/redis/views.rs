//! What can be seen of the queue. Counts come from the books and cost no walk; what has to walk does so in slices, beside
//! which work goes on: a job that changes hands meanwhile is shown as it was or as it is.

use std::collections::BTreeSet;

use redis::cmd;

use super::record::{Grave, unpack};
use super::reply::{Fields, Reply};
use super::{RedisQueue, scripts};
use crate::meeting::MeetingUuid;
use crate::queue::clock::instant;
use crate::queue::error::QueueError;
use crate::queue::job::JobPayload;
use crate::queue::view::{DeadJob, Depth, JobState, LeasedJob, UnfinishedJob, WorkLeft};
use crate::run::RunId;

/// How many slices of what is delayed are looked through for a run's next job.
const DUE_SLICES: usize = 100;

impl RedisQueue {
    pub(in crate::queue) async fn work_left(&self, run: &RunId) -> Result<WorkLeft, QueueError> {
        let mut answer = Fields::of(self.eval(&scripts::WORK_LEFT, vec![run.to_string()]).await?);
        let (own, other) = (answer.count(), answer.count());
        let (leased, retrying, waiting_for_zoom) = (answer.count(), answer.count(), answer.count());
        let (queue_paused, run_paused, any_paused) = (answer.flag(), answer.flag(), answer.flag());
        let nearest_deadline = answer.instant().map(instant);
        let joined = other.saturating_sub(leased + retrying + waiting_for_zoom);
        let held = if queue_paused {
            own + joined
        } else {
            let held_with_others =
                if any_paused && joined > 0 { self.held_with_others(run).await? } else { 0 };
            held_with_others.min(joined) + if run_paused { own } else { 0 }
        };
        let delayed = retrying + waiting_for_zoom > 0;
        Ok(WorkLeft {
            ready: own + joined - held,
            leased,
            retrying,
            waiting_for_zoom,
            held,
            next_due: if delayed { self.next_due(run).await?.map(instant) } else { None },
            nearest_deadline,
        })
    }

    /// The run's ready jobs that are another's, and paused with it.
    async fn held_with_others(&self, run: &RunId) -> Result<u64, QueueError> {
        let (mut held, mut cursor) = (0, "0".to_owned());
        loop {
            let mut answer = Fields::of(self.eval(&scripts::HELD, vec![run.to_string(), cursor]).await?);
            cursor = answer.text();
            held += answer.count();
            if cursor == "0" {
                return Ok(held);
            }
        }
    }

    /// Among those of all runs that are due first: beyond them it is not looked for.
    async fn next_due(&self, run: &RunId) -> Result<Option<i64>, QueueError> {
        for slice in 0..DUE_SLICES {
            let arguments = [slice * scripts::SLICE, scripts::SLICE].map(|number| number.to_string());
            let arguments = [vec![run.to_string()], arguments.to_vec()].concat();
            let mut answer = Fields::of(self.eval(&scripts::NEXT_DUE, arguments).await?);
            if answer.flag() {
                return Ok(answer.instant());
            }
        }
        Ok(None)
    }

    pub(in crate::queue) async fn depth(&self) -> Result<Depth, QueueError> {
        let mut nearest: Option<i64> = None;
        let (mut held, mut cursor) = (0, "0".to_owned());
        loop {
            let mut answer = Fields::of(self.eval(&scripts::DEPTH, vec![cursor]).await?);
            cursor = answer.text();
            nearest = nearest.into_iter().chain(answer.instant()).min();
            held += answer.count();
            if cursor != "0" {
                continue;
            }
            let (unfinished, leased, delayed) = (answer.count(), answer.count(), answer.count());
            let (dead, paused) = (answer.count(), answer.flag());
            let ready = unfinished.saturating_sub(leased + delayed);
            let held = if paused { ready } else { held.min(ready) };
            return Ok(Depth {
                ready: ready - held,
                leased,
                delayed,
                held,
                dead,
                paused,
                nearest_deadline: nearest.map(instant),
                oldest: answer.instant().map(instant),
            });
        }
    }

    pub(in crate::queue) async fn jobs(
        &self,
        run: &RunId,
        after: Option<&MeetingUuid>,
        limit: u32,
    ) -> Result<Vec<UnfinishedJob>, QueueError> {
        let page = self.page(run, after.map_or("", MeetingUuid::as_str), limit).await?;
        let page: Vec<String> = page.into_iter().collect();
        let mut jobs = Vec::with_capacity(page.len());
        self.read_jobs(&page, &mut |job| jobs.push(job)).await?;
        Ok(jobs)
    }

    pub(in crate::queue) async fn every_job(
        &self,
        run: &RunId,
        tell: &mut (dyn FnMut(UnfinishedJob) + Send),
    ) -> Result<(), QueueError> {
        let [ready, other] = self.0.keys.jobs_of(run);
        for place in [&ready, &other, &ready] {
            let mut cursor = "0".to_owned();
            loop {
                let (next, uuids) = self.scan(place, &cursor).await?;
                self.read_jobs(&uuids, tell).await?;
                cursor = next;
                if cursor == "0" {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn read_jobs(
        &self,
        uuids: &[String],
        tell: &mut (dyn FnMut(UnfinishedJob) + Send),
    ) -> Result<(), QueueError> {
        for slice in uuids.chunks(scripts::SLICE) {
            let found = self.eval(&scripts::JOBS, slice.to_vec()).await?.list();
            for (uuid, job) in slice.iter().zip(found) {
                unless_damaged(uuid, self.unfinished(uuid, job)).flatten().into_iter().for_each(&mut *tell);
            }
        }
        Ok(())
    }

    /// The next cursor, and meetings of a run's index.
    async fn scan(&self, place: &str, cursor: &str) -> Result<(String, Vec<String>), QueueError> {
        let mut scan = cmd("ZSCAN");
        scan.arg(place).arg(cursor).arg("COUNT").arg(scripts::SLICE);
        let mut answer = Fields::of(self.command(scan).await?);
        Ok((answer.text(), answer.next().texts().into_iter().step_by(2).collect()))
    }

    /// The first of the run's meetings after the given one. There is no index in this order, because it would cost as
    /// much memory as a job: all of the run's meetings are looked through.
    async fn page(&self, run: &RunId, after: &str, limit: u32) -> Result<BTreeSet<String>, QueueError> {
        let [ready, other] = self.0.keys.jobs_of(run);
        let mut page = BTreeSet::new();
        // The first twice: a job that left it when it was looked through, and came back since, is in none otherwise.
        for place in [&ready, &other, &ready] {
            let mut cursor = "0".to_owned();
            loop {
                let (next, uuids) = self.scan(place, &cursor).await?;
                cursor = next;
                for uuid in uuids {
                    if uuid.as_str() > after {
                        page.insert(uuid);
                    }
                    if page.len() > limit as usize {
                        page.pop_last();
                    }
                }
                if cursor == "0" {
                    break;
                }
            }
        }
        Ok(page)
    }

    fn unfinished(&self, uuid: &str, job: Reply) -> Result<Option<UnfinishedJob>, QueueError> {
        let mut job = Fields::of(job);
        let state = match job.text().as_str() {
            "" => return Ok(None),
            "r" => JobState::Ready,
            "l" => JobState::Leased,
            _ => JobState::Delayed,
        };
        let (owner, due) = (job.text(), job.instant());
        let (deadline, starts, cause) = (job.instant(), job.count(), job.text());
        Ok(Some(UnfinishedJob {
            uuid: self.uuid(uuid)?,
            state,
            owner: self.run_id(&owner)?,
            due: due.map(instant),
            deadline: instant(deadline.unwrap_or_default()),
            starts: u32::try_from(starts).unwrap_or(u32::MAX),
            cause: if cause.is_empty() { None } else { Some(self.json(&cause, "the cause of a delay")?) },
        }))
    }

    pub(in crate::queue) async fn leased(&self, limit: u32) -> Result<Vec<LeasedJob>, QueueError> {
        let mut leased: Vec<LeasedJob> = Vec::new();
        let mut from = 0;
        while from < limit {
            let most = (limit - from).min(scripts::LEASES);
            let found = self.eval(&scripts::LEASED, vec![from.to_string(), most.to_string()]).await?.list();
            let last = found.len() < most as usize;
            for job in found {
                leased.extend(self.leased_job(Fields::of(job))?);
            }
            if last {
                break;
            }
            from += most;
        }
        Ok(leased)
    }

    fn leased_job(&self, mut job: Fields) -> Result<Option<LeasedJob>, QueueError> {
        let uuid = job.text();
        if uuid.is_empty() {
            return Ok(None);
        }
        let (worker, until, owner) = (job.text(), job.instant(), job.text());
        let (deadline, starts) = (job.instant(), job.count());
        Ok(Some(LeasedJob {
            uuid: self.uuid(&uuid)?,
            owner: self.run_id(&owner)?,
            worker,
            until: instant(until.unwrap_or_default()),
            deadline: instant(deadline.unwrap_or_default()),
            starts: u32::try_from(starts).unwrap_or(u32::MAX),
        }))
    }

    pub(in crate::queue) async fn dead(
        &self,
        run: &RunId,
        after: Option<&MeetingUuid>,
        limit: u32,
    ) -> Result<Vec<DeadJob>, QueueError> {
        let mut dead: Vec<DeadJob> = Vec::new();
        let mut after = after.map_or_else(String::new, MeetingUuid::to_string);
        let limit = limit as usize;
        while dead.len() < limit {
            let most = (limit - dead.len()).min(scripts::SLICE);
            let arguments = vec![run.to_string(), after.clone(), most.to_string()];
            let found = self.eval(&scripts::DEAD, arguments).await?.texts();
            for pair in found.chunks_exact(2) {
                dead.extend(unless_damaged(&pair[0], self.grave(&pair[0], &pair[1])));
            }
            if found.len() < 2 * most {
                break;
            }
            after.clone_from(&found[found.len() - 2]);
        }
        Ok(dead)
    }

    pub(super) fn uuid(&self, text: &str) -> Result<MeetingUuid, QueueError> {
        MeetingUuid::parse(text).map_err(|error| self.corrupt(error))
    }

    fn grave(&self, uuid: &str, record: &str) -> Result<DeadJob, QueueError> {
        let uuid = self.uuid(uuid)?;
        let grave =
            Grave::read(record).ok_or_else(|| self.corrupt(format!("the dead job {uuid} cannot be read")))?;
        let raw = unpack(&uuid, grave.deadline, grave.payload);
        Ok(DeadJob {
            payload: JobPayload::decode(&raw).ok(),
            raw,
            cause: self.json(grave.cause, "the cause of a death")?,
            starts: grave.starts,
            died_at: instant(grave.died_at),
            deadline: instant(grave.deadline),
            uuid,
        })
    }
}

/// What is damaged hides nothing of the rest.
fn unless_damaged<T>(meeting: &str, read: Result<T, QueueError>) -> Option<T> {
    read.inspect_err(|error| tracing::warn!(meeting, %error, "a job is left out of what is shown")).ok()
}
