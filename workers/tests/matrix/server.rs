//! A Zoom that does what a case's script says, at the place that it names.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::StreamExt;

use crate::script::{Fault, Place, Script};

pub(crate) const UUID: &str = "4444AAAiAAAAAiAiAiiAii==";

#[derive(Debug)]
pub(crate) struct File {
    id: &'static str,
    kind: &'static str,
    extension: &'static str,
}

pub(crate) const FILES: [File; 3] = [
    File { id: "film", kind: "MP4", extension: "mp4" },
    File { id: "text", kind: "CC", extension: "vtt" },
    File { id: "chat", kind: "CHAT_MESSAGE", extension: "json" },
];

impl File {
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.id, self.extension)
    }

    pub(crate) fn body(&self, large: bool) -> Vec<u8> {
        match self.extension {
            "mp4" => {
                let inside = vec![7; if large { 11 << 20 } else { 700_000 }];
                let length = u32::try_from(inside.len() + 8).unwrap().to_be_bytes();
                let start = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x10moovmoovmoov";
                [&start[..], &length, b"mdat", &inside].concat()
            }
            "vtt" => b"WEBVTT\n\n00:01.000 --> 00:04.000\nGood morning.\n".to_vec(),
            _ => {
                let messages =
                    vec![serde_json::json!({ "msg_type": 1, "msg_content": "R29vZCBtb3JuaW5n" }); 200];
                serde_json::to_vec(&serde_json::json!({ "uuid": UUID, "messages": messages })).unwrap()
            }
        }
    }
}

static LARGE: LazyLock<String> = LazyLock::new(|| sha256_of(&FILES[0].body(true)));

impl File {
    /// Worked out once where it takes a moment: servers that are asked must not be late.
    pub(crate) fn sha256(&self, large: bool) -> String {
        if large && self.extension == "mp4" { LARGE.clone() } else { sha256_of(&self.body(large)) }
    }
}

pub(crate) fn sha256_of(bytes: &[u8]) -> String {
    recapture_core::digest::sha256(bytes)
}

#[derive(Debug)]
pub(crate) struct Case {
    script: Script,
    requests: AtomicU64,
    /// Bytes at the place at fault that left.
    bytes: AtomicU64,
    /// Of the answer there, where it is no file.
    size: AtomicU64,
    metadata_read: AtomicU64,
    tokens: AtomicU64,
}

impl Case {
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    /// The size of the answer at fault.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::SeqCst)
    }

    /// What goes wrong with this request at a place, which is counted.
    fn fault(&self, at: Place) -> Option<Fault> {
        if self.script.at != at {
            return None;
        }
        let before = self.requests.fetch_add(1, Ordering::SeqCst);
        let is_due = self.script.always || before == 0;
        // Whether nobody listens is decided where the address is given.
        (is_due && self.script.fault != Fault::Refuse).then_some(self.script.fault)
    }
}

#[derive(Clone)]
pub(crate) struct Server {
    address: String,
    cases: Arc<Vec<Case>>,
}

impl Server {
    pub(crate) async fn start(scripts: Vec<Script>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let case = |script| Case {
            script,
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            metadata_read: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            size: AtomicU64::new(0),
        };
        let server = Self { address, cases: Arc::new(scripts.into_iter().map(case).collect()) };
        let routes = Router::new()
            .route("/{case}/oauth/token", post(token))
            .route("/{case}/v2/archive_files", get(list))
            .route("/{case}/v2/past_meetings/{uuid}/archive_files", get(metadata))
            .route("/{case}/file/{number}", get(file))
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        server
    }

    pub(crate) fn base(&self, case: usize) -> String {
        format!("{}/{case}", self.address)
    }

    pub(crate) fn case(&self, case: usize) -> &Case {
        &self.cases[case]
    }

    /// An answer in JSON, with the script's fault in it.
    fn json(&self, number: usize, at: Place, body: String, asked: &Asked) -> Response {
        let case = self.case(number);
        if case.script.at == at {
            case.size.store(body.len() as u64, Ordering::SeqCst);
        }
        answer(case.fault(at), body.into(), "application/json", asked, self.count(number, Some(at)))
    }

    /// Counts the bytes that leave at the place at fault.
    fn count(&self, number: usize, at: Option<Place>) -> impl Fn(u64) + Send + use<> {
        let server = self.clone();
        let counted = at.is_some_and(|at| server.case(number).script.at == at);
        move |bytes| {
            if counted {
                server.case(number).bytes.fetch_add(bytes, Ordering::SeqCst);
            }
        }
    }

    fn meeting(&self, number: usize) -> serde_json::Value {
        let case = self.case(number);
        let reads = case.metadata_read.load(Ordering::SeqCst);
        let files: Vec<_> = FILES
            .iter()
            .enumerate()
            .map(|(at, file)| {
                let is_refused = case.script.fault == Fault::Refuse
                    && case.script.at.file() == Some(at)
                    && (case.script.always || reads <= 1);
                let base = if is_refused { "http://127.0.0.1:1".to_owned() } else { self.base(number) };
                let body = file.body(case.script.large);
                serde_json::json!({
                    "id": file.id, "file_type": file.kind, "file_extension": file.extension.to_uppercase(),
                    "file_size": body.len(), "download_url": format!("{base}/file/{at}"), "status": "completed",
                    "encryption_fingerprint": file.sha256(case.script.large), "individual": false,
                })
            })
            .collect();
        serde_json::json!({
            "uuid": UUID, "id": 4_444_444_444_u64, "topic": "t", "host_id": "h", "type": 2, "duration": 57,
            "start_time": "2026-10-01T08:00:04Z", "timezone": "UTC", "duration_in_second": 3417,
            "complete_time": "2026-10-01T10:00:00Z", "status": "completed", "is_breakout_room": false,
            "recording_count": files.len(), "total_size": 1, "archive_files": files,
        })
    }
}

