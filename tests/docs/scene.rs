//! Where a document is run: a folder with a configuration against the simulator, and a run that was made before.

use std::os::unix::fs::PermissionsExt;

use chrono::{DateTime, Days, NaiveTime, Utc};
use recapture_simulator::Scenario;
use serde_json::Value;
use tokio::process::Command;

use crate::blocks::Block;
use crate::harness::{Bench, Finished, Process, plain, prepare, text};

const TOKEN: &str = "0perat0r";

/// In place of `recapture`: what stays until it is stopped is stopped as soon as it is at work.
const SHIM: &str = r#"#!/usr/bin/env bash
case $1 in
  serve | worker | das) ;;
  *) exec "$REAL" "$@" ;;
esac
exec 3< <(exec "$REAL" "$@" 2>&1)
while IFS= read -r line <&3; do
  echo "$line" >&2
  case $line in *"listening on http"* | *" working"*) kill -TERM $! ;; esac
done
wait $!
"#;

pub(crate) struct Scene {
    bench: Bench,
    /// Each address is asked for only where a document names it.
    service: Option<(Process, String)>,
    das: Option<(Process, String)>,
    filled: Vec<(String, String)>,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let to = Utc::now().with_time(NaiveTime::MIN).unwrap();
        let from = to - Days::new(9);
        let mut bench = Bench::start(Scenario { from, to, ..plain(18) }).await;
        bench.set("server.listen", &text("127.0.0.1:0")).set("csv.settle", &text("1s"));
        sign(&mut bench).await;
        shim(&bench);
        bench.recover().await.exits(0);
        let filled = fill(&bench, from).await;
        Self { bench, service: None, das: None, filled }
    }

    /// Runs a block as a shell does that stops at the first command that fails.
    pub(crate) async fn run(&mut self, document: &str, block: &Block, answer: Option<&Block>) {
        let script = self.fill(&block.text);
        if script.contains("$RECAPTURE/") && self.service.is_none() {
            self.service = Some(serve(&self.bench, &["serve"]).await);
        }
        if script.contains("$DAS/") && self.das.is_none() {
            let contacts = format!("contacts.url=sqlite://{}", self.bench.path("das.db").display());
            self.das = Some(serve(&self.bench, &["das", "--set", &contacts]).await);
        }
        if document.ends_with("csv.md") {
            let (_, uuid) = self.filled.iter().find(|(name, _)| name == "UUID…").unwrap();
            std::fs::write(self.bench.path("ids.csv"), format!("meeting_uuid\n{uuid}\n")).unwrap();
        }
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &format!("{script}\nwait")]);
        prepare(&mut bash, &self.bench.path(""));
        let path = format!("{}:{}", self.bench.path("bin").display(), std::env::var("PATH").unwrap());
        bash.env("PATH", path).env("REAL", env!("CARGO_BIN_EXE_recapture"));
        bash.env("RECAPTURE_CONFIG", self.bench.path("recapture.toml"))
            .env("USER", "ops")
            .env("TOKEN", TOKEN);
        for (name, server) in [("RECAPTURE", &self.service), ("DAS", &self.das)] {
            bash.env(name, server.as_ref().map_or("", |(_, url)| url.as_str()));
        }
        let ended = Process::spawn(bash).end().await;
        let Finished { code, stdout, stderr } = &ended;
        assert_eq!(*code, Some(0), "{document}:{}:\n{script}\n{stdout}\n{stderr}", block.line);
        if let Some(answer) = answer {
            let told: Value = serde_json::from_str(&self.fill(&answer.text)).unwrap();
            assert_eq!(ended.object(), told, "{document}:{}", answer.line);
        }
    }

    fn fill(&self, text: &str) -> String {
        self.filled.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }
}

/// A signed record, for the page that verifies signatures by hand.
async fn sign(bench: &mut Bench) {
    let key = bench.path("signing.pem");
    let made = Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&key).output();
    assert!(made.await.unwrap().status.success());
    bench.set("evidence.key_file", &text(&key.display().to_string()));
}

