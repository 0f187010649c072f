//! Programs that are told what to do by a file: the floor, and the peers' scripts in Python.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

use super::floor::Task;
use super::processes::{Output, Running};
use super::profile::period;
use super::usage::{self, Memory};
use super::zoom::Zoom;
use super::{Figures, Place};
use crate::Fault;
use crate::python;
use crate::server::Server;

/// Lists everything once, so that nobody waits for the simulator to make up the meetings.
pub(super) async fn warm(zoom: &Zoom, meetings: u32) -> Result<(), Fault> {
    let (task, place) = (task(zoom, meetings, false, 0).await?, Place::new()?);
    let task = save(&task, place.path())?;
    tokio::task::spawn_blocking(move || super::floor(&task)).await?
}

/// The best of several numbers of threads.
pub(super) async fn floor(
    zoom: &Zoom,
    meetings: u32,
    fsync: bool,
    threads: &[usize],
) -> Result<Figures, Fault> {
    let mut best: Option<Figures> = None;
    for threads in threads {
        let found = floor_at(zoom, meetings, fsync, *threads).await?;
        best = best.filter(|best| best.rate >= found.rate).or(Some(found));
    }
    best.ok_or_else(|| "no number of threads".into())
}

async fn floor_at(zoom: &Zoom, meetings: u32, fsync: bool, threads: usize) -> Result<Figures, Fault> {
    let place = Place::new()?;
    let task = Task { folder: place.path().join("buffer"), ..task(zoom, meetings, fsync, threads).await? };
    let task = save(&task, place.path())?;
    let before = (usage::by_children(), zoom.used());
    let began = Instant::now();
    let mut child =
        Command::new(std::env::current_exe()?).arg("floor").arg(task).kill_on_drop(true).spawn()?;
    let memory = Memory::watch(child.id().into_iter().collect());
    let ended = child.wait().await?;
    let took = began.elapsed();
    if !ended.success() {
        return Err("the floor failed".into());
    }
    let used = usage::by_children().saturating_sub(before.0);
    let used = [used, Duration::ZERO, zoom.used().saturating_sub(before.1)];
    Ok(Figures::new(meetings, took, used, memory.mib()))
}

/// A peer: its worker processes first, until they are ready, then its producer, which ends when the last meeting is done.
pub(super) async fn measure(zoom: &Zoom, package: &str, meetings: u32) -> Result<Figures, Fault> {
    let name = format!("{package}_recovery");
    let place = Place::new()?;
    let mut redis = Server::start().await?;
    let task = Task {
        folder: place.path().join("buffer"),
        redis: Some(redis.url()),
        ..task(zoom, meetings, true, 0).await?
    };
    let task = save(&task, place.path())?;
    let before = (usage::by_children(), zoom.used());
    let mut workers = Vec::new();
    for (arguments, ready) in worker_commands(package) {
        let command = python::command(&name, &arguments, &task);
        workers.push(Running::start(command, Output::Stdout, "ready", ready).await?.0);
    }
    let mut produce = python::command(&name, &["produce"], &task);
    produce.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let produce = produce.spawn()?;
    // The sequential script has no workers.
    let watched = workers.iter().map(Running::id).chain(produce.id().filter(|_| workers.is_empty()));
    let memory = Memory::watch(watched.collect());
    let produced = produce.wait_with_output().await?;
    let mib = memory.mib();
    for worker in workers {
        worker.end().await?;
    }
    let used = usage::by_children().saturating_sub(before.0);
    let used = [used, redis.used().await?, zoom.used().saturating_sub(before.1)];
    redis.stop().await?;
    let said = String::from_utf8_lossy(&produced.stdout);
    if !produced.status.success() {
        return Err(format!("{name}: {said}{}", String::from_utf8_lossy(&produced.stderr)).into());
    }
    let seconds: f64 = said.lines().last().unwrap_or_default().parse()?;
    check(place.path(), meetings)?;
    Ok(Figures::new(meetings, Duration::from_secs_f64(seconds), used, mib))
}

/// How each process of a peer's workers is started, and how often it says that it is ready.
fn worker_commands(package: &str) -> Vec<(Vec<&'static str>, usize)> {
    match package {
        "sequential" => vec![],
        "celery" => vec![(vec!["work"], 16)],
        "taskiq" => vec![(vec!["work"], 2)],
        _ => vec![(vec!["work"], 1), (vec!["work"], 1)],
    }
}

async fn task(zoom: &Zoom, meetings: u32, fsync: bool, concurrency: usize) -> Result<Task, Fault> {
    let [from, to] = period(meetings);
    let text = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    Ok(Task {
        api_url: zoom.api_url().to_owned(),
        token: zoom.token().await?,
        from: text(from),
        to: text(to - chrono::Duration::seconds(1)),
        folder: PathBuf::new(),
        fsync,
        concurrency,
        redis: None,
        meetings,
    })
}

fn save(task: &Task, folder: &Path) -> Result<PathBuf, Fault> {
    let path = folder.join("task.json");
    std::fs::write(&path, serde_json::to_vec(task)?)?;
    Ok(path)
}

/// Whether a peer stored what it says it did: each meeting's folder, with as many files as its neighbours.
fn check(place: &Path, meetings: u32) -> Result<(), Fault> {
    let mut folders = vec![place.join("buffer")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let mut here = 0_u32;
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                here += 1;
            }
        }
        if here > 0 {
            files.push(here);
        }
    }
    if files.len() == meetings as usize && files.iter().all(|count| *count == files[0]) {
        return Ok(());
    }
    Err(format!("of {meetings} meetings {} are stored", files.len()).into())
}
