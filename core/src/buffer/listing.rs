//! What is in a folder buffer: its runs and meetings, for those who look after it. Reading creates nothing.

use std::io;
use std::path::{Path, PathBuf};

use super::error::BufferError;
use super::folder::{FolderBuffer, MANIFEST, absent_is_none, blocking, version_at};
use super::layout::MeetingFolder;
use super::manifest::{Manifest, ManifestVersion};
use crate::failpoint;
use crate::run::RunId;

impl FolderBuffer {
    /// The runs that have a record, the oldest first.
    pub(super) async fn runs(&self) -> Result<Vec<RunId>, BufferError> {
        let root = self.root().join("runs");
        let names = blocking(&root.clone(), move || names(&root)).await?;
        Ok(names.iter().filter_map(|name| RunId::parse(name).ok()).collect())
    }

    pub(super) async fn run_record(&self, run: &RunId) -> Result<Option<PathBuf>, BufferError> {
        let folder = self.root().join("runs").join(run.as_str());
        blocking(&folder.clone(), move || Ok(folder.is_dir().then_some(folder))).await
    }

    pub(super) async fn days(&self) -> Result<Vec<String>, BufferError> {
        let root = self.root().to_owned();
        blocking(&root.clone(), move || {
            let mut days = vec!["meetings".to_owned()];
            for _level in ["year", "month", "day"] {
                let mut below = Vec::new();
                for folder in &days {
                    let inner = names(&root.join(folder))?;
                    below.extend(inner.into_iter().map(|name| format!("{folder}/{name}")));
                }
                days = below;
            }
            Ok(days)
        })
        .await
    }

    pub(super) async fn meetings_of(&self, day: &str) -> Result<Vec<MeetingFolder>, BufferError> {
        let folder = self.root().join(day);
        let names = blocking(&folder.clone(), move || names(&folder)).await?;
        Ok(names.iter().filter_map(|name| MeetingFolder::parse(&format!("{day}/{name}"))).collect())
    }

    /// The files that the manifest names, then the manifest, then the folder if nothing else is in it; `TakenOver` if
    /// another manifest stands there, or does by the time its turn comes.
    ///
    /// Accepted: a worker that has looked at the files, and names them after they are gone. What it writes tells of it:
    /// its manifest stays, and does not verify.
    pub(super) async fn remove(
        &self,
        meeting: &MeetingFolder,
        manifest: &Manifest,
        version: &ManifestVersion,
    ) -> Result<bool, BufferError> {
        let folder = self.folder(meeting);
        let files: Vec<PathBuf> = manifest.file_names().map(|name| folder.join(name)).collect();
        let (path, version) = (folder.join(MANIFEST), version.clone());
        let shown = folder.clone();
        let removed = blocking(&shown, move || {
            if version_at(&path)? != version {
                return Ok(None);
            }
            for file in files {
                absent_is_none(std::fs::remove_file(file))?;
                failpoint::reach("purge-file");
            }
            if version_at(&path)? != version {
                return Ok(None);
            }
            absent_is_none(std::fs::remove_file(path))?;
            failpoint::reach("purge-manifest");
            match std::fs::remove_dir(&folder) {
                Ok(()) => Ok(Some(true)),
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(Some(false)),
                Err(error) => Err(error),
            }
        });
        removed.await?.ok_or_else(|| BufferError::TakenOver { path: meeting.as_str().to_owned() })
    }
}

/// The names of the folders in a folder, in their order; none if it is not there.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let Some(entries) = absent_is_none(std::fs::read_dir(folder))? else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
