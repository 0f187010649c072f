//! What happened over time, as bars: bytes, and how much of Zoom's limits was used.

use std::fmt::{self, Write};

use chrono::{DateTime, Utc};
use recapture_core::config::Category;
use recapture_core::period::stamp;
use recapture_core::zoom::{LimitUse, Zoom};

use crate::cli::{bytes, grouped, length};

/// What took less time is told in words alone.
const SHORTEST: chrono::Duration = chrono::Duration::seconds(5);

const BARS: usize = 60;
const WIDTH: usize = 600;
const HEIGHT: u64 = 100;

/// How many bytes came when.
pub(super) fn throughput(body: &mut String, stored: &[(DateTime<Utc>, u64)]) -> fmt::Result {
    let (Some(first), Some(last)) =
        (stored.iter().map(|(at, _)| *at).min(), stored.iter().map(|(at, _)| *at).max())
    else {
        return Ok(());
    };
    let total: u64 = stored.iter().map(|(_, size)| size).sum();
    writeln!(body, "<h2>Throughput</h2>")?;
    if last - first < SHORTEST {
        let (total, at) = (bytes(total), stamp(last));
        return writeln!(body, "<p class=\"soft\">{total} stored within a few seconds, at {at}.</p>");
    }
    let span = (last - first).num_milliseconds().max(1000);
    let mut bars = [0_u64; BARS];
    for (at, size) in stored {
        let place = usize::try_from((*at - first).num_milliseconds()).unwrap_or_default() * BARS;
        let place = place / usize::try_from(span).unwrap_or(1);
        bars[place.min(BARS - 1)] += size;
    }
    let most = bars.iter().copied().max().unwrap_or_default().max(1);
    let bar_ms = u64::try_from(span).unwrap_or(1).div_ceil(BARS as u64).max(1);
    let peak = bytes(most.saturating_mul(1000) / bar_ms);
    let words = format!(
        "{} stored from {} to {} ({}); at most {peak}/s",
        bytes(total),
        stamp(first),
        stamp(last),
        length(last - first)
    );
    let heights = bars.map(|size| size * HEIGHT / most);
    draw(body, &words, &heights, |at| bars[at] > 0)
}

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

/// Bars of these heights, and what they say in words.
fn draw(body: &mut String, words: &str, heights: &[u64], is_any: impl Fn(usize) -> bool) -> fmt::Result {
    writeln!(
        body,
        "<svg class=\"chart\" role=\"img\" aria-label=\"{words}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\">"
    )?;
    let step = WIDTH / BARS;
    for (at, height) in heights.iter().enumerate().filter(|(at, _)| is_any(*at)) {
        // What is little is seen too, and what is much has air above it.
        let height = (height * (HEIGHT - 8) / HEIGHT).max(1);
        let (x, y, width) = (at * step + 1, HEIGHT - height, step - 2);
        writeln!(body, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>")?;
    }
    writeln!(body, "</svg>\n<p class=\"soft\">{words}.</p>")
}
