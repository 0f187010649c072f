//! The effective settings as people and run records see them: no secret in either.

use std::collections::BTreeMap;

use super::SECRETS;
use super::addresses::without_credentials;
use super::layers::Settings;
use super::values;
use crate::digest::sha256;

/// One key of the effective configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub key: String,
    /// Secrets as `***` or `(from file PATH)`.
    pub value: String,
    /// The layer: `default`, `file config/x.toml`, `environment RECAPTURE_ZOOM__PLAN`, `flag --set`.
    pub origin: String,
}

pub(super) fn rows(settings: &Settings) -> Vec<Row> {
    settings.known_keys().into_iter().map(|key| row(key, settings)).collect()
}

fn row(key: &str, settings: &Settings) -> Row {
    let file = settings.secret_file(key);
    let setting = file.or_else(|| settings.get(key)).expect("a known key has a setting");
    let shown = values::shown(&setting.value);
    let value = match (shown.as_str(), file) {
        ("", _) => String::new(),
        (path, Some(_)) => format!("(from file {path})"),
        _ if SECRETS.contains(&key) => "***".to_owned(),
        (text, None) => without_credentials(text),
    };
    Row { key: key.to_owned(), value, origin: setting.origin.to_string() }
}

pub(super) fn hash(settings: &Settings) -> String {
    let effective: BTreeMap<String, String> = rows(settings)
        .into_iter()
        .filter(|row| !SECRETS.contains(&row.key.as_str()))
        .map(|row| (row.key, row.value))
        .collect();
    // As JSON, so that no value can pass for the end of one and the beginning of the next.
    let text = serde_json::to_string(&effective).expect("texts are JSON");
    sha256(text.as_bytes())
}
