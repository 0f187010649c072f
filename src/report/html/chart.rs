//! What was stored over time, as bars; the dashboard draws with them too.

use std::fmt::{self, Write};

use chrono::{DateTime, Utc};
use recapture_core::period::stamp;

use crate::cli::{bytes, length};
use crate::report::Report;

/// What took less time is told in words alone.
const SHORTEST: chrono::Duration = chrono::Duration::seconds(5);

const BARS: usize = 60;
const WIDTH: usize = 600;
pub(crate) const HEIGHT: u64 = 100;

/// How many bytes came when.
pub(crate) fn throughput(body: &mut String, report: &Report) -> fmt::Result {
    let ends = report.meetings.values().filter_map(|meeting| meeting.end.as_ref());
    let stored: Vec<(DateTime<Utc>, u64)> =
        ends.flat_map(|end| &end.files).filter_map(|file| Some((file.downloaded_at?, file.size?))).collect();
    throughput_of(body, &stored)
}

fn throughput_of(body: &mut String, stored: &[(DateTime<Utc>, u64)]) -> fmt::Result {
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

/// Bars of these heights, and what they say in words.
pub(crate) fn draw(
    body: &mut String,
    words: &str,
    heights: &[u64],
    is_any: impl Fn(usize) -> bool,
) -> fmt::Result {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn bytes_stand_where_they_came_and_as_high_as_they_were_many() {
        let at = |second: i64| DateTime::from_timestamp(1_790_000_000 + second, 0).unwrap();
        let mut body = String::new();
        throughput_of(&mut body, &[(at(0), 1000), (at(30), 500), (at(60), 0)]).unwrap();
        let bars: Vec<&str> = body.lines().filter(|line| line.starts_with("<rect")).collect();
        assert_eq!(
            bars,
            [
                "<rect x=\"1\" y=\"8\" width=\"8\" height=\"92\"/>",
                "<rect x=\"301\" y=\"54\" width=\"8\" height=\"46\"/>"
            ]
        );
        assert!(body.contains("at most 1.0 kB/s"), "{body}");

        let mut short = String::new();
        throughput_of(&mut short, &[(at(0), 1000), (at(4), 500)]).unwrap();
        assert!(!short.contains("<svg") && short.contains("within a few seconds"), "{short}");
        let mut nothing = String::new();
        throughput_of(&mut nothing, &[]).unwrap();
        assert_eq!(nothing, "");
    }
}
