//! The period of a query: `from`, `to`, and what Zoom makes of them.
//!
//! Documented: both optional, at most seven days apart, a `to` in the future is lowered. Assumed: wider is an
//! error (code 300), both ends are inclusive, and without `from` it is the seven days before `to`.

use std::collections::HashMap;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde_json::json;

use super::Refusal;
use crate::catalogue::Seconds;

const WEEK: Seconds = 7 * 24 * 3600;

#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from: Seconds,
    pub(super) to: Seconds,
}

pub(super) type Params = HashMap<String, String>;

impl Window {
    pub(super) fn read(params: &Params) -> Result<Self, Refusal> {
        let now = Utc::now().timestamp();
        let to = time(params, "to")?.unwrap_or(now).min(now);
        let from = time(params, "from")?.unwrap_or(to - WEEK);
        if from > to {
            return Err(invalid("from", "The start of the date range must not be after its end."));
        }
        if to - from > WEEK {
            return Err(invalid("from", "The date range must not be longer than 7 days."));
        }
        Ok(Self { from, to })
    }

    /// The first half of it, for the fault of a period cut short.
    pub(super) fn shortened(self) -> Self {
        Self { to: self.from.midpoint(self.to), ..self }
    }
}

fn time(params: &Params, name: &str) -> Result<Option<Seconds>, Refusal> {
    let Some(text) = params.get(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let date = |text: &str| text.parse::<NaiveDate>().map(|date| date.and_time(NaiveTime::MIN).and_utc());
    match DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).or_else(|_| date(text)) {
        Ok(time) => Ok(Some(time.timestamp())),
        Err(_) => Err(invalid(name, "The value must be a date and time, as in 2021-03-11T05:41:36Z.")),
    }
}

/// The documented shape of a refused parameter.
pub(super) fn invalid(field: &str, message: &str) -> Refusal {
    let errors = json!([{"field": field, "message": message}]);
    let body = json!({"code": 300, "message": "Validation Failed.", "errors": errors});
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response().into()
}
