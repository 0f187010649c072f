//! When to look for which meetings, and what a search tells of each. Pure.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::search::Searched;
use super::sessions::Row;
use crate::contact::{Contact, Media, MediaState, SOURCE};
use crate::contacts::{Found, Sought, Unknown};
use crate::period::Period;

/// The meetings that are looked for, each with the time in which its sessions may have begun.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    windows: HashMap<&'a str, Period>,
    timeless: Vec<&'a str>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(sought: &[Sought<'a>], margin: Duration) -> Self {
        let mut wanted = Self { windows: HashMap::new(), timeless: Vec::new() };
        for meeting in sought {
            let window = meeting.held.and_then(|held| window(held, margin));
            match window {
                Some(window) => drop(wanted.windows.insert(meeting.source_id, window)),
                None => wanted.timeless.push(meeting.source_id),
            }
        }
        wanted
    }

    pub(super) fn has(&self, row: &Row) -> bool {
        row.key.as_deref().is_some_and(|key| self.windows.contains_key(key))
    }

    /// The windows, those that touch each other as one.
    pub(super) fn periods(&self) -> Vec<Period> {
        let mut windows: Vec<Period> = self.windows.values().copied().collect();
        windows.sort_unstable_by_key(|window| window.from);
        let mut periods: Vec<Period> = Vec::new();
        for window in windows {
            match periods.last_mut().filter(|last| window.from <= last.to) {
                Some(last) => last.to = last.to.max(window.to),
                None => periods.push(window),
            }
        }
        periods
    }

    /// What was found, and of what nobody can tell: not seen, or not seen whole, where an answer stayed cut.
    pub(super) fn judge(&self, searched: &Searched, files_are_told: bool) -> Found {
        let mut sessions = HashMap::<&str, Vec<&Row>>::new();
        for row in &searched.rows {
            let wanted = row.key.as_deref().and_then(|key| self.windows.get_key_value(key));
            if let Some((id, _)) = wanted {
                sessions.entry(id).or_default().push(row);
            }
        }
        let cut = &searched.cut;
        let mut found = Found::default();
        for (id, window) in &self.windows {
            let rows = sessions.remove(id);
            let piece = cut.iter().find(|piece| piece.from < window.to && window.from < piece.to);
            match (rows, piece) {
                (Some(rows), None) => found.contacts.push(contact(id, &rows, *window)),
                (Some(rows), Some(_)) if !files_are_told => found.contacts.push(contact(id, &rows, *window)),
                (None, None) => {}
                (_, Some(piece)) => found.unknown.push(Unknown {
                    source_id: (*id).to_owned(),
                    why: format!(
                        "the data access service cut its answer for {piece}, and for no smaller period can it be asked"
                    ),
                }),
            }
        }
        found.unknown.extend(self.timeless.iter().map(|id| Unknown {
            source_id: (*id).to_owned(),
            why: "nobody tells when it was held, and the Verint form is asked by period alone".to_owned(),
        }));
        found
    }
}

fn window((from, to): (DateTime<Utc>, DateTime<Utc>), margin: Duration) -> Option<Period> {
    let margin = chrono::Duration::from_std(margin).ok()?;
    let from = from.checked_sub_signed(margin)?;
    let to = to.max(from).checked_add_signed(margin)?;
    // Up to a whole second.
    Period::new(from, to.checked_add_signed(chrono::Duration::seconds(1))?).ok()
}

/// The contact of some sessions: from the start of the first to the end of the last.
fn contact(id: &str, sessions: &[&Row], window: Period) -> Contact {
    let started_at = sessions.iter().filter_map(|session| session.started_at).min();
    let files: BTreeSet<&String> = sessions.iter().filter_map(|session| session.file_id.as_ref()).collect();
    let media = |file_id: &String| Media {
        file_id: file_id.clone(),
        file_type: None,
        kind: None,
        size: None,
        sha256: None,
        state: MediaState::Available,
    };
    Contact {
        source: SOURCE.to_owned(),
        source_id: id.to_owned(),
        started_at: started_at.unwrap_or(window.from),
        ended_at: sessions.iter().filter_map(|session| session.ended_at).max(),
        topic: None,
        host: None,
        participants: Vec::new(),
        run_id: None,
        buffer_path: None,
        media: files.into_iter().map(media).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::parse_instant;

    fn at(text: &str) -> DateTime<Utc> {
        parse_instant(text).expect("an instant")
    }

    fn sought<'a>(id: &'a str, from: &str, to: &str) -> Sought<'a> {
        Sought { source_id: id, held: Some((at(from), at(to))) }
    }

    fn row(id: &str, file: Option<&str>) -> Row {
        let file_id = file.map(str::to_owned);
        Row { key: Some(id.to_owned()), started_at: None, ended_at: None, file_id }
    }

    #[test]
    fn windows_that_touch_are_one_question() {
        let margin = Duration::from_secs(900);
        let wanted = Wanted::new(
            &[
                sought("c", "2026-10-01T12:00:00Z", "2026-10-01T12:30:00Z"),
                sought("a", "2026-10-01T08:00:00Z", "2026-10-01T09:00:00Z"),
                sought("b", "2026-10-01T09:30:00Z", "2026-10-01T09:40:00Z"),
                Sought { source_id: "d", held: None },
            ],
            margin,
        );
        let periods: Vec<String> = wanted.periods().iter().map(ToString::to_string).collect();
        assert_eq!(
            periods,
            ["2026-10-01T07:45:00Z to 2026-10-01T09:55:01Z", "2026-10-01T11:45:00Z to 2026-10-01T12:45:01Z"]
        );
        assert_eq!(
            wanted.judge(&Searched::default(), false).unknown.len(),
            1,
            "without a time nothing can be told"
        );
    }

    #[test]
    fn where_an_answer_stays_cut_only_presence_is_proven() {
        let all = [
            sought("seen", "2026-10-01T08:00:00Z", "2026-10-01T08:10:00Z"),
            sought("unseen", "2026-10-01T08:00:00Z", "2026-10-01T08:10:00Z"),
            sought("elsewhere", "2026-10-01T18:00:00Z", "2026-10-01T18:10:00Z"),
        ];
        for (files_are_told, unknown) in [(false, &["unseen"][..]), (true, &["seen", "unseen"])] {
            let wanted = Wanted::new(&all, Duration::from_secs(60));
            let cut = Period::new(at("2026-10-01T08:09:00Z"), at("2026-10-01T08:10:30Z")).expect("a period");
            let rows = vec![row("seen", Some("1")), row("seen", Some("1")), row("nobody's", None)];
            let found = wanted.judge(&Searched { rows, cut: vec![cut] }, files_are_told);
            let mut told: Vec<&str> = found.unknown.iter().map(|of| of.source_id.as_str()).collect();
            told.sort_unstable();
            assert_eq!(told, unknown);
            assert_eq!(found.contacts.len(), 2 - unknown.len());
            assert!(found.contacts.iter().all(|contact| contact.media.len() == 1));
        }
    }
}
