//! Counts the instructions of hot paths under callgrind and holds them against the committed baseline: `make guard`.
//!
//! Each path is run under valgrind twice, for so many rounds and for twice as many; the difference is what the rounds
//! cost, on all threads, without start and set-up. Counts hardly depend on the machine or its load (hash tables are seeded
//! by chance: some tenths of a percent). It prints and never fails over a count: whoever sees a path grow decides.
#![allow(clippy::print_stdout, reason = "the table is the output")]

mod paths;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use paths::PATHS;

/// Nobody handles these: whoever runs it reads them.
type Fault = Box<dyn Error + Send + Sync>;

/// Changes below this are not pointed at.
const NOTABLE: f64 = 0.02;

fn main() -> Result<(), Fault> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(false),
        ["--bless"] => compare(true),
        ["path", name, rounds] => {
            let path = PATHS.iter().find(|path| path.name == name).ok_or("there is no such path")?;
            (path.run)(rounds.parse()?)
        }
        _ => Err("guard [--bless]; --bless makes the counts the new baseline".into()),
    }
}

fn compare(bless: bool) -> Result<(), Fault> {
    let text = std::fs::read_to_string(baseline()).unwrap_or_default();
    let before = read(&text);
    let (compiler, counted_with) = (compiler(), text.lines().next().unwrap_or_default());
    if compiler != counted_with {
        println!("The baseline is of {counted_with}, this is {compiler}: what changes may be its doing.\n");
    }
    let mut now = BTreeMap::new();
    println!("| path | instructions a round | baseline | change |");
    println!("| --- | ---: | ---: | ---: |");
    for path in PATHS {
        let [once, twice] = [count(path.name, path.rounds)?, count(path.name, path.rounds * 2)?];
        let count = twice.saturating_sub(once) / path.rounds;
        let (was, change) = match before.get(path.name) {
            Some(was) => (was.to_string(), told(change(*was, count))),
            None => ("–".to_owned(), "new".to_owned()),
        };
        println!("| {} | {count} | {was} | {change} |", path.what);
        now.insert(path.name.to_owned(), count);
    }
    if bless {
        let lines: Vec<String> = now.iter().map(|(name, count)| format!("{name} {count}")).collect();
        std::fs::write(baseline(), format!("{compiler}\n{}\n", lines.join("\n")))?;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn change(was: u64, now: u64) -> f64 {
    now as f64 / was as f64 - 1.0
}

fn told(change: f64) -> String {
    let percent = change * 100.0;
    let mark = if change > NOTABLE { " **more**" } else { "" };
    format!("{percent:+.1} %{mark}")
}

/// All instructions of one run.
fn count(path: &str, rounds: u64) -> Result<u64, Fault> {
    let counts = tempfile::NamedTempFile::new()?;
    let ended = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", counts.path().display()))
        .arg(std::env::current_exe()?)
        .args(["path", path, &rounds.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind cannot be started; ./tests/install-tools installs it: {error}"))?;
    if !ended.status.success() {
        return Err(format!("{path}: {}: {}", ended.status, String::from_utf8_lossy(&ended.stderr)).into());
    }
    let text = std::fs::read_to_string(counts.path())?;
    let total =
        text.lines().rev().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    Ok(total.ok_or_else(|| format!("{path}: valgrind counted nothing"))?.trim().parse()?)
}

fn baseline() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/guard/baseline.txt")
}

/// Counts are of its making as much as of ours.
fn compiler() -> String {
    let said = Command::new("rustc").arg("--version").output();
    let said = said.map_or_else(|_| String::new(), |said| String::from_utf8_lossy(&said.stdout).into_owned());
    said.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// The first line names the compiler, the others a path each.
fn read(text: &str) -> BTreeMap<String, u64> {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.filter_map(|(name, count)| Some((name.to_owned(), count.parse().ok()?))).collect()
}
