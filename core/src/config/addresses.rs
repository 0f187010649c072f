//! Addresses: of Zoom and of a data access service, of embedded databases, of the buffer.

use std::net::IpAddr;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use toml::Value;
use url::{Host, Url};

use super::sections::Security;
use super::values::{Expected, text};
use crate::secret::Secret;

/// An `https://` address; plain `http://` for hosts of this machine, and for others where it is allowed. Neither
/// user nor password nor query: what is secret has a key of its own, which is masked.
pub(super) fn web(security: &Security) -> impl Fn(&Value) -> Result<Url, Expected> + '_ {
    move |value| {
        let url = Url::parse(text(value)?).ok().filter(Url::has_host);
        let url = url.ok_or_else(|| Expected("an address such as https://host/path".to_owned()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Expected("an address without user and password".to_owned()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Expected("an address without '?' and '#'".to_owned()));
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if may_be_clear(&url, security) => Ok(url),
            "http" => Err(Expected(
                "https:// (plain http:// is for 127.0.0.1, [::1] and localhost, \
                 elsewhere only for security.http_hosts, or with security.allow_http = true)"
                    .to_owned(),
            )),
            _ => Err(Expected("an https:// address".to_owned())),
        }
    }
}

fn may_be_clear(url: &Url, security: &Security) -> bool {
    is_this_machine(url) || url.host_str().is_some_and(|host| security.may_be_clear(host))
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => {
            name == "localhost"
                || name.ends_with(".localhost")
                // Only of web addresses is an IPv4 address told as such.
                || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
                // The folder of a socket, percent-encoded.
                || name.starts_with("%2F")
        }
        None => false,
    }
}

/// The parameters of a `postgres://` address that are taken; what else there is has a key of its own or no use.
const POSTGRES_PARAMETERS: [&str; 4] = ["sslcert", "sslkey", "sslmode", "sslrootcert"];

/// A database of PostgreSQL; `None` for other schemes. As with `http://`, passwords and contacts cross a network in
/// the clear only where that is allowed: other hosts than this machine must prove who they are, unless the address
/// says that encryption alone will do.
pub(super) fn postgres(address: &str, security: &Security) -> Option<Result<Url, Expected>> {
    let is_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| address.starts_with(scheme));
    is_postgres.then(|| checked_postgres(address, security))
}

fn checked_postgres(address: &str, security: &Security) -> Result<Url, Expected> {
    let expected = |text: &str| Expected(text.to_owned());
    let form = || expected("postgres://user@host:port/database");
    let mut url = Url::parse(address).ok().filter(Url::has_host).ok_or_else(form)?;
    let database = url.path().trim_start_matches('/');
    if database.is_empty() || database.contains('/') || url.fragment().is_some() {
        return Err(form());
    }
    if url.query_pairs().any(|(name, _)| !POSTGRES_PARAMETERS.contains(&&*name)) {
        return Err(expected("an address with no parameters but sslmode, sslrootcert, sslcert and sslkey"));
    }
    let mode = url.query_pairs().find(|(name, _)| name == "sslmode").map(|(_, mode)| mode.into_owned());
    let may_be_clear = may_be_clear(&url, security);
    match mode.as_deref() {
        Some("require" | "verify-ca" | "verify-full") => {}
        Some("disable" | "prefer") | None if may_be_clear => {}
        None => drop(url.query_pairs_mut().append_pair("sslmode", "verify-full")),
        Some("disable" | "prefer") => {
            return Err(expected(
                "sslmode=verify-full, verify-ca or require (less is for this machine, \
                 elsewhere only for security.http_hosts, or with security.allow_http = true)",
            ));
        }
        Some(_) => return Err(expected("sslmode=verify-full, verify-ca, require, prefer or disable")),
    }
    Ok(url)
}

/// Moves the password of an address to where it does not show.
pub(super) fn take_password(url: &mut Url) -> Option<Secret> {
    let password = url.password().filter(|password| !password.is_empty())?;
    let password = percent_decode_str(password).decode_utf8_lossy().into_owned();
    // Fails for an address without a host only.
    let _ = url.set_password(None);
    Some(Secret::new(password))
}

/// The path of a `sqlite://` address, taken as it stands: `sqlite://data/queue.db` is relative,
/// `sqlite:///var/lib/queue.db` absolute. `None` for other schemes.
pub(super) fn sqlite_path(address: &str) -> Option<Result<PathBuf, Expected>> {
    let path = address.strip_prefix("sqlite://")?;
    let names_a_file = !path.is_empty() && !path.ends_with('/') && !path.contains(['?', '#']);
    Some(if names_a_file && path != ":memory:" {
        Ok(PathBuf::from(path))
    } else {
        Err(Expected("sqlite:// and the path of a file, without parameters".to_owned()))
    })
}

/// The text with what may be a credential in an address left out: user and password, and the query. It takes any
/// text, because a misspelt address holds its password too.
pub fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    // A password may itself hold '/', '?' or '@', so what stands before the last '@' goes first.
    let (masked, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, host)| ("***@", host));
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(path, _)| (path, "?***"));
    format!("{scheme}://{masked}{rest}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_an_address_are_left_out() {
        for (address, shown) in [
            ("https://das.example.com/v1", "https://das.example.com/v1"),
            ("https://user:pa/ss?w@rd@das.example.com/v1", "https://***@das.example.com/v1"),
            ("postgres://db/contacts?password=x", "postgres://db/contacts?***"),
            ("redis://:x@[broken", "redis://***@[broken"),
            ("data/buffer", "data/buffer"),
        ] {
            assert_eq!(without_credentials(address), shown);
        }
    }

    #[test]
    fn sqlite_addresses_name_a_file() {
        let path = |address| sqlite_path(address).map(Result::ok);
        assert_eq!(path("sqlite://data/a.db"), Some(Some("data/a.db".into())));
        assert_eq!(path("sqlite:///var/a.db"), Some(Some("/var/a.db".into())));
        for bad in ["sqlite://", "sqlite://:memory:", "sqlite://a.db?mode=ro", "sqlite://data/"] {
            assert_eq!(path(bad), Some(None), "{bad}");
        }
        assert_eq!(path("redis://host"), None);
    }
}
