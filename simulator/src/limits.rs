//! Rate limits in Zoom's way.
//!
//! Documented: limits per second and per day, by category, for the whole account; 429 with body code 429 and
//! one of two messages. From older documentation and reports: the `X-RateLimit-*` headers, and a
//! `Retry-After` that is a date and not a number of seconds. Assumed: a second is a fixed window. No HEAVY
//! endpoint is served, so there is no limit for it.

use std::sync::Mutex;
use std::time::Instant;

use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Days, NaiveTime, SecondsFormat, Timelike, Utc};
use serde::{Deserialize, Serialize};

use crate::counts::lock;
use crate::zoom::error;

/// Nothing is limited by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Metadata, a second.
    pub light: Option<u32>,
    /// Lists, statistics and past instances, a second.
    pub medium: Option<u32>,
    /// All API calls together in a day.
    pub daily: Option<u32>,
    /// A day ends so many seconds after its limit was met, rounded up to a whole one; at midnight (UTC) if absent.
    pub daily_reset_s: Option<u32>,
    /// How the daily limit's `Retry-After` is written.
    pub retry_after: RetryAfter,
    /// Whether a 429 explains itself in headers; in the field they are missing at times.
    pub headers: bool,
}

/// The forms that `Retry-After` has in the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// `2026-10-02T00:00:00Z`, as Zoom documents it.
    #[default]
    Instant,
    /// `Fri, 02 Oct 2026 00:00:00 GMT`
    HttpDate,
    Seconds,
}

