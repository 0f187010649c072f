//! The process under test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use recapture_core::config::{self, ContactsUrl};
use recapture_core::contacts::Contacts;
use recapture_core::contacts::conformance::server::PostgresServer;
use recapture_core::http;
use recapture_core::secret::Secret;

pub(super) const TOKEN: &str = "das-t0ken";

/// A running service; it ends with the test.
pub(super) struct Das {
    pub(super) url: String,
    pub(super) http: reqwest::Client,
    child: Child,
    log: Receiver<String>,
    /// What has been read of the log so far.
    pub(super) told: Vec<String>,
    _folder: Option<tempfile::TempDir>,
}

/// `recapture das` on a free port, with nothing of this process' configuration.
pub(super) fn command(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recapture"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RECAPTURE_") {
            command.env_remove(name);
        }
    }
    command.args(["das", "--set", "server.listen=127.0.0.1:0"]);
    for (key, value) in settings {
        command.args(["--set", &format!("{key}={value}")]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Das {
    pub(super) fn on_sqlite() -> Self {
        Self::on_sqlite_with(&[("server.token", TOKEN)])
    }

    pub(super) fn on_sqlite_with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/contacts.db", folder.path().display());
        let mut settings = settings.to_vec();
        settings.push(("contacts.url", &url));
        Self::start(&settings, Some(folder))
    }

    pub(super) async fn on_postgres(server: &PostgresServer) -> Self {
        let url = server.database().await;
        let password = server.password();
        let settings = [
            ("server.token", TOKEN),
            ("contacts.url", url.as_str()),
            ("contacts.password", password.expose()),
        ];
        Self::start(&settings, None)
    }

    fn start(settings: &[(&str, &str)], folder: Option<tempfile::TempDir>) -> Self {
        let mut child = command(settings).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tell, log) = channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let http = http::client().unwrap();
        let mut das = Self { url: String::new(), http, child, log, told: Vec::new(), _folder: folder };
        let line = das.wait_for("listening on http://");
        let address = line.split_once("http://").unwrap().1.split(',').next().unwrap();
        das.url = format!("http://{address}");
        das
    }

    /// The next line of the log that holds these words.
    pub(super) fn wait_for(&mut self, words: &str) -> String {
        loop {
            let Ok(line) = self.log.recv() else {
                panic!("the service ended without saying '{words}':\n{}", self.told.join("\n"));
            };
            self.told.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
    }

    pub(super) async fn client(&self) -> Contacts {
        let url = ContactsUrl::Rest(self.url.parse().unwrap());
        let timeout = std::time::Duration::from_secs(60);
        let settings = config::Contacts { url, token: Some(Secret::new(TOKEN)), password: None, timeout };
        Contacts::open(&settings, http::client().unwrap()).await.unwrap()
    }

    pub(super) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.url)).bearer_auth(TOKEN)
    }

    pub(super) fn terminate(&self) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    }

    pub(super) fn ended(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Das {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
