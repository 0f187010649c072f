//! The first page: what is under way, what was, what will be lost, and a form to begin a recovery.

use std::fmt::{self, Write};

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use chrono::Utc;
use recapture_core::period::stamp;
use recapture_core::queue::Depth;
use recapture_core::run::{RecoveryRun, RunId, RunState};
use serde::Deserialize;
use ulid::Ulid;

use super::page::{Page, Visitor, table, table_end};
use super::{Dashboard, Refusal};
use crate::cli::{grouped, length};
use crate::markup::Plain;
use crate::serve::api::schema::Progress;
use crate::serve::api::{Caller, Paces};

const A_PAGE: u32 = 50;

/// Within how long Zoom deletes.
const AHEAD: [(&str, i64); 5] =
    [("24 hours", 24), ("3 days", 3 * 24), ("7 days", 7 * 24), ("14 days", 14 * 24), ("30 days", 30 * 24)];

#[derive(Deserialize)]
pub(super) struct Older {
    before: Option<String>,
}

pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    Extension(caller): Extension<Caller>,
    Query(older): Query<Older>,
) -> Result<Response, Refusal> {
    let queue = &dashboard.api.service.opened.queue;
    let before = older.before.and_then(|id| RunId::parse(&id).ok());
    let runs = queue.runs_before(before.as_ref(), A_PAGE).await?;
    let depth = queue.depth().await?;
    let now = Utc::now();
    let mut ahead = Vec::new();
    for (words, hours) in AHEAD {
        ahead.push((words, queue.lost_by(now + chrono::Duration::hours(hours)).await?));
    }
    let visitor = Visitor::of(&dashboard, &caller);
    let mut body = String::new();
    let _ = write(&mut body, &visitor, &runs, &dashboard.api.pulse.paces, &depth, &ahead);
    let page = Page { title: "Recoveries", place: "/", run: None, live: true };
    Ok(page.show(Some(&visitor), &body))
}

fn write(
    body: &mut String,
    visitor: &Visitor,
    runs: &[RecoveryRun],
    paces: &Paces,
    depth: &Depth,
    ahead: &[(&str, u64)],
) -> fmt::Result {
    writeln!(body, "<h1>Recoveries</h1>")?;
    if visitor.may_act {
        begin_form(body, visitor)?;
    }
    writeln!(body, "<section id=\"queue\" data-live>")?;
    queue_now(body, depth)?;
    writeln!(body, "</section>\n<section id=\"runs\" data-live>\n<h2 id=\"runs-title\">Runs</h2>")?;
    if runs.is_empty() {
        writeln!(body, "<p>No recovery yet.</p>")?;
    } else {
        let columns =
            ["Run", "State", "Progress", "#Recovered", "#Failed", "#Pending", "Time left", "Asked by, why"];
        table(body, "runs-title", &columns)?;
        for run in runs {
            row(body, run, paces)?;
        }
        table_end(body)?;
        if let Some(last) = runs.last().filter(|_| runs.len() == A_PAGE as usize) {
            writeln!(body, "<p><a href=\"/?before={}\">Older runs</a></p>", last.id)?;
        }
    }
    writeln!(
        body,
        "</section>\n<section id=\"ahead\" data-live>\n<h2 id=\"ahead-title\">Deadlines ahead</h2>"
    )?;
    deadlines(body, depth, ahead)?;
    writeln!(body, "</section>")
}

fn queue_now(body: &mut String, depth: &Depth) -> fmt::Result {
    if depth.paused {
        writeln!(
            body,
            "<p class=\"note warn\">The whole queue is paused: <code>recapture resume</code> lets it go on.</p>"
        )?;
    }
    writeln!(body, "<h2 class=\"visually-hidden\">The queue</h2>\n<div class=\"sum\">")?;
    for (name, count, class) in [
        ("unfinished", depth.unfinished(), ""),
        ("ready", depth.ready, ""),
        ("in hand", depth.leased, "good"),
        ("waiting", depth.delayed, "warn"),
        ("held by a pause", depth.held, "warn"),
        ("failed", depth.dead, "bad"),
    ] {
        let class = if count == 0 { "soft" } else { class };
        writeln!(body, "<div><b class=\"{class}\">{}</b><span>{name}</span></div>", grouped(count))?;
    }
    writeln!(body, "</div>")
}

pub(super) fn state_class(run: &RecoveryRun) -> &'static str {
    match run.state {
        RunState::Completed if run.counts.failed + run.counts.expired > 0 => "warn",
        RunState::Completed if run.reconciled() => "good",
        RunState::Completed | RunState::Paused | RunState::Stopped => "warn",
        RunState::Failed => "bad",
        RunState::Enumerating | RunState::Running | RunState::Cancelled => "",
    }
}

