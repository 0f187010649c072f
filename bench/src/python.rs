//! Peers from PyPI: each in an environment of its own, because their demands on the `redis` package exclude each other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use crate::Fault;

/// What a script of `peers/` prints.
#[derive(Deserialize)]
struct Answer {
    seconds: Vec<f64>,
}

/// Makes the environment if it is not there.
pub(crate) async fn prepare(name: &str) -> Result<(), Fault> {
    let environment = environment(name);
    let ready = environment.join("ready");
    let requirements = peers().join(format!("{name}.txt"));
    let wanted = std::fs::read_to_string(&requirements)?;
    if std::fs::read_to_string(&ready).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment)).await?;
    let python = environment.join("bin/python");
    run(Command::new(python).args(["-m", "pip", "install", "-q", "-r"]).arg(&requirements)).await?;
    Ok(std::fs::write(ready, wanted)?)
}

pub(crate) async fn enqueue(name: &str, url: &str, count: usize) -> Result<Duration, Fault> {
    single(name, &["enqueue", url, &count.to_string()]).await
}

pub(crate) async fn drain(
    name: &str,
    url: &str,
    concurrency: usize,
    count: usize,
) -> Result<Duration, Fault> {
    single(name, &["drain", url, &count.to_string(), &concurrency.to_string()]).await
}

pub(crate) async fn latencies(name: &str, url: &str, samples: u32) -> Result<Vec<Duration>, Fault> {
    ask(name, &["latency", url, &samples.to_string()]).await
}

async fn single(name: &str, arguments: &[&str]) -> Result<Duration, Fault> {
    Ok(ask(name, arguments).await?.pop().ok_or("nothing was measured")?)
}

async fn ask(name: &str, arguments: &[&str]) -> Result<Vec<Duration>, Fault> {
    let python = environment(name).join("bin/python");
    let printed =
        run(Command::new(python).arg(peers().join(format!("{name}_peer.py"))).args(arguments)).await?;
    let answer: Answer = serde_json::from_str(printed.lines().last().unwrap_or_default())?;
    Ok(answer.seconds.into_iter().map(Duration::from_secs_f64).collect())
}

/// A script of `peers/` in the environment of its name, with the path of its task at the end.
pub(crate) fn command(name: &str, arguments: &[&str], task: &Path) -> Command {
    let environment = environment(name);
    let mut command = Command::new(environment.join("bin/python"));
    command.arg(peers().join(format!("{name}.py"))).args(arguments).arg(task);
    command.env("PATH", environment.join("bin"));
    command
}

async fn run(command: &mut Command) -> Result<String, Fault> {
    let output = command.kill_on_drop(true).output().await?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("{:?} failed: {why}", command.as_std()).into())
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// Beside what cargo builds.
fn environment(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    target.join("bench-venv").join(name)
}
