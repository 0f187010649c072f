//! Names that can be turned back into what they name: meeting UUIDs, meeting numbers and file ids.
//!
//! A UUID is 16 bytes in base64: three free bytes, the scrambled index, nine bytes of hash. The free bytes
//! make sure that even a small account has every kind of UUID that is awkward in a path; in each ten meetings
//! one begins with `/`, one contains `//`, one a single `/`, and one `+`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;

use super::{Catalogue, Kind, narrow};
use crate::chance::{self, Subject};

/// A file of a meeting. Displayed as in the API it is [`crate::TruthFile::id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct FileKey {
    /// The meeting's index, in order of start times.
    pub meeting: u32,
    /// Which file of the scenario's list.
    pub ordinal: u16,
}

impl FileKey {
    /// Files shared in the chat have a number of their own, past any list of files.
    pub(crate) const ATTACHMENT: u16 = u16::MAX;

    pub(crate) fn number(self) -> u64 {
        u64::from(self.meeting) << 16 | u64::from(self.ordinal)
    }
}

/// Zoom's documented rule: encoded once, and once more if it begins with `/` or contains `//`.
pub(crate) fn needs_double_encoding(uuid: &str) -> bool {
    uuid.starts_with('/') || uuid.contains("//")
}

/// Meetings have numbers of eleven digits; a series has one of another range.
const SINGLE: u64 = 91_000_000_000;
const SERIES: u64 = 82_000_000_000;
/// How many instances a recurring meeting has, but for the last series.
const INSTANCES: u64 = 5;

/// The number of a meeting as the text of a path.
pub(crate) fn number_of(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number| (SERIES..SINGLE + (1 << 32)).contains(number))
}

impl Catalogue {
    pub(crate) fn uuid(&self, index: u32) -> String {
        let hash = self.draw(Subject::Uuid, index.into()).to_be_bytes();
        let more = chance::mix(u64::from_be_bytes(hash)).to_be_bytes();
        let mut bytes = [0; 16];
        bytes[..3].copy_from_slice(&more[..3]);
        bytes[3..7].copy_from_slice(&narrow(self.names.place(index.into())).to_be_bytes());
        bytes[7..15].copy_from_slice(&hash);
        bytes[15] = more[3];
        let [first, second, third, ..] = bytes;
        // 63 is `/` in base64 and 62 is `+`; the first byte's upper six bits are the first character, and so
        // on.
        let free = match index % 10 {
            1 => [first | 0b1111_1100, second, third],
            2 => [first & 0b0111_1111 | 0b11, 0b1111_1111, third | 0b1100_0000],
            3 => [first & 0b0111_1111 | 0b11, 0b1111_0000, third & 0b0111_1111],
            4 => [first & 0b0111_1111 | 0b11, 0b1110_0000, third],
            _ => [first, second, third],
        };
        bytes[..3].copy_from_slice(&free);
        STANDARD.encode(bytes)
    }

    pub(crate) fn meeting_of(&self, uuid: &str) -> Option<u32> {
        let bytes = STANDARD.decode(uuid).ok()?;
        let scrambled = u32::from_be_bytes(bytes.get(3..7)?.try_into().ok()?);
        let index = narrow(self.names.index(scrambled.into()));
        (index < self.len() && self.uuid(index) == uuid).then_some(index)
    }

