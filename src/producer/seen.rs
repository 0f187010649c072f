//! Which meetings were listed already: the same one comes in both time dimensions, in neighbouring slices, and now
//! and then on two pages. 16 bytes a meeting, whatever the length of its UUID.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use recapture_core::digest;
use recapture_core::meeting::MeetingUuid;

#[derive(Default)]
pub(super) struct Seen(HashSet<u128, BuildHasherDefault<AsIs>>);

impl Seen {
    /// True for a meeting that was not seen before.
    pub(super) fn is_new(&mut self, uuid: &MeetingUuid) -> bool {
        self.0.insert(digest::sha256_prefix(uuid.as_str().as_bytes()))
    }

    pub(super) fn holds(&self, uuid: &MeetingUuid) -> bool {
        self.0.contains(&digest::sha256_prefix(uuid.as_str().as_bytes()))
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

/// The keys are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_ne_bytes(word);
        }
    }
}