/// Of a request what an answer depends on.
type Asked = (Uri, HeaderMap);

async fn token(State(server): State<Server>, Path(case): Path<usize>) -> Response {
    let number = server.case(case).tokens.fetch_add(1, Ordering::SeqCst);
    axum::Json(serde_json::json!({
        "access_token": format!("token-{number}"), "token_type": "bearer", "expires_in": 3600, "scope": "x",
    }))
    .into_response()
}

async fn list(State(server): State<Server>, Path(case): Path<usize>, asked: Asked) -> Response {
    let page = serde_json::json!({
        "from": "2026-10-01T00:00:00Z", "to": "2026-10-02T00:00:00Z", "page_size": 300, "total_records": 1,
        "next_page_token": "", "meetings": [server.meeting(case)],
    });
    server.json(case, Place::List, page.to_string(), &asked)
}

async fn metadata(
    State(server): State<Server>,
    Path((case, _uuid)): Path<(usize, String)>,
    asked: Asked,
) -> Response {
    server.case(case).metadata_read.fetch_add(1, Ordering::SeqCst);
    let body = server.meeting(case).to_string();
    server.json(case, Place::Metadata, body, &asked)
}

async fn file(
    State(server): State<Server>,
    Path((case, number)): Path<(usize, usize)>,
    asked: Asked,
) -> Response {
    let places = [Place::First, Place::Last].into_iter().find(|place| place.file() == Some(number));
    let fault = places.and_then(|place| server.case(case).fault(place));
    let sent = server.count(case, places);
    let body = FILES[number].body(server.case(case).script.large).into();
    answer(fault, body, "application/octet-stream", &asked, sent)
}

fn answer(
    fault: Option<Fault>,
    body: Bytes,
    kind: &'static str,
    (uri, headers): &Asked,
    sent: impl Fn(u64) + Send + 'static,
) -> Response {
    let to = |address: &str| Redirect::temporary(address).into_response();
    match fault {
        Some(Fault::Status(429)) => {
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "0")], "{}").into_response()
        }
        Some(Fault::Status(401)) => {
            let dead = r#"{"code":124,"message":"Invalid access token."}"#;
            (StatusCode::UNAUTHORIZED, [(header::CONTENT_TYPE, "application/json")], dead).into_response()
        }
        Some(Fault::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Fault::Expired) => (StatusCode::FORBIDDEN, "{\"code\":403}").into_response(),
        Some(Fault::Html) => axum::response::Html("<!DOCTYPE html><p>Sign in").into_response(),
        Some(Fault::RedirectLoop) => to(uri.path()),
        Some(Fault::ForeignHost) => to("http://files.example.com/x"),
        Some(Fault::PrivateName) => to("https://localhost:1/x"),
        Some(Fault::PrivateHost) => to("https://192.168.1.1/x"),
        Some(Fault::Downgrade) => to("http://127.0.0.2/x"),
        fault => transfer(fault, body, kind, headers, sent),
    }
}

/// A body that comes in pieces, with the script's fault in it.
fn transfer(
    fault: Option<Fault>,
    mut body: Bytes,
    kind: &'static str,
    headers: &HeaderMap,
    sent: impl Fn(u64) + Send + 'static,
) -> Response {
    let size = body.len();
    let range = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-'));
    let start: usize = range.map_or(0, |start| start.parse().unwrap());
    let (mut until, mut hangs) = (size, false);
    match fault {
        Some(Fault::Short) => body = body.slice(..size - 9),
        Some(Fault::Empty) => (body, until) = (Bytes::new(), 0),
        Some(Fault::Long) => body = [&body[..], b"\0\0\0\x05aaaaa"].concat().into(),
        Some(Fault::Corrupt) => {
            let mut bytes = body.to_vec();
            let at = if kind == "application/json" { 0 } else { size / 2 };
            bytes[at] ^= 1;
            body = bytes.into();
        }
        Some(Fault::Cut(quarter)) => until = (size * usize::try_from(quarter).unwrap() / 4).min(size - 1),
        Some(Fault::Reset) => until = 0,
        Some(Fault::Stall) => (until, hangs) = (size / 2, true),
        _ => {}
    }
    let breaks = matches!(fault, Some(Fault::Cut(_) | Fault::Reset));
    let length = body.len() - start;
    let piece = if until == size { body.slice(start..) } else { body.slice(start..until) };
    let pieces: Vec<_> = piece.chunks(50_000).map(Bytes::copy_from_slice).collect();
    let stream = futures_util::stream::iter(pieces).map(move |piece| {
        sent(piece.len() as u64);
        Ok::<_, io::Error>(piece)
    });
    let breaks = (breaks || hangs).then_some(hangs);
    let tail = futures_util::stream::iter(breaks).then(|hangs| async move {
        if hangs {
            std::future::pending::<()>().await;
        }
        // What was sent before leaves before the connection breaks.
        tokio::task::yield_now().await;
        Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    let mut response = Body::from_stream(stream.chain(tail)).into_response();
    let map = response.headers_mut();
    map.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    map.insert(header::CONTENT_LENGTH, length.into());
    if start > 0 {
        let range = format!("bytes {start}-{}/{size}", size - 1);
        map.insert(header::CONTENT_RANGE, range.parse().unwrap());
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}
