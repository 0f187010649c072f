//! `recapture doctor`: each connection, credential and scope, a line each.
//!
//! It looks and leaves nothing behind: a probe file in the buffer is written and removed, what can be written is found out by
//! a write that changes nothing, and a file or a folder that is not there yet is not made. One that is there is opened as every
//! command opens it, which brings the tables of an older version up to date.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use chrono::Utc;
use recapture_core::buffer::Buffer;
use recapture_core::config::{self, Config, ContactsUrl, Loaded, without_credentials};
use recapture_core::contacts::Contacts;
use recapture_core::http;
use recapture_core::period::Period;
use recapture_core::queue::Queue;
use recapture_core::zoom::{Dimension, Page, Zoom};
use rustix::fs::Access;
use serde::Serialize;

use super::{Failure, output};

/// What recovery calls need, in Zoom's granular names; each is also covered by the classic scope.
const SCOPES: [(&str, &str); 3] = [
    ("archiving:read:list_archived_files", "to list what was archived"),
    ("archiving:read:archived_files", "to read a meeting's files"),
    ("archiving:read:archived_file_statistics", "to prove a listing whole"),
];
const CLASSIC: &str = "recording:read";

/// Less than this is worth a word.
const LITTLE_ROOM: u64 = 10_000_000_000;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  recapture doctor
  recapture doctor --config recapture.toml --json | jq '.[] | select(.ok | not)'

Exit codes: 0 everything is in place; 1 something is not.")]
pub(super) struct Arguments {
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    detail: String,
}

pub(super) async fn run(arguments: Arguments, loaded: Loaded) -> Result<ExitCode, Failure> {
    let config = &loaded.config;
    let mut findings = vec![finding("configuration", Ok("no fault in any layer".to_owned()))];
    findings.extend(zoom(config).await);
    findings.push(finding("contacts", contacts(config).await));
    findings.push(finding("queue", queue(config).await));
    findings.push(finding("buffer", buffer(config).await));
    if arguments.json {
        output::print_json(&findings)?;
    } else {
        let line = |found: &Finding| {
            format!("{}  {:<14} {}\n", if found.ok { "ok  " } else { "FAIL" }, found.check, found.detail)
        };
        output::print(&findings.iter().map(line).collect::<String>())?;
    }
    Ok(ExitCode::from(u8::from(findings.iter().any(|found| !found.ok))))
}

fn finding(check: &'static str, result: Result<String, String>) -> Finding {
    let ok = result.is_ok();
    Finding { check, ok, detail: result.unwrap_or_else(|error| error) }
}

async fn zoom(config: &Config) -> Vec<Finding> {
    let zoom = match connect(config) {
        Ok(zoom) => zoom,
        Err(error) => return vec![finding("zoom token", Err(error))],
    };
    let scopes = match zoom.scopes().await {
        Ok(scopes) => scopes,
        Err(error) => return vec![finding("zoom token", Err(error.to_string()))],
    };
    let listing = listing(&zoom).await;
    let token = format!("given by {}", config.zoom.oauth_url.host_str().unwrap_or_default());
    vec![
        finding("zoom token", Ok(token)),
        finding("zoom scopes", judge_scopes(&scopes)),
        finding("zoom listing", listing.as_ref().map(count).map_err(Clone::clone)),
        finding(
            "download hosts",
            listing.map_err(|_| NOTHING_LISTED.to_owned()).and_then(|page| hosts(&zoom, &page)),
        ),
        finding("clock", clock(config).await),
    ]
}

const NOTHING_LISTED: &str = "not known: nothing could be listed";

/// More than this, and deadlines and the end of a period are visibly wrong.
const CLOCKS_DIFFER: chrono::Duration = chrono::Duration::seconds(30);

/// Whether the files of what is listed may be fetched from where they lie.
fn hosts(zoom: &Zoom, page: &Page) -> Result<String, String> {
    let addresses = page.meetings.iter().flat_map(|meeting| &meeting.files);
    let addresses = addresses.filter_map(|file| file.download_url.as_deref());
    let found: BTreeMap<String, bool> = addresses.filter_map(|address| zoom.download_host(address)).collect();
    let refused: Vec<&str> =
        found.iter().filter(|(_, allowed)| !**allowed).map(|(host, _)| &**host).collect();
    if !refused.is_empty() {
        let refused = refused.join(", ");
        return Err(format!(
            "files lie at {refused}, which zoom.download_hosts does not allow; a host that is listed gets the token"
        ));
    }
    if found.is_empty() {
        return Ok("nothing is listed that could tell; zoom.download_hosts is as configured".to_owned());
    }
    Ok(format!("files lie at {}", found.into_keys().collect::<Vec<_>>().join(", ")))
}

