//! A `redis-server` of a test's own: on a free port, in a folder of its own, with an append-only file. The variable
//! `REDIS_SERVER` names another program: another version, or Valkey.

use std::net::TcpListener;
use std::process::Stdio;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub(super) struct Server {
    port: u16,
    process: Child,
    arguments: Vec<String>,
    _folder: TempDir,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more arguments.
    pub(super) async fn start_with(extra: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap().to_owned();
        let extra: Vec<String> = extra.iter().map(|argument| (*argument).to_owned()).collect();
        Self::start_in(folder, |port| {
            let port = port.to_string();
            let usual = ["--port", &port, "--bind", "127.0.0.1", "--dir", &place, "--save", ""];
            let usual = usual.into_iter().chain(["--appendonly", "yes", "--appendfsync", "everysec"]);
            usual.map(str::to_owned).chain(extra.iter().cloned()).collect()
        })
        .await
    }

    async fn start_in(folder: TempDir, arguments: impl Fn(u16) -> Vec<String>) -> Self {
        // A port that is free now may be taken a moment later.
        for _ in 0..20 {
            let port = free_port();
            let arguments = arguments(port);
            if let Some(process) = launch(&arguments).await {
                return Self { port, process, arguments, _folder: folder };
            }
        }
        panic!("redis-server does not start; tests/install-tools installs it");
    }

    /// A sentinel that watches this server as `mymaster`.
    pub(super) async fn sentinel_of(master: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A sentinel rewrites its configuration, so it wants a file.
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, format!("sentinel monitor mymaster 127.0.0.1 {master} 1\n")).unwrap();
        let file = file.to_str().unwrap().to_owned();
        Self::start_in(folder, |port| {
            vec![file.clone(), "--port".into(), port.to_string(), "--sentinel".into()]
        })
        .await
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The value of an argument that it was started with.
    pub(super) fn argument(&self, name: &str) -> String {
        let at = self.arguments.iter().position(|argument| argument == name).unwrap();
        self.arguments[at + 1].clone()
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// `kill -9`.
    pub(super) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Starts what was killed again, with what its append-only file holds.
    pub(super) async fn revive(&mut self) {
        self.process = launch(&self.arguments).await.expect("the port is still free");
    }
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Nothing if it ended before it took connections.
async fn launch(arguments: &[String]) -> Option<Child> {
    // A write beyond the limit of a file is to fail, as on a full disk, and not to end the server.
    let mut process = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::var("REDIS_SERVER").unwrap_or("redis-server".to_owned()))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "these tests need redis-server in the PATH (Debian: apt-get install redis-server): {error}"
            )
        });
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("eady to accept connections") || line.contains("monitor master") {
            // The pipe stays open and is emptied, or the server would stop at a full one.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Some(process);
        }
    }
    None
}

/// A connection besides the queue's. It waits for each answer: a server that syncs its file may take longer than the
/// client's own half second.
pub(super) async fn aside(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).unwrap();
    let patient = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&patient).await.unwrap()
}
