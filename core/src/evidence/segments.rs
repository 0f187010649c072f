//! One writer's file of one run in an object store: a row of segments, each written once.
//!
//! Lines gather in memory until somebody asks for them to be durable, or [`ENOUGH`] have gathered; then all of them go
//! out as one segment, named by the number of its first line. Those that wait meanwhile share the next one, so many
//! writers at once cost few requests.
//!
//! A segment whose answer got lost is sent again under the same name, perhaps with more lines by now. If the first one
//! had arrived after all, what stands there is the beginning of what is sent: it counts, and the rest follows behind it.
//! So unlike a file on a disk, whose end is unknown after a failed write, a row of segments goes on.
//!
//! What a crash leaves: whole segments. Lines that nobody asked to be durable are gone with the process.

use bytes::Bytes;
use tokio::sync::Mutex;

use super::Entry;
use super::chain::{End, root};
use crate::buffer::{BufferError, RunObjects, Stands};
use crate::run::RunId;

/// So many bytes are a segment even if nobody waits for them.
const ENOUGH: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Segments {
    objects: RunObjects,
    stem: String,
    gathered: Mutex<Gathered>,
    /// How many lines the store has. Held while a segment is sent.
    stored: Mutex<u64>,
}

/// The lines that the store does not have yet.
#[derive(Debug)]
struct Gathered {
    end: End,
    text: Vec<u8>,
}

impl Segments {
    pub(super) async fn begin(objects: RunObjects, run: &RunId, writer: &str) -> Result<Self, BufferError> {
        let mut stem = writer.to_owned();
        for part in 1_u32.. {
            if !objects.exists(&RunObjects::segment(&stem, 0)).await? {
                break;
            }
            stem = format!("{writer}.{part}");
        }
        let end = End { seq: 0, prev: root(run, &stem) };
        let gathered = Mutex::new(Gathered { end, text: Vec::new() });
        Ok(Self { objects, stem, gathered, stored: Mutex::default() })
    }

    /// Answers how many lines the file has now.
    pub(super) async fn append(&self, entries: Vec<Entry>) -> Result<u64, BufferError> {
        let (lines, gathered) = {
            let mut gathered = self.gathered.lock().await;
            let text = gathered.end.lines(entries).map_err(|error| self.failed(error.to_string()))?;
            gathered.text.extend_from_slice(&text);
            (gathered.end.seq, gathered.text.len())
        };
        if gathered >= ENOUGH {
            self.sync(lines).await?;
        }
        Ok(lines)
    }

    pub(super) async fn sync(&self, lines: u64) -> Result<(), BufferError> {
        let mut stored = self.stored.lock().await;
        while *stored < lines {
            let (text, end) = {
                let gathered = self.gathered.lock().await;
                (Bytes::copy_from_slice(&gathered.text), gathered.end.seq)
            };
            let name = RunObjects::segment(&self.stem, *stored);
            let (bytes, reached) = match self.objects.create(&name, text.clone()).await? {
                Stands::This => (text.len(), end),
                Stands::Other(earlier) if text.starts_with(&earlier) && earlier.ends_with(b"\n") => {
                    let lines = earlier.split_inclusive(|byte| *byte == b'\n').count();
                    (earlier.len(), *stored + lines as u64)
                }
                Stands::Other(_) => return Err(self.failed(format!("{name} is not what this process wrote"))),
            };
            self.gathered.lock().await.text.drain(..bytes);
            *stored = reached;
        }
        Ok(())
    }

    pub(super) async fn lines(&self) -> u64 {
        self.gathered.lock().await.end.seq
    }

