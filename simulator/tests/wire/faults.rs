//! Each fault alone and certain, so that it strikes the first request that it may strike.

use recapture_simulator::{Endpoint, Fault, Faults, FileSpec, NO_ANSWER, Scenario};
use reqwest::Method;
use serde_json::Value;

use crate::client::{Account, refusal, scenario};

pub(crate) async fn account() -> Account {
    Account::start(Scenario { files: vec![FileSpec::exactly("M4A", 300_000)], ..scenario() }).await
}

async fn struck(faults: Faults) -> Account {
    let account = account().await;
    account.simulator.set_faults(faults);
    account
}

pub(crate) fn none() -> Faults {
    Faults::default()
}

#[tokio::test]
async fn server_error() {
    let account = struck(Faults { server_error: 1.0, ..none() }).await;
    for _ in 0..3 {
        assert!(account.page("").send().await.unwrap().status().is_server_error());
    }
    assert_eq!(account.page("").send().await.unwrap().status(), 200, "the fourth try gets through");
    assert_eq!(account.simulator.counts().fault(Fault::ServerError), 3);
    assert!(account.ask_for_token(account.simulator.client_secret()).await.status().is_server_error());
}

#[tokio::test]
async fn reset() {
    let account = struck(Faults { reset: 1.0, ..none() }).await;
    let error = account.page("").send().await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    account.simulator.wait_for(|counts| counts.answers(Endpoint::List, NO_ANSWER) == 1).await;
}

#[tokio::test]
async fn token_expired() {
    let mut account = struck(Faults { token_expired: 1.0, ..none() }).await;
    assert_eq!(refusal(account.page("")).await, (401, 124));
    account.simulator.set_faults(none());
    assert_eq!(refusal(account.page("")).await, (401, 124), "the token stays dead");
    account.log_in().await;
    assert_eq!(account.page("").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn rate_limited() {
    let account = struck(Faults { rate_limited: 1.0, ..none() }).await;
    assert_eq!(refusal(account.page("")).await, (429, 429));
}

#[tokio::test]
async fn malformed_page() {
    let account = struck(Faults { malformed_page: 1.0, ..none() }).await;
    let answer = account.page("").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.json::<Value>().await.is_err());
}

#[tokio::test]
async fn wrong_shape() {
    let account = struck(Faults { wrong_shape: 1.0, ..none() }).await;
    let answer = account.page("").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(!answer.json::<Value>().await.unwrap()["meetings"].is_array());
}

#[tokio::test]
async fn untold_total() {
    let account = struck(Faults { untold_total: 1.0, ..none() }).await;
    let page: Value = account.page("").send().await.unwrap().json().await.unwrap();
    assert!(page["meetings"].is_array() && page["total_records"].is_null(), "{page}");
}

#[tokio::test]
async fn page_token_expired() {
    let account = struck(Faults { page_token_expired: 1.0, ..none() }).await;
    for _ in 0..3 {
        let first: Value = account.page("").send().await.unwrap().json().await.unwrap();
        assert_eq!(refusal(account.page(first["next_page_token"].as_str().unwrap())).await, (400, 300));
    }
    assert_eq!(account.list().await.len(), 20, "a list that starts again for the fourth time gets through");
}

#[tokio::test]
async fn duplicates() {
    let account = struck(Faults { duplicates: 1.0, ..none() }).await;
    let mut uuids: Vec<_> = account.list().await.iter().map(|meeting| meeting["uuid"].to_string()).collect();
    assert!(uuids.len() > 20);
    uuids.sort_unstable();
    uuids.dedup();
    assert_eq!(uuids.len(), 20, "nothing is left out");
}

#[tokio::test]
async fn shifted_range() {
    let account = struck(Faults { shifted_range: 1.0, ..none() }).await;
    let page: Value = account.page("").send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&page["from"], &page["to"]),
        (&"2024-10-01T00:00:00Z".into(), &"2024-10-04T12:00:00Z".into())
    );
    assert_eq!(page["total_records"], 10);
}

#[tokio::test]
async fn wrong_total() {
    let account = struck(Faults { wrong_total: 1.0, ..none() }).await;
    let mut totals = Vec::new();
    for _ in 0..3 {
        let page: Value = account.page("").send().await.unwrap().json().await.unwrap();
        totals.push(page["total_records"].as_u64().unwrap());
    }
    assert_eq!(totals, [21, 20, 20]);
}

#[tokio::test]
async fn das_error_and_das_reset() {
    let account = struck(Faults { das_error: 1.0, ..none() }).await;
    let contact = || account.das(Method::GET, "/v1/contacts/zoom/x");
    assert!(contact().send().await.unwrap().status().is_server_error());
    account.simulator.set_faults(Faults { das_reset: 1.0, ..none() });
    assert!(contact().send().await.is_err());
    let counts = account.simulator.counts();
    assert_eq!((counts.fault(Fault::DasError), counts.fault(Fault::DasReset)), (1, 1));
}
