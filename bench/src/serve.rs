//! Many who look on while a recovery runs in `recapture serve`: what they wait, and whether they slow the work down.
//!
//! One recovery against the simulator, paced by the limits of Zoom's largest plan, is watched three times: alone, with
//! all clients, and alone again. The clients are on the same machine, as is the simulator; each has an address of its own.

mod clients;
mod scene;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use self::clients::Seen;
use self::scene::Scene;
use crate::{Fault, machine};

#[derive(Args)]
pub(crate) struct Plan {
    /// The program that is measured; made by `cargo build --release`
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/recapture"))]
    program: PathBuf,
    /// Clients that ask once a second each
    #[arg(long, default_value_t = 200)]
    clients: u32,
    /// Clients that listen to events
    #[arg(long, default_value_t = 50)]
    streams: u32,
    /// How long the clients ask; the recovery is alone for half as long before and after
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

pub(crate) async fn measure(plan: &Plan) -> Result<(), Fault> {
    let (whole, half) = (Duration::from_secs(plan.seconds), Duration::from_millis(plan.seconds * 500));
    let scene = Scene::start(&plan.program, plan.seconds * 3).await?;
    let alone_before = scene.rate(half).await?;
    let cpu_before = scene.used()?;
    let (rate, mut seen) = {
        let looking = clients::look_on(&scene.url, &scene.run, plan.clients, plan.streams, whole);
        let (rate, seen) = tokio::join!(scene.rate(whole), looking);
        (rate?, seen?)
    };
    let used = scene.used()?.saturating_sub(cpu_before).as_secs_f64() / whole.as_secs_f64();
    let alone_after = scene.rate(half).await?;
    tell(plan, &mut seen);
    let alone = f64::midpoint(alone_before, alone_after);
    println!(
        "\n{} event streams: {} events; {} ended early.",
        plan.streams, seen.events, seen.streams_that_ended
    );
    println!(
        "Meetings/s: {alone_before:.2} alone before, {rate:.2} with the clients, {alone_after:.2} alone after: {:+.1} %.",
        (rate / alone - 1.0) * 100.0
    );
    println!(
        "The service took {:.0} % of a core meanwhile, and {} MiB of memory at most.",
        used * 100.0,
        scene.peak()? / 1024
    );
    println!("\n{}", machine::describe());
    scene.stop().await
}

fn tell(plan: &Plan, seen: &mut Seen) {
    println!("{} clients, each asks once a second, for {} s.\n", plan.clients, plan.seconds);
    println!("| request | answers | p50, ms | p99, ms | longest, ms | other than 200 |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let mut all = Vec::new();
    for (name, asked) in &mut seen.asked {
        row(name, &mut asked.took, asked.refused);
        all.append(&mut asked.took);
    }
    row("all", &mut all, seen.asked.values().map(|asked| asked.refused).sum());
}

fn row(name: &str, took: &mut [Duration], refused: usize) {
    took.sort();
    let at = |hundredths: usize| {
        let at = (took.len() * hundredths / 100).min(took.len().saturating_sub(1));
        took.get(at).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    println!("| {name} | {} | {:.1} | {:.1} | {:.1} | {refused} |", took.len(), at(50), at(99), at(100));
}
