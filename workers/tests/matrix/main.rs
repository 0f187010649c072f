//! Every way in which an answer of Zoom can be wrong, at every place, into both stores: what becomes of the meeting, how
//! often was asked, how many bytes were fetched, and that nothing wrong stands under a final name.
//!
//! The server here says what its case tells it to, to the byte: the simulator's faults come by chance and cannot be aimed
//! at one file. Each case is its own account of one meeting with three files; all run at once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use chrono::Utc;
use futures_util::StreamExt;
use recapture_core::buffer::conformance::server::S3Server;
use recapture_core::buffer::{Buffer, MeetingFolder};
use recapture_core::config::{Config, Fingerprint, Sources};
use recapture_core::contacts::Contacts;
use recapture_core::evidence::Evidence;
use recapture_core::meeting::MeetingUuid;
use recapture_core::period::Period;
use recapture_core::queue::{JobPayload, Wanted};
use recapture_core::run::{Mode, RunId};
use recapture_core::zoom::{Dimension, Zoom};
use recapture_worker::disposition::{Disposition, decide};
use recapture_worker::error::StepError;
use recapture_worker::files_so_far::FilesSoFar;
use recapture_worker::ports::{Ports, Settings};
use recapture_worker::recover_meeting::{Assignment, recover_meeting};
use recapture_worker::room::Room;
use tokio::sync::Semaphore;

use server::{Case, FILES, Fault, Place, Script, UUID, sha256_of};

/// Starts of the job, as the queue would give them.
const STARTS: u32 = 2;

/// What has to come of a case: the meeting's end, the starts that it took, and what was asked of the place at fault.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    end: String,
    starts: u32,
    requests: u64,
    /// Bytes that were sent at that place.
    bytes: u64,
}

/// What has to happen to a file, by the fault. `size` is the file's.
fn expected_of_file(fault: Fault, always: bool, size: u64) -> Outcome {
    let recovered =
        |starts, requests, bytes| Outcome { end: "recovered".to_owned(), starts, requests, bytes };
    let ended = |end: &str, starts, requests, bytes| Outcome { end: end.to_owned(), starts, requests, bytes };
    // A start asks four times: once, and three times again.
    let four = u64::from(STARTS) * 4;
    match (fault, always) {
        (Fault::Refuse, false) => recovered(2, 1, size),
        (Fault::Refuse, true) => ended("network", STARTS, 0, 0),
        (Fault::Status(429 | 500 | 401) | Fault::Expired | Fault::Html | Fault::Reset, false) => {
            recovered(1, 2, size)
        }
        (Fault::Cut(_) | Fault::Stall, false) => recovered(1, 2, size),
        (Fault::Short, false) => recovered(1, 2, size - 9 + size),
        (Fault::Long, false) => recovered(1, 2, size + 9 + size),
        (Fault::Corrupt, false) => recovered(2, 2, 2 * size),
        (Fault::Corrupt, true) => {
            ended("fingerprint_differs", STARTS, u64::from(STARTS), u64::from(STARTS) * size)
        }
        (Fault::Status(429), true) => ended("throttled", STARTS, four, 0),
        (Fault::Status(500), true) => ended("zoom_error", STARTS, four, 0),
        (Fault::Expired, true) => ended("zoom_refused", STARTS, four, 0),
        (Fault::Html, true) => ended("not_the_file", STARTS, four, 0),
        (Fault::Short, true) => ended("not_the_file", STARTS, four, four * (size - 9)),
        (Fault::Long, true) => ended("not_the_file", STARTS, four, four * (size + 9)),
        (Fault::Reset | Fault::Cut(_) | Fault::Stall, true) => {
            unreachable!("progress or network: not in the table")
        }
        (Fault::RedirectLoop, _) => ended("foreign_host", 1, 6, 0),
        (Fault::ForeignHost | Fault::Downgrade | Fault::PrivateHost, _) => ended("foreign_host", 1, 1, 0),
        (Fault::Status(other), _) => unreachable!("{other} is not in the table"),
    }
}

fn of_files() -> Vec<(Fault, bool)> {
    let once = [
        Fault::Refuse,
        Fault::Reset,
        Fault::Status(429),
        Fault::Status(500),
        Fault::Status(401),
        Fault::Cut(1),
        Fault::Cut(2),
        Fault::Cut(3),
        Fault::Cut(4),
        Fault::Stall,
        Fault::Short,
        Fault::Long,
        Fault::Html,
        Fault::Corrupt,
        Fault::Expired,
    ];
    let always = [
        Fault::Refuse,
        Fault::Status(429),
        Fault::Status(500),
        Fault::Short,
        Fault::Long,
        Fault::Html,
        Fault::Corrupt,
        Fault::Expired,
        Fault::RedirectLoop,
        Fault::ForeignHost,
        Fault::PrivateHost,
        Fault::Downgrade,
    ];
    once.into_iter()
        .map(|fault| (fault, false))
        .chain(always.into_iter().map(|fault| (fault, true)))
        .collect()
}

