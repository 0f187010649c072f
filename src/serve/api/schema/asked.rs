//! What is asked.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// What to recover: a period (`from` and `to`, or `last`), or `meetings`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct NewRecovery {
    /// Begin of the period, inclusive: an instant, or a date for its midnight (UTC).
    #[schema(example = "2026-10-01")]
    pub(in crate::serve) from: Option<String>,
    /// End of the period, exclusive.
    #[schema(example = "2026-10-03T12:00:00Z")]
    pub(in crate::serve) to: Option<String>,
    /// The period that ends now.
    #[schema(example = "7d")]
    pub(in crate::serve) last: Option<String>,
    /// UUIDs of meetings, or meeting numbers: then all meetings that Zoom still knows of the number.
    #[schema(max_items = 100_000, example = json!(["/aB3dE//gHiJkL4mNoPqRg==", "864-1234-5678"]))]
    pub(in crate::serve) meetings: Option<Vec<String>>,
    /// Lists and compares, answers what would be recovered, and changes nothing.
    #[serde(default)]
    pub(in crate::serve) dry_run: bool,
    /// Who asks, for the evidence.
    #[schema(pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", max_length = 200, example = "ops")]
    pub(in crate::serve) by: Option<String>,
    /// Why, for the evidence.
    #[schema(pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", max_length = 1000, example = "INC-4711")]
    pub(in crate::serve) reason: Option<String>,
}

/// What goes with a CSV file.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::serve) struct CsvQuery {
    /// Of a CSV file: lists and compares only.
    #[serde(default)]
    #[param(required = false)]
    pub(in crate::serve) dry_run: bool,
    /// Of a CSV file: who asks.
    #[param(pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", max_length = 200)]
    pub(in crate::serve) by: Option<String>,
    /// Of a CSV file: why.
    #[param(pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", max_length = 1000)]
    pub(in crate::serve) reason: Option<String>,
    /// Of a CSV file: its name, for the evidence.
    #[param(pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", max_length = 200)]
    pub(in crate::serve) name: Option<String>,
}

/// Who does it, for the evidence.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct Control {
    #[schema(pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", max_length = 200, example = "ops")]
    pub(in crate::serve) by: Option<String>,
}

/// What to take up again: all that failed, of these meetings, for that reason.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct Retry {
    #[schema(pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", max_length = 200, example = "ops")]
    pub(in crate::serve) by: Option<String>,
    #[schema(max_items = 10_000)]
    pub(in crate::serve) meetings: Option<Vec<String>>,
    #[schema(example = "network")]
    pub(in crate::serve) reason: Option<String>,
}

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::serve) struct PageQuery {
    /// How many at most.
    #[serde(default)]
    #[param(required = false, minimum = 1, maximum = 1000, default = 100)]
    pub(in crate::serve) limit: Limit,
    /// Where the page before ended: its `next_cursor`.
    pub(in crate::serve) cursor: Option<String>,
}

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::serve) struct MeetingsQuery {
    /// Only these: `recovered`, `failed`, `unavailable`, `expired`, `pending`, or a verdict (`present`, `excluded`,
    /// `indeterminate`).
    pub(in crate::serve) outcome: Option<Outcome>,
    /// Only those with this reason, as docs/reasons.md names it.
    pub(in crate::serve) reason: Option<String>,
    /// How many at most.
    #[serde(default)]
    #[param(required = false, minimum = 1, maximum = 1000, default = 100)]
    pub(in crate::serve) limit: Limit,
    /// Where the page before ended: its `next_cursor`.
    pub(in crate::serve) cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::serve) enum Outcome {
    Recovered,
    Failed,
    Unavailable,
    Expired,
    Pending,
    Present,
    Excluded,
    Indeterminate,
}

impl Outcome {
    pub(in crate::serve) fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::Failed => "failed",
            Self::Unavailable => "unavailable",
            Self::Expired => "expired",
            Self::Pending => "pending",
            Self::Present => "present",
            Self::Excluded => "excluded",
            Self::Indeterminate => "indeterminate",
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::serve) enum Format {
    Json,
    Csv,
    Html,
    Text,
}

#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::serve) struct ReportQuery {
    /// `json` if it is not given.
    pub(in crate::serve) format: Option<Format>,
}

/// 1 to 1000.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(try_from = "u32")]
#[schema(value_type = u32, minimum = 1, maximum = 1000, default = 100)]
pub(in crate::serve) struct Limit(pub(in crate::serve) u32);

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<u32> for Limit {
    type Error = &'static str;

    fn try_from(limit: u32) -> Result<Self, Self::Error> {
        if (1..=1000).contains(&limit) { Ok(Self(limit)) } else { Err("limit is 1 to 1000") }
    }
}
