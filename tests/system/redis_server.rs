//! A real `redis-server` of a test's own: on a free port, in a folder of its own, with an append-only file.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

pub(crate) struct RedisServer {
    port: u16,
    process: Child,
    folder: TempDir,
    more: Vec<String>,
}

impl RedisServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more arguments.
    pub(crate) async fn start_with(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let more: Vec<String> = more.iter().map(|argument| (*argument).to_owned()).collect();
        // A port that is free now may be taken a moment later.
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(process) = launch(port, &folder, &more).await {
                return Self { port, process, folder, more };
            }
        }
        panic!("redis-server does not start");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// One command, as an operator gives it; the first line of the answer.
    pub(crate) async fn tell(&self, words: &[&str]) -> String {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            write!(request, "${}\r\n{word}\r\n", word.len()).unwrap();
        }
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_line(&mut answer).await.unwrap();
        assert!(!answer.starts_with('-'), "{words:?}: {answer}");
        answer.trim_end().to_owned()
    }

    /// Counts the commands whose line in `MONITOR` the words are all part of, from now on.
    pub(crate) async fn counting(&self, words: &'static [&'static str]) -> Arc<AtomicU64> {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port)).await.unwrap());
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let mut lines = stream.lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("+OK"));
        let count = Arc::<AtomicU64>::default();
        let counting = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if words.iter().all(|word| line.contains(word)) {
                    counting.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        count
    }

    /// Unfinished meetings on the queue.
    pub(crate) async fn unfinished(&self) -> u64 {
        self.tell(&["HLEN", "{recapture}:jobs"]).await.trim_start_matches(':').parse().unwrap()
    }

    pub(crate) async fn killed(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// A new start from the append-only file.
    pub(crate) async fn restarted(&mut self) {
        self.process = launch(self.port, &self.folder, &self.more).await.expect("the port is still ours");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Everything in it is gone.
    pub(crate) async fn flushed(&self) {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        connection.write_all(b"FLUSHALL\r\n").await.unwrap();
        let mut answer = [0; 5];
        connection.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"+OK\r\n");
    }

    /// `kill -9`, and a new start from the append-only file.
    pub(crate) async fn killed_and_restarted(&mut self) {
        self.killed().await;
        self.restarted().await;
    }
}

/// Returns once it serves; `None` if the port is taken.
async fn launch(port: u16, folder: &TempDir, more: &[String]) -> Option<Child> {
    let mut process = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always"])
        .arg("--dir")
        .arg(folder.path())
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("redis-server: {error}; tests/install-tools installs it"));
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("Ready to accept connections") {
            // What it says later must not fill the pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Some(process);
        }
    }
    None
}