impl RetryAfter {
    fn write(self, at: DateTime<Utc>) -> String {
        match self {
            Self::Instant => at.to_rfc3339_opts(SecondsFormat::Secs, true),
            Self::HttpDate => at.format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
            Self::Seconds => {
                let wait = (at - Utc::now()).to_std().unwrap_or_default();
                (wait.as_millis().div_ceil(1000)).to_string()
            }
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            light: None,
            medium: None,
            daily: None,
            daily_reset_s: None,
            retry_after: RetryAfter::default(),
            headers: true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Category {
    Light,
    Medium,
}

#[derive(Debug)]
pub(crate) struct Limiter(Mutex<Windows>);

#[derive(Debug)]
struct Windows {
    limits: Limits,
    started: Instant,
    light: Window,
    medium: Window,
    today: u32,
    /// When the day ends, once its limit was met.
    day_ends: Option<DateTime<Utc>>,
}

#[derive(Debug, Default)]
struct Window {
    second: u64,
    used: u32,
}

impl Window {
    fn take(&mut self, second: u64, limit: Option<u32>) -> bool {
        if self.second != second {
            *self = Self { second, used: 0 };
        }
        self.used += 1;
        limit.is_none_or(|limit| self.used <= limit)
    }
}

impl Limiter {
    pub(crate) fn new(limits: Limits) -> Self {
        let (light, medium) = (Window::default(), Window::default());
        Self(Mutex::new(Windows { limits, started: Instant::now(), light, medium, today: 0, day_ends: None }))
    }

    pub(crate) fn set(&self, limits: Limits) {
        lock(&self.0).limits = limits;
    }

    /// Takes one call out of the account's budget, or answers 429.
    pub(crate) fn take(&self, category: Category) -> Result<(), Box<Response>> {
        let mut windows = lock(&self.0);
        let Windows { limits, started, light, medium, today, day_ends } = &mut *windows;
        if day_ends.is_some_and(|end| end <= Utc::now()) {
            (*today, *day_ends) = (0, None);
        }
        if limits.daily.is_some_and(|daily| *today >= daily) {
            let end = *day_ends.get_or_insert_with(|| end_of_day(limits.daily_reset_s));
            return Err(Box::new(daily(limits, end)));
        }
        let (window, limit) = match category {
            Category::Light => (light, limits.light),
            Category::Medium => (medium, limits.medium),
        };
        if !window.take(started.elapsed().as_secs(), limit) {
            return Err(Box::new(per_second(category, limit, limits.headers)));
        }
        *today += 1;
        Ok(())
    }

    /// A 429 for no reason that the caller could know.
    pub(crate) fn out_of_the_blue(&self, category: Category) -> Response {
        per_second(category, None, lock(&self.0).limits.headers)
    }
}

fn per_second(category: Category, limit: Option<u32>, headers: bool) -> Response {
    let message = "You have reached the maximum per-second rate limit for this API. Try again later.";
    let mut answer = error(StatusCode::TOO_MANY_REQUESTS, 429, message).into_response();
    if headers {
        let map = answer.headers_mut();
        let category = match category {
            Category::Light => "Light",
            Category::Medium => "Medium",
        };
        map.insert("x-ratelimit-category", HeaderValue::from_static(category));
        map.insert("x-ratelimit-type", HeaderValue::from_static("QPS"));
        map.insert("x-ratelimit-limit", HeaderValue::from(limit.unwrap_or(30)));
        map.insert("x-ratelimit-remaining", HeaderValue::from_static("0"));
    }
    answer
}

fn end_of_day(after: Option<u32>) -> DateTime<Utc> {
    let now = Utc::now();
    let end = match after {
        Some(seconds) => (now + chrono::Duration::seconds(i64::from(seconds) + 1)).with_nanosecond(0),
        None => now.checked_add_days(Days::new(1)).and_then(|day| day.with_time(NaiveTime::MIN).single()),
    };
    end.unwrap_or(now)
}

fn daily(limits: &Limits, end: DateTime<Utc>) -> Response {
    let message = "You have reached the maximum daily rate limit for this API. Refer to the response header for \
                   details on when you can make another request.";
    let mut answer = error(StatusCode::TOO_MANY_REQUESTS, 429, message).into_response();
    if limits.headers {
        let map = answer.headers_mut();
        map.insert("x-ratelimit-category", HeaderValue::from_static("Medium"));
        map.insert("x-ratelimit-type", HeaderValue::from_static("Daily-limit"));
        map.insert("x-ratelimit-limit", HeaderValue::from(limits.daily.unwrap_or_default()));
        map.insert("x-ratelimit-remaining", HeaderValue::from_static("0"));
        if let Ok(value) = HeaderValue::from_str(&limits.retry_after.write(end)) {
            map.insert("retry-after", value);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_fills_and_opens_again() {
        let mut window = Window::default();
        assert!(window.take(4, Some(2)) && window.take(4, Some(2)));
        assert!(!window.take(4, Some(2)));
        assert!(window.take(5, Some(2)));
    }

    #[test]
    fn the_daily_limit_counts_all_categories() {
        let limiter = Limiter::new(Limits { daily: Some(2), ..Limits::default() });
        assert!(limiter.take(Category::Light).is_ok());
        assert!(limiter.take(Category::Medium).is_ok());
        let refused = limiter.take(Category::Light).expect_err("the third call of the day");
        assert!(
            refused.headers().get("retry-after").is_some_and(|date| date.as_bytes().ends_with(b"T00:00:00Z"))
        );
    }

    #[test]
    fn a_wait_is_written_in_each_form() {
        let at = Utc::now().with_nanosecond(0).expect("a whole second") + chrono::Duration::seconds(90);
        assert_eq!(
            DateTime::parse_from_rfc3339(&RetryAfter::Instant.write(at)).map(|at| at.to_utc()),
            Ok(at)
        );
        assert_eq!(
            DateTime::parse_from_rfc2822(&RetryAfter::HttpDate.write(at)).map(|at| at.to_utc()),
            Ok(at)
        );
        assert_eq!(RetryAfter::Seconds.write(at), "90");
    }

    #[test]
    fn a_day_ends_when_it_was_said_to() {
        let limits = Limits { daily: Some(1), daily_reset_s: Some(0), ..Limits::default() };
        let limiter = Limiter::new(limits);
        assert!(limiter.take(Category::Light).is_ok() && limiter.take(Category::Light).is_err());
        while Utc::now() < lock(&limiter.0).day_ends.expect("the limit was met") {}
        assert!(limiter.take(Category::Light).is_ok());
    }
}
