//! Where a meeting and its files stand in the buffer. Names from remote data never leave their folder.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::meeting::MeetingUuid;

/// The longest file id that is used as it is; longer ones are cut and told apart by their hash.
const LONGEST: usize = 120;

/// The folder of one meeting: `meetings/2026/10/01/<key>`, by the day (UTC) of its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingFolder {
    relative: String,
}

impl MeetingFolder {
    pub fn new(uuid: &MeetingUuid, started_at: DateTime<Utc>) -> Self {
        Self { relative: format!("meetings/{}/{}", started_at.format("%Y/%m/%d"), uuid.folder_key()) }
    }

    /// The folder that a record names, or `None` if the text is no meeting's folder and might lead elsewhere.
    pub fn parse(relative: &str) -> Option<Self> {
        let parts: Vec<&str> = relative.split('/').collect();
        let ["meetings", year, month, day, key] = parts[..] else { return None };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let known = [year, month, day].into_iter().all(is_number) && is_file_name(&key.replace('%', "_"));
        known.then(|| Self { relative: relative.to_owned() })
    }

    /// Relative to the buffer, with `/` on every system.
    pub fn as_str(&self) -> &str {
        &self.relative
    }

    /// Where the meeting's contact is handed over, relative to the buffer: a file of the same day and key.
    pub(super) fn handover(&self) -> String {
        let place = self.relative.strip_prefix("meetings/").unwrap_or(&self.relative);
        format!("handover/{place}.json")
    }

    pub(super) fn path(&self) -> PathBuf {
        self.relative.split('/').collect()
    }
}

/// `<file id>.<ext>`. What is not a letter, a digit, `-`, `_` or a dot is replaced. Only ids of letters, digits, `-` and
/// inner `_` are names as they stand; any other gets a `_` before it and the beginning of its hash behind it, so that two
/// ids never share a name, and none has the manifest's.
pub fn file_name(file_id: &str, extension: &str) -> String {
    let mut name: String = file_id.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    name.truncate(LONGEST);
    let is_taken = name.starts_with('_') || name.contains('.') || name == "manifest";
    if name != file_id || name.is_empty() || is_taken {
        name =
            format!("_{}-{}", name.trim_start_matches('.'), &crate::digest::sha256(file_id.as_bytes())[..12]);
    }
    let extension: String = extension.chars().filter(char::is_ascii_alphanumeric).take(10).collect();
    match extension.to_ascii_lowercase() {
        empty if empty.is_empty() => name,
        extension => format!("{name}.{extension}"),
    }
}

/// Whether a name from a record stays in its folder.
pub fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain)
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_ids_keep_their_name() {
        assert_eq!(file_name("0b7c1f52-6f0e-4b53-9a44", "MP4"), "0b7c1f52-6f0e-4b53-9a44.mp4");
        assert_eq!(file_name("a", ""), "a");
    }

    #[test]
    fn odd_ids_stay_in_the_folder_and_apart() {
        assert!(!file_name("../../etc/passwd", "../sh").contains('/'));
        assert_ne!(file_name("a/b", "txt"), file_name("a_b", "txt"));
        assert_ne!(file_name("manifest", "json"), "manifest.json");
        assert_ne!(file_name("manifest.json", ""), "manifest.json");
        assert_ne!(file_name("a.txt", ""), file_name("a", "txt"));
        let replaced = file_name("a/b", "");
        assert_ne!(file_name(&replaced, ""), replaced, "nobody can name a file as another's was changed");
        assert_ne!(file_name(&"x".repeat(200), "txt"), file_name(&"x".repeat(201), "txt"));
    }

    #[test]
    fn only_a_meetings_folder_is_parsed() {
        let key = "meetings/2026/10/01/_aB3dE__gHiJkL4mNoPqRg";
        assert_eq!(MeetingFolder::parse(key).map(|folder| folder.as_str().to_owned()).as_deref(), Some(key));
        for wrong in ["", "meetings", "meetings/2026/10/01", "meetings/2026/10/01/..", "meetings/../10/01/a"]
        {
            assert_eq!(MeetingFolder::parse(wrong), None, "{wrong}");
        }
        assert!(MeetingFolder::parse("meetings/2026/10/01/%2E._etc").is_some());
        for wrong in ["/meetings/2026/10/01/a", "meetings/2026/10/01/a/b", "runs/2026/10/01/a"] {
            assert_eq!(MeetingFolder::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn names_are_safe(id in "\\PC{0,300}", extension in "\\PC{0,30}") {
            let name = file_name(&id, &extension);
            prop_assert!(!name.is_empty() && !name.starts_with('.') && name.len() <= 160);
            prop_assert!(name.chars().all(is_plain));
            prop_assert!(name != "manifest.json");
        }
    }
}
