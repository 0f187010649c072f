//! The days of the period, and how much of each was proven listed: in both of Zoom's time dimensions, because neither alone
//! sees all.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use chrono::{DateTime, Datelike, Days, Duration, NaiveDate, NaiveTime, Utc};
use recapture_core::period::Period;
use recapture_core::zoom::Dimension;

use crate::cli::grouped;
use crate::report::{MeetingReport, Report, Slice};

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// More weeks than this are no calendar that somebody reads; the slices below tell all.
const MOST_WEEKS: usize = 27;

/// How much of a day, as far as it is asked for, was proven listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    Outside,
    Whole,
    Part,
    Nothing,
}

type Slices = BTreeMap<(DateTime<Utc>, String), Slice>;

fn day(date: NaiveDate, period: Period, slices: &Slices) -> Day {
    let begin = date.and_time(NaiveTime::MIN).and_utc();
    let (from, to) = (begin.max(period.from), (begin + Duration::days(1)).min(period.to));
    if from >= to {
        return Day::Outside;
    }
    let proven = |dimension: Dimension| {
        let of = slices.iter().filter(|((_, word), slice)| word == dimension.as_str() && slice.proven);
        let within = of.map(|(_, slice)| slice.period.to.min(to) - slice.period.from.max(from));
        within.filter(|length| *length > Duration::zero()).sum::<Duration>()
    };
    let least = Dimension::BOTH.map(proven).into_iter().min().unwrap_or_default();
    match least {
        all if all >= to - from => Day::Whole,
        none if none.is_zero() => Day::Nothing,
        _ => Day::Part,
    }
}

/// Of the detected meetings that began on each day, how many there are and how many were not recovered.
fn lacking(report: &Report) -> BTreeMap<NaiveDate, (u64, u64)> {
    let mut days: BTreeMap<NaiveDate, (u64, u64)> = BTreeMap::new();
    let is_detected = |meeting: &&MeetingReport| {
        meeting
            .verdict
            .as_ref()
            .is_some_and(|told| ["missing", "incomplete"].contains(&told.verdict.as_str()))
    };
    for meeting in report.meetings.values().filter(is_detected) {
        let began = meeting.verdict.as_ref().and_then(|verdict| verdict.started_at);
        let Some(began) = began else { continue };
        let (detected, open) = days.entry(began.date_naive()).or_default();
        *detected += 1;
        *open += u64::from(meeting.outcome() != "recovered");
    }
    days
}

pub(super) fn write(page: &mut String, report: &Report) -> fmt::Result {
    let Some(period) = report.run.request.period else { return Ok(()) };
    let first = period.from.date_naive();
    let first = first - Days::new(u64::from(first.weekday().num_days_from_monday()));
    let weeks: Vec<NaiveDate> =
        first.iter_weeks().take_while(|week| week.and_time(NaiveTime::MIN).and_utc() < period.to).collect();
    if weeks.len() > MOST_WEEKS || report.slices.is_empty() {
        return Ok(());
    }
    let lacking = lacking(report);
    writeln!(page, "<h2>Days</h2>\n<div class=\"scroll\"><table class=\"days\"><thead><tr>")?;
    for name in WEEKDAYS {
        write!(page, "<th scope=\"col\">{name}</th>")?;
    }
    writeln!(page, "</tr></thead><tbody>")?;
    for week in weeks {
        write!(page, "<tr>")?;
        for date in week.iter_days().take(7) {
            let (class, words) = match day(date, period, &report.slices) {
                Day::Outside => {
                    write!(page, "<td class=\"none\"></td>")?;
                    continue;
                }
                Day::Whole => ("good", "✓ proven listed"),
                Day::Part => ("warn", "½ partly proven"),
                Day::Nothing => ("bad", "✗ not proven"),
            };
            let short = date.format("%-d %b");
            write!(
                page,
                "<td><b><time datetime=\"{date}\">{short}</time></b><span class=\"{class}\">{words}</span>"
            )?;
            if let Some((detected, open)) = lacking.get(&date) {
                write!(page, "<span>{} lacking</span>", grouped(*detected))?;
                if *open > 0 {
                    write!(page, "<span class=\"bad\">{} not recovered</span>", grouped(*open))?;
                }
            }
            write!(page, "</td>")?;
        }
        writeln!(page, "</tr>")?;
    }
    writeln!(page, "</tbody></table></div>")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_is_whole_only_if_both_dimensions_were_proven_over_all_of_it() {
        let period = Period::new(at("2026-10-01T12:00:00Z"), at("2026-10-04T00:00:00Z")).unwrap();
        let mut slices = Slices::new();
        let mut put = |from: &str, to: &str, dimension: Dimension, proven: bool| {
            let period = Period::new(at(from), at(to)).unwrap();
            let slice = Slice { period, listed: 1, total: None, proven };
            slices.insert((period.from, dimension.as_str().to_owned()), slice);
        };
        put("2026-10-01T12:00:00Z", "2026-10-02T06:00:00Z", Dimension::StartTime, true);
        put("2026-10-02T06:00:00Z", "2026-10-04T00:00:00Z", Dimension::StartTime, true);
        put("2026-10-01T12:00:00Z", "2026-10-02T06:00:00Z", Dimension::ArchiveTime, true);
        put("2026-10-02T06:00:00Z", "2026-10-04T00:00:00Z", Dimension::ArchiveTime, false);
        let days = [30, 1, 2, 3, 4].map(|of| {
            let date = NaiveDate::from_ymd_opt(2026, if of == 30 { 9 } else { 10 }, of).unwrap();
            day(date, period, &slices)
        });
        assert_eq!(days, [Day::Outside, Day::Whole, Day::Part, Day::Nothing, Day::Outside]);
    }
}
