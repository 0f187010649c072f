//! What does not verify, and what was looked at. Scripts match on the words: one may be added, none changes.

use serde::Serialize;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A line of evidence was changed, added, removed or moved.
    LineBroken,
    /// A file of evidence is shorter than a seal or the closing line says.
    LinesLacking,
    /// A file of evidence is not the one that a seal or the closing line speaks of.
    LinesChanged,
    /// A file of evidence is gone.
    WriterLacking,
    /// A seal cannot be read.
    SealUnreadable,
    /// A seal's signature is not of what it says.
    SignatureBad,
    /// A seal bears no signature, or that of another key than `evidence.public_key`.
    SignatureForeign,
    /// The run was closed, and nothing seals that.
    SealLacking,
    /// A kept answer of Zoom is gone.
    RawLacking,
    /// A kept answer of Zoom was changed.
    RawChanged,
    /// The lines do not add up to what they say themselves.
    SumsDiffer,
    /// The evidence that a manifest or a line points to is gone.
    EvidenceLacking,
    /// A meeting was recovered, and its manifest is gone.
    ManifestLacking,
    /// A manifest cannot be read.
    ManifestUnreadable,
    /// A manifest is not the one that was written.
    ManifestChanged,
    /// A recovered file is gone.
    FileLacking,
    /// A recovered file is not the one that was stored.
    FileChanged,
    /// A recovered file cannot be read.
    FileUnreadable,
}

impl Fault {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LineBroken => "line_broken",
            Self::LinesLacking => "lines_lacking",
            Self::LinesChanged => "lines_changed",
            Self::WriterLacking => "writer_lacking",
            Self::SealUnreadable => "seal_unreadable",
            Self::SignatureBad => "signature_bad",
            Self::SignatureForeign => "signature_foreign",
            Self::SealLacking => "seal_lacking",
            Self::RawLacking => "raw_lacking",
            Self::RawChanged => "raw_changed",
            Self::SumsDiffer => "sums_differ",
            Self::EvidenceLacking => "evidence_lacking",
            Self::ManifestLacking => "manifest_lacking",
            Self::ManifestUnreadable => "manifest_unreadable",
            Self::ManifestChanged => "manifest_changed",
            Self::FileLacking => "file_lacking",
            Self::FileChanged => "file_changed",
            Self::FileUnreadable => "file_unreadable",
        }
    }
}

/// One thing that does not verify.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Relative to the buffer.
    pub path: String,
    pub fault: Fault,
    pub detail: String,
}

impl Finding {
    pub(super) fn new(fault: Fault, path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { path: path.into(), fault, detail: detail.into() }
    }
}

/// How much was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    pub runs: u64,
    pub writers: u64,
    pub lines: u64,
    pub seals: u64,
    /// Public keys whose signatures were found good.
    pub keys: Vec<String>,
    pub raw_answers: u64,
    pub meetings: u64,
    pub files: u64,
    pub bytes: u64,
}

/// What a verification came to.
#[derive(Debug, Default, Serialize)]
pub struct Verification {
    pub checked: Counted,
    pub findings: Vec<Finding>,
    /// Nothing wrong, and worth knowing.
    pub notes: Vec<String>,
}

impl Verification {
    pub fn verified(&self) -> bool {
        self.findings.is_empty()
    }

    pub(super) fn found(&mut self, fault: Fault, path: impl Into<String>, detail: impl Into<String>) {
        self.findings.push(Finding::new(fault, path, detail));
    }

    pub(super) fn take(&mut self, counted: Counted, findings: Vec<Finding>, notes: Vec<String>) {
        let checked = &mut self.checked;
        checked.runs += counted.runs;
        checked.writers += counted.writers;
        checked.lines += counted.lines;
        checked.seals += counted.seals;
        checked.raw_answers += counted.raw_answers;
        checked.meetings += counted.meetings;
        checked.files += counted.files;
        checked.bytes += counted.bytes;
        checked.keys.extend(counted.keys);
        checked.keys.sort();
        checked.keys.dedup();
        self.findings.extend(findings);
        self.notes.extend(notes);
    }
}
