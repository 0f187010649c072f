//! `recapture verify` as its users meet it: what it prints, and how it exits.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::{Copy, Kind, signer};

fn recapture(buffer: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recapture"));
    let buffer_is = format!("buffer.url={}", buffer.display());
    command.env_clear().current_dir(buffer).arg("verify").args(arguments).args(["--set", &buffer_is]);
    command.output().unwrap()
}

fn object(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_whole_buffer_exits_0_and_changes_nothing() {
    let copy = Copy::of("signed");
    let before = copy.files(&Kind::ALL);
    let output = recapture(copy.root(), &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.ends_with("everything verifies\n"), "{said}");
    assert!(said.contains(&format!("signed by {}", signer())), "{said}");
    assert!(output.stderr.is_empty());
    assert_eq!(copy.files(&Kind::ALL), before);
}

#[test]
fn one_run_is_verified_by_its_id() {
    let copy = Copy::of("signed");
    let lines = copy.files(&[Kind::Lines]).remove(0);
    let run = lines.split('/').nth(1).unwrap();
    let key = format!("evidence.public_key={}", signer());
    let output = recapture(copy.root(), &[run, "--json", "--set", &key]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let object = object(&output);
    assert_eq!(object["schema"], "recapture.verify/1");
    assert_eq!((&object["verified"], &object["checked"]["meetings"]), (&true.into(), &8.into()));
}

#[test]
fn what_does_not_verify_is_listed_and_exits_4() {
    let copy = Copy::of("signed");
    let file = copy.files(&[Kind::File]).remove(0);
    let mut bytes = std::fs::read(copy.path(&file)).unwrap();
    bytes[10] ^= 4;
    std::fs::write(copy.path(&file), bytes).unwrap();
    let output = recapture(copy.root(), &["--json"]);
    assert_eq!(output.status.code(), Some(4));
    let findings = &object(&output)["findings"];
    assert_eq!(
        (&findings[0]["fault"], &findings[0]["path"]),
        (&"file_changed".into(), &file.as_str().into())
    );
    let text = recapture(copy.root(), &[]);
    let said = String::from_utf8(text.stdout).unwrap();
    assert!(said.starts_with("FAIL  file_changed") && said.ends_with("1 thing does not verify\n"), "{said}");
}

#[test]
fn what_cannot_be_looked_at_exits_1() {
    let copy = Copy::of("signed");
    for (folder, arguments) in
        [(copy.path("runs"), &["01M81Y1E2B9CNEKMFC4AD1NK8D"][..]), (copy.path("nowhere"), &[])]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recapture"));
        let buffer_is = format!("buffer.url={}", folder.display());
        let output =
            command.env_clear().arg("verify").args(arguments).args(["--set", &buffer_is]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains(if arguments.is_empty() { "there is no capture buffer at " } else { "01M81Y1E" }),
            "{said}"
        );
        assert!(!copy.path("nowhere").exists());
    }
}
