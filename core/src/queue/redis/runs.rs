//! Runs: created, enumerated, ended, shown. Their counts are moved by the scripts that move jobs.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use redis::cmd;

use super::reply::{Fields, Reply};
use super::{RedisQueue, scripts, span, stamp};
use crate::queue::clock::{Millis, instant};
use crate::queue::error::QueueError;
use crate::queue::view::FELL_SILENT;
use crate::run::{Counts, RecoveryRun, RunId, RunState, Unproven};

/// How long a server may take to sync its append-only file, which it does once a second.
const SYNC_PATIENCE: Duration = Duration::from_secs(3);

impl RedisQueue {
    pub(in crate::queue) async fn create_run(&self, run: &RecoveryRun) -> Result<(), QueueError> {
        let arguments = vec![
            run.id.to_string(),
            run.request.mode.class().to_string(),
            run.state.as_str().to_owned(),
            // Until its first beat a producer has as long as a lease: one that dies before it is noticed too.
            span(self.0.lease),
            stamp(run.started_at.timestamp_millis()),
            run.finished_at.map_or_else(String::new, |at| stamp(at.timestamp_millis())),
            to_json(&run.request),
            to_json(&run.unproven),
            run.ended_because.clone().unwrap_or_default(),
        ];
        let create =
            || self.eval_once(|| format!("create {}", run.id), &scripts::CREATE_RUN, arguments.clone());
        match self.patiently(create).await?.text().as_str() {
            "exists" => Err(QueueError::RunExists(run.id.clone())),
            _ => Ok(()),
        }
    }

    pub(in crate::queue) async fn run(&self, id: &RunId) -> Result<Option<RecoveryRun>, QueueError> {
        Ok(self.read_runs(std::slice::from_ref(id)).await?.pop())
    }

    pub(in crate::queue) async fn runs_before(
        &self,
        before: Option<&RunId>,
        limit: u32,
    ) -> Result<Vec<RecoveryRun>, QueueError> {
        // All are of one score, so the order is that of their ids.
        let mut newest = cmd("ZREVRANGEBYLEX");
        newest.arg(self.0.keys.runs());
        newest.arg(before.map_or_else(|| "+".to_owned(), |before| format!("({before}"))).arg("-");
        newest.arg("LIMIT").arg(0).arg(limit);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let ids = self.command(newest).await?.texts();
        let ids: Vec<RunId> = ids.iter().map(|id| self.run_id(id)).collect::<Result<_, _>>()?;
        let mut runs = Vec::with_capacity(ids.len());
        for slice in ids.chunks(scripts::SLICE) {
            runs.extend(self.read_runs(slice).await?);
        }
        Ok(runs)
    }

    pub(in crate::queue) async fn enumerated(
        &self,
        id: &RunId,
        unproven: &[Unproven],
    ) -> Result<RunState, QueueError> {
        let arguments = || vec![id.to_string(), to_json(&unproven)];
        let answer = self.patiently(|| self.eval(&scripts::ENUMERATED, arguments())).await?;
        let state = self.state_that_stands(id, answer)?;
        self.synced().await;
        Ok(state)
    }

    pub(in crate::queue) async fn end_run(
        &self,
        id: &RunId,
        state: RunState,
        because: Option<&str>,
    ) -> Result<RunState, QueueError> {
        if !state.is_end() {
            return Err(QueueError::NoEnd(state));
        }
        let because = because.unwrap_or_default();
        let arguments = || vec![id.to_string(), state.as_str().to_owned(), because.to_owned()];
        let answer = self.patiently(|| self.eval(&scripts::END_RUN, arguments())).await?;
        self.state_that_stands(id, answer)
    }

    pub(in crate::queue) async fn producer_beat(
        &self,
        run: &RunId,
        until: DateTime<Utc>,
    ) -> Result<(), QueueError> {
        let arguments = vec![run.to_string(), stamp(self.by_the_server(until))];
        match self.eval(&scripts::BEAT, arguments).await?.text().as_str() {
            "1" => {
                self.compare_clocks().await;
                Ok(())
            }
            _ => Err(QueueError::UnknownRun(run.clone())),
        }
    }

