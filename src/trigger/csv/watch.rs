//! Watches the folder of new files, in a process that stays.
//!
//! It looks at the folder every now and then instead of being told of changes: notifications do not come over NFS or SMB,
//! are lost when there are many, and say nothing of whether the writer is done. A look is one listing of a folder.
//!
//! A file is taken when it has kept its size and time for `csv.settle`, gets a run (files that are ready at the same look
//! share one), and stays taken until every row is finished, which workers anywhere may do. What a crash leaves is told in
//! [`super`]: the next process that looks, takes the file up.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use recapture_core::config::Loaded;
use recapture_core::queue::QueueError;
use recapture_core::run::{Mode, RecoveryRun, Request, RunId, RunState};
use recapture_worker::Opened;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{CsvError, Inbox, InboxError, Waiting, folders, waiting};
use crate::recovery::{Part, Recovery, RecoveryError, What, begin, conclude};

const SHORTEST_LOOK: Duration = Duration::from_millis(200);
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// How many times `csv.settle` a file rests that is still there after its run, or could not be taken: twice as long each
/// time, so that one which can never be finished does not fill the disk with runs.
const REST: u32 = 15;
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// The most of a run's reason that names files.
const NAMED: usize = 5;

#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error(transparent)]
    Inbox(#[from] InboxError),
    #[error(transparent)]
    Csv(#[from] CsvError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

/// Runs until `stop`. What passes by itself is said and waited for.
pub async fn watch(opened: &Opened, loaded: &Loaded, stop: CancellationToken) -> Result<(), String> {
    let csv = &loaded.config.csv;
    info!(folder = %csv.dir.display(), "watching for CSV files");
    let mut watch = Watch { opened, loaded, stop: &stop, known: HashMap::new(), held: Vec::new() };
    let mut said = String::new();
    loop {
        match watch.look().await {
            Ok(()) => said.clear(),
            Err(WatchError::Queue(error)) if !error.is_transient() => return Err(error.to_string()),
            Err(error) => {
                let words = error.to_string();
                if words != said {
                    warn!(error = words, "the folder of CSV files is looked at again");
                    said = words;
                }
            }
        }
        let pause = csv.settle.clamp(SHORTEST_LOOK, LONGEST_LOOK);
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return Ok(());
        }
    }
}

/// A file as it was when it was last looked at.
struct Known {
    file: Waiting,
    since: Instant,
    /// Left alone until then, unless it changes.
    rests_until: Option<Instant>,
    /// How often it was left alone since it was changed.
    rests: u32,
    /// Left alone until it changes.
    shunned: bool,
}

struct Watch<'a> {
    opened: &'a Opened,
    loaded: &'a Loaded,
    stop: &'a CancellationToken,
    known: HashMap<PathBuf, Known>,
    /// Files whose rows are being recovered.
    held: Vec<(Inbox, RunId, Vec<PathBuf>)>,
}

