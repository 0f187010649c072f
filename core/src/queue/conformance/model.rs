//! Random histories: each step is done to the queue and to a model in memory, and after each the two must agree in
//! everything that can be seen.

use std::time::Duration;

use super::Bench;
use super::bench::{MOMENT, a_run, because, numbers, uuid};
use super::reference::{Held, Model};
use crate::queue::{Claimed, Enqueued, ExtendOutcome, Fate, NewJob, QueueError, RetryReport, WorkerId};
use crate::reason::{Outcome, Reason};
use crate::run::{Mode, RunId, Tally};

/// The runs of a history, by index; their ids are in this order too.
pub const RUNS: [Mode; 4] = [Mode::Automatic, Mode::Manual, Mode::Specific, Mode::Automatic];

/// Meetings are numbers below this.
pub const MEETINGS: u32 = 6;

/// One step of a history. Leases are named by when they were given out: stale ones too.
#[derive(Debug, Clone)]
pub enum Step {
    Enqueue {
        run: usize,
        meetings: Vec<u32>,
        ready: bool,
    },
    Enumerated {
        run: usize,
    },
    Claim {
        worker: usize,
        most: usize,
    },
    Extend {
        lease: usize,
    },
    Settle {
        lease: usize,
        fate: Ending,
    },
    /// Moves the clock by thirds of a lease.
    Advance {
        thirds: u32,
    },
    /// The process dies and another one opens the store.
    Crash,
    Pause {
        run: Option<usize>,
    },
    Resume {
        run: Option<usize>,
    },
    Cancel {
        run: usize,
    },
    Retry {
        run: usize,
    },
}

/// A fate, with its delay in thirds of a lease.
#[derive(Debug, Clone, Copy)]
pub enum Ending {
    Finish(Outcome),
    Retry(u32),
    Snooze(u32, Reason),
    Release,
    Dead,
}

/// Does the history and compares after every step.
pub async fn replay(mut bench: Bench, history: &[Step]) {
    let mut ids: Vec<RunId> = RUNS.iter().map(|_| RunId::new(bench.now())).collect();
    ids.sort();
    for (id, mode) in ids.iter().zip(RUNS) {
        bench.queue.create_run(&a_run(id, mode, bench.now())).await.expect("a new run");
        let far = bench.now() + Duration::from_secs(86_400 * 365);
        bench.queue.producer_beat(id, far).await.expect("beaten");
    }
    let model = Model::new(bench.store.settings.max_attempts, bench.lease(), bench.now());
    let mut replay = Replay { model, ids, workers: [WorkerId::new(), WorkerId::new()], given: Vec::new() };
    for (at, step) in history.iter().enumerate() {
        replay.step(&mut bench, step).await;
        replay.compare(&bench, &format!("after step {at}, {step:?}")).await;
    }
}

struct Replay {
    model: Model,
    ids: Vec<RunId>,
    workers: [WorkerId; 2],
    given: Vec<Claimed>,
}

impl Replay {
    async fn step(&mut self, bench: &mut Bench, step: &Step) {
        let queue = &bench.queue;
        let id = |run: &usize| &self.ids[*run];
        match step {
            Step::Enqueue { run, meetings, ready } => self.enqueue(bench, *run, meetings, *ready).await,
            Step::Enumerated { run } => {
                let state = queue.enumerated(id(run), &[]).await.expect("enumerated");
                assert_eq!(state, self.model.enumerated(*run), "{step:?}");
            }
            Step::Claim { worker, most } => self.claim(bench, *worker, *most).await,
            Step::Extend { lease } => {
                let Some(job) = self.nth(*lease) else { return };
                let outcome = queue.extend(std::slice::from_ref(&job.lease)).await.expect("extended");
                let until = self.model.extend(&held(job));
                let expected = until.map_or(ExtendOutcome::Lost, |until| ExtendOutcome::Held { until });
                assert_eq!(outcome, [expected], "{step:?}");
            }
            Step::Settle { lease, fate } => {
                let Some(job) = self.nth(*lease) else { return };
                let fate = fate_of(bench, *fate);
                let settled = queue.settle(&job.lease, fate.clone().moved(1, 10)).await.expect("settled");
                assert_eq!(settled, self.model.settle(&held(job), &fate), "{step:?}");
            }
            Step::Advance { thirds } => {
                let by = bench.lease() / 3 * *thirds + MOMENT;
                bench.clock.advance(by);
                self.model.now = bench.now();
            }
            Step::Crash => bench.queue = bench.open_again().await,
            Step::Pause { run } => {
                queue.pause(run.as_ref().map(id)).await.expect("paused");
                self.model.set_paused(*run, true);
            }
            Step::Resume { run } => {
                queue.resume(run.as_ref().map(id)).await.expect("resumed");
                self.model.set_paused(*run, false);
            }
            Step::Cancel { run } => {
                let report = queue.cancel(id(run)).await.expect("cancelled");
                assert_eq!(report, self.model.cancel(*run), "{step:?}");
            }
            Step::Retry { run } => {
                let report: RetryReport = queue.retry(id(run), None).await.expect("retried");
                assert_eq!(report, self.model.retry(*run), "{step:?}");
            }
        }
    }

