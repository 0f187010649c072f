//! What is seen of the model.

use super::{Instant, Meeting, Model, Place, Run};
use crate::queue::conformance::bench::job_deadline;
use crate::queue::{JobState, WorkLeft};
use crate::reason::Reason;
use crate::run::{Counts, RunState};

impl Model {
    pub(in super::super) fn unfinished(&self) -> u64 {
        self.jobs.len() as u64
    }

    pub(in super::super) fn books(&self, run: usize) -> (RunState, Counts) {
        let Run { state, paused, counts, .. } = &self.runs[run];
        let shown = if *paused && *state == RunState::Running { RunState::Paused } else { *state };
        (shown, *counts)
    }

    pub(in super::super) fn dead(&self, run: usize) -> impl Iterator<Item = Meeting> {
        self.runs[run].dead.iter().copied()
    }

    pub(in super::super) fn jobs(
        &self,
        run: usize,
    ) -> impl Iterator<Item = (Meeting, JobState, Option<Instant>, u32)> {
        self.jobs.iter().filter(move |(_, job)| job.runs.contains(&run)).map(|(meeting, job)| {
            let (state, due) = match job.place {
                Place::Ready => (JobState::Ready, None),
                Place::Leased { .. } => (JobState::Leased, None),
                Place::Delayed { due, .. } => (JobState::Delayed, Some(due)),
            };
            (*meeting, state, due, job.starts)
        })
    }

    pub(in super::super) fn work_left(&self, run: usize) -> WorkLeft {
        let mut left = WorkLeft::default();
        for (meeting, job) in self.jobs.iter().filter(|(_, job)| job.runs.contains(&run)) {
            let deadline = job_deadline(*meeting);
            left.nearest_deadline = left.nearest_deadline.into_iter().chain([deadline]).min();
            match job.place {
                Place::Ready if self.paused || self.runs[job.owner].paused => left.held += 1,
                Place::Ready => left.ready += 1,
                Place::Leased { .. } => left.leased += 1,
                Place::Delayed { due, reason } => {
                    left.next_due = left.next_due.into_iter().chain([due]).min();
                    match reason {
                        Reason::ArchiveProcessing => left.waiting_for_zoom += 1,
                        _ => left.retrying += 1,
                    }
                }
            }
        }
        left
    }
}
