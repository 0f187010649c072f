//! A `redis-server` of a measurement's own, and what it tells of itself.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cmd;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Fault;

/// Killed when it is dropped.
pub(crate) struct Server {
    port: u16,
    connection: MultiplexedConnection,
    process: Child,
    _folder: TempDir,
}

/// What the server has executed so far.
#[derive(Clone, Copy)]
pub(crate) struct Executed {
    /// Those that scripts call are among them.
    pub(crate) commands: u64,
    pub(crate) scripts: u64,
}

impl Server {
    pub(crate) async fn start() -> Result<Self, Fault> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "everysec"])
            .args(["--slowlog-log-slower-than", "500", "--slowlog-max-len", "1024"])
            .arg("--dir")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("redis-server cannot be started; it has to be in the PATH: {error}"))?;
        let mut lines = BufReader::new(process.stdout.take().ok_or("no output")?).lines();
        loop {
            let line = lines.next_line().await?.ok_or("redis-server ended before it took connections")?;
            if line.contains("eady to accept connections") {
                break;
            }
        }
        // Emptied, or the server would stop at a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
        let connection = client.get_multiplexed_async_connection().await?;
        Ok(Self { port, connection, process, _folder: folder })
    }

    /// Returns when it has ended, so that what it used is not taken for that of what comes next.
    pub(crate) async fn stop(mut self) -> Result<(), Fault> {
        Ok(self.process.kill().await?)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on it lets its append-only file grow, where it would fork to make a shorter one.
    pub(crate) async fn rewrite_never(&mut self) -> Result<(), Fault> {
        let mut set = cmd("CONFIG");
        set.arg("SET").arg("auto-aof-rewrite-percentage").arg(0);
        Ok(set.exec_async(&mut self.connection).await?)
    }

    /// Runs a script of the keys `ready` and `jobs`.
    pub(crate) async fn run(&mut self, script: &str, argument: &str) -> Result<(), Fault> {
        let mut eval = cmd("EVAL");
        eval.arg(script).arg(2).arg("ready").arg("jobs").arg(argument);
        Ok(eval.exec_async(&mut self.connection).await?)
    }

    /// By what name a script can be called.
    pub(crate) async fn load(&mut self, script: &str) -> Result<String, Fault> {
        Ok(cmd("SCRIPT").arg("LOAD").arg(script).query_async(&mut self.connection).await?)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn memory(&mut self) -> Result<u64, Fault> {
        let text: String = cmd("INFO").arg("memory").query_async(&mut self.connection).await?;
        let used = text.lines().find_map(|line| line.strip_prefix("used_memory:"));
        Ok(used.ok_or("no used_memory")?.parse()?)
    }

    /// The sum of what these commands answer of these keys.
    pub(crate) async fn count(&mut self, keys: &[(&str, &str)]) -> Result<usize, Fault> {
        let mut sum = 0;
        for (command, key) in keys {
            sum += cmd(command).arg(key).query_async::<usize>(&mut self.connection).await?;
        }
        Ok(sum)
    }

    /// How much of a processor the server has used.
    pub(crate) async fn used(&mut self) -> Result<Duration, Fault> {
        let text: String = cmd("INFO").arg("cpu").query_async(&mut self.connection).await?;
        let seconds = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|seconds| seconds.trim().parse::<f64>().ok()).unwrap_or_default()
        };
        Ok(Duration::from_secs_f64(seconds("used_cpu_user") + seconds("used_cpu_sys")))
    }

    pub(crate) async fn executed(&mut self) -> Result<Executed, Fault> {
        let text: String = cmd("INFO").arg("commandstats").query_async(&mut self.connection).await?;
        let mut executed = Executed { commands: 0, scripts: 0 };
        for line in text.lines() {
            let Some((name, calls)) = line.split_once(":calls=") else { continue };
            let calls: u64 = calls.split(',').next().unwrap_or_default().parse()?;
            match name.trim_start_matches("cmdstat_") {
                "evalsha" | "eval" | "fcall" => executed.scripts += calls,
                _ => executed.commands += calls,
            }
        }
        Ok(executed)
    }

    /// The longest script since this was last asked, in milliseconds; 0.5 if none was longer than that.
    pub(crate) async fn slowest(&mut self) -> Result<f64, Fault> {
        type Entry = (u64, u64, u64, Vec<redis::Value>, String, String);
        let entries: Vec<Entry> =
            cmd("SLOWLOG").arg("GET").arg(1024).query_async(&mut self.connection).await?;
        cmd("SLOWLOG").arg("RESET").exec_async(&mut self.connection).await?;
        let micros = entries.iter().map(|entry| entry.2).max().unwrap_or(500);
        Ok(Duration::from_micros(micros).as_secs_f64() * 1e3)
    }
}
