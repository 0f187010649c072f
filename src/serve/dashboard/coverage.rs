//! A calendar of what automatic recovery has covered, and its gaps.

use std::fmt::{self, Write};

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Utc};
use recapture_core::period::stamp;

use super::page::{Page, Visitor, table, table_end};
use super::{Dashboard, Refusal};
use crate::cli::length;
use crate::markup::Plain;
use crate::serve::api::schema::{Coverage, Span};
use crate::serve::api::{Caller, coverage};

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// More weeks than this are no calendar that somebody reads.
const MOST_WEEKS: u64 = 14;

pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refusal> {
    let coverage = coverage(&dashboard.api.service).await?;
    let visitor = Visitor::of(&dashboard, &caller);
    let mut body = String::new();
    let _ = write(&mut body, &coverage);
    let page = Page { title: "Coverage", place: "/coverage", run: None, live: true };
    Ok(page.show(Some(&visitor), &body))
}

fn write(body: &mut String, coverage: &Coverage) -> fmt::Result {
    writeln!(body, "<h1>Coverage</h1>\n<section id=\"coverage\" data-live>")?;
    match (&coverage.on_duty, coverage.enabled) {
        (Some(process), _) => {
            writeln!(body, "<p>Process <code>{}</code> looks for missing meetings.</p>", Plain(process))?;
        }
        (None, true) => writeln!(body, "<p class=\"note warn\">No process is on duty at the moment.</p>")?,
        (None, false) => writeln!(
            body,
            "<p class=\"note\">Automatic recovery is off: <code>automatic.enabled = true</code> turns it on.</p>"
        )?,
    }
    if let Some(why) = &coverage.unreadable {
        writeln!(
            body,
            "<p class=\"note bad\">The ledger is unreadable ({}); the next pass makes it again.</p>",
            Plain(why)
        )?;
    }
    if let Some(since) = coverage.silent_since {
        writeln!(
            body,
            "<p class=\"note bad\">Since {} Zoom lists nothing where it has listed meetings.</p>",
            stamp(since)
        )?;
    }
    if let (Some(since), Some(until)) = (coverage.since, coverage.until) {
        calendar(body, coverage, since, until)?;
        gaps(body, coverage)?;
    } else {
        writeln!(body, "<p>Nothing is covered yet.</p>")?;
    }
    writeln!(body, "</section>")
}

/// How much of a day is covered in both dimensions of time.
enum Day {
    Outside,
    Whole,
    Part,
    Nothing,
}

fn day(coverage: &Coverage, date: NaiveDate, since: DateTime<Utc>, until: DateTime<Utc>) -> Day {
    let begin = date.and_time(NaiveTime::MIN).and_utc();
    let end = begin + chrono::Duration::days(1);
    let (from, to) = (begin.max(since), end.min(until));
    if from >= to {
        return Day::Outside;
    }
    let length_in = |gap: &Span| (gap.to.min(to) - gap.from.max(from)).num_seconds().max(0);
    let lacking = |gaps: &[Span]| gaps.iter().map(length_in).sum::<i64>();
    let most = coverage.dimensions.iter().map(|dimension| lacking(&dimension.gaps)).max().unwrap_or(i64::MAX);
    match most {
        0 => Day::Whole,
        some if some < (to - from).num_seconds() => Day::Part,
        _ => Day::Nothing,
    }
}

fn calendar(
    body: &mut String,
    coverage: &Coverage,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> fmt::Result {
    let last = until.date_naive();
    let monday = |date: NaiveDate| date - Days::new(u64::from(date.weekday().num_days_from_monday()));
    let first = monday(since.date_naive()).max(monday(last) - Days::new(7 * (MOST_WEEKS - 1)));
    writeln!(
        body,
        "<h2 id=\"calendar\">Days</h2>\n<p class=\"soft\">What should be covered by now: {} to {} (UTC).</p>",
        stamp(since),
        stamp(until)
    )?;
    writeln!(
        body,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"calendar\"><table class=\"calendar\" aria-labelledby=\"calendar\"><thead><tr>"
    )?;
    for name in WEEKDAYS {
        write!(body, "<th scope=\"col\">{name}</th>")?;
    }
    writeln!(body, "</tr></thead><tbody>")?;
    for week in first.iter_weeks().take_while(|week| *week <= last) {
        write!(body, "<tr>")?;
        for date in week.iter_days().take(7) {
            let (class, words, mark) = match day(coverage, date, since, until) {
                Day::Outside => ("none", "", ""),
                Day::Whole => ("full", "covered", "✓"),
                Day::Part => ("half", "partly", "½"),
                Day::Nothing => ("hole", "gap", "✗"),
            };
            if class == "none" {
                write!(body, "<td class=\"none\"></td>")?;
            } else {
                write!(
                    body,
                    "<td class=\"{class}\"><b><time datetime=\"{date}\">{}</time></b><i aria-hidden=\"true\">{mark}</i> <span>{words}</span></td>",
                    date.format("%-d %b")
                )?;
            }
        }
        writeln!(body, "</tr>")?;
    }
    writeln!(body, "</tbody></table></div>")
}

fn gaps(body: &mut String, coverage: &Coverage) -> fmt::Result {
    writeln!(body, "<h2 id=\"gaps\">Gaps</h2>")?;
    if coverage.dimensions.iter().all(|dimension| dimension.gaps.is_empty()) {
        return writeln!(body, "<p>None.</p>");
    }
    table(body, "gaps", &["From", "To", "By", "#Length"])?;
    for dimension in &coverage.dimensions {
        for gap in &dimension.gaps {
            writeln!(
                body,
                "<tr><td class=\"time\">{}</td><td class=\"time\">{}</td><td>{}</td><td class=\"number\">{}</td></tr>",
                stamp(gap.from),
                stamp(gap.to),
                Plain(&dimension.dimension),
                length(gap.to - gap.from)
            )?;
        }
    }
    table_end(body)
}
