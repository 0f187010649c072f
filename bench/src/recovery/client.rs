//! HTTP/1.1 by hand for the floor: as little as a client can do that keeps its connections.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;

use crate::Fault;

const MOST_HOPS: usize = 4;

/// Headers, and bodies that are smaller; larger ones are read past it.
const BUFFER: usize = 16 << 10;

/// One connection to each host that was asked.
pub(super) struct Client {
    token: String,
    connections: HashMap<String, BufReader<TcpStream>>,
}

struct Head {
    status: u16,
    length: u64,
    location: String,
}

impl Client {
    pub(super) fn new(token: &str) -> Self {
        Self { token: token.to_owned(), connections: HashMap::new() }
    }

    /// Opens the body behind an address; a redirect gets no token.
    pub(super) fn get(&mut self, url: &str) -> Result<impl Read + '_, Fault> {
        let mut url = url.to_owned();
        for hop in 0..MOST_HOPS {
            let (host, path) = split(&url)?;
            let head = self.ask(&host, &path, hop == 0)?;
            let connection = self.connections.get_mut(&host).ok_or("no connection")?;
            let mut body = connection.take(head.length);
            match head.status {
                200 => return Ok(self.connections.get_mut(&host).ok_or("no connection")?.take(head.length)),
                301..=308 => {
                    io::copy(&mut body, &mut io::sink())?;
                    url = head.location;
                }
                status => return Err(format!("{host} answers {status}").into()),
            }
        }
        Err("redirected without end".into())
    }

    pub(super) fn json<T: serde::de::DeserializeOwned>(&mut self, url: &str) -> Result<T, Fault> {
        let mut text = Vec::new();
        self.get(url)?.read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    fn ask(&mut self, host: &str, path: &str, with_token: bool) -> Result<Head, Fault> {
        if !self.connections.contains_key(host) {
            let stream = TcpStream::connect(host)?;
            stream.set_nodelay(true)?;
            self.connections.insert(host.to_owned(), BufReader::with_capacity(BUFFER, stream));
        }
        let connection = self.connections.get_mut(host).ok_or("no connection")?;
        let token =
            if with_token { format!("authorization: Bearer {}\r\n", self.token) } else { String::new() };
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{token}\r\n");
        connection.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        connection.read_line(&mut line)?;
        let status = line.split(' ').nth(1).unwrap_or_default().parse()?;
        let mut head = Head { status, length: 0, location: String::new() };
        loop {
            line.clear();
            connection.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { return Ok(head) };
            if name.eq_ignore_ascii_case("content-length") {
                head.length = value.parse()?;
            } else if name.eq_ignore_ascii_case("location") {
                value.clone_into(&mut head.location);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(format!("{host} does not tell how long its answer is").into());
            }
        }
    }
}

/// Host and path of an address.
fn split(url: &str) -> Result<(String, String), Fault> {
    let rest = url.strip_prefix("http://").ok_or("plain http alone is spoken")?;
    let slash = rest.find('/').unwrap_or(rest.len());
    Ok((rest[..slash].to_owned(), rest[slash..].to_owned()))
}
