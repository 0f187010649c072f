//! Enqueueing: jobs and books in one step; and the high-water mark.

use std::time::{Duration, Instant};

use redis::cmd;

use super::record::pack;
use super::reply::Reply;
use super::{BATCH_KEPT, PATIENCE, RedisQueue, scripts, stamp};
use crate::digest::sha256;
use crate::queue::backoff::Trouble;
use crate::queue::error::QueueError;
use crate::queue::job::Wanted;
use crate::queue::view::{Enqueued, NewJob};
use crate::run::{RunId, Tally};

/// How soon room is seen: a producer that waits has filled the queue, so nobody waits for it.
const ROOM_POLL: Duration = Duration::from_millis(500);

impl RedisQueue {
    pub(in crate::queue) async fn enqueue(
        &self,
        run: &RunId,
        batch: &[NewJob],
        tally: Tally,
    ) -> Result<Vec<Enqueued>, QueueError> {
        let mut answers = Vec::with_capacity(batch.len());
        let mut rest = batch;
        loop {
            let (step, later) = rest.split_at(rest.len().min(scripts::BATCH));
            let last = later.is_empty();
            let counted = if last { tally } else { Tally::default() };
            // Without a mark there is always room.
            answers.extend(self.enqueue_step(None, run, step, counted).await?.unwrap_or_default());
            if last {
                return Ok(answers);
            }
            rest = later;
        }
    }

    pub(in crate::queue) async fn enqueue_if_there_is_room(
        &self,
        run: &RunId,
        step: &[NewJob],
        tally: Tally,
    ) -> Result<Option<Vec<Enqueued>>, QueueError> {
        self.enqueue_step(Some(self.0.high_water), run, step, tally).await
    }

    /// None if there are as many unfinished jobs as the mark says.
    async fn enqueue_step(
        &self,
        mark: Option<u64>,
        run: &RunId,
        jobs: &[NewJob],
        tally: Tally,
    ) -> Result<Option<Vec<Enqueued>>, QueueError> {
        let mut arguments = vec![
            run.to_string(),
            tally.present.to_string(),
            tally.excluded.to_string(),
            tally.indeterminate.to_string(),
            mark.map_or_else(String::new, |mark| mark.to_string()),
        ];
        for NewJob { payload, ready } in jobs {
            arguments.extend([
                payload.uuid.to_string(),
                stamp(payload.deadline.timestamp_millis()),
                pack(payload),
                u8::from(payload.wanted == Wanted::All).to_string(),
                u8::from(*ready).to_string(),
            ]);
        }
        // A batch has no name: what it says stands for it.
        let name = || format!("enqueue {}", sha256(arguments.join("\n").as_bytes()));
        let enqueue = || self.eval_once_and_keep(BATCH_KEPT, name, &scripts::ENQUEUE, arguments.clone());
        let answer = self.patiently(enqueue).await?;
        self.enqueued(run, answer)
    }

    fn enqueued(&self, run: &RunId, answer: Reply) -> Result<Option<Vec<Enqueued>>, QueueError> {
        let answer = answer.text();
        let mut words = answer.split(' ');
        match words.next() {
            Some("ok") => {}
            Some("full") => return Ok(None),
            Some("over") => {
                let state = self.run_state(words.next().unwrap_or_default())?;
                return Err(QueueError::RunOver { run: run.clone(), state });
            }
            _ => return Err(QueueError::UnknownRun(run.clone())),
        }
        let one = |word: &str| match word.split_at_checked(1) {
            Some(("N", _)) => Ok(Enqueued::New),
            Some(("D", owner)) => Ok(Enqueued::Duplicate { owner: self.run_id(owner)? }),
            _ => Ok(Enqueued::Already),
        };
        words.map(one).collect::<Result<_, _>>().map(Some)
    }

    pub(in crate::queue) async fn below_high_water(&self) -> Result<(), QueueError> {
        loop {
            let mut length = cmd("HLEN");
            length.arg(self.0.keys.jobs());
            let unfinished: u64 = self.command(length).await?.text().parse().unwrap_or_default();
            if unfinished < self.0.high_water {
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(ROOM_POLL) => {}
                () = self.0.link.closed() => return Err(QueueError::Closed),
            }
        }
    }

    /// Makes a producer's call again for as long as Redis is out of reach, but not for ever.
    pub(super) async fn patiently<T, F>(&self, call: impl Fn() -> F) -> Result<T, QueueError>
    where
        F: Future<Output = Result<T, QueueError>>,
    {
        let began = Instant::now();
        let mut trouble = Trouble::default();
        loop {
            match call().await {
                Err(error @ QueueError::Unreachable { .. }) => {
                    let pause = trouble.pause(&error, "the queue cannot be reached");
                    if began.elapsed() + pause > PATIENCE {
                        return Err(error);
                    }
                    tokio::time::sleep(pause).await;
                }
                done => {
                    trouble.over("the queue can be reached again");
                    return done;
                }
            }
        }
    }
}
