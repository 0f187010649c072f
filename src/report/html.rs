//! The report for archives: one HTML page that needs nothing else, no script and no other file, light or dark, on a
//! screen or on paper. Whatever came from elsewhere is escaped, and the page forbids itself everything but its style.

mod calendar;
pub(crate) mod chart;
mod tables;

use std::fmt::{self, Display, Write};

use chrono::Utc;
use recapture_core::period::stamp;
use recapture_core::run::{Counts, RecoveryRun, RunState};

use super::Report;
use crate::cli::{bytes, grouped, length};
use crate::markup::Plain;

pub(crate) const STYLE: &str = include_str!("style.css");

impl Report {
    pub fn to_html(&self) -> String {
        let mut page = String::with_capacity(64 << 10);
        // Writing to a String cannot fail.
        let _ = self.write_html(&mut page);
        page
    }

    fn write_html(&self, page: &mut String) -> fmt::Result {
        let id = &self.run.id;
        writeln!(page, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
        writeln!(
            page,
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        )?;
        writeln!(page, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
        writeln!(page, "<title>Recovery {id}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>")?;
        self.write_head(page)?;
        write_books(page, &self.run.counts)?;
        calendar::write(page, self)?;
        tables::coverage(page, self)?;
        tables::reasons(page, self)?;
        tables::not_recovered(page, self)?;
        chart::throughput(page, self)?;
        tables::recovered(page, self)?;
        writeln!(page, "<footer>")?;
        writeln!(
            page,
            "<p>Written {} from the books of the queue and the evidence in <code>{}/runs/{id}</code>.",
            stamp(Utc::now()),
            Plain(&self.buffer)
        )?;
        writeln!(
            page,
            "Whether the files are still those named here: <code>recapture verify {id}</code>.</p>"
        )?;
        writeln!(page, "</footer>\n</body>\n</html>")
    }

    fn write_head(&self, page: &mut String) -> fmt::Result {
        let run = &self.run;
        let (class, words) = verdict(run);
        writeln!(page, "<h1>Recovery <code>{}</code></h1>", run.id)?;
        writeln!(page, "<p class=\"verdict {class}\">{words}</p>\n<dl>")?;
        let mut fact = |name: &str, value: &dyn Display| writeln!(page, "<dt>{name}</dt><dd>{value}</dd>");
        if let Some(period) = run.request.period {
            fact("Period", &period)?;
        }
        let mode = run.request.mode.as_str();
        fact("Mode", &format_args!("{mode}{}", if run.request.dry_run { ", dry run" } else { "" }))?;
        fact("Requested by", &Plain(&run.request.requested_by))?;
        if let Some(reason) = &run.request.reason {
            fact("Reason", &Plain(reason))?;
        }
        fact("Started", &stamp(run.started_at))?;
        if let Some(end) = run.finished_at {
            fact("Ended", &format_args!("{}, after {}", stamp(end), length(end - run.started_at)))?;
        }
        if let Some(because) = &run.ended_because {
            fact("Ended because", &Plain(because))?;
        }
        fact("State", &run.state.as_str())?;
        writeln!(page, "</dl>")?;
        for part in &run.unproven {
            let (from, to) = (stamp(part.from), stamp(part.to));
            writeln!(
                page,
                "<p class=\"bad\">Not proven listed: {from} to {to} by {}: {}</p>",
                Plain(&part.dimension),
                Plain(&part.detail)
            )?;
        }
        if let Some((meetings, first)) = self.lost_soon(Utc::now()) {
            writeln!(
                page,
                "<p class=\"bad\">Zoom deletes {meetings} of the pending meetings within 24 hours, the first at {}</p>",
                stamp(first)
            )?;
        }
        for damage in &self.damage {
            writeln!(page, "<p class=\"bad\">The evidence is damaged: {}</p>", Plain(damage))?;
        }
        Ok(())
    }
}

pub(crate) fn verdict(run: &RecoveryRun) -> (&'static str, &'static str) {
    let Counts { failed, unavailable, expired, pending, .. } = run.counts;
    match run.state {
        _ if !run.counts.balance() => ("bad", "The books do not balance"),
        RunState::Completed if !run.reconciled() => ("bad", "Not reconciled"),
        RunState::Completed if failed + expired > 0 => {
            ("bad", "Reconciled; not everything could be recovered")
        }
        RunState::Completed if pending > 0 => ("warn", "Reconciled; some meetings are pending"),
        RunState::Completed if unavailable > 0 => ("warn", "Reconciled; Zoom had nothing to give for some"),
        RunState::Completed => ("good", "Reconciled"),
        RunState::Enumerating | RunState::Running | RunState::Paused => ("warn", "Under way"),
        RunState::Stopped => ("bad", "Stopped before its end"),
        RunState::Cancelled => ("bad", "Cancelled"),
        RunState::Failed => ("bad", "Could not start"),
    }
}

pub(crate) fn write_books(page: &mut String, counts: &Counts) -> fmt::Result {
    writeln!(page, "<h2>Books</h2>")?;
    let parts = [
        ("present", counts.present, ""),
        ("incomplete", counts.incomplete, ""),
        ("missing", counts.missing, ""),
        ("excluded", counts.excluded, ""),
        ("indeterminate", counts.indeterminate, "bad"),
    ];
    write_sum(page, "listed by Zoom", counts.listed, &parts)?;
    let parts = [
        ("recovered", counts.recovered, "good"),
        ("failed", counts.failed, "bad"),
        ("unavailable at Zoom", counts.unavailable, "warn"),
        ("expired", counts.expired, "bad"),
        ("pending", counts.pending, "warn"),
    ];
    write_sum(page, "detected as lacking", counts.detected, &parts)?;
    writeln!(
        page,
        "<p class=\"soft\">{} files, {} ({} bytes) were stored and verified.</p>",
        grouped(counts.files),
        bytes(counts.bytes),
        grouped(counts.bytes)
    )
}

/// A whole and its parts: the first is the sum of the others.
fn write_sum(page: &mut String, name: &str, whole: u64, parts: &[(&str, u64, &str)]) -> fmt::Result {
    writeln!(page, "<div class=\"sum\">\n<div><b>{}</b><span>{name}</span></div>", grouped(whole))?;
    for (name, count, class) in parts {
        let class = if *count == 0 { "soft" } else { class };
        writeln!(page, "<div><b class=\"{class}\">{}</b><span>{name}</span></div>", grouped(*count))?;
    }
    writeln!(page, "</div>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_ends_no_element() {
        assert!(!STYLE.contains("</"));
    }
}
