//! A server of files that costs as little as it can: a thread a connection, bodies from memory.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use crate::Fault;

/// Prints its port, and serves until it is killed. Each path is the same film.
#[allow(clippy::print_stdout, reason = "whoever started it reads the port")]
pub(super) fn serve(bytes: u64) -> Result<(), Fault> {
    let film = Arc::new(film(usize::try_from(bytes)?));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept()?;
        let film = Arc::clone(&film);
        std::thread::spawn(move || {
            // A client that hangs up has what it wants.
            let _ = answer(&stream, &film);
        });
    }
}

/// A container as players know it, around bytes that nothing can compress.
fn film(bytes: usize) -> Vec<u8> {
    let start = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x10moovmoovmoov";
    let inside = bytes.saturating_sub(start.len());
    let length = u32::try_from(inside).unwrap_or(0).to_be_bytes();
    let mut film = [&start[..], &length, b"mdat"].concat();
    let mut state = 1_u64;
    while film.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        film.extend_from_slice(&(state ^ state >> 29).to_le_bytes());
    }
    film.truncate(bytes);
    film
}

fn answer(mut stream: &TcpStream, film: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut asked = BufReader::new(stream);
    let mut line = String::new();
    let mut range = None;
    loop {
        line.clear();
        if asked.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim().to_ascii_lowercase();
        if let Some(wanted) = line.strip_prefix("range: bytes=") {
            range = wanted.split_once('-').map(|(from, to)| (from.parse().ok(), to.parse().ok()));
        }
        if !line.is_empty() {
            continue;
        }
        let all = film.len();
        let (from, to) = range.take().map_or((0, all - 1), |(from, to)| {
            (from.unwrap_or(0).min(all - 1), to.unwrap_or(all - 1).min(all - 1))
        });
        let status = if to + 1 - from == all { "200 OK" } else { "206 Partial Content" };
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-type: video/mp4\r\ncontent-length: {}\r\n\
             content-range: bytes {from}-{to}/{all}\r\n\r\n",
            to + 1 - from
        )?;
        stream.write_all(&film[from..=to])?;
    }
}
