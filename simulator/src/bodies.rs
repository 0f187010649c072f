//! The bytes of every file, made while they are sent.
//!
//! A body is a head and a tail that make it look like what it claims to be (`ftyp`, `moov` and `mdat` boxes,
//! `WEBVTT`, JSON that parses) and filler between them up to the exact size. The filler comes in blocks of 64
//! KiB: each begins with text that only this block of this file has, the rest is a slice of one shared tile
//! of random bytes. So any range of a file of any size costs a copy, and a block that is lost, repeated or
//! moved changes the SHA-256 of the whole.

mod forms;

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::catalogue::{Catalogue, File, FileKey, Form, hex};
use crate::chance::{Subject, draw, mix};
use crate::counts::lock;
pub(crate) use forms::least_size;
use forms::{Envelope, envelope};

const BLOCK: u64 = 64 << 10;
const TILE: usize = 1 << 20;
/// Fingerprints kept before the cache is emptied: 40 MiB at most.
const CACHED: usize = 500_000;

/// What the filler is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filler {
    Binary,
    /// Letters and digits: may stand inside a JSON string.
    Text,
    /// The same with line ends, none of them twice in a row.
    Lines,
}

pub(crate) struct Bodies {
    seed: u64,
    binary: Vec<u8>,
    text: Vec<u8>,
    lines: Vec<u8>,
    hashes: Mutex<HashMap<FileKey, [u8; 32]>>,
}

/// One file's bytes, at any offset.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    key: u64,
    head: Bytes,
    tail: Bytes,
    filler: Filler,
    pub(crate) size: u64,
}

impl Bodies {
    pub(crate) fn new(seed: u64) -> Self {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        // A slice may start anywhere in the tile and must not run out of it.
        let length = TILE + usize::try_from(BLOCK).unwrap_or(TILE);
        let words = (0..length as u64 / 8).flat_map(|at| draw(seed, Subject::Body, at).to_le_bytes());
        let binary: Vec<u8> = words.collect();
        let text: Vec<u8> = binary.iter().map(|byte| LETTERS[usize::from(byte & 63)]).collect();
        let lines =
            text.iter().enumerate().map(|(at, letter)| if at % 72 == 71 { b'\n' } else { *letter }).collect();
        Self { seed, binary, text, lines, hashes: Mutex::default() }
    }

    pub(crate) fn body(&self, catalogue: &Catalogue, file: &File) -> Body {
        let key = draw(self.seed, Subject::Body, mix(file.key.number()));
        let Envelope { head, tail, filler } =
            envelope(file.form, &catalogue.uuid(file.key.meeting), key, file.size);
        Body { key, head: head.into(), tail: tail.into(), filler, size: file.size }
    }

    /// The bytes from an offset to the end of a block, never past `end`; empty only at the end.
    pub(crate) fn chunk(&self, body: &Body, offset: u64, end: u64) -> Bytes {
        let head = body.head.len() as u64;
        let tail = body.size - body.tail.len() as u64;
        if offset >= end.min(body.size) {
            Bytes::new()
        } else if offset < head {
            body.head.slice(cut(offset)..cut(head.min(end)))
        } else if offset >= tail {
            body.tail.slice(cut(offset - tail)..cut(end.min(body.size) - tail))
        } else {
            self.filler(body, offset - head, tail.min(end) - head)
        }
    }

    fn filler(&self, body: &Body, offset: u64, end: u64) -> Bytes {
        let block = offset / BLOCK;
        let name = draw(body.key, Subject::Body, block);
        let mark = hex(&[name.to_be_bytes(), mix(name).to_be_bytes()].concat());
        let tile = match body.filler {
            Filler::Binary => &self.binary,
            Filler::Text => &self.text,
            Filler::Lines => &self.lines,
        };
        let within = cut(offset % BLOCK)..cut((end - block * BLOCK).min(BLOCK));
        let mut bytes = Vec::with_capacity(within.len());
        bytes.extend_from_slice(
            mark.as_bytes().get(within.start..mark.len().min(within.end)).unwrap_or_default(),
        );
        let first = cut(name % TILE as u64);
        bytes.extend_from_slice(
            &tile[first + within.start.max(mark.len())..first + within.end.max(mark.len())],
        );
        bytes.into()
    }

    pub(crate) fn all(&self, body: &Body) -> impl Iterator<Item = Bytes> {
        let mut offset = 0;
        std::iter::from_fn(move || {
            let chunk = self.chunk(body, offset, body.size);
            offset += chunk.len() as u64;
            (!chunk.is_empty()).then_some(chunk)
        })
    }

    pub(crate) fn sha256(&self, catalogue: &Catalogue, file: &File) -> String {
        if let Some(hash) = lock(&self.hashes).get(&file.key) {
            return hex(hash);
        }
        let body = self.body(catalogue, file);
        let mut digest = Sha256::new();
        self.all(&body).for_each(|chunk| digest.update(chunk));
        let hash: [u8; 32] = digest.finalize().into();
        let mut hashes = lock(&self.hashes);
        if hashes.len() >= CACHED {
            hashes.clear();
        }
        hashes.insert(file.key, hash);
        hex(&hash)
    }

    /// What Zoom would call the file's `encryption_fingerprint`. What it is a hash of is not documented; here
    /// it is of the plain bytes, or of something else where the scenario says so.
    pub(crate) fn fingerprint(&self, catalogue: &Catalogue, file: &File) -> String {
        let scenario = &catalogue.scenario;
        if !scenario.fingerprint_differs && file.size <= scenario.fingerprint_limit {
            return self.sha256(catalogue, file);
        }
        let words = [0, 1, 2, 3]
            .map(|word| draw(self.seed, Subject::Fingerprint, mix(file.key.number()) ^ word).to_be_bytes());
        hex(&words.concat())
    }