/// A bar with its words; what has yet to be listed has no end.
pub(super) fn bar(body: &mut String, run: &RecoveryRun, progress: &Progress) -> fmt::Result {
    let detected = run.counts.detected;
    if run.state == RunState::Enumerating {
        let words = format!("{} listed, {} to recover so far", grouped(run.counts.listed), grouped(detected));
        return writeln!(
            body,
            "<div class=\"bar\"><progress aria-label=\"Listing\"></progress><span>{words}</span></div>"
        );
    }
    if detected == 0 {
        return writeln!(body, "<div class=\"bar\"><span>nothing to recover</span></div>");
    }
    let class = if run.counts.failed + run.counts.expired > 0 { "bad" } else { "good" };
    writeln!(
        body,
        "<div class=\"bar\"><progress class=\"{class}\" max=\"{detected}\" value=\"{}\" aria-label=\"Meetings that came to an end\"></progress><span>{} of {}</span></div>",
        progress.done,
        grouped(progress.done),
        grouped(detected)
    )
}

pub(super) fn left(progress: &Progress) -> String {
    progress
        .seconds_left
        .map(|left| length(chrono::Duration::seconds(i64::try_from(left).unwrap_or(i64::MAX / 1000))))
        .unwrap_or_default()
}

fn row(body: &mut String, run: &RecoveryRun, paces: &Paces) -> fmt::Result {
    let progress = Progress::of(run, paces, Utc::now());
    writeln!(
        body,
        "<tr><td><a href=\"/runs/{id}\"><code>{id}</code></a><br><span class=\"soft\">{}, begun <span class=\"time\">{}</span>",
        run.request.mode.as_str(),
        stamp(run.started_at),
        id = run.id
    )?;
    if let Some(period) = run.request.period {
        let (from, to) = (stamp(period.from), stamp(period.to));
        writeln!(body, "<br><span class=\"time\">{from}</span> to <span class=\"time\">{to}</span>")?;
    }
    writeln!(
        body,
        "</span></td><td><span class=\"state {}\">{}</span></td><td>",
        state_class(run),
        run.state.as_str()
    )?;
    bar(body, run, &progress)?;
    let counts = &run.counts;
    let failed = counts.failed + counts.expired;
    let class = if failed > 0 { "bad" } else { "soft" };
    writeln!(
        body,
        "</td><td class=\"number\">{}</td><td class=\"number {class}\">{}</td><td class=\"number\">{}</td><td class=\"time\">{}</td>",
        grouped(counts.recovered),
        grouped(failed),
        grouped(counts.pending),
        left(&progress)
    )?;
    let reason = run.request.reason.as_deref().unwrap_or_default();
    writeln!(
        body,
        "<td class=\"why\">{}<br><span class=\"soft\">{}</span></td></tr>",
        Plain(&run.request.requested_by),
        Plain(reason)
    )
}

fn deadlines(body: &mut String, depth: &Depth, ahead: &[(&str, u64)]) -> fmt::Result {
    let Some(nearest) = depth.nearest_deadline else {
        return writeln!(body, "<p>Nothing waits that Zoom could delete.</p>");
    };
    let in_time = length(nearest - Utc::now());
    let class = if nearest - Utc::now() < chrono::Duration::hours(24) { "note bad" } else { "note" };
    writeln!(
        body,
        "<p class=\"{class}\">Of what is unfinished Zoom deletes the first at {} (in {in_time}).</p>",
        stamp(nearest)
    )?;
    table(body, "ahead-title", &["Zoom deletes within", "#Unfinished meetings"])?;
    for (words, count) in ahead {
        writeln!(body, "<tr><td>{words}</td><td class=\"number\">{}</td></tr>", grouped(*count))?;
    }
    table_end(body)
}

fn begin_form(body: &mut String, visitor: &Visitor) -> fmt::Result {
    writeln!(body, "<details id=\"begin\">\n<summary>Start a recovery</summary>")?;
    visitor.form(body, &"/runs", "begin")?;
    writeln!(
        body,
        "<input type=\"hidden\" name=\"key\" value=\"{}\">
<div class=\"fields\">
<fieldset><legend>A period (UTC)</legend><div class=\"pair\">
<div><label for=\"from\">From, midnight of</label><input id=\"from\" name=\"from\" type=\"date\"></div>
<div><label for=\"to\">Up to midnight of</label><input id=\"to\" name=\"to\" type=\"date\"></div></div></fieldset>
<fieldset><legend>Or meetings</legend>
<label for=\"meetings\">UUIDs or meeting numbers, one a line; or the text of a CSV file</label>
<textarea id=\"meetings\" name=\"meetings\" spellcheck=\"false\" autocomplete=\"off\"></textarea></fieldset>
<fieldset><legend>For the evidence</legend><div class=\"pair\">
<div><label for=\"by\">Who asks</label><input id=\"by\" name=\"by\" maxlength=\"200\" autocomplete=\"username\"></div>
<div><label for=\"reason\">Why</label><input id=\"reason\" name=\"reason\" maxlength=\"1000\"></div></div></fieldset>
</div>
<div class=\"actions\"><button class=\"main\" name=\"do\" value=\"recover\">Recover</button>
<button name=\"do\" value=\"look\">Only show what is missing</button></div>
</form>
</details>",
        Ulid::generate()
    )
}
