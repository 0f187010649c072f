//! A contact: what the platform knows of one captured meeting. The JSON is the data access service's.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::meeting::FileKind;

/// The `source` of every contact that we compare and register.
pub const SOURCE: &str = "zoom";

/// Only `source`, `source_id` and `started_at` are required of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    pub source: String,
    /// The meeting UUID.
    pub source_id: String,
    pub started_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The meeting's folder, relative to the buffer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer_path: Option<String>,
    /// A contact with no media says nothing of files and counts as whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Media>,
}

/// One file of a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    pub file_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FileKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(default)]
    pub state: MediaState,
}

/// A file without a state is taken as available: the platform would not list what it lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaState {
    #[default]
    Available,
    Unavailable,
    #[serde(other)]
    Unknown,
}

impl Contact {
    /// Takes over what `newer` brings: its fields where it has them, its media by `file_id`. Merging the same
    /// contact again changes nothing.
    pub fn merge(&mut self, newer: Self) {
        self.started_at = newer.started_at;
        self.ended_at = newer.ended_at.or(self.ended_at);
        self.topic = newer.topic.or(self.topic.take());
        self.host = newer.host.or(self.host.take());
        if !newer.participants.is_empty() {
            self.participants = newer.participants;
        }
        self.run_id = newer.run_id.or(self.run_id.take());
        self.buffer_path = newer.buffer_path.or(self.buffer_path.take());
        for media in newer.media {
            match self.media.iter_mut().find(|known| known.file_id == media.file_id) {
                Some(known) => *known = media,
                None => self.media.push(media),
            }
        }
    }
}
