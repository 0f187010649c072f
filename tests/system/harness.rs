//! One simulator, one folder, and the processes that are run over them.

// The tests of the documents take this file too, by its path.
#[path = "process.rs"]
mod process;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use recapture_core::buffer::conformance::server::S3Server;
use recapture_simulator::{FileSpec, Scenario, Simulator};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

pub(crate) use self::process::{Finished, Process, counts_of};

/// Meetings of three small files each, nothing else unusual about them.
pub(crate) fn plain(meetings: u32) -> Scenario {
    Scenario {
        meetings,
        files: vec![
            FileSpec::new("MP4", 8 << 10, 20 << 10),
            FileSpec::new("M4A", 2 << 10, 6 << 10),
            FileSpec::new("TRANSCRIPT", 300, 2 << 10),
        ],
        captured: 0.0,
        incomplete: 0.0,
        external: 0.0,
        breakout_rooms: 0.0,
        webinars: 0.0,
        recurring: 0.0,
        attachments: 0.0,
        ..Scenario::default()
    }
}

pub(crate) struct Bench {
    pub(crate) simulator: Simulator,
    period: [String; 2],
    folder: TempDir,
    /// Where the buffer's files stand, in the folder or in that of an S3 server.
    buffer: PathBuf,
    settings: BTreeMap<String, String>,
}

impl Bench {
    pub(crate) async fn start(scenario: Scenario) -> Self {
        let period = [scenario.from, scenario.to].map(|at| at.to_rfc3339());
        let simulator = Simulator::start(scenario).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let buffer = folder.path().join("buffer");
        let mut bench = Self { simulator, period, folder, buffer, settings: BTreeMap::new() };
        bench.configure();
        bench
    }

    /// The same with the buffer in an object store.
    pub(crate) async fn start_on_s3(scenario: Scenario, server: &S3Server) -> Self {
        let mut bench = Self::start(scenario).await;
        let bucket = server.bucket();
        bench.buffer = server.objects(&bucket).join("eu/archive");
        let (id, secret) = server.key();
        bench.set("buffer.url", &text(&format!("s3://{bucket}/eu/archive")));
        bench.set("buffer.endpoint", &text(&server.endpoint()));
        bench.set("buffer.access_key_id", &text(id)).set("buffer.secret_access_key", &text(secret));
        bench
    }

    fn configure(&mut self) {
        let simulator = &self.simulator;
        let hosts: Vec<_> = simulator.download_hosts().iter().map(|host| text(host)).collect();
        let queue = format!("sqlite://{}", self.path("queue.db").display());
        let settings = [
            ("zoom.api_url", text(&simulator.api_url())),
            ("zoom.oauth_url", text(&simulator.oauth_url())),
            ("zoom.account_id", text(simulator.account_id())),
            ("zoom.client_id", text(simulator.client_id())),
            ("zoom.client_secret", text(simulator.client_secret())),
            ("zoom.download_hosts", format!("[{}]", hosts.join(", "))),
            ("zoom.limits.light", "10000".to_owned()),
            ("zoom.limits.medium", "10000".to_owned()),
            ("zoom.limits.heavy", "10000".to_owned()),
            ("zoom.stall_timeout", text("500ms")),
            ("zoom.processing_poll", text("1h")),
            ("csv.settle", text("10ms")),
            ("contacts.url", text(&simulator.das_url())),
            ("contacts.token", text(simulator.das_token())),
            ("queue.url", text(&queue)),
            ("buffer.url", text(&self.buffer().display().to_string())),
        ];
        self.settings = settings.map(|(key, value)| (key.to_owned(), value)).into();
        self.write_configuration();
    }

    /// Sets a key to a value in TOML.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> &mut Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self.write_configuration();
        self
    }

    pub(crate) fn unset(&mut self, key: &str) -> &mut Self {
        self.settings.remove(key);
        self.write_configuration();
        self
    }

    /// The same contacts behind the Verint form, which can only be read: with the column that tells files, and with the
    /// platform's own ingestion as the hand-off.
    pub(crate) fn speak_verint(&mut self) -> &mut Self {
        let simulator = &self.simulator;
        let settings = [
            ("contacts.api", "verint"),
            ("contacts.url", &simulator.verint_url()),
            ("contacts.ingest_url", &simulator.ingest_url()),
            ("contacts.verint.user", simulator.verint_user()),
            ("contacts.verint.password", simulator.verint_password()),
            ("contacts.verint.file_column", "cd17"),
        ]
        .map(|(key, value)| (key.to_owned(), text(value)));
        self.settings.extend(settings);
        self.write_configuration();
        self
    }

    fn write_configuration(&self) {
        let lines = self.settings.iter().fold(String::new(), |mut lines, (key, value)| {
            writeln!(lines, "{key} = {value}").unwrap();
            lines
        });
        std::fs::write(self.path("recapture.toml"), lines).unwrap();
    }

    /// A place in the folder of this test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn buffer(&self) -> PathBuf {
        self.buffer.clone()
    }

    pub(crate) fn is_on_s3(&self) -> bool {
        self.settings.contains_key("buffer.endpoint")
    }

    /// The command `recapture` with this test's configuration, and of the environment nothing that could change it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recapture"));
        command.arg("--config").arg(self.path("recapture.toml")).args(arguments);
        prepare(&mut command, self.folder.path());
        command
    }

    pub(crate) fn spawn(&self, arguments: &[&str]) -> Process {
        Process::spawn(self.command(arguments))
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Finished {
        self.spawn(arguments).end().await
    }

    /// The arguments of a recovery of the whole scenario.
    pub(crate) fn recovery<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let [from, to] = &self.period;
        let whole = ["recover", "--from", from, "--to", to, "--by", "the tests", "--json"];
        whole.into_iter().chain(more.iter().copied()).collect()
    }

    pub(crate) fn spawn_recovery(&self) -> Process {
        self.spawn(&self.recovery(&[]))
    }

    pub(crate) async fn recover(&self) -> Finished {
        self.spawn_recovery().end().await
    }

    pub(crate) async fn status(&self) -> Value {
        self.run(&["status", "--json"]).await.exits(0).object()
    }

    /// The run objects, newest first.
    pub(crate) async fn runs(&self) -> Vec<Value> {
        serde_json::from_value(self.status().await["runs"].take()).unwrap()
    }

    pub(crate) async fn newest_run(&self) -> String {
        self.runs().await[0]["id"].as_str().unwrap().to_owned()
    }

    /// The period of the whole scenario.
    pub(crate) fn period(&self) -> &[String; 2] {
        &self.period
    }

    /// The lines of a run's evidence, of all who wrote any.
    pub(crate) fn record_of(&self, run: &str) -> String {
        let folder = self.buffer().join("runs").join(run);
        let is_record = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "jsonl");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(is_record);
        files.map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }

    /// Every file under the buffer.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        walk(&self.buffer(), &mut |path, kind| {
            if kind.is_file() {
                files.push(path.to_owned());
            }
        });
        files
    }

    pub(crate) fn parts(&self) -> Vec<PathBuf> {
        let is_part = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "part");
        self.files().into_iter().filter(is_part).collect()
    }
}

pub(crate) fn prepare(command: &mut Command, folder: &Path) {
    command.env_clear().current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
}

/// A text as TOML has it.
pub(crate) fn text(text: &str) -> String {
    Value::from(text).to_string()
}

/// Everything below a folder; nothing if it is not there.
pub(crate) fn walk(folder: &Path, visit: &mut dyn FnMut(&Path, std::fs::FileType)) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        visit(&entry.path(), kind);
        if kind.is_dir() {
            walk(&entry.path(), visit);
        }
    }
}
