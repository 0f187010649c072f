//! What shells, `man` and scripts get of the command line, and what a terminal shows.

use std::process::Stdio;

use recapture_simulator::{Faults, Scenario};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::harness::{Bench, Process, plain, prepare, text};
use crate::redis_server::RedisServer;

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
    let shown = Process::spawn(on_a_terminal(&bench, &bench.recovery(&[])));
    let shown = shown.end().await.exits(0).stdout;
    for stage in ["listing", "recovering", "downloading"] {
        let is_bar = |line: &str| line.contains(stage) && line.contains(['━', '─']);
        assert!(shown.split(['\r', '\n']).any(is_bar), "no bar of {stage} in {shown}");
    }
    bench.assert_all_recovered();
}

/// The command under a terminal of its own, whose screen is its stdout.
fn on_a_terminal(bench: &Bench, arguments: &[&str]) -> Command {
    let program = bench.command(arguments);
    let words = [program.as_std().get_program()].into_iter().chain(program.as_std().get_args());
    let quoted: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--flush", "--return", "--command", &quoted.join(" "), "/dev/null"]);
    prepare(&mut terminal, &bench.path(""));
    terminal.env("PATH", std::env::var("PATH").unwrap()).env("TERM", "xterm");
    terminal
}

/// A run that is watched until somebody cancels it.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_watched_a_line_at_a_time_or_in_one_place() {
    let bench = Bench::start(plain(4)).await;
    bench.run(&bench.recovery(&["--detach"])).await.exits(0);
    let run = bench.newest_run().await;

    let mut watch = bench.command(&["status", &run, "--watch", "--json"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut screen = on_a_terminal(&bench, &["status", &run, "--watch"]);
    let mut screen = screen.stdout(Stdio::piped()).spawn().unwrap();
    let mut drawn = BufReader::new(screen.stdout.take().unwrap());
    for _ in 0..2 {
        let told: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        assert_eq!((&told["id"], &told["counts"]["pending"]), (&json!(run), &json!(4)));
    }
    let mut seen = Vec::new();
    while seen.windows(7).filter(|shown| *shown == b"\x1b[H\x1b[2J").count() < 2 {
        assert_ne!(
            drawn.read_until(b'\n', &mut seen).await.unwrap(),
            0,
            "{}",
            String::from_utf8_lossy(&seen)
        );
    }

    bench.run(&["cancel", &run]).await.exits(0);
    let mut last = Value::Null;
    while let Some(line) = lines.next_line().await.unwrap() {
        last = serde_json::from_str(&line).unwrap();
    }
    assert_eq!(last["state"], "cancelled");
    assert!(watch.wait().await.unwrap().success());
    drawn.read_to_end(&mut seen).await.unwrap();
    assert!(screen.wait().await.unwrap().success());
    let seen = String::from_utf8(seen).unwrap();
    let frames: Vec<&str> = seen.split("\x1b[H\x1b[2J").skip(1).collect();
    for frame in &frames {
        assert!(frame.starts_with(&format!("run {run} is ")), "{frame}");
        assert_eq!(frame.matches("listed 4").count(), 1, "{frame}");
    }
    assert!(frames.last().unwrap().contains("is cancelled"), "{seen}");
    // Into a file nothing is drawn.
    let piped = bench.run(&["status", &run, "--watch"]).await.exits(0).stdout;
    assert!(!piped.contains('\x1b') && piped.contains("meetings/s on average"), "{piped}");
}

/// What goes wrong scrolls by above the bars, which stay whole.
#[tokio::test(flavor = "multi_thread")]
async fn errors_scroll_by_above_the_bars() {
    let bench = Bench::start(plain(6)).await;
    bench.simulator.set_faults(Faults { server_error: 1.0, ..Faults::default() });
    let uuid = bench.simulator.truth().next().unwrap().uuid;
    let shown = Process::spawn(on_a_terminal(&bench, &["recover", "--meeting", &uuid]));
    let shown = shown.end().await.exits(0).stdout;
    let warned: Vec<&str> = shown.split(['\r', '\n']).filter(|line| line.contains("WARN")).collect();
    assert!(!warned.is_empty(), "{shown}");
    for line in warned {
        assert!(!line.contains('━') && !line.contains("recovering  "), "a bar in: {line}");
    }
    for words in ["recovering", "/s", "1 recovered"] {
        assert!(shown.contains(words), "no {words} in {shown}");
    }
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

/// A line each of what is not as it has to be, by its name; and nothing is left behind where nothing was.
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_makes_nothing_and_names_what_is_wrong() {
    let mut bench = Bench::start(plain(3)).await;
    bench.set("contacts.url", &text(&format!("sqlite://{}", bench.path("new/contacts.db").display())));
    bench.unset("contacts.token");
    let well = bench.run(&["doctor"]).await.exits(0).stdout;
    assert_eq!(well.matches("is not there yet; the first recovery makes it").count(), 3, "{well}");
    for name in ["queue.db", "new", "buffer"] {
        assert!(!bench.path(name).exists(), "{name} was made");
    }

    bench.recover().await;
    let ready = bench.run(&["doctor"]).await.exits(0).stdout;
    assert!(ready.contains("0 unfinished") && ready.contains("can be written"), "{ready}");
}

/// As a newcomer types it, and then what it tells them to type.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_recovers_and_what_it_says_to_look_at_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: Vec<String>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recapture"));
        prepare(command.args(arguments), folder.path());
        Process::spawn(command).end()
    };
    let shown = run(vec!["demo".to_owned()]).await.exits(0);
    for words in ["300", "recovered", "unavailable", "reconciled"] {
        assert!(shown.stdout.to_lowercase().contains(words), "no {words} in: {}", shown.stdout);
    }
    let named = shown.stderr.split_once("Look around: ").unwrap().1.split(' ').next().unwrap();
    assert!(folder.path().join(named).is_dir(), "{named}");
    let commands: Vec<&str> = shown.stderr.lines().filter(|line| line.starts_with("  recapture ")).collect();
    assert_eq!(commands.len(), 2, "{}", shown.stderr);
    for command in commands {
        run(command.split_whitespace().skip(1).map(str::to_owned).collect()).await.exits(0);
    }
}

