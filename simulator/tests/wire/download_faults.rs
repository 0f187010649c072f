//! The faults of downloads, each alone and certain; and at the end all that are transient, together.

use recapture_simulator::{Downloads, Faults, Scenario};
use serde_json::Value;

use crate::client::{Account, refusal, scenario, url};
use crate::faults::{account, none};

/// The URL of the first meeting's file, got before anything goes wrong.
async fn struck_download(faults: Faults) -> (Account, String) {
    let account = account().await;
    let url = url(&account.meeting(0).await);
    account.simulator.set_faults(faults);
    (account, url)
}

/// The answer of the second hop, while only that one can be struck.
async fn struck_body(faults: Faults) -> (Account, reqwest::Response) {
    let account = account().await;
    let signed = account.signed_url(&url(&account.meeting(0).await)).await;
    account.simulator.set_faults(faults);
    let answer = account.http.get(signed).send().await.unwrap();
    (account, answer)
}

#[tokio::test]
async fn url_expired() {
    let (account, dead) = struck_download(Faults { url_expired: 1.0, ..none() }).await;
    assert_eq!(refusal(account.first_hop(&dead)).await, (403, 403));
    account.simulator.set_faults(none());
    assert_eq!(refusal(account.first_hop(&dead)).await, (403, 403), "the URL stays dead");
    let fresh = url(&account.meeting(0).await);
    assert_ne!(fresh, dead);
    assert_eq!(account.download(&fresh).await.status(), 200);
    assert_eq!(refusal(account.first_hop(&dead)).await, (403, 403), "also when there is a fresh one");
}

#[tokio::test]
async fn html_200() {
    let faults = Faults { html_200: 1.0, ..none() };
    let (account, url) = struck_download(faults).await;
    let first = account.first_hop(&url).send().await.unwrap();
    let (_account, second) = struck_body(faults).await;
    for answer in [first, second] {
        assert_eq!(answer.status(), 200);
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    }
}

#[tokio::test]
async fn cut_body() {
    let (account, mut answer) = struck_body(Faults { cut_body: 1.0, ..none() }).await;
    assert_eq!(answer.content_length(), Some(300_000));
    let mut got = 0;
    let error = loop {
        match answer.chunk().await {
            Ok(chunk) => got += chunk.expect("it must not end well").len(),
            Err(error) => break error,
        }
    };
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert!((1..300_000).contains(&got), "{got}");
    assert_eq!(account.simulator.counts().downloads_completed, 0);
}

#[tokio::test]
async fn a_body_without_a_length_is_cut_so_that_it_shows() {
    let downloads = Downloads { content_length: false, direct: true, ..Downloads::default() };
    let account = Account::start(Scenario { downloads, ..scenario() }).await;
    let url = url(&account.meeting(0).await);
    account.simulator.set_faults(Faults { cut_body: 1.0, ..none() });
    assert!(account.first_hop(&url).send().await.unwrap().bytes().await.is_err());
}

#[tokio::test]
async fn stalled_body() {
    let (account, mut answer) = struck_body(Faults { stalled_body: 1.0, ..none() }).await;
    assert!(!answer.chunk().await.unwrap().unwrap().is_empty());
    assert_eq!(account.simulator.counts().downloads_now, 1);
    drop(answer);
    account.simulator.wait_for(|counts| counts.downloads_now == 0).await;
    assert_eq!(account.simulator.counts().downloads_completed, 0);
}

#[tokio::test]
async fn short_body() {
    let (account, answer) = struck_body(Faults { short_body: 1.0, ..none() }).await;
    let declared = answer.content_length().unwrap();
    assert!(declared < 300_000);
    assert_eq!(answer.bytes().await.unwrap().len() as u64, declared);
    assert_eq!(account.simulator.counts().downloads_completed, 0);
}

#[tokio::test]
async fn corrupt() {
    let (account, answer) = struck_body(Faults { corrupt: 1.0, ..none() }).await;
    let got = answer.bytes().await.unwrap();
    let id = account.simulator.truth().next().unwrap().files[0].id.clone();
    let whole = account.simulator.file_bytes(&id).unwrap();
    assert_eq!(got.len(), whole.len());
    assert_eq!(got.iter().zip(&whole).filter(|(got, whole)| got != whole).count(), 1);
}

#[tokio::test]
async fn a_patient_client_gets_everything_through_all_transient_faults() {
    let mut account = Account::start(Scenario { meetings: 5, ..scenario() }).await;
    // A stalled body needs a clock to give up by; that it can be given up is shown above.
    account.simulator.set_faults(Faults { stalled_body: 0.0, wrong_shape: 0.0, ..Faults::all(0.1) });
    for truth in account.simulator.truth() {
        for (at, file) in truth.files.iter().enumerate() {
            // Token, metadata and download fail three times in a row at most, each before every try of the
            // next.
            for _ in 0..4 * 4 * 4 {
                // What went wrong does not matter: it is tried again.
                drop(fetch(&mut account, &truth.uuid, at).await);
                if account.simulator.file_count(&file.id).completed == 1 {
                    break;
                }
            }
            assert_eq!(account.simulator.file_count(&file.id).completed, 1);
        }
    }
    assert!(account.simulator.with_counts(|counts| counts.faults.values().sum::<u64>()) > 10);
}

/// One file from the token to its last byte, as far as it goes.
async fn fetch(account: &mut Account, uuid: &str, at: usize) -> reqwest::Result<()> {
    let answer = account.token_request(account.simulator.client_secret()).send().await?;
    let answer: Value = answer.error_for_status()?.json().await?;
    answer["access_token"].as_str().unwrap().clone_into(&mut account.token);
    let meeting: Value = account.metadata(uuid).send().await?.error_for_status()?.json().await?;
    let url = meeting["archive_files"][at]["download_url"].as_str().unwrap();
    let answer = account.first_hop(url).send().await?;
    let Some(signed) = answer.headers().get("location") else {
        return Ok(());
    };
    account.http.get(signed.to_str().unwrap()).send().await?.bytes().await?;
    Ok(())
}
