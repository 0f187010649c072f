//! How payloads and dead jobs are written.
//!
//! The payload of a job takes most of its memory, and most of that is what the rest of the record says already. So a
//! payload of the usual form is written as `~`, the letter of its mode and the start in milliseconds; any other one
//! (single files, a newer version) as the JSON that it is.

use chrono::{DateTime, Utc};

use crate::meeting::MeetingUuid;
use crate::queue::clock::{Millis, instant};
use crate::queue::job::{JobPayload, PayloadError, Wanted};
use crate::run::Mode;

const MODES: [(char, Mode); 3] = [('m', Mode::Manual), ('s', Mode::Specific), ('a', Mode::Automatic)];

pub(super) fn pack(payload: &JobPayload) -> String {
    let usual = payload.wanted == Wanted::All && is_whole(payload.started_at) && is_whole(payload.deadline);
    match MODES.iter().find(|(_, mode)| *mode == payload.mode) {
        Some((letter, _)) if usual => format!("~{letter}{}", payload.started_at.timestamp_millis()),
        _ => payload.encode(),
    }
}

/// The payload as JSON, from what was packed.
pub(super) fn unpack(uuid: &MeetingUuid, deadline: Millis, packed: &str) -> String {
    match short(uuid, deadline, packed) {
        Some(payload) => payload.encode(),
        None => packed.to_owned(),
    }
}

/// The payload that was packed; one that is short is not made JSON of first.
pub(super) fn read(uuid: &MeetingUuid, deadline: Millis, packed: &str) -> Result<JobPayload, PayloadError> {
    short(uuid, deadline, packed).map_or_else(|| JobPayload::decode(packed), Ok)
}

fn short(uuid: &MeetingUuid, deadline: Millis, packed: &str) -> Option<JobPayload> {
    let mut rest = packed.strip_prefix('~')?.chars();
    let letter = rest.next()?;
    let (_, mode) = MODES.iter().find(|(known, _)| *known == letter)?;
    let started_at: Millis = rest.as_str().parse().ok()?;
    Some(JobPayload {
        uuid: uuid.clone(),
        started_at: instant(started_at),
        deadline: instant(deadline),
        wanted: Wanted::All,
        mode: *mode,
    })
}

/// Whether an instant survives being written in milliseconds.
fn is_whole(at: DateTime<Utc>) -> bool {
    instant(at.timestamp_millis()) == at
}

/// A leased job's record; `scripts/exchange.lua` writes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leased<'a> {
    pub(super) starts: u32,
    pub(super) owner: &'a str,
    /// With commas.
    pub(super) others: &'a str,
    pub(super) deadline: Millis,
    pub(super) fence: u64,
    pub(super) until: Millis,
    pub(super) payload: &'a str,
}

impl<'a> Leased<'a> {
    /// Nothing for what is no such record.
    pub(super) fn read(record: &'a str) -> Option<Self> {
        let mut fields = record.splitn(7, ';');
        let starts = fields.next()?.strip_prefix('l')?.parse().ok()?;
        let (owner, others) = (fields.next()?, fields.next()?);
        let deadline = fields.next()?.parse().ok()?;
        let _enqueued = fields.next()?;
        let mut hold = fields.next()?.splitn(3, ',');
        let (fence, until) = (hold.next()?.parse().ok()?, hold.next()?.parse().ok()?);
        Some(Self { starts, owner, others, deadline, fence, until, payload: fields.next()? })
    }
}

/// A dead job's record; `scripts/parts/books.lua` writes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grave<'a> {
    pub(super) starts: u32,
    pub(super) died_at: Millis,
    pub(super) deadline: Millis,
    pub(super) cause: &'a str,
    pub(super) payload: &'a str,
}

impl<'a> Grave<'a> {
    /// Nothing for what is no such record.
    pub(super) fn read(record: &'a str) -> Option<Self> {
        let mut fields = record.splitn(5, ';');
        let starts = fields.next()?.parse().ok()?;
        let died_at = fields.next()?.parse().ok()?;
        let deadline = fields.next()?.parse().ok()?;
        let length: usize = fields.next()?.parse().ok()?;
        let (cause, payload) = fields.next()?.split_at_checked(length)?;
        Some(Self { starts, died_at, deadline, cause, payload })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload() -> impl Strategy<Value = JobPayload> {
        let wanted = prop_oneof![
            Just(Wanted::All),
            proptest::collection::vec("[a-z;~]{0,4}", 0..3).prop_map(Wanted::Files)
        ];
        let mode = prop_oneof![Just(Mode::Manual), Just(Mode::Automatic), Just(Mode::Specific)];
        let at = || {
            (-1_000_000_000_000i64..4_000_000_000_000, 0u32..2)
                .prop_map(|(millis, odd)| instant(millis) + chrono::Duration::microseconds(i64::from(odd)))
        };
        ("[!-~]{1,30}", at(), at(), wanted, mode).prop_map(|(uuid, started_at, deadline, wanted, mode)| {
            JobPayload {
                uuid: MeetingUuid::parse(&uuid).expect("printable"),
                started_at,
                deadline,
                wanted,
                mode,
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_packed_is_the_same_payload(payload in payload()) {
            let (deadline, packed) = (payload.deadline.timestamp_millis(), pack(&payload));
            prop_assert_eq!(read(&payload.uuid, deadline, &packed), Ok(payload.clone()));
            prop_assert_eq!(JobPayload::decode(&unpack(&payload.uuid, deadline, &packed)), Ok(payload));
        }
    }

    #[test]
    fn what_is_not_packed_stays_as_it_is() {
        let uuid = MeetingUuid::parse("abc").expect("a UUID");
        for text in ["", "~", "~x1", "~m", "~m1x", "{\"v\":9}"] {
            assert_eq!(unpack(&uuid, 0, text), text);
        }
    }

    #[test]
    fn a_leased_job_is_read_back() {
        let job = Leased {
            starts: 2,
            owner: "A",
            others: "B,C",
            deadline: -5,
            fence: 7,
            until: 99,
            payload: "{;}",
        };
        assert_eq!(Leased::read("l2;A;B,C;-5;17;7,99,host-1-a;{;}"), Some(job));
        for odd in ["", "r2;A;;-5;17;;x", "l2;A;;-5;17;7;x", "l2;A;;-5;17;7,99,h"] {
            assert_eq!(Leased::read(odd), None);
        }
    }

    #[test]
    fn a_grave_is_read_back() {
        let grave = Grave { starts: 3, died_at: 17, deadline: -5, cause: "{;}", payload: "~m;1" };
        assert_eq!(Grave::read("3;17;-5;3;{;}~m;1"), Some(grave));
        for odd in ["", "3;17;-5;9;{}", "x;1;1;0;"] {
            assert_eq!(Grave::read(odd), None);
        }
    }
}
