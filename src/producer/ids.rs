//! Ids of meetings as people write them.

use std::fmt;

use recapture_core::meeting::MeetingUuid;

/// A UUID of Zoom's is 16 bytes in base64.
const UUID_DIGITS: usize = 22;

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Asked {
    Meeting(MeetingUuid),
    /// All meetings that were held under a number, as far as Zoom still knows them.
    Number(u64),
}

/// Why a text names no meeting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoMeeting {
    #[error("there is no id")]
    Empty,
    #[error("a meeting number has 9 to 11 digits, this has {0}")]
    Digits(usize),
    #[error("it is neither a meeting UUID (base64, 24 characters) nor a meeting number (9 to 11 digits)")]
    Unlike,
    #[error("the id is not UTF-8 text; save the file as \"CSV UTF-8\"")]
    NotText,
}

impl NoMeeting {
    /// The word for scripts.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Empty => "no_id",
            Self::Digits(_) | Self::Unlike => "not_an_id",
            Self::NotText => "not_utf8",
        }
    }
}

impl Asked {
    /// Takes a UUID or a number as people write them: with spaces around, the number with spaces and dashes inside,
    /// the UUID without its `==`, and either behind the apostrophe that keeps a spreadsheet from touching it.
    pub fn parse(text: &str) -> Result<Self, NoMeeting> {
        let text = text.trim();
        let text = text.strip_prefix('\'').unwrap_or(text).trim();
        if text.is_empty() {
            return Err(NoMeeting::Empty);
        }
        if text.starts_with(|c: char| c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_digit() || c == '-' || c.is_whitespace())
        {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            return match (digits.len(), digits.parse()) {
                (9..=11, Ok(number)) => Ok(Self::Number(number)),
                (count, _) => Err(NoMeeting::Digits(count)),
            };
        }
        let digits = text.trim_end_matches('=');
        let padding = text.len() - digits.len();
        let base64 = digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
        let long_enough = padding > 0 && !digits.is_empty() || digits.len() >= UUID_DIGITS - 2;
        if !base64 || padding > 2 || !long_enough {
            return Err(NoMeeting::Unlike);
        }
        let whole = if text.len() == UUID_DIGITS { format!("{text}==") } else { text.to_owned() };
        MeetingUuid::parse(&whole).map(Self::Meeting).map_err(|_| NoMeeting::Unlike)
    }
}

impl std::str::FromStr for Asked {
    type Err = NoMeeting;
    fn from_str(text: &str) -> Result<Self, NoMeeting> {
        Self::parse(text)
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meeting(uuid) => uuid.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unnecessary_wraps, reason = "it is compared with results")]
    fn uuid(text: &str) -> Result<Asked, NoMeeting> {
        Ok(Asked::Meeting(MeetingUuid::parse(text).expect("a UUID")))
    }

    #[test]
    fn ids_are_read_as_people_write_them() {
        let plain = "/aB3dE//gHiJkL4mNoPqRg==";
        assert_eq!(Asked::parse(plain), uuid(plain));
        assert_eq!(Asked::parse(&format!(" \u{a0}{plain}\t")), uuid(plain));
        assert_eq!(Asked::parse("'+aB3dE+/gHiJkL4mNoPqRg=="), uuid("+aB3dE+/gHiJkL4mNoPqRg=="));
        assert_eq!(Asked::parse("4444AAAiAAAAAiAiAiiAii"), uuid("4444AAAiAAAAAiAiAiiAii=="));
        assert_eq!(Asked::parse("abcd=="), uuid("abcd=="), "Zoom may invent other lengths");
        for number in
            ["86412345678", "864 1234 5678", "864-1234-5678", "864\u{a0}1234\u{a0}5678", "'86412345678"]
        {
            assert_eq!(Asked::parse(number), Ok(Asked::Number(86_412_345_678)), "{number}");
        }
        assert_eq!(Asked::parse("123456789"), Ok(Asked::Number(123_456_789)));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for (text, why) in [
            ("", NoMeeting::Empty),
            (" ' ", NoMeeting::Empty),
            ("12345678", NoMeeting::Digits(8)),
            ("123456789012", NoMeeting::Digits(12)),
            ("-86412345678", NoMeeting::Unlike),
            ("8.6412E+10", NoMeeting::Unlike),
            ("n/a", NoMeeting::Unlike),
            ("==", NoMeeting::Unlike),
            ("=cmd|' /C calc'!A0", NoMeeting::Unlike),
            ("%2FaB3dE%2F%2FgHiJkL4mNoPqRg==", NoMeeting::Unlike),
            ("/aB3dE//gHiJkL4 mNoPqRg==", NoMeeting::Unlike),
            ("überaB3dEgHiJkL4mNoPqRg==", NoMeeting::Unlike),
            (&format!("{}==", "a".repeat(300)), NoMeeting::Unlike),
        ] {
            assert_eq!(Asked::parse(text), Err(why), "{text}");
        }
    }
}
