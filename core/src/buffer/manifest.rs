//! `manifest.json`, schema `recapture.manifest/1`: what is known of a meeting and its files.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::error::BufferError;
use crate::contact::Contact;
use crate::digest;
use crate::reason::Reason;

pub const SCHEMA: &str = "recapture.manifest/1";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub schema: String,
    pub source: String,
    /// The Zoom account.
    pub account: String,
    /// As Zoom sent it, download addresses withheld.
    pub meeting: serde_json::Value,
    pub contact: Contact,
    pub state: ManifestState,
    pub run_id: String,
    pub ingested_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<DateTime<Utc>>,
    pub written_by: WrittenBy,
    /// Files whose fate is settled; what is not in here is still to be fetched.
    pub files: Vec<FileRecord>,
}

/// A manifest as it stands in the buffer.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredManifest {
    pub manifest: Manifest,
    /// Of its text.
    pub sha256: String,
    pub version: ManifestVersion,
}

/// Which manifest stands in a folder, so that only its successor replaces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestVersion(pub(super) Option<String>);

impl ManifestVersion {
    /// There is no manifest yet.
    pub const NONE: Self = Self(None);
}

/// More than any manifest has: what is larger is none of ours, and is not read.
pub(super) const LARGEST_MANIFEST: u64 = 64 << 20;

impl Manifest {
    /// Reads a manifest's text; `path` is for the words of the error.
    pub(super) fn parse(text: &[u8], path: impl FnOnce() -> String) -> Result<Self, BufferError> {
        let manifest = match serde_json::from_slice::<Self>(text) {
            Ok(manifest) if manifest.schema == SCHEMA => return Ok(manifest),
            other => other,
        };
        let detail = match manifest {
            Ok(manifest) => format!("its schema is {}, this version reads {SCHEMA}", manifest.schema),
            Err(error) => error.to_string(),
        };
        Err(BufferError::UnreadableManifest { path: path(), detail })
    }

    /// The files that it names, as far as their names stay in the folder.
    pub(super) fn file_names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|file| file.path.as_deref()).filter(|name| super::is_file_name(name))
    }

    /// The text that is stored, and its hash.
    pub(super) fn text(&self) -> Result<(Vec<u8>, String), serde_json::Error> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        let sha256 = digest::sha256(&text);
        Ok((text, sha256))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ManifestState {
    /// The metadata is in.
    Ingested,
    /// Every file that Zoom has is in.
    Complete,
    /// Some files are unavailable for good, the others are in.
    Partial,
}

/// Who wrote it. The fence grows with each lease of the meeting's job: evidence of the order of writers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenBy {
    pub worker: String,
    pub fence: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    pub file_id: String,
    pub file_type: String,
    pub file_extension: String,
    /// Relative to the manifest's folder; absent for a file that is unavailable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Bytes received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Bytes that Zoom listed, where they differ from those received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Zoom's `encryption_fingerprint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    pub fingerprint_match: FingerprintMatch,
    pub state: FileRecordState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downloaded_at: Option<DateTime<Utc>>,
    /// Messages of a chat, where they can be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    /// Messages that Zoom listed, where they differ from those counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_messages: Option<u64>,
    /// What is odd about its form, where it is Zoom's file all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileRecordState {
    Available,
    Unavailable,
}

/// How the received bytes compare with Zoom's fingerprint. What Zoom takes the hash of is not documented, so a
/// difference is recorded, and refused only where the configuration says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FingerprintMatch {
    Equal,
    Differs,
    Absent,
}

impl FingerprintMatch {
    pub fn of(fingerprint: Option<&str>, sha256: &str) -> Self {
        match fingerprint {
            None => Self::Absent,
            Some(theirs) if theirs.eq_ignore_ascii_case(sha256) => Self::Equal,
            Some(_) => Self::Differs,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::buffer::conformance::sample_manifest;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(crate::fuzz_cases()))]

        /// What is read of a damaged manifest names no file outside its folder.
        #[test]
        fn fuzz_manifests(at in any::<Index>(), cut in 0_usize..60, put in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..8), Just(b"../../etc/passwd".to_vec()), Just(b"null".to_vec()),
            Just(b"[[[[[[[[[[".to_vec()), Just(b"-1e999".to_vec())]) {
            let (mut text, _) = sample_manifest().text().unwrap();
            let at = at.index(text.len());
            let end = (at + cut).min(text.len());
            text.splice(at..end, put);
            if let Ok(manifest) = Manifest::parse(&text, String::new) {
                prop_assert_eq!(&manifest.schema, SCHEMA);
                prop_assert!(manifest.file_names().all(|name| !name.contains('/') && !name.starts_with('.')));
            }
        }
    }
}
