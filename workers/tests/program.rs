//! `recapture-worker` as a supervisor sees it: what it says, what it serves, and how it ends. On a real Redis.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;

struct Redis {
    port: u16,
    process: Child,
}

impl Redis {
    fn start() -> Self {
        // A port that is free now may be taken a moment later.
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut process = Command::new("redis-server")
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap_or_else(|error| panic!("redis-server: {error}; tests/install-tools installs it"));
            let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
            if lines.any(|line| line.unwrap().contains("Ready to accept connections")) {
                // What it says later must not fill the pipe.
                std::thread::spawn(move || lines.count());
                return Self { port, process };
            }
            process.wait().unwrap();
        }
        panic!("redis-server does not start");
    }

    /// One command, as an operator gives it; the first line of the answer.
    fn tell(&self, words: &[&str]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
        let words: Vec<String> = words.collect();
        write!(stream, "*{}\r\n{}", words.len(), words.concat()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        assert!(!answer.starts_with('-'), "{words:?}: {answer}");
        answer.trim_end().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A worker and what it says on stderr.
struct Worker {
    process: Child,
    says: std::io::Lines<BufReader<ChildStderr>>,
}

impl Worker {
    fn start(folder: &TempDir, redis: &Redis) -> Self {
        let place = |name: &str| folder.path().join(name).display().to_string();
        let settings = [
            ("zoom.account_id", "'an account'".to_owned()),
            ("zoom.client_id", "'a client'".to_owned()),
            ("zoom.client_secret", "'a secret'".to_owned()),
            ("queue.url", format!("'redis://127.0.0.1:{}'", redis.port)),
            ("contacts.url", format!("'sqlite://{}'", place("contacts.db"))),
            ("buffer.url", format!("'{}'", place("buffer"))),
            ("worker.listen", "'127.0.0.1:0'".to_owned()),
            ("log.format", "'json'".to_owned()),
        ];
        let settings = settings.map(|(key, value)| format!("{key} = {value}\n")).concat();
        fs::write(place("recapture.toml"), settings).unwrap();
        Self::run(folder, &["--config", &place("recapture.toml")])
    }

    fn run(folder: &TempDir, arguments: &[&str]) -> Self {
        let mut process = program(folder).args(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let says = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, says }
    }

    /// The first line from here on that holds the words; every line is JSON.
    fn line_with(&mut self, words: &str) -> Value {
        for line in &mut self.says {
            let line = line.unwrap();
            let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if line.contains(words) {
                return told;
            }
        }
        panic!("it ended without saying '{words}'");
    }

    fn signal(&self, name: &str) {
        let told = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status().unwrap();
        assert!(told.success());
    }

    fn end(mut self) -> (ExitStatus, String) {
        let rest: Vec<String> = self.says.by_ref().map(|line| line.unwrap()).collect();
        (self.process.wait().unwrap(), rest.join("\n"))
    }
}

fn program(folder: &TempDir) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_recapture-worker"));
    program.env_clear().current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
    program
}

fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

fn listening(worker: &mut Worker) -> String {
    worker.line_with("serving /healthz")["address"].as_str().unwrap().to_owned()
}

#[test]
fn it_tells_how_it_is_and_ends_well_when_it_is_told_to() {
    let (folder, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let mut worker = Worker::start(&folder, &redis);
    let address = listening(&mut worker);
    assert_eq!(get(&address, "/healthz").0, 200);
    assert_eq!(get(&address, "/readyz"), (200, "ok\n".to_owned()));
    assert!(get(&address, "/metrics").1.contains("recapture_queue_jobs{state=\"ready\"} 0"));

    worker.signal("TERM");
    let (status, said) = worker.end();

    assert!(status.success(), "{status}: {said}");
    assert!(said.contains("stopped; nothing is left in hand"), "{said}");
}

/// A queue that can be read and not written gives no jobs, whatever it says of its depth.
#[test]
fn it_is_not_ready_while_its_own_calls_are_refused() {
    let (folder, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let mut worker = Worker::start(&folder, &redis);
    let address = listening(&mut worker);
    // Something for the next claim to write: the end of a lease.
    let refuse = || {
        redis.tell(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
        redis.tell(&["ZADD", "{recapture}:leased", "1", "nobody"]);
        redis.tell(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        redis.tell(&["PUBLISH", "{recapture}:news", ""]);
    };
    while get(&address, "/readyz").0 == 200 {
        if redis.tell(&["ZCARD", "{recapture}:leased"]) == ":0" {
            refuse();
        }
    }
    let (status, why) = get(&address, "/readyz");
    assert_eq!(status, 503);
    assert!(why.contains("cannot be written"), "{why}");
    assert_eq!(get(&address, "/healthz").0, 200, "it waits, and is to be left alone");

    redis.tell(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    while get(&address, "/readyz").0 != 200 {}
    worker.signal("TERM");
    assert!(worker.end().0.success());
}

#[test]
fn it_ends_with_an_error_when_its_pool_is_dead() {
    let (folder, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let mut worker = Worker::start(&folder, &redis);
    let address = listening(&mut worker);
    while get(&address, "/readyz").0 != 200 {}
    redis.tell(&["SET", "{recapture}:leased", "of another type"]);
    redis.tell(&["PUBLISH", "{recapture}:news", ""]);

    worker.line_with("the pool ends");
    let (status, said) = worker.end();

    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("recapture-worker: the queue at"), "{said}");
}

#[test]
fn what_cannot_work_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (status, said) = Worker::run(&folder, &[]).end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("zoom.account_id"), "{said}");
    assert_eq!(Worker::run(&folder, &["--nonsense"]).end().0.code(), Some(2));
}
