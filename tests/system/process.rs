//! A process under way, what it says meanwhile, and what it came to.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A process under way. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    said: Arc<Said>,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<()>,
}

/// What has not come after this long never comes: a test that would hang says what it waits for instead.
const NEVER: Duration = Duration::from_secs(300);

/// What came on stderr so far.
#[derive(Default)]
struct Said {
    text: Mutex<String>,
    more: Notify,
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = Arc::<Said>::default();
        let hearing = Arc::clone(&said);
        Self {
            child,
            said,
            stdout: tokio::spawn(async move {
                let mut text = String::new();
                stdout.read_to_string(&mut text).await.unwrap();
                text
            }),
            stderr: tokio::spawn(async move {
                while let Some(line) = lines.next_line().await.unwrap() {
                    hearing.text.lock().unwrap().push_str(&(line + "\n"));
                    hearing.more.notify_one();
                }
            }),
        }
    }

    pub(crate) fn id(&self) -> i32 {
        self.child.id().unwrap().try_into().unwrap()
    }

    /// Whether a signal has stopped it.
    pub(crate) fn stands_still(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('T')
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.id()).unwrap(), signal).unwrap();
    }

    /// Returns once stderr has held the words; panics if the process ends without them.
    pub(crate) async fn said(&mut self, words: &str) {
        self.said_after(0, words).await;
    }

    /// How much it has said, to be asked before what it is to answer.
    pub(crate) fn said_so_far(&self) -> usize {
        self.said.text.lock().unwrap().len()
    }

    /// Tells how often it has said something, also while it is waited for.
    pub(crate) fn ear(&self) -> impl Fn(&str) -> usize + use<> {
        let said = Arc::clone(&self.said);
        move |words| said.text.lock().unwrap().matches(words).count()
    }

    /// Returns once stderr has held the words after that much.
    pub(crate) async fn said_after(&mut self, from: usize, words: &str) {
        let said = Arc::clone(&self.said);
        let hears = async {
            while !said.text.lock().unwrap()[from..].contains(words) {
                said.more.notified().await;
            }
        };
        self.until_or(hears, words).await;
    }

    /// The first line on stderr that holds the words.
    pub(crate) async fn line_with(&mut self, words: &str) -> String {
        self.said(words).await;
        let text = self.said.text.lock().unwrap();
        text.lines().find(|line| line.contains(words)).unwrap().to_owned()
    }

    /// Waits for an event that has to come while the process lives.
    pub(crate) async fn until<T>(&mut self, event: impl Future<Output = T>) -> T {
        self.until_or(event, "what was waited for").await
    }

    async fn until_or<T>(&mut self, event: impl Future<Output = T>, what: &str) -> T {
        let why = tokio::select! {
            biased;
            done = event => return done,
            status = self.child.wait() => format!("ended ({status:?}) before '{what}'"),
            () = tokio::time::sleep(NEVER) => format!("'{what}' does not come"),
        };
        panic!("{why}; stderr: {}", self.said.text.lock().unwrap())
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Kills it, if it has not ended before the event.
    pub(crate) async fn killed_at(mut self, event: impl Future<Output = ()>) -> Option<Finished> {
        tokio::select! {
            biased;
            () = event => {
                self.signal(Signal::KILL);
                self.child.wait().await.unwrap();
                None
            }
            _ = self.child.wait() => Some(self.end().await),
        }
    }

    pub(crate) async fn end(mut self) -> Finished {
        let Ok(status) = tokio::time::timeout(NEVER, self.child.wait()).await else {
            panic!("it does not end; stderr: {}", self.said.text.lock().unwrap())
        };
        let status = status.unwrap();
        let stdout = self.stdout.await.unwrap();
        self.stderr.await.unwrap();
        let stderr = std::mem::take(&mut *self.said.text.lock().unwrap());
        Finished { code: status.code(), stdout, stderr }
    }
}

impl Finished {
    /// The run object on stdout.
    pub(crate) fn object(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in '{}'; stderr: {}", self.stdout, self.stderr))
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        counts_of(&self.object())
    }

    /// Asserts the exit code, and shows what was said if it is another.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Asserts what stderr tells: each of these.
    #[track_caller]
    pub(crate) fn tells(self, words: &[&str]) -> Self {
        for words in words {
            assert!(self.stderr.contains(words), "no '{words}' in: {}", self.stderr);
        }
        self
    }
}

pub(crate) fn counts_of(object: &Value) -> BTreeMap<String, u64> {
    serde_json::from_value(object["counts"].clone()).unwrap()
}
