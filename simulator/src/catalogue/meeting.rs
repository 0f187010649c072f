//! What a meeting is: its kind, its archive, and what the DAS has of it.

use serde::Serialize;

use super::{Catalogue, Seconds, narrow};
use crate::chance::{self, Subject, between};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ordinary,
    /// Hosted by another account: no number, host or topic.
    External,
    Breakout {
        parent: u32,
    },
    Webinar,
    /// `place` counts the recurring meetings; neighbours belong to one series.
    Recurring {
        place: u64,
    },
}

/// What became of a meeting's archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Archive {
    Whole,
    NoFiles,
    Processing,
    FailedFile,
    GoneFile,
    Gone,
}

/// What the DAS has of a meeting when the simulator starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    Captured,
    /// Some files, but not all that Zoom completed.
    Incomplete,
    Missing,
}

/// The facts of one meeting that do not change.
#[derive(Debug)]
pub(crate) struct Meeting {
    pub(crate) uuid: String,
    pub(crate) number: Option<u64>,
    pub(crate) kind: Kind,
    pub(crate) topic: String,
    pub(crate) host: String,
    pub(crate) start: Seconds,
    pub(crate) end: Seconds,
    pub(crate) type_code: u8,
}

/// Topics as people write them: other scripts, direction marks, quotes, emoji, and what looks like markup.
const TOPICS: [&str; 10] = [
    "Weekly risk committee",
    "週次リスク会議 – Überblick № 7 😀 \u{202b}שלום\u{202c}",
    "Handel / Morgenrunde",
    "\"Quoted\" and 'quoted', 100 % <b>bold</b> & more",
    "Ежедневная сверка позиций",
    "اجتماع \u{200f}المخاطر\u{200e} الأسبوعي",
    "Client call: O’Brien \\ Söhne",
    "=SUM(A1:A9); -- drop",
    "日本株デスク\u{3000}朝会",
    "",
];

impl Catalogue {
    pub(crate) fn meeting(&self, index: u32) -> Meeting {
        let kind = self.kind(index);
        let shape = self.draw(Subject::Topic, index.into());
        Meeting {
            uuid: self.uuid(index),
            number: self.number(index),
            topic: match kind {
                Kind::Breakout { .. } => format!("Breakout Room {}", between(shape, 1, 9)),
                _ => TOPICS[usize::from(shape.to_le_bytes()[0]) % TOPICS.len()].to_owned(),
            },
            host: format!("host{:02}@example.com", self.draw(Subject::Host, index.into()) % 40),
            start: self.start(index),
            end: self.end(index),
            type_code: self.type_code(kind, shape >> 8),
            kind,
        }
    }

    fn type_code(&self, kind: Kind, shape: u64) -> u8 {
        let pick = |codes: &[u8]| codes[usize::from(shape.to_le_bytes()[0]) % codes.len()];
        match kind {
            Kind::Breakout { .. } => 100,
            Kind::Webinar => pick(&[5, 6, 9]),
            // One type for a whole series: it is one meeting.
            Kind::Recurring { place } => [3, 8][usize::from(self.draw(Subject::Shape, place / 5) % 2 == 1)],
            Kind::External | Kind::Ordinary => pick(&[2, 2, 2, 1, 4, 7]),
        }
    }

    pub(crate) fn end(&self, index: u32) -> Seconds {
        let longest = if self.is_breakout(index) { 900 } else { 5400 };
        let seconds = between(self.draw(Subject::Duration, index.into()), 60, longest);
        self.start(index).saturating_add_unsigned(seconds)
    }

    /// When the archive was complete, for one that did complete by itself.
    pub(crate) fn complete(&self, index: u32) -> Seconds {
        let delay = between(self.draw(Subject::Delay, index.into()), 600, 3600);
        let end = self.end(index);
        end.saturating_add_unsigned(delay).min(self.now.max(end))
    }

    pub(crate) fn kind(&self, index: u32) -> Kind {
        let scenario = &self.scenario;
        let place = self.kinds.place(index.into());
        let breakouts = self.count(scenario.external);
        let webinars = breakouts + self.count(scenario.breakout_rooms);
        let recurring = webinars + self.count(scenario.webinars);
        if place < breakouts {
            Kind::External
        } else if place < webinars {
            self.parent(index).map_or(Kind::Ordinary, |parent| Kind::Breakout { parent })
        } else if place < recurring {
            Kind::Webinar
        } else if place < recurring + self.count(scenario.recurring) {
            Kind::Recurring { place: place - recurring }
        } else {
            Kind::Ordinary
        }
    }

