//! An S3 server that is killed, busy, refuses, or heeds no conditions.

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::buffer::conformance::server::S3Server;
use crate::buffer::{Buffer, BufferError, Claim, ManifestVersion, MeetingFolder};
use crate::config;
use crate::digest;
use crate::secret::Secret;

fn fresh() -> (config::Buffer, ()) {
    let server = S3Server::shared();
    (server.place(&server.bucket(), "archive/one"), ())
}

fn fresh_without_prefix() -> (config::Buffer, ()) {
    let server = S3Server::shared();
    (server.place(&server.bucket(), ""), ())
}

crate::buffer_claims!(fresh);

mod without_prefix {
    use super::fresh_without_prefix;

    crate::buffer_claims! {
        fresh_without_prefix;
        evidence_of_many_writers_is_read_as_it_was_written,
        meetings_are_found_and_removed,
    }
}

fn folder() -> MeetingFolder {
    MeetingFolder::parse("meetings/2026/10/01/aB3dE").unwrap()
}

const SIZE: usize = 17 << 20;

fn piece() -> Bytes {
    vec![7; 1 << 20].into()
}

/// Killed while parts arrive: the upload goes on where it was as soon as the server is back, and the file is whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_the_middle_of_an_upload_and_comes_back() {
    let server = S3Server::start();
    let bucket = server.bucket();
    let buffer = Buffer::open(&server.place(&bucket, "p")).await.unwrap();
    let mut writer = buffer.begin(&folder(), "a.mp4", None).await.unwrap();
    for sent in 0..SIZE >> 20 {
        if sent == 8 {
            server.kill();
            assert_eq!(std::fs::read_dir(server.objects(&bucket)).unwrap().count(), 1);
            server.start_again();
        }
        writer.write(piece()).await.unwrap();
    }
    let claim = Claim::new(|| true, ManifestVersion::NONE);
    buffer.give_names(&folder(), vec![writer.finish().await.unwrap()], &claim).await.unwrap();
    let facts = buffer.read_file(&folder(), "a.mp4").await.unwrap().unwrap();
    assert_eq!((facts.size, facts.sha256), (SIZE as u64, digest::sha256(&vec![7; SIZE])));
    assert_eq!(server.unfinished_uploads(), Vec::<std::path::PathBuf>::new());
}

/// A worker that dies leaves an upload that holds bytes and that no reader sees; the next holder takes it away.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_a_dead_worker_is_aborted_by_the_next_holder() {
    let server = S3Server::start();
    let place = server.place(&server.bucket(), "p");
    let buffer = Buffer::open(&place).await.unwrap();
    let mut writer = buffer.begin(&folder(), "a.mp4", None).await.unwrap();
    for _ in 0..SIZE >> 20 {
        writer.write(piece()).await.unwrap();
    }
    let written = writer.finish().await.unwrap();
    // Dead is who never runs again.
    std::mem::forget(written);
    assert!(server.unfinished_uploads().len() > 3);
    let next = Buffer::open(&place).await.unwrap();
    assert_eq!(next.read_file(&folder(), "a.mp4").await.unwrap(), None);
    next.clear_parts(&folder()).await.unwrap();
    assert_eq!(server.unfinished_uploads(), Vec::<std::path::PathBuf>::new());
    next.clear_parts(&folder()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_refuses_or_is_full_is_told_apart() {
    let server = S3Server::start();
    let place = server.place(&server.bucket(), "p");
    let check = async |place: &config::Buffer| Buffer::open(place).await.unwrap().check().await;
    let s3 = |place: &config::Buffer| match place {
        config::Buffer::S3(s3) => s3.clone(),
        config::Buffer::Folder(_) => unreachable!(),
    };
    check(&place).await.unwrap();

    let mut wrong_key = s3(&place);
    wrong_key.access = Some(("recapture".to_owned(), Secret::new("not the secret")));
    let found = check(&config::Buffer::S3(wrong_key)).await;
    assert!(matches!(&found, Err(BufferError::Refused { .. })), "{found:?}");
    assert!(!format!("{found:?}").contains("not the secret"));

    server.kill();
    let found = check(&place).await;
    assert!(matches!(&found, Err(BufferError::Unreachable { .. })), "{found:?}");

    for (status, body, full) in [
        (507, "", true),
        (400, "<Error><Code>QuotaExceeded</Code></Error>", true),
        (400, "<Error><Code>InvalidRequest</Code></Error>", false),
        (404, "<Error><Code>NoSuchBucket</Code></Error>", false),
        (301, "", false),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let answering = pretend(move |_| (status, body).into_response()).await;
        let mut elsewhere = s3(&place);
        elsewhere.endpoint = Some(answering.parse().unwrap());
        let found = check(&config::Buffer::S3(elsewhere)).await;
        let is_full = matches!(&found, Err(BufferError::Full { .. }));
        let is_refused = matches!(&found, Err(BufferError::Refused { .. }));
        assert_eq!((is_full, is_refused), (full, !full), "{found:?}");
    }
}

/// Two workers could overwrite each other on a store that takes every write.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_heeds_no_conditions_is_not_used() {
    let answering = pretend(|request| match request.method().as_str() {
        "GET" => ([("etag", "\"e\""), ("last-modified", "Thu, 01 Oct 2026 08:00:04 GMT")], "overwritten")
            .into_response(),
        "DELETE" => StatusCode::NO_CONTENT.into_response(),
        _ => ([("etag", "\"e\"")], "").into_response(),
    })
    .await;
    let place = config::S3 {
        bucket: "b".to_owned(),
        prefix: String::new(),
        endpoint: Some(answering.parse().unwrap()),
        region: "eu-1".to_owned(),
        access: Some(("id".to_owned(), Secret::new("secret"))),
    };
    let found = Buffer::open(&config::Buffer::S3(place)).await.unwrap().check().await;
    let words = found.unwrap_err().to_string();
    assert!(words.contains("it does not heed conditions on writing"), "{words}");
}

/// A server of one answer.
async fn pretend(answer: impl Fn(Request) -> Response + Clone + Send + Sync + 'static) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |request: Request| {
        let response = answer(request);
        async move { response }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });
    address
}
