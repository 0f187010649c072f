//! Who holds what, and what was given up.

use std::fmt::{self, Write};

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use chrono::Utc;
use recapture_core::period::stamp;
use recapture_core::queue::{DeadJob, Queue, QueueError};
use recapture_core::run::RunId;
use recapture_core::zoom::Zoom;

use super::page::{Page, Visitor, table, table_end};
use super::run::retry_button;
use super::{Dashboard, Refusal, chart};
use crate::cli::{grouped, length};
use crate::markup::Plain;
use crate::serve::api::schema::Workers;
use crate::serve::api::{Caller, workers};

/// How many of the newest runs are looked through for what failed, and how many meetings are shown.
const RUNS: u32 = 1000;
const MOST_DEAD: u32 = 200;

pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refusal> {
    let workers = workers(&dashboard.api.service.opened.queue).await?;
    let visitor = Visitor::of(&dashboard, &caller);
    let mut body = String::new();
    let _ = write(&mut body, &workers, &dashboard.api.service.opened.ports.zoom);
    let page = Page { title: "Workers", place: "/workers", run: None, live: true };
    Ok(page.show(Some(&visitor), &body))
}

fn write(body: &mut String, workers: &Workers, zoom: &Zoom) -> fmt::Result {
    writeln!(body, "<h1>Workers</h1>\n<section id=\"workers\" data-live>")?;
    if workers.workers.is_empty() {
        writeln!(body, "<p>No worker holds a meeting. One that has nothing to do is not seen here.</p>")?;
    }
    let now = Utc::now();
    for (at, worker) in workers.workers.iter().enumerate() {
        let held = worker.meetings.len() as u64;
        let noun = if held == 1 { "meeting" } else { "meetings" };
        writeln!(
            body,
            "<h2 id=\"worker-{at}\"><code>{}</code>, {} {noun}</h2>",
            Plain(&worker.worker),
            grouped(held)
        )?;
        table(
            body,
            &format!("worker-{at}"),
            &["Meeting", "Run", "#Start", "Lease ends in", "Zoom deletes it in"],
        )?;
        for held in &worker.meetings {
            writeln!(
                body,
                "<tr><td><code>{}</code></td><td><a href=\"/runs/{run}\"><code>{run}</code></a></td><td class=\"number\">{}</td><td class=\"time\">{}</td><td class=\"time\">{}</td></tr>",
                Plain(&held.meeting_uuid),
                held.starts,
                length(held.lease_until - now),
                length(held.deadline - now),
                run = held.recovery
            )?;
        }
        table_end(body)?;
    }
    if workers.truncated {
        writeln!(body, "<p class=\"soft\">More is held than is shown.</p>")?;
    }
    writeln!(body, "</section>\n<section id=\"limits\" data-live>")?;
    chart::limits(body, zoom)?;
    writeln!(body, "</section>")
}

pub(super) async fn dead(
    State(dashboard): State<Dashboard>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refusal> {
    let (dead, more) = find(&dashboard.api.service.opened.queue).await?;
    let visitor = Visitor::of(&dashboard, &caller);
    let mut body = String::new();
    let _ = write_dead(&mut body, &visitor, &dead, more);
    let page = Page { title: "Failed meetings", place: "/dead", run: None, live: true };
    Ok(page.show(Some(&visitor), &body))
}

/// What runs have given up, of the newest run first; and how many more there are.
async fn find(queue: &Queue) -> Result<(Vec<(RunId, DeadJob)>, u64), QueueError> {
    let (mut found, mut more) = (Vec::new(), 0);
    for run in queue.runs(RUNS).await?.into_iter().filter(|run| run.counts.failed > 0) {
        let room = MOST_DEAD - u32::try_from(found.len()).unwrap_or(MOST_DEAD);
        let dead = if room == 0 { Vec::new() } else { queue.dead(&run.id, None, room).await? };
        more += run.counts.failed.saturating_sub(dead.len() as u64);
        found.extend(dead.into_iter().map(|dead| (run.id.clone(), dead)));
    }
    Ok((found, more))
}

fn write_dead(body: &mut String, visitor: &Visitor, dead: &[(RunId, DeadJob)], more: u64) -> fmt::Result {
    writeln!(body, "<h1 id=\"dead-title\">Failed meetings</h1>\n<section id=\"dead\" data-live>")?;
    if dead.is_empty() {
        return writeln!(body, "<p>None: nothing was given up.</p></section>");
    }
    let columns = ["Meeting", "Run", "Reason and evidence", "#Starts", "Given up", "Deadline at Zoom", ""];
    table(body, "dead-title", if visitor.may_act { &columns } else { &columns[..6] })?;
    for (run, dead) in dead {
        writeln!(
            body,
            "<tr><td><code>{}</code></td><td><a href=\"/runs/{run}\"><code>{run}</code></a></td><td class=\"why\"><code>{}</code><br>{}</td>",
            Plain(dead.uuid.as_str()),
            dead.cause.reason,
            Plain(&dead.cause.detail)
        )?;
        writeln!(
            body,
            "<td class=\"number\">{}</td><td class=\"time\">{}</td><td class=\"time\">{}</td>",
            dead.starts,
            stamp(dead.died_at),
            stamp(dead.deadline)
        )?;
        if visitor.may_act {
            writeln!(body, "<td class=\"act\">")?;
            retry_button(body, visitor, run, &dead.uuid)?;
            writeln!(body, "</td>")?;
        }
        writeln!(body, "</tr>")?;
    }
    table_end(body)?;
    if more > 0 {
        writeln!(body, "<p class=\"soft\">And {} more, on the pages of their runs.</p>", grouped(more))?;
    }
    writeln!(body, "</section>")
}
