//! Medians, their spread, and the table.

use std::time::Duration;

/// Jobs at once: 1, 16, 32 and 128.
pub(crate) const WIDTHS: usize = 4;

/// What one repetition found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    /// Jobs a second.
    pub(crate) enqueued: f64,
    /// No-op jobs a second, at each concurrency.
    pub(crate) done: [f64; WIDTHS],
    /// The same by four processes.
    pub(crate) by_processes: [Option<f64>; WIDTHS],
    /// Microseconds of a processor a job at a concurrency of 16: of the worker and of Redis.
    pub(crate) used: [f64; 2],
    /// In milliseconds: the median, and what one of a hundred exceeds.
    pub(crate) latency: Option<(f64, f64)>,
    pub(crate) bytes: f64,
    pub(crate) commands: f64,
    pub(crate) scripts: f64,
}

impl Figures {
    pub(crate) fn latencies(&mut self, mut found: Vec<Duration>) {
        found.sort();
        let millis = |at: usize| found[at.min(found.len() - 1)].as_secs_f64() * 1e3;
        if !found.is_empty() {
            self.latency = Some((millis(found.len() / 2), millis(found.len() * 99 / 100)));
        }
    }
}

type Column = (&'static str, usize, fn(&Figures) -> Option<f64>);

/// With the digits after the point.
const COLUMNS: [Column; 16] = [
    ("enqueued/s", 0, |of| Some(of.enqueued)),
    ("done/s × 1", 0, |of| Some(of.done[0])),
    ("× 16", 0, |of| Some(of.done[1])),
    ("× 32", 0, |of| Some(of.done[2])),
    ("× 128", 0, |of| Some(of.done[3])),
    ("4 processes × 1", 0, |of| of.by_processes[0]),
    ("× 16", 0, |of| of.by_processes[1]),
    ("× 32", 0, |of| of.by_processes[2]),
    ("× 128", 0, |of| of.by_processes[3]),
    ("CPU µs a job", 0, |of| Some(of.used[0])),
    ("+ of Redis", 0, |of| Some(of.used[1])),
    ("start p50, ms", 2, |of| of.latency.map(|latency| latency.0)),
    ("p99, ms", 2, |of| of.latency.map(|latency| latency.1)),
    ("bytes a job", 0, |of| Some(of.bytes)),
    ("scripts a job", 2, |of| Some(of.scripts)),
    ("commands a job", 1, |of| Some(of.commands)),
];

#[allow(clippy::print_stdout, reason = "the table is the output")]
pub(crate) fn print(rows: &[(&str, Vec<Figures>)]) {
    let titles: Vec<&str> = COLUMNS.iter().map(|(title, ..)| *title).collect();
    println!("| queue | {} |", titles.join(" | "));
    println!("| --- |{}", " ---: |".repeat(COLUMNS.len()));
    for (name, found) in rows {
        let cells: Vec<String> = COLUMNS.iter().map(|column| cell(column, found)).collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
}

/// How the first queue compares with each other one, round by round.
#[allow(clippy::print_stdout, reason = "the table is the output")]
pub(crate) fn print_ratios(rows: &[(&str, Vec<Figures>)]) {
    let Some(((ours, first), others)) = rows.split_first() else { return };
    println!(
        "\n| {ours} compared with | enqueued | × 1 | × 16 | × 32 | × 128 | 4 processes × 1 | × 16 | × 32 | × 128 |"
    );
    println!("| --- |{}", " ---: |".repeat(1 + 2 * WIDTHS));
    for (name, found) in others {
        let ratio = |of: &dyn Fn(&Figures) -> Option<f64>| {
            let ratios = first.iter().zip(found).filter_map(|(ours, theirs)| Some(of(ours)? / of(theirs)?));
            spread(ratios.collect(), 2)
        };
        let mut cells = vec![ratio(&|of| Some(of.enqueued))];
        cells.extend((0..WIDTHS).map(|at| ratio(&|of| Some(of.done[at]))));
        cells.extend((0..WIDTHS).map(|at| ratio(&|of| of.by_processes[at])));
        println!("| {name} | {} |", cells.join(" | "));
    }
}

fn cell((_, digits, of): &Column, found: &[Figures]) -> String {
    spread(found.iter().filter_map(of).collect(), *digits)
}

/// The median, and the least and the most if they differ as told.
pub(crate) fn spread(mut values: Vec<f64>, digits: usize) -> String {
    values.sort_by(f64::total_cmp);
    let told = |value: f64| format!("{value:.digits$}");
    let (Some(least), Some(most)) = (values.first(), values.last()) else {
        return "–".to_owned();
    };
    let (least, median, most) = (told(*least), told(values[values.len() / 2]), told(*most));
    if least == most { median } else { format!("{median} ({least}–{most})") }
}
