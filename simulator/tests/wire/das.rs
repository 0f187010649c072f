use recapture_simulator::{Capture, Endpoint, Scenario};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Account, encode, scenario, time};

fn partly() -> Scenario {
    Scenario { captured: 0.4, incomplete: 0.3, ..scenario() }
}

async fn contacts(account: &Account, limit: usize) -> Vec<Value> {
    let (mut contacts, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let query =
            [("source", "zoom".to_owned()), ("from", time(scenario().from)), ("to", time(scenario().to))];
        let request = account.das(Method::GET, "/v1/contacts").query(&query).query(&[("limit", limit)]);
        let request = request.query(&cursor.map(|cursor| ("cursor", cursor)).as_slice());
        let page: Value = request.send().await.unwrap().json().await.unwrap();
        let found = page["contacts"].as_array().unwrap();
        assert!(found.len() <= limit);
        contacts.extend(found.iter().cloned());
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return contacts;
        }
    }
}

fn contact(uuid: &str, started_at: &str, media: &Value) -> Value {
    json!({"source": "zoom", "source_id": uuid, "started_at": started_at, "media": media})
}

async fn put(account: &Account, contact: &Value) -> (u16, Value) {
    let id = encode(contact["source_id"].as_str().unwrap());
    let answer =
        account.das(Method::PUT, &format!("/v1/contacts/zoom/{id}")).json(contact).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn it_starts_with_what_the_platform_captured() {
    let account = Account::start(partly()).await;
    let truth: Vec<_> =
        account.simulator.truth().filter(|meeting| meeting.class != Capture::Missing).collect();
    assert_eq!(truth.iter().filter(|meeting| meeting.class == Capture::Captured).count(), 8);
    for limit in [1, 3, 1000] {
        let contacts = contacts(&account, limit).await;
        assert_eq!(contacts.len(), truth.len());
        for (contact, truth) in contacts.iter().zip(&truth) {
            assert_eq!(contact["source_id"], truth.uuid);
            let media: Vec<_> =
                contact["media"].as_array().unwrap().iter().map(|m| m["file_id"].as_str().unwrap()).collect();
            let captured = truth.files.iter().filter(|file| file.captured);
            assert_eq!(media, captured.map(|file| file.id.as_str()).collect::<Vec<_>>());
            let whole = media.len() == truth.files.len();
            assert_eq!(whole, truth.class == Capture::Captured);
        }
    }
}

#[tokio::test]
async fn a_lookup_finds_those_that_exist() {
    let account = Account::start(partly()).await;
    let uuids: Vec<_> = account.simulator.truth().map(|meeting| meeting.uuid).collect();
    let look = async |ids: &[String]| {
        let request = account.das(Method::POST, "/v1/contacts/lookup");
        request.json(&json!({"source": "zoom", "source_ids": ids})).send().await.unwrap()
    };
    let found: Value = look(&uuids).await.json().await.unwrap();
    let present = account.simulator.truth().filter(|meeting| meeting.class != Capture::Missing).count();
    assert_eq!(found["contacts"].as_array().unwrap().len(), present);
    assert_eq!(look(&vec![String::new(); 1001]).await.status(), 400);
}

#[tokio::test]
async fn a_contact_is_created_then_merged_and_repeating_changes_nothing() {
    let account = Account::start(scenario()).await;
    let truth = account.simulator.truth().nth(1).unwrap();
    let started = time(truth.start_time);
    let path = format!("/v1/contacts/zoom/{}", encode(&truth.uuid));
    assert_eq!(account.das(Method::GET, &path).send().await.unwrap().status(), 404);

    let first = contact(&truth.uuid, &started, &json!([{"file_id": "a", "size": 1}]));
    assert_eq!(put(&account, &first).await.0, 201);
    let second = contact(&truth.uuid, &started, &json!([{"file_id": "b", "size": 2}]));
    let (status, merged) = put(&account, &second).await;
    assert_eq!(status, 200);
    assert_eq!(merged["media"], json!([{"file_id": "a", "size": 1}, {"file_id": "b", "size": 2}]));
    assert_eq!(put(&account, &second).await, (200, merged.clone()));

    let read: Value = account.das(Method::GET, &path).send().await.unwrap().json().await.unwrap();
    assert_eq!(read, merged);
    assert_eq!(account.simulator.das_contacts(), [merged]);
    assert_eq!(account.simulator.counts().das_puts[&truth.uuid], 3);
}

#[tokio::test]
async fn what_is_written_joins_the_list_in_its_place() {
    let account = Account::start(partly()).await;
    let before = contacts(&account, 1000).await.len();
    let missing = account.simulator.truth().find(|meeting| meeting.class == Capture::Missing).unwrap();
    let incomplete = account.simulator.truth().find(|meeting| meeting.class == Capture::Incomplete).unwrap();
    let lacking = incomplete.files.iter().find(|file| !file.captured).unwrap();
    put(&account, &contact(&missing.uuid, &time(missing.start_time), &json!([]))).await;
    let media = json!([{"file_id": lacking.id}]);
    assert_eq!(put(&account, &contact(&incomplete.uuid, &time(incomplete.start_time), &media)).await.0, 200);
    put(&account, &contact("of another system", "2024-10-03T10:00:00.5Z", &json!([]))).await;

    for limit in [1, 1000] {
        let listed = contacts(&account, limit).await;
        assert_eq!(listed.len(), before + 2);
        let starts: Vec<chrono::DateTime<chrono::Utc>> =
            listed.iter().map(|contact| contact["started_at"].as_str().unwrap().parse().unwrap()).collect();
        assert!(starts.is_sorted());
    }
    let merged = account.simulator.das_contact(&incomplete.uuid).unwrap();
    let captured = incomplete.files.iter().filter(|file| file.captured).count();
    assert_eq!(merged["media"].as_array().unwrap().len(), captured + 1);
}

#[tokio::test]
async fn refusals_are_problems() {
    let account = Account::start(partly()).await;
    let uuid = account.simulator.truth().next().unwrap().uuid;
    let path = format!("/v1/contacts/zoom/{}", encode(&uuid));
    let other = contact("other", "2024-10-03T10:00:00Z", &json!([]));
    let anonymous = account.http.get(format!("{}/v1/contacts", account.simulator.das_url()));
    for (request, status) in [
        (anonymous, 401),
        (account.das(Method::GET, "/v1/contacts?source=zoom&from=x&to=y"), 400),
        (
            account
                .das(Method::GET, "/v1/contacts?from=2024-10-01T00:00:00Z&to=2024-10-02T00:00:00Z&limit=0"),
            400,
        ),
        (account.das(Method::GET, "/v1/contacts/zoom/nobody"), 404),
        (account.das(Method::PUT, &path).json(&other), 400),
        (account.das(Method::PUT, &path).json(&json!({"source": "zoom", "source_id": uuid})), 400),
        (account.das(Method::PUT, &path).body("{"), 400),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(answer.json::<Value>().await.unwrap()["status"], status);
    }
}

#[tokio::test]
async fn it_goes_down_and_comes_back() {
    let account = Account::start(partly()).await;
    let read = || account.das(Method::GET, "/v1/contacts/zoom/nobody").send();
    assert_eq!(read().await.unwrap().status(), 404);
    account.simulator.set_das_up(false);
    assert!(read().await.is_err());
    assert!(account.page("").send().await.is_ok(), "Zoom is still there");
    account.simulator.set_das_up(true);
    assert_eq!(read().await.unwrap().status(), 404);
    assert_eq!(account.simulator.counts().requests(Endpoint::DasGet), 2);
}

#[tokio::test]
async fn stopping_frees_the_ports() {
    let account = Account::start(partly()).await;
    let address = account.simulator.das_url().replace("http://", "").replace("/das", "");
    account.simulator.stop().await;
    tokio::net::TcpListener::bind(address).await.unwrap();
}
