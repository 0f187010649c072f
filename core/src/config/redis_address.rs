//! The address of a Redis: one server, the one that Sentinel names, or a cluster.
//!
//! ```text
//! redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE][?prefix=NAME]
//! redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/SERVICE[/DATABASE][?prefix=NAME]
//! redis+cluster://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][?prefix=NAME]
//! ```
//!
//! `rediss` in place of `redis` speaks TLS, to sentinels too. What is odd in a user or password is percent-encoded;
//! either may be left out. The prefix keeps several queues apart in one Redis.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::secret::Secret;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// A host and its port.
pub type Node = (String, u16);

/// What an address says.
#[derive(Debug, Clone)]
pub struct RedisAddress {
    pub tls: bool,
    /// Servers, or sentinels; never empty.
    pub nodes: Vec<Node>,
    /// The service that Sentinel watches.
    pub service: Option<String>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub database: i64,
    pub prefix: Option<String>,
}

impl RedisAddress {
    /// Nothing for an address of another kind. The text of an error holds nothing of the address, which may hold a
    /// password.
    pub fn parse(address: &str) -> Option<Result<Self, &'static str>> {
        let (scheme, rest) = address.split_once("://")?;
        let (protocol, form) = scheme.split_once('+').unwrap_or((scheme, ""));
        match protocol {
            "redis" | "rediss" => Some(Self::read(protocol == "rediss", form, rest)),
            _ => None,
        }
    }

    /// The address with a password that was given apart. It may name a user then.
    pub(super) fn with_password(address: &str, password: &Secret) -> Result<String, &'static str> {
        let (scheme, rest) = address.split_once("://").unwrap_or((address, ""));
        let (user, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        if user.contains(':') {
            return Err("it holds a password, and queue.password is given too; keep one of them");
        }
        let password = utf8_percent_encode(password.expose(), NON_ALPHANUMERIC);
        Ok(format!("{scheme}://{user}:{password}@{rest}"))
    }

    fn read(tls: bool, form: &str, rest: &str) -> Result<Self, &'static str> {
        // A password may hold any of the signs that divide the rest.
        let (credentials, rest) = rest.rsplit_once('@').map_or((None, rest), |(c, rest)| (Some(c), rest));
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, password) = credentials_of(credentials)?;
        let sentinel = form == "sentinel";
        let port = if sentinel { SENTINEL_PORT } else { PORT };
        let nodes: Vec<Node> = hosts.split(',').map(|host| node(host, port)).collect::<Result<_, _>>()?;
        if form.is_empty() && nodes.len() > 1 {
            return Err("several hosts are for redis+sentinel:// and redis+cluster://");
        }
        let (service, database) = match form {
            "" => (None, path),
            "sentinel" => {
                let (service, database) = path.split_once('/').unwrap_or((path, ""));
                if service.is_empty() {
                    return Err(
                        "redis+sentinel:// names a service after the hosts: redis+sentinel://host/mymaster",
                    );
                }
                (Some(service.to_owned()), database)
            }
            "cluster" if path.is_empty() => (None, ""),
            "cluster" => return Err("a cluster has no databases: nothing stands after the hosts"),
            _ => {
                return Err(
                    "its form is not known; there are redis://, redis+sentinel:// and redis+cluster://",
                );
            }
        };
        Ok(Self {
            tls,
            nodes,
            service,
            user,
            password,
            database: database_of(database)?,
            prefix: query.map(prefix_of).transpose()?,
        })
    }

    /// The servers, as people see them.
    pub fn place(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        let service = self.service.as_ref().map_or(String::new(), |service| format!("/{service}"));
        format!("{}{service}", nodes.join(","))
    }
}

fn credentials_of(text: Option<&str>) -> Result<(Option<String>, Option<Secret>), &'static str> {
    let Some(text) = text else { return Ok((None, None)) };
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let decoded = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded.map(Cow::into_owned).map_err(|_| "user or password is no UTF-8")
    };
    let (user, password) = (decoded(user)?, decoded(password)?);
    if password.is_empty() {
        return Err("a user needs a password: queue.password, or redis://USER:PASSWORD@host");
    }
    Ok(((!user.is_empty()).then_some(user), Some(Secret::new(password))))
}

fn node(text: &str, default: u16) -> Result<Node, &'static str> {
    // An IPv6 address stands in brackets.
    let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(default), |port| port.parse().map_err(|_| "a port is a number up to 65535"))?;
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err("it names no host: redis://host:6379");
    }
    Ok((host.to_owned(), port))
}

fn database_of(text: &str) -> Result<i64, &'static str> {
    match text {
        "" => Ok(0),
        number => number.parse::<u16>().map(i64::from).map_err(|_| "a database is a number: redis://host/0"),
    }
}

fn prefix_of(query: &str) -> Result<String, &'static str> {
    let fits = |prefix: &&str| {
        !prefix.is_empty()
            && prefix.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let prefix = query.strip_prefix("prefix=").filter(fits);
    prefix.map(str::to_owned).ok_or("after '?' it takes prefix= and letters, digits, '-', '_' or '.'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(address: &str) -> Result<RedisAddress, &'static str> {
        RedisAddress::parse(address).expect("an address of Redis")
    }

    #[test]
    fn addresses_name_servers() {
        for (text, place, database) in [
            ("redis://host", "host:6379", 0),
            ("rediss://user:p%40ss@host:7000/3", "host:7000", 3),
            ("redis://:p/w@[::1]:7000", "::1:7000", 0),
            ("redis+sentinel://a,b:1/mymaster/2", "a:26379,b:1/mymaster", 2),
            ("rediss+cluster://a,b:1?prefix=x", "a:6379,b:1", 0),
        ] {
            let address = parse(text).expect(text);
            assert_eq!((address.place().as_str(), address.database), (place, database), "{text}");
        }
        let address = parse("redis://us%3Aer:p%40s:s@host?prefix=acme-1").expect("an address");
        assert_eq!(address.user.as_deref(), Some("us:er"));
        assert_eq!(address.password.as_ref().map(Secret::expose), Some("p@s:s"));
        assert_eq!(address.prefix.as_deref(), Some("acme-1"));
        assert!(!format!("{address:?}").contains("p@s"));
    }

    #[test]
    fn a_password_may_be_given_apart() {
        let secret = Secret::new("p@s:s/#".to_owned());
        for (given, user) in
            [("redis://host:7000/1?prefix=x", None), ("redis://us%3Aer@host:7000/1", Some("us:er"))]
        {
            let whole = RedisAddress::with_password(given, &secret).expect(given);
            let address = parse(&whole).expect("an address");
            assert_eq!(address.password.as_ref().map(Secret::expose), Some("p@s:s/#"));
            assert_eq!((address.user.as_deref(), address.database), (user, 1));
        }
        assert!(RedisAddress::with_password("redis://user:one@host", &secret).is_err());
    }

    #[test]
    fn other_addresses_are_others() {
        for other in ["host", "sqlite://a.db", "redi://host", "https://host"] {
            assert!(RedisAddress::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn what_names_no_server_is_refused() {
        for url in [
            "redis://",
            "redis://:6379",
            "redis://user@host",
            "redis://host:port",
            "redis://host/x",
            "redis://a,b",
            "redis://host?db=1",
            "redis://host?prefix={a}",
            "redis+sentinel://host",
            "redis+cluster://host/1",
            "redis+other://host",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
    }
}
