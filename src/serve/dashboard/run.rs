//! One run: how far it is, its books, its throughput, and the meetings that somebody has to look at.

use std::fmt::{self, Write};

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::Utc;
use recapture_core::meeting::MeetingUuid;
use recapture_core::period::stamp;
use recapture_core::queue::WorkLeft;
use recapture_core::run::{RecoveryRun, RunId, RunState};
use recapture_core::zoom::Zoom;

use super::page::{Page, Visitor, table, table_end};
use super::runs::{bar, left};
use super::{Dashboard, Refusal, chart};
use crate::cli::{bytes, grouped, length};
use crate::markup::Plain;
use crate::report::html::chart::throughput;
use crate::report::html::{verdict, write_books};
use crate::report::{MeetingReport, Report};
use crate::serve::api::schema::Progress;
use crate::serve::api::{Caller, Reports};
use crate::web::problem::Problem;

/// More rows than this are in the report.
const MOST_SHOWN: usize = 100;
const SLOWEST: usize = 10;

pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let queue = &dashboard.api.service.opened.queue;
    let none = || Problem::new(StatusCode::NOT_FOUND, "There is no such recovery.");
    let id = RunId::parse(&id).map_err(|_| none())?;
    let run = queue.run(&id).await?.ok_or_else(none)?;
    let left = queue.work_left(&id).await?;
    // A run that is too large to be read shows what its books tell.
    let report = if Reports::fit(&run) { Some(dashboard.api.reports.of(run.clone()).await?) } else { None };
    let visitor = Visitor::of(&dashboard, &caller);
    let mut body = String::new();
    let zoom = &dashboard.api.service.opened.ports.zoom;
    let progress = Progress::of(&run, &dashboard.api.pulse.paces, Utc::now());
    let shown = Shown { run: &run, left: &left, progress: &progress, report: report.as_deref(), zoom };
    let _ = write(&mut body, &visitor, &shown);
    let title = format!("Recovery {id}");
    let page = Page { title: &title, place: "/", run: Some(id.as_str()), live: true };
    Ok(page.show(Some(&visitor), &body))
}

/// What is known of a run.
struct Shown<'a> {
    run: &'a RecoveryRun,
    left: &'a WorkLeft,
    progress: &'a Progress,
    report: Option<&'a Report>,
    zoom: &'a Zoom,
}

fn write(body: &mut String, visitor: &Visitor, shown: &Shown) -> fmt::Result {
    let run = shown.run;
    writeln!(body, "<h1>Recovery <code>{}</code></h1>\n<section id=\"now\" data-live>", run.id)?;
    head(body, run, shown.left, shown.progress)?;
    writeln!(body, "</section>")?;
    if visitor.may_act {
        actions(body, visitor, run)?;
    }
    let id = &run.id;
    if shown.report.is_some() {
        writeln!(
            body,
            "<p>Report: <a href=\"/v1/recoveries/{id}/report?format=html\">to read or print</a>, \
             <a href=\"/v1/recoveries/{id}/report?format=csv\">CSV</a>, \
             <a href=\"/v1/recoveries/{id}/report?format=json\">JSON</a></p>"
        )?;
    } else {
        writeln!(
            body,
            "<p class=\"note\">This run has too many meetings to show them here. \
             <code>recapture report {id}</code> writes its report.</p>"
        )?;
    }
    writeln!(body, "<section id=\"books\" data-live>")?;
    write_books(body, &run.counts)?;
    writeln!(body, "</section>")?;
    if let Some(report) = shown.report {
        writeln!(body, "<section id=\"failing\" data-live>")?;
        failing(body, visitor, report)?;
        writeln!(body, "</section>\n<section id=\"waiting\" data-live>")?;
        waiting(body, report)?;
        writeln!(body, "</section>\n<section id=\"throughput\" data-live>")?;
        throughput(body, report)?;
        writeln!(body, "</section>")?;
    }
    writeln!(body, "<section id=\"limits\" data-live>")?;
    // Of a run that has ended the last hour says nothing.
    if !run.state.is_end() {
        chart::limits(body, shown.zoom)?;
    }
    writeln!(body, "</section>")?;
    if let Some(report) = shown.report {
        writeln!(body, "<section id=\"slowest\" data-live>")?;
        slowest(body, report)?;
        writeln!(body, "</section>")?;
    }
    Ok(())
}