    async fn enqueue(&mut self, bench: &Bench, run: usize, meetings: &[u32], ready: bool) {
        let batch: Vec<NewJob> =
            meetings.iter().map(|meeting| NewJob { ready, ..bench.job(*meeting) }).collect();
        let tally = Tally { present: 1, ..Tally::default() };
        let answer = bench.queue.enqueue(&self.ids[run], &batch, tally).await;
        match self.model.enqueue(run, meetings, ready) {
            Ok(expected) => {
                let owner = |owner: usize| self.ids[owner].clone();
                let expected: Vec<Enqueued> = expected.into_iter().map(|one| one.named(owner)).collect();
                assert_eq!(answer, Ok(expected));
            }
            Err(state) => assert_eq!(answer, Err(QueueError::RunOver { run: self.ids[run].clone(), state })),
        }
    }

    async fn claim(&mut self, bench: &Bench, worker: usize, most: usize) {
        let claimed = bench.queue.claim(&self.workers[worker], most).await.expect("claimed");
        let fences: Vec<u64> = claimed.iter().map(|job| job.lease.fence).collect();
        let last = self.given.iter().map(|job| job.lease.fence).max().unwrap_or_default();
        assert!(
            fences.iter().all(|fence| *fence > last),
            "a token was given out twice: {fences:?} after {last}"
        );
        let expected = self.model.claim(most, &fences);
        assert_eq!(numbers(&claimed), expected.iter().map(|job| job.0).collect::<Vec<_>>());
        for (job, (_, starts, owner)) in claimed.iter().zip(expected) {
            assert_eq!((job.starts, &job.owner), (starts, &self.ids[owner]));
            assert_eq!(job.lease.until, bench.now() + bench.lease());
        }
        self.given.extend(claimed);
    }

    /// Recent leases are named by small numbers.
    fn nth(&self, lease: usize) -> Option<&Claimed> {
        self.given.iter().rev().nth(lease)
    }

    async fn compare(&self, bench: &Bench, when: &str) {
        let (queue, model) = (&bench.queue, &self.model);
        assert_eq!(queue.depth().await.expect("read").unfinished(), model.unfinished(), "{when}");
        for (run, id) in self.ids.iter().enumerate() {
            let seen = bench.run(id).await;
            assert_eq!((seen.state, seen.counts), model.books(run), "run {run} {when}");
            assert!(seen.counts.balance(), "run {run} {when}");
            assert_eq!(queue.work_left(id).await.expect("read"), model.work_left(run), "run {run} {when}");
            let jobs = queue.jobs(id, None, 99).await.expect("read");
            let jobs: Vec<_> =
                jobs.into_iter().map(|job| (job.uuid, job.state, job.due, job.starts)).collect();
            let expected: Vec<_> =
                model.jobs(run).map(|(n, state, due, starts)| (uuid(n), state, due, starts)).collect();
            assert_eq!(jobs, expected, "run {run} {when}");
            let dead = queue.dead(id, None, 99).await.expect("read");
            let dead: Vec<_> = dead.into_iter().map(|dead| dead.uuid).collect();
            assert_eq!(dead, model.dead(run).map(uuid).collect::<Vec<_>>(), "run {run} {when}");
        }
    }
}

fn held(job: &Claimed) -> Held {
    Held { meeting: numbers(std::slice::from_ref(job))[0], fence: job.lease.fence }
}

fn fate_of(bench: &Bench, ending: Ending) -> Fate {
    let at = |thirds: u32| bench.now() + bench.lease() / 3 * thirds;
    match ending {
        Ending::Finish(outcome) => Fate::Finish { outcome },
        Ending::Retry(thirds) => Fate::Retry { at: at(thirds), cause: because(Reason::Network) },
        Ending::Snooze(thirds, reason) => Fate::Snooze { until: at(thirds), cause: because(reason) },
        Ending::Release => Fate::Release,
        Ending::Dead => Fate::Dead { cause: because(Reason::ZoomRefused) },
    }
}
