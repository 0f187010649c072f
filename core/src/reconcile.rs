//! Listed × captured → a verdict for each meeting. Pure.
//!
//! A meeting matches its contact by UUID and by nothing else: numbers repeat over recurring instances, and external
//! meetings have neither number, host nor topic. Breakout rooms and webinars are meetings of their own.

use std::collections::HashSet;

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::contact::{Contact, MediaState};
use crate::meeting::{FileState, Meeting, MeetingKind};

/// What the comparison says of one listed meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The platform has it whole.
    Present,
    /// The platform has it, but lacks these files (ids) that Zoom has completed.
    Incomplete { lacking: Vec<String> },
    /// The platform does not have it.
    Missing,
    /// Legitimately absent, by the named rule.
    Excluded { rule: &'static str },
    /// The comparison could not be made; never counted as missing.
    Indeterminate { why: String },
}

/// What the platform answered for one meeting.
#[derive(Debug, Clone, PartialEq)]
pub enum Captured {
    Contact(Box<Contact>),
    /// The platform answered, and it has no such contact.
    Nothing,
    /// The platform could not say.
    Unknown {
        why: String,
    },
}

/// Which meetings the platform does not want: their absence is no loss.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Shorter meetings are excluded; zero excludes none.
    pub minimum_length: Duration,
    /// Ids of hosts.
    pub hosts: Vec<String>,
    /// Ids of user groups.
    pub groups: Vec<String>,
    pub kinds: Vec<MeetingKind>,
    /// What was archived, or ended, after this instant may still be on its way to the platform.
    pub settled: Option<DateTime<Utc>>,
}

impl Rules {
    /// The name of the first rule that a meeting falls under. What Zoom does not say excludes nothing.
    pub fn excluding(&self, meeting: &Meeting) -> Option<&'static str> {
        let too_short = |seconds| Duration::from_secs(seconds) < self.minimum_length;
        if self.kinds.contains(&meeting.kind) {
            return Some("exclude.kinds");
        }
        if meeting.host_id.as_ref().is_some_and(|host| self.hosts.contains(host)) {
            return Some("exclude.hosts");
        }
        if meeting.group_id.as_ref().is_some_and(|group| self.groups.contains(group)) {
            return Some("exclude.groups");
        }
        if meeting.duration_seconds.is_some_and(too_short) {
            return Some("exclude.minimum_length");
        }
        let fresh = |settled| meeting.archived_at.or(meeting.ended_at()).is_some_and(|at| at > settled);
        self.settled.is_some_and(fresh).then_some("automatic.settle")
    }
}

/// Compares one meeting with what the platform has. What the platform has is never excluded: a rule explains an
/// absence, it does not hide a contact.
pub fn compare(meeting: &Meeting, captured: &Captured, rules: &Rules) -> Verdict {
    match captured {
        Captured::Unknown { why } => Verdict::Indeterminate { why: why.clone() },
        Captured::Nothing => match rules.excluding(meeting) {
            Some(rule) => Verdict::Excluded { rule },
            None => Verdict::Missing,
        },
        Captured::Contact(contact) if contact.media.is_empty() => Verdict::Present,
        Captured::Contact(contact) => {
            let lacking = lacking_files(meeting, contact);
            if lacking.is_empty() { Verdict::Present } else { Verdict::Incomplete { lacking } }
        }
    }
}

