use recapture_simulator::{Downloads, Endpoint, FileSpec, FileState, Scenario};
use serde_json::Value;

use crate::client::{Account, refusal, scenario, url};

fn with(downloads: Downloads) -> Scenario {
    Scenario { downloads, files: vec![FileSpec::exactly("MP4", 200_001)], ..scenario() }
}

#[tokio::test]
async fn every_file_arrives_as_it_is() {
    let account = Account::start(Scenario { meetings: 5, attachments: 1.0, ..scenario() }).await;
    for (meeting, truth) in account.list().await.iter().zip(account.simulator.truth()) {
        for (file, truth) in meeting["archive_files"].as_array().unwrap().iter().zip(&truth.files) {
            let answer = account.download(file["download_url"].as_str().unwrap()).await;
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.content_length(), Some(truth.size));
            assert_eq!(answer.bytes().await.unwrap(), account.simulator.file_bytes(&truth.id).unwrap());
            assert_eq!(account.simulator.file_count(&truth.id).completed, 1);
        }
        let attached = &meeting["physical_files"][0];
        let answer = account.download(attached["download_url"].as_str().unwrap()).await;
        assert_eq!(answer.headers()["content-type"], "image/png");
        let bytes = account.simulator.file_bytes(attached["file_id"].as_str().unwrap()).unwrap();
        assert_eq!(answer.bytes().await.unwrap(), bytes);
    }
    let counts = account.simulator.counts();
    assert_eq!(counts.downloads_started, counts.downloads_completed);
    assert_eq!((counts.files_fetched_twice(), counts.authorization_at_second_host), (0, 0));
}

#[tokio::test]
async fn the_token_is_needed_at_the_first_host_and_refused_at_the_second() {
    let account = Account::start(with(Downloads::default())).await;
    let url = url(&account.meeting(0).await);
    assert_eq!(refusal(account.http.get(&url)).await, (401, 124));

    let signed = account.signed_url(&url).await;
    assert!(signed.starts_with("http://localhost:") && url.starts_with("http://127.0.0.1:"));
    assert_eq!(account.first_hop(&signed).send().await.unwrap().status(), 403);
    let forged = signed.replace("Signature=", "Signature=0");
    assert_eq!(account.http.get(forged).send().await.unwrap().status(), 403);
    let counts = account.simulator.counts();
    assert_eq!((counts.authorization_at_second_host, counts.answers(Endpoint::Media, 403)), (1, 2));
    assert_eq!(counts.downloads_started, 0);
}

#[tokio::test]
async fn a_range_is_a_part_of_the_file() {
    let account = Account::start(with(Downloads::default())).await;
    let meeting = account.meeting(0).await;
    let id = meeting["archive_files"][0]["id"].as_str().unwrap();
    let whole = account.simulator.file_bytes(id).unwrap();
    let signed = account.signed_url(&url(&meeting)).await;
    let range = async |range: &str| account.http.get(&signed).header("range", range).send().await.unwrap();

    let part = range("bytes=100000-").await;
    assert_eq!((part.status().as_u16(), part.content_length()), (206, Some(100_001)));
    assert_eq!(part.headers()["content-range"], "bytes 100000-200000/200001");
    assert_eq!(part.bytes().await.unwrap(), whole[100_000..]);
    assert_eq!(range("bytes=7-9").await.bytes().await.unwrap(), whole[7..10]);
    let outside = range("bytes=200001-").await;
    assert_eq!(
        (outside.status().as_u16(), &outside.headers()["content-range"]),
        (416, &"bytes */200001".parse().unwrap())
    );
    assert_eq!(account.simulator.file_count(id).completed, 1);
}

#[tokio::test]
async fn ranges_and_lengths_can_be_withheld() {
    let account = Account::start(with(Downloads { ranges: false, ..Downloads::default() })).await;
    let signed = account.signed_url(&url(&account.meeting(0).await)).await;
    let answer = account.http.get(signed).header("range", "bytes=5-").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.content_length()), (200, Some(200_001)));

    let account = Account::start(with(Downloads { content_length: false, ..Downloads::default() })).await;
    let answer = account.download(&url(&account.meeting(0).await)).await;
    assert_eq!(answer.content_length(), None);
    assert_eq!(answer.bytes().await.unwrap().len(), 200_001);
}

