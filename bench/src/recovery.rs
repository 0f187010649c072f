//! The same work through Recapture, through what a user would write instead, and through a loop that does nothing else.
//!
//! All fetch the same meetings from one simulator on this machine: the list, each meeting's metadata, each of its files,
//! which is hashed while it arrives, written under another name, made durable (but for the rows that say otherwise) and
//! renamed. Rows go round, so that a machine that is busy for a while is busy for all of them; each repetition of a row
//! has a folder, a Redis and a data access service of its own.

mod client;
mod floor;
pub(crate) mod ours;
mod place;
pub(crate) mod processes;
mod profile;
mod rows;
mod script;
pub(crate) mod stages;
pub(crate) mod usage;
pub(crate) mod zoom;

use std::time::Duration;

use crate::Fault;
use crate::table::spread;
pub(crate) use floor::run as floor;
pub(crate) use place::{Place, clear};
use processes::Programs;
pub(crate) use profile::Profile;
pub(crate) use rows::Row;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these profiles
    #[arg(long = "profile", value_delimiter = ',')]
    profiles: Vec<Profile>,
    /// Only these rows
    #[arg(long, value_delimiter = ',')]
    rows: Vec<Row>,
    /// Repetitions of which the median is told
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// A tenth of the work, once: whether it runs, and roughly what it tells
    #[arg(long)]
    short: bool,
    /// The programs that are measured are built already, beside this one or in the workspace's release build
    #[arg(long)]
    built: bool,
}

impl Arguments {
    /// Whether it runs at all: a few meetings.
    pub(crate) fn smoke() -> Self {
        Self {
            profiles: vec![Profile::Small],
            rows: vec![Row::Floor, Row::Embedded, Row::Redis],
            repeat: 1,
            short: false,
            built: true,
        }
    }
}

/// What one repetition of a row found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Meetings a second.
    rate: f64,
    /// Milliseconds of a processor a meeting: of the row's own processes, of Redis and the data access service, and of the
    /// simulator.
    used: [f64; 3],
    mib: f64,
    /// Of the rate that a limit allows, and of the requests those that were refused.
    of_limit: Option<(f64, f64)>,
}

impl Figures {
    fn new(meetings: u32, took: Duration, used: [Duration; 3], mib: f64) -> Self {
        let used = used.map(|used| used.as_secs_f64() * 1e3 / f64::from(meetings));
        Self { rate: f64::from(meetings) / took.as_secs_f64(), used, mib, of_limit: None }
    }
}

type Found = Vec<(Row, Vec<Figures>)>;

pub(crate) async fn compare(arguments: Arguments) -> Result<(), Fault> {
    let share = if arguments.short { 10 } else { 1 };
    compare_part(arguments, share).await
}

/// The same with one so manieth of the work.
#[allow(clippy::print_stdout, reason = "the tables are the output")]
pub(crate) async fn compare_part(arguments: Arguments, share: u32) -> Result<(), Fault> {
    let programs = Programs::release(arguments.built).await?;
    let repeat = if arguments.short { 1 } else { arguments.repeat.max(1) };
    let profiles = if arguments.profiles.is_empty() {
        vec![Profile::Small, Profile::Mixed, Profile::Latency, Profile::Limited]
    } else {
        arguments.profiles
    };
    for profile in profiles {
        let rows: Vec<Row> = Row::of(profile)
            .into_iter()
            .filter(|row| arguments.rows.is_empty() || arguments.rows.contains(row))
            .collect();
        for row in &rows {
            row.prepare().await?;
        }
        let mut found: Found = rows.iter().map(|row| (*row, Vec::new())).collect();
        for round in 0..repeat {
            for (row, figures) in &mut found {
                eprintln!("{}: {}, {} of {repeat}", profile.title(), row.title(), round + 1);
                figures.push(row.measure(&programs, profile, share).await?);
            }
        }
        print(profile, &found);
    }
    println!("\n{}", crate::machine::describe());
    Ok(())
}

#[allow(clippy::print_stdout, reason = "the table is the output")]
fn print(profile: Profile, found: &Found) {
    println!("\n### {}\n", profile.title());
    println!(
        "| row | meetings/s | of its floor | CPU ms a meeting | of its floor | + Redis, DAS | peak MiB | simulator's CPU ms | of the limit | answered 429 |"
    );
    println!("| --- |{}", " ---: |".repeat(9));
    for (row, figures) in found {
        let of = |digits, of: &dyn Fn(&Figures) -> f64| spread(figures.iter().map(of).collect(), digits);
        let floor = found.iter().find(|(other, _)| *other == row.floor()).map(|(_, floor)| floor);
        let ratio = |of: &dyn Fn(&Figures) -> f64| {
            let pairs = floor.iter().flat_map(|floor| figures.iter().zip(floor.iter()));
            spread(pairs.map(|(ours, floor)| of(ours) / of(floor)).collect(), 2)
        };
        let limit = |digits, of: &dyn Fn((f64, f64)) -> f64| {
            spread(figures.iter().filter_map(|figures| figures.of_limit.map(of)).collect(), digits)
        };
        let cells = [
            of(1, &|of| of.rate),
            ratio(&|of| of.rate),
            of(2, &|of| of.used[0]),
            ratio(&|of| of.used[0]),
            of(2, &|of| of.used[1]),
            of(0, &|of| of.mib),
            of(2, &|of| of.used[2]),
            limit(3, &|limit| limit.0),
            limit(4, &|limit| limit.1),
        ];
        println!("| {} | {} |", row.title(), cells.join(" | "));
    }
}
