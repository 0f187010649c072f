//! What there is to find: how many meetings, when, with which files, and how much of it the DAS already has.
//!
//! Shares are exact, not odds: a `captured` share of 0.3 of 1,000 meetings is 300 of them. There are three
//! independent questions about a meeting, and the shares of each add up to at most 1 (what is left is the
//! ordinary case):
//!
//! * what kind it is: external, breakout room, webinar, one of a recurring series, or an ordinary meeting;
//! * what became of its archive: no files, still processing, one file failed, one file gone, all of it gone, or whole;
//! * what the DAS has of it: everything (captured), some of its files (incomplete), or nothing (missing).

use chrono::{DateTime, Days, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use crate::limits::Limits;

/// The whole of a simulated account. `Default` is a small, varied one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    pub seed: u64,
    pub meetings: u32,
    /// Start times spread evenly, with jitter, over `from <= start < to`.
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub files: Vec<FileSpec>,

    /// In the DAS with all their files when the simulator starts.
    pub captured: f64,
    /// In the DAS with at least one file and without at least one. A meeting that has fewer than two files to
    /// give, or whose archive is empty, processing or gone, counts as missing instead: nothing could be
    /// lacking.
    pub incomplete: f64,

    pub external: f64,
    pub breakout_rooms: f64,
    pub webinars: f64,
    pub recurring: f64,

    pub no_files: f64,
    pub processing: f64,
    /// How many reads of its metadata a processing archive needs before it is complete.
    pub processing_reads: u32,
    /// One of the files failed: size 0 and no URL, for good.
    pub failed_files: f64,
    /// One of the files is listed but its download answers 404.
    pub gone_files: f64,
    /// Listed, but the metadata answers 404 with code 3001.
    pub gone_meetings: f64,
    /// Files shared in the chat (`physical_files`).
    pub attachments: f64,

    /// Up to this size `encryption_fingerprint` is the SHA-256 of the bytes, worked out when first asked for;
    /// above it some other hex. Set to 0 to list very many meetings fast: nothing is hashed.
    pub fingerprint_limit: u64,
    pub fingerprint_differs: bool,

    pub downloads: Downloads,
    pub das: DasLimits,
    pub limits: Limits,

    pub token_lifetime_s: u64,
    pub page_token_lifetime_s: u64,
    /// What the token may do; an endpoint whose scope is not in the list answers 400 with code 4711.
    pub scopes: Vec<String>,
}

/// How files are handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Downloads {
    /// No redirect: the first host serves the bytes.
    pub direct: bool,
    /// The first host redirects every download to this URL, whoever that is.
    pub redirect_to: Option<String>,
    /// `download_url` starts with this in place of the simulator's own scheme, host and port.
    pub origin: Option<String>,
    pub ranges: bool,
    pub content_length: bool,
}

impl Default for Downloads {
    fn default() -> Self {
        Self { direct: false, redirect_to: None, origin: None, ranges: true, content_length: true }
    }
}

/// What the DAS cannot, and what its Verint form holds beside meetings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DasLimits {
    /// Sessions of an answer of the Verint form, contacts of a look-up of the REST form: what is more is left out
    /// without a word.
    pub rows: Option<usize>,
    /// A Verint query for a longer period gets no answer before the client gives up.
    pub longest_period_s: Option<u64>,
    /// A longer period is answered for its beginning only, and the answer says so.
    pub clamp_s: Option<u64>,
    /// A look-up of more ids gets no answer before the client gives up.
    pub most_ids: Option<usize>,
    pub session_lifetime_s: u64,
    /// Telephone calls among the sessions.
    pub calls_per_hour: u32,
}

impl Default for DasLimits {
    fn default() -> Self {
        Self {
            rows: None,
            longest_period_s: None,
            clamp_s: None,
            most_ids: None,
            session_lifetime_s: 1200,
            calls_per_hour: 6,
        }
    }
}

/// One file that meetings have. A type may be named several times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// Zoom's `file_type`; the extension and the `recording_type` follow from it.
    pub file_type: String,
    /// In bytes. A file is never smaller than the least that its format allows (256 bytes or less).
    pub min_size: u64,
    pub max_size: u64,
    /// The share of meetings that have it, drawn for each meeting; the first of the list is given to a
    /// meeting that drew none.
    #[serde(default = "always")]
    pub share: f64,
    /// One participant's file in place of the whole meeting's.
    #[serde(default)]
    pub individual: bool,
}

fn always() -> f64 {
    1.0
}

impl FileSpec {
    pub fn new(file_type: &str, min_size: u64, max_size: u64) -> Self {
        Self { file_type: file_type.to_owned(), min_size, max_size, share: 1.0, individual: false }
    }

    /// A file of exactly this size in every meeting.
    pub fn exactly(file_type: &str, size: u64) -> Self {
        Self::new(file_type, size, size)
    }

    #[must_use]
    pub fn share(self, share: f64) -> Self {
        Self { share, ..self }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        let to = Utc::now().with_time(NaiveTime::MIN).single().unwrap_or_else(Utc::now);
        Self {
            seed: 1,
            meetings: 100,
            from: to - Days::new(7),
            to,
            files: default_files(),
            captured: 0.3,
            incomplete: 0.05,
            external: 0.05,
            breakout_rooms: 0.05,
            webinars: 0.05,
            recurring: 0.2,
            no_files: 0.0,
            processing: 0.0,
            processing_reads: 2,
            failed_files: 0.0,
            gone_files: 0.0,
            gone_meetings: 0.0,
            attachments: 0.02,
            fingerprint_limit: 8 << 20,
            fingerprint_differs: false,
            downloads: Downloads::default(),
            das: DasLimits::default(),
            limits: Limits::default(),
            token_lifetime_s: 3599,
            page_token_lifetime_s: 15 * 60,
            scopes: default_scopes(),
        }
    }
}

fn default_files() -> Vec<FileSpec> {
    vec![
        FileSpec::new("MP4", 128 << 10, 512 << 10),
        FileSpec::new("M4A", 32 << 10, 96 << 10),
        FileSpec::new("CHAT", 256, 4 << 10).share(0.7),
        FileSpec::new("CHAT_MESSAGE", 1 << 10, 12 << 10).share(0.5),
        FileSpec::new("CC", 1 << 10, 8 << 10).share(0.4),
        FileSpec::new("TRANSCRIPT", 2 << 10, 24 << 10).share(0.6),
    ]
}

fn default_scopes() -> Vec<String> {
    [
        "archiving:read:list_archived_files:admin",
        "archiving:read:archived_file_statistics:admin",
        "archiving:read:archived_files:admin",
        "meeting:read:list_past_instances:admin",
    ]
    .map(str::to_owned)
    .to_vec()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_scenario_file_names_only_what_differs() {
        let scenario: Scenario = serde_json::from_str(r#"{"meetings": 3, "captured": 0}"#).unwrap();
        assert_eq!(scenario.meetings, 3);
        assert_eq!(scenario.processing_reads, 2);
        assert!(serde_json::from_str::<Scenario>(r#"{"meeting": 3}"#).is_err());
    }
}
