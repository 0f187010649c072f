//! Stopping, and a database that goes away.

use recapture_core::contacts::ContactsError;
use recapture_core::contacts::conformance::full;
use recapture_core::contacts::conformance::server::PostgresServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::process::{Das, TOKEN};

#[tokio::test]
async fn a_request_that_has_begun_is_answered_before_the_end() {
    let mut das = Das::on_sqlite();
    let body = serde_json::to_string(&full("a")).unwrap();
    let head = format!(
        "PUT /v1/contacts/zoom/a HTTP/1.1\r\nhost: das\r\nauthorization: Bearer {TOKEN}\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut connection = TcpStream::connect(das.url.trim_start_matches("http://")).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    // The service asks for the body: the request has begun.
    let mut asked = [0; 25];
    connection.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    let (sent_first, sent_last) = body.as_bytes().split_at(body.len() / 2);
    connection.write_all(sent_first).await.unwrap();

    das.terminate();
    das.wait_for("stopping");
    connection.write_all(sent_last).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 Created"), "{answer}");
    assert_eq!(das.ended().code(), Some(0));
}

#[tokio::test]
async fn a_database_that_is_gone_is_503_until_it_is_back() {
    let server = tokio::task::spawn_blocking(PostgresServer::start).await.unwrap();
    let mut das = Das::on_postgres(&server).await;
    let contacts = das.client().await;
    contacts.register(&full("a")).await.unwrap();

    let server = tokio::task::spawn_blocking(move || {
        server.kill();
        server
    });
    let server = server.await.unwrap();
    for error in [contacts.get("a").await.unwrap_err(), contacts.register(&full("b")).await.unwrap_err()] {
        let ContactsError::Server { status: 503, detail, retry_after: Some(_), .. } = &error else {
            panic!("{error:?}")
        };
        assert!(detail.contains("the log of this service says why"), "{detail}");
        // Where the database is, is told to whoever runs the service.
        assert!(!error.to_string().contains("postgres"), "{error}");
    }
    let line = das.wait_for("cannot be reached");
    assert!(line.contains("postgres://127.0.0.1") && !line.contains("p@ss"), "{line}");

    let server = tokio::task::spawn_blocking(move || {
        server.start_again();
        server
    });
    let _server = server.await.unwrap();
    assert_eq!(contacts.get("a").await.unwrap(), Some(full("a")));
}
