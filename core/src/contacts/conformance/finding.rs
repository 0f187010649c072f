//! What is registered is found, by its id and nothing else.

use chrono::{Duration, Utc};

use super::bench::{at, bare, find, full, media, october, register, walk};
use crate::contact::Contact;
use crate::contacts::{Contacts, ContactsError, LONGEST_ID, Registered};

pub async fn a_contact_is_found_as_it_was_registered_whatever_its_id_holds(contacts: &Contacts) {
    let longest = "é".repeat(LONGEST_ID);
    let ids = [
        "4444AAAiAAAAAiAiAiiAii==",
        "/ajXp112QmuoKj4854875==",
        "ab//cd+Xy12QmuoKj48548==",
        "ab/cd==",
        "//",
        "a%2Fb",
        "100%",
        "a+b",
        "a b",
        "a?b=c&d#e",
        "…/../x",
        "会議🙂",
        "'\"",
        "lookup",
        "a\\b",
        "A",
        "a",
        &longest,
    ];
    for id in ids {
        assert_eq!(find(contacts, id).await, None, "{id}");
        assert_eq!(register(contacts, &full(id)).await, Registered::Created, "{id}");
        assert_eq!(find(contacts, id).await, Some(full(id)), "{id}");
    }
    assert_eq!(contacts.lookup(&ids).await.expect("found").len(), ids.len());
    assert_eq!(walk(contacts, october(), 4).await.len(), ids.len());
}

pub async fn any_number_of_ids_can_be_looked_up(contacts: &Contacts) {
    let ids: Vec<String> = (0..2500).map(|id| format!("id/{id}==")).collect();
    for id in ids.iter().step_by(500) {
        register(contacts, &full(id)).await;
    }
    let mut wanted: Vec<&str> = ids.iter().map(String::as_str).collect();
    wanted.extend(["id/0==", "id/500=="]);
    let found = contacts.lookup(&wanted).await.expect("found");
    let mut found: Vec<_> = found.into_iter().map(|contact| contact.source_id).collect();
    found.sort();
    assert_eq!(found, ["id/0==", "id/1000==", "id/1500==", "id/2000==", "id/500=="]);
    assert!(contacts.lookup(&[]).await.expect("nothing is asked").is_empty());
}

pub async fn contacts_of_other_sources_are_not_ours(contacts: &Contacts) {
    let other = Contact { source: "teams".to_owned(), ..full("a==") };
    assert_eq!(register(contacts, &other).await, Registered::Created);
    assert_eq!(find(contacts, "a==").await, None);
    assert!(walk(contacts, october(), 10).await.is_empty());
    assert_eq!(register(contacts, &full("a==")).await, Registered::Created);
}

pub async fn what_is_no_contact_is_refused(contacts: &Contacts) {
    let error = contacts.register(&bare("", at("2026-10-01"))).await.expect_err("no id");
    assert!(matches!(error, ContactsError::NotAContact { .. }), "{error:?}");
    for (contact, words) in [
        (
            Contact { media: vec![media("1", u64::MAX)], ..bare("a", at("2026-10-01")) },
            "larger than any file",
        ),
        (bare(&"x".repeat(LONGEST_ID + 1), at("2026-10-01")), "255 characters"),
        (Contact { media: vec![media("a\0", 1)], ..bare("a", at("2026-10-01")) }, "255 characters"),
    ] {
        let error = contacts.register(&contact).await.expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
        assert!(matches!(error, ContactsError::NotAContact { .. } | ContactsError::Refused { .. }));
    }
    let error = contacts.page(october(), 10, Some("no cursor")).await.expect_err("no cursor");
    assert!(error.to_string().contains("no cursor of a page"), "{error}");
    assert!(walk(contacts, october(), 10).await.is_empty());
}

pub async fn a_check_says_what_it_found(contacts: &Contacts) {
    register(contacts, &bare("a==", Utc::now() - Duration::hours(1))).await;
    let found = contacts.check().await.expect("in order");
    let words = ["1 contact", "answers; contacts in the last 24 hours", "sessions in the last hour"];
    assert!(words.iter().any(|words| found.contains(words)), "{found}");
}