    /// Waits until all that was written on this connection is on the server's disk, where the server can tell (Redis
    /// 7.2): what is said to be enumerated is then safe from a power cut. Once a run, because the connection waits too.
    async fn synced(&self) {
        let mut wait = cmd("WAITAOF");
        wait.arg(1).arg(0).arg(SYNC_PATIENCE.as_millis().to_string());
        match self.command(wait).await {
            Ok(answer) if answer.clone().texts().first().is_some_and(|synced| synced == "0") => {
                tracing::warn!("the queue's server has not yet synced what was enqueued to its disk");
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the queue's server does not tell what is on its disk"),
        }
    }

    fn state_that_stands(&self, id: &RunId, answer: Reply) -> Result<RunState, QueueError> {
        if answer.is_nil() {
            return Err(QueueError::UnknownRun(id.clone()));
        }
        self.run_state(&answer.text())
    }

    async fn read_runs(&self, ids: &[RunId]) -> Result<Vec<RecoveryRun>, QueueError> {
        let arguments = ids.iter().map(RunId::to_string).collect();
        let mut answer = Fields::of(self.eval(&scripts::RUNS, arguments).await?);
        let now = answer.instant().unwrap_or_default();
        let mut runs = Vec::with_capacity(ids.len());
        for id in ids {
            let (run, about) = (answer.next().pairs(), answer.next().pairs());
            if !run.is_empty() {
                runs.push(self.shown(id, &run, &about, now)?);
            }
        }
        Ok(runs)
    }

    /// The run as it is shown at `now`: paused and abandoned runs are told by their fields, not by their state.
    fn shown(
        &self,
        id: &RunId,
        run: &HashMap<String, String>,
        about: &HashMap<String, String>,
        now: Millis,
    ) -> Result<RecoveryRun, QueueError> {
        let text = |name: &str| about.get(name).map_or("", String::as_str);
        let at = |name: &str| run.get(name).and_then(|at| at.parse::<Millis>().ok());
        let mut state = self.run_state(run.get("state").map_or("", String::as_str))?;
        let mut finished_at = at("finished_at");
        let mut ended_because = about.get("because").cloned();
        let beat_until = at("beat_until").unwrap_or_default();
        if state == RunState::Enumerating && beat_until < now {
            state = RunState::Stopped;
            finished_at = Some(beat_until);
            ended_because = Some(FELL_SILENT.to_owned());
        } else if state == RunState::Running && run.contains_key("paused") {
            state = RunState::Paused;
        }
        Ok(RecoveryRun {
            id: id.clone(),
            request: self.json(text("request"), "what a run was asked for")?,
            state,
            started_at: instant(at("started_at").unwrap_or_default()),
            finished_at: finished_at.map(instant),
            counts: counts(run),
            unproven: self.json(text("unproven"), "what of a run is not proven")?,
            ended_because,
        })
    }

    /// An unknown word was written by a newer program.
    pub(super) fn run_state(&self, word: &str) -> Result<RunState, QueueError> {
        RunState::parse(word).ok_or_else(|| self.corrupt(format!("there is no state '{word}' of a run")))
    }

    pub(super) fn run_id(&self, text: &str) -> Result<RunId, QueueError> {
        RunId::parse(text).map_err(|error| self.corrupt(error))
    }

    pub(super) fn json<T: serde::de::DeserializeOwned>(
        &self,
        text: &str,
        what: &str,
    ) -> Result<T, QueueError> {
        serde_json::from_str(text).map_err(|error| self.corrupt(format!("{what} cannot be read: {error}")))
    }
}

/// A count that has never moved has no field.
fn counts(run: &HashMap<String, String>) -> Counts {
    let count = |name: &str| run.get(name).and_then(|count| count.parse().ok()).unwrap_or_default();
    Counts {
        listed: count("listed"),
        present: count("present"),
        incomplete: count("incomplete"),
        missing: count("missing"),
        excluded: count("excluded"),
        indeterminate: count("indeterminate"),
        detected: count("detected"),
        recovered: count("recovered"),
        failed: count("failed"),
        unavailable: count("unavailable"),
        expired: count("expired"),
        pending: count("pending"),
        files: count("files"),
        bytes: count("bytes"),
    }
}

pub(super) fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("our own types have string keys and no failing parts")
}
