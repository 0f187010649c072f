//! Evidence that verifies, and shows every damage: what × where × how, on records that real processes wrote.
//!
//! `records/unsealed` was written before there were seals, kept answers and hashes of manifests; `records/signed` by a
//! producer and two workers that knew nothing of each other, with the key of `records/signed.pub`. Both have to verify
//! for as long as there is a `verify`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod damage;
mod removal;

use std::path::{Path, PathBuf};

use recapture::verify::{Verification, verify};
use recapture_core::buffer::Buffer;
use recapture_core::signature::PublicKey;

/// What files a buffer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Lines,
    Seal,
    Answer,
    Manifest,
    File,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Lines, Self::Seal, Self::Answer, Self::Manifest, Self::File];

    pub(crate) fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("jsonl") => Self::Lines,
            Some("seal") => Self::Seal,
            Some("gz") => Self::Answer,
            _ if path.ends_with("manifest.json") => Self::Manifest,
            _ => Self::File,
        }
    }
}

/// A copy of a kept record, to be damaged.
pub(crate) struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    pub(crate) fn of(record: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&records().join(record), folder.path());
        Self { folder }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// The files of these kinds, relative to the buffer and in the order of their paths.
    pub(crate) fn files(&self, kinds: &[Kind]) -> Vec<String> {
        let mut files = Vec::new();
        walk(self.root(), &mut |path| {
            if kinds.contains(&Kind::of(path)) {
                files.push(path.strip_prefix(self.root()).unwrap().to_str().unwrap().to_owned());
            }
        });
        files.sort();
        files
    }

    pub(crate) async fn verify(&self) -> Verification {
        self.verify_with(None).await
    }

    pub(crate) async fn verify_with(&self, expected: Option<&PublicKey>) -> Verification {
        let buffer = Buffer::open_to_read(&self.root().to_owned().into()).await.unwrap();
        verify(&buffer, None, expected, &|_| {}).await.unwrap()
    }
}

pub(crate) fn records() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/evidence/records")
}

pub(crate) fn signer() -> PublicKey {
    PublicKey::parse(&std::fs::read_to_string(records().join("signed.pub")).unwrap()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    walk(from, &mut |path| {
        let copy = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(path, copy).unwrap();
    });
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, visit) } else { visit(&path) }
    }
}
