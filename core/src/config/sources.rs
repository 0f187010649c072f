//! Reads the layers over the default: a file, the environment, flags. Each known key is taken as it was written, each
//! unknown one is a fault.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::fault::{Fault, Faults};
use super::layers::{Layer, Origin, Setting, Settings};
use super::{FILE_VARIABLE, Sources};

const PREFIX: &str = "RECAPTURE_";
/// Between section and key; it tells a setting from variables that merely begin with our name.
const SEPARATOR: &str = "__";

/// `RECAPTURE_ZOOM__PLAN` for `zoom.plan`.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', SEPARATOR))
}

/// A layer while it is read.
struct Reading<'a> {
    layer: Layer,
    defaults: &'a Settings,
    faults: &'a mut Faults,
}

pub(super) fn file_layer(sources: &Sources, defaults: &Settings, faults: &mut Faults) -> Layer {
    let Some(path) = file_of(sources) else {
        return Layer::new();
    };
    let table = match read_table(&path) {
        Ok(table) => table,
        Err(fault) => {
            faults.push(fault);
            return Layer::new();
        }
    };
    let mut reading = Reading::new(defaults, faults);
    reading.take_table("", table, &Origin::File(path));
    reading.layer
}

pub(super) fn environment_layer(sources: &Sources, defaults: &Settings, faults: &mut Faults) -> Layer {
    let mut reading = Reading::new(defaults, faults);
    for (name, text) in &sources.env {
        if let Some(path) = name.strip_prefix(PREFIX).filter(|path| path.contains(SEPARATOR)) {
            let key = path.to_ascii_lowercase().replace(SEPARATOR, ".");
            reading.take(&key, defaults.typed(&key, text), Origin::Environment(name.clone()));
        }
    }
    reading.layer
}

pub(super) fn flag_layer(sources: &Sources, defaults: &Settings, faults: &mut Faults) -> Layer {
    let mut reading = Reading::new(defaults, faults);
    for flag in &sources.flags {
        match flag.split_once('=') {
            Some((key, text)) => reading.take(key.trim(), defaults.typed(key.trim(), text), Origin::Flag),
            None => reading.faults.push(Fault::FlagWithoutValue),
        }
    }
    reading.layer
}

fn file_of(sources: &Sources) -> Option<PathBuf> {
    let named = |(name, path): &&(String, String)| name == FILE_VARIABLE && !path.is_empty();
    let by_variable = || sources.env.iter().find(named).map(|(_, path)| PathBuf::from(path));
    sources.file.clone().or_else(by_variable)
}

fn read_table(path: &Path) -> Result<Table, Fault> {
    let origin = || Origin::File(path.to_owned());
    let text = std::fs::read_to_string(path)
        .map_err(|error| Fault::Unreadable { origin: origin(), cause: error.to_string() })?;
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().map_or(0, |span| span.start);
        Fault::NotToml {
            origin: origin(),
            line: 1 + text.bytes().take(before).filter(|byte| *byte == b'\n').count(),
            cause: error.message().to_owned(),
        }
    })
}

impl<'a> Reading<'a> {
    fn new(defaults: &'a Settings, faults: &'a mut Faults) -> Self {
        let layer = Layer::new();
        Self { layer, defaults, faults }
    }

    /// Takes the keys of a file's table; an unknown section is one fault, not one for each of its keys.
    fn take_table(&mut self, section: &str, table: Table, origin: &Origin) {
        for (name, value) in table {
            let key = if section.is_empty() { name } else { format!("{section}.{name}") };
            match value {
                Value::Table(inner) if self.defaults.is_section(&key) => self.take_table(&key, inner, origin),
                value => self.take(&key, value, origin.clone()),
            }
        }
    }

    fn take(&mut self, key: &str, value: Value, origin: Origin) {
        if self.defaults.knows(key) {
            self.layer.insert(key.to_owned(), Setting { value, origin });
            return;
        }
        let key = key.to_owned();
        self.faults.push(if self.defaults.is_section(&key) {
            Fault::SectionAsValue { key, origin }
        } else {
            let suggestion = self.defaults.nearest(&key).map(|known| match origin {
                Origin::Environment(_) => variable_of(known),
                _ => known.to_owned(),
            });
            Fault::UnknownKey { key, origin, suggestion }
        });
    }
}
