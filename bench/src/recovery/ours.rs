//! Recapture itself: the programs of a release build, as they are run in earnest.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Figures;
use super::processes::{Output, Programs, Running};
use super::profile::period;
use super::usage::{self, Memory};
use super::zoom::Zoom;
use crate::Fault;
use crate::server::Server;

/// How it is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    /// Worker processes on Redis; none is the embedded form.
    pub(crate) workers: usize,
    /// Meetings and files at once in a process.
    pub(crate) at_once: Option<(usize, usize)>,
    /// Zoom's limits as they are: a plan and a budget. Nothing is limited otherwise.
    pub(crate) plan: Option<&'static str>,
}

/// One recovery in a folder of its own, with a data access service and a Redis of its own.
pub(crate) async fn measure(
    programs: &Programs,
    zoom: &Zoom,
    form: Form,
    meetings: u32,
) -> Result<Figures, Fault> {
    let place = super::Place::new()?;
    let das = serve_contacts(programs, place.path()).await?;
    let mut redis = if form.workers > 0 { Some(Server::start().await?) } else { None };
    let queue = match &redis {
        Some(redis) => redis.url(),
        None => format!("sqlite://{}", place.path().join("queue.db").display()),
    };
    let configuration = configure(place.path(), zoom, (&das.url, TOKEN), &queue, form)?;
    let before = (usage::by_children(), zoom.used());

    let mut workers = Vec::new();
    for _ in 0..form.workers {
        let mut command = programs.worker(&configuration)?;
        command.current_dir(place.path());
        workers.push(Running::start(command, Output::Stderr, "working", 1).await?.0);
    }
    let began = Instant::now();
    let producer = recovery(programs, &configuration, meetings).spawn()?;
    // Of the workers; the embedded one lists as well.
    let ids = workers.iter().map(Running::id).chain(producer.id().filter(|_| workers.is_empty())).collect();
    let memory = Memory::watch(ids);
    let ended = producer.wait_with_output().await?;
    let took = began.elapsed();
    let mib = memory.mib();
    drop(memory);
    for worker in workers {
        worker.end().await?;
    }
    let used = usage::by_children().saturating_sub(before.0);
    let mut beside = usage::by(das.process.id());
    if let Some(redis) = &mut redis {
        beside += redis.used().await?;
    }
    let zoom_used = zoom.used().saturating_sub(before.1);
    if let Some(redis) = redis {
        redis.stop().await?;
    }
    das.process.kill().await?;
    check(&ended, meetings)?;
    Ok(Figures::new(meetings, took, [used, beside, zoom_used], mib))
}

struct Das {
    process: Running,
    url: String,
}

async fn serve_contacts(programs: &Programs, folder: &Path) -> Result<Das, Fault> {
    let mut command = programs.command("recapture");
    command.args([
        "das",
        "--set",
        "server.listen=127.0.0.1:0",
        "--set",
        "server.requests_per_second=1000000",
    ]);
    command.args(["--set", &format!("server.token={TOKEN}")]);
    command.arg("--set").arg(format!("contacts.url=sqlite://{}", folder.join("contacts.db").display()));
    command.current_dir(folder);
    let (process, line) = Running::start(command, Output::Stderr, "listening on", 1).await?;
    let (_, rest) = line.split_once("listening on ").ok_or("no address")?;
    let url = rest.split(',').next().unwrap_or_default().to_owned();
    Ok(Das { process, url })
}

/// Nothing but this benchmark listens to it.
const TOKEN: &str = "token-of-the-benchmark";

/// Writes a configuration; `das` is the address and the token of the data access service.
pub(crate) fn configure(
    folder: &Path,
    zoom: &Zoom,
    das: (&str, &str),
    queue: &str,
    form: Form,
) -> Result<PathBuf, Fault> {
    let mut settings = zoom.settings();
    settings.extend([
        ("contacts.url", json!(das.0)),
        ("contacts.token", json!(das.1)),
        ("queue.url", json!(queue)),
        ("buffer.url", json!(folder.join("buffer"))),
    ]);
    match form.plan {
        Some(plan) => settings.extend([("zoom.plan", json!(plan)), ("zoom.budget", json!(1.0))]),
        None => {
            let limits = ["zoom.limits.light", "zoom.limits.medium", "zoom.limits.heavy"];
            settings.extend(limits.map(|limit| (limit, json!(10_000))));
        }
    }
    if let Some((meetings, files)) = form.at_once {
        settings.extend([("worker.concurrency", json!(meetings)), ("worker.downloads", json!(files))]);
    }
    let mut text = String::new();
    for (key, value) in settings {
        writeln!(text, "{key} = {value}")?;
    }
    let path = folder.join("recapture.toml");
    std::fs::write(&path, text)?;
    Ok(path)
}

fn recovery(programs: &Programs, configuration: &Path, meetings: u32) -> tokio::process::Command {
    let [from, to] = period(meetings).map(|at| at.to_rfc3339());
    let mut command = programs.command("recapture");
    command.arg("--config").arg(configuration);
    command.args(["recover", "--json", "--by", "the benchmark", "--from", &from, "--to", &to]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn check(ended: &std::process::Output, meetings: u32) -> Result<(), Fault> {
    let said = || String::from_utf8_lossy(&ended.stderr).into_owned();
    if !ended.status.success() {
        return Err(format!("recapture recover: {}: {}", ended.status, said()).into());
    }
    let run: Value = serde_json::from_slice(&ended.stdout)?;
    if run["counts"]["recovered"].as_u64() == Some(u64::from(meetings)) {
        return Ok(());
    }
    Err(format!("of {meetings} meetings: {}", run["counts"]).into())
}

/// How many meetings a second so many slots can do, each of so many requests one after the other.
#[allow(clippy::cast_precision_loss, reason = "a few dozen")]
pub(crate) fn per_second(slots: usize, latency: Duration, requests: f64) -> f64 {
    slots as f64 / (latency.as_secs_f64() * requests)
}
