//! What shells, `man` and scripts get of the command line, and what a terminal shows.

use std::process::Stdio;

use recapture_simulator::Scenario;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::harness::{Bench, Process, plain, prepare};

async fn recapture(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_recapture"));
    prepare(command.args(arguments), folder.path());
    Process::spawn(command).end().await.exits(0).stdout
}

/// The commands as the help names them, with those below them.
async fn commands() -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = vec![Vec::new()];
    let mut at = 0;
    while let Some(command) = found.get(at).cloned() {
        let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = recapture(&words).await;
        let listed = help.split_once("Commands:").map_or("", |(_, rest)| rest);
        let listed = listed.split("\n\n").next().unwrap_or_default();
        for line in listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
            let name = line.split_whitespace().next().unwrap();
            if name != "help" {
                found.push(command.iter().cloned().chain([name.to_owned()]).collect());
            }
        }
        at += 1;
    }
    assert!(found.len() > 19, "{found:?}");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_has_an_example_in_its_help() {
    for command in commands().await {
        let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = recapture(&words).await;
        let (_, examples) = help.split_once("Examples:").unwrap_or_else(|| panic!("{words:?}: {help}"));
        assert!(examples.contains(&format!("recapture {}", command.join(" "))), "{words:?}: {help}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_complete_every_command() {
    let commands = commands().await;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = recapture(&["completions", shell]).await;
        for command in commands.iter().flatten() {
            assert!(script.contains(command.as_str()), "{shell} does not know {command}");
        }
    }
    let script = recapture(&["completions", "bash"]).await;
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(script.as_bytes()).await.unwrap();
    assert!(bash.wait().await.unwrap().success(), "bash cannot read it");
    // As a shell does it when somebody presses the tabulator.
    let asked = "\nCOMP_WORDS=(recapture heal); COMP_CWORD=1; _recapture recapture heal recapture; echo ${COMPREPLY[@]}";
    let completed = Command::new("bash").args(["-c", &(script + asked)]).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&completed.stdout).trim(), "healthcheck");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("man1");
    recapture(&["man", "--to", to.to_str().unwrap()]).await;
    let commands = commands().await;
    for command in &commands {
        let name =
            ["recapture"].into_iter().chain(command.iter().map(String::as_str)).collect::<Vec<_>>().join("-");
        let page = std::fs::read_to_string(to.join(format!("{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("{name}.1: {error}"));
        assert!(page.contains(".TH ") && page.contains("Examples:"), "{page}");
    }
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), commands.len());
    // Whether it can be read is asked where there is somebody to ask.
    let page = to.join("recapture-recover.1");
    if let Ok(read) = Command::new("man").env("MANWIDTH", "100").arg("-l").arg(&page).output().await {
        let text = String::from_utf8_lossy(&read.stdout);
        assert!(read.status.success() && text.contains("--dry-run"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_are_told_what_a_command_did() {
    let bench = Bench::start(plain(4)).await;
    let object = async |arguments: &[&str]| -> Value { bench.run(arguments).await.exits(0).object() };
    bench.run(&bench.recovery(&["--detach"])).await.exits(0);
    let run = bench.newest_run().await;

    assert_eq!(object(&["pause", "--json"]).await, serde_json::json!({ "run": null, "paused": true }));
    assert_eq!(object(&["resume", "--json"]).await, serde_json::json!({ "run": null, "paused": false }));
    let paused = object(&["pause", &run, "--json"]).await;
    assert_eq!(paused, serde_json::json!({ "run": run, "paused": true }));
    object(&["resume", &run, "--json"]).await;
    let retried = object(&["retry", &run, "--json"]).await;
    assert_eq!(retried, serde_json::json!({ "run": run, "requeued": 0, "already_queued": 0 }));
    let cancelled = object(&["cancel", &run, "--json"]).await;
    assert_eq!((&cancelled["state"], &cancelled["removed"]), (&"cancelled".into(), &4.into()), "{cancelled}");
    let report = object(&["report", &run, "--json"]).await;
    assert_eq!(report, object(&["report", &run, "--format", "json"]).await);

    bench.recover().await.exits(0);
    let purged = object(&["buffer", "purge", "--older-than", "0s", "--dry-run", "--json"]).await;
    assert_eq!(purged["removed"].as_array().map(Vec::len), Some(4), "{purged}");
    assert_eq!(purged["dry_run"], true);
}

/// A bar a stage on a terminal, and no bar, colour or control character anywhere else.
#[tokio::test(flavor = "multi_thread")]
async fn bars_are_for_terminals() {
    let bench = Bench::start(plain(6)).await;
    let piped = bench.run(&bench.recovery(&[])).await.exits(0);
    assert!(!piped.stderr.contains('\u{1b}') && piped.stderr.contains("meetings"), "{}", piped.stderr);

    let bench = Bench::start(plain(6)).await;
    let program = bench.command(&bench.recovery(&[]));
    let words = [program.as_std().get_program()].into_iter().chain(program.as_std().get_args());
    let quoted: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &quoted.join(" "), "/dev/null"]);
    prepare(&mut terminal, &bench.path(""));
    let path = std::env::var("PATH").unwrap();
    let shown = Process::spawn({
        terminal.env("PATH", path).env("TERM", "xterm");
        terminal
    });
    let shown = shown.end().await.exits(0).stdout;
    for stage in ["listing", "recovering", "downloading", "━"] {
        assert!(shown.contains(stage), "no {stage} in {shown}");
    }
    bench.assert_all_recovered();
}

/// Where files lie and how the clocks stand, beside what is listed.
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_looks_at_hosts_and_clocks() {
    let to = chrono::Utc::now();
    let mut bench = Bench::start(Scenario { from: to - chrono::Duration::hours(12), to, ..plain(3) }).await;
    let well = bench.run(&["doctor"]).await.exits(0).stdout;
    assert!(well.contains("files lie at 127.0.0.1") && well.contains("near enough"), "{well}");
    bench.set("zoom.download_hosts", "[\"zoom.us\"]");
    let ill = bench.run(&["doctor"]).await.exits(1).stdout;
    assert!(ill.contains("FAIL  download hosts files lie at 127.0.0.1, which zoom.download_hosts"), "{ill}");
}
