//! The document is what the service does, and the worked example of the manual is what it answers.

use std::path::Path;
use std::process::Command;

use recapture_core::contacts::conformance::server::PostgresServer;
use serde_json::Value;

use super::process::{Das, TOKEN};

const MANUAL: &str = include_str!("../../docs/das.md");

// One each, for they take the longest here and run beside each other.
#[test]
fn schemathesis_finds_nothing_off_the_document_on_sqlite() {
    schemathesis(&Das::on_sqlite(), &["--header", &authorization(), "--max-examples", "60"]);
}

#[tokio::test]
async fn schemathesis_finds_nothing_off_the_document_on_postgres() {
    let das = Das::on_postgres(PostgresServer::shared()).await;
    schemathesis(&das, &["--header", &authorization(), "--max-examples", "60"]);
}

#[test]
fn schemathesis_finds_nothing_off_the_document_where_no_token_is_asked() {
    schemathesis(&Das::on_sqlite_with(&[]), &["--max-examples", "15"]);
}

fn authorization() -> String {
    format!("Authorization: Bearer {TOKEN}")
}

fn schemathesis(das: &Das, arguments: &[&str]) {
    let run = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/das/schemathesis"))
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis"))
        .args(["run", &format!("{}/openapi.json", das.url), "--continue-on-failure", "--seed", "20261001"])
        .args(["--checks", "all"])
        .args(arguments)
        .output()
        .expect("this test needs bash");
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success() && told.contains("Operations:       4 selected / 4 total"),
        "{told}{}\nIf there is no Schemathesis: this test needs Python 3 with venv (run tests/install-tools) and PyPI.",
        String::from_utf8_lossy(&run.stderr)
    );
}

/// Fenced blocks of one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    MANUAL.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_worked_example_is_what_is_answered() {
    let das = Das::on_sqlite();
    // The first block starts the service.
    let commands = &blocks("sh")[1..];
    let answers = blocks("json");
    assert_eq!(commands.len(), answers.len());
    for (command, answer) in commands.iter().zip(answers) {
        let run = Command::new("bash")
            .args(["-euc", command])
            .env("DAS", &das.url)
            .env("TOKEN", TOKEN)
            .output()
            .expect("this test needs bash and curl: run tests/install-tools");
        let told = String::from_utf8(run.stdout).unwrap();
        let read =
            |json: &str| serde_json::from_str::<Value>(json).unwrap_or_else(|_| panic!("{command}: {json}"));
        assert_eq!(read(&told), read(answer), "{command}");
    }
}

#[test]
fn the_examples_of_the_document_are_those_of_the_manual() {
    let document: Value = serde_json::from_str(recapture::das::OPENAPI).unwrap();
    let example = &document["components"]["schemas"]["Contact"]["example"];
    let registered: Value = serde_json::from_str(blocks("json")[0]).unwrap();
    assert_eq!(example, &registered);
    let requests = document["paths"].as_object().unwrap();
    for (path, methods) in requests {
        for method in ["get", "put", "post"].iter().filter(|method| methods.get(**method).is_some()) {
            let request = format!("`{} {path}", method.to_uppercase());
            assert!(MANUAL.contains(&request), "docs/das.md does not tell of {request}");
        }
    }
}