    /// How many messages a chat file holds; other files have no such number.
    pub(crate) fn messages(&self, file: &File) -> Option<u64> {
        let key = draw(self.seed, Subject::Body, mix(file.key.number()));
        matches!(file.form, Form::ChatText | Form::ChatJson).then(|| forms::messages(key, file.size))
    }
}

/// An offset inside what is in memory.
fn cut(offset: u64) -> usize {
    usize::try_from(offset).expect("blocks, heads and tails are small")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{FileSpec, Scenario};

    const TYPES: [&str; 8] =
        ["MP4", "M4A", "CHAT", "CHAT_MESSAGE", "CC", "TRANSCRIPT", "SUB_GROUP_MEMBER_LOG", "CSV"];

    fn account(size: u64) -> (Catalogue, Bodies) {
        let files = TYPES.map(|file_type| FileSpec::exactly(file_type, size)).to_vec();
        let scenario = Scenario { meetings: 3, files, ..Scenario::default() };
        (Catalogue::new(scenario), Bodies::new(1))
    }

    fn whole(catalogue: &Catalogue, bodies: &Bodies, file: &File) -> Vec<u8> {
        bodies.all(&bodies.body(catalogue, file)).flatten().collect()
    }

    #[test]
    fn every_form_has_its_exact_size_and_looks_like_itself() {
        for size in [0, 300, 1000, 65_536, 200_001] {
            let (catalogue, bodies) = account(size);
            for file in catalogue.files(1) {
                let bytes = whole(&catalogue, &bodies, &file);
                assert_eq!(bytes.len() as u64, file.size, "{file:?}");
                assert_eq!(file.size, size.max(least_size(file.form)));
                match file.form {
                    Form::Mp4 | Form::M4a => {
                        assert_eq!(&bytes[4..8], b"ftyp");
                        assert!(bytes.windows(4).any(|window| window == b"moov"));
                        assert!(bytes.windows(4).any(|window| window == b"mdat"));
                    }
                    Form::Vtt => assert!(bytes.starts_with(b"WEBVTT\n\n")),
                    Form::ChatJson => {
                        let json: serde_json::Value = serde_json::from_slice(&bytes).expect("a chat parses");
                        let messages = json["messages"].as_array().expect("a chat has messages");
                        assert_eq!(Some(messages.len() as u64), bodies.messages(&file));
                    }
                    Form::Json => {
                        serde_json::from_slice::<serde_json::Value>(&bytes).expect("a document parses");
                    }
                    Form::ChatText => {
                        let text = String::from_utf8(bytes).expect("a chat is text");
                        let lines = text.lines().filter(|line| line.contains('\t')).count();
                        assert_eq!(Some(lines as u64), bodies.messages(&file));
                    }
                    Form::Lines | Form::Png => {}
                }
            }
        }
    }

    #[test]
    fn boxes_add_up_to_the_file() {
        for size in [256, 100_000] {
            let (catalogue, bodies) = account(size);
            let bytes = whole(&catalogue, &bodies, &catalogue.files(0)[0]);
            let mut at = 0;
            while at < bytes.len() {
                let length: [u8; 4] = bytes[at..at + 4].try_into().expect("four bytes");
                at += u32::from_be_bytes(length) as usize;
            }
            assert_eq!(at, bytes.len());
        }
    }

    #[test]
    fn a_range_is_the_same_bytes_as_the_whole() {
        let (catalogue, bodies) = account(200_001);
        for file in catalogue.files(2) {
            let expected = whole(&catalogue, &bodies, &file);
            let body = bodies.body(&catalogue, &file);
            for start in [0, 1, 20, 31, 150, 65_500, 65_999, 131_071, 199_990, 200_000] {
                let mut offset = start;
                while offset < body.size {
                    let chunk = bodies.chunk(&body, offset, body.size);
                    assert_eq!(chunk, expected[cut(offset)..cut(offset) + chunk.len()]);
                    offset += chunk.len() as u64;
                }
            }
        }
    }

    #[test]
    fn files_and_blocks_differ_and_repeat_themselves_from_the_seed() {
        let (catalogue, bodies) = account(200_001);
        let files: Vec<_> = (0..3).flat_map(|index| catalogue.files(index)).collect();
        let hashes: std::collections::HashSet<_> =
            files.iter().map(|file| bodies.sha256(&catalogue, file)).collect();
        assert_eq!(hashes.len(), files.len());
        let again = Bodies::new(1);
        assert!(files.iter().all(|file| hashes.contains(&again.sha256(&catalogue, file))));
        let other = Bodies::new(2);
        assert!(!hashes.contains(&other.sha256(&catalogue, &files[0])));
    }

    #[test]
    fn a_range_deep_inside_a_file_of_gigabytes_costs_one_block() {
        let (catalogue, bodies) = account(6 << 30);
        let body = bodies.body(&catalogue, &catalogue.files(0)[0]);
        assert_eq!(&body.head[..8], [0, 0, 0, 24, b'f', b't', b'y', b'p']);
        let chunk = bodies.chunk(&body, 5 << 30, body.size);
        assert!(!chunk.is_empty() && chunk.len() as u64 <= BLOCK);
        assert_eq!(bodies.chunk(&body, body.size - 3, body.size).len(), 3);
    }
}