/// What is missing is named, each with what to do about it.
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_the_scope_the_clock_and_the_server_that_are_wrong() {
    let redis = RedisServer::start_with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]).await;
    let mut bench = Bench::start(plain(3)).await;
    bench.set("queue.url", &text(&redis.url()));
    let ill = bench.run(&["doctor"]).await.exits(1).stdout;
    assert!(ill.contains("FAIL  queue") && ill.contains("set it to noeviction"), "{ill}");
    redis.tell(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    bench.run(&["doctor"]).await.exits(0);
    redis.tell(&["CONFIG", "SET", "appendonly", "no"]).await;
    let ill = bench.run(&["doctor"]).await.exits(1).stdout;
    assert!(ill.contains("FAIL  queue") && ill.contains("appendonly"), "{ill}");

    let scopes = ["archiving:read:list_archived_files:admin", "archiving:read:archived_files:admin"];
    let few = Scenario { scopes: scopes.map(str::to_owned).to_vec(), ..plain(3) };
    let ill = Bench::start(few).await.run(&["doctor"]).await.exits(1).stdout;
    let lacking = "FAIL  zoom scopes    the app lacks archiving:read:archived_file_statistics:admin";
    assert!(ill.contains(lacking), "{ill}");

    // A buffer that is no folder, or lies below none.
    let mut bench = Bench::start(plain(3)).await;
    std::fs::write(bench.path("file"), "").unwrap();
    bench.set("buffer.url", &text(&bench.path("file").display().to_string()));
    let ill = bench.run(&["doctor"]).await.exits(1).stdout;
    assert!(ill.contains("FAIL  buffer") && ill.contains("file"), "{ill}");
    bench.set("buffer.url", &text(&bench.path("file/below").display().to_string()));
    let ill = bench.run(&["doctor"]).await.exits(1).stdout;
    assert!(ill.contains("cannot be made") && ill.contains("Not a directory"), "{ill}");
    let json = bench.run(&["doctor", "--json"]).await.exits(1).object();
    let failed = json.as_array().unwrap().iter().filter(|found| found["ok"] == false);
    assert_eq!(failed.map(|found| found["check"].clone()).collect::<Vec<_>>(), [json!("buffer")]);
}
