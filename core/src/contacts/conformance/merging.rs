//! Registering what is there already: fields and files merge, and nothing is lost.

use std::collections::BTreeMap;

use chrono::Duration;
use fastrand::Rng;

use super::bench::{at, bare, find, full, media, register};
use crate::contact::{Contact, Media, MediaState};
use crate::contacts::{Contacts, Registered};
use crate::meeting::FileKind;

pub async fn registering_again_changes_nothing(contacts: &Contacts) {
    assert_eq!(register(contacts, &full("a==")).await, Registered::Created);
    assert_eq!(register(contacts, &full("a==")).await, Registered::Merged);
    assert_eq!(find(contacts, "a==").await, Some(full("a==")));
    // What says less takes nothing away.
    let less = bare("a==", full("a==").started_at);
    assert_eq!(register(contacts, &less).await, Registered::Merged);
    assert_eq!(find(contacts, "a==").await, Some(full("a==")));
}

pub async fn media_merge_by_file(contacts: &Contacts) {
    let with = |media: Vec<Media>| Contact { media, ..bare("a==", at("2026-10-01")) };
    let gone = Media { state: MediaState::Unavailable, ..media("2", 0) };
    register(contacts, &with(vec![media("2", 7), media("1", 7)])).await;
    register(contacts, &with(vec![media("3", 1), gone.clone(), media("3", 2)])).await;
    let found = find(contacts, "a==").await.expect("it is there");
    assert_eq!(found.media, [gone, media("1", 7), media("3", 2)]);
}

pub async fn registering_from_many_sides_loses_no_file(contacts: &Contacts) {
    let from_one_side = |number: u64| {
        let media = vec![media(&number.to_string(), number)];
        async move { register(contacts, &Contact { media, ..bare("a==", at("2026-10-01")) }).await }
    };
    let done = futures_util::future::join_all((0..24).map(from_one_side)).await;
    assert_eq!(done.iter().filter(|registered| **registered == Registered::Created).count(), 1);
    assert_eq!(find(contacts, "a==").await.expect("it is there").media.len(), 24);
}

/// Whatever is registered in whatever order, each member ends where `Contact::merge` does.
pub async fn members_merge_as_contacts_do(contacts: &Contacts) {
    let seed = fastrand::u64(..);
    let chance = &mut Rng::with_seed(seed);
    let mut expected: BTreeMap<String, Contact> = BTreeMap::new();
    for _ in 0..150 {
        let contact = some_contact(chance);
        register(contacts, &contact).await;
        let start = || Contact { media: Vec::new(), ..contact.clone() };
        expected.entry(contact.source_id.clone()).or_insert_with(start).merge(contact);
    }
    for contact in expected.values() {
        let found = find(contacts, &contact.source_id).await;
        assert_eq!(found.as_ref(), Some(contact), "seed {seed}");
    }
}

/// One of few contacts with some of what one can have.
fn some_contact(chance: &mut Rng) -> Contact {
    let id = format!("{}/==", chance.u8(..30));
    Contact {
        ended_at: chance.bool().then(|| at("2026-10-02") + Duration::milliseconds(chance.i64(0..9))),
        topic: some_text(chance),
        host: some_text(chance),
        participants: (0..chance.usize(..3)).filter_map(|_| some_text(chance)).collect(),
        run_id: some_text(chance),
        media: (0..chance.usize(..4)).map(|_| some_media(chance)).collect(),
        ..bare(&id, at("2026-10-01") + Duration::microseconds(chance.i64(0..3)))
    }
}

fn some_text(chance: &mut Rng) -> Option<String> {
    let length = chance.usize(..5);
    // PostgreSQL has no NUL; what becomes of one is told where it is replaced.
    chance.bool().then(|| std::iter::repeat_with(|| chance.char('\u{1}'..)).take(length).collect())
}

fn some_media(chance: &mut Rng) -> Media {
    Media {
        file_id: chance.char('a'..='c').to_string(),
        file_type: None,
        kind: chance.choice([None, Some(FileKind::Text), Some(FileKind::Audio)]).flatten(),
        size: chance.bool().then(|| chance.u64(..3)),
        sha256: None,
        state: if chance.bool() { MediaState::Available } else { MediaState::Unavailable },
    }
}