/// Files that Zoom has completed and the contact does not hold as available. What Zoom is still making, or failed
/// to make, is not lacking yet; a contact whose file was once `unavailable` lacks it as soon as Zoom has it.
fn lacking_files(meeting: &Meeting, contact: &Contact) -> Vec<String> {
    let held: HashSet<&str> = contact
        .media
        .iter()
        .filter(|media| media.state == MediaState::Available)
        .map(|media| media.file_id.as_str())
        .collect();
    meeting
        .files
        .iter()
        .filter(|file| file.state == FileState::Completed && file.download_url.is_some())
        .filter(|file| !held.contains(file.id.as_str()))
        .map(|file| file.id.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::{Media, SOURCE};
    use crate::meeting::{ArchiveFile, ArchiveState, MeetingUuid};

    fn file(id: &str, state: FileState) -> ArchiveFile {
        ArchiveFile {
            id: id.to_owned(),
            file_type: "MP4".to_owned(),
            extension: "mp4".to_owned(),
            size: Some(1),
            state,
            download_url: (state == FileState::Completed).then(|| "https://zoom.us/x".to_owned()),
            fingerprint: None,
            number_of_messages: None,
            participant_email: None,
        }
    }

    fn meeting(files: Vec<ArchiveFile>) -> Meeting {
        Meeting {
            uuid: MeetingUuid::parse("a==").expect("a UUID"),
            number: None,
            host_id: Some("host".to_owned()),
            group_id: Some("group".to_owned()),
            topic: None,
            kind: MeetingKind::Webinar,
            external: true,
            started_at: None,
            duration_seconds: Some(59),
            archived_at: None,
            archive: ArchiveState::Completed,
            parent: None,
            files,
            recording_count: None,
            unnamed_files: 0,
            raw: serde_json::Value::Null,
        }
    }

    fn contact(media: &[(&str, MediaState)]) -> Captured {
        let media = media.iter().map(|(id, state)| Media {
            file_id: (*id).to_owned(),
            file_type: None,
            kind: None,
            size: None,
            sha256: None,
            state: *state,
        });
        Captured::Contact(Box::new(Contact {
            source: SOURCE.to_owned(),
            source_id: "a==".to_owned(),
            started_at: DateTime::UNIX_EPOCH,
            ended_at: None,
            topic: None,
            host: None,
            participants: Vec::new(),
            run_id: None,
            buffer_path: None,
            media: media.collect(),
        }))
    }

    #[test]
    fn a_meeting_is_present_incomplete_or_missing_by_its_uuid_and_files() {
        use FileState::{Completed, Failed, Processing};
        use MediaState::{Available, Unavailable};
        let two = meeting(vec![file("1", Completed), file("2", Completed)]);
        let lacking =
            |ids: &[&str]| Verdict::Incomplete { lacking: ids.iter().map(|id| (*id).to_owned()).collect() };
        let rules = Rules::default();
        for (listed, captured, verdict) in [
            (&two, Captured::Nothing, Verdict::Missing),
            (&two, contact(&[]), Verdict::Present),
            (&two, contact(&[("1", Available), ("2", Available)]), Verdict::Present),
            (&two, contact(&[("1", Available)]), lacking(&["2"])),
            (&two, contact(&[("1", Available), ("2", Unavailable)]), lacking(&["2"])),
            (
                &meeting(vec![file("1", Completed), file("2", Processing)]),
                contact(&[("1", Available)]),
                Verdict::Present,
            ),
            (
                &meeting(vec![file("1", Completed), file("2", Failed)]),
                contact(&[("1", Available)]),
                Verdict::Present,
            ),
            (&meeting(vec![]), contact(&[("1", Available)]), Verdict::Present),
            (
                &two,
                Captured::Unknown { why: "cut".to_owned() },
                Verdict::Indeterminate { why: "cut".to_owned() },
            ),
        ] {
            assert_eq!(compare(listed, &captured, &rules), verdict);
        }
    }

    #[test]
    fn a_rule_explains_an_absence_and_hides_no_contact() {
        let listed = meeting(vec![file("1", FileState::Completed)]);
        for (rules, rule) in [
            (Rules { minimum_length: Duration::from_secs(60), ..Rules::default() }, "exclude.minimum_length"),
            (Rules { hosts: vec!["host".to_owned()], ..Rules::default() }, "exclude.hosts"),
            (Rules { groups: vec!["group".to_owned()], ..Rules::default() }, "exclude.groups"),
            (Rules { kinds: vec![MeetingKind::Webinar], ..Rules::default() }, "exclude.kinds"),
        ] {
            assert_eq!(compare(&listed, &Captured::Nothing, &rules), Verdict::Excluded { rule });
            assert_eq!(compare(&listed, &contact(&[("1", MediaState::Available)]), &rules), Verdict::Present);
        }
        let unsaid = Meeting { duration_seconds: None, host_id: None, group_id: None, ..listed };
        let rules = Rules {
            minimum_length: Duration::from_secs(60),
            hosts: vec!["host".to_owned()],
            groups: vec!["group".to_owned()],
            ..Rules::default()
        };
        assert_eq!(compare(&unsaid, &Captured::Nothing, &rules), Verdict::Missing);
    }
}
