//! What the claims are made of: contacts, and short words for the usual steps.

use chrono::{DateTime, Utc};

use crate::contact::{Contact, Media, MediaState, SOURCE};
use crate::contacts::{Contacts, Registered};
use crate::meeting::FileKind;
use crate::period::{Period, parse_instant};

pub(super) fn at(text: &str) -> DateTime<Utc> {
    parse_instant(text).expect("an instant")
}

pub(super) fn october() -> Period {
    Period::new(at("2026-10-01"), at("2026-11-01")).expect("a period")
}

pub(super) fn bare(source_id: &str, started_at: DateTime<Utc>) -> Contact {
    Contact {
        source: SOURCE.to_owned(),
        source_id: source_id.to_owned(),
        started_at,
        ended_at: None,
        topic: None,
        host: None,
        participants: Vec::new(),
        run_id: None,
        buffer_path: None,
        media: Vec::new(),
    }
}

pub(super) fn media(file_id: &str, size: u64) -> Media {
    Media {
        file_id: file_id.to_owned(),
        file_type: Some("MP4".to_owned()),
        kind: Some(FileKind::Video),
        size: Some(size),
        sha256: Some("ab".repeat(32)),
        state: MediaState::Available,
    }
}

/// A contact with everything that one can have.
pub fn full(source_id: &str) -> Contact {
    Contact {
        ended_at: Some(at("2026-10-01T08:57:01Z")),
        topic: Some("Wöchentlich 会議 🙂 '; DROP TABLE contacts; --".to_owned()),
        host: Some("host".to_owned()),
        participants: vec!["a@example.com".to_owned(), "b@example.com".to_owned()],
        run_id: Some("01K".to_owned()),
        buffer_path: Some("meetings/2026/10/01/x".to_owned()),
        media: vec![media("0b7c", 372_118_004), media("/1//+=", 0)],
        ..bare(source_id, at("2026-10-01T08:00:04.123456Z"))
    }
}

pub(super) async fn register(contacts: &Contacts, contact: &Contact) -> Registered {
    contacts.register(contact).await.expect("registered")
}

pub(super) async fn find(contacts: &Contacts, source_id: &str) -> Option<Contact> {
    contacts.get(source_id).await.expect("looked up")
}

/// The ids of all pages of a period.
pub(super) async fn walk(contacts: &Contacts, period: Period, limit: u32) -> Vec<String> {
    let mut pages = contacts.pages(period, limit);
    let mut ids = Vec::new();
    while let Some(page) = pages.next().await.expect("a page") {
        assert!(page.len() <= limit as usize);
        ids.extend(page.into_iter().map(|contact| contact.source_id));
    }
    ids
}