    /// The recurring meeting at a place, the inverse of [`Kind::Recurring`].
    pub(super) fn recurring_at(&self, place: u64) -> Option<u32> {
        let scenario = &self.scenario;
        let before: u64 = [scenario.external, scenario.breakout_rooms, scenario.webinars]
            .into_iter()
            .map(|share| self.count(share))
            .sum();
        (place < self.count(scenario.recurring) && before + place < u64::from(self.len()))
            .then(|| narrow(self.kinds.index(before + place)))
    }

    fn is_breakout(&self, index: u32) -> bool {
        let external = self.count(self.scenario.external);
        let place = self.kinds.place(index.into());
        (external..external + self.count(self.scenario.breakout_rooms)).contains(&place)
    }

    /// A breakout room belongs to the last meeting before it that is no breakout room and not external.
    fn parent(&self, index: u32) -> Option<u32> {
        let taken = self.count(self.scenario.external) + self.count(self.scenario.breakout_rooms);
        (0..index).rev().find(|before| self.kinds.place(u64::from(*before)) >= taken)
    }

    pub(crate) fn archive(&self, index: u32) -> Archive {
        let scenario = &self.scenario;
        let mut place = self.archives.place(index.into());
        let states = [
            (scenario.no_files, Archive::NoFiles),
            (scenario.processing, Archive::Processing),
            (scenario.failed_files, Archive::FailedFile),
            (scenario.gone_files, Archive::GoneFile),
            (scenario.gone_meetings, Archive::Gone),
        ];
        for (share, state) in states {
            let count = self.count(share);
            if place < count {
                return state;
            }
            place -= count;
        }
        Archive::Whole
    }

    pub(crate) fn capture(&self, index: u32) -> Capture {
        let place = self.captures.place(index.into());
        let captured = self.count(self.scenario.captured);
        if place < captured {
            Capture::Captured
        } else if place < captured + self.count(self.scenario.incomplete) && self.can_lack(index) {
            Capture::Incomplete
        } else {
            Capture::Missing
        }
    }

    fn can_lack(&self, index: u32) -> bool {
        matches!(self.archive(index), Archive::Whole | Archive::FailedFile | Archive::GoneFile)
            && self.files(index).iter().filter(|file| file.is_listed_complete()).count() >= 2
    }

    /// Whether the DAS has the file of an incomplete meeting: of the completed ones the first drawn is
    /// lacking, the next is there, the others either way.
    pub(crate) fn captured_ordinals(&self, index: u32) -> Vec<u16> {
        let complete: Vec<_> = self
            .files(index)
            .into_iter()
            .filter(super::File::is_listed_complete)
            .map(|f| f.key.ordinal)
            .collect();
        match self.capture(index) {
            Capture::Missing => Vec::new(),
            Capture::Captured => complete,
            Capture::Incomplete => {
                let draw = self.draw(Subject::FileLacking, index.into());
                let first = usize::from(draw.to_le_bytes()[0]) % complete.len();
                let kept = |at: usize| match (at + complete.len() - first) % complete.len() {
                    0 => false,
                    1 => true,
                    other => !chance::mix(draw ^ other as u64).is_multiple_of(3),
                };
                complete.iter().enumerate().filter(|(at, _)| kept(*at)).map(|(_, ordinal)| *ordinal).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::tests::catalogue;
    use crate::scenario::Scenario;

    #[test]
    fn a_breakout_room_has_a_parent_that_is_a_meeting_of_this_account() {
        let catalogue = Catalogue::new(Scenario { breakout_rooms: 0.3, ..catalogue(200).scenario });
        let rooms: Vec<_> = (0..200)
            .map(|index| catalogue.meeting(index))
            .filter(|meeting| meeting.type_code == 100)
            .collect();
        assert!(rooms.len() > 50);
        for room in rooms {
            let Kind::Breakout { parent } = room.kind else { panic!("type 100 is a breakout room") };
            assert!(catalogue.start(parent) <= room.start);
            assert_eq!(catalogue.number(parent), room.number);
            assert!(matches!(
                catalogue.kind(parent),
                Kind::Ordinary | Kind::Webinar | Kind::Recurring { .. }
            ));
        }
    }

    #[test]
    fn an_incomplete_meeting_has_some_files_and_lacks_some() {
        let scenario =
            Scenario { captured: 0.2, incomplete: 0.5, gone_files: 0.1, ..catalogue(300).scenario };
        let catalogue = Catalogue::new(scenario);
        let mut seen = 0;
        for index in (0..300).filter(|index| catalogue.capture(*index) == Capture::Incomplete) {
            let complete = catalogue.files(index).iter().filter(|file| file.is_listed_complete()).count();
            assert!((1..complete).contains(&catalogue.captured_ordinals(index).len()));
            seen += 1;
        }
        assert!(seen > 100);
    }
}
