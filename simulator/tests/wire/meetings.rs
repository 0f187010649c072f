use recapture_simulator::{Endpoint, FileSpec, Scenario};
use serde_json::Value;

use crate::client::{Account, encode, refusal, scenario};

#[tokio::test]
async fn metadata_is_found_by_the_rightly_encoded_uuid_only() {
    let account = Account::start(scenario()).await;
    for meeting in account.simulator.truth() {
        let found: Value = account.metadata(&meeting.uuid).send().await.unwrap().json().await.unwrap();
        assert_eq!(found["uuid"], meeting.uuid);
        let (once, twice) = (encode(&meeting.uuid), encode(&encode(&meeting.uuid)));
        let awkward = meeting.uuid.starts_with('/') || meeting.uuid.contains("//");
        let wrong = if awkward { once } else { twice };
        let request = account.get(&format!("/past_meetings/{wrong}/archive_files"));
        assert_eq!(refusal(request).await, (404, 3001), "{}", meeting.uuid);
    }
    assert_eq!(account.simulator.counts().answers(Endpoint::Metadata, 404), 20);
}

#[tokio::test]
async fn metadata_is_the_same_object_as_the_list_has() {
    let account = Account::start(Scenario { breakout_rooms: 0.3, attachments: 0.5, ..scenario() }).await;
    for listed in account.list().await {
        let uuid = listed["uuid"].as_str().unwrap();
        let read: Value = account.metadata(uuid).send().await.unwrap().json().await.unwrap();
        assert_eq!(read, listed);
    }
}

#[tokio::test]
async fn a_gone_meeting_is_listed_but_unknown() {
    let account = Account::start(Scenario { gone_meetings: 0.1, ..scenario() }).await;
    assert_eq!(account.list().await.len(), 20);
    let gone: Vec<_> = account.simulator.truth().filter(|meeting| meeting.gone).collect();
    assert_eq!(gone.len(), 2);
    for meeting in gone {
        assert_eq!(refusal(account.metadata(&meeting.uuid)).await, (404, 3001));
    }
}

#[tokio::test]
async fn an_archive_completes_by_being_read() {
    let account = Account::start(Scenario { processing: 1.0, processing_reads: 2, ..scenario() }).await;
    for _ in 0..2 {
        let meeting = account.meeting(0).await;
        assert_eq!((&meeting["status"], &meeting["complete_time"]), (&"processing".into(), &"".into()));
        assert_eq!(meeting["total_size"], 0);
        let file = &meeting["archive_files"][0];
        assert_eq!((&file["status"], &file["file_size"]), (&"processing".into(), &0.into()));
        assert_eq!(file["download_url"], "");
    }
    let meeting = account.meeting(0).await;
    assert_eq!(meeting["status"], "completed");
    assert_ne!(meeting["complete_time"], "");
    assert_ne!(meeting["archive_files"][0]["download_url"], "");
    assert_eq!(account.meeting(1).await["status"], "processing");
}

#[tokio::test]
async fn external_meetings_hide_who_and_what() {
    let account = Account::start(Scenario { external: 1.0, ..scenario() }).await;
    let meeting = account.meeting(0).await;
    assert_eq!(meeting["meeting_type"], "external");
    for removed in ["id", "host_id", "topic"] {
        assert!(meeting.get(removed).is_none(), "{removed}");
    }
}

#[tokio::test]
async fn breakout_rooms_name_their_parent() {
    let account = Account::start(Scenario { breakout_rooms: 0.5, ..scenario() }).await;
    let meetings = account.list().await;
    let rooms: Vec<_> = meetings.iter().filter(|meeting| meeting["type"] == 100).collect();
    assert!(!rooms.is_empty());
    for room in rooms {
        assert_eq!(room["is_breakout_room"], true);
        let parent = meetings.iter().find(|meeting| meeting["uuid"] == room["parent_meeting_id"]).unwrap();
        assert_eq!(parent["id"], room["id"]);
    }
}

#[tokio::test]
async fn a_number_leads_to_its_instances() {
    let account = Account::start(Scenario { recurring: 1.0, webinars: 0.0, ..scenario() }).await;
    let meetings = account.list().await;
    let number = meetings[0]["id"].as_u64().unwrap();
    let same: Vec<_> =
        meetings.iter().filter(|meeting| meeting["id"] == number).map(|m| &m["uuid"]).collect();
    assert_eq!(same.len(), 5);
    let request = account.get(&format!("/past_meetings/{number}/instances"));
    let found: Value = request.send().await.unwrap().json().await.unwrap();
    let found: Vec<_> = found["meetings"].as_array().unwrap().iter().map(|m| &m["uuid"]).collect();
    assert_eq!(found, same);
    assert_eq!(refusal(account.get("/past_meetings/12345678901/instances")).await, (404, 3001));
}

#[tokio::test]
async fn exactly_the_files_that_were_asked_for() {
    let files = vec![
        FileSpec::exactly("MP4", 2 << 30),
        FileSpec::exactly("M4A", 70_000),
        FileSpec::exactly("CC", 999),
    ];
    let account = Account::start(Scenario { files, ..scenario() }).await;
    let meeting = account.meeting(3).await;
    let sizes: Vec<_> = meeting["archive_files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["file_size"].as_u64().unwrap())
        .collect();
    assert_eq!(sizes, [2 << 30, 70_000, 999]);
    assert_eq!(meeting["total_size"], (2u64 << 30) + 70_999);
    // Beyond the limit a fingerprint is some other hex.
    let fingerprint = meeting["archive_files"][0]["encryption_fingerprint"].as_str().unwrap();
    assert!(fingerprint.len() == 64 && fingerprint.bytes().all(|digit| digit.is_ascii_hexdigit()));
}
