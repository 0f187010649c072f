//! `recapture buffer purge`: removes what the platform has taken over.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use chrono::Utc;
use clap::Subcommand;
use recapture_core::buffer::Buffer;
use recapture_core::config::Loaded;
use recapture_core::contacts::Contacts;
use recapture_core::evidence::Evidence;
use recapture_core::http;
use recapture_core::period::parse_length;
use recapture_core::queue::WorkerId;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Failure, output};
use crate::purge::{Purge, PurgeError, Stays, purge};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Removes meetings that are complete, old enough, and confirmed by the platform file by file
    Purge(PurgeArguments),
}

const EXAMPLES: &str = "\
Examples:
  recapture buffer purge --older-than 30d --dry-run
  recapture buffer purge --older-than 30d --json";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
struct PurgeArguments {
    /// How long ago a meeting has to have been completed: 30d
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    older_than: Duration,
    /// Says what would be removed, and removes nothing
    #[arg(long)]
    dry_run: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn length(text: &str) -> Result<Duration, String> {
    parse_length(text).map_err(|error| error.to_string())
}

const NOT_EMPTY: &str = "something else is in it";

impl Stays {
    fn words(&self) -> String {
        match self {
            Self::Unreadable(why) => why.clone(),
            Self::NoContact => "the platform has no contact of it".to_owned(),
            Self::Replaced => "its manifest was replaced meanwhile".to_owned(),
            Self::Unconfirmed { file_id } => format!("the platform does not confirm file {file_id}"),
        }
    }
}

impl From<PurgeError> for Failure {
    fn from(error: PurgeError) -> Self {
        Self::CouldNotRun(error.to_string())
    }
}

pub(super) async fn run(
    arguments: Arguments,
    loaded: Loaded,
    stop: CancellationToken,
) -> Result<ExitCode, Failure> {
    let Command::Purge(PurgeArguments { older_than, dry_run, json }) = arguments.command;
    let config = &loaded.config;
    let could_not = |error: &dyn std::fmt::Display| Failure::CouldNotRun(error.to_string());
    let buffer = Buffer::open_to_read(&config.buffer).await?;
    let http = http::client().map_err(|error| could_not(&error))?;
    let contacts = Contacts::open(&config.contacts, http).await.map_err(|error| could_not(&error))?;
    let evidence = Evidence::new(buffer.clone(), WorkerId::new().as_str(), config.evidence.key.clone());
    let before = chrono::Duration::from_std(older_than)
        .ok()
        .and_then(|length| Utc::now().checked_sub_signed(length))
        .ok_or_else(|| Failure::WrongArguments("--older-than reaches back too far".to_owned()))?;
    let recorded = (!dry_run).then_some(&evidence);
    let purged = purge(&buffer, &contacts, recorded, before, &stop).await;
    // Sealed even if it stopped halfway: what was removed is recorded.
    evidence.tend().await?;
    let purged = purged?;
    output::print_either(json, &object(&purged, dry_run), &words(&purged, dry_run))?;
    Ok(output::done())
}

fn object(purge: &Purge, dry_run: bool) -> Value {
    let removed =
        purge.removed.iter().map(|(folder, size)| json!({ "folder": folder.as_str(), "bytes": size }));
    let unconfirmed =
        purge.stay.iter().map(|(folder, why)| json!({ "folder": folder.as_str(), "why": why.words() }));
    let not_empty =
        purge.not_empty.iter().map(|folder| json!({ "folder": folder.as_str(), "why": NOT_EMPTY }));
    json!({
        "schema": "recapture.purge/1",
        "dry_run": dry_run,
        "removed": removed.collect::<Vec<_>>(),
        "stay": unconfirmed.chain(not_empty).collect::<Vec<_>>(),
        "not_due": purge.not_due,
    })
}

fn words(purge: &Purge, dry_run: bool) -> String {
    let mut text = String::new();
    let verb = if dry_run { "would remove" } else { "removed" };
    for (folder, size) in &purge.removed {
        let _ = writeln!(text, "{verb}  {}  {}", folder.as_str(), output::bytes(*size));
    }
    for (folder, why) in &purge.stay {
        let _ = writeln!(text, "stays  {}: {}", folder.as_str(), why.words());
    }
    for folder in &purge.not_empty {
        let _ = writeln!(text, "stays  {}: {NOT_EMPTY}", folder.as_str());
    }
    let bytes = purge.removed.iter().map(|(_, size)| size).sum();
    let _ = writeln!(
        text,
        "{verb} {} meetings, {}; {} stay that are old enough, {} are younger or not complete",
        output::grouped(purge.removed.len() as u64),
        output::bytes(bytes),
        output::grouped(purge.stay.len() as u64),
        output::grouped(purge.not_due)
    );
    text
}