async fn clock(config: &Config) -> Result<String, String> {
    let client = http::client().map_err(|error| error.to_string())?;
    let Some(ahead) = http::clock_ahead(&client, config.zoom.api_url.clone()).await? else {
        return Ok("Zoom does not tell its time".to_owned());
    };
    let words = format!(
        "{} {} Zoom's",
        output::length(ahead.abs()),
        if ahead.num_seconds() < 0 { "behind" } else { "ahead of" }
    );
    if ahead.abs() > CLOCKS_DIFFER {
        return Err(format!(
            "this machine's clock is {words}; set it, by NTP for instance: deadlines and periods follow it"
        ));
    }
    Ok(format!("{words}, near enough"))
}

fn connect(config: &Config) -> Result<Zoom, String> {
    let credentials = config.zoom.credentials().map_err(|error| error.to_string())?;
    Zoom::new(&config.zoom, credentials, &config.security, None).map_err(|error| error.to_string())
}

fn judge_scopes(scopes: &[String]) -> Result<String, String> {
    let has = |wanted: &str| scopes.iter().any(|scope| scope.starts_with(wanted));
    let lacking: Vec<String> = SCOPES
        .iter()
        .filter(|(scope, _)| !has(scope) && !has(CLASSIC))
        .map(|(scope, why)| format!("{scope}:admin ({why})"))
        .collect();
    if lacking.is_empty() {
        return Ok(format!("{} scopes, all that are needed", scopes.len()));
    }
    Err(format!(
        "the app lacks {}. Add them to the app; they take effect with the next token",
        lacking.join(", ")
    ))
}

async fn listing(zoom: &Zoom) -> Result<Page, String> {
    let now = Utc::now();
    let day = Period::new(now - chrono::Duration::days(1), now).map_err(|error| error.to_string())?;
    let listed = zoom.list(day, Dimension::StartTime, None).await;
    listed.map(|listed| listed.page).map_err(|error| error.to_string())
}

fn count(page: &Page) -> String {
    let count = page.total_records.unwrap_or(page.meetings.len() as u64);
    format!("{count} archived meetings began in the last 24 h")
}

/// What is told of a file or a folder that is not there yet: whether it could be made.
fn not_yet(file: &Path) -> Option<Result<String, String>> {
    if file.exists() {
        return None;
    }
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = absolute.ancestors().skip(1).find(|folder| folder.exists())?;
    let shown = file.display();
    let can_be_written = if folder.is_dir() {
        rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)
    } else {
        Err(rustix::io::Errno::NOTDIR)
    };
    Some(match can_be_written {
        Ok(()) => Ok(format!("{shown} is not there yet; the first recovery makes it")),
        Err(error) => Err(format!(
            "{shown} is not there and cannot be made: {} cannot be written: {}; let this user write there, or name another file",
            folder.display(),
            std::io::Error::from(error)
        )),
    })
}

async fn contacts(config: &Config) -> Result<String, String> {
    if let ContactsUrl::Sqlite(path) = &config.contacts.url
        && let Some(told) = not_yet(path)
    {
        return told;
    }
    let http = http::client().map_err(|error| error.to_string())?;
    let contacts = Contacts::open(&config.contacts, http).await.map_err(|error| error.to_string())?;
    contacts.check().await.map_err(|error| error.to_string())
}

async fn queue(config: &Config) -> Result<String, String> {
    if let Some(path) = config.queue.url.strip_prefix("sqlite://")
        && let Some(told) = not_yet(Path::new(path))
    {
        return told;
    }
    let queue =
        Queue::open(&recapture_worker::queue_settings(config)).await.map_err(|error| error.to_string())?;
    queue.check().await.map_err(|error| error.to_string())?;
    if let Ok(credentials) = config.zoom.credentials() {
        queue.may_belong_to(&credentials.account_id).await.map_err(|error| error.to_string())?;
    }
    let depth = queue.depth().await.map_err(|error| error.to_string())?;
    let durability = queue.durability().await.map_err(|error| error.to_string())?;
    queue.close().await;
    let paused = if depth.paused { ", paused" } else { "" };
    Ok(format!(
        "{}: {} unfinished, {} dead{paused}; {durability}",
        without_credentials(&config.queue.url),
        depth.unfinished(),
        depth.dead
    ))
}

async fn buffer(config: &Config) -> Result<String, String> {
    if let config::Buffer::Folder(path) = &config.buffer
        && let Some(told) = not_yet(path)
    {
        return told;
    }
    let buffer = Buffer::open(&config.buffer).await.map_err(|error| error.to_string())?;
    let free = buffer.check().await.map_err(|error| error.to_string())?;
    let Some(free) = free else { return Ok(format!("{} can be written", buffer.location())) };
    let room = if free < LITTLE_ROOM { ": that is little for recordings" } else { "" };
    Ok(format!("{} can be written; {} free{room}", buffer.location(), output::bytes(free)))
}