fn shim(bench: &Bench) {
    std::fs::create_dir(bench.path("bin")).unwrap();
    let shim = bench.path("bin/recapture");
    std::fs::write(&shim, SHIM).unwrap();
    std::fs::set_permissions(shim, PermissionsExt::from_mode(0o755)).unwrap();
}

/// A service that stays, and where it answers.
async fn serve(bench: &Bench, arguments: &[&str]) -> (Process, String) {
    let mut command = bench.command(arguments);
    command.env("RECAPTURE_SERVER__TOKEN", TOKEN);
    let mut process = Process::spawn(command);
    let line = process.line_with("listening on http://").await;
    let address = line.split_once("http://").unwrap().1.split([',', ';']).next().unwrap().to_owned();
    (process, format!("http://{address}"))
}

/// What documents write in place of what differs from place to place, the longer first.
async fn fill(bench: &Bench, from: DateTime<Utc>) -> Vec<(String, String)> {
    let run = bench.newest_run().await;
    let folder = bench.buffer();
    let manifests = bench.files().into_iter().filter(|path| path.ends_with("manifest.json"));
    let manifest = manifests.min().unwrap();
    let described: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    let meeting = manifest.parent().unwrap().strip_prefix(&folder).unwrap().display().to_string();
    let mut seals =
        std::fs::read_dir(folder.join("runs").join(&run)).unwrap().map(|entry| entry.unwrap().path());
    let seal = seals.find(|path| path.extension().is_some_and(|kind| kind == "seal")).unwrap();
    let writer = seal.file_stem().unwrap().to_str().unwrap().to_owned();
    let simulator = &bench.simulator;
    let day = |days| (from + Days::new(days)).format("%Y-%m-%d").to_string();
    let database = format!("sqlite://{}", bench.path("das.db").display());
    let mut filled = vec![
        ("ACCOUNT_ID=…".to_owned(), format!("ACCOUNT_ID={}", simulator.account_id())),
        ("CLIENT_ID=…".to_owned(), format!("CLIENT_ID={}", simulator.client_id())),
        ("CLIENT_SECRET=…".to_owned(), format!("CLIENT_SECRET={}", simulator.client_secret())),
        ("CONTACTS__TOKEN=…".to_owned(), format!("CONTACTS__TOKEN={}", simulator.das_token())),
        ("https://platform.example.com/das".to_owned(), simulator.das_url()),
        ("postgres://recapture@db.example.com/contacts".to_owned(), database),
        ("meetings/2026/10/01/KEY".to_owned(), meeting),
        ("<buffer>".to_owned(), folder.display().to_string()),
        ("UUID…".to_owned(), described["contact"]["source_id"].as_str().unwrap().to_owned()),
        ("WRITER".to_owned(), writer),
    ];
    // Of the documents' days, the first is the first of the scenario.
    filled.extend((0..3).map(|at| (format!("2026-10-0{}", at + 1), day(at))));
    // Last: it is a part of other words.
    filled.push((" RUN".to_owned(), format!(" {run}")));
    filled.push(("/RUN".to_owned(), format!("/{run}")));
    filled
}

/// A command of the running text with its placeholders filled in, good enough for the grammar.
pub(crate) fn example(command: &str) -> String {
    let words = command.split_whitespace().map(|word| match word.trim_matches(['[', ']', '…']) {
        "RUN" => "01K8ZQ6T5W3N9F2M7B4C1D0E8G",
        "UUID" | "ID" => "aB3dEgHiJkL4mNoPqRgAAA==",
        "REASON" => "network",
        "FILE|DIR" | "FILE" | "DIR" => "a-file",
        "serve|worker|das" | "PROCESS" => "serve",
        "T" => "2026-10-01",
        "bash|zsh|fish" => "bash",
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}
