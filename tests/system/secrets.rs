//! No secret leaves the process: not in what it says at its most talkative, nor in anything that it stores.

use std::path::Path;

use recapture_core::buffer::conformance::server::S3Server;
use recapture_core::evidence::read_raw;
use recapture_simulator::{Faults, Scenario};

use crate::harness::{Bench, plain};

/// The libraries below say nothing unless they are named.
const EVERYTHING: &str = "'trace,hyper=trace,hyper_util=trace,h2=trace,reqwest=trace,rustls=trace,sqlx=trace,apalis_core=trace,object_store=trace'";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_logged_or_stored() {
    let scenario = Scenario {
        captured: 0.2,
        attachments: 0.1,
        failed_files: 0.05,
        gone_files: 0.05,
        gone_meetings: 0.05,
        ..plain(120)
    };
    no_secret_of(Bench::start(scenario.clone()).await, "").await;
    let server = S3Server::start();
    no_secret_of(Bench::start_on_s3(scenario, &server).await, server.key().1).await;
}

/// `key` is the secret of the object store, if there is one.
async fn no_secret_of(mut bench: Bench, key: &str) {
    bench.set("log.level", EVERYTHING).set("queue.max_attempts", "2");
    bench.simulator.set_faults(Faults::all(0.05));

    let run = bench.recover().await;
    assert!(run.counts()["recovered"] > 0);
    assert!(run.stderr.len() > 100_000, "it was talkative: {} bytes", run.stderr.len());
    let id = run.object()["id"].as_str().unwrap().to_owned();
    let mut texts = vec![("stdout", run.stdout.into_bytes()), ("stderr", run.stderr.into_bytes())];
    for command in [
        vec!["status"],
        vec!["report", &id],
        vec!["report", &id, "--format", "json"],
        vec!["config"],
        vec!["doctor"],
    ] {
        let told = bench.run(&command).await;
        texts.extend([("stdout", told.stdout.into_bytes()), ("stderr", told.stderr.into_bytes())]);
    }
    let mut stored: Vec<_> = bench.files();
    stored.extend(
        ["queue.db", "queue.db-wal"].map(|name| bench.path(name)).into_iter().filter(|path| path.exists()),
    );
    assert!(stored.len() > 100);

    let secrets = [
        bench.simulator.client_secret(),
        bench.simulator.das_token(),
        // Every access token begins like this.
        bench.simulator.token_prefix(),
        "Basic ",
        "Bearer ",
        "Signature=",
        "Policy=",
        // What stands behind it is opaque, in the link that Zoom lists as in the signed one.
        "/rec/archive/",
        key,
    ];
    let secrets = secrets.into_iter().filter(|secret| !secret.is_empty());
    for (place, text) in &texts {
        for secret in secrets.clone() {
            assert_eq!(context(text, secret), None, "'{secret}' in {place}");
        }
    }
    for path in stored {
        let text = plain_text(&path);
        for secret in secrets.clone() {
            assert_eq!(context(&text, secret), None, "'{secret}' in {}", path.display());
        }
    }
}

/// What a file says: of a packed one what is in it.
fn plain_text(path: &Path) -> Vec<u8> {
    let name = path.file_name().unwrap().to_str().unwrap();
    match name.strip_suffix(".json.gz") {
        Some(name) => {
            let answer = read_raw(path.parent().unwrap().parent().unwrap(), name).unwrap();
            assert!(context(&answer, "\"meetings\"").is_some(), "{} holds no answer", path.display());
            answer
        }
        None => std::fs::read(path).unwrap(),
    }
}

/// What stands around the words, if they are there.
fn context(text: &[u8], words: &str) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let at = text.find(words)?;
    let before: String = text[..at].chars().rev().take(100).collect();
    let after: String = text[at..].chars().take(words.len() + 60).collect();
    Some(before.chars().rev().collect::<String>() + &after)
}
