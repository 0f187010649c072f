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
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    ticks(&stat, 4).unwrap_or_default()
}

/// The first so many of `utime`, `stime`, `cutime` and `cstime`, of what the kernel tells of a process.
pub(crate) fn ticks(stat: &str, times: usize) -> Option<Duration> {
    const TICKS: u64 = 100;
    let (_, after_name) = stat.rsplit_once(')')?;
    // They are the fields 14 to 17; the first after the name is the third.
    let fields = after_name.split_whitespace().skip(11).take(times);
    let ticks: u64 = fields.map(str::parse::<u64>).sum::<Result<_, _>>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS))
}

/// Of what a program says of its version.
fn first_words(program: &str, words: usize) -> String {
    let said = Command::new(program).arg("--version").output();
    let said = said.map_or_else(|_| String::new(), |said| String::from_utf8_lossy(&said.stdout).into_owned());
    said.split_whitespace().take(words).collect::<Vec<_>>().join(" ")
}
