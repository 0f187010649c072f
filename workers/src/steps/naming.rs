//! Small files of a meeting get their names together.
//!
//! What a small file costs is not its bytes but its way to the disk and back. So small ones wait in memory until no other
//! small one of the meeting is under way, or until so many bytes have gathered; then all of them go in one step. A large file
//! gets its name at once, and holds nobody up.
//!
//! # What a crash leaves
//!
//! Of what waited in memory nothing, and it is fetched again: less than [`GATHERED`] and one file more. What stands under
//! its name is adopted, as ever.

use std::sync::{Mutex, MutexGuard, PoisonError};

use recapture_core::buffer::{Buffer, Claim, FileRecord, MeetingFolder, Written};
use recapture_core::meeting::ArchiveFile;

use crate::error::StepError;

/// A file that is listed with less waits for its like.
const SMALL: u64 = 256 << 10;

/// So much of one meeting waits in memory.
const GATHERED: usize = 512 << 10;

/// What became of a file's download.
pub(super) enum Arrived {
    /// All of it is here, and verified.
    Whole(FileRecord, Written),
    /// Nothing of it is to be had.
    Settled(FileRecord),
}

/// The files of one meeting that wait for their names.
pub(super) struct Naming<'a> {
    buffer: &'a Buffer,
    folder: &'a MeetingFolder,
    claim: Claim,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<(FileRecord, Written)>,
    bytes: usize,
    /// Small files that have not arrived.
    under_way: usize,
}

impl State {
    fn take(&mut self) -> Vec<(FileRecord, Written)> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }
}

impl<'a> Naming<'a> {
    pub(super) fn new(
        buffer: &'a Buffer,
        folder: &'a MeetingFolder,
        claim: Claim,
        lacking: &[ArchiveFile],
    ) -> Self {
        let under_way = lacking.iter().filter(|file| is_small(file)).count();
        Self { buffer, folder, claim, state: Mutex::new(State { under_way, ..State::default() }) }
    }

    /// Takes a file that has come to its end, well or not; answers what is settled by that: nothing while it waits, or
    /// others that have waited too.
    pub(super) async fn take(
        &self,
        file: &ArchiveFile,
        arrived: Result<Arrived, StepError>,
    ) -> Vec<Result<FileRecord, StepError>> {
        let (mut settled, now) = match arrived {
            Ok(Arrived::Whole(record, written)) => (Vec::new(), self.gather(file, Some((record, written)))),
            Ok(Arrived::Settled(record)) => (vec![Ok(record)], self.gather(file, None)),
            Err(error) => (vec![Err(error)], self.gather(file, None)),
        };
        if !now.is_empty() {
            let (records, files): (Vec<FileRecord>, Vec<Written>) = now.into_iter().unzip();
            match self.buffer.give_names(self.folder, files, &self.claim).await {
                Ok(()) => settled.extend(records.into_iter().map(Ok)),
                Err(error) => settled.push(Err(error.into())),
            }
        }
        settled
    }

    /// What gets its name now.
    fn gather(&self, file: &ArchiveFile, whole: Option<(FileRecord, Written)>) -> Vec<(FileRecord, Written)> {
        let mut state = self.state();
        state.under_way -= usize::from(is_small(file));
        let mut now = Vec::new();
        if let Some((record, written)) = whole {
            if let Some(bytes) = written.in_memory() {
                state.bytes += bytes;
                state.waiting.push((record, written));
            } else {
                now.push((record, written));
            }
        }
        if state.under_way == 0 || state.bytes >= GATHERED {
            now.extend(state.take());
        }
        now
    }

    /// No panic can leave it half-changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_small(file: &ArchiveFile) -> bool {
    file.size.is_some_and(|size| size < SMALL)
}
