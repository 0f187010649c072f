//! Listing alone: a period of up to a million meetings of which one in a hundred is missing.
//!
//! Zoom lists 300 meetings a page and 60 pages a second at most, and each slice is listed twice, by start and by
//! completion. So the figure is that of entries read a second; what is missing is put on the queue and left there.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::Fault;
use crate::recovery::processes::Programs;
use crate::recovery::usage::{self, Memory};
use crate::recovery::zoom::Zoom;
use crate::recovery::{Place, ours};
use crate::server::Server;
use crate::table::spread;

/// What Zoom's largest plan allows.
const PAGES: f64 = 60.0;
const OF_A_PAGE: f64 = 300.0;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many meetings are listed, each number in a run of its own
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    meetings: Vec<u32>,
    /// Only these forms
    #[arg(long, value_delimiter = ',')]
    forms: Vec<Form>,
    /// Without Zoom's limit: what the programs could do
    #[arg(long)]
    unlimited: bool,
    /// A tenth of the work
    #[arg(long)]
    short: bool,
    /// How long Zoom takes for an answer, in milliseconds
    #[arg(long, default_value_t = 0)]
    latency: u64,
    /// The programs that are measured are built already, beside this one or in the workspace's release build
    #[arg(long)]
    built: bool,
}

impl Arguments {
    /// Whether it runs at all.
    pub(crate) fn smoke() -> Self {
        Self {
            meetings: vec![1000],
            forms: vec![Form::Dry, Form::Embedded],
            unlimited: true,
            short: false,
            latency: 0,
            built: true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// Nothing is put anywhere
    Dry,
    Embedded,
    Redis,
}

struct Figures {
    took: Duration,
    used: Duration,
    of_zoom: Duration,
    mib: f64,
    pages: u64,
    refused: u64,
}

#[allow(clippy::print_stdout, reason = "the table is the output")]
pub(crate) async fn measure(arguments: Arguments) -> Result<(), Fault> {
    let programs = Programs::release(arguments.built).await?;
    let forms = if arguments.forms.is_empty() {
        vec![Form::Dry, Form::Embedded, Form::Redis]
    } else {
        arguments.forms
    };
    println!(
        "| listed | how | took, s | entries/s | of {PAGES} pages/s | CPU µs an entry | simulator's | peak MiB | answered 429 |"
    );
    println!("| ---: | --- |{}", " ---: |".repeat(7));
    for meetings in arguments.meetings {
        let meetings = if arguments.short { meetings / 10 } else { meetings };
        for form in &forms {
            let found = list(&programs, *form, meetings, (arguments.unlimited, arguments.latency)).await?;
            let (took, entries) = (found.took.as_secs_f64(), f64::from(meetings) * 2.0);
            let micros = |used: Duration| spread(vec![used.as_secs_f64() * 1e6 / entries], 1);
            let told = |value: f64, digits| spread(vec![value], digits);
            let cells = [
                told(took, 1),
                told(entries / took, 0),
                told(entries / took / (PAGES * OF_A_PAGE), 2),
                micros(found.used),
                micros(found.of_zoom),
                told(found.mib, 0),
                format!("{} of {}", found.refused, found.pages),
            ];
            println!("| {meetings} | {form:?} | {} |", cells.join(" | "));
        }
    }
    println!("\n{}", crate::machine::describe());
    Ok(())
}

async fn list(
    programs: &Programs,
    form: Form,
    meetings: u32,
    (unlimited, latency): (bool, u64),
) -> Result<Figures, Fault> {
    let zoom = Zoom::start(programs, &scenario(meetings, unlimited)).await?;
    zoom.sort_by_completion(&first_week()).await?;
    zoom.wait_before_answers(latency).await?;
    let place = Place::new()?;
    let redis = if form == Form::Redis { Some(Server::start().await?) } else { None };
    let queue = redis
        .as_ref()
        .map_or_else(|| format!("sqlite://{}", place.path().join("queue.db").display()), Server::url);
    let plan = (!unlimited).then_some("business");
    let form_of = ours::Form { workers: 0, at_once: None, plan };
    let (das, token) = zoom.das();
    let configuration = ours::configure(place.path(), &zoom, (das, token), &queue, form_of)?;

    let before = (usage::by_children(), zoom.used(), zoom.answered("list").await?);
    let [from, to] = period();
    let mut command = programs.command("recapture");
    command.arg("--config").arg(configuration).current_dir(place.path());
    command.args(["recover", "--json", "--by", "the benchmark", "--from", &from, "--to", &to]);
    command.arg(if form == Form::Dry { "--dry-run" } else { "--detach" });
    let began = Instant::now();
    let (counts, mib) = run(command).await?;
    let took = began.elapsed();
    let used = usage::by_children().saturating_sub(before.0);
    let of_zoom = zoom.used().saturating_sub(before.1);
    let (pages, refused) = zoom.answered("list").await?;
    if let Some(redis) = redis {
        redis.stop().await?;
    }
    zoom.end().await?;
    let (listed, detected) = (counts["listed"].as_u64(), counts["detected"].as_u64());
    if listed != Some(meetings.into()) || detected != Some((meetings / 100).into()) {
        return Err(format!("of {meetings} meetings with one in a hundred missing: {counts}").into());
    }
    let (pages, refused) = (pages - before.2.0, refused - before.2.1);
    Ok(Figures { took, used, of_zoom, mib, pages, refused })
}

async fn run(mut command: Command) -> Result<(Value, f64), Fault> {
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn()?;
    let memory = Memory::watch(child.id().into_iter().collect());
    let ended = child.wait_with_output().await?;
    let mib = memory.mib();
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        return Err(format!("recapture recover: {}: {said}", ended.status).into());
    }
    let run: Value = serde_json::from_slice(&ended.stdout)?;
    Ok((run["counts"].clone(), mib))
}

/// Four weeks, four slices, long ago enough for all of it to be archived.
fn period() -> [String; 2] {
    [days_ago(29), days_ago(2)]
}

/// The first slice of it: Zoom lists no more at once.
fn first_week() -> [String; 2] {
    [days_ago(29), days_ago(22)]
}

fn days_ago(days: u64) -> String {
    let midnight = chrono::Utc::now().date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    (midnight - chrono::Days::new(days)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn scenario(meetings: u32, unlimited: bool) -> Value {
    let [from, to] = period();
    json!({
        "meetings": meetings, "from": from, "to": to, "captured": 0.99, "incomplete": 0.0, "external": 0.0,
        "breakout_rooms": 0.0, "webinars": 0.0, "recurring": 0.0, "attachments": 0.0, "fingerprint_limit": 0,
        "files": [
            {"file_type": "MP4", "min_size": 1_000_000, "max_size": 2_000_000},
            {"file_type": "M4A", "min_size": 100_000, "max_size": 200_000},
            {"file_type": "TRANSCRIPT", "min_size": 2_000, "max_size": 20_000},
        ],
        "limits": {"light": (!unlimited).then_some(80), "medium": (!unlimited).then_some(60)},
    })
}