#[tokio::test]
async fn other_ways_to_hand_out_a_file() {
    let account = Account::start(with(Downloads { direct: true, ..Downloads::default() })).await;
    let answer = account.first_hop(&url(&account.meeting(0).await)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.content_length()), (200, Some(200_001)));

    let elsewhere = Some("http://elsewhere.example/file".to_owned());
    let account = Account::start(with(Downloads { redirect_to: elsewhere, ..Downloads::default() })).await;
    assert_eq!(account.signed_url(&url(&account.meeting(0).await)).await, "http://elsewhere.example/file");

    let origin = Some("http://evil.example".to_owned());
    let account = Account::start(with(Downloads { origin, ..Downloads::default() })).await;
    assert!(url(&account.meeting(0).await).starts_with("http://evil.example/rec/archive/download/"));
}

#[tokio::test]
async fn a_gone_file_is_listed_but_not_there() {
    let account = Account::start(Scenario { gone_files: 1.0, ..scenario() }).await;
    let meeting = account.meeting(0).await;
    let truth = account.simulator.truth().next().unwrap();
    let at = truth.files.iter().position(|file| file.state == FileState::Gone).unwrap();
    let file = &meeting["archive_files"][at];
    assert_eq!(file["status"], "completed");
    assert_eq!(refusal(account.first_hop(file["download_url"].as_str().unwrap())).await.0, 404);
}

#[tokio::test]
async fn downloads_wait_while_they_are_held() {
    let account = Account::start(with(Downloads::default())).await;
    account.simulator.hold_downloads();
    let mut waiting = tokio::task::JoinSet::new();
    for index in 0..3 {
        let signed = account.signed_url(&url(&account.meeting(index).await)).await;
        waiting.spawn(account.http.get(signed).send());
    }
    account.simulator.wait_for(|counts| counts.downloads_started == 3).await;
    let counts = account.simulator.counts();
    assert_eq!((counts.downloads_now, counts.downloads_completed, counts.bytes_sent), (3, 0, 0));
    account.simulator.release_downloads();
    while let Some(answer) = waiting.join_next().await {
        assert_eq!(answer.unwrap().unwrap().bytes().await.unwrap().len(), 200_001);
    }
    let counts = account.simulator.counts();
    assert_eq!((counts.downloads_at_once, counts.downloads_completed), (3, 3));
    assert_eq!(counts.bytes_sent, 600_003);
}

#[tokio::test]
async fn the_remote_control_does_what_the_handle_does() {
    let account = Account::start(with(Downloads::default())).await;
    let control = account.simulator.control_url();
    let post = async |path: &str, body: &str| {
        let request =
            account.http.post(format!("{control}/{path}")).header("content-type", "application/json");
        request.body(body.to_owned()).send().await.unwrap().status().as_u16()
    };
    assert_eq!(post("faults", r#"{"server_error": 1}"#).await, 204);
    assert!(account.page("").send().await.unwrap().status().is_server_error());
    assert_eq!(post("faults", "{}").await, 204);
    assert_eq!(account.page("").send().await.unwrap().status(), 200);
    assert_eq!(post("faults", r#"{"server_eror": 1}"#).await, 422);
    assert_eq!(post("control", r#"{"das_up": false, "hold_downloads": false}"#).await, 204);
    assert!(account.das(reqwest::Method::GET, "/v1/contacts").send().await.is_err());

    let counts = account.http.get(format!("{control}/counts")).send().await.unwrap();
    let counts: Value = counts.json().await.unwrap();
    assert_eq!(counts["faults"]["server_error"], 1);
    assert_eq!(counts["requests"]["list"]["200"], 1);
    let truth = account.http.get(format!("{control}/truth")).send().await.unwrap().text().await.unwrap();
    let truth: Vec<Value> = truth.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(truth.len(), 20);
    assert_eq!(truth[0]["class"], "missing");
}