    fn file_bytes(&self, file: FileKey) -> [u8; 16] {
        let hash = self.draw(Subject::FileId, file.number()).to_be_bytes();
        let salt = chance::mix(self.names.place(file.meeting.into())).to_be_bytes();
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&narrow(self.names.place(file.meeting.into())).to_be_bytes());
        bytes[4..6].copy_from_slice(&(file.ordinal ^ u16::from_be_bytes([salt[0], salt[1]])).to_be_bytes());
        bytes[6..14].copy_from_slice(&hash);
        bytes[14..].copy_from_slice(&salt[2..4]);
        // Version 4, variant 1: what a UUID in text form looks like.
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        bytes
    }

    /// UUID text for an archive file, 22 characters of base64 for an attachment: so in Zoom's examples.
    pub(crate) fn file_id(&self, file: FileKey) -> String {
        let bytes = self.file_bytes(file);
        if file.ordinal == FileKey::ATTACHMENT {
            return URL_SAFE_NO_PAD.encode(bytes);
        }
        let hex = hex(&bytes);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    pub(crate) fn file_of(&self, id: &str) -> Option<FileKey> {
        let bytes = if id.len() == 22 {
            URL_SAFE_NO_PAD.decode(id).ok()?
        } else {
            u128::from_str_radix(&id.replace('-', ""), 16).ok()?.to_be_bytes().to_vec()
        };
        let scrambled = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
        let meeting = narrow(self.names.index(scrambled.into()));
        let salt = chance::mix(scrambled.into()).to_be_bytes();
        let ordinal = u16::from_be_bytes([bytes[4] ^ salt[0], bytes[5] ^ salt[1]]);
        let file = FileKey { meeting, ordinal };
        (meeting < self.len() && self.file_id(file) == id).then_some(file)
    }

    /// The number of a meeting; `None` for an external one, whose number Zoom removes. A breakout room has
    /// its parent's.
    pub(crate) fn number(&self, index: u32) -> Option<u64> {
        match self.kind(index) {
            Kind::External => None,
            Kind::Breakout { parent } => self.number(parent),
            Kind::Recurring { place } => Some(SERIES + self.names.place(place / INSTANCES)),
            Kind::Webinar | Kind::Ordinary => Some(SINGLE + self.names.place(index.into())),
        }
    }

    /// The instances of a number, breakout rooms left out.
    pub(crate) fn instances(&self, number: u64) -> Vec<u32> {
        if let Some(name) = number.checked_sub(SINGLE) {
            let index = self.names.index(name);
            let exists = index < u64::from(self.len()) && self.number(narrow(index)) == Some(number);
            return if exists { vec![narrow(index)] } else { Vec::new() };
        }
        let Some(name) = number.checked_sub(SERIES).filter(|name| *name < 1 << 32) else {
            return Vec::new();
        };
        let series = self.names.index(name);
        let mut found: Vec<_> = (series * INSTANCES..(series + 1) * INSTANCES)
            .filter_map(|place| self.recurring_at(place))
            .filter(|index| self.number(*index) == Some(number))
            .collect();
        found.sort_unstable();
        found
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::tests::catalogue;
    use crate::scenario::Scenario;

    #[test]
    fn names_lead_back_to_what_they_name() {
        let catalogue = catalogue(300);
        for index in 0..300 {
            assert_eq!(catalogue.meeting_of(&catalogue.uuid(index)), Some(index));
            for ordinal in [0, 1, 7, FileKey::ATTACHMENT] {
                let file = FileKey { meeting: index, ordinal };
                assert_eq!(catalogue.file_of(&catalogue.file_id(file)), Some(file));
            }
        }
        assert_eq!(catalogue.meeting_of("4444AAAiAAAAAiAiAiiAii=="), None);
        assert_eq!(catalogue.file_of("a2f19f96-9294-4f51-8134-6f0eea108eb2"), None);
    }

    #[test]
    fn five_meetings_have_every_awkward_uuid() {
        for seed in 0..50 {
            let catalogue = Catalogue::new(Scenario { seed, meetings: 5, ..Scenario::default() });
            assert!(catalogue.uuid(1).starts_with('/'));
            let doubled = catalogue.uuid(2);
            assert!(doubled.contains("//") && !doubled.starts_with('/'), "{doubled}");
            let single = catalogue.uuid(3);
            assert_eq!(single.find('/'), Some(1), "{single}");
            assert_ne!(single.get(2..3), Some("/"), "{single}");
            assert!(catalogue.uuid(4).contains('+'));
        }
    }

    #[test]
    fn a_number_names_all_its_instances() {
        let catalogue = Catalogue::new(Scenario { recurring: 0.5, ..catalogue(200).scenario });
        for index in 0..200 {
            let Some(number) = catalogue.number(index) else {
                continue;
            };
            let instances = catalogue.instances(number);
            if !matches!(catalogue.kind(index), Kind::Breakout { .. }) {
                assert!(instances.contains(&index));
            }
            if matches!(catalogue.kind(index), Kind::Recurring { .. }) {
                assert!(instances.len() <= 5);
            }
        }
        let repeated = (0..200).filter_map(|index| catalogue.number(index));
        assert!(repeated.into_iter().any(|number| catalogue.instances(number).len() == 5));
        assert!(catalogue.instances(1).is_empty());
    }
}
