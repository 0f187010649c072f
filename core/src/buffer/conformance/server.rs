//! A real S3 server for tests (`s3s-fs`, which `tests/install-tools` installs): its own folder, a free port, gone with the
//! process that started it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use tempfile::TempDir;

use crate::config;
use crate::secret::Secret;

const KEY_ID: &str = "recapture";
const SECRET: &str = "s3-secret-of-the-tests";

#[derive(Debug)]
pub struct S3Server {
    port: u16,
    process: Mutex<Child>,
    folder: TempDir,
}

impl S3Server {
    /// One for all tests of a process, each with a bucket of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<S3Server> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (process, port) = launch(folder.path(), 0);
        Self { port, process: Mutex::new(process), folder }
    }

    /// `kill -9`.
    pub fn kill(&self) {
        let mut process = self.process.lock().expect("no test failed in here");
        writeln!(process.stdin.take().expect("not killed before"), "kill").expect("the script listens");
        process.wait().expect("it ends");
    }

    /// Returns when connections are taken.
    pub fn start_again(&self) {
        *self.process.lock().expect("no test failed in here") = launch(self.folder.path(), self.port).0;
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A new bucket, which for this server is a folder.
    pub fn bucket(&self) -> String {
        let name = format!("test-{:016x}", fastrand::u64(..));
        std::fs::create_dir(self.folder.path().join(&name)).expect("a bucket");
        name
    }

    /// Where the server keeps a bucket's objects, each under its key.
    pub fn objects(&self, bucket: &str) -> PathBuf {
        self.folder.path().join(bucket)
    }

    /// Uploads that were begun and neither completed nor aborted.
    pub fn unfinished_uploads(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path()).expect("its folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let of_upload = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".upload"))
        };
        paths.filter(of_upload).collect()
    }

    pub fn key(&self) -> (&'static str, &'static str) {
        (KEY_ID, SECRET)
    }

    /// A place in a bucket.
    pub fn place(&self, bucket: &str, prefix: &str) -> config::Buffer {
        config::Buffer::S3(config::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: Some(self.endpoint().parse().expect("an address")),
            region: "us-east-1".to_owned(),
            access: Some((KEY_ID.to_owned(), Secret::new(SECRET))),
        })
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let mut process = self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(process.stdin.take());
        let _ = process.wait();
    }
}

/// The server and who ends it: the script's input ends with the tests however they end, and then so does the server, and
/// its folder goes.
const SCRIPT: &str = r#"
trap '' INT
folder=$1; shift
"$@" & server=$!
while read -r _kill; do
	kill -9 $server; wait $server 2>/dev/null; exit
done
kill -9 $server; wait $server 2>/dev/null; rm -rf "$folder"
"#;

/// Answers the script's process and the server's port, once it takes connections.
fn launch(folder: &Path, port: u16) -> (Child, u16) {
    let program = ["PATH", "HOME"].into_iter().find_map(find);
    let program = program.expect("this test needs s3s-fs, an S3 server: run tests/install-tools");
    let mut process = Command::new("sh")
        .args(["-c", SCRIPT, "s3s-fs"])
        .arg(folder)
        .arg(program)
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .args(["--access-key", KEY_ID, "--secret-key", SECRET])
        .arg(folder)
        .env("RUST_LOG", "s3s_fs=info")
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell for s3s-fs");
    let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, address) = line.split_once("running at http://")?;
        address.rsplit_once(':')?.1.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()
    });
    let port = port.expect("it tells its port; what it said stands above");
    // What it says later must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (process, port)
}

fn find(variable: &str) -> Option<PathBuf> {
    let value = std::env::var_os(variable)?;
    let folders: Vec<PathBuf> = match variable {
        "HOME" => vec![Path::new(&value).join(".cargo/bin")],
        _ => std::env::split_paths(&value).collect(),
    };
    folders.into_iter().map(|folder| folder.join("s3s-fs")).find(|program| program.is_file())
}
