//! Records that somebody damaged or made up: every reader ends, tells what is wrong, and takes no damaged line for a good
//! one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::Index;

use super::chain::{End, root};
use super::{Closing, Entry, Head, Met, Statement, read_file, read_raw, read_seal};
use crate::run::{Counts, RunId, RunState};

fn run() -> RunId {
    RunId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap()
}

fn record() -> &'static [u8] {
    static RECORD: OnceLock<Vec<u8>> = OnceLock::new();
    RECORD.get_or_init(|| {
        let entry = || Entry::Closed {
            state: RunState::Completed,
            counts: Counts::default(),
            unproven: Vec::new(),
            because: Some("x".to_owned()),
            heads: vec![Head { writer: "w".to_owned(), lines: 1, sha256: "0".repeat(64) }],
        };
        let mut end = End { seq: 0, prev: root(&run(), "w") };
        end.lines((0..4).map(|_| entry()).collect()).unwrap()
    })
}

/// Good lines, as they were; `None` if something was found wrong.
fn read(bytes: &[u8]) -> (usize, bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.jsonl");
    std::fs::write(&path, bytes).unwrap();
    let (mut good, mut wrong) = (0, false);
    read_file(&path, &run(), |met| match met {
        Met::Line { .. } => good += 1,
        Met::Broken { .. } | Met::Unfinished { .. } => wrong = true,
    })
    .unwrap();
    (good, wrong)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::fuzz_cases()))]

    #[test]
    fn fuzz_lines(at in any::<Index>(), put in prop::collection::vec(any::<u8>(), 0..8), cut in 0_usize..400) {
        let whole = record();
        let mut bytes = whole.to_vec();
        let at = at.index(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, put);
        let (good, wrong) = read(&bytes);
        // A chain does not tell that its end is gone, and what its last line says is pinned by a seal alone: without a fault
        // is the beginning of the record, up to the last line that is left.
        let last = bytes[..bytes.len().saturating_sub(1)].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        prop_assert!(wrong || whole.starts_with(&bytes[..last]), "{good} lines pass");
    }

    #[test]
    fn fuzz_noise(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (good, _) = read(&bytes);
        prop_assert_eq!(good, 0);
    }

    #[test]
    fn fuzz_seals(at in any::<Index>(), bit in 0_u8..8, noise in prop::collection::vec(any::<u8>(), 0..100)) {
        let closed = Closing { state: RunState::Completed, counts: Counts::default() };
        let statement = Statement::new(&run(), "w", Some(closed), Vec::new());
        let (_, text) = statement.seal(None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.seal");
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        for bytes in [bytes, noise] {
            std::fs::write(&path, bytes).unwrap();
            prop_assert!(read_seal(&path, &run()).is_err());
        }
    }

    /// A kept answer that unpacks to more than was ever accepted, or to nothing, is told by its hash before it is unpacked.
    #[test]
    fn fuzz_kept_answers(noise in prop::collection::vec(any::<u8>(), 0..200), name in "[0-9a-f]{64}|[0-9a-f./]{0,70}") {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("raw")).unwrap();
        let own = crate::digest::sha256(&noise);
        std::fs::write(folder.path().join("raw").join(format!("{own}.json.gz")), &noise).unwrap();
        let _ = read_raw(folder.path(), &own);
        prop_assert!(read_raw(folder.path(), &name).is_err());
    }
}

#[test]
fn the_record_that_is_damaged_is_read_when_it_is_whole() {
    assert_eq!(read(record()), (4, false));
}
