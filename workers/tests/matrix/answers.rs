//! A Zoom with one meeting, whose every answer is written by the test, byte for byte: what no server that keeps to
//! HTTP would send.

mod adoption;
mod endings;
mod forms;
mod listed;
mod ranges;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use recapture_core::buffer::{FileRecord, Manifest, MeetingFolder};
use recapture_core::config::Fingerprint;
use recapture_core::meeting::MeetingUuid;
use recapture_core::reason::Outcome;
use recapture_worker::error::StepError;
use recapture_worker::ports::Ports;
use recapture_worker::recover_meeting::Ended;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::server::{UUID, sha256_of};

/// A request for a file or for the metadata.
struct Asked {
    path: String,
    /// How many came before it.
    number: u64,
    /// Where the range begins that was asked for.
    from: Option<usize>,
}

/// What is written to the connection before it is closed.
enum Reply {
    Bytes(Vec<u8>),
    /// And then a byte every now and then, for ever.
    Drip(Vec<u8>),
}

/// The meeting's metadata, where the server is told, and the files' bodies.
type Metadata = dyn Fn(&str, &Asked) -> Reply + Send + Sync;
type Files = dyn Fn(&Asked) -> Reply + Send + Sync;

struct OneMeeting {
    base: String,
    ports: Arc<Ports>,
    uuid: String,
    downloads: Arc<AtomicU64>,
    reads: Arc<AtomicU64>,
    folder: TempDir,
}

impl OneMeeting {
    /// With one file, as `listed` describes it.
    async fn with_file(listed: Value, files: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(UUID, move |base, _| metadata(UUID, base, std::slice::from_ref(&listed)), files).await
    }

    async fn start(
        uuid: &str,
        metadata: impl Fn(&str, &Asked) -> Reply + Send + Sync + 'static,
        files: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (downloads, reads) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let server = Server {
            base: base.clone(),
            metadata: Arc::new(metadata),
            files: Arc::new(files),
            downloads: Arc::clone(&downloads),
            reads: Arc::clone(&reads),
        };
        tokio::spawn(server.serve(listener));
        let folder = tempfile::tempdir().unwrap();
        let (place, contacts) = (folder.path().join("buffer").into(), folder.path().join("contacts.db"));
        let api = format!("{base}/v2");
        let ports = crate::ports(&base, &api, Fingerprint::Record, &place, &contacts).await;
        Self { base, ports, uuid: uuid.to_owned(), downloads, reads, folder }
    }

    async fn recover(&self) -> Result<Ended, StepError> {
        crate::recover(&self.ports, &self.uuid, 1).await
    }

    /// Recovers the meeting's one file, and gives its record.
    async fn recovered(&self, body: &[u8]) -> FileRecord {
        let ended = self.recover().await.unwrap();
        assert_eq!(ended.outcome, Outcome::Recovered, "{:?}", ended.cause);
        let record = self.manifest().await.files.remove(0);
        let stored = self.ports.buffer.read_file(&self.meeting(), record.path.as_deref().unwrap()).await;
        assert_eq!(stored.unwrap().unwrap().sha256, sha256_of(body));
        record
    }

    /// The recovery fails for that reason, and nothing stands under a final name.
    async fn refused(&self, reason: &str) {
        let error = self.recover().await.unwrap_err();
        assert_eq!(error.cause().reason.as_str(), reason, "{error}");
        assert!(self.manifest().await.files.is_empty());
        let names =
            std::fs::read_dir(self.folder.path().join("buffer").join(self.meeting().as_str())).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["manifest.json"], "neither a file nor a part");
    }

    async fn manifest(&self) -> Manifest {
        self.ports.buffer.manifest(&self.meeting()).await.unwrap().unwrap().manifest
    }

    fn meeting(&self) -> MeetingFolder {
        let started_at = "2026-10-01T08:00:04Z".parse().unwrap();
        MeetingFolder::new(&MeetingUuid::parse(&self.uuid).unwrap(), started_at)
    }

    fn downloads(&self) -> u64 {
        self.downloads.load(Ordering::SeqCst)
    }

    fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }
}

#[derive(Clone)]
struct Server {
    base: String,
    metadata: Arc<Metadata>,
    files: Arc<Files>,
    downloads: Arc<AtomicU64>,
    reads: Arc<AtomicU64>,
}

impl Server {
    async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let server = self.clone();
            // Whoever hangs up early is no trouble of the server's.
            tokio::spawn(async move { server.answer(stream).await });
        }
    }

    async fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut piece = [0; 4096];
            match stream.read(&mut piece).await? {
                0 => return Ok(()),
                got => head.extend_from_slice(&piece[..got]),
            }
        }
        let head = String::from_utf8(head).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let range = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
        let from = range.map(|range| range.trim_end_matches('-').parse().unwrap());
        let count = |of: &AtomicU64| of.fetch_add(1, Ordering::SeqCst);
        let reply = if path.starts_with("/oauth") {
            json_reply(
                &json!({"access_token": "t", "token_type": "bearer", "expires_in": 3600, "scope": "x"}),
            )
        } else if path.starts_with("/v2/") {
            (self.metadata)(&self.base, &Asked { path, number: count(&self.reads), from })
        } else {
            (self.files)(&Asked { path, number: count(&self.downloads), from })
        };
        match reply {
            Reply::Bytes(bytes) => stream.write_all(&bytes).await?,
            Reply::Drip(bytes) => {
                stream.write_all(&bytes).await?;
                loop {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    stream.write_all(b"x").await?;
                }
            }
        }
        stream.shutdown().await
    }
}

/// A file as Zoom lists it; `download_url` follows from its id.
fn listed(id: &str, kind: &str, extension: &str, size: Option<usize>) -> Value {
    json!({
        "id": id, "file_type": kind, "file_extension": extension, "file_size": size, "status": "completed",
        "individual": false, "encryption_fingerprint": "",
    })
}

fn meeting(uuid: &str, base: &str, files: &[Value]) -> Value {
    let files = files.iter().cloned().map(|mut file| {
        file["download_url"] = json!(format!("{base}/file"));
        file
    });
    let files: Vec<Value> = files.collect();
    json!({
        "uuid": uuid, "id": 4_444_444_444_u64, "topic": "t", "host_id": "h", "type": 2, "duration": 57,
        "start_time": "2026-10-01T08:00:04Z", "timezone": "UTC", "duration_in_second": 3417,
        "complete_time": "2026-10-01T10:00:00Z", "status": "completed", "is_breakout_room": false,
        "recording_count": files.len(), "total_size": 1, "archive_files": files,
    })
}

fn metadata(uuid: &str, base: &str, files: &[Value]) -> Reply {
    json_reply(&meeting(uuid, base, files))
}

fn json_reply(value: &Value) -> Reply {
    whole(200, "Content-Type: application/json\r\n", value.to_string().as_bytes())
}

/// An answer whose length is announced.
fn whole(status: u16, headers: &str, body: &[u8]) -> Reply {
    raw(status, &format!("{headers}Content-Length: {}\r\n", body.len()), body)
}

/// An answer as it is written: with the headers that the test gives.
fn raw(status: u16, headers: &str, body: &[u8]) -> Reply {
    let head = format!("HTTP/1.1 {status} So\r\n{headers}Connection: close\r\n\r\n");
    Reply::Bytes([head.as_bytes(), body].concat())
}

/// A film of boxes, so long.
fn film(inside: u32) -> Vec<u8> {
    let length = (inside + 8).to_be_bytes();
    let start = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08moov";
    [&start[..], &length, b"mdat", &vec![7; inside as usize]].concat()
}
