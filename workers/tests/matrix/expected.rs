//! The table: which faults there are at which places, and what has to come of each.

use crate::STARTS;
use crate::script::{Fault, Place};

/// What has to come of a case: the meeting's end, the starts that it took, and what was asked of the place at fault.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) end: String,
    pub(crate) starts: u32,
    pub(crate) requests: u64,
    /// Bytes that were sent at that place.
    pub(crate) bytes: u64,
}

/// What has to happen to a file, by the fault. `size` is the file's.
pub(crate) fn expected_of_file(fault: Fault, always: bool, size: u64) -> Outcome {
    let recovered =
        |starts, requests, bytes| Outcome { end: "recovered".to_owned(), starts, requests, bytes };
    let ended = |end: &str, starts, requests, bytes| Outcome { end: end.to_owned(), starts, requests, bytes };
    // A start asks four times: once, and three times again.
    let four = u64::from(STARTS) * 4;
    match (fault, always) {
        (Fault::Refuse, false) => recovered(2, 1, size),
        (Fault::Refuse, true) => ended("network", STARTS, 0, 0),
        (Fault::Status(429 | 500 | 401) | Fault::Expired | Fault::Html | Fault::Reset, false) => {
            recovered(1, 2, size)
        }
        (Fault::Cut(_) | Fault::Stall | Fault::Empty, false) => recovered(1, 2, size),
        (Fault::Short, false) => recovered(1, 2, size - 9 + size),
        (Fault::Long, false) => recovered(1, 2, size + 9 + size),
        (Fault::Corrupt, false) => recovered(2, 2, 2 * size),
        (Fault::Corrupt, true) => {
            ended("fingerprint_differs", STARTS, u64::from(STARTS), u64::from(STARTS) * size)
        }
        (Fault::Status(429), true) => ended("throttled", STARTS, four, 0),
        (Fault::Status(500), true) => ended("zoom_error", STARTS, four, 0),
        (Fault::Expired, true) => ended("zoom_refused", STARTS, four, 0),
        (Fault::Html | Fault::Empty, true) => ended("not_the_file", STARTS, four, 0),
        (Fault::Short, true) => ended("not_the_file", STARTS, four, four * (size - 9)),
        (Fault::Long, true) => ended("not_the_file", STARTS, four, four * (size + 9)),
        // Continued where it broke off, and nothing more came; a start begins anew.
        (Fault::Cut(quarter), true) => {
            ended("truncated", STARTS, four, u64::from(STARTS) * (size * quarter / 4))
        }
        (Fault::Stall, true) => ended("stalled", STARTS, four, u64::from(STARTS) * (size / 2)),
        // New tokens and new addresses are refused as well.
        (Fault::Status(401), true) => ended("unauthorized", STARTS, 18, 0),
        // The head of the answer came.
        (Fault::Reset, true) => ended("truncated", STARTS, four, 0),
        (Fault::RedirectLoop, _) => ended("foreign_host", 1, 6, 0),
        (Fault::ForeignHost | Fault::Downgrade | Fault::PrivateHost | Fault::PrivateName, _) => {
            ended("foreign_host", 1, 1, 0)
        }
        (Fault::Status(other), _) => unreachable!("{other} is not in the table"),
    }
}

/// What may happen once to whatever is asked for.
const ONCE: [Fault; 15] = [
    Fault::Reset,
    Fault::Status(429),
    Fault::Status(500),
    Fault::Status(401),
    Fault::Cut(1),
    Fault::Cut(2),
    Fault::Cut(3),
    Fault::Cut(4),
    Fault::Stall,
    Fault::Short,
    Fault::Long,
    Fault::Html,
    Fault::Empty,
    Fault::Corrupt,
    Fault::Expired,
];

/// And each time.
const ALWAYS: [Fault; 15] = [
    Fault::Refuse,
    Fault::Reset,
    Fault::Status(429),
    Fault::Status(500),
    Fault::Status(401),
    Fault::Short,
    Fault::Long,
    Fault::Html,
    Fault::Empty,
    Fault::Corrupt,
    Fault::Expired,
    Fault::RedirectLoop,
    Fault::ForeignHost,
    Fault::PrivateHost,
    Fault::Downgrade,
];

pub(crate) fn of_files() -> Vec<(Fault, bool)> {
    with(&[Fault::Refuse], &[Fault::Cut(1), Fault::Cut(3), Fault::Stall, Fault::PrivateName])
}

/// Of the metadata and the listing: answers in JSON, which are asked for again as a whole.
pub(crate) fn of_answers() -> Vec<(Fault, bool)> {
    with(&[], &[Fault::Cut(2)])
}

fn with(once: &[Fault], always: &[Fault]) -> Vec<(Fault, bool)> {
    let each =
        |faults: &[Fault], always| faults.iter().map(move |fault| (*fault, always)).collect::<Vec<_>>();
    [each(once, false), each(&ONCE, false), each(always, true), each(&ALWAYS, true)].concat()
}

/// What has to come of an answer in JSON of `size` bytes. The listing's own patience is the producer's; here each of its
/// starts is one question.
pub(crate) fn expected_of_answer(at: Place, fault: Fault, always: bool, size: u64) -> Outcome {
    let partial = match fault {
        Fault::Cut(quarter) => (size * quarter / 4).min(size.saturating_sub(1)),
        Fault::Stall => size / 2,
        Fault::Short => size.saturating_sub(9),
        Fault::Long => size + 9,
        Fault::Corrupt => size,
        _ => 0,
    };
    // There is no address to renew: Zoom refuses.
    if fault == Fault::Expired {
        return Outcome { end: "zoom_refused".to_owned(), starts: 1, requests: 1, bytes: 0 };
    }
    let is_list = at == Place::List;
    if !always {
        // A token that is refused is replaced within the question.
        let starts = if is_list && fault != Fault::Status(401) { 2 } else { 1 };
        return Outcome { end: "recovered".to_owned(), starts, requests: 2, bytes: partial + size };
    }
    let a_start = if is_list { 1 } else { 4 };
    let twice = |end, requests| (end, STARTS, requests * u64::from(STARTS));
    let (end, starts, requests) = match fault {
        // What is away altogether halts the pool, after more patience than any other fault is given.
        Fault::Refuse => ("network", if is_list { STARTS } else { 1 }, 0),
        Fault::Reset | Fault::Cut(_) if !is_list => ("network", 1, 7),
        Fault::Reset | Fault::Cut(_) => twice("network", 1),
        Fault::Status(429) => twice("throttled", a_start),
        // Three new tokens are refused as well; so is the first one of the next question, and then it is the credentials.
        Fault::Status(401) => ("unauthorized", if is_list { 2 } else { 1 }, 5),
        // A redirect is no answer, and is followed nowhere.
        Fault::Status(500)
        | Fault::RedirectLoop
        | Fault::ForeignHost
        | Fault::PrivateHost
        | Fault::Downgrade => twice("zoom_error", a_start),
        Fault::Short | Fault::Long | Fault::Html | Fault::Empty | Fault::Corrupt => {
            twice("zoom_unreadable", a_start)
        }
        other => unreachable!("{other:?} is not in the table"),
    };
    Outcome { end: end.to_owned(), starts, requests, bytes: requests * partial }
}
