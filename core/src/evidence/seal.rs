//! Seals: what a run's record held at an instant, so that nothing can be taken off its end unseen.
//!
//! The chain of a file shows what was changed in it, but not that its last lines, or the whole file, are gone. A seal
//! names each file of the run with its number of lines and the hash of the last one (its [`Head`]). Files may grow
//! after it: a seal speaks of their beginnings.
//!
//! `<buffer>/runs/<run id>/<writer>.seal` has two lines: the statement as JSON, and its hash with what signs it. Both
//! are over the bytes of the first line, without its line end.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::whole;
use crate::bounded::{self, LONGEST_LINE};
use crate::buffer::{BufferError, RunObjects};
use crate::digest;
use crate::run::{Counts, RunId, RunState};
use crate::signature::{PublicKey, SigningKey};

const SCHEMA: &str = "recapture.seal/1";

/// A head has some hundred bytes: room for more writers than a run will ever have.
const LARGEST_SEAL: u64 = 16 << 20;

/// A file of evidence up to a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The file's name without `.jsonl`.
    pub writer: String,
    pub lines: u64,
    /// Of the last of those lines.
    pub sha256: String,
}

/// How a run stood when it was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    pub state: RunState,
    pub counts: Counts,
}

/// What a seal says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    pub schema: String,
    pub run: RunId,
    pub writer: String,
    pub at: DateTime<Utc>,
    /// Of the process that closed the run; absent in a worker's seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closing>,
    pub heads: Vec<Head>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<PublicKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

/// A seal that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    pub statement: Statement,
    /// Whose signature it bears; the signature is good.
    pub signed_by: Option<PublicKey>,
}

/// Why a file is no seal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("its signature is not of this statement")]
    BadSignature,
    #[error("it is of run {0}")]
    OtherRun(RunId),
}

impl Statement {
    pub(super) fn new(run: &RunId, writer: &str, closed: Option<Closing>, heads: Vec<Head>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            run: run.clone(),
            writer: writer.to_owned(),
            at: Utc::now(),
            closed,
            heads,
        }
    }

    /// The seal's name and text.
    pub(super) fn seal(&self, key: Option<&SigningKey>) -> serde_json::Result<(String, String)> {
        let statement = serde_json::to_string(self)?;
        let signed = Signed {
            sha256: digest::sha256(statement.as_bytes()),
            public_key: key.map(SigningKey::public),
            signature: key.map(|key| key.sign(statement.as_bytes())),
        };
        let text = format!("{statement}\n{}\n", serde_json::to_string(&signed)?);
        Ok((format!("{}.seal", self.writer), text))
    }

    /// Replaces the writer's seal of the run, whole or not at all, and makes it durable.
    pub(super) fn write(&self, folder: &Path, key: Option<&SigningKey>) -> std::io::Result<()> {
        let (name, text) = self.seal(key)?;
        whole::put(folder, &name, text.as_bytes())
    }
}

/// Reads a seal and checks its signature, if it has one.
pub fn read_seal(path: &Path, run: &RunId) -> Result<Seal, SealFault> {
    let unreadable = |detail: &dyn std::fmt::Display| SealFault::Unreadable(detail.to_string());
    let text = bounded::read(path, LARGEST_SEAL).map_err(|error| unreadable(&error))?;
    let text = String::from_utf8(text).map_err(|error| unreadable(&error))?;
    let mut lines = text.split_inclusive('\n').map(|line| line.strip_suffix('\n'));
    let (Some(Some(statement)), Some(Some(signed)), None) = (lines.next(), lines.next(), lines.next()) else {
        return Err(unreadable(&"it has not just two lines"));
    };
    let signing = signed;
    let signed: Signed = serde_json::from_str(signing).map_err(|error| unreadable(&error))?;
    // Nothing hashes the second line; so there is one way only to write what it says.
    if serde_json::to_string(&signed).ok().as_deref() != Some(signing) {
        return Err(unreadable(&"its second line is not as it was written"));
    }
    if digest::sha256(statement.as_bytes()) != signed.sha256 {
        return Err(unreadable(&"its first line is not the one that the second speaks of"));
    }
    let read: Statement = serde_json::from_str(statement).map_err(|error| unreadable(&error))?;
    if read.schema != SCHEMA {
        return Err(unreadable(&format_args!("its schema is {}, this version reads {SCHEMA}", read.schema)));
    }
    if read.run != *run {
        return Err(SealFault::OtherRun(read.run));
    }
    let signed_by = match (signed.public_key, signed.signature) {
        (None, None) => None,
        (Some(key), Some(signature)) if key.signed(statement.as_bytes(), &signature) => Some(key),
        _ => return Err(SealFault::BadSignature),
    };
    Ok(Seal { statement: read, signed_by })
}

/// The heads of all files of a run as they are now, each made durable before it is named.
pub(super) fn heads(folder: &Path) -> std::io::Result<Vec<Head>> {
    let mut heads = Vec::new();
    for path in super::read::files(folder, "jsonl")? {
        if let Some(head) = head(&path)? {
            heads.push(head);
        }
    }
    Ok(heads)
}

/// The same in an object store, where whatever stands is durable.
pub(super) async fn object_heads(objects: &RunObjects) -> Result<Vec<Head>, BufferError> {
    let mut heads = Vec::new();
    for (writer, segment) in objects.last_segments().await? {
        let text = objects.get(&segment).await?.unwrap_or_default();
        let whole = text.strip_suffix(b"\n").unwrap_or_default();
        let line = whole.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let head = Head::of(writer, line);
        heads.push(head.map_err(|error| BufferError::Failed { path: segment, detail: error.to_string() })?);
    }
    Ok(heads)
}

impl Head {
    /// The last whole line of a file tells its own number.
    fn of(writer: String, line: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Numbered {
            seq: u64,
        }
        let last: Numbered = serde_json::from_slice(line)?;
        Ok(Self { writer, lines: last.seq + 1, sha256: digest::sha256(line) })
    }
}

/// The head of one file; `None` for a file without a whole line.
fn head(path: &PathBuf) -> std::io::Result<Option<Head>> {
    let mut file = File::open(path)?;
    let Some(line) = last_line(&mut file)? else { return Ok(None) };
    file.sync_data()?;
    let writer = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Some(Head::of(writer, &line)?))
}

fn last_line(file: &mut File) -> std::io::Result<Option<Vec<u8>>> {
    const STEP: u64 = 16 << 10;
    // Longer steps the further it goes, so that a long line is not copied again and again.
    let mut from = file.metadata()?.len();
    let mut tail = Vec::new();
    while from > 0 {
        if tail.len() as u64 > LONGEST_LINE {
            // None of ours; whoever reads it says so.
            return Ok(None);
        }
        let step = from.min(STEP.max(tail.len() as u64));
        from -= step;
        let mut piece = vec![0; usize::try_from(step).unwrap_or_default()];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut piece)?;
        piece.append(&mut tail);
        tail = piece;
        let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else { continue };
        match tail[..end].iter().rposition(|byte| *byte == b'\n') {
            Some(start) => return Ok(Some(tail[start + 1..end].to_vec())),
            None if from == 0 => return Ok(Some(tail[..end].to_vec())),
            None => {}
        }
    }
    Ok(None)
}
