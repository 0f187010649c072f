//! The queue's promise once more, as plainly as it can be said: maps and loops, no durability, no concurrency.

mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::bench::uuid;
use super::model::RUNS;
use crate::queue::lease::rest;
use crate::queue::{CancelReport, Enqueued, Fate, RetryReport, Settled};
use crate::reason::{Outcome, Reason};
use crate::run::{Counts, RunId, RunState};

/// Deadlines are in the order of the numbers.
type Meeting = u32;
type Instant = DateTime<Utc>;

pub(super) struct Model {
    pub(super) now: Instant,
    lease: Duration,
    max_attempts: u32,
    paused: bool,
    runs: Vec<Run>,
    jobs: BTreeMap<Meeting, Job>,
}

struct Run {
    state: RunState,
    paused: bool,
    counts: Counts,
    dead: BTreeSet<Meeting>,
}

struct Job {
    owner: usize,
    runs: BTreeSet<usize>,
    starts: u32,
    place: Place,
}

enum Place {
    Ready,
    Leased { fence: u64, until: Instant },
    Delayed { due: Instant, reason: Reason },
}

pub(super) struct Held {
    pub(super) meeting: Meeting,
    pub(super) fence: u64,
}

/// As `Enqueued`, with the owner by index.
pub(super) enum Entered {
    New,
    Duplicate { owner: usize },
    Already,
}

impl Entered {
    pub(super) fn named(self, name: impl Fn(usize) -> RunId) -> Enqueued {
        match self {
            Self::New => Enqueued::New,
            Self::Duplicate { owner } => Enqueued::Duplicate { owner: name(owner) },
            Self::Already => Enqueued::Already,
        }
    }
}

impl Model {
    pub(super) fn new(max_attempts: u32, lease: Duration, now: Instant) -> Self {
        let run = |_| Run {
            state: RunState::Enumerating,
            paused: false,
            counts: Counts::default(),
            dead: BTreeSet::new(),
        };
        Self { now, lease, max_attempts, paused: false, runs: RUNS.map(run).into(), jobs: BTreeMap::new() }
    }

    pub(super) fn enqueue(
        &mut self,
        run: usize,
        meetings: &[Meeting],
        ready: bool,
    ) -> Result<Vec<Entered>, RunState> {
        if self.runs[run].state.is_end() {
            return Err(self.runs[run].state);
        }
        self.runs[run].counts.present += 1;
        self.runs[run].counts.listed += 1;
        Ok(meetings.iter().map(|meeting| self.enter(run, *meeting, ready)).collect())
    }

    fn enter(&mut self, run: usize, meeting: Meeting, ready: bool) -> Entered {
        if self.runs[run].dead.contains(&meeting) {
            return Entered::Already;
        }
        let entered = match self.jobs.get_mut(&meeting) {
            None => {
                let job = Job { owner: run, runs: BTreeSet::from([run]), starts: 0, place: Place::Ready };
                self.jobs.insert(meeting, job);
                Entered::New
            }
            Some(job) => {
                if ready && matches!(job.place, Place::Delayed { reason: Reason::ArchiveProcessing, .. }) {
                    job.place = Place::Ready;
                }
                if job.runs.insert(run) { Entered::Duplicate { owner: job.owner } } else { Entered::Already }
            }
        };
        if !matches!(entered, Entered::Already) {
            let counts = &mut self.runs[run].counts;
            counts.listed += 1;
            counts.missing += 1;
            counts.detected += 1;
            counts.pending += 1;
        }
        entered
    }

    pub(super) fn enumerated(&mut self, run: usize) -> RunState {
        if self.runs[run].state == RunState::Enumerating {
            self.runs[run].state = RunState::Running;
        }
        self.complete();
        self.runs[run].state
    }

    fn complete(&mut self) {
        for run in &mut self.runs {
            if run.state == RunState::Running && run.counts.pending == 0 {
                run.state = RunState::Completed;
            }
        }
    }

    /// Meeting, starts and owner of each, in order.
    pub(super) fn claim(&mut self, most: usize, fences: &[u64]) -> Vec<(Meeting, u32, usize)> {
        self.pass_time();
        if self.paused {
            return Vec::new();
        }
        let ready =
            |(_, job): &(&Meeting, &Job)| matches!(job.place, Place::Ready) && !self.runs[job.owner].paused;
        let mut order: Vec<(u8, Meeting)> = self
            .jobs
            .iter()
            .filter(ready)
            .map(|(meeting, job)| (RUNS[job.owner].class(), *meeting))
            .collect();
        order.sort_unstable();
        order.truncate(most);
        let mut fences = fences.iter();
        let claim = |(_, meeting)| {
            let job = self.jobs.get_mut(&meeting).expect("it was just seen");
            job.starts += 1;
            let fence = fences.next().copied().unwrap_or_default();
            job.place = Place::Leased { fence, until: self.now + self.lease };
            (meeting, job.starts, job.owner)
        };
        order.into_iter().map(claim).collect()
    }