fn head(body: &mut String, run: &RecoveryRun, waiting: &WorkLeft, progress: &Progress) -> fmt::Result {
    let (class, words) = verdict(run);
    writeln!(body, "<p class=\"verdict {class}\">{words}</p>")?;
    bar(body, run, progress)?;
    writeln!(body, "<dl>")?;
    let mut fact = |name: &str, value: &dyn fmt::Display| writeln!(body, "<dt>{name}</dt><dd>{value}</dd>");
    fact("State", &run.state.as_str())?;
    if progress.done > 0 {
        let rate = progress.meetings_per_second;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people")]
        let received = bytes(progress.bytes_per_second.max(0.0) as u64);
        fact("Rate", &format_args!("{rate:.1} meetings/s, {received}/s"))?;
    }
    if progress.seconds_left.is_some() {
        fact("Time left", &left(progress))?;
    }
    if run.counts.pending > 0 {
        let WorkLeft { ready, leased, retrying, waiting_for_zoom, held, .. } = waiting;
        fact(
            "Unfinished",
            &format_args!(
                "{ready} ready, {leased} in hand, {retrying} to be tried again, {waiting_for_zoom} waiting for Zoom, {held} held by a pause"
            ),
        )?;
    }
    if let Some(deadline) = waiting.nearest_deadline {
        let in_time = length(deadline - Utc::now());
        fact("Nearest deadline", &format_args!("{} (in {in_time})", stamp(deadline)))?;
    }
    if let Some(period) = run.request.period {
        fact("Period", &period)?;
    }
    fact("Mode", &run.request.mode.as_str())?;
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
    if let Some(continues) = run.request.served.as_ref().and_then(|served| served.continues.as_ref()) {
        fact("Continues", &format_args!("<a href=\"/runs/{continues}\"><code>{continues}</code></a>"))?;
    }
    writeln!(body, "</dl>")?;
    for part in &run.unproven {
        let (from, to) = (stamp(part.from), stamp(part.to));
        let (dimension, detail) = (Plain(&part.dimension), Plain(&part.detail));
        writeln!(
            body,
            "<p class=\"note bad\">Not proven listed: {from} to {to} by {dimension}: {detail}</p>"
        )?;
    }
    Ok(())
}

fn actions(body: &mut String, visitor: &Visitor, run: &RecoveryRun) -> fmt::Result {
    let id = &run.id;
    writeln!(
        body,
        "<section id=\"actions\" data-live><h2 class=\"visually-hidden\">Actions</h2><div class=\"actions\">"
    )?;
    let mut button = |action: &str, words: &str| -> fmt::Result {
        visitor.form(body, &format_args!("/runs/{id}/{action}"), "inline")?;
        writeln!(body, "<button>{words}</button></form>")
    };
    match run.state {
        RunState::Paused => button("resume", "Resume")?,
        RunState::Running | RunState::Enumerating => button("pause", "Pause")?,
        _ => {}
    }
    if run.counts.failed > 0 {
        button("retry", &format!("Retry all {} that failed", grouped(run.counts.failed)))?;
    }
    writeln!(body, "</div></section>\n<section id=\"cancel\" data-live>")?;
    if !run.state.is_end() || run.counts.pending > 0 {
        writeln!(body, "<details class=\"confirm\"><summary>Cancel this recovery…</summary>")?;
        visitor.form(body, &format_args!("/runs/{id}/cancel"), "")?;
        writeln!(
            body,
            "<p>Its unfinished meetings are taken off the queue, unless other runs want them.</p>\
             <button class=\"danger\">Cancel the recovery</button></form></details>"
        )?;
    }
    writeln!(body, "</section>")
}

/// What was given up, or lost, each with the evidence.
fn failing(body: &mut String, visitor: &Visitor, report: &Report) -> fmt::Result {
    let failing: Vec<_> = report
        .meetings
        .iter()
        .filter(|(_, meeting)| {
            meeting.needs_attention() && meeting.waits.is_none() && meeting.outcome() != "excluded"
        })
        .collect();
    if failing.is_empty() {
        return Ok(());
    }
    writeln!(body, "<h2 id=\"failing-title\">Not recovered</h2>")?;
    let columns = ["Meeting", "Outcome", "Reason and evidence", "#Starts", "Deadline at Zoom", ""];
    table(body, "failing-title", if visitor.may_act { &columns } else { &columns[..5] })?;
    for (uuid, meeting) in failing.iter().take(MOST_SHOWN) {
        meeting_row(body, uuid, meeting)?;
        if visitor.may_act {
            writeln!(body, "<td class=\"act\">")?;
            if meeting.outcome() == "failed" {
                retry_button(body, visitor, &report.run.id, uuid)?;
            }
            writeln!(body, "</td>")?;
        }
        writeln!(body, "</tr>")?;
    }
    table_end(body)?;
    more(body, failing.len())
}

pub(super) fn retry_button(
    body: &mut String,
    visitor: &Visitor,
    run: &RunId,
    uuid: &MeetingUuid,
) -> fmt::Result {
    visitor.form(body, &format_args!("/runs/{run}/retry"), "inline")?;
    let uuid = Plain(uuid.as_str());
    writeln!(
        body,
        "<input type=\"hidden\" name=\"meeting\" value=\"{uuid}\">\
         <button class=\"small\">Retry<span class=\"visually-hidden\"> meeting {uuid}</span></button></form>"
    )
}

