//! Fetching the files that a meeting lacks, several at once, each verified before it gets its name.
//!
//! A body that breaks off is continued by range where the server allows it, and begun anew where not. An address
//! that has expired is renewed from the API. A file that Zoom no longer has is a fact about that file, not a failure
//! of the meeting: the others are stored all the same.

use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use recapture_core::buffer::{
    BufferError, FileRecord, FileRecordState, FingerprintMatch, MeetingFolder, PartWriter, Reservation,
    file_name,
};
use recapture_core::config::Fingerprint;
use recapture_core::meeting::{ArchiveFile, FileKind, MeetingUuid};
use recapture_core::metrics;
use recapture_core::reason::Reason;
use recapture_core::zoom::DownloadError;
use tracing::{Instrument, info_span};

use super::acceptance::Inspector;
use super::ingest::{available, unavailable};
use super::{Patience, metadata};
use crate::disposition::{Disposition, decide};
use crate::error::StepError;
use crate::ports::Ports;
use crate::recover_meeting::Assignment;

/// Files of one meeting at once; the process's own bound is `worker.downloads`.
const AT_ONCE: usize = 8;

/// A try that brought this much is progress: the tries are counted anew. Very long meetings are cut again and again.
const PROGRESS: u64 = 1 << 20;

/// A body that goes on for this long behind twice the listed size is none of the file, and may have no end.
const MUCH_TOO_LONG: u64 = 64 << 20;

/// What became of the lacking files: a record for each that is settled, and the first error of the others.
pub struct Fetched {
    pub records: Vec<FileRecord>,
    pub error: Option<StepError>,
}

pub async fn fetch_all(
    ports: &Ports,
    job: &Assignment<'_>,
    folder: &MeetingFolder,
    lacking: Vec<ArchiveFile>,
) -> Fetched {
    let mut fetched = Fetched { records: Vec::with_capacity(lacking.len()), error: None };
    let meeting = &job.payload.uuid;
    let bytes = lacking.iter().filter_map(|file| file.size).fold(0, u64::saturating_add);
    let mut room = match ports.room.reserve(&ports.buffer, meeting, bytes).await {
        Ok(room) => room,
        Err(error) => {
            fetched.error = Some(error.into());
            return fetched;
        }
    };
    let with_room = lacking.into_iter().map(|file| (room.split(file.size.unwrap_or(0)), file));
    let mut files = futures_util::stream::iter(with_room)
        .map(|(room, file)| {
            let span = info_span!("download", file = %file.id);
            async move { fetch(ports, job, folder, &file, room).await }.instrument(span)
        })
        .buffer_unordered(AT_ONCE);
    while let Some(result) = files.next().await {
        match result {
            Ok(record) => {
                count(&record);
                job.files.settled(&record);
                fetched.records.push(record);
            }
            Err(error) => _ = fetched.error.get_or_insert(error),
        }
    }
    match &fetched.error {
        None => ports.room.stored(meeting, bytes),
        Some(error) if decide(error) == Disposition::NoRoom => ports.room.was_refused(meeting, bytes),
        Some(_) => {}
    }
    fetched
}

fn count(record: &FileRecord) {
    let kind = FileKind::of(&record.file_type, &record.file_extension).as_str();
    let outcome = if record.state == FileRecordState::Available { "stored" } else { "unavailable" };
    metrics::file_ended(kind, outcome);
}

async fn fetch(
    ports: &Ports,
    job: &Assignment<'_>,
    folder: &MeetingFolder,
    file: &ArchiveFile,
    room: Reservation,
) -> Result<FileRecord, StepError> {
    // Closed never happens: the semaphore lives as long as the ports.
    let _slot = ports.download_slots.acquire().await.map_err(|_| StepError::Stopping)?;
    let name = file_name(&file.id, &file.extension);
    let writer = ports.buffer.begin(folder, &name, file.size).await?.within(room);
    let mut transfer = Transfer::new(ports, &job.payload.uuid, file, writer);
    match transfer.run().await {
        Ok(()) => {}
        Err(error) if decide(&error) == Disposition::Gone => return Ok(unavailable(file, Reason::Gone)),
        Err(error) => return Err(error),
    }
    let messages = transfer.inspector.messages();
    let written = transfer.writer.finish().await?;
    let differs =
        FingerprintMatch::of(file.fingerprint.as_deref(), &written.sha256) == FingerprintMatch::Differs;
    if differs && ports.settings.fingerprint == Fingerprint::Require {
        return Err(StepError::FingerprintDiffers { file_id: file.id.clone() });
    }
    let record = FileRecord {
        messages,
        listed_messages: file
            .number_of_messages
            .filter(|listed| messages.is_some_and(|found| found != *listed)),
        ..available(file, name, written.size, written.sha256.clone())
    };
    job.still_held()?;
    written.commit().await?;
    Ok(record)
}

