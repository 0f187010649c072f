//! One body on its way: ranges, holds, what goes wrong in the middle, and the count of it all.

use std::io;
use std::sync::Arc;

use axum::body::{Body as HttpBody, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use crate::bodies::Body;
use crate::catalogue::{File, FileKey};
use crate::chance::between;
use crate::faults::Fault;
use crate::state::Shared;

/// Answers with the file or the range that was asked for, as soon as downloads are not held.
pub(super) async fn send(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    file: &File,
    fault: Option<Fault>,
) -> Response {
    let downloads = &shared.catalogue.scenario.downloads;
    let range = headers.get(header::RANGE).filter(|_| downloads.ranges).and_then(|range| range.to_str().ok());
    let (status, start, mut end) = match range.map(|range| parse(range, file.size)) {
        None | Some(Range::Ignored) => (StatusCode::OK, 0, file.size),
        Some(Range::Part(start, end)) => (StatusCode::PARTIAL_CONTENT, start, end),
        Some(Range::Outside) => {
            let total = format!("bytes */{}", file.size);
            return (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, total)]).into_response();
        }
    };
    let choice = shared.mischief.choice();
    let within = between(choice, start + 1, (end - 1).max(start + 1));
    if fault == Some(Fault::ShortBody) {
        end = within.min(end - 1).max(start);
    }
    let count = Count::begin(shared, file.key);
    // The sender lives as long as the simulator: waiting cannot fail.
    drop(shared.held.subscribe().wait_for(|held| !held).await);

    let transfer = Transfer {
        body: shared.bodies.body(&shared.catalogue, file),
        at: start,
        end,
        stop: match fault {
            Some(Fault::CutBody) => Some((within, Stop::Cut)),
            Some(Fault::StalledBody) => Some((within, Stop::Stall)),
            _ => None,
        },
        flip: (fault == Some(Fault::Corrupt)).then(|| between(choice, start, end - 1)),
        count,
    };
    let mut response = HttpBody::from_stream(stream::unfold(transfer, Transfer::step)).into_response();
    *response.status_mut() = status;
    let map = response.headers_mut();
    map.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(file.form.content_type()));
    if downloads.content_length {
        map.insert(header::CONTENT_LENGTH, (end - start).into());
    }
    if downloads.ranges {
        map.insert(header::ACCEPT_RANGES, header::HeaderValue::from_static("bytes"));
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{}", end.max(start + 1) - 1, file.size);
        map.extend(range.parse().map(|range| (header::CONTENT_RANGE, range)));
    }
    response
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// From the first byte up to but without the last.
    Part(u64, u64),
    Outside,
    /// Not understood, or several ranges: the whole file is a correct answer.
    Ignored,
}

fn parse(text: &str, size: u64) -> Range {
    let bounds = text.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let number = |text: &str| text.trim().parse::<u64>();
    match bounds {
        Some(("", last)) => match number(last) {
            Ok(last) if last > 0 => Range::Part(size.saturating_sub(last), size),
            Ok(_) => Range::Outside,
            Err(_) => Range::Ignored,
        },
        Some((first, last)) => match (number(first), number(last)) {
            (Ok(first), _) if first >= size => Range::Outside,
            (Ok(first), _) if last.is_empty() => Range::Part(first, size),
            (Ok(first), Ok(last)) if first <= last => Range::Part(first, (last + 1).min(size)),
            _ => Range::Ignored,
        },
        None => Range::Ignored,
    }
}

#[derive(Debug, Clone, Copy)]
enum Stop {
    Cut,
    Stall,
}

struct Transfer {
    body: Body,
    at: u64,
    end: u64,
    stop: Option<(u64, Stop)>,
    /// The byte to spoil.
    flip: Option<u64>,
    count: Count,
}

impl Transfer {
    async fn step(mut self) -> Option<(io::Result<Bytes>, Self)> {
        let end = self.stop.map_or(self.end, |(at, _)| at.min(self.end));
        let chunk = self.count.shared.bodies.chunk(&self.body, self.at, end);
        if chunk.is_empty() {
            let (_, stop) = self.stop.take()?;
            return match stop {
                Stop::Stall => std::future::pending().await,
                Stop::Cut => {
                    // Once round the loop, so that what was sent before leaves before the connection closes.
                    tokio::task::yield_now().await;
                    Some((Err(io::ErrorKind::ConnectionAborted.into()), self))
                }
            };
        }
        let chunk = self.spoil(chunk);
        self.at += chunk.len() as u64;
        // Counted with the last chunk: once the length is reached the server asks for no more.
        self.count.sent(chunk.len() as u64, self.at == self.body.size);
        Some((Ok(chunk), self))
    }

    fn spoil(&self, chunk: Bytes) -> Bytes {
        let at = self.flip.and_then(|at| at.checked_sub(self.at)).and_then(|at| usize::try_from(at).ok());
        match at.filter(|at| *at < chunk.len()) {
            None => chunk,
            Some(at) => {
                let mut bytes = chunk.to_vec();
                bytes[at] ^= 1;
                bytes.into()
            }
        }
    }
}

/// Counts a body from its beginning to its end, however it ends.
struct Count {
    shared: Arc<Shared>,
    file: FileKey,
}

impl Count {
    fn begin(shared: &Arc<Shared>, file: FileKey) -> Self {
        shared.ledger.write(|counts| {
            counts.downloads_started += 1;
            counts.downloads_now += 1;
            counts.downloads_at_once = counts.downloads_at_once.max(counts.downloads_now);
            counts.files.entry(file).or_default().started += 1;
        });
        Self { shared: Arc::clone(shared), file }
    }

    fn sent(&self, bytes: u64, complete: bool) {
        self.shared.ledger.write(|counts| {
            counts.bytes_sent += bytes;
            counts.downloads_completed += u64::from(complete);
            let file = counts.files.entry(self.file).or_default();
            file.bytes += bytes;
            file.completed += u32::from(complete);
        });
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.shared.ledger.write(|counts| counts.downloads_now -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(parse("bytes=0-", 10), Range::Part(0, 10));
        assert_eq!(parse("bytes=4-6", 10), Range::Part(4, 7));
        assert_eq!(parse("bytes=4-60", 10), Range::Part(4, 10));
        assert_eq!(parse("bytes=-3", 10), Range::Part(7, 10));
        assert_eq!(parse("bytes=10-", 10), Range::Outside);
        assert_eq!(parse("bytes=-0", 10), Range::Outside);
        for ignored in ["bytes=6-4", "bytes=0-1,3-4", "lines=1-2", "bytes=x"] {
            assert_eq!(parse(ignored, 10), Range::Ignored, "{ignored}");
        }
    }
}