fn meeting_row(body: &mut String, uuid: &MeetingUuid, meeting: &MeetingReport) -> fmt::Result {
    let class = match meeting.outcome() {
        "failed" | "expired" | "indeterminate" => "bad",
        _ => "warn",
    };
    let began =
        meeting.verdict.as_ref().and_then(|verdict| verdict.started_at).map(stamp).unwrap_or_default();
    let starts = meeting.waits.as_ref().map(|job| job.starts).or(meeting.end.as_ref().map(|end| end.starts));
    writeln!(
        body,
        "<tr><td><code>{}</code><br><span class=\"soft\">{began}</span></td><td class=\"{class}\">{}</td><td class=\"why\">",
        Plain(uuid.as_str()),
        Plain(meeting.outcome())
    )?;
    if let Some(cause) = meeting.cause() {
        writeln!(body, "<code>{}</code><br>{}", cause.reason, Plain(&cause.detail))?;
        let mut evidence = Vec::new();
        evidence.extend(cause.status.map(|status| format!("HTTP {status}")));
        evidence.extend(cause.code.map(|code| format!("Zoom code {code}")));
        evidence.extend(cause.tracking_id.as_ref().map(|id| format!("tracking id {id}")));
        if !evidence.is_empty() {
            writeln!(body, "<br><span class=\"soft\">{}</span>", Plain(&evidence.join(", ")))?;
        }
    } else if let Some(detail) = meeting.verdict.as_ref().and_then(|verdict| verdict.detail.as_ref()) {
        writeln!(body, "{}", Plain(detail))?;
    }
    writeln!(
        body,
        "</td><td class=\"number\">{}</td><td class=\"time\">{}</td>",
        starts.map(|starts| starts.to_string()).unwrap_or_default(),
        meeting.deadline().map(stamp).unwrap_or_default()
    )
}

fn more(body: &mut String, all: usize) -> fmt::Result {
    if all > MOST_SHOWN {
        let more = grouped((all - MOST_SHOWN) as u64);
        writeln!(body, "<p class=\"soft\">And {more} more: the report has them all.</p>")?;
    }
    Ok(())
}

/// What is tried again, with what went wrong last.
fn waiting(body: &mut String, report: &Report) -> fmt::Result {
    let waiting: Vec<_> = report
        .meetings
        .iter()
        .filter(|(_, meeting)| meeting.waits.as_ref().is_some_and(|job| job.cause.is_some()))
        .collect();
    if waiting.is_empty() {
        return Ok(());
    }
    writeln!(body, "<h2 id=\"waiting-title\">Waiting</h2>")?;
    table(
        body,
        "waiting-title",
        &["Meeting", "Outcome", "Reason and evidence", "#Starts", "Deadline at Zoom", "Due"],
    )?;
    for (uuid, meeting) in waiting.iter().take(MOST_SHOWN) {
        meeting_row(body, uuid, meeting)?;
        let due = meeting.waits.as_ref().and_then(|job| job.due).map(stamp).unwrap_or_default();
        writeln!(body, "<td class=\"time\">{due}</td></tr>")?;
    }
    table_end(body)?;
    more(body, waiting.len())
}

fn slowest(body: &mut String, report: &Report) -> fmt::Result {
    let took = |meeting: &MeetingReport| meeting.end.as_ref().and_then(|end| end.took_ms);
    let mut slowest: Vec<_> =
        report.meetings.iter().filter_map(|(uuid, meeting)| Some((took(meeting)?, uuid, meeting))).collect();
    slowest.sort_by_key(|(took, ..)| std::cmp::Reverse(*took));
    if slowest.is_empty() {
        return Ok(());
    }
    writeln!(body, "<h2 id=\"slowest-title\">Slowest meetings</h2>")?;
    table(body, "slowest-title", &["Meeting", "Outcome", "#Took", "#Files", "#Size", "Worker"])?;
    for (took, uuid, meeting) in slowest.into_iter().take(SLOWEST) {
        let Some(end) = &meeting.end else { continue };
        let size: u64 = end.files.iter().filter_map(|file| file.size).sum();
        writeln!(
            body,
            "<tr><td><code>{}</code></td><td>{}</td><td class=\"number\">{}.{} s</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td><code>{}</code></td></tr>",
            Plain(uuid.as_str()),
            Plain(meeting.outcome()),
            grouped(took / 1000),
            took % 1000 / 100,
            end.files.len(),
            bytes(size),
            Plain(&end.worker)
        )?;
    }
    table_end(body)
}
