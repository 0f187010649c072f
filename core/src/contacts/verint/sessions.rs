//! The JSON of the Verint form, with its own spellings. Column names are taken in any case: installations differ.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Verint;
use crate::period::Period;

/// By how much the period that is told back may be shorter than the one that was asked for.
const ROUNDED: chrono::Duration = chrono::Duration::seconds(90);

#[derive(Serialize)]
pub(super) struct LogIn<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
}

/// Never printed: it holds a token.
#[derive(Deserialize)]
pub(super) struct LoggedIn {
    #[serde(rename = "AuthToken")]
    pub(super) auth_token: AuthToken,
}

#[derive(Deserialize)]
pub(super) struct AuthToken {
    pub(super) token: String,
}

#[derive(Serialize)]
pub(super) struct Query<'a> {
    #[serde(rename = "UserID")]
    user_id: u64,
    #[serde(rename = "ConditionsString")]
    conditions: &'a str,
    period: QueryPeriod,
    #[serde(rename = "RequestedGroups")]
    groups: [u64; 0],
    #[serde(rename = "RequestedColumns")]
    columns: Option<String>,
    #[serde(rename = "CommandTimoutSeconds")]
    timeout: u64,
}

#[derive(Serialize)]
struct QueryPeriod {
    #[serde(rename = "BeginPeriod")]
    from: String,
    #[serde(rename = "EndPeriod")]
    to: String,
    #[serde(rename = "TimeOfDateBegin")]
    each_day_from: &'static str,
    #[serde(rename = "TimeOfDateEnd")]
    each_day_to: &'static str,
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "Days")]
    days: u32,
}

impl<'a> Query<'a> {
    pub(super) fn new(settings: &'a Verint, period: Period, timeout: Duration) -> Self {
        let instant = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%S").to_string();
        Self {
            user_id: settings.user_id,
            conditions: &settings.conditions,
            period: QueryPeriod {
                from: instant(period.from),
                to: instant(period.to),
                each_day_from: "00:00:00",
                each_day_to: "23:59:59",
                kind: "Absolute",
                days: 0,
            },
            groups: [],
            columns: (!settings.columns.is_empty()).then(|| settings.columns.join(",")),
            // The service gives up a little before we do, and says so.
            timeout: timeout.mul_f64(0.8).as_secs().max(1),
        }
    }
}

/// An answer as it came.
#[derive(Deserialize)]
pub(super) struct Sessions {
    #[serde(rename = "Sessions")]
    sessions: Vec<Map<String, Value>>,
    #[serde(rename = "QDI", default)]
    understood: Value,
}

/// A session, as far as it matters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// The meeting UUID, if it is a meeting's.
    pub(super) key: Option<String>,
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) ended_at: Option<DateTime<Utc>>,
    pub(super) file_id: Option<String>,
}

/// The sessions of a period.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// There may be more.
    pub(super) is_cut: bool,
}

impl Answer {
    pub(super) fn read(settings: &Verint, asked: Period, sessions: Sessions) -> Result<Self, String> {
        let Sessions { sessions, understood } = sessions;
        if let Some(first) = sessions.first()
            && !sessions.iter().any(|session| find(session, &settings.key_column).is_some())
        {
            let there: Vec<&str> = first.keys().map(String::as_str).collect();
            let (wanted, there) = (&settings.key_column, there.join(", "));
            return Err(format!(
                "no row has a column {wanted} (contacts.verint.key_column); there are {there}"
            ));
        }
        let is_cut = sessions.len() >= settings.row_limit || is_shorter(&understood, asked);
        let row = |session: &Map<String, Value>| Row {
            key: find(session, &settings.key_column).and_then(text),
            started_at: find(session, &settings.start_column).and_then(instant),
            ended_at: find(session, &settings.end_column).and_then(instant),
            file_id: settings.file_column.as_ref().and_then(|column| find(session, column)).and_then(text),
        };
        Ok(Self { rows: sessions.iter().map(row).collect(), is_cut })
    }

    /// How many rows carry a key.
    pub(super) fn keyed(&self) -> usize {
        self.rows.iter().filter(|row| row.key.is_some()).count()
    }
}

fn find<'a>(session: &'a Map<String, Value>, column: &str) -> Option<&'a Value> {
    let other_case =
        || session.iter().find(|(name, _)| name.eq_ignore_ascii_case(column)).map(|(_, value)| value);
    session.get(column).or_else(other_case)
}

/// Columns of fixed width are padded.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// Times are UTC, whether they say so or not.
fn instant(value: &Value) -> Option<DateTime<Utc>> {
    let text = value.as_str()?.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    naive.into_iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).map(|at| at.and_utc())
}

/// Whether the service says that it understood a shorter period than it was asked for. In which zone it says so is not
/// documented; the length does not depend on that.
fn is_shorter(understood: &Value, asked: Period) -> bool {
    let told = match understood {
        Value::Array(all) => all.first(),
        one => Some(one),
    };
    let bound =
        |name: &str| told.and_then(Value::as_object).and_then(|told| find(told, name)).and_then(instant);
    match (bound("TIME_FROM"), bound("TIME_TO")) {
        (Some(from), Some(to)) => to - from + ROUNDED < asked.to - asked.from,
        _ => false,
    }
}
