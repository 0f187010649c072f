//! What a request asks for, checked: each value where it is read, so that nothing else gets further.

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use recapture_core::period::{Period, parse_instant, parse_length};

use super::schema::{CsvQuery, NewRecovery};
use crate::producer::Asked;
use crate::recovery::What;
use crate::serve::recoveries::{List, Order};
use crate::trigger::csv::Content;
use crate::web::problem::Problem;

const MOST_MEETINGS: usize = 100_000;
pub(super) const LONGEST_NAME: usize = 200;
const LONGEST_REASON: usize = 1000;

/// Longer than Zoom keeps anything; a listing of centuries would be asked for by mistake.
const LONGEST_PERIOD: chrono::Duration = chrono::Duration::days(800);

/// Why a request names nothing to recover.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::serve) struct NoOrder(pub(super) String);

impl From<NoOrder> for Problem {
    fn from(NoOrder(why): NoOrder) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, why)
    }
}

pub(super) fn refuse<T>(why: impl Into<String>) -> Result<T, NoOrder> {
    Err(NoOrder(why.into()))
}

/// A text of a client's, which stands in the evidence: one line, not too long; an empty one is none.
pub(super) fn text(given: Option<String>, longest: usize, name: &str) -> Result<Option<String>, NoOrder> {
    let Some(given) = given.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    if given.chars().count() > longest {
        return refuse(format!("{name} has more than {longest} characters"));
    }
    if given.chars().any(char::is_control) {
        return refuse(format!("{name} holds control characters; it is one line of text"));
    }
    Ok(Some(given))
}

/// What a request asks for.
pub(in crate::serve) fn order(asked: NewRecovery, now: DateTime<Utc>) -> Result<Order, NoOrder> {
    let (by, reason) = (text(asked.by, LONGEST_NAME, "by")?, text(asked.reason, LONGEST_REASON, "reason")?);
    if let Some(meetings) = asked.meetings {
        if asked.from.is_some() || asked.to.is_some() || asked.last.is_some() {
            return refuse("meetings and a period are given; ask for one of them");
        }
        return order_list(&meetings, by, reason);
    }
    let (period, words) = match (asked.from, asked.to, asked.last) {
        (Some(from), Some(to), None) => {
            let instant = |text: &str| parse_instant(text).map_err(|error| NoOrder(error.to_string()));
            (Period::new(instant(&from)?, instant(&to)?), format!("{from} to {to}"))
        }
        (None, None, Some(last)) => {
            let length = parse_length(&last).map_err(|error| NoOrder(error.to_string()))?;
            let length = chrono::Duration::from_std(length).unwrap_or_default();
            (Period::new(now - length, now), format!("last {last}"))
        }
        _ => return refuse("what to recover is from and to, or last, or meetings"),
    };
    let period = period.and_then(|period| period.until(now)).map_err(|error| NoOrder(error.to_string()))?;
    if period.to - period.from > LONGEST_PERIOD {
        return refuse(format!("the period is longer than {} days", LONGEST_PERIOD.num_days()));
    }
    Ok(Order { what: What::Period(period), words, by, reason, list: None })
}

fn order_list(meetings: &[String], by: Option<String>, reason: Option<String>) -> Result<Order, NoOrder> {
    if meetings.is_empty() || meetings.len() > MOST_MEETINGS {
        return refuse(format!("{} meetings are given; 1 to {MOST_MEETINGS} are taken", meetings.len()));
    }
    let mut asked = Vec::with_capacity(meetings.len());
    for (at, meeting) in meetings.iter().enumerate() {
        match Asked::parse(meeting) {
            Ok(meeting) => asked.push(meeting),
            Err(why) => return refuse(format!("meetings[{at}]: {why}")),
        }
    }
    let lines = asked.iter().fold("meeting_uuid\n".to_owned(), |lines, asked| format!("{lines}{asked}\n"));
    let list =
        List { name: "meetings".to_owned(), text: lines.into_bytes(), rows: asked.len() as u64, rejected: 0 };
    Ok(Order { what: What::Meetings(asked), words: "meetings".to_owned(), by, reason, list: Some(list) })
}

impl CsvQuery {
    pub(super) fn checked(self) -> Result<Self, NoOrder> {
        Ok(Self {
            dry_run: self.dry_run,
            by: text(self.by, LONGEST_NAME, "by")?,
            reason: text(self.reason, LONGEST_REASON, "reason")?,
            name: text(self.name, LONGEST_NAME, "name")?,
        })
    }
}

/// What a CSV file asks for. As in the folder of CSV files, rows that name no meeting are told of and left out.
pub(in crate::serve) fn order_csv(file: &[u8], query: CsvQuery) -> Result<Order, NoOrder> {
    let CsvQuery { by, reason, name, .. } = query.checked()?;
    let name = name.unwrap_or_else(|| "upload.csv".to_owned());
    let Content { asked, rows, rejected, examples, .. } =
        Content::of(file).map_err(|error| NoOrder(format!("the file cannot be read: {error}")))?;
    if asked.is_empty() || asked.len() > MOST_MEETINGS {
        let first = examples.first().and_then(|row| Some((row.line, row.asked.as_ref().err()?.to_string())));
        let why = first.map_or_else(String::new, |(line, why)| format!("; line {line}: {why}"));
        return refuse(format!(
            "the file names {} meetings, 1 to {MOST_MEETINGS} are taken{why}",
            asked.len()
        ));
    }
    let list = List { name, text: file.to_vec(), rows, rejected };
    Ok(Order { what: What::Meetings(asked), words: "csv".to_owned(), by, reason, list: Some(list) })
}