/// Of the metadata and the listing: answers in JSON, which are asked for again as a whole.
fn of_answers() -> Vec<(Fault, bool)> {
    let once = [
        Fault::Reset,
        Fault::Status(429),
        Fault::Status(500),
        Fault::Status(401),
        Fault::Cut(1),
        Fault::Cut(2),
        Fault::Cut(3),
        Fault::Cut(4),
        Fault::Stall,
        Fault::Short,
        Fault::Long,
        Fault::Html,
    ];
    let always = [
        Fault::Reset,
        Fault::Cut(2),
        Fault::Status(429),
        Fault::Status(500),
        Fault::Status(401),
        Fault::Short,
        Fault::Long,
        Fault::Html,
        Fault::RedirectLoop,
        Fault::ForeignHost,
        Fault::PrivateHost,
        Fault::Downgrade,
    ];
    let once = once.into_iter().map(|fault| (fault, false));
    once.chain(always.into_iter().map(|fault| (fault, true))).collect()
}

/// What has to come of an answer in JSON of `size` bytes. The listing's own patience is the producer's; here each of its
/// starts is one question.
fn expected_of_answer(at: Place, fault: Fault, always: bool, size: u64) -> Outcome {
    let partial = match fault {
        Fault::Cut(quarter) => (size * quarter / 4).min(size - 1),
        Fault::Stall => size / 2,
        Fault::Short => size - 9,
        Fault::Long => size + 9,
        _ => 0,
    };
    let is_list = at == Place::List;
    if !always {
        // A token that is refused is replaced within the question.
        let starts = if is_list && fault != Fault::Status(401) { 2 } else { 1 };
        return Outcome { end: "recovered".to_owned(), starts, requests: 2, bytes: partial + size };
    }
    let a_start = if is_list { 1 } else { 4 };
    let twice = |end, requests| (end, STARTS, requests * u64::from(STARTS));
    let (end, starts, requests) = match fault {
        // What is away altogether halts the pool, after more patience than any other fault is given.
        Fault::Reset | Fault::Cut(_) if !is_list => ("network", 1, 7),
        Fault::Reset | Fault::Cut(_) => twice("network", 1),
        Fault::Status(429) => twice("throttled", a_start),
        // Three new tokens are refused as well; so is the first one of the next question, and then it is the credentials.
        Fault::Status(401) => ("unauthorized", if is_list { 2 } else { 1 }, 5),
        // A redirect is no answer, and is followed nowhere.
        Fault::Status(500)
        | Fault::RedirectLoop
        | Fault::ForeignHost
        | Fault::PrivateHost
        | Fault::Downgrade => twice("zoom_error", a_start),
        Fault::Short | Fault::Long | Fault::Html => twice("zoom_unreadable", a_start),
        other => unreachable!("{other:?} is not in the table"),
    };
    Outcome { end: end.to_owned(), starts, requests, bytes: requests * partial }
}

