//! How much of Zoom's limits was used over time, as bars.

use std::fmt::{self, Write};

use recapture_core::config::Category;
use recapture_core::zoom::{LimitUse, Zoom};

use crate::cli::grouped;
use crate::report::html::chart::{HEIGHT, draw};

/// How much of the rate that Zoom's limits leave to recovery this process used, minute by minute of the last hour.
pub(super) fn limits(body: &mut String, zoom: &Zoom) -> fmt::Result {
    writeln!(body, "<h2>Use of Zoom's limits</h2>")?;
    let asked = [
        (Category::Light, "for the files of meetings"),
        (Category::Medium, "for lists and totals"),
        (Category::Heavy, "of the heavy category"),
    ];
    let mut quiet = true;
    for (category, what) in asked {
        let used = zoom.limit_use(category);
        if used.requests > 0 {
            quiet = false;
            limit(body, what, &used)?;
        }
    }
    let words = if quiet {
        "This process asked Zoom for nothing in the last hour. "
    } else {
        "The whole height is what <code>zoom.plan</code> and <code>zoom.budget</code> allow. "
    };
    writeln!(
        body,
        "<p class=\"soft\">{words}Workers in other processes are not in it; their <code>/metrics</code> tell what they ask for.</p>"
    )
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares of a hundred")]
fn limit(body: &mut String, what: &str, used: &LimitUse) -> fmt::Result {
    let percent = |share: f64| (share.clamp(0.0, 1.0) * 100.0).round() as u64;
    let told = |share: f64| match percent(share) {
        0 if share > 0.0 => "less than 1 %".to_owned(),
        share => format!("{share} %"),
    };
    let most = used.shares.iter().copied().fold(0.0, f64::max);
    let now = used.shares.last().copied().unwrap_or_default();
    let words = format!(
        "{} requests {what} in the last hour; of the {} a second that are allowed {} in this minute, {} in the fullest one",
        grouped(used.requests),
        grouped(used.allowed.round() as u64),
        told(now),
        told(most)
    );
    let heights: Vec<u64> = used.shares.iter().map(|share| percent(*share) * HEIGHT / 100).collect();
    draw(body, &words, &heights, |at| used.shares[at] > 0.0)
}
