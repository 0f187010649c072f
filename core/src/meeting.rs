//! A meeting as Zoom archived it, and its files.
//!
//! These are our names for what Zoom lists; `zoom::wire` reads Zoom's JSON into them. Unknown kinds and states
//! survive as text, because Zoom adds to its lists without notice. Everything but the UUID may be absent: external
//! meetings come without number, host and topic.

use std::fmt::{self, Write};

use chrono::{DateTime, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// What RFC 3986 leaves as it is in a path segment; everything else is percent-encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The longest UUID that is accepted. Zoom's have 24 characters; the rest is room for what it may invent.
const LONGEST: usize = 255;

/// The longest folder name that is made of a UUID as it stands. File systems take 255 bytes, and names of files beside it
/// are longer than the folder's.
const LONGEST_KEY: usize = 160;

/// The key of one meeting instance: base64-like text that may hold `/`, `+` and `=`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MeetingUuid(String);

/// Why a text is no meeting UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoUuid {
    #[error("a meeting UUID is empty")]
    Empty,
    #[error("a meeting UUID has {0} bytes; at most {LONGEST} are accepted")]
    TooLong(usize),
    #[error("a meeting UUID holds a control character or a space")]
    Unprintable,
}

impl MeetingUuid {
    /// Takes any printable text without spaces of at most 255 bytes.
    pub fn parse(text: &str) -> Result<Self, NoUuid> {
        match text {
            "" => Err(NoUuid::Empty),
            long if long.len() > LONGEST => Err(NoUuid::TooLong(long.len())),
            odd if odd.chars().any(|c| c.is_control() || c.is_whitespace()) => Err(NoUuid::Unprintable),
            good => Ok(Self(good.to_owned())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The UUID as one segment of a Zoom path: percent-encoded, and once more if it begins with `/` or holds `//`
    /// (Zoom's rule; a wrong encoding is answered with a false "meeting does not exist").
    pub fn zoom_path_segment(&self) -> String {
        let once = self.percent_encoded();
        if self.0.starts_with('/') || self.0.contains("//") { encode(&once) } else { once }
    }

    /// The segment encoded twice, where Zoom's rule asks for once: some clients report that UUIDs with a single `/`
    /// need it. `None` where the rule already encodes twice or nothing would change for a slash.
    pub fn zoom_path_segment_alternative(&self) -> Option<String> {
        let single_slash = self.0.contains('/') && !self.0.starts_with('/') && !self.0.contains("//");
        single_slash.then(|| encode(&self.percent_encoded()))
    }

    /// Percent-encoded once, as a path of the data access service has it.
    pub fn percent_encoded(&self) -> String {
        encode(&self.0)
    }

    /// The folder name of this meeting in the capture buffer: `/` as `_`, `+` as `-`, no trailing `=`. What could
    /// leave the folder or trouble a file system becomes `%XX`, so that two UUIDs never share a folder. What would be too
    /// long for a file system is cut, and told apart by its hash.
    pub fn folder_key(&self) -> String {
        let mut key = String::with_capacity(self.0.len());
        let plain = self.0.trim_end_matches('=');
        // Nothing but `=` would name the day's folder itself.
        let plain = if plain.is_empty() { &self.0 } else { plain };
        for (at, byte) in plain.bytes().enumerate() {
            match byte {
                b'/' => key.push('_'),
                b'+' => key.push('-'),
                b'.' if at > 0 => key.push('.'),
                b if b.is_ascii_alphanumeric() => key.push(char::from(b)),
                odd => {
                    let _ = write!(key, "%{odd:02X}");
                }
            }
        }
        if key.len() > LONGEST_KEY {
            key.truncate(LONGEST_KEY / 2);
            let _ = write!(key, "-{}", crate::digest::sha256(self.0.as_bytes()));
        }
        key
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

impl fmt::Display for MeetingUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for MeetingUuid {
    type Error = NoUuid;
    fn try_from(text: String) -> Result<Self, NoUuid> {
        Self::parse(&text)
    }
}

impl From<MeetingUuid> for String {
    fn from(uuid: MeetingUuid) -> Self {
        uuid.0
    }
}

impl std::str::FromStr for MeetingUuid {
    type Err = NoUuid;
    fn from_str(text: &str) -> Result<Self, NoUuid> {
        Self::parse(text)
    }
}

/// One archived meeting, webinar or breakout room.
#[derive(Debug, Clone, PartialEq)]
pub struct Meeting {
    pub uuid: MeetingUuid,
    /// The meeting number; it repeats over recurring instances and is absent for external meetings.
    pub number: Option<i64>,
    pub host_id: Option<String>,
    /// The user group that it was archived for, where Zoom tells.
    pub group_id: Option<String>,
    pub topic: Option<String>,
    pub kind: MeetingKind,
    /// Held by another account: Zoom removed number, host and topic.
    pub external: bool,
    pub started_at: Option<DateTime<Utc>>,
    pub duration_seconds: Option<u64>,
    /// When Zoom finished the archive; absent while it is being made.
    pub archived_at: Option<DateTime<Utc>>,
    pub archive: ArchiveState,
    /// The main meeting of a breakout room.
    pub parent: Option<MeetingUuid>,
    pub files: Vec<ArchiveFile>,
    /// How many files Zoom says there are.
    pub recording_count: Option<u64>,
    /// Files that there are and that cannot be asked for: listed without an id, or counted and not listed.
    pub unnamed_files: u64,
    /// The object as Zoom sent it, download addresses withheld: evidence.
    pub raw: serde_json::Value,
}

impl Meeting {
    /// When the meeting ended, as far as its start and duration tell.
    pub fn ended_at(&self) -> Option<DateTime<Utc>> {
        let seconds = i64::try_from(self.duration_seconds?).ok()?;
        self.started_at?.checked_add_signed(chrono::Duration::try_seconds(seconds)?)
    }

    /// Whether Zoom is still making any part of this archive.
    pub fn is_processing(&self) -> bool {
        self.archive == ArchiveState::Processing
            || self.files.iter().any(|file| file.state == FileState::Processing)
    }
}

/// Zoom's `type` of a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeetingKind {
    Meeting,
    Webinar,
    BreakoutRoom,
    Unknown(Option<i64>),
}

impl MeetingKind {
    pub fn from_code(code: Option<i64>, breakout: bool) -> Self {
        match code {
            _ if breakout => Self::BreakoutRoom,
            Some(100) => Self::BreakoutRoom,
            Some(1 | 2 | 3 | 4 | 7 | 8) => Self::Meeting,
            Some(5 | 6 | 9) => Self::Webinar,
            other => Self::Unknown(other),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveState {
    Completed,
    Processing,
    /// A state that Zoom did not have when this was written; treated by what its files say.
    Unknown,
}

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Unique inside its meeting.
    pub id: String,
    /// Zoom's `file_type`, as sent (`MP4`, `CHAT_MESSAGE`, …).
    pub file_type: String,
    /// Lower case, without a dot; may be empty.
    pub extension: String,
    /// Bytes, as Zoom lists them; absent where it lists none.
    pub size: Option<u64>,
    pub state: FileState,
    /// Where it can be had; absent while it is being made, and for on-premise accounts.
    pub download_url: Option<String>,
    /// `encryption_fingerprint`: 64 hex digits; what it is a hash of is not documented.
    pub fingerprint: Option<String>,
    pub number_of_messages: Option<u64>,
    pub participant_email: Option<String>,
}

impl ArchiveFile {
    pub fn kind(&self) -> FileKind {
        FileKind::of(&self.file_type, &self.extension)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    Completed,
    Processing,
    Failed,
    /// Unknown to us; taken if Zoom gives an address for it.
    Unknown,
}

/// What a file is to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    Audio,
    Video,
    Text,
}

impl FileKind {
    pub const ALL: [Self; 3] = [Self::Audio, Self::Video, Self::Text];

    /// By Zoom's type first, then by extension; what neither tells is text, the kind that claims least.
    pub fn of(file_type: &str, extension: &str) -> Self {
        match file_type.to_ascii_uppercase().as_str() {
            "MP4" => return Self::Video,
            "M4A" => return Self::Audio,
            _ => {}
        }
        match extension.to_ascii_lowercase().as_str() {
            "mp4" | "mov" | "webm" | "mkv" => Self::Video,
            "m4a" | "mp3" | "wav" | "aac" | "ogg" => Self::Audio,
            _ => Self::Text,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Text => "text",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn uuid(text: &str) -> MeetingUuid {
        MeetingUuid::parse(text).expect("a UUID")
    }

    #[test]
    fn zoom_paths_follow_the_documented_table() {
        for (text, segment) in [
            ("4444AAAiAAAAAiAiAiiAii==", "4444AAAiAAAAAiAiAiiAii%3D%3D"),
            ("/ajXp112QmuoKj4854875==", "%252FajXp112QmuoKj4854875%253D%253D"),
            ("ab//cd+Xy12QmuoKj48548==", "ab%252F%252Fcd%252BXy12QmuoKj48548%253D%253D"),
            ("ab/cdXy12QmuoKj4854875==", "ab%2FcdXy12QmuoKj4854875%3D%3D"),
        ] {
            assert_eq!(uuid(text).zoom_path_segment(), segment);
        }
    }

    #[test]
    fn only_a_single_inner_slash_has_an_alternative() {
        assert_eq!(uuid("ab/cd==").zoom_path_segment_alternative().as_deref(), Some("ab%252Fcd%253D%253D"));
        assert_eq!(uuid("abcd==").zoom_path_segment_alternative(), None);
        assert_eq!(uuid("/ab/cd==").zoom_path_segment_alternative(), None);
        assert_eq!(uuid("ab//cd==").zoom_path_segment_alternative(), None);
    }

    #[test]
    fn folder_keys_stay_in_their_folder() {
        assert_eq!(uuid("/aB3dE//gHi+kL==").folder_key(), "_aB3dE__gHi-kL");
        assert_eq!(uuid("../../etc/passwd").folder_key(), "%2E._.._etc_passwd");
        assert_eq!(uuid("..").folder_key(), "%2E.");
        assert_eq!(uuid("a\\b:c").folder_key(), "a%5Cb%3Ac");
        let (long, longer) = ("é".repeat(120), format!("{}==", "é".repeat(120)));
        assert_ne!(uuid(&long).folder_key(), uuid(&longer).folder_key());
    }

    proptest! {
        #[test]
        fn any_text_gives_a_safe_folder_or_a_refusal(text in "\\PC{0,300}") {
            if let Ok(uuid) = MeetingUuid::parse(&text) {
                let key = uuid.folder_key();
                prop_assert!(!key.contains('/') && !key.contains('\\') && key != "." && key != "..");
                prop_assert!(key.len() <= LONGEST_KEY, "{} bytes", key.len());
                prop_assert!(!uuid.zoom_path_segment().contains('/'));
            }
        }
    }
}
