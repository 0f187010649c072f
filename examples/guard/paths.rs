//! The hot paths: what is done for each page, each meeting, each file and each line.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use recapture::trigger::csv::Rows;
use recapture_core::buffer::{Buffer, Claim, Manifest, ManifestVersion, MeetingFolder, file_name};
use recapture_core::contact::Contact;
use recapture_core::evidence::{Entry, Evidence, MeetingVerdict};
use recapture_core::mac::MacKey;
use recapture_core::meeting::MeetingUuid;
use recapture_core::queue::{
    Fate, JobPayload, Lease, MOST_EXCHANGED, NewJob, Queue, QueueSettings, Settlement, Wanted, WorkerId,
};
use recapture_core::reason::Outcome;
use recapture_core::reconcile::{self, Captured, Rules};
use recapture_core::run::{Counts, Mode, RecoveryRun, Request, RunId, RunState, Tally};
use recapture_core::zoom::Page;
use recapture_worker::steps::acceptance::Inspector;
use serde_json::{Value, json};

use super::Fault;

pub(super) struct HotPath {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) rounds: u64,
    pub(super) run: fn(u64) -> Result<(), Fault>,
}

pub(super) const PATHS: &[HotPath] = &[
    HotPath { name: "chain", what: "100 lines of evidence, appended", rounds: 20, run: chain },
    HotPath { name: "compare", what: "100 meetings compared with their contacts", rounds: 50, run: compare },
    HotPath { name: "csv", what: "1,000 rows of a CSV file", rounds: 5, run: csv },
    HotPath { name: "inspect", what: "a chat of 64 KiB looked at while it passes", rounds: 5, run: inspect },
    HotPath { name: "exchange", what: "50 jobs claimed and settled, SQLite", rounds: 10, run: exchange },
    HotPath { name: "mac", what: "a MAC made and checked", rounds: 500, run: mac },
    HotPath { name: "manifest", what: "a manifest read, and written to disk", rounds: 50, run: manifest },
    HotPath { name: "page", what: "a page of 100 meetings read", rounds: 5, run: page },
    HotPath { name: "store", what: "a file of 64 KiB hashed and stored", rounds: 20, run: store },
    HotPath {
        name: "uuid",
        what: "a UUID read, and encoded for a path and a folder",
        rounds: 2000,
        run: uuid,
    },
];

const UUID: &str = "/qB3dE//gHiJkL4mNoP0==";

fn at() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::Duration::days(20_000)
}

fn listed(number: usize) -> Value {
    let files: Vec<Value> = ["MP4", "M4A", "TRANSCRIPT", "CHAT"]
        .iter()
        .enumerate()
        .map(|(file, kind)| {
            json!({
                "id": format!("{number:08x}-0000-4000-8000-00000000000{file}"), "file_type": kind,
                "file_extension": kind, "file_size": 200_000, "status": "completed",
                "download_url": "https://zoom.us/rec/archive/download/abcdefghijklmnopqrstuvwxyz",
                "recording_type": "shared_screen", "individual": false,
                "participant_join_time": "2026-10-01T08:00:04Z", "participant_leave_time": "2026-10-01T08:57:01Z",
                "encryption_fingerprint": "abf85f0fe6a4db3cdd8c37e505e1dd18a34d9696170a14b5bc6395677472cf43",
            })
        })
        .collect();
    json!({
        "account_name": "Nordwind", "uuid": format!("qB3dE/+gHiJkL4m{number:07}=="), "id": 91_000_000_000_u64,
        "host_id": "Abcdefghijklmnopqrstuv", "topic": "Weekly review", "type": 2, "meeting_type": "internal",
        "start_time": "2026-10-01T08:00:04Z", "timezone": "Europe/Berlin", "duration": 57,
        "duration_in_second": 3417, "complete_time": "2026-10-01T09:10:00Z", "status": "completed",
        "is_breakout_room": false, "recording_count": 4, "total_size": 800_000, "archive_files": files,
    })
}

fn a_page() -> Vec<u8> {
    let meetings: Vec<Value> = (0..100).map(listed).collect();
    let page = json!({
        "from": "2026-10-01T00:00:00Z", "to": "2026-10-02T00:00:00Z", "page_size": 300, "total_records": 100,
        "next_page_token": "", "meetings": meetings,
    });
    page.to_string().into_bytes()
}

