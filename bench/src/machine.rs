//! On what all this was measured.

use std::process::Command;
use std::time::Duration;

/// A line with the date, the size of the machine and the versions.
pub(crate) fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let redis = first_words("redis-server", 3);
    let (rust, python) = (first_words("rustc", 2), first_words("python3", 2));
    let date = chrono::Utc::now().format("%Y-%m-%d");
    let gib = kib / 1_048_576;
    format!("{date}, {cores} cores, {gib} GiB, load at the end {load}; {redis}; {rust}; {python}.")
}

/// How much of a processor this process and those that it waited for have used.
pub(crate) fn used() -> Duration {
    // utime, stime, cutime and cstime.
    ticks("self", 11..15)
}

/// The sum of some fields of a process's `stat`, in clock ticks there; they are counted from the first after the name.
pub(crate) fn ticks(process: &str, fields: std::ops::Range<usize>) -> Duration {
    const TICKS: u64 = 100;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let (_, after_name) = stat.rsplit_once(')').unwrap_or_default();
    let numbers = after_name.split_whitespace().skip(fields.start).take(fields.len());
    let ticks: u64 = numbers.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

/// What is said of a program that is not there.
pub(crate) const LACKING: &str = "";

/// A program and its version.
pub(crate) fn version(program: &str) -> String {
    // OpenSSL has a command for it.
    let words = first_words(program, 4);
    let words = if words.is_empty() { told(program, "version", 2) } else { words };
    words.trim_end_matches(',').to_owned()
}

/// Of what a program says of its version.
fn first_words(program: &str, words: usize) -> String {
    told(program, "--version", words)
}

fn told(program: &str, argument: &str, words: usize) -> String {
    let said = Command::new(program).arg(argument).output();
    let said = said.map_or_else(|_| String::new(), |said| String::from_utf8_lossy(&said.stdout).into_owned());
    said.split_whitespace().take(words).collect::<Vec<_>>().join(" ")
}
