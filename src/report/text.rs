//! The report for people.

use std::fmt::Write;

use chrono::Utc;
use recapture_core::meeting::Meeting;
use recapture_core::period::stamp;
use recapture_core::reconcile::Verdict;
use recapture_core::run::{Counts, RecoveryRun, RunState};

use super::Report;
use crate::cli::{bytes, grouped, length};

/// More meetings than this are counted, not listed; the JSON report has them all.
const MOST_LISTED: usize = 50;

impl Report {
    pub fn to_text(&self) -> String {
        let mut text = head(&self.run);
        books(&mut text, &self.run.counts);
        let attention: Vec<_> =
            self.meetings.iter().filter(|(_, meeting)| meeting.needs_attention()).collect();
        if !attention.is_empty() {
            let _ = writeln!(text, "\nNot recovered:");
        }
        for (uuid, meeting) in attention.iter().take(MOST_LISTED) {
            let _ = writeln!(text, "  {uuid}  {}  {}", meeting.outcome(), one_line(&meeting.why()));
        }
        if attention.len() > MOST_LISTED {
            let more = attention.len() - MOST_LISTED;
            let _ = writeln!(
                text,
                "  … and {} more: recapture report {} --format json",
                grouped(more as u64),
                self.run.id
            );
        }
        if let Some((meetings, first)) = self.lost_soon(Utc::now()) {
            let _ = writeln!(
                text,
                "\nWARNING: Zoom deletes {} of the pending meetings within 24 hours, the first at {}",
                grouped(meetings),
                stamp(first)
            );
        }
        for damage in &self.damage {
            let _ = writeln!(text, "\nThe evidence is damaged: {damage}");
        }
        let _ = writeln!(text, "\nMeetings: {0}/meetings\nEvidence: {0}/runs/{1}", self.buffer, self.run.id);
        text
    }
}

fn head(run: &RecoveryRun) -> String {
    let mut text = String::new();
    let mode = run.request.mode.as_str();
    let dry = if run.request.dry_run { ", dry run" } else { "" };
    let _ = writeln!(text, "Run {} · {mode}{dry} · {}{}", run.id, run.state.as_str(), verdict_words(run));
    if let Some(period) = run.request.period {
        let _ = writeln!(text, "Period       {period}");
    }
    let reason = run.request.reason.as_ref().map(|reason| format!(": {}", one_line(reason)));
    let _ = writeln!(
        text,
        "Requested    by {}{}",
        one_line(&run.request.requested_by),
        reason.unwrap_or_default()
    );
    let took = run.finished_at.map(|end| format!(" (took {})", length(end - run.started_at)));
    let _ = writeln!(text, "Started      {}{}", stamp(run.started_at), took.unwrap_or_default());
    if let Some(because) = &run.ended_because {
        let _ = writeln!(text, "Ended        {}", one_line(because));
    }
    for part in &run.unproven {
        let (from, to) = (stamp(part.from), stamp(part.to));
        let _ = writeln!(text, "Not proven   {from} to {to} by {}: {}", part.dimension, part.detail);
    }
    text
}

fn verdict_words(run: &RecoveryRun) -> &'static str {
    match run.state {
        RunState::Completed if run.reconciled() => " · reconciled",
        RunState::Completed if !run.counts.balance() => " · THE BOOKS DO NOT BALANCE",
        RunState::Completed => " · not reconciled",
        _ => "",
    }
}

fn books(text: &mut String, counts: &Counts) {
    let row = |text: &mut String, name: &str, count: u64, parts: &[(&str, u64)]| {
        let parts: Vec<String> =
            parts.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{} {what}", grouped(*n))).collect();
        let _ = writeln!(text, "{name:<12} {:>9}  {}", grouped(count), parts.join(", "));
    };
    let _ = writeln!(text);
    row(
        text,
        "Listed",
        counts.listed,
        &[
            ("present", counts.present),
            ("incomplete", counts.incomplete),
            ("missing", counts.missing),
            ("excluded", counts.excluded),
            ("indeterminate", counts.indeterminate),
        ],
    );
    row(
        text,
        "Detected",
        counts.detected,
        &[
            ("recovered", counts.recovered),
            ("failed", counts.failed),
            ("unavailable at Zoom", counts.unavailable),
            ("expired", counts.expired),
            ("pending", counts.pending),
        ],
    );
    let _ = writeln!(text, "{:<12} {:>9}  {}", "Files", grouped(counts.files), bytes(counts.bytes));
}

/// A line of a dry run's plan: what would be recovered, or `None`.
pub fn plan_line(meeting: &Meeting, verdict: &Verdict) -> Option<String> {
    let what = match verdict {
        Verdict::Missing => "missing".to_owned(),
        Verdict::Incomplete { lacking } => format!("incomplete, lacks {} files", lacking.len()),
        Verdict::Indeterminate { why } => format!("indeterminate: {why}"),
        Verdict::Present | Verdict::Excluded { .. } => return None,
    };
    let start = meeting.started_at.map_or_else(|| "-".to_owned(), stamp);
    let size: u64 = meeting.files.iter().filter_map(|file| file.size).sum();
    let files = meeting.files.len();
    Some(format!("{}  {start}  {files} files, {}  {}\n", meeting.uuid, bytes(size), one_line(&what)))
}

/// What a dry run found.
pub fn plan_summary(run: &RecoveryRun) -> String {
    let mut text = format!("\n{}", head(run));
    books(&mut text, &run.counts);
    let _ = writeln!(text, "\nA dry run: nothing was enqueued, nothing was changed ({}).", stamp(Utc::now()));
    text
}

/// Text from elsewhere on one line, without what could move a terminal's cursor.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
