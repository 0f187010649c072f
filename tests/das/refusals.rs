//! What is refused, on the wire and at the start: always with a word that says why.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::process::{Das, TOKEN, command};

const JSON: &str = "application/json";

/// The whole of a problem, checked.
async fn problem(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json", "{status}");
    assert!(answer.headers().contains_key("x-request-id"), "{status}");
    assert!(status != 405 || answer.headers().contains_key("allow"));
    assert_eq!(status == 401, answer.headers().contains_key("www-authenticate"));
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!((body["status"].as_u64(), body["type"].as_str()), (Some(status.into()), Some("about:blank")));
    (status, body["detail"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn every_refusal_is_a_problem_that_says_why() {
    let das = Das::on_sqlite();
    let contact = |more: Value| {
        let mut contact = json!({"source": "zoom", "source_id": "a", "started_at": "2026-10-01T08:00:04Z"});
        contact.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        contact.to_string()
    };
    let one = "/v1/contacts/zoom/a";
    // By one byte: what is over the limit is not read, and unread bytes can cost the client the answer.
    let too_large = (8 << 20) + 1 - contact(json!({"topic": ""})).len();
    let too_large = contact(json!({"topic": "x".repeat(too_large)}));
    let list = |query: &str| format!("/v1/contacts?source=zoom&from=2026-10-01&to=2026-10-02{query}");
    let ids = |count: usize| json!({"source": "zoom", "source_ids": vec!["a"; count]}).to_string();
    let lookup = "/v1/contacts/lookup";
    let (get, put, post) = (Method::GET, Method::PUT, Method::POST);
    let cases = [
        (get.clone(), "/".to_owned(), String::new(), 404, "no such path"),
        (get.clone(), "/v1/contacts/zoom/a/b".to_owned(), String::new(), 404, "no such path"),
        (get.clone(), "/v1/contacts/zoom/".to_owned(), String::new(), 404, "no such path"),
        (get.clone(), one.to_owned(), String::new(), 404, "no such contact"),
        (get.clone(), "/v1/contacts/zoom/%FF".to_owned(), String::new(), 400, "UTF-8"),
        (get.clone(), "/v1/contacts/zoom/a%00".to_owned(), String::new(), 400, "NUL"),
        (get.clone(), format!("/v1/contacts/zoom/{}", "a".repeat(256)), String::new(), 400, "255"),
        (get.clone(), "/v1/contacts/Zoom/a".to_owned(), String::new(), 400, "a source is"),
        (get.clone(), "/v1/contacts".to_owned(), String::new(), 400, "source"),
        (get.clone(), list("&limit=0"), String::new(), 400, "1 to 1000"),
        (get.clone(), list("&limit=1001"), String::new(), 400, "1 to 1000"),
        (get.clone(), list("&limit=ten"), String::new(), 400, "limit"),
        (get.clone(), list("&cursor=MTIz"), String::new(), 422, "no cursor of a page"),
        (get.clone(), list("&source=teams"), String::new(), 400, "duplicate"),
        (get.clone(), list("").replace("2026-10-02", "2026-09-30"), String::new(), 422, "swap from and to"),
        (get, list("").replace("2026-10-02", "tomorrow"), String::new(), 400, "tomorrow"),
        (post.clone(), one.to_owned(), String::new(), 405, "Allow"),
        (post.clone(), "/openapi.json".to_owned(), String::new(), 405, "Allow"),
        (put.clone(), one.to_owned(), "{".to_owned(), 400, "JSON"),
        (put.clone(), one.to_owned(), "[]".to_owned(), 422, "JSON"),
        (
            put.clone(),
            one.to_owned(),
            contact(json!({"started_at": "yesterday"})),
            422,
            "an instant is written",
        ),
        (
            put.clone(),
            one.to_owned(),
            contact(json!({"started_at": "9999-12-31T23:59:59-01:00"})),
            422,
            "years",
        ),
        (put.clone(), one.to_owned(), contact(json!({"source_id": "b"})), 422, "not those of the path"),
        (put.clone(), one.to_owned(), contact(json!({"media": [{"file_id": ""}]})), 422, "an id is"),
        (
            put.clone(),
            one.to_owned(),
            contact(json!({"media": [{"file_id": "a", "kind": "x"}]})),
            422,
            "video",
        ),
        (
            put.clone(),
            one.to_owned(),
            contact(json!({"media": [{"file_id": "a", "state": "x"}]})),
            422,
            "unavailable",
        ),
        (
            put.clone(),
            one.to_owned(),
            contact(json!({"media": [{"file_id": "a", "size": 1.5}]})),
            422,
            "whole number",
        ),
        (put, one.to_owned(), too_large, 413, "length limit"),
        (post.clone(), lookup.to_owned(), ids(1001), 422, "at most 1000"),
        (post, lookup.to_owned(), r#"{"source": "zoom"}"#.to_owned(), 422, "source_ids"),
    ];
    for (method, path, body, status, words) in cases {
        let name = format!("{method} {path}");
        let asked = das.http.request(method, format!("{}{path}", das.url)).bearer_auth(TOKEN);
        let asked = if body.is_empty() { asked } else { asked.header("content-type", JSON).body(body) };
        let (told, detail) = problem(asked.send().await.unwrap()).await;
        assert_eq!(told, status, "{name}: {detail}");
        assert!(detail.contains(words), "{name}: {detail}");
    }
    let plain = das.http.put(format!("{}{one}", das.url)).bearer_auth(TOKEN).body(contact(json!({})));
    assert_eq!(problem(plain.send().await.unwrap()).await.0, 415);
}

#[tokio::test]
async fn without_the_token_nothing_is_told() {
    let das = Das::on_sqlite();
    for path in ["/", "/v1/contacts", "/v1/contacts/zoom/a", "/v1/contacts/lookup"] {
        for token in [None, Some(""), Some("das-t0ke"), Some("das-t0kenn"), Some("DAS-T0KEN")] {
            let asked = das.http.get(format!("{}{path}", das.url));
            let asked = token.iter().fold(asked, reqwest::RequestBuilder::bearer_auth);
            assert_eq!(problem(asked.send().await.unwrap()).await.0, 401, "{path} {token:?}");
        }
    }
    let document = das.http.get(format!("{}/openapi.json", das.url)).send().await.unwrap();
    assert_eq!(document.status(), StatusCode::OK);
    assert_eq!(document.text().await.unwrap(), recapture::das::OPENAPI);
}

#[tokio::test]
async fn a_request_is_found_in_the_log_by_its_id_and_the_token_is_not() {
    let mut das = Das::on_sqlite();
    let asked = das.get("/v1/contacts/zoom/a").header("x-request-id", "from-the-client");
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "from-the-client");
    let line = das.wait_for("from-the-client");
    assert!(line.contains("/v1/contacts/zoom/a") && line.contains("404"), "{line}");
    assert!(!das.told.join("\n").contains(TOKEN));
}

#[test]
fn it_does_not_start_where_it_should_not() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}/contacts.db", folder.path().display());
    for (settings, words) in [
        ([("server.listen", "0.0.0.0:0"), ("contacts.url", database.as_str())], "set server.token"),
        ([("server.listen", &taken), ("contacts.url", &database)], "cannot be listened on"),
        ([("server.listen", "127.0.0.1:0"), ("contacts.url", "http://127.0.0.1:1")], "one over a database"),
        (
            [("server.listen", "127.0.0.1:0"), ("contacts.url", "postgres://127.0.0.1:1/c")],
            "cannot be reached",
        ),
    ] {
        let ended = command(&settings).output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{settings:?} {told}");
        assert!(told.contains(words) && ended.stdout.is_empty(), "{told}");
    }
}