    fn failed(&self, detail: String) -> BufferError {
        BufferError::Failed { path: format!("the evidence {}", self.stem), detail }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use chrono::Utc;

    use super::*;
    use crate::buffer::conformance::server::S3Server;
    use crate::buffer::{Buffer, RunPlace};
    use crate::evidence::{Evidence, read};
    use crate::run::{Counts, RunState};

    fn entry() -> Entry {
        Entry::Closed {
            state: RunState::Completed,
            counts: Counts::default(),
            unproven: Vec::new(),
            because: None,
            heads: Vec::new(),
        }
    }

    async fn place() -> (Buffer, RunId, RunObjects) {
        let server = S3Server::shared();
        let buffer = Buffer::open(&server.place(&server.bucket(), "p")).await.unwrap();
        let run = RunId::new(Utc::now());
        let RunPlace::Objects(objects) = buffer.run_place(&run).await.unwrap() else { panic!("a folder") };
        (buffer, run, objects)
    }

    async fn whole_lines(buffer: &Buffer, run: &RunId) -> usize {
        let record = buffer.run_record(run).await.unwrap().unwrap();
        let mut lines = 0;
        read(&record, run, |_| lines += 1).unwrap();
        lines
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn callers_at_the_same_time_share_their_segments() {
        const CALLERS: usize = 64;
        let (buffer, run, objects) = place().await;
        let evidence = Evidence::new(buffer.clone(), "w", None);
        let all_wrote = Arc::new(tokio::sync::Barrier::new(CALLERS));
        let segments = Arc::new(Segments::begin(objects.clone(), &run, "shared").await.unwrap());
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (segments, all_wrote) = (Arc::clone(&segments), Arc::clone(&all_wrote));
                tokio::spawn(async move {
                    let lines = segments.append(vec![entry()]).await.unwrap();
                    all_wrote.wait().await;
                    segments.sync(lines).await.unwrap();
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        assert_eq!(whole_lines(&buffer, &run).await, CALLERS);
        // All had written before the first one asked: one segment holds them all.
        assert_eq!(*segments.stored.lock().await, CALLERS as u64);
        assert!(!objects.exists(&RunObjects::segment("shared", 1)).await.unwrap());

        evidence.append_durably(&run, vec![entry(), entry()]).await.unwrap();
        assert_eq!(whole_lines(&buffer, &run).await, CALLERS + 2);
    }

    /// The store did what was asked, and nobody heard of it; by the next try there are more lines.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_segment_whose_answer_was_lost_counts() {
        let (buffer, run, objects) = place().await;
        let segments = Segments::begin(objects.clone(), &run, "w").await.unwrap();
        segments.append(vec![entry(), entry()]).await.unwrap();
        let unheard = segments.gathered.lock().await.text.clone();
        objects.create(&RunObjects::segment("w", 0), unheard.into()).await.unwrap();
        let lines = segments.append(vec![entry()]).await.unwrap();

        segments.sync(lines).await.unwrap();

        assert_eq!(whole_lines(&buffer, &run).await, 3);
        assert!(objects.exists(&RunObjects::segment("w", 2)).await.unwrap());
        assert!(segments.gathered.lock().await.text.is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn lines_go_on_when_the_store_comes_back() {
        let server = S3Server::start();
        let buffer = Buffer::open(&server.place(&server.bucket(), "p")).await.unwrap();
        let run = RunId::new(Utc::now());
        let evidence = Evidence::new(buffer.clone(), "w", None);
        evidence.append_durably(&run, vec![entry()]).await.unwrap();
        server.kill();
        evidence.append_durably(&run, vec![entry()]).await.unwrap_err();
        server.start_again();
        evidence.append_durably(&run, vec![entry()]).await.unwrap();
        evidence.tend().await.unwrap();
        // The one whose caller heard of a failure is there too: its meeting is done again, and ends once more.
        assert_eq!(whole_lines(&buffer, &run).await, 3);
        let record = buffer.run_record(&run).await.unwrap().unwrap();
        let seal = crate::evidence::read_seal(&record.join("w.seal"), &run).unwrap();
        assert_eq!(seal.statement.heads.iter().map(|head| head.lines).collect::<Vec<_>>(), [3]);
    }
}
