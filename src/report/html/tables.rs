//! The tables of the page: coverage by slice, reasons, and meetings with their files.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use chrono::{DateTime, Utc};
use recapture_core::evidence::FileEnd;
use recapture_core::meeting::MeetingUuid;
use recapture_core::period::stamp;
use recapture_core::reason::{Outcome, Reason};

use crate::cli::{bytes, grouped};
use crate::markup::Plain;
use crate::report::{MeetingReport, Report};

/// More meetings than this make a page that no reader opens; the CSV has them all.
const MOST_LISTED: usize = 2000;

/// A table's beginning; `#` before a name makes a column of numbers.
fn begin(page: &mut String, title: &str, columns: &[&str]) -> fmt::Result {
    writeln!(page, "<h2>{title}</h2>\n<div class=\"scroll\"><table>\n<thead><tr>")?;
    for column in columns {
        match column.strip_prefix('#') {
            Some(name) => write!(page, "<th class=\"number\">{name}</th>")?,
            None => write!(page, "<th>{column}</th>")?,
        }
    }
    writeln!(page, "</tr></thead>\n<tbody>")
}

fn end(page: &mut String, left_out: usize, report: &Report) -> fmt::Result {
    writeln!(page, "</tbody></table></div>")?;
    if left_out > 0 {
        writeln!(
            page,
            "<p class=\"soft\">And {} more: <code>recapture report {} --format csv</code> has them all.</p>",
            grouped(left_out as u64),
            report.run.id
        )?;
    }
    Ok(())
}

fn time(at: Option<DateTime<Utc>>) -> String {
    at.map(stamp).unwrap_or_default()
}

pub(super) fn coverage(page: &mut String, report: &Report) -> fmt::Result {
    if report.slices.is_empty() {
        return Ok(());
    }
    begin(page, "Coverage", &["From", "To", "By", "#Listed", "#Zoom’s own count", "Proven listed"])?;
    for ((_, dimension), slice) in &report.slices {
        let total = slice.total.map_or_else(|| "–".to_owned(), grouped);
        let (class, proven) = if slice.proven { ("good", "yes") } else { ("bad", "no") };
        writeln!(
            page,
            "<tr><td class=\"time\">{}</td><td class=\"time\">{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{total}</td><td class=\"{class}\">{proven}</td></tr>",
            stamp(slice.period.from),
            stamp(slice.period.to),
            Plain(dimension),
            grouped(slice.listed),
        )?;
    }
    end(page, 0, report)
}

/// How many meetings were not recovered, by reason.
pub(super) fn reasons(page: &mut String, report: &Report) -> fmt::Result {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for meeting in report.meetings.values().filter(|meeting| meeting.needs_attention()) {
        if let Some(cause) = meeting.cause() {
            *counts.entry((cause.reason.as_str(), meeting.outcome())).or_default() += 1;
        }
    }
    if counts.is_empty() {
        return Ok(());
    }
    begin(page, "Reasons", &["Reason", "Outcome", "#Meetings", "What it means"])?;
    for ((reason, outcome), count) in counts {
        let meaning = Reason::ALL.iter().find(|(_, word, _)| *word == reason).map(|(_, _, text)| text.trim());
        writeln!(
            page,
            "<tr><td><code>{reason}</code></td><td>{}</td><td class=\"number\">{}</td><td>{}</td></tr>",
            Plain(outcome),
            grouped(count),
            Plain(meaning.unwrap_or_default())
        )?;
    }
    end(page, 0, report)
}

pub(super) fn not_recovered(page: &mut String, report: &Report) -> fmt::Result {
    let meetings: Vec<_> = report
        .meetings
        .iter()
        .filter(|(_, meeting)| !["present", Outcome::Recovered.as_str()].contains(&meeting.outcome()))
        .collect();
    if meetings.is_empty() {
        return Ok(());
    }
    begin(page, "Not recovered", &["Meeting", "Began", "Outcome", "Why", "#Starts", "Deadline at Zoom"])?;
    for (uuid, meeting) in meetings.iter().take(MOST_LISTED) {
        not_recovered_row(page, uuid, meeting)?;
    }
    end(page, meetings.len().saturating_sub(MOST_LISTED), report)
}

fn not_recovered_row(page: &mut String, uuid: &MeetingUuid, meeting: &MeetingReport) -> fmt::Result {
    let class = match meeting.outcome() {
        "failed" | "expired" | "indeterminate" => "bad",
        "excluded" => "soft",
        _ => "warn",
    };
    let verdict = meeting.verdict.as_ref();
    let starts = meeting.waits.as_ref().map(|job| job.starts).or(meeting.end.as_ref().map(|end| end.starts));
    writeln!(
        page,
        "<tr><td><code>{}</code></td><td class=\"time\">{}</td><td class=\"{class}\">{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"time\">{}</td></tr>",
        Plain(uuid.as_str()),
        time(verdict.and_then(|verdict| verdict.started_at)),
        Plain(meeting.outcome()),
        Plain(&meeting.why()),
        starts.map(|starts| starts.to_string()).unwrap_or_default(),
        time(meeting.deadline()),
    )
}

pub(super) fn recovered(page: &mut String, report: &Report) -> fmt::Result {
    let meetings: Vec<_> = report
        .meetings
        .iter()
        .filter(|(_, meeting)| meeting.outcome() == Outcome::Recovered.as_str())
        .collect();
    if meetings.is_empty() {
        return Ok(());
    }
    begin(page, "Recovered", &["Meeting, files", "SHA-256", "#Size", "Began, stored"])?;
    for (uuid, meeting) in meetings.iter().take(MOST_LISTED) {
        let Some(end) = &meeting.end else { continue };
        let size: u64 = end.files.iter().filter_map(|file| file.size).sum();
        let state = match end.manifest.as_deref() {
            Some("partial") => " <span class=\"warn\">partial</span>",
            _ => "",
        };
        writeln!(
            page,
            "<tr class=\"meeting\"><td><code>{}</code>{state}</td><td></td><td class=\"number\">{}</td><td class=\"time\">{}</td></tr>",
            Plain(uuid.as_str()),
            bytes(size),
            time(meeting.verdict.as_ref().and_then(|verdict| verdict.started_at)),
        )?;
        for file in &end.files {
            file_row(page, file)?;
        }
    }
    end(page, meetings.len().saturating_sub(MOST_LISTED), report)
}

fn file_row(page: &mut String, file: &FileEnd) -> fmt::Result {
    let name = file.path.as_deref().unwrap_or(&file.file_id);
    let content = match &file.unavailable {
        Some(cause) => format!("<span class=\"warn\">not at Zoom: {}</span>", cause.reason),
        None => format!("<code>{}</code>", Plain(file.sha256.as_deref().unwrap_or_default())),
    };
    writeln!(
        page,
        "<tr class=\"file\"><td><code>{}</code></td><td>{content}</td><td class=\"number\">{}</td><td class=\"time\">{}</td></tr>",
        Plain(name),
        file.size.map(bytes).unwrap_or_default(),
        time(file.downloaded_at),
    )
}
