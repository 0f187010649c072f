//! Pause, resume, cancel and retry, while workers run.

use redis::cmd;

use super::reply::Fields;
use super::{RedisQueue, scripts};
use crate::meeting::MeetingUuid;
use crate::queue::error::QueueError;
use crate::queue::view::{CancelReport, RetryReport};
use crate::redis::RECALL;
use crate::run::RunId;

/// One command that an operator gave. The same words given again are another command: an answer to the first that was
/// not received is none to the second, between which the run may have been retried.
struct Command(u64);

impl Command {
    fn new() -> Self {
        Self(fastrand::u64(..))
    }
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl RedisQueue {
    pub(in crate::queue) async fn set_paused(
        &self,
        run: Option<&RunId>,
        paused: bool,
    ) -> Result<(), QueueError> {
        let name = run.map_or_else(String::new, RunId::to_string);
        let arguments = vec![name, u8::from(paused).to_string()];
        let known = self.eval(&scripts::PAUSE, arguments).await?.text() == "1";
        match run {
            Some(run) if !known => Err(QueueError::UnknownRun(run.clone())),
            _ => Ok(()),
        }
    }

    pub(in crate::queue) async fn cancel(&self, run: &RunId) -> Result<CancelReport, QueueError> {
        let command = Command::new();
        loop {
            let arguments = vec![run.to_string(), scripts::SLICE.to_string()];
            let answer =
                self.eval_once(|| format!("{command} cancel {run}"), &scripts::CANCEL, arguments).await?;
            let answer = answer.text();
            if answer.is_empty() {
                return Err(QueueError::UnknownRun(run.clone()));
            }
            let mut answer = Fields::of_words(&answer);
            let through = answer.flag();
            let report = CancelReport {
                state: self.run_state(&answer.text())?,
                removed: answer.count(),
                passed_on: answer.count(),
            };
            if through {
                self.recall().await;
                return Ok(report);
            }
        }
    }

    /// Tells the holders of what was taken away. Who is not told learns it with the next renewal.
    async fn recall(&self) {
        let mut publish = cmd("PUBLISH");
        publish.arg(self.0.keys.news()).arg(RECALL);
        if let Err(error) = self.command(publish).await {
            tracing::debug!(%error, "the holders of cancelled jobs were not told");
        }
    }

    pub(in crate::queue) async fn retry(
        &self,
        run: &RunId,
        only: Option<&[MeetingUuid]>,
    ) -> Result<RetryReport, QueueError> {
        let (mut report, command) = (RetryReport::default(), Command::new());
        let Some(meetings) = only else {
            while self.retry_slice(&command, run, &[], &mut report).await? {}
            return Ok(report);
        };
        // A run that is not known is told of also when nothing of it is asked for.
        if self.run(run).await?.is_none() {
            return Err(QueueError::UnknownRun(run.clone()));
        }
        for slice in meetings.chunks(scripts::RETRIED) {
            self.retry_slice(&command, run, slice, &mut report).await?;
        }
        Ok(report)
    }

    /// Retries the given meetings, or a slice of all if there are none; whether there is more.
    async fn retry_slice(
        &self,
        command: &Command,
        run: &RunId,
        only: &[MeetingUuid],
        report: &mut RetryReport,
    ) -> Result<bool, QueueError> {
        loop {
            let mut arguments = vec![run.to_string(), scripts::RETRIED.to_string()];
            arguments.extend(only.iter().map(MeetingUuid::to_string));
            let name = || format!("{command} retry {}", arguments.join(" "));
            let answer = self.eval_once(name, &scripts::RETRY, arguments.clone()).await?;
            let mut answer = Fields::of_words(&answer.text());
            match answer.text().as_str() {
                "ok" => {
                    report.requeued += answer.count();
                    report.already_queued += answer.count();
                    return Ok(answer.flag());
                }
                // What is put back now must not be cut away with the rest.
                "cancelling" => self.cancel(run).await.map(|_| ())?,
                _ => return Err(QueueError::UnknownRun(run.clone())),
            }
        }
    }
}