#[tokio::test(flavor = "multi_thread")]
async fn into_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    every_case(&|case| root.join(format!("case-{case}")).into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn into_an_object_store() {
    let server = S3Server::start();
    let bucket = server.bucket();
    every_case(&|case| server.place(&bucket, &format!("case-{case}"))).await;
    assert_eq!(server.unfinished_uploads(), Vec::<std::path::PathBuf>::new());
}

async fn every_case(place: &dyn Fn(usize) -> recapture_core::config::Buffer) {
    let mut scripts = Vec::new();
    for at in [Place::First, Place::Last] {
        scripts.extend(of_files().into_iter().map(|(fault, always)| Script { at, fault, always }));
    }
    for at in [Place::Metadata, Place::List] {
        scripts.extend(of_answers().into_iter().map(|(fault, always)| Script { at, fault, always }));
    }
    let server = server::Server::start(scripts.clone()).await;
    let contacts = tempfile::tempdir().unwrap();
    let (server, contacts) = (&server, contacts.path());
    let wrong: Vec<String> = futures_util::stream::iter(scripts.into_iter().enumerate())
        .map(|(number, script)| async move {
            let found = run(server, number, script, &place(number), &contacts.join(number.to_string())).await;
            let expected = expected(server.case(number), script);
            (found != expected).then(|| format!("{script:?}:\n  found    {found:?}\n  expected {expected:?}"))
        })
        .buffer_unordered(128)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

fn expected(case: &Case, script: Script) -> Outcome {
    if let Some(file) = script.at.file() {
        return expected_of_file(script.fault, script.always, FILES[file].body().len() as u64);
    }
    expected_of_answer(script.at, script.fault, script.always, case.size())
}

async fn run(
    server: &server::Server,
    number: usize,
    script: Script,
    place: &recapture_core::config::Buffer,
    contacts: &std::path::Path,
) -> Outcome {
    let ports = ports(&server.base(number), place, contacts).await;
    let case = server.case(number);
    let (mut starts, mut end) = (0, String::new());
    while starts < STARTS {
        starts += 1;
        let result = match script.at {
            Place::List => list(&ports.zoom).await,
            _ => recover(&ports, u64::from(starts)).await,
        };
        let error = match result {
            Ok(outcome) => {
                end = outcome;
                break;
            }
            Err(error) => error,
        };
        error.cause().reason.as_str().clone_into(&mut end);
        match decide(&error) {
            Disposition::Retry { .. } | Disposition::Snooze { .. } => {}
            Disposition::Outage { .. } if script.at == Place::List => {}
            _ => break,
        }
    }
    if script.at != Place::List {
        assert_nothing_wrong(&ports.buffer, &end, script).await;
    }
    Outcome { end, starts, requests: case.requests(), bytes: case.bytes() }
}

async fn list(zoom: &Zoom) -> Result<String, StepError> {
    let period =
        Period::new("2026-10-01T00:00:00Z".parse().unwrap(), "2026-10-02T00:00:00Z".parse().unwrap());
    let listed = zoom.list(period.unwrap(), Dimension::StartTime, None).await?;
    assert_eq!(listed.page.meetings.len(), 1);
    Ok("recovered".to_owned())
}

async fn recover(ports: &Ports, fence: u64) -> Result<String, StepError> {
    let payload = JobPayload {
        uuid: MeetingUuid::parse(UUID).unwrap(),
        started_at: "2026-10-01T08:00:04Z".parse().unwrap(),
        deadline: Utc::now() + chrono::Duration::days(1),
        wanted: Wanted::All,
        mode: Mode::Manual,
    };
    let run = RunId::new(Utc::now());
    let files = FilesSoFar::default();
    let job = Assignment { payload: &payload, run: &run, worker: "w", fence, files: &files, held: &|| true };
    Ok(recover_meeting(ports, &job).await?.outcome.to_string())
}

/// What stands under a final name is the file, byte for byte; all of them if the meeting was recovered.
async fn assert_nothing_wrong(buffer: &Buffer, end: &str, script: Script) {
    let folder =
        MeetingFolder::new(&MeetingUuid::parse(UUID).unwrap(), "2026-10-01T08:00:04Z".parse().unwrap());
    for (number, file) in FILES.iter().enumerate() {
        let found = buffer.read_file(&folder, &file.name()).await.unwrap();
        let is_whole = found.as_ref().is_some_and(|found| found.sha256 == sha256_of(&file.body()));
        assert!(is_whole || found.is_none(), "{script:?}: file {number} is not what it should be");
        assert!(is_whole || end != "recovered", "{script:?}: file {number} is not there");
        let is_other_file = script.at.file().is_some_and(|at| at != number);
        assert!(
            is_whole || !is_other_file,
            "{script:?}: one file's trouble kept file {number} from being stored"
        );
    }
}

async fn ports(base: &str, place: &recapture_core::config::Buffer, contacts: &std::path::Path) -> Arc<Ports> {
    let flags = [
        format!("zoom.api_url={base}/v2"),
        format!("zoom.oauth_url={base}/oauth/token"),
        "zoom.account_id=a".to_owned(),
        "zoom.client_id=c".to_owned(),
        "zoom.client_secret=s".to_owned(),
        "zoom.download_hosts=127.0.0.1".to_owned(),
        "zoom.limits.light=1000".to_owned(),
        "zoom.limits.medium=1000".to_owned(),
        "zoom.limits.heavy=1000".to_owned(),
        "zoom.stall_timeout=300ms".to_owned(),
        "zoom.request_timeout=1s".to_owned(),
        "zoom.fingerprint=require".to_owned(),
        format!("contacts.url=sqlite://{}", contacts.display()),
    ];
    let loaded = Config::load(&Sources { flags: flags.to_vec(), ..Sources::default() }).unwrap();
    let config = loaded.config;
    let buffer = Buffer::open(place).await.unwrap();
    let http = recapture_core::http::client().unwrap();
    Arc::new(Ports {
        zoom: Zoom::new(&config.zoom, config.zoom.credentials().unwrap(), false, None).unwrap(),
        contacts: Contacts::open(&config.contacts, http).await.unwrap(),
        evidence: Evidence::new(buffer.clone(), "w", None),
        buffer,
        download_slots: Semaphore::new(8),
        received: AtomicU64::new(0),
        room: Room::default(),
        settings: Settings {
            account: "a".to_owned(),
            processing_poll: Duration::from_secs(300),
            fingerprint: Fingerprint::Require,
        },
    })
}
