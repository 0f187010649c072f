//! The shapes of work that are measured.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

/// Seconds between the starts of two meetings: a part of the work is a part of the period.
pub(super) const SLOT: u64 = 10;

/// Where the period begins: midnight, some days ago.
const DAYS_AGO: u64 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// 4 files of 2 to 20 KB a meeting
    Small,
    /// 4 files a meeting, of 2 KB to 2 MB: 2.2 MB in all
    Mixed,
    /// 4 small files, and 150 ms before each answer
    Latency,
    /// One small file a meeting, and the rate limits of Zoom's plans
    Limited,
}

impl Profile {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Small => "small: 4 files of 2–20 KB a meeting",
            Self::Mixed => "mixed: 4 files a meeting, of 2 KB, 20 KB, 200 KB and 2 MB",
            Self::Latency => "latency: 4 files of 2–20 KB a meeting, 150 ms before each answer",
            Self::Limited => "limited: one file of 2 KB a meeting, Zoom's rate limits",
        }
    }

    /// What there is; rows that are slower take the first part of it.
    pub(super) fn meetings(self) -> u32 {
        match self {
            Self::Small => 6000,
            Self::Mixed => 2400,
            Self::Latency => 3200,
            Self::Limited => 2400,
        }
    }

    /// What a peer does of that, so that its row takes about as long as the others.
    pub(super) fn for_peers(self) -> u32 {
        self.meetings() / if self == Self::Small { 6 } else { 3 }
    }

    fn files(self) -> Vec<(&'static str, u64, u64)> {
        match self {
            Self::Small | Self::Latency => vec![
                ("M4A", 2_000, 20_000),
                ("TRANSCRIPT", 2_000, 20_000),
                ("CC", 2_000, 20_000),
                ("CHAT", 2_000, 20_000),
            ],
            Self::Mixed => vec![
                ("MP4", 2_000_000, 2_000_000),
                ("M4A", 200_000, 200_000),
                ("TRANSCRIPT", 20_000, 20_000),
                ("CHAT", 2_000, 2_000),
            ],
            Self::Limited => vec![("CHAT", 2_000, 2_000)],
        }
    }

    pub(super) fn latency(self) -> Duration {
        Duration::from_millis(if self == Self::Latency { 150 } else { 0 })
    }

    /// The simulator's scenario. Downloads are redirected once, as Zoom's are, but for the profile in which each
    /// request is to cost the same.
    pub(super) fn scenario(self, limits: Option<(u32, u32)>) -> Value {
        let from = from();
        let span = u64::from(self.meetings()) * SLOT;
        let to = from + chrono::Duration::seconds(i64::try_from(span).unwrap_or_default());
        let files: Vec<Value> = self
            .files()
            .iter()
            .map(|(kind, least, most)| json!({"file_type": kind, "min_size": least, "max_size": most}))
            .collect();
        json!({
            "meetings": self.meetings(), "from": from, "to": to, "files": files,
            "captured": 0.0, "incomplete": 0.0, "external": 0.0, "breakout_rooms": 0.0, "webinars": 0.0,
            "recurring": 0.0, "attachments": 0.0,
            "downloads": {"direct": self == Self::Latency},
            "limits": {"light": limits.map(|limits| limits.0), "medium": limits.map(|limits| limits.1)},
        })
    }
}

fn from() -> chrono::DateTime<chrono::Utc> {
    let midnight = chrono::Utc::now().date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    midnight - chrono::Days::new(DAYS_AGO)
}

/// The period of the first so many meetings, its end exclusive.
pub(super) fn period(meetings: u32) -> [chrono::DateTime<chrono::Utc>; 2] {
    let from = from();
    let span = u64::from(meetings) * SLOT;
    [from, from + chrono::Duration::seconds(i64::try_from(span).unwrap_or_default())]
}
