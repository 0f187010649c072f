//! Final names in a folder buffer: a meeting's files get theirs together, in one step on a blocking thread.
//!
//! Those that waited in memory are written first, all of them, and then made durable one after the other: the first one's
//! `fdatasync` commits the journal for the others too. Then, and right before the first name is given, it is looked whether
//! the names are still this worker's to give ([`Claim`]).
//!
//! # What a crash leaves
//!
//! Parts, and behind the first rename verified files that no manifest names: both as `buffer.rs` has it. The names are
//! durable with the folder's next manifest.
//!
//! # A worker that does not know that it has lost the meeting
//!
//! Its lease may have ended while it waited for the disk, or while its machine slept, whose clock slept with it. The first
//! is seen by its own clock. The second by the meeting's manifest: the next holder has replaced it. Before it has done so,
//! whole and verified files may get their names, which is what it would do itself. Parts on disk it has cleared away before.
//!
//! Accepted: between the look and the rename the manifest may be replaced. The names that follow are those of whole files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::BufferError;
use super::folder::{MANIFEST, create_folders, version_at};
use super::folder_writer::FolderWriter;
use super::writer::Claim;

/// Set when whoever waited for the names has gone away: the meeting may be given back by then.
#[derive(Default)]
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Gives files of one folder their names, those of the first ones even where a later one fails.
pub(super) async fn give_names(
    folder: PathBuf,
    mut writers: Vec<FolderWriter>,
    claim: &Claim,
) -> Result<(), BufferError> {
    let given_up = GivenUp::default();
    let (gone, claim, shown) = (Arc::clone(&given_up.0), claim.clone(), folder.display().to_string());
    // The writers go along: what gets no name is removed where nothing works on it any more.
    let named = tokio::task::spawn_blocking(move || {
        let may_go_on = || claim.is_held() && !gone.load(Ordering::SeqCst);
        give(&folder, &mut writers, &claim, may_go_on)
    });
    named.await.unwrap_or_else(|_| {
        Err(BufferError::Failed { path: shown, detail: "the names were given up".to_owned() })
    })
}

fn give(
    folder: &Path,
    writers: &mut [FolderWriter],
    claim: &Claim,
    may_go_on: impl Fn() -> bool,
) -> Result<(), BufferError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| BufferError::from_io(&path, &error)
    };
    let taken_over = |path: &Path| BufferError::TakenOver { path: path.display().to_string() };
    create_folders(folder).map_err(at(folder))?;
    let mut written = Vec::with_capacity(writers.len());
    for writer in writers.iter_mut() {
        written.push(writer.store().map_err(at(writer.final_path()))?);
    }
    for (writer, _) in writers.iter_mut().zip(written).filter(|(_, written)| *written) {
        writer.make_durable().map_err(at(writer.final_path()))?;
    }
    let manifest = folder.join(MANIFEST);
    if !may_go_on() || version_at(&manifest).map_err(at(&manifest))? != claim.manifest {
        return Err(taken_over(folder));
    }
    for writer in writers {
        writer.rename().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => taken_over(writer.final_path()),
            _ => BufferError::from_io(writer.final_path(), &error),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use bytes::Bytes;

    use super::*;
    use crate::buffer::ManifestVersion;

    async fn small_files(folder: &Path) -> Vec<FolderWriter> {
        let mut writers = Vec::new();
        for name in ["a", "b", "c"] {
            let mut writer = FolderWriter::new(folder.join(name), folder.join(format!(".{name}.part")));
            writer.write(Bytes::from_static(b"whole")).await.unwrap();
            writer.finish().await.unwrap();
            writers.push(writer);
        }
        writers
    }

    fn names(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    /// The lease ends while the disk takes its time: it is asked about behind the last `fdatasync`, not before.
    #[tokio::test]
    async fn who_loses_the_lease_while_the_disk_works_names_nothing() {
        let place = tempfile::tempdir().unwrap();
        let parts = Arc::new(AtomicBool::new(false));
        let (seen, looked_in) = (Arc::clone(&parts), place.path().to_owned());
        let held = move || {
            seen.store(names(&looked_in) == 3, Ordering::SeqCst);
            false
        };
        let claim = Claim::new(held, ManifestVersion::NONE);
        let refused = give_names(place.path().to_owned(), small_files(place.path()).await, &claim).await;
        assert!(matches!(refused, Err(BufferError::TakenOver { .. })), "{refused:?}");
        assert!(parts.load(Ordering::SeqCst), "the lease was asked about before the parts were written");
        assert_eq!(names(place.path()), 0, "something is left");
    }

    /// A meeting that is given back may be another worker's before the disk has done what it was asked for.
    #[test]
    fn who_goes_away_gets_no_names() {
        let place = tempfile::tempdir().unwrap();
        let (asked, is_asked) = std::sync::mpsc::channel();
        let (answer, answered) = std::sync::mpsc::channel();
        let answered = std::sync::Mutex::new(answered);
        let held = move || {
            asked.send(()).unwrap();
            answered.lock().unwrap().recv().unwrap()
        };
        let claim = Claim::new(held, ManifestVersion::NONE);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let naming = give_names(place.path().to_owned(), small_files(place.path()).await, &claim);
            tokio::pin!(naming);
            assert!(futures_util::poll!(naming.as_mut()).is_pending());
            is_asked.recv().unwrap();
        });
        answer.send(true).unwrap();
        // Ends with the step.
        drop(runtime);
        assert_eq!(names(place.path()), 0, "a name was given, or a part is left");
    }
}
