//! Bytes over time, as bars.

use std::fmt::{self, Write};

use chrono::{DateTime, Utc};
use recapture_core::period::stamp;

use crate::cli::{bytes, length};

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
    writeln!(
        body,
        "<svg class=\"chart\" role=\"img\" aria-label=\"{words}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\">"
    )?;
    let step = WIDTH / BARS;
    for (at, size) in bars.iter().enumerate().filter(|(_, size)| **size > 0) {
        // What is little is seen too.
        let height = (size * (HEIGHT - 8) / most).max(1);
        let (x, y, width) = (at * step + 1, HEIGHT - height, step - 2);
        writeln!(body, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>")?;
    }
    writeln!(body, "</svg>\n<p class=\"soft\">{words}.</p>")
}
