//! Whether the capture buffer still holds what the evidence says that was put into it.
//!
//! Needs no server, no queue and no key: the buffer alone. Everything is read, nothing is written.
//!
//! | what | against what |
//! | --- | --- |
//! | each line | the one before it, by its hash |
//! | each file of lines | its head in every seal, and in the run's closing line |
//! | seals | their signatures, and the key that is expected |
//! | Zoom's answers | the names in the lines; what they list is counted anew |
//! | the books of a closed run | the lines: listed, verdicts, ends |
//! | each manifest | the hash in the line of the meeting's last end |
//! | each recovered file | size and SHA-256 in its manifest |
//!
//! A run may be under way, or have lost its process: what no seal names yet, and meetings without an end, are noted,
//! not found fault with.

mod findings;
mod meetings;
mod record;
mod sums;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use recapture_core::buffer::{Buffer, BufferError, MeetingFolder};
use recapture_core::evidence::{self, Entry};
use recapture_core::meeting::MeetingUuid;
use recapture_core::run::RunId;
use recapture_core::signature::PublicKey;

pub use findings::{Fault, Finding, Verification};
use record::{End, Ends, Record};

/// How far a verification is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    pub meetings: u64,
    pub of: u64,
    pub bytes: u64,
}

/// Why nothing could be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Buffer(#[from] BufferError),
    #[error("there is no evidence of run {run} in {buffer}; buffer.url says where to look")]
    NoSuchRun { run: RunId, buffer: String },
    #[error("the verification was given up: {0}")]
    GivenUp(String),
}

/// Verifies one run and the meetings that it recovered, or the whole buffer.
pub async fn verify(
    buffer: &Buffer,
    run: Option<&RunId>,
    expected: Option<&PublicKey>,
    watch: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Verification, VerifyError> {
    let mut verifier = Verifier {
        buffer,
        expected: expected.cloned(),
        known: HashMap::new(),
        index: None,
        done: Verification::default(),
    };
    let runs = match run {
        Some(run) => vec![run.clone()],
        None => buffer.runs().await?,
    };
    let mut targets = BTreeMap::new();
    for run in &runs {
        let ends = verifier.run(run).await?;
        verifier.name_targets(run, &ends, &mut targets).await?;
    }
    if run.is_none() {
        for day in buffer.days().await? {
            for folder in buffer.meetings_of(&day).await? {
                targets.entry(folder.as_str().to_owned()).or_default();
            }
        }
    }
    meetings::check(&mut verifier, targets, watch).await?;
    verifier.done.findings.sort();
    verifier.done.findings.dedup();
    Ok(verifier.done)
}

/// What is gathered on the way.
struct Verifier<'a> {
    buffer: &'a Buffer,
    expected: Option<PublicKey>,
    /// The ends of the runs that were read; `None` for a run without evidence.
    known: HashMap<RunId, Option<std::sync::Arc<Ends>>>,
    /// Where meetings stand, by the name of their folder: for records that do not say.
    index: Option<HashMap<String, String>>,
    done: Verification,
}

impl Verifier<'_> {
    /// Checks a run's record, its seals and its sums.
    async fn run(&mut self, run: &RunId) -> Result<std::sync::Arc<Ends>, VerifyError> {
        let Some(folder) = self.buffer.run_record(run).await? else {
            return Err(VerifyError::NoSuchRun { run: run.clone(), buffer: self.buffer.location() });
        };
        let (id, expected) = (run.clone(), self.expected.clone());
        let record = blocking(move || Record::check(&folder, &id, expected.as_ref())).await?;
        let Record { ends, findings, notes, books, counted } = record;
        self.done.take(counted, findings, notes);
        let ends = std::sync::Arc::new(ends);
        self.known.insert(run.clone(), Some(std::sync::Arc::clone(&ends)));
        sums::check_ends(self, run, &books).await?;
        Ok(ends)
    }

    /// The ends of another run, which is read for them alone.
    async fn ends_of(&mut self, run: &RunId) -> Result<Option<std::sync::Arc<Ends>>, VerifyError> {
        if let Some(known) = self.known.get(run) {
            return Ok(known.clone());
        }
        let ends = match self.buffer.run_record(run).await? {
            None => None,
            Some(folder) => {
                let id = run.clone();
                Some(std::sync::Arc::new(blocking(move || read_ends(&folder, &id)).await?))
            }
        };
        self.known.insert(run.clone(), ends.clone());
        Ok(ends)
    }

    /// The folders of the meetings that a run's lines say were stored.
    async fn name_targets(
        &mut self,
        run: &RunId,
        ends: &Ends,
        targets: &mut BTreeMap<String, Option<MeetingUuid>>,
    ) -> Result<(), VerifyError> {
        for (meeting, end) in &ends.by_meeting {
            if !end.stored {
                continue;
            }
            let folder = match &end.folder {
                Some(folder) => Some(folder.clone()),
                None => self.find(meeting).await?,
            };
            let place = format!("runs/{run}");
            match folder.as_deref().and_then(MeetingFolder::parse) {
                Some(folder) => _ = targets.insert(folder.as_str().to_owned(), Some(meeting.clone())),
                None if end.purged => {}
                None => self.done.found(
                    Fault::ManifestLacking,
                    place,
                    format!("meeting {meeting} was recovered, and no folder of its is to be found"),
                ),
            }
        }
        Ok(())
    }

    async fn find(&mut self, meeting: &MeetingUuid) -> Result<Option<String>, VerifyError> {
        if self.index.is_none() {
            let mut index = HashMap::new();
            for day in self.buffer.days().await? {
                for folder in self.buffer.meetings_of(&day).await? {
                    let folder = folder.as_str().to_owned();
                    let key = folder.rsplit('/').next().unwrap_or_default().to_owned();
                    index.insert(key, folder);
                }
            }
            self.index = Some(index);
        }
        Ok(self.index.as_ref().and_then(|index| index.get(&meeting.folder_key()).cloned()))
    }
}

fn read_ends(folder: &std::path::Path, run: &RunId) -> Result<Ends, std::io::Error> {
    let mut ends = Ends::default();
    for path in evidence::files(folder, "jsonl")? {
        evidence::read_file(&path, run, |met| {
            if let evidence::Met::Line { line, .. } = met {
                match line.entry {
                    Entry::Ended(end) => ends.ended(end),
                    Entry::Purged(purged) => ends.purged(&purged),
                    _ => {}
                }
            }
        })?;
    }
    Ok(ends)
}

async fn blocking<T, F>(work: F) -> Result<T, VerifyError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, std::io::Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| VerifyError::GivenUp(error.to_string())),
        Err(_) => Err(VerifyError::GivenUp("a thread of it ended early".to_owned())),
    }
}

/// A path of the record as findings name it: relative to the buffer.
fn place(run: &RunId, path: &std::path::Path) -> String {
    let name = path.file_name().map(PathBuf::from).unwrap_or_default();
    format!("runs/{run}/{}", name.display())
}
