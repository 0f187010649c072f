//! The floor: a bare loop that lists, fetches, hashes and writes, with no queue, no contacts and no manifest.
//!
//! Threads that block, one connection each to either host, nothing shared but the list, HTTP by hand (`client.rs`): what the
//! machine can do at all.
//! With `fsync` it keeps what Recapture promises of its files: the data, the name and the folder of each are on disk.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::client::Client;
use crate::Fault;

/// What a floor and the peers' scripts are told: a file of JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) api_url: String,
    pub(super) token: String,
    pub(super) from: String,
    /// Inclusive, as Zoom has it.
    pub(super) to: String,
    pub(super) folder: PathBuf,
    pub(super) fsync: bool,
    pub(super) concurrency: usize,
    pub(super) redis: Option<String>,
    pub(super) meetings: u32,
}

#[derive(Deserialize)]
struct Page {
    next_page_token: String,
    meetings: Vec<Meeting>,
}

#[derive(Deserialize)]
struct Meeting {
    uuid: String,
    start_time: String,
    archive_files: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    file_extension: String,
    file_size: u64,
    download_url: String,
}

const PIECE: usize = 256 << 10;

pub(crate) fn run(task: &Path) -> Result<(), Fault> {
    let task: Task = serde_json::from_slice(&std::fs::read(task)?)?;
    let meetings = list(&task)?;
    if meetings.len() != task.meetings as usize {
        return Err(format!("{} meetings are listed, {} are there", meetings.len(), task.meetings).into());
    }
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..task.concurrency)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::new(&task.token);
                    let mut piece = vec![0; PIECE];
                    while let Some(meeting) = meetings.get(next.fetch_add(1, Ordering::Relaxed)) {
                        fetch(&mut client, &task, meeting, &mut piece)?;
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
}

fn list(task: &Task) -> Result<Vec<Meeting>, Fault> {
    let (mut client, mut token, mut meetings) = (Client::new(&task.token), String::new(), Vec::new());
    loop {
        let page: Page = client.json(&format!(
            "{}/archive_files?from={}&to={}&page_size=300&next_page_token={}",
            task.api_url,
            encoded(&task.from),
            encoded(&task.to),
            encoded(&token)
        ))?;
        meetings.extend(page.meetings);
        if page.next_page_token.is_empty() {
            return Ok(meetings);
        }
        token = page.next_page_token;
    }
}

fn fetch(client: &mut Client, task: &Task, listed: &Meeting, piece: &mut [u8]) -> Result<(), Fault> {
    let uuid = &listed.uuid;
    let again = uuid.starts_with('/') || uuid.contains("//");
    let name = if again { encoded(&encoded(uuid)) } else { encoded(uuid) };
    let fresh: Meeting = client.json(&format!("{}/past_meetings/{name}/archive_files", task.api_url))?;
    let day = listed.start_time.get(..10).unwrap_or_default().replace('-', "/");
    let parent = task.folder.join(day);
    let folder = parent.join(uuid.replace('/', "_").replace('+', "-").trim_end_matches('='));
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    if task.fsync {
        File::open(&parent)?.sync_all()?;
    }
    for file in &fresh.archive_files {
        store(client, task, &folder, file, piece)?;
    }
    if task.fsync {
        File::open(&folder)?.sync_all()?;
    }
    Ok(())
}

fn store(
    client: &mut Client,
    task: &Task,
    folder: &Path,
    listed: &Listed,
    piece: &mut [u8],
) -> Result<(), Fault> {
    let path = folder.join(format!("{}.{}", listed.id, listed.file_extension.to_lowercase()));
    let part = path.with_extension("part");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    let mut body = client.get(&listed.download_url)?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    loop {
        let got = fill(&mut body, piece)?;
        if got == 0 {
            break;
        }
        hash.update(&piece[..got]);
        file.write_all(&piece[..got])?;
        size += got as u64;
    }
    if size != listed.file_size {
        return Err(format!("{} has {size} bytes, {} are listed", listed.id, listed.file_size).into());
    }
    std::hint::black_box(hash.finalize());
    if task.fsync {
        file.sync_data()?;
    }
    Ok(std::fs::rename(&part, &path)?)
}

/// Reads until the piece is full or the body at its end.
fn fill(body: &mut impl io::Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match body.read(&mut piece[filled..])? {
            0 => break,
            got => filled += got,
        }
    }
    Ok(filled)
}

fn encoded(text: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
