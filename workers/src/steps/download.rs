//! Fetching the files that a meeting lacks, several at once, each verified before it gets its name, the small ones together
//! (`naming.rs`).
//!
//! A body that breaks off is continued by range where the server allows it, and begun anew where not. An address
//! that has expired is renewed from the API, and so is one that leads nowhere (404), once: it is gone if the API does not
//! list it any more, or if the new address leads nowhere as well. A file that Zoom no longer has is a fact about that
//! file, not a failure of the meeting: the others are stored all the same.
//!
//! Zoom's listed size may be wrong. A body of another size is accepted when the same number of bytes came twice and it is
//! certain that they were all: the server announced as many, or the file's own form shows its end. What merely ended
//! may have been cut. What is odd about a body that is accepted stands in the manifest: `acceptance.rs` has the rules.
//!
//! A crash leaves a part, which the meeting's next try removes, or a verified file under its final name, which it adopts.

use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use recapture_core::buffer::{
    BufferError, FileRecord, FileRecordState, FingerprintMatch, ManifestVersion, MeetingFolder, PartWriter,
    Reservation, file_name,
};
use recapture_core::config::Fingerprint;
use recapture_core::meeting::{ArchiveFile, FileKind, MeetingUuid};
use recapture_core::metrics;
use recapture_core::reason::Reason;
use recapture_core::zoom::DownloadError;
use tracing::{Instrument, info_span};

use super::acceptance::{Inspector, Wrong};
use super::ingest::{available, unavailable};
use super::naming::{Arrived, Naming};
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

/// A file that nobody lists a size of is no larger: a day of video has some 10 GB. The free space ends most earlier.
const LARGEST: u64 = 64 << 30;

/// What became of the lacking files: a record for each that is settled, and the first error of the others.
pub struct Fetched {
    pub records: Vec<FileRecord>,
    pub error: Option<StepError>,
}

