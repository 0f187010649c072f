//! What can be wrong with a configuration, told so that it can be put right without the manual.

use std::fmt;
use std::path::PathBuf;

use super::layers::Origin;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("{origin}: cannot be read: {cause}")]
    Unreadable { origin: Origin, cause: String },
    /// `cause` is the parser's own word; the line itself is left out, it may hold a secret.
    #[error("{origin}, line {line}: is not TOML: {cause}")]
    NotToml { origin: Origin, line: usize, cause: String },
    #[error("{key} ({origin}): there is no such key{}", hint(suggestion.as_deref()))]
    UnknownKey { key: String, origin: Origin, suggestion: Option<String> },
    #[error("{key} ({origin}): is a section, not a value; give its keys, as {key}.<key>")]
    SectionAsValue { key: String, origin: Origin },
    #[error("a flag --set has no '='; write --set key=value, for instance --set zoom.plan=business")]
    FlagWithoutValue,
    #[error("{key} ({origin}): {value} is not accepted; right would be {expected}")]
    BadValue { key: String, origin: Origin, value: String, expected: String },
    #[error("{key} ({origin}): this secret is not accepted; right would be {expected}")]
    BadSecret { key: String, origin: Origin, expected: String },
    #[error("{key} and {key}_file ({origin}): both are given; keep one of them")]
    SecretTwice { key: String, origin: Origin },
    #[error("{key}_file ({origin}): {} cannot be read: {cause}; give a readable file, or {key} itself", path.display())]
    SecretFile { key: String, origin: Origin, path: PathBuf, cause: String },
    #[error(
        "contacts.url ({origin}): holds a password, and contacts.password is given too; keep one of them"
    )]
    PasswordTwice { origin: Origin },
    #[error(
        "contacts.api ({origin}): the Verint form needs a log-in; set contacts.verint.user and \
         contacts.verint.password (or contacts.verint.password_file)"
    )]
    NoLogIn { origin: Origin },
    #[error(
        "server.listen ({origin}): {listen} can be reached from other machines, and the API would stand open; \
         set server.token or server.token_file, or listen on 127.0.0.1"
    )]
    OpenServer { origin: Origin, listen: String },
    #[error(
        "server.viewer_token ({origin}): needs another server.token beside it, without which anyone may do anything; \
         set server.token or server.token_file, to another value"
    )]
    ViewerAlone { origin: Origin },
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// All faults of a configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    pub faults: Vec<Fault>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.as_slice() {
            [only] => write!(f, "the configuration has a fault: {only}"),
            many => {
                write!(f, "the configuration has {} faults:", many.len())?;
                many.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
            }
        }
    }
}

/// Gathers faults while layers and sections are read.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn none_or_error(self) -> Result<(), ConfigError> {
        if self.0.is_empty() { Ok(()) } else { Err(ConfigError { faults: self.0 }) }
    }
}
