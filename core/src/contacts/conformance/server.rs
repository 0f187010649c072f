//! A real PostgreSQL for tests: its own folder, a free port, gone with the process that started it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::secret::Secret;

const SCRIPT: &str = include_str!("server.sh");

/// With what an address has to encode.
const PASSWORD: &str = "p@ss/w:rd?#%";

/// Whom a server belongs to that was started by root, which PostgreSQL refuses to run as: `nobody`.
const NOBODY: &str = "65534";

#[derive(Debug)]
pub struct PostgresServer {
    port: u16,
    commands: Mutex<Commands>,
}

#[derive(Debug)]
struct Commands {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Ends by itself when its input does.
    _script: Child,
}

impl PostgresServer {
    /// One for all tests of a process, each with a database of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    pub fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let mut script = shell();
        script.args(["-c", SCRIPT, "postgres"]).arg(programs()).arg(port.to_string()).arg(PASSWORD);
        let mut script =
            script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell for PostgreSQL");
        let input = script.stdin.take().expect("piped");
        let output = BufReader::new(script.stdout.take().expect("piped"));
        let server = Self { port, commands: Mutex::new(Commands { input, output, _script: script }) };
        server.run("start");
        server
    }

    /// `kill -9`.
    pub fn kill(&self) {
        self.run("kill");
    }

    /// Returns when connections are taken.
    pub fn start_again(&self) {
        self.run("start");
    }

    fn run(&self, command: &str) {
        let mut commands = self.commands.lock().expect("no test failed in here");
        writeln!(commands.input, "{command}").expect("the script listens");
        let mut answer = String::new();
        commands.output.read_line(&mut answer).expect("the script answers");
        assert_eq!(answer, "done\n", "PostgreSQL did not {command}; what it said stands above");
    }

    /// The address of a new database with nothing in it, without the password.
    pub async fn database(&self) -> Url {
        let name = format!("test_{:016x}", fastrand::u64(..));
        let mut connection = self.options("postgres").connect().await.expect("the server is up");
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&mut connection).await.expect("a new database");
        let address = format!("postgres://recapture@127.0.0.1:{}/{name}", self.port);
        address.parse().expect("an address")
    }

    pub fn password(&self) -> Secret {
        Secret::new(PASSWORD)
    }

    /// For a connection beside those of the contacts.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username("recapture")
            .password(PASSWORD)
            .database(database)
    }
}

fn shell() -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new("sh");
    }
    let mut shell = Command::new("setpriv");
    shell.arg(format!("--reuid={NOBODY}")).arg(format!("--regid={NOBODY}")).args(["--clear-groups", "sh"]);
    shell
}

/// The folder of `initdb` and `postgres`: Debian keeps them out of the search path, by version.
fn programs() -> PathBuf {
    let by_path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    debian.sort();
    debian
        .into_iter()
        .rev()
        .chain(std::env::split_paths(&by_path))
        .find(|folder: &PathBuf| is_there(folder, "initdb") && is_there(folder, "postgres"))
        .expect("this test needs PostgreSQL: run tests/install-tools (on Debian: apt-get install postgresql)")
}

fn is_there(folder: &Path, program: &str) -> bool {
    folder.join(program).is_file()
}
