//! Files of meetings, from taking them to moving them: what is done around a run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use recapture_core::buffer::BufferError;
use recapture_core::config::Config;
use recapture_core::evidence::Entry;
use recapture_core::period::stamp;
use recapture_core::queue::QueueError;
use recapture_core::run::{RecoveryRun, RunId};
use recapture_worker::Opened;
use tokio_util::sync::CancellationToken;

use super::{Claim, Content, CsvError, Finish, Folders, Waiting, waiting};
use crate::producer::Asked;
use crate::report::{Report, ReportError};

#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    #[error(transparent)]
    Csv(#[from] CsvError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Buffer(#[from] BufferError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error("{}: another process has it; it ends there", .0.display())]
    Taken(PathBuf),
    #[error("{} is still being written; nothing was changed, run the same command once it is whole", .0.display())]
    Growing(PathBuf),
    #[error("interrupted; nothing was changed")]
    Interrupted,
}

/// Told of what becomes of files and rows, a line each.
pub type Say = fn(&str);

/// The files that this process has taken for one run.
pub struct Inbox {
    folders: Folders,
    files: Vec<(Claim, Content)>,
    say: Say,
    /// The exit code that tells of rows: some were rejected, or belong to a file that an earlier run finished badly.
    pub code: u8,
}

pub fn folders(config: &Config) -> Folders {
    Folders { processed: config.csv.processed.clone(), rejected: config.csv.rejected.clone() }
}

/// What the files ask for, without taking them.
pub fn look(path: &Path, config: &Config, say: Say) -> Result<Vec<Asked>, CsvError> {
    let mut asked = Vec::new();
    for file in waiting(path, &folders(config))? {
        let content = Content::read(&file.path)?;
        tell(&file.path.display().to_string(), &content, say);
        asked.extend(content.asked);
    }
    Ok(asked)
}

impl Inbox {
    /// Takes the file, or the files of the folder that have stopped growing. Those whose rows an earlier run has
    /// finished since are moved at once.
    pub async fn take(
        path: &Path,
        opened: &Opened,
        config: &Config,
        say: Say,
        stop: &CancellationToken,
    ) -> Result<Self, InboxError> {
        let mut inbox = Self::empty(config, say)?;
        for file in settled(path, &inbox.folders, config.csv.settle, say, stop).await? {
            let taken = inbox.take_one(&file.path, opened).await?;
            match taken {
                true => {}
                false if path.is_dir() => {
                    say(&format!("recapture: {}: another process has it", file.path.display()));
                }
                false if !path.exists() => return Err(CsvError::NotThere(file.path).into()),
                false => return Err(InboxError::Taken(file.path)),
            }
        }
        Ok(inbox)
    }

