//! What is told of a file's bytes as they pass, whether they are written or read: size, hash, and the first of them.

use crate::digest::Hasher;

/// The first bytes of a file, for telling what it is.
pub(super) const HEAD: usize = 512;

/// A file under its final name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    pub size: u64,
    pub sha256: String,
    /// The first bytes, for telling what it is.
    pub head: Vec<u8>,
}

#[derive(Default, Clone)]
pub(super) struct Reading {
    size: u64,
    hasher: Hasher,
    head: Vec<u8>,
}

impl Reading {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if self.head.len() < HEAD {
            let wanted = (HEAD - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..wanted]);
        }
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }

    pub(super) fn end(self) -> FileFacts {
        FileFacts { size: self.size, sha256: self.hasher.finish(), head: self.head }
    }
}
