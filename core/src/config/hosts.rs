//! Which hosts a token may be shown to.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use toml::Value;

use super::values::{self, Expected};

/// A host by its exact name, or `*.domain` for every name below it. Letter case does not count, ports are no part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    /// In lower case; for `*.domain` with the leading dot, so that no other domain can end like it.
    name: String,
    below: bool,
}

/// Why a text is no host pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no host; write a name such as zoom.us, or *.zoom.us for every name below it, without port or path"
)]
pub struct NoHostPattern(String);

impl HostPattern {
    /// Whether the host of an address (`Url::host_str`) is meant. `*.zoom.us` means neither `zoom.us` nor
    /// `evilzoom.us`.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        if self.below {
            host.len() > self.name.len() && host.ends_with(&self.name)
        } else {
            without_brackets(&host) == self.name
        }
    }
}

/// A list of them.
pub(super) fn hosts(value: &Value) -> Result<Vec<HostPattern>, Expected> {
    let expected =
        |_| Expected("hosts such as zoom.us or *.zoom.us, without scheme, port or path".to_owned());
    values::texts(value)?.into_iter().map(|text| text.parse().map_err(expected)).collect()
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host)
}

impl FromStr for HostPattern {
    type Err = NoHostPattern;

    fn from_str(text: &str) -> Result<Self, NoHostPattern> {
        let lower = text.to_ascii_lowercase();
        if let Ok(address) = without_brackets(&lower).parse::<Ipv6Addr>() {
            return Ok(Self { name: address.to_string(), below: false });
        }
        let (domain, below) = match lower.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (lower.as_str(), false),
        };
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        // `*.com` would show the token to the world.
        let wide = below && !domain.contains('.');
        if wide || !domain.split('.').all(is_label) {
            return Err(NoHostPattern(text.to_owned()));
        }
        let name = if below { format!(".{domain}") } else { domain.to_owned() };
        Ok(Self { name, below })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*" } else { "" }, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().expect("a pattern")
    }

    #[test]
    fn a_domain_pattern_means_the_names_below_it_only() {
        let below = pattern("*.Zoom.us");
        for host in ["us06web.zoom.us", "SSRWEB.ZOOM.US", "a.b.zoom.us"] {
            assert!(below.matches(host), "{host}");
        }
        for host in
            ["zoom.us", "evilzoom.us", ".zoom.us", "zoom.us.evil.com", "a.zoom.us.", "zoom.us:443", ""]
        {
            assert!(!below.matches(host), "{host}");
        }
    }

    #[test]
    fn an_exact_pattern_means_one_host() {
        assert!(pattern("zoom.us").matches("Zoom.US"));
        assert!(!pattern("zoom.us").matches("a.zoom.us"));
        assert!(pattern("127.0.0.1").matches("127.0.0.1"));
        assert!(pattern("[::1]").matches("[::1]"));
        assert!(pattern("::1").matches("[::1]"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for bad in
            ["", "*", "*.", "*.com", "https://zoom.us", "zoom.us:443", "zoom.us/rec", "a*.zoom.us", "a..b"]
        {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_host_is_below_a_domain_by_whole_labels_only(prefix in "[a-z0-9.-]{0,12}") {
            let host = format!("{prefix}zoom.us");
            prop_assert_eq!(pattern("*.zoom.us").matches(&host), prefix.len() > 1 && prefix.ends_with('.'));
        }
    }
}
