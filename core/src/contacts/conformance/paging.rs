//! Pages hold each contact of the period, once.

use chrono::Duration;

use super::bench::{at, bare, full, october, register, walk};
use crate::contact::Contact;
use crate::contacts::Contacts;
use crate::period::Period;

pub async fn pages_neither_lose_nor_repeat_contacts_that_began_at_the_same_instant(contacts: &Contacts) {
    let mut expected = Vec::new();
    for (second, count) in [(0, 3), (1, 11), (2, 1)] {
        for number in 0..count {
            // Byte for byte: in the order of a dictionary, case and signs would come last.
            let id = format!("{second}/{number:02}{}==", ["A", "B+", "a", "a/"][number % 4]);
            let contact = bare(&id, at("2026-10-01") + Duration::seconds(second));
            register(contacts, &Contact { media: full(&id).media, ..contact }).await;
            expected.push(id);
        }
    }
    for id in ["3/B", "3/a"] {
        register(contacts, &bare(id, at("2026-10-02"))).await;
        expected.push(id.to_owned());
    }
    for limit in [1, 2, 4, 5, 16, 17, 18, 1000] {
        assert_eq!(walk(contacts, october(), limit).await, expected, "{limit}");
    }
    let whole = contacts.page(october(), 17, None).await.expect("a page");
    assert_eq!(whole.next_cursor, None);
    assert!(whole.contacts.iter().take(15).all(|contact| contact.media.len() == 2));
}

pub async fn a_period_holds_its_beginning_and_not_its_end(contacts: &Contacts) {
    for instant in ["2026-09-30T23:59:59.999Z", "2026-10-01", "2026-10-31T23:59:59.999Z", "2026-11-01"] {
        register(contacts, &bare(instant, at(instant))).await;
    }
    assert_eq!(walk(contacts, october(), 10).await, ["2026-10-01", "2026-10-31T23:59:59.999Z"]);
    let later = Period::new(at("2027-01-01"), at("2027-02-01")).expect("a period");
    assert!(walk(contacts, later, 10).await.is_empty());
}