    fn pass_time(&mut self) {
        let mut killed = Vec::new();
        for (meeting, job) in &mut self.jobs {
            match job.place {
                Place::Leased { until, .. } if until <= self.now && job.starts >= self.max_attempts => {
                    killed.push(*meeting);
                }
                Place::Leased { until, .. } if until <= self.now => {
                    let due = until + rest(job.starts, &uuid(*meeting));
                    let rests = due > self.now;
                    job.place =
                        if rests { Place::Delayed { due, reason: Reason::WorkerDied } } else { Place::Ready };
                }
                Place::Delayed { due, .. } if due <= self.now => job.place = Place::Ready,
                _ => {}
            }
        }
        for meeting in killed {
            self.bury(meeting);
        }
    }

    fn bury(&mut self, meeting: Meeting) {
        let job = self.jobs.remove(&meeting).expect("a job to bury");
        for run in job.runs {
            let run = &mut self.runs[run];
            run.dead.insert(meeting);
            run.counts.failed += 1;
            run.counts.pending -= 1;
        }
        self.complete();
    }

    fn held(&mut self, lease: &Held) -> Option<&mut Job> {
        let now = self.now;
        let job = self.jobs.get_mut(&lease.meeting)?;
        let held = matches!(job.place, Place::Leased { fence, until } if fence == lease.fence && now < until);
        held.then_some(job)
    }

    pub(super) fn extend(&mut self, lease: &Held) -> Option<Instant> {
        let until = self.now + self.lease;
        self.held(lease)?.place = Place::Leased { fence: lease.fence, until };
        Some(until)
    }

    pub(super) fn settle(&mut self, lease: &Held, fate: &Fate) -> Settled {
        let max_attempts = self.max_attempts;
        let Some(job) = self.held(lease) else {
            return Settled::Lost;
        };
        let (runs, spent) = (job.runs.clone(), job.starts >= max_attempts);
        match fate {
            Fate::Retry { at, cause } if !spent => {
                job.place = Place::Delayed { due: *at, reason: cause.reason }
            }
            Fate::Snooze { until, cause } => {
                job.starts -= 1;
                job.place = Place::Delayed { due: *until, reason: cause.reason };
            }
            Fate::Release => {
                job.starts -= 1;
                job.place = Place::Ready;
            }
            Fate::Retry { .. } | Fate::Dead { .. } => self.bury(lease.meeting),
            Fate::Finish { outcome } => self.finish(lease.meeting, *outcome),
        }
        for run in runs {
            self.runs[run].counts.files += 1;
            self.runs[run].counts.bytes += 10;
        }
        if matches!(fate, Fate::Retry { .. }) && spent { Settled::Died } else { Settled::Done }
    }

    fn finish(&mut self, meeting: Meeting, outcome: Outcome) {
        let job = self.jobs.remove(&meeting).expect("a job to finish");
        for run in job.runs {
            let counts = &mut self.runs[run].counts;
            counts.pending -= 1;
            match outcome {
                Outcome::Recovered => counts.recovered += 1,
                Outcome::Unavailable => counts.unavailable += 1,
                Outcome::Expired => counts.expired += 1,
                Outcome::Failed => unreachable!("a failure is `Dead`"),
            }
        }
        self.complete();
    }

    pub(super) fn set_paused(&mut self, run: Option<usize>, paused: bool) {
        match run {
            Some(run) => self.runs[run].paused = paused,
            None => self.paused = paused,
        }
    }

    pub(super) fn cancel(&mut self, run: usize) -> CancelReport {
        let (mut removed, mut passed_on) = (0, 0);
        self.jobs.retain(|_, job| {
            if !job.runs.remove(&run) {
                return true;
            }
            let heir = job.runs.iter().copied().min_by_key(|run| (RUNS[*run].class(), *run));
            match heir {
                Some(heir) => {
                    passed_on += 1;
                    if job.owner == run {
                        job.owner = heir;
                    }
                }
                None => removed += 1,
            }
            heir.is_some()
        });
        if !self.runs[run].state.is_end() || removed + passed_on > 0 {
            self.runs[run].state = RunState::Cancelled;
        }
        CancelReport { state: self.runs[run].state, removed, passed_on }
    }

    pub(super) fn retry(&mut self, run: usize) -> RetryReport {
        let mut report = RetryReport::default();
        for meeting in std::mem::take(&mut self.runs[run].dead) {
            if let Some(job) = self.jobs.get_mut(&meeting) {
                job.runs.insert(run);
                report.already_queued += 1;
            } else {
                let job = Job { owner: run, runs: BTreeSet::from([run]), starts: 0, place: Place::Ready };
                self.jobs.insert(meeting, job);
                report.requeued += 1;
            }
            self.runs[run].counts.failed -= 1;
            self.runs[run].counts.pending += 1;
            if self.runs[run].state == RunState::Completed {
                self.runs[run].state = RunState::Running;
            }
        }
        report
    }
}