impl Watch<'_> {
    async fn look(&mut self) -> Result<(), WatchError> {
        self.finish().await?;
        let ready = self.ready()?;
        if ready.is_empty() {
            return Ok(());
        }
        let mut inbox = Inbox::empty(&self.loaded.config, say)?;
        let mut taken = Vec::new();
        for path in ready {
            match inbox.take_one(&path, self.opened).await {
                // Another process has it, or it is gone.
                Ok(false) => {}
                Ok(true) => taken.push(path),
                Err(InboxError::Csv(error)) => {
                    warn!(%error, "the file is left alone for a while");
                    self.rest(&path);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if inbox.is_empty() {
            return Ok(());
        }
        let recovered = self.recover(inbox, &taken).await;
        if recovered.is_err() {
            for path in &taken {
                self.rest(path);
            }
        }
        recovered
    }

    /// The files that have stopped growing, and that nothing speaks against taking.
    fn ready(&mut self) -> Result<Vec<PathBuf>, CsvError> {
        let csv = &self.loaded.config.csv;
        let files = match waiting(&csv.dir, &folders(&self.loaded.config)) {
            // It is made by whoever has files.
            Err(CsvError::NotThere(_)) => Vec::new(),
            other => other?,
        };
        self.known.retain(|path, _| files.iter().any(|file| file.path == *path));
        let now = Instant::now();
        let mut ready = Vec::new();
        for file in files {
            let path = file.path.clone();
            let known = self.known.entry(path.clone()).or_insert_with(|| Known::new(file.clone(), now));
            if known.file != file {
                *known = Known::new(file, now);
            }
            let rests = known.shunned || known.rests_until.is_some_and(|until| now < until);
            let held = self.held.iter().any(|(_, _, paths)| paths.contains(&path));
            if !held && !rests && now >= known.since + csv.settle {
                ready.push(path);
            }
        }
        Ok(ready)
    }

    /// Puts the rows of the files on the queue.
    async fn recover(&mut self, mut inbox: Inbox, paths: &[PathBuf]) -> Result<(), WatchError> {
        let (opened, config) = (self.opened, &self.loaded.config);
        let names = inbox.names();
        let mut reason = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        if names.len() > NAMED {
            reason = format!("{reason} and {} more", names.len() - NAMED);
        }
        let request = Request {
            mode: Mode::Specific,
            dry_run: false,
            requested_by: "recapture serve".to_owned(),
            reason: Some(reason),
            period: None,
            served: None,
        };
        let run = begin(opened, request, self.loaded.effective_hash()).await?;
        if let Err(error) = inbox.assign(opened, &run.id).await {
            let because = Some(error.to_string());
            opened.queue.end_run(&run.id, RunState::Failed, because.as_deref()).await?;
            return Err(error.into());
        }
        let what = What::Meetings(inbox.asked());
        let recovery =
            Recovery { opened, config, id: run.id.clone(), tell: &|_| {}, stop: self.stop.clone() };
        let end = recovery.recover(&what, Part::List).boxed().await?;
        let (run, because) = conclude(opened, &run.id, &end).await?;
        if let Some(because) = because {
            warn!(run = %run.id, because, files = ?names, "the recovery of CSV files stopped; it is taken up again");
        }
        self.held.push((inbox, run.id, paths.to_vec()));
        Ok(())
    }

    /// Moves the files whose rows are finished. One that cannot be looked at now is looked at again.
    async fn finish(&mut self) -> Result<(), WatchError> {
        let mut failed = None;
        for (inbox, id, paths) in std::mem::take(&mut self.held) {
            let run = match self.opened.queue.run(&id).await {
                Ok(run) => run,
                Err(error) => {
                    failed = Some(error.into());
                    self.held.push((inbox, id, paths));
                    continue;
                }
            };
            match run {
                None => {
                    warn!(run = %id, "the queue has lost the run of CSV files; their rows are taken up again");
                }
                Some(run) if is_over(&run) => {
                    if let Err(error) = self.give_back(inbox, &run, &paths).await {
                        failed = Some(error);
                    }
                }
                Some(_) => self.held.push((inbox, id, paths)),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn give_back(
        &mut self,
        mut inbox: Inbox,
        run: &RecoveryRun,
        paths: &[PathBuf],
    ) -> Result<(), WatchError> {
        let finished = inbox.finish(self.opened, run).await;
        for path in paths.iter().filter(|path| path.exists()) {
            match run.state {
                // Who cancels a run does not want it to begin anew.
                RunState::Cancelled => self.shun(path),
                _ => self.rest(path),
            }
        }
        Ok(finished?)
    }

    fn rest(&mut self, path: &PathBuf) {
        if let Some(known) = self.known.get_mut(path) {
            let rest = self.loaded.config.csv.settle.saturating_mul(REST);
            let rest = rest.saturating_mul(2u32.saturating_pow(known.rests)).min(LONGEST_REST);
            known.rests += 1;
            known.rests_until = Some(Instant::now() + rest);
        }
    }

    fn shun(&mut self, path: &PathBuf) {
        if let Some(known) = self.known.get_mut(path) {
            known.shunned = true;
        }
    }
}

impl Known {
    fn new(file: Waiting, since: Instant) -> Self {
        Self { file, since, rests_until: None, rests: 0, shunned: false }
    }
}

/// Nothing is left that would still be done for it.
fn is_over(run: &RecoveryRun) -> bool {
    match run.state {
        RunState::Enumerating | RunState::Paused => false,
        RunState::Running | RunState::Completed => run.counts.pending == 0,
        RunState::Stopped | RunState::Cancelled | RunState::Failed => true,
    }
}

fn say(line: &str) {
    info!("{}", line.strip_prefix("recapture: ").unwrap_or(line));
}
