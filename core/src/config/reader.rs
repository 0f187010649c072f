//! Reads the sections out of the settings in effect and gathers what is wrong with them.

use std::path::PathBuf;

use toml::Value;

use super::addresses::without_credentials;
use super::fault::{Fault, Faults};
use super::layers::{Origin, Setting, Settings};
use super::values::{self, Expected};
use crate::secret::Secret;

pub(super) struct Reader<'a> {
    settings: &'a Settings,
    defaults: Settings,
    faults: &'a mut Faults,
}

impl<'a> Reader<'a> {
    pub(super) fn new(settings: &'a Settings, faults: &'a mut Faults) -> Self {
        Self { settings, defaults: Settings::default_layer(), faults }
    }

    /// The value of a key. A bad one is noted and the default stands in for it, so that the other keys are still
    /// looked at; the configuration as a whole is refused in the end.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        read: impl for<'v> Fn(&'v Value) -> Result<T, Expected>,
    ) -> T {
        let setting = self.setting(key);
        read(&setting.value).unwrap_or_else(|Expected(expected)| {
            self.faults.push(Fault::BadValue {
                key: key.to_owned(),
                origin: setting.origin.clone(),
                value: quoted(&setting.value),
                expected,
            });
            let default = self.defaults.get(key).map(|setting| read(&setting.value));
            default.and_then(Result::ok).expect("config/default.toml holds a good value for every key")
        })
    }

    /// A secret from its key or its file; `check` says what would be right of a bad one.
    pub(super) fn secret(
        &mut self,
        key: &'static str,
        check: impl Fn(&str) -> Result<(), Expected>,
    ) -> Option<Secret> {
        let file = self.settings.secret_file(key);
        let setting = file.unwrap_or_else(|| self.setting(key));
        let given = match (file, setting.value.as_str()) {
            (_, Some("")) => return None,
            (Some(_), Some(path)) => self.secret_from_file(key, path, &setting.origin)?,
            (None, Some(text)) => text.to_owned(),
            (_, None) => {
                let expected = "a text in quotes".to_owned();
                self.bad_secret(key, setting.origin.clone(), expected);
                return None;
            }
        };
        if let Err(Expected(expected)) = check(&given) {
            self.bad_secret(key, setting.origin.clone(), expected);
        }
        Some(Secret::new(given))
    }

    fn secret_from_file(&mut self, key: &str, path: &str, origin: &Origin) -> Option<String> {
        let path = PathBuf::from(path);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let line = text.strip_suffix('\n').unwrap_or(&text);
                let line = line.strip_suffix('\r').unwrap_or(line);
                if line.is_empty() {
                    let expected = format!("a file that is not empty, which {} is", path.display());
                    self.bad_secret(key, origin.clone(), expected);
                }
                Some(line.to_owned()).filter(|line| !line.is_empty())
            }
            Err(error) => {
                let (key, origin, cause) = (key.to_owned(), origin.clone(), error.to_string());
                self.faults.push(Fault::SecretFile { key, origin, path, cause });
                None
            }
        }
    }

    fn bad_secret(&mut self, key: &str, origin: Origin, expected: String) {
        self.faults.push(Fault::BadSecret { key: key.to_owned(), origin, expected });
    }

    pub(super) fn origin(&self, key: &'static str) -> Origin {
        self.setting(key).origin.clone()
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    fn setting(&self, key: &'static str) -> &'a Setting {
        self.settings.get(key).expect("the sections read keys of config/default.toml")
    }
}

/// Text as it was given, in quotes; the credentials of an address are left out.
fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", without_credentials(text)),
        Value::Array(_) => format!("[{}]", values::shown(value)),
        other => values::shown(other),
    }
}