pub async fn fetch_all(
    ports: &Ports,
    job: &Assignment<'_>,
    folder: &MeetingFolder,
    manifest: &ManifestVersion,
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
    let naming = Naming::new(&ports.buffer, folder, job.claim(manifest), &lacking);
    let naming = &naming;
    let with_room = lacking.into_iter().map(|file| (room.split(file.size.unwrap_or(0)), file));
    let mut files = futures_util::stream::iter(with_room)
        .map(|(room, file)| {
            let span = info_span!("download", file = %file.id);
            async move { naming.take(&file, fetch(ports, job, folder, &file, room).await).await }
                .instrument(span)
        })
        .buffer_unordered(AT_ONCE);
    while let Some(settled) = files.next().await {
        for result in settled {
            match result {
                Ok(record) => {
                    count(&record);
                    job.files.settled(&record);
                    fetched.records.push(record);
                }
                Err(error) => _ = fetched.error.get_or_insert(error),
            }
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

/// Holds a slot until the file is on the disk, or in memory if it is small.
async fn fetch(
    ports: &Ports,
    job: &Assignment<'_>,
    folder: &MeetingFolder,
    file: &ArchiveFile,
    room: Reservation,
) -> Result<Arrived, StepError> {
    // Closed never happens: the semaphore lives as long as the ports.
    let _slot = ports.download_slots.acquire().await.map_err(|_| StepError::Stopping)?;
    let name = file_name(&file.id, &file.extension);
    let writer = ports.buffer.begin(folder, &name, file.size).await?.within(room);
    let mut transfer = Transfer::new(ports, &job.payload.uuid, file, writer);
    match transfer.run().await {
        Ok(()) => {}
        Err(error) if decide(&error) == Disposition::Gone => {
            return Ok(Arrived::Settled(unavailable(file, Reason::Gone)));
        }
        Err(error) => return Err(error),
    }
    let (messages, form) = (transfer.inspector.messages(), transfer.form.take());
    let written = transfer.writer.finish().await?;
    let differs =
        FingerprintMatch::of(file.fingerprint.as_deref(), &written.sha256) == FingerprintMatch::Differs;
    if differs && ports.settings.fingerprint == Fingerprint::Require {
        return Err(StepError::FingerprintDiffers { file_id: file.id.clone() });
    }
    let record = FileRecord {
        messages,
        form,
        listed_messages: file
            .number_of_messages
            .filter(|listed| messages.is_some_and(|found| found != *listed)),
        ..available(file, name, written.size, written.sha256.clone())
    };
    Ok(Arrived::Whole(record, written))
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
    /// The SHA-256 of a whole body that arrived before, and was odd.
    was_odd: Option<String>,
    /// What is odd about a body that is the file all the same.
    form: Option<String>,
    /// The address led nowhere, and was renewed.
    led_nowhere: bool,
}

impl<'a> Transfer<'a> {
    fn new(ports: &'a Ports, meeting: &'a MeetingUuid, file: &'a ArchiveFile, writer: PartWriter) -> Self {
        let address = file.download_url.clone().unwrap_or_default();
        let inspector = Inspector::new(file);
        Self {
            ports,
            meeting,
            file,
            writer,
            inspector,
            address,
            total: None,
            differed: None,
            was_odd: None,
            form: None,
            led_nowhere: false,
        }
    }

    async fn run(&mut self) -> Result<(), StepError> {
        let mut patience = Patience::new();
        loop {
            let before = self.writer.size();
            let error = match self.attempt().await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if is_gone(&error) && !self.led_nowhere {
                self.led_nowhere = true;
                self.renew().await?;
                continue;
            }
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
            Some(listed) if listed > 0 && listed != got => {
                let is_same = self.differed.replace(got) == Some(got);
                let is_all = self.total == Some(got) || self.inspector.shows_its_end();
                // The same whole body twice: the listing is what is wrong (it happens). The manifest tells both sizes.
                if is_same && is_all {
                    return Ok(());
                }
                Err(StepError::SizeDiffers { file_id: self.file.id.clone(), listed, got })
            }
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
        let most = most_bytes(self.file.size);
        if body.total.is_some_and(|total| total > most) {
            return Err(not_the_file("a body that is far too long".to_owned()).into());
        }
        let may_be_odd =
            body.total.is_some() && body.total == self.file.size || self.file.fingerprint.is_some();
        while let Some(bytes) = body.next().await? {
            metrics::bytes_received(bytes.len() as u64);
            self.ports.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            // A body of gigabytes that is something else is not read to its end.
            match self.inspector.take(&bytes) {
                Err(Wrong::NotIt(why)) => return Err(not_the_file(why).into()),
                Err(Wrong::Odd(why)) if !may_be_odd => return Err(not_the_file(why).into()),
                Err(Wrong::Odd(_)) | Ok(()) => {}
            }
            self.writer.write(bytes).await?;
            if self.writer.size() > most {
                return Err(not_the_file("a body that does not end where the listing says".to_owned()).into());
            }
        }
        match self.inspector.end() {
            Ok(()) => Ok(()),
            Err(Wrong::Odd(why)) if self.is_certainly_it() => {
                self.form = Some(why);
                Ok(())
            }
            Err(Wrong::NotIt(why) | Wrong::Odd(why)) => Err(not_the_file(why).into()),
        }
    }

    /// Whether a body whose form is odd is what Zoom has: by its fingerprint, or by its size, twice.
    fn is_certainly_it(&mut self) -> bool {
        let sha256 = self.writer.sha256();
        if FingerprintMatch::of(self.file.fingerprint.as_deref(), &sha256) == FingerprintMatch::Equal {
            return true;
        }
        let got = Some(self.writer.size());
        let is_same = self.was_odd.as_ref() == Some(&sha256);
        self.was_odd = Some(sha256);
        is_same && got == self.file.size && got == self.total
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
        if renew { self.renew().await } else { Ok(()) }
    }

    /// Asks the API for a new address.
    async fn renew(&mut self) -> Result<(), StepError> {
        let fresh = metadata::read(self.ports, self.meeting).await?;
        let same = fresh.files.into_iter().find(|file| file.id == self.file.id);
        self.address = same.and_then(|file| file.download_url).ok_or_else(|| gone(self.file))?;
        Ok(())
    }
}

/// More than that is not the file, and may have no end.
fn most_bytes(listed: Option<u64>) -> u64 {
    match listed {
        None | Some(0) => LARGEST,
        Some(listed) => listed.saturating_mul(2).saturating_add(MUCH_TOO_LONG),
    }
}

fn is_gone(error: &StepError) -> bool {
    matches!(error, StepError::Download { error: DownloadError::Gone { .. }, .. })
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