    /// Fails if the folders of finished files cannot be written.
    pub fn empty(config: &Config, say: Say) -> Result<Self, CsvError> {
        let folders = folders(config);
        folders.check()?;
        Ok(Self { folders, files: Vec::new(), say, code: 0 })
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The names of the files.
    pub fn names(&self) -> Vec<String> {
        self.files.iter().map(|(claim, _)| claim.name()).collect()
    }

    /// Takes one file that has stopped growing, or moves it; false if another process has it, or it is gone.
    pub async fn take_one(&mut self, path: &Path, opened: &Opened) -> Result<bool, InboxError> {
        let Some(claim) = Claim::take(path)? else { return Ok(false) };
        if let Some(earlier) = claim.earlier()
            && let Some(run) = opened.queue.run(earlier).await?
        {
            let report = Report::read(&opened.queue, &opened.ports.buffer, run).await?;
            let finish = claim.finish(&self.folders, &report)?;
            if matches!(finish, Finish::Moved { .. }) {
                (self.say)(&format!("recapture: {} was finished by run {}", claim.name(), report.run.id));
                self.tell_end(&claim, &finish);
                return Ok(true);
            }
        }
        let content = claim.read()?;
        tell(&claim.name(), &content, self.say);
        self.raise(if content.rejected > 0 { 3 } else { 0 });
        self.files.push((claim, content));
        Ok(true)
    }

    /// In the order of files and rows; an id that stands in several comes several times.
    pub fn asked(&self) -> Vec<Asked> {
        self.files.iter().flat_map(|(_, content)| content.asked.iter().cloned()).collect()
    }

    /// The run that the rows are recovered for.
    pub async fn assign(&mut self, opened: &Opened, run: &RunId) -> Result<(), InboxError> {
        let mut inputs = Vec::new();
        for (claim, content) in &mut self.files {
            claim.assign(run)?;
            let Content { rows, rejected, .. } = *content;
            let sha256 = content.sha256.clone();
            inputs.push(Entry::Input { name: claim.name(), sha256, rows, rejected, raw: None });
        }
        Ok(opened.ports.evidence.append_durably(run, inputs).await?)
    }

    /// Moves the files of which every row is finished; the others are given back.
    pub async fn finish(&mut self, opened: &Opened, run: &RecoveryRun) -> Result<(), InboxError> {
        let files = std::mem::take(&mut self.files);
        if files.is_empty() {
            return Ok(());
        }
        let report = Report::read(&opened.queue, &opened.ports.buffer, run.clone()).await?;
        let mut failed = None;
        for (claim, _) in files {
            // One that cannot be moved keeps no other in its place.
            match claim.finish(&self.folders, &report) {
                Ok(finish) => self.tell_end(&claim, &finish),
                Err(error) => failed = Some(error.into()),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn raise(&mut self, code: u8) {
        self.code = self.code.max(code);
    }

    fn tell_end(&mut self, claim: &Claim, finish: &Finish) {
        let (name, say) = (claim.name(), self.say);
        match finish {
            Finish::Moved { results, rejected, tally } => {
                self.raise(tally.code());
                say(&format!("recapture: {name}: {tally}; {}", results.display()));
                if let Some(rejected) = rejected {
                    say(&format!("recapture: {name}: what names no meeting is in {}", rejected.display()));
                }
            }
            Finish::Open { pending, unlisted, undecided: 0, .. } => say(&format!(
                "recapture: {name} stays where it is: {} rows are not finished. The next `recover --csv`, or `serve`, moves it, or goes on with it",
                pending + unlisted
            )),
            Finish::Open { pending, unlisted, undecided, until } => say(&format!(
                "recapture: {name} stays where it is: {} rows are not finished, and of {undecided} more nobody could tell whether they are missing. The next `recover --csv`, or `serve`, asks again; what still nobody can tell after {} is left at that",
                pending + unlisted,
                stamp(*until)
            )),
            Finish::Changed => {
                self.raise(3);
                say(&format!(
                    "recapture: {name} was changed meanwhile and stays where it is; run the same command again"
                ));
            }
        }
    }
}

/// The files that wait and have kept their size and time for a while.
async fn settled(
    path: &Path,
    folders: &Folders,
    settle: Duration,
    say: Say,
    stop: &CancellationToken,
) -> Result<Vec<Waiting>, InboxError> {
    let first = waiting(path, folders)?;
    if first.is_empty() {
        return Ok(first);
    }
    tokio::select! {
        () = tokio::time::sleep(settle) => {}
        () = stop.cancelled() => return Err(InboxError::Interrupted),
    }
    let second = waiting(path, folders)?;
    let (same, growing): (Vec<_>, Vec<_>) = second.into_iter().partition(|file| first.contains(file));
    for file in growing {
        if !path.is_dir() {
            return Err(InboxError::Growing(file.path));
        }
        say(&format!(
            "recapture: {} is still being written; it is left for the next start",
            file.path.display()
        ));
    }
    Ok(same)
}

/// Rejected rows, before anything else is done.
fn tell(name: &str, content: &Content, say: Say) {
    for row in &content.examples {
        if let Err(why) = &row.asked {
            let value: String =
                row.value.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect();
            say(&format!("recapture: {name}, line {}: '{value}' is rejected: {why}", row.line));
        }
    }
    let more = content.rejected - content.examples.len() as u64;
    if more > 0 {
        say(&format!("recapture: {name}: {more} more rows are rejected"));
    }
}
