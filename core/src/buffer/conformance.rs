//! The capture buffer's promise as tests: one suite for every store, one function a claim.
//!
//! A store gives each function a place of its own with nothing in it; [`buffer_claims`](crate::buffer_claims) makes the
//! tests. [`server::S3Server`] is a real one for whoever needs it.

mod evidence;
mod files;
mod manifests;
pub mod server;

pub use evidence::{
    evidence_of_many_writers_is_read_as_it_was_written, the_same_writer_may_come_back_to_a_run,
};
pub use files::{
    a_file_appears_whole_and_only_when_it_is_committed,
    a_file_that_begins_anew_holds_nothing_of_the_first_try, a_file_that_stands_there_is_replaced_whole,
    a_worker_that_has_lost_the_meeting_gives_no_names, a_writer_whose_part_was_cleared_writes_nothing,
    files_get_their_names_together, what_is_given_up_leaves_nothing,
};
pub use manifests::{
    a_check_leaves_nothing, a_contact_is_handed_over_whole,
    a_first_manifest_is_put_where_nothing_stands_and_nowhere_else,
    a_manifest_is_replaced_by_its_successor_only, meetings_are_found_and_removed, room_is_promised_once,
    what_is_no_manifest_is_not_read,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::{
    Buffer, BufferError, Claim, FileRecord, FileRecordState, FingerprintMatch, Manifest, ManifestState,
    ManifestVersion, MeetingFolder, SCHEMA, Written, WrittenBy,
};
use crate::contact::{Contact, SOURCE};
use crate::meeting::MeetingUuid;

/// Makes a test of every claim; the argument is a function that returns a place, and what keeps it there.
#[macro_export]
macro_rules! buffer_claims {
    ($fresh:expr) => {
        $crate::buffer_claims! {
            $fresh;
            a_check_leaves_nothing,
            a_contact_is_handed_over_whole,
            a_file_appears_whole_and_only_when_it_is_committed,
            a_file_that_begins_anew_holds_nothing_of_the_first_try,
            a_file_that_stands_there_is_replaced_whole,
            a_first_manifest_is_put_where_nothing_stands_and_nowhere_else,
            a_manifest_is_replaced_by_its_successor_only,
            a_worker_that_has_lost_the_meeting_gives_no_names,
            a_writer_whose_part_was_cleared_writes_nothing,
            evidence_of_many_writers_is_read_as_it_was_written,
            files_get_their_names_together,
            meetings_are_found_and_removed,
            room_is_promised_once,
            the_same_writer_may_come_back_to_a_run,
            what_is_given_up_leaves_nothing,
            what_is_no_manifest_is_not_read,
        }
    };
    ($fresh:expr; $($claim:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                let (place, _keep) = $fresh();
                $crate::buffer::conformance::$claim(&place).await;
            }
        )+
    };
}

/// Sizes around what a store may cut a file into.
const SIZES: [usize; 7] = [0, 1, 300_000, (5 << 20) - 1, 5 << 20, (5 << 20) + 1, (13 << 20) + 7];

async fn open(place: &crate::config::Buffer) -> Buffer {
    Buffer::open(place).await.expect("a buffer")
}

fn folder() -> MeetingFolder {
    folder_of("/aB3dE//gHiJkL4mNoPqRg==")
}

fn folder_of(uuid: &str) -> MeetingFolder {
    MeetingFolder::new(&MeetingUuid::parse(uuid).expect("a UUID"), started_at())
}

fn started_at() -> DateTime<Utc> {
    "2026-10-01T08:00:04Z".parse().expect("an instant")
}

/// Bytes in which every displacement shows.
fn body(size: usize, seed: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; size];
    random.fill(&mut bytes);
    bytes.into()
}

/// Writes in pieces of odd sizes, as a network brings them.
async fn write(writer: &mut super::PartWriter, bytes: &Bytes) {
    let mut at = 0;
    for step in [1, 70_001, 1_000_003].into_iter().cycle() {
        let end = (at + step).min(bytes.len());
        writer.write(bytes.slice(at..end)).await.expect("room");
        at = end;
        if at == bytes.len() {
            return;
        }
    }
}

async fn store(buffer: &Buffer, folder: &MeetingFolder, path: &str, bytes: &Bytes) {
    let mut writer = buffer.begin(folder, path, Some(bytes.len() as u64)).await.expect("a part");
    write(&mut writer, bytes).await;
    name(buffer, folder, writer.finish().await.expect("whole")).await.expect("a name");
}

/// Gives a name as the one who wrote the manifest that stands there.
async fn name(buffer: &Buffer, folder: &MeetingFolder, file: Written) -> Result<(), BufferError> {
    let stands = buffer.manifest(folder).await?.map_or(ManifestVersion::NONE, |stands| stands.version);
    buffer.give_names(folder, vec![file], &Claim::new(|| true, stands)).await
}

fn manifest(worker: &str, files: &[(&str, &Bytes)]) -> Manifest {
    let uuid = "/aB3dE//gHiJkL4mNoPqRg==";
    let record = |(name, bytes): &(&str, &Bytes)| FileRecord {
        file_id: (*name).to_owned(),
        file_type: "MP4".to_owned(),
        file_extension: "mp4".to_owned(),
        path: Some((*name).to_owned()),
        size: Some(bytes.len() as u64),
        listed_size: None,
        sha256: Some(crate::digest::sha256(bytes)),
        fingerprint: None,
        fingerprint_match: FingerprintMatch::Absent,
        state: FileRecordState::Available,
        reason: None,
        downloaded_at: None,
        messages: None,
        listed_messages: None,
        form: None,
    };
    Manifest {
        schema: SCHEMA.to_owned(),
        source: SOURCE.to_owned(),
        account: "account".to_owned(),
        meeting: serde_json::json!({ "uuid": uuid, "topic": "ä \u{1F600}" }),
        contact: Contact {
            source: SOURCE.to_owned(),
            source_id: uuid.to_owned(),
            started_at: started_at(),
            ended_at: None,
            topic: None,
            host: None,
            participants: Vec::new(),
            run_id: None,
            buffer_path: None,
            media: Vec::new(),
        },
        state: ManifestState::Ingested,
        run_id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
        ingested_at: started_at(),
        completed_at: None,
        written_by: WrittenBy { worker: worker.to_owned(), fence: 1 },
        files: files.iter().map(record).collect(),
    }
}

#[cfg(test)]
pub(super) fn sample_manifest() -> Manifest {
    manifest("w", &[("film.mp4", &body(10, 1)), ("chat.json", &body(20, 2))])
}
