//! Which meetings were listed already: the same one comes in both time dimensions, in neighbouring slices, and now
//! and then on two pages. Whatever the length of its UUID, a meeting takes 17 bytes here and 9 more in each listing under way
//! that holds it, and at most twice that where the tables have just grown.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use recapture_core::digest;
use recapture_core::meeting::MeetingUuid;

/// A meeting, told apart from all others: half of its UUID's SHA-256.
#[derive(Clone, Copy)]
pub(super) struct Key(u128);

impl Key {
    pub(super) fn of(uuid: &MeetingUuid) -> Self {
        Self(digest::sha256_prefix(uuid.as_str().as_bytes()))
    }
}

#[derive(Default)]
pub(super) struct Seen(HashSet<u128, BuildHasherDefault<AsIs>>);

impl Seen {
    /// True for a meeting that was not seen before.
    pub(super) fn is_new(&mut self, uuid: &MeetingUuid) -> bool {
        self.insert(Key::of(uuid))
    }

    pub(super) fn insert(&mut self, key: Key) -> bool {
        self.0.insert(key.0)
    }

    pub(super) fn holds(&self, key: Key) -> bool {
        self.0.contains(&key.0)
    }
}

/// How many different meetings a listing holds. Two with the same eight bytes, of which a million meetings have a chance of
/// one in ten million, are counted as one: the listing is in doubt then, and not believed.
#[derive(Default)]
pub(super) struct Distinct(HashSet<u64, BuildHasherDefault<AsIs>>);

impl Distinct {
    #[allow(clippy::cast_possible_truncation, reason = "the other half of the hash is not needed")]
    pub(super) fn count(&mut self, Key(key): Key) {
        self.0.insert(key as u64);
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
