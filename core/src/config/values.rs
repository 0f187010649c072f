//! How single values are read: each function takes what a layer gave and answers with the value, or with what would
//! have been right.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::Value;

use crate::period::parse_length;

/// What would have been right; the end of a sentence.
#[derive(Debug)]
pub(super) struct Expected(pub(super) String);

impl Expected {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The value as `recapture config` and messages show it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(switch) => switch.to_string(),
        Value::Datetime(at) => at.to_string(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
        Value::Table(_) => "a table".to_owned(),
    }
}

pub(super) fn text(value: &Value) -> Result<&str, Expected> {
    value.as_str().ok_or_else(|| Expected::new("a text in quotes"))
}

pub(super) fn optional_text(value: &Value) -> Result<Option<String>, Expected> {
    Ok(Some(text(value)?.trim()).filter(|text| !text.is_empty()).map(str::to_owned))
}

pub(super) fn switch(value: &Value) -> Result<bool, Expected> {
    value.as_bool().ok_or_else(|| Expected::new("true or false"))
}

pub(super) fn whole<N: TryFrom<i64>>(range: RangeInclusive<i64>) -> impl Fn(&Value) -> Result<N, Expected> {
    move |value| {
        let number = value.as_integer().filter(|number| range.contains(number));
        let expected = || Expected(format!("a whole number from {} to {}", range.start(), range.end()));
        number.and_then(|number| N::try_from(number).ok()).ok_or_else(expected)
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        Value::Integer(number) => i32::try_from(*number).ok().map(f64::from),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A part of a whole: above 0, at most 1.
pub(super) fn share(value: &Value) -> Result<f64, Expected> {
    number(value)
        .filter(|share| *share > 0.0 && *share <= 1.0)
        .ok_or_else(|| Expected::new("a share above 0 and at most 1, for instance 0.8"))
}

/// Requests per second, or `None` for `"plan"`.
pub(super) fn rate(value: &Value) -> Result<Option<f64>, Expected> {
    if value.as_str() == Some("plan") {
        return Ok(None);
    }
    number(value)
        .filter(|rate| *rate > 0.0 && *rate <= 10_000.0)
        .map(Some)
        .ok_or_else(|| Expected::new("requests per second above 0 and at most 10000, or \"plan\""))
}

/// A length of time of at least `shortest`.
pub(super) fn length(shortest: Duration) -> impl Fn(&Value) -> Result<Duration, Expected> {
    move |value| {
        let length = parse_length(text(value)?);
        length.ok().filter(|length| *length >= shortest).ok_or_else(|| {
            let least = match shortest {
                Duration::ZERO => String::new(),
                shortest => format!(" of at least {shortest:?}"),
            };
            Expected(format!("a length of time{least} as a whole number and a unit: 30s, 5m, 24h, 7d"))
        })
    }
}

pub(super) fn texts(value: &Value) -> Result<Vec<&str>, Expected> {
    let items = value.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
    items.ok_or_else(|| Expected::new("a list of texts: [\"…\", \"…\"] in a file, commas elsewhere"))
}

/// One of a closed set of words.
pub(super) fn word<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(&Value) -> Result<T, Expected> {
    move |value| value.as_str().and_then(|text| find(words, text)).ok_or_else(|| one_of(words))
}

/// Some of a closed set of words.
pub(super) fn words<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&Value) -> Result<Vec<T>, Expected> {
    move |value| {
        let found = texts(value)?.into_iter().map(|text| find(words, text)).collect::<Option<_>>();
        found.ok_or_else(|| one_of(words))
    }
}

fn find<T: Copy>(words: &[(&str, T)], text: &str) -> Option<T> {
    words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning)
}

fn one_of<T>(words: &[(&str, T)]) -> Expected {
    Expected(words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or "))
}

/// A path of this machine, relative or absolute.
pub(super) fn path(value: &Value) -> Result<PathBuf, Expected> {
    let text = text(value)?;
    if text.is_empty() || text.contains("://") {
        return Err(Expected::new("the path of a folder"));
    }
    Ok(PathBuf::from(text))
}

/// `error`…`trace` or `off`, alone or after `module=`, separated by commas. The filter's own parser takes a
/// misspelt level for the name of a module and then logs nothing at all.
pub(super) fn log_filter(value: &Value) -> Result<String, Expected> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let text = text(value)?;
    let is_directive = |directive: &str| {
        let (module, level) = directive.rsplit_once('=').unwrap_or(("all", directive));
        !module.is_empty() && LEVELS.contains(&level)
    };
    if text.split(',').all(is_directive) {
        return Ok(text.to_owned());
    }
    Err(Expected::new("error, warn, info, debug, trace or off, also as module=level, separated by commas"))
}
