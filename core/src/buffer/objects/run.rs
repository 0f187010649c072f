//! A run's evidence in an object store. Objects cannot be appended to: each of a writer's files is a row of segments,
//!
//! ```text
//! runs/<run id>/<writer>.jsonl/<number of its first line>    some lines; written once, never again
//! runs/<run id>/<writer>.seal
//! runs/<run id>/raw/<SHA-256>.json.gz
//! ```
//!
//! which one after the other are what the file is in a folder, byte for byte. A [copy](RunObjects::copy) puts them together, and
//! is read like any other record.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::PutMode;
use tempfile::TempDir;

use super::{LARGEST_OBJECT, ObjectBuffer};
use crate::buffer::error::BufferError;
use crate::buffer::layout::is_file_name;
use crate::failpoint;
use crate::run::RunId;

/// Objects that are read at once for a copy.
const AT_ONCE: usize = 16;

/// Larger ones are read one at a time.
const SMALL: u64 = 1 << 20;

/// The end of the folder name of a row of segments.
const LINES: &str = ".jsonl";

/// The objects of one run.
#[derive(Debug, Clone)]
pub struct RunObjects {
    buffer: ObjectBuffer,
    run: RunId,
}

/// What stands under a name after it was to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stands {
    /// What was given.
    This,
    /// Something that had been there before.
    Other(Bytes),
}

impl ObjectBuffer {
    pub(in crate::buffer) fn run(&self, run: &RunId) -> RunObjects {
        RunObjects { buffer: self.clone(), run: run.clone() }
    }
}

impl RunObjects {
    fn relative(&self, name: &str) -> String {
        format!("runs/{}/{name}", self.run)
    }

    /// Writes an object that is not there yet. The same bytes may be written again: then nothing changes.
    pub async fn create(&self, name: &str, bytes: Bytes) -> Result<Stands, BufferError> {
        let key = self.buffer.key(&self.relative(name))?;
        let [before, after] = if name.starts_with("raw/") {
            ["answer-before-put", "answer-after-put"]
        } else {
            ["segment-before-put", "segment-after-put"]
        };
        failpoint::reach(before);
        let put = self.buffer.put(&key, bytes.clone(), PutMode::Create, &self.buffer.next_mark()).await;
        failpoint::reach(after);
        match put {
            Ok(_) => Ok(Stands::This),
            Err(error @ BufferError::TakenOver { .. }) => match self.buffer.get(&key).await? {
                Some((found, _)) if found == bytes => Ok(Stands::This),
                Some((found, _)) => Ok(Stands::Other(found)),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Writes an object, whole or not at all, over the one that is there.
    pub async fn replace(&self, name: &str, bytes: Bytes) -> Result<(), BufferError> {
        let key = self.buffer.key(&self.relative(name))?;
        failpoint::reach("seal-before-put");
        self.buffer.put(&key, bytes, PutMode::Overwrite, &self.buffer.next_mark()).await?;
        failpoint::reach("seal-after-put");
        Ok(())
    }

    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, BufferError> {
        let key = self.buffer.key(&self.relative(name))?;
        Ok(self.buffer.get(&key).await?.map(|(bytes, _)| bytes))
    }

    pub async fn exists(&self, name: &str) -> Result<bool, BufferError> {
        Ok(self.buffer.size(&self.buffer.key(&self.relative(name))?).await?.is_some())
    }

    /// The name of the segment of a writer's file that begins with a line. They sort as they follow.
    pub fn segment(writer: &str, first_line: u64) -> String {
        format!("{writer}{LINES}/{first_line:012}")
    }

    /// The last segment of each writer's file.
    pub async fn last_segments(&self) -> Result<BTreeMap<String, String>, BufferError> {
        let mut last = BTreeMap::new();
        for (name, _) in self.names().await? {
            if let Some((writer, _)) = name.split_once('/').and_then(|(file, _)| file.split_once(LINES)) {
                last.insert(writer.to_owned(), name.clone());
            }
        }
        Ok(last)
    }

    /// The names of the run's objects, in their order, with their sizes. Names that might lead out of a folder are
    /// passed over.
    async fn names(&self) -> Result<Vec<(String, u64)>, BufferError> {
        let base = self.buffer.key(&self.relative("x"))?;
        let base = base.as_ref().trim_end_matches('x').to_owned();
        let folder = self.buffer.key(&format!("runs/{}", self.run))?;
        let found = self.buffer.facts(&folder).await?;
        let mut names: Vec<(String, u64)> = found
            .iter()
            .filter_map(|found| Some((found.location.as_ref().strip_prefix(&base)?, found.size)))
            .filter(|(name, _)| name.split('/').count() <= 2 && name.split('/').all(is_file_name))
            .map(|(name, size)| (name.to_owned(), size))
            .collect();
        names.sort();
        Ok(names)
    }

    /// The record as files in a folder of this machine; `None` if there is nothing.
    pub(in crate::buffer) async fn copy(&self) -> Result<Option<TempDir>, BufferError> {
        let names = self.names().await?;
        if names.is_empty() {
            return Ok(None);
        }
        let local = |error: std::io::Error| BufferError::from_io(&std::env::temp_dir(), &error);
        let folder = tempfile::Builder::new().prefix("recapture-").tempdir().map_err(local)?;
        let mut objects = futures_util::stream::iter(names)
            .map(|(name, size)| async move {
                let bytes = if size <= SMALL { self.get(&name).await? } else { None };
                Ok::<_, BufferError>((name, size, bytes))
            })
            .buffered(AT_ONCE);
        while let Some((name, size, bytes)) = objects.try_next().await? {
            let content = match bytes {
                Some(bytes) => Content::Bytes(bytes),
                None if size > LARGEST_OBJECT => Content::Hole(size),
                None => Content::Bytes(self.get(&name).await?.unwrap_or_default()),
            };
            let path = folder.path().to_owned();
            let written = tokio::task::spawn_blocking(move || append(&path, &name, &content)).await;
            written.unwrap_or_else(|_| Err(std::io::Error::other("the copy was given up"))).map_err(local)?;
        }
        Ok(Some(folder))
    }
}

/// What goes into a copy.
enum Content {
    Bytes(Bytes),
    /// Of an object that is too large to be ours its size is enough for a reader to find that out, and costs nothing.
    Hole(u64),
}

/// Puts an object where the record has it: a segment behind those before it, anything else under its own name.
fn append(folder: &Path, name: &str, content: &Content) -> std::io::Result<()> {
    use std::io::Write;

    let file = match name.split_once('/') {
        Some((file, _segment)) if file.ends_with(LINES) => file,
        Some((inner, _)) => {
            std::fs::create_dir_all(folder.join(inner))?;
            name
        }
        None => name,
    };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(file))?;
    match content {
        Content::Bytes(bytes) => file.write_all(bytes),
        Content::Hole(size) => file.set_len(file.metadata()?.len().saturating_add(*size)),
    }
}
