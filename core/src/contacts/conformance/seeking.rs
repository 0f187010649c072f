//! What is looked for is found, also where a member can be asked by period alone.

use chrono::Duration;

use super::bench::{at, bare};
use crate::contact::Contact;
use crate::contacts::{Contacts, Found, Sought};

const START: &str = "2026-10-01T08:00:00Z";

/// Looks for meetings that lasted an hour.
async fn find(contacts: &Contacts, ids: &[&str]) -> Found {
    let held = Some((at(START), at(START) + Duration::hours(1)));
    let sought: Vec<Sought<'_>> = ids.iter().map(|source_id| Sought { source_id, held }).collect();
    contacts.find(&sought).await.expect("an answer")
}

fn ids(found: &Found) -> Vec<&str> {
    assert_eq!(found.unknown, []);
    let mut ids: Vec<&str> = found.contacts.iter().map(|contact| contact.source_id.as_str()).collect();
    ids.sort_unstable();
    ids
}

async fn register(contacts: &Contacts, id: &str, seconds: i64) {
    let contact = bare(id, at(START) + Duration::seconds(seconds));
    contacts.register(&contact).await.expect("registered");
}

pub async fn a_meeting_is_sought_by_its_id_whatever_that_holds(contacts: &Contacts) {
    let all = [
        "4444AAAiAAAAAiAiAiiAii==",
        "/ajXp112QmuoKj4854875==",
        "ab//cd+Xy12QmuoKj48548==",
        "//",
        "a%2Fb",
        "a b",
        "会議🙂",
        "'\"",
        "A",
        "a",
    ];
    assert_eq!(ids(&find(contacts, &all).await), Vec::<&str>::new());
    for (seconds, id) in (0..).zip(all) {
        register(contacts, id, seconds).await;
        assert_eq!(ids(&find(contacts, &[id]).await), [id]);
    }
    let mut sorted = all;
    sorted.sort_unstable();
    assert_eq!(ids(&find(contacts, &all).await), sorted);
    assert_eq!(ids(&find(contacts, &["B", "b"]).await), Vec::<&str>::new());
}

pub async fn any_number_of_meetings_can_be_sought(contacts: &Contacts) {
    let all: Vec<String> = (0..2500).map(|id| format!("id/{id}==")).collect();
    for id in all.iter().step_by(500) {
        register(contacts, id, 0).await;
    }
    let wanted: Vec<&str> = all.iter().map(String::as_str).collect();
    let found = find(contacts, &wanted).await;
    assert_eq!(ids(&found), ["id/0==", "id/1000==", "id/1500==", "id/2000==", "id/500=="]);
    assert_eq!(ids(&find(contacts, &[]).await), Vec::<&str>::new());
}

pub async fn what_was_registered_again_is_found_once(contacts: &Contacts) {
    for _ in 0..3 {
        register(contacts, "a==", 5).await;
    }
    assert_eq!(ids(&find(contacts, &["a==", "a=="]).await), ["a=="]);
}

pub async fn a_contact_of_another_source_is_not_what_is_sought(contacts: &Contacts) {
    let other = Contact { source: "teams".to_owned(), ..bare("a==", at(START)) };
    contacts.register(&other).await.expect("registered");
    assert_eq!(ids(&find(contacts, &["a=="]).await), Vec::<&str>::new());
}
