#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

#[test]
fn an_answer_without_its_list_proves_nothing() {
    for wrong in [
        "{}",
        "null",
        "[]",
        r#"{"meetings": null, "total_records": 0}"#,
        r#"{"meetings": "x", "total_records": 0}"#,
        r#"{"meetings": {}}"#,
        r#"{"code": 500, "message": "Internal error"}"#,
    ] {
        assert!(read_page(wrong.as_bytes()).is_err(), "{wrong}");
    }
    let empty = read_page(br#"{"meetings": [], "total_records": 0}"#).unwrap();
    assert_eq!((empty.meetings.len(), empty.total_records), (0, Some(0)));
}

#[test]
fn an_archive_has_its_list_of_files_or_says_that_it_has_none() {
    let read = |rest: &str| read_meeting(format!(r#"{{"uuid": "a=="{rest}}}"#).as_bytes());
    for wrong in ["", r#", "archive_files": "x""#, r#", "archive_files": null, "recording_count": 2"#] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    assert_eq!(read(r#", "archive_files": []"#).unwrap().files, []);
    assert_eq!(read(r#", "archive_files": null, "recording_count": 0"#).unwrap().files, []);
}

#[test]
fn files_that_cannot_be_asked_for_are_counted() {
    let file = |id: &str| format!(r#"{{"id": {id}, "file_type": "MP4"}}"#);
    for (files, shared, count, unnamed) in [
        (vec![r#""a""#, r#""b""#], 0, "2", 0),
        (vec![r#""a""#, "null", r#""""#], 0, "3", 2),
        (vec![r#""a""#], 0, "3", 2),
        (vec![r#""a""#, "null"], 0, "3", 2),
        (vec![r#""a""#, r#""b""#], 0, "1", 0),
        (vec![r#""a""#, r#""b""#], 0, "null", 0),
        // Whether what is shared in the chat is counted nobody says.
        (vec![r#""a""#], 1, "1", 0),
        (vec![r#""a""#], 1, "2", 0),
        (vec![r#""a""#], 1, "4", 3),
    ] {
        let entries: Vec<String> = files.iter().map(|id| file(id)).collect();
        let shared = vec![r#"{"file_id": "p", "file_name": "p.png"}"#; shared];
        let text = format!(
            r#"{{"uuid": "a==", "recording_count": {count}, "archive_files": [{}], "physical_files": [{}]}}"#,
            entries.join(","),
            shared.join(",")
        );
        assert_eq!(read_meeting(text.as_bytes()).unwrap().unnamed_files, unnamed, "{text}");
    }
}

#[test]
fn what_may_open_something_is_not_kept() {
    let kept = read_meeting(
        br#"{"uuid": "a==", "topic": "t", "download_access_token": "s1", "archive_files":
            [{"id": "f", "download_url": "https://x/s2", "play_url": "https://x/s3"}], "next_page_token": "s4"}"#,
    );
    let kept = kept.unwrap().raw.to_string();
    for secret in ["s1", "s2", "s3", "s4"] {
        assert!(!kept.contains(secret), "{kept}");
    }
    assert!(kept.contains(r#""topic":"t""#), "{kept}");
}