fn a_contact(meeting: &Value) -> Contact {
    let media = |file: &Value| {
        json!({"file_id": file["id"], "file_type": file["file_type"], "kind": "video", "size": file["file_size"],
            "sha256": file["encryption_fingerprint"], "state": "available"})
    };
    let files = meeting["archive_files"].as_array().cloned().unwrap_or_default();
    let contact = json!({
        "source": "zoom", "source_id": meeting["uuid"], "started_at": meeting["start_time"],
        "ended_at": "2026-10-01T08:57:01Z", "topic": meeting["topic"], "host": meeting["host_id"],
        "participants": [], "run_id": null, "buffer_path": null,
        "media": files.iter().map(media).collect::<Vec<_>>(),
    });
    serde_json::from_value(contact).expect("a contact")
}

fn a_manifest() -> Value {
    let meeting = listed(7);
    let record = |file: &Value| {
        let id = file["id"].as_str().unwrap_or_default();
        json!({"file_id": id, "file_type": file["file_type"], "file_extension": "bin",
            "path": file_name(id, "bin"), "size": 200_000, "sha256": file["encryption_fingerprint"],
            "fingerprint": file["encryption_fingerprint"], "fingerprint_match": "equal", "state": "available",
            "downloaded_at": "2026-10-05T10:00:00Z"})
    };
    let files = meeting["archive_files"].as_array().cloned().unwrap_or_default();
    json!({
        "schema": "recapture.manifest/1", "source": "zoom", "account": "account", "meeting": meeting,
        "contact": a_contact(&meeting), "state": "complete", "run_id": "01K", "ingested_at": "2026-10-05T10:00:00Z",
        "completed_at": "2026-10-05T10:00:02Z", "written_by": {"worker": "w", "fence": 1},
        "files": files.iter().map(record).collect::<Vec<_>>(),
    })
}

fn page(rounds: u64) -> Result<(), Fault> {
    let body = a_page();
    for _ in 0..rounds {
        black_box(Page::read(black_box(&body))?);
    }
    Ok(())
}

fn compare(rounds: u64) -> Result<(), Fault> {
    let page = Page::read(&a_page())?;
    let captured: Vec<Captured> =
        (0..100).map(|number| Captured::Contact(Box::new(a_contact(&listed(number))))).collect();
    for _ in 0..rounds {
        for (meeting, captured) in page.meetings.iter().zip(&captured) {
            black_box(reconcile::compare(black_box(meeting), captured, &Rules::default()));
        }
    }
    Ok(())
}

fn uuid(rounds: u64) -> Result<(), Fault> {
    for _ in 0..rounds {
        let uuid = MeetingUuid::parse(black_box(UUID))?;
        black_box((uuid.zoom_path_segment(), uuid.folder_key()));
    }
    Ok(())
}

fn mac(rounds: u64) -> Result<(), Fault> {
    let key = MacKey::derive(b"secret", "guard");
    for _ in 0..rounds {
        if !key.is_of(UUID, &key.sign(black_box(UUID))) {
            return Err("a MAC is not that of its own message".into());
        }
    }
    Ok(())
}

fn csv(rounds: u64) -> Result<(), Fault> {
    let mut text = "meeting_uuid;note\n".to_owned();
    for number in 0..1000 {
        writeln!(text, "qB3dE/+gHiJkL4m{number:07}==;\"asked for; by hand\"")?;
    }
    for _ in 0..rounds {
        let rows = Rows::new(black_box(text.as_bytes()))?;
        black_box(rows.count());
    }
    Ok(())
}

fn inspect(rounds: u64) -> Result<(), Fault> {
    let page = Page::read(&a_page())?;
    let mut file = page.meetings[0].files[3].clone();
    "json".clone_into(&mut file.extension);
    let messages: Vec<Value> =
        (0..600).map(|number| json!({"id": number, "message": "x".repeat(80)})).collect();
    let body = json!({ "messages": messages }).to_string().into_bytes();
    for _ in 0..rounds {
        let mut inspector = Inspector::new(&file);
        for piece in body.chunks(16 << 10) {
            inspector.take(black_box(piece))?;
        }
        inspector.end()?;
        black_box(inspector.messages());
    }
    Ok(())
}

