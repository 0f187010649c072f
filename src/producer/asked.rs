//! Listing by id: meetings that somebody names, each once, and all instances of a meeting number.
//!
//! Whether Zoom knows it or not, every different meeting that is asked for counts as *listed* once, and the platform
//! is asked for it by its UUID like any other. One that neither of them knows is *missing* and becomes a job like any
//! other: the worker finds it gone and ends it at once, as `unavailable`, or as `expired` where a deadline is known,
//! with Zoom's answer as the evidence. So the books balance without a rule of their own. A number of which Zoom knows
//! no instance is such a meeting, with the number in place of the UUID.
//!
//! The rules that exclude meetings do not apply: they explain why nobody misses a meeting, and this one is asked for.

use std::fmt;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use recapture_core::evidence::Entry;
use recapture_core::meeting::{ArchiveState, Meeting, MeetingKind, MeetingUuid};
use recapture_core::reconcile::Verdict;
use recapture_core::zoom::{Instance, ZoomError};
use tracing::info;

use super::compare::compare;
use super::page::record;
use super::persist::persist;
use super::seen::Seen;
use super::{Enumerated, Producer, ProducerError, Progress};

/// How many ids are taken to the queue in one step: the first jobs are under way while the rest is looked up.
const BATCH: usize = 100;

/// Requests to Zoom on their way at once; the limiter paces them.
const AT_ONCE: usize = 16;

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

/// Takes each meeting that is asked for once.
pub async fn enumerate_asked(producer: &Producer<'_>, asked: &[Asked]) -> Result<Enumerated, ProducerError> {
    let mut seen = Seen::default();
    let mut done = Enumerated::default();
    let batches = asked.chunks(BATCH);
    let slices = batches.len();
    for (slice, batch) in batches.enumerate() {
        // The futures are made before the stream: one made of borrowing closures could not be spawned.
        let looks: Vec<_> = batch.iter().map(|asked| instances(producer, asked)).collect();
        let named: Vec<Vec<Instance>> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
        let new = named.into_iter().flatten().filter(|instance| seen.is_new(&instance.uuid));
        let reads: Vec<_> = new.map(|instance| meeting(producer, instance)).collect();
        let looked_up: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        done.listed += looked_up.len() as u64;
        done.detected += take(producer, looked_up).await?;
        (producer.watch)(Progress {
            slice: slice + 1,
            slices,
            listing: "meetings asked for".to_owned(),
            listed: done.listed,
            detected: done.detected,
        });
    }
    Ok(done)
}

/// The meetings behind an id.
async fn instances(producer: &Producer<'_>, asked: &Asked) -> Result<Vec<Instance>, ProducerError> {
    let number = match asked {
        Asked::Meeting(uuid) => return Ok(vec![Instance { uuid: uuid.clone(), started_at: None }]),
        Asked::Number(number) => *number,
    };
    let mut found = match persist(producer, || producer.zoom.instances(number)).await {
        Err(ProducerError::Zoom(ZoomError::NotFound(_))) => Vec::new(),
        other => other?,
    };
    if found.is_empty() {
        info!(number, "Zoom knows no meeting of this number");
        let uuid = MeetingUuid::parse(&number.to_string()).expect("digits are printable");
        found.push(Instance { uuid, started_at: None });
    }
    let meetings = found.iter().map(|instance| instance.uuid.clone()).collect();
    record(producer, Entry::Instances { number, meetings }).await?;
    Ok(found)
}

/// The meeting with its files, or what is known of it without Zoom; and what stands against believing it.
async fn meeting(
    producer: &Producer<'_>,
    Instance { uuid, started_at }: Instance,
) -> Result<(Meeting, Option<String>), ProducerError> {
    // What Zoom says of one meeting must not stop the others. The worker is told the same, and records it.
    let (error, doubt) = match persist(producer, || producer.zoom.meeting(&uuid)).await {
        Ok(meeting) => return Ok((meeting, None)),
        Err(ProducerError::Zoom(error @ ZoomError::NotFound(_))) => (error, None),
        Err(ProducerError::Zoom(error @ (ZoomError::Refused(_) | ZoomError::Unreadable { .. }))) => {
            let doubt = error.to_string();
            (error, Some(doubt))
        }
        Err(other) => return Err(other),
    };
    info!(%uuid, %error, "Zoom does not give the meeting's metadata");
    Ok((unknown(uuid, started_at), doubt))
}

/// Compares and puts on the queue. Of a meeting that Zoom has and does not show nobody can say whether the platform has
/// it whole.
async fn take(
    producer: &Producer<'_>,
    looked_up: Vec<(Meeting, Option<String>)>,
) -> Result<u64, ProducerError> {
    if looked_up.is_empty() {
        return Ok(0);
    }
    let (meetings, doubts): (Vec<Meeting>, Vec<Option<String>>) = looked_up.into_iter().unzip();
    let asked_at = SystemTime::now();
    let mut verdicts = compare(producer, &meetings).await?;
    for (verdict, doubt) in verdicts.iter_mut().zip(doubts) {
        if *verdict == Verdict::Present
            && let Some(why) = doubt
        {
            *verdict = Verdict::Indeterminate { why };
        }
    }
    Ok(producer.put(&meetings, verdicts, [asked_at; 2]).await?.detected)
}

/// A meeting of which Zoom says nothing.
fn unknown(uuid: MeetingUuid, started_at: Option<DateTime<Utc>>) -> Meeting {
    Meeting {
        uuid,
        number: None,
        host_id: None,
        group_id: None,
        topic: None,
        kind: MeetingKind::Unknown(None),
        external: false,
        started_at,
        duration_seconds: None,
        archived_at: None,
        archive: ArchiveState::Unknown,
        parent: None,
        files: Vec::new(),
        recording_count: None,
        unnamed_files: 0,
        raw: serde_json::Value::Null,
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