/// One file on its way, over as many requests as it takes.
struct Transfer<'a> {
    ports: &'a Ports,
    meeting: &'a MeetingUuid,
    file: &'a ArchiveFile,
    writer: PartWriter,
    inspector: Inspector,
    address: String,
    total: Option<u64>,
    /// A whole body of this size arrived before, and differed from the listing.
    differed: Option<u64>,
}

impl<'a> Transfer<'a> {
    fn new(ports: &'a Ports, meeting: &'a MeetingUuid, file: &'a ArchiveFile, writer: PartWriter) -> Self {
        let address = file.download_url.clone().unwrap_or_default();
        let inspector = Inspector::new(file);
        Self { ports, meeting, file, writer, inspector, address, total: None, differed: None }
    }

    async fn run(&mut self) -> Result<(), StepError> {
        let mut patience = Patience::new();
        loop {
            let before = self.writer.size();
            let error = match self.attempt().await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if self.writer.size() >= before + PROGRESS {
                patience = Patience::new();
            }
            let Some(pause) = patience.pause(&error) else {
                return Err(error);
            };
            tokio::time::sleep(pause).await;
            self.prepare_again(&error).await?;
        }
    }

    /// One request: the rest of the body, and whether the whole is the file.
    async fn attempt(&mut self) -> Result<(), StepError> {
        self.receive().await.map_err(|error| match error {
            Trouble::Download(error) => StepError::Download { file_id: self.file.id.clone(), error },
            Trouble::Step(error) => error,
        })?;
        let got = self.writer.size();
        match self.file.size {
            Some(listed) if listed > 0 && listed != got && self.differed != Some(got) => {
                self.differed = Some(got);
                Err(StepError::SizeDiffers { file_id: self.file.id.clone(), listed, got })
            }
            // The same whole body twice: the listing is what is wrong (it happens). The manifest tells both sizes.
            _ => Ok(()),
        }
    }

    async fn receive(&mut self) -> Result<(), Trouble> {
        let offset = self.writer.size();
        let mut body = self.ports.zoom.open(&self.address, offset, self.total).await?;
        if body.start != offset {
            self.restart().await?;
        }
        self.total = body.total;
        while let Some(bytes) = body.next().await? {
            metrics::bytes_received(bytes.len() as u64);
            self.ports.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            // A body of gigabytes that is something else is not read to its end.
            self.inspector.take(&bytes).map_err(not_the_file)?;
            self.writer.write(bytes).await?;
            if self.is_much_too_long() {
                return Err(not_the_file("a body that does not end where the listing says".to_owned()).into());
            }
        }
        Ok(self.inspector.end().map_err(not_the_file)?)
    }

    fn is_much_too_long(&self) -> bool {
        let listed = self.file.size.filter(|listed| *listed > 0);
        listed
            .is_some_and(|listed| self.writer.size() > listed.saturating_mul(2).saturating_add(MUCH_TOO_LONG))
    }

    async fn restart(&mut self) -> Result<(), BufferError> {
        self.inspector = Inspector::new(self.file);
        self.writer.restart().await
    }

    /// What has to change before the next request: a new address where the old one may be dead, a new beginning
    /// where what arrived is no part of the file.
    async fn prepare_again(&mut self, error: &StepError) -> Result<(), StepError> {
        let (renew, restart) = match error {
            StepError::Download { error: DownloadError::AddressExpired { .. }, .. } => (true, false),
            StepError::Download { error: DownloadError::NotTheFile { .. }, .. } => (true, true),
            // What of a failed write is stored is not known.
            StepError::SizeDiffers { .. } | StepError::Buffer(_) => (false, true),
            _ => (false, false),
        };
        if restart {
            self.restart().await?;
            self.total = None;
        }
        if renew {
            let fresh = metadata::read(self.ports, self.meeting).await?;
            let address = fresh
                .files
                .into_iter()
                .find(|file| file.id == self.file.id)
                .and_then(|file| file.download_url);
            match address {
                Some(address) => self.address = address,
                None => return Err(gone(self.file)),
            }
        }
        Ok(())
    }
}

fn not_the_file(found: String) -> DownloadError {
    DownloadError::NotTheFile { found }
}

/// Zoom listed the file a moment ago and does not any more.
fn gone(file: &ArchiveFile) -> StepError {
    StepError::Download { file_id: file.id.clone(), error: DownloadError::Gone { status: 404 } }
}

enum Trouble {
    Download(DownloadError),
    Step(StepError),
}

impl From<DownloadError> for Trouble {
    fn from(error: DownloadError) -> Self {
        Self::Download(error)
    }
}

impl From<BufferError> for Trouble {
    fn from(error: BufferError) -> Self {
        Self::Step(error.into())
    }
}
