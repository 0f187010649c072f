//! The layers, laid over each other: for each key the value of the strongest one that names it.
//!
//! A layer knows nothing of what a value means. Text from the environment and from flags takes the TOML type that
//! the default has; where it cannot, it stays text and the section that reads it says what would be right.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use toml::{Table, Value};

use super::fault::{Fault, Faults};
use super::sources::{environment_layer, file_layer, flag_layer};
use super::{DEFAULT, SECRETS, Sources};

const FILE_SUFFIX: &str = "_file";

/// The layer that a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    /// The variable's name.
    Environment(String),
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag => f.write_str("flag --set"),
        }
    }
}

/// The value of a key and the layer that decided it.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

pub(super) type Layer = BTreeMap<String, Setting>;

/// What is in effect: each key of the default once, a secret under its own name or as `<key>_file`.
#[derive(Clone)]
pub(super) struct Settings(Layer);

/// Secrets stand among the values.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settings").field(&self.0.keys()).finish()
    }
}

impl Settings {
    /// The embedded default alone.
    pub(super) fn default_layer() -> Self {
        let table = DEFAULT.parse().expect("config/default.toml is TOML");
        let mut layer = Layer::new();
        flatten("", table, &mut |key, value| {
            layer.insert(key, Setting { value, origin: Origin::Default });
        });
        Self(layer)
    }

    /// All layers of `sources` over the default.
    pub(super) fn of(sources: &Sources, faults: &mut Faults) -> Self {
        let defaults = Self::default_layer();
        let mut settings = defaults.clone();
        for layer in [
            file_layer(sources, &defaults, faults),
            environment_layer(sources, &defaults, faults),
            flag_layer(sources, &defaults, faults),
        ] {
            settings.cover(layer, faults);
        }
        settings
    }

    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.0.get(key)
    }

    /// The path that a secret is to be read from, if that is how it was given.
    pub(super) fn secret_file(&self, key: &str) -> Option<&Setting> {
        self.0.get(&format!("{key}{FILE_SUFFIX}"))
    }

    /// The keys of the default, in alphabetical order.
    pub(super) fn known_keys(&self) -> Vec<&str> {
        let mut keys: Vec<_> =
            self.0.keys().map(|key| secret_of_file_key(key).unwrap_or(key.as_str())).collect();
        keys.sort_unstable();
        keys
    }

    fn cover(&mut self, mut stronger: Layer, faults: &mut Faults) {
        for key in SECRETS {
            settle_secret(key, &mut stronger, faults);
        }
        for (key, setting) in stronger {
            if let Some(secret) = secret_of_file_key(&key) {
                self.0.remove(secret);
            } else if SECRETS.contains(&key.as_str()) {
                self.0.remove(&format!("{key}{FILE_SUFFIX}"));
            }
            self.0.insert(key, setting);
        }
    }

    pub(super) fn knows(&self, key: &str) -> bool {
        self.0.contains_key(key) || secret_of_file_key(key).is_some()
    }

    pub(super) fn is_section(&self, name: &str) -> bool {
        self.0.keys().any(|key| sections_of(key).any(|section| section == name))
    }

    /// The known key or section that was probably meant: a key of that name in another section, if just one has it,
    /// or else what is spelt nearly so.
    pub(super) fn nearest(&self, wrong: &str) -> Option<&str> {
        let mut same_name = self.0.keys().filter(|key| name_of(key) == name_of(wrong));
        if let (Some(only), None) = (same_name.next(), same_name.next()) {
            return Some(only);
        }
        self.0
            .keys()
            .flat_map(|key| sections_of(key).chain([key.as_str()]))
            .map(|name| (strsim::damerau_levenshtein(name, wrong), name))
            .min()
            .filter(|(distance, _)| *distance <= wrong.len() / 4 + 1)
            .map(|(_, name)| name)
    }

    /// Text of the environment or a flag in the type that the key's default has, as far as it can be.
    pub(super) fn typed(&self, key: &str, text: &str) -> Value {
        let as_text = || Value::String(text.to_owned());
        match self.0.get(key).map(|setting| &setting.value) {
            Some(Value::Integer(_)) => text.parse().map_or_else(|_| as_text(), Value::Integer),
            Some(Value::Float(_)) => text.parse().map_or_else(|_| as_text(), Value::Float),
            Some(Value::Boolean(_)) => text.parse().map_or_else(|_| as_text(), Value::Boolean),
            Some(Value::Array(_)) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
            }
            _ => as_text(),
        }
    }
}

/// `zoom` and `zoom.limits` of `zoom.limits.light`.
fn sections_of(key: &str) -> impl Iterator<Item = &str> {
    key.match_indices('.').map(|(end, _)| &key[..end])
}

fn name_of(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

fn secret_of_file_key(key: &str) -> Option<&'static str> {
    let name = key.strip_suffix(FILE_SUFFIX)?;
    SECRETS.into_iter().find(|secret| *secret == name)
}

/// Within one layer a secret is given once; an empty text beside the other form is no gift (`${TOKEN:-}` of a
/// compose file).
fn settle_secret(key: &str, layer: &mut Layer, faults: &mut Faults) {
    let file_key = format!("{key}{FILE_SUFFIX}");
    let (Some(plain), Some(file)) = (layer.get(key), layer.get(&file_key)) else {
        return;
    };
    let is_empty = |setting: &Setting| setting.value.as_str() == Some("");
    if is_empty(plain) {
        layer.remove(key);
    } else if is_empty(file) {
        layer.remove(&file_key);
    } else {
        let (key, origin) = (key.to_owned(), plain.origin.clone());
        faults.push(Fault::SecretTwice { key, origin });
        layer.remove(&file_key);
    }
}

fn flatten(prefix: &str, table: Table, take: &mut impl FnMut(String, Value)) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, take),
            value => take(key, value),
        }
    }
}
