//! Whatever Zoom, or who passes for it, answers: the readers take it or refuse it, and do neither panic nor hang. Random
//! bytes rarely come far, so most cases are true answers that were damaged.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use proptest::sample::Index;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

use super::wire;
use crate::http;
use crate::meeting::MeetingUuid;

const MEETING: &str = r#"{"uuid":"/aB3dE//gHiJkL4mNoPqRg==","id":"864 1234","topic":"t","host_id":null,"type":"2",
"start_time":"2026-10-01T08:00:04Z","timezone":"","duration":57,"duration_in_second":3417,"complete_time":"",
"status":"completed","is_breakout_room":false,"total_size":1e3,"archive_files":[{"id":"f","file_type":"CHAT",
"file_extension":"TXT","file_size":"1024","download_url":"https://zoom.us/rec/archive/download/x","status":"completed",
"encryption_fingerprint":"abababab","number_of_messages":150,"individual":true,"participant_email":"a@example.com"}],
"physical_files":[{"file_id":"p","file_name":"a.png","file_size":5,"download_url":"https://zoom.us/x"}]}"#;

fn page() -> String {
    format!(
        r#"{{"from":"2026-10-01T00:00:00Z","to":"2026-10-02","page_size":300,"total_records":"1","next_page_token":"x","meetings":[{MEETING},{{}}]}}"#
    )
}

const INSTANCES: &str =
    r#"{"meetings":[{"uuid":"a==","start_time":"2026-10-01T08:00:04Z"},{"uuid":"","start_time":1}]}"#;

/// How a text is damaged: what stands at a place is replaced, removed or repeated.
#[derive(Debug, Clone)]
enum Damage {
    Put(Index, Vec<u8>),
    Cut(Index, usize),
    Repeat(Index, usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let scraps = prop::sample::select(vec![
        "null",
        "{}",
        "[]",
        "\"\"",
        "-1",
        "1e999",
        "99999999999999999999999",
        "true",
        "\\u0000",
        "\\ud800",
        "[[[[[[[[",
        "\"9999-99-99T99:99:99Z\"",
        ":",
        ",",
        "}",
        "]",
        "\u{202e}",
    ]);
    prop_oneof![
        (any::<Index>(), scraps).prop_map(|(at, scrap)| Damage::Put(at, scrap.as_bytes().to_vec())),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..6))
            .prop_map(|(at, bytes)| Damage::Put(at, bytes)),
        (any::<Index>(), 1_usize..80).prop_map(|(at, length)| Damage::Cut(at, length)),
        (any::<Index>(), 1_usize..60, 1_usize..40)
            .prop_map(|(at, length, times)| Damage::Repeat(at, length, times)),
    ]
}

fn damaged(text: &str, damages: Vec<Damage>) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        match damage {
            Damage::Put(at, scrap) => {
                let at = at.index(bytes.len());
                let end = (at + scrap.len()).min(bytes.len());
                bytes.splice(at..end, scrap);
            }
            Damage::Cut(at, length) => {
                let at = at.index(bytes.len());
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Damage::Repeat(at, length, times) => {
                let at = at.index(bytes.len());
                let piece = bytes[at..(at + length).min(bytes.len())].repeat(times);
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

#[test]
fn the_answers_that_are_damaged_are_read_when_they_are_whole() {
    assert_eq!(wire::read_page(page().as_bytes()).unwrap().meetings.len(), 1);
    assert_eq!(wire::read_meeting(MEETING.as_bytes()).unwrap().files.len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::fuzz_cases()))]

    #[test]
    fn fuzz_pages(damages in prop::collection::vec(damage(), 0..6)) {
        if let Ok(page) = wire::read_page(&damaged(&page(), damages)) {
            for meeting in &page.meetings {
                prop_assert!(!meeting.uuid.as_str().is_empty());
                let _ = (meeting.ended_at(), meeting.is_processing());
            }
        }
    }

    #[test]
    fn fuzz_metadata(damages in prop::collection::vec(damage(), 0..6)) {
        if let Ok(meeting) = wire::read_meeting(&damaged(MEETING, damages)) {
            let _ = meeting.ended_at();
            prop_assert!(meeting.files.iter().all(|file| !file.extension.starts_with('.')));
        }
    }

    #[test]
    fn fuzz_totals_instances_and_errors(damages in prop::collection::vec(damage(), 0..6), noise in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = wire::read_total(&damaged(r#"{"total_records":5,"statistics":{}}"#, damages.clone()));
        let _ = wire::read_total(&noise);
        let _ = wire::read_page(&noise);
        let _ = wire::read_meeting(&noise);
        let _ = wire::read_instances(&damaged(INSTANCES, damages));
    }

    #[test]
    fn fuzz_retry_after(text in prop_oneof!["[ -~]{0,40}", "[0-9]{1,30}", "-?[0-9]{1,9}(\\.[0-9])?",
        "[0-9]{1,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})",
        "(Mon|Fri), [0-9]{1,2} (Jan|Feb|Oct) [0-9]{1,6} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|[+-][0-9]{4})"]) {
        let now = DateTime::<Utc>::from_timestamp(1_790_000_000, 0).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(&text).unwrap());
        if let Some(at) = http::retry_after(&headers, now) && text.trim().parse::<u32>().is_ok() {
            prop_assert!(at >= now);
        }
    }

    /// Decoding gives the id back, and two ids never share a folder.
    #[test]
    fn fuzz_uuids(text in prop_oneof!["\\PC{0,300}", "[A-Za-z0-9/+=]{1,40}", "/{0,3}[a-zA-Z]{1,4}//?[./%_-]{0,4}={0,2}"],
                  other in "[A-Za-z/+_%=.-]{1,6}") {
        let Ok(uuid) = MeetingUuid::parse(&text) else { return Ok(()) };
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let segment = uuid.zoom_path_segment();
        prop_assert!(segment.is_ascii() && !segment.contains('/'));
        let once = decode(&segment);
        prop_assert!(once == text || decode(&once) == text);
        let key = uuid.folder_key();
        prop_assert!(!key.contains('/') && key != "." && key != ".." && !key.is_empty());
        if let Ok(other) = MeetingUuid::parse(&other) {
            let same = other.as_str().trim_end_matches('=') == text.trim_end_matches('=');
            prop_assert!(same || other.folder_key() != key, "{} {}", other.as_str(), text);
        }
    }
}
