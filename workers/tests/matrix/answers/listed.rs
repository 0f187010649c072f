//! Metadata that are not what they should be, and names that lead elsewhere.

use recapture_core::buffer::conformance::server::S3Server;
use recapture_core::buffer::{FileRecordState, ManifestState, file_name};

use super::*;

const TEXT: &[u8] = b"WEBVTT\n\nGood morning.\n";

/// Nothing that Zoom has is passed over in silence.
#[tokio::test]
async fn a_meeting_with_files_that_nobody_can_name_is_never_complete() {
    let good = || listed("text", "CC", "VTT", Some(TEXT.len()));
    let nameless = || {
        let mut file = good();
        file["id"] = Value::Null;
        file
    };
    for (files, count, unnamed) in [
        (vec![good(), nameless()], 2, 1),
        (vec![good()], 3, 2),
        (vec![good(), nameless()], 4, 3),
        (vec![good()], 1, 0),
    ] {
        let answer = move |base: &str, _: &Asked| {
            let mut meeting = meeting(UUID, base, &files);
            meeting["recording_count"] = json!(count);
            json_reply(&meeting)
        };
        let zoom = OneMeeting::start(UUID, answer, |_| whole(200, "", TEXT)).await;
        // Once more over what stands there: nothing is added or lost.
        for _ in 0..2 {
            let ended = zoom.recover().await.unwrap();
            assert_eq!((ended.outcome, ended.files), (Outcome::Recovered, 1));
            let lacking = ended.file_ends.iter().filter_map(|file| file.unavailable.as_ref());
            assert!(lacking.clone().all(|cause| cause.reason.as_str() == "zoom_unreadable"));
            assert_eq!(lacking.count(), unnamed);
            let manifest = zoom.manifest().await;
            let state = if unnamed == 0 { ManifestState::Complete } else { ManifestState::Partial };
            assert_eq!((manifest.state, manifest.files.len()), (state, 1 + unnamed));
            assert_eq!(manifest.contact.media.len(), 1, "the platform hears of what has a name");
        }
        assert_eq!(zoom.downloads(), 1);
    }
}

#[tokio::test]
async fn a_page_that_says_404_is_not_zooms_word() {
    let page = |_: &str, _: &Asked| whole(404, "Content-Type: text/html\r\n", b"<html>not found");
    let zoom = OneMeeting::start(UUID, page, |_| whole(200, "", TEXT)).await;
    assert_eq!(zoom.recover().await.unwrap_err().cause().reason.as_str(), "zoom_error");
    assert_eq!(zoom.reads(), 4, "once, and three times again");

    let unknown = |_: &str, _: &Asked| {
        whole(
            404,
            "Content-Type: application/json\r\n",
            br#"{"code":3001,"message":"Meeting does not exist."}"#,
        )
    };
    let zoom = OneMeeting::start(UUID, unknown, |_| whole(200, "", TEXT)).await;
    let ended = zoom.recover().await.unwrap();
    assert_eq!((ended.outcome, ended.cause.unwrap().reason.as_str()), (Outcome::Unavailable, "gone"));
    assert_eq!(zoom.reads(), 1);
}

/// Some need a UUID with one slash encoded twice, against the documented rule.
#[tokio::test]
async fn a_uuid_with_one_slash_is_asked_for_in_both_ways() {
    const SLASHED: &str = "ab/cdXy12QmuoKj4854875==";
    let answer = |base: &str, asked: &Asked| match asked.path.as_str() {
        "/v2/past_meetings/ab%2FcdXy12QmuoKj4854875%3D%3D/archive_files" => {
            whole(404, "Content-Type: application/json\r\n", br#"{"code":3001}"#)
        }
        "/v2/past_meetings/ab%252FcdXy12QmuoKj4854875%253D%253D/archive_files" => {
            metadata(SLASHED, base, &[listed("text", "CC", "VTT", Some(TEXT.len()))])
        }
        other => panic!("{other} was asked for"),
    };
    let zoom = OneMeeting::start(SLASHED, answer, |_| whole(200, "", TEXT)).await;
    zoom.recovered(TEXT).await;
    assert_eq!(zoom.reads(), 2);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read() {
    let endless = |_: &str, _: &Asked| {
        raw(200, "Content-Type: application/json\r\nContent-Length: 200000000\r\n", b"{")
    };
    let zoom = OneMeeting::start(UUID, endless, |_| whole(200, "", TEXT)).await;
    let error = zoom.recover().await.unwrap_err();
    assert_eq!(error.cause().reason.as_str(), "zoom_unreadable");
    assert!(error.to_string().contains("larger than 134217728 bytes"), "{error}");
}

const EVIL: &str = "../../../../../../etc/passwd";

/// Whatever Zoom calls things, they stand in the meeting's folder.
#[tokio::test]
async fn names_that_lead_elsewhere_stay_in_their_folder() {
    let long = "é".repeat(120);
    for uuid in [EVIL, long.as_str()] {
        let named = uuid.to_owned();
        let answer = move |base: &str, _: &Asked| {
            let ids = [EVIL, "/etc/passwd", "..", "manifest.json", "a.txt"];
            let files = ids.map(|id| listed(id, "CHAT", EVIL, Some(5)));
            let mut meeting = meeting(&named, base, &files);
            meeting["topic"] = json!(EVIL);
            json_reply(&meeting)
        };
        let zoom = OneMeeting::start(uuid, answer, |_| whole(200, "", b"hello")).await;
        let s3 = S3Server::start();
        let bucket = s3.bucket();
        let (api, contacts) = (format!("{}/v2", zoom.base), zoom.folder.path().join("contacts-too.db"));
        let place = s3.place(&bucket, "some/place");
        let in_store = crate::ports(&zoom.base, &api, Fingerprint::Record, &place, &contacts).await;
        // The object store of the tests keeps files beside its objects whose names would be too long.
        let both = if uuid == EVIL { vec![&zoom.ports, &in_store] } else { vec![&zoom.ports] };
        for ports in both {
            let ended = crate::recover(ports, uuid, 1).await.unwrap();
            assert_eq!((ended.outcome, ended.files), (Outcome::Recovered, 5));
            let manifest = ports.buffer.manifest(&zoom.meeting()).await.unwrap().unwrap().manifest;
            assert!(manifest.files.iter().all(|file| file.state == FileRecordState::Available));
            for file in &manifest.files {
                let name = file_name(&file.file_id, &file.file_extension);
                assert_eq!(file.path.as_ref(), Some(&name));
                let found = ports.buffer.read_file(&zoom.meeting(), &name).await.unwrap().unwrap();
                assert_eq!(found.sha256, sha256_of(b"hello"));
            }
        }
        let buffer = zoom.folder.path().join("buffer");
        let stored = std::fs::read_dir(buffer.join(zoom.meeting().as_str())).unwrap().count();
        assert_eq!(stored, 6, "five files and the manifest");
        let beside = std::fs::read_dir(zoom.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let beside: Vec<_> = beside.filter(|name| !name.to_string_lossy().starts_with("contacts")).collect();
        assert_eq!(beside, ["buffer"]);
    }
}