fn chain(rounds: u64) -> Result<(), Fault> {
    in_a_buffer(async |buffer| {
        let evidence = Evidence::new(buffer, "guard", None);
        let run = RunId::new(at());
        let line = || -> Result<Entry, Fault> {
            Ok(Entry::Verdict(MeetingVerdict {
                meeting: MeetingUuid::parse(UUID)?,
                started_at: Some(at()),
                verdict: "missing".to_owned(),
                detail: None,
                deadline: Some(at()),
                queued_by: None,
            }))
        };
        for _ in 0..rounds {
            evidence.append(&run, (0..100).map(|_| line()).collect::<Result<_, _>>()?).await?;
        }
        Ok(())
    })
}

fn manifest(rounds: u64) -> Result<(), Fault> {
    let text = a_manifest().to_string();
    in_a_buffer(async |buffer| {
        let folder = MeetingFolder::new(&MeetingUuid::parse(UUID)?, at());
        let mut version = ManifestVersion::NONE;
        for _ in 0..rounds {
            let manifest: Manifest = serde_json::from_str(black_box(&text))?;
            (_, version) = buffer.put_manifest(&folder, &manifest, &version).await?;
        }
        Ok(())
    })
}

fn exchange(rounds: u64) -> Result<(), Fault> {
    let folder = tempfile::tempdir()?;
    let settings = QueueSettings {
        url: format!("sqlite://{}", folder.path().join("queue.db").display()),
        lease: Duration::from_secs(3600),
        max_attempts: 5,
        high_water: u64::MAX,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let queue = Queue::open(&settings).await?;
        let run = a_run();
        queue.create_run(&run).await?;
        let most = MOST_EXCHANGED.min(50);
        let jobs: Vec<NewJob> = (0..most * usize::try_from(rounds)?).map(a_job).collect::<Result<_, _>>()?;
        for batch in jobs.chunks(500) {
            queue.enqueue(&run.id, batch, Tally::default()).await?;
        }
        let worker = WorkerId::new();
        let mut given: Vec<(Lease, Settlement)> = Vec::new();
        for _ in 0..rounds {
            let done = queue.exchange(&worker, &given, most).await?;
            let finished = Fate::Finish { outcome: Outcome::Recovered };
            given = done.claimed.into_iter().map(|job| (job.lease, finished.clone().into())).collect();
            if given.len() != most {
                return Err(format!("{} jobs were claimed, not {most}", given.len()).into());
            }
        }
        queue.exchange(&worker, &given, 0).await?;
        queue.close().await;
        Ok(())
    })
}

fn a_run() -> RecoveryRun {
    RecoveryRun {
        id: RunId::new(at()),
        request: Request {
            mode: Mode::Manual,
            dry_run: false,
            requested_by: "guard".to_owned(),
            reason: None,
            period: None,
            served: None,
        },
        state: RunState::Enumerating,
        started_at: at(),
        finished_at: None,
        counts: Counts::default(),
        unproven: Vec::new(),
        ended_because: None,
    }
}

fn a_job(number: usize) -> Result<NewJob, Fault> {
    let payload = JobPayload {
        uuid: MeetingUuid::parse(&format!("qB3dE/+gHiJkL4m{number:07}=="))?,
        started_at: at(),
        deadline: at() + chrono::Duration::days(30),
        wanted: Wanted::All,
        mode: Mode::Manual,
    };
    Ok(NewJob { payload, ready: true })
}

fn store(rounds: u64) -> Result<(), Fault> {
    let piece = Bytes::from(vec![7; 16 << 10]);
    in_a_buffer(async |buffer| {
        let folder = MeetingFolder::new(&MeetingUuid::parse(UUID)?, at());
        let claim = Claim::new(|| true, ManifestVersion::NONE);
        for round in 0..rounds {
            let name = file_name(&format!("file-{round}"), "mp4");
            let mut writer = buffer.begin(&folder, &name, Some(64 << 10)).await?;
            for _ in 0..4 {
                writer.write(piece.clone()).await?;
            }
            buffer.give_names(&folder, vec![writer.finish().await?], &claim).await?;
        }
        Ok(())
    })
}

fn in_a_buffer<W>(work: W) -> Result<(), Fault>
where
    W: AsyncFnOnce(Buffer) -> Result<(), Fault>,
{
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let buffer = Buffer::open(&folder.path().to_owned().into()).await?;
        work(buffer).await
    })
}
