//! The least that a program can do: ask, read, hash, write. No TLS, no queue, no books, no second look.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Args;
use recapture_core::digest::Hasher;

use crate::Fault;

/// Enough to keep two processors and a disk busy.
const THREADS: usize = 8;

const PIECE: usize = 256 << 10;

#[derive(Args)]
pub(super) struct Arguments {
    address: String,
    files: usize,
    bytes: u64,
    #[arg(long)]
    fsync: bool,
    /// Fetches each file by so many ranges at once, and reads it back for its hash
    #[arg(long, default_value_t = 1)]
    ranges: u64,
}

pub(super) fn run(what: &Arguments) -> Result<(), Fault> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let worker = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= what.files {
                    return io::Result::Ok(());
                }
                fetch(what, number)?;
            }
        };
        let workers: Vec<_> = (0..THREADS.min(what.files)).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done.map_err(Fault::from),
            Err(_) => Err("a thread panicked".into()),
        })
    })
}

fn fetch(what: &Arguments, number: usize) -> io::Result<()> {
    let file = File::options().read(true).write(true).create_new(true).open(format!("{number}.mp4"))?;
    let sha256 = if what.ranges <= 1 {
        let mut hasher = Hasher::default();
        receive(what, number, 0, what.bytes, |at, piece| {
            hasher.update(piece);
            file.write_all_at(piece, at)
        })?;
        hasher.finish()
    } else {
        by_ranges(what, number, &file)?;
        hash(&file)?
    };
    if what.fsync {
        file.sync_data()?;
    }
    std::fs::write(format!("{number}.sha256"), sha256)
}

fn by_ranges(what: &Arguments, number: usize, file: &File) -> io::Result<()> {
    let length = what.bytes.div_ceil(what.ranges);
    std::thread::scope(|scope| {
        let ranges: Vec<_> = (0..what.ranges)
            .map(|range| {
                let (from, to) = (range * length, ((range + 1) * length).min(what.bytes));
                scope.spawn(move || receive(what, number, from, to, |at, piece| file.write_all_at(piece, at)))
            })
            .collect();
        ranges
            .into_iter()
            .try_for_each(|range| range.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked"))))
    })
}

fn hash(file: &File) -> io::Result<String> {
    let (mut hasher, mut piece, mut at) = (Hasher::default(), vec![0; PIECE], 0);
    loop {
        match file.read_at(&mut piece, at)? {
            0 => return Ok(hasher.finish()),
            got => {
                hasher.update(&piece[..got]);
                at += got as u64;
            }
        }
    }
}

/// Gives each piece of the bytes `from..to` of a file, and where it belongs.
fn receive(
    what: &Arguments,
    number: usize,
    from: u64,
    to: u64,
    mut take: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let host = what.address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host)?;
    write!(
        stream,
        "GET /{number} HTTP/1.1\r\nhost: {host}\r\nrange: bytes={from}-{}\r\nconnection: close\r\n\r\n",
        to - 1
    )?;
    let mut answer = BufReader::with_capacity(PIECE, stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        answer.read_line(&mut line)?;
    }
    let (mut piece, mut at) = (vec![0; PIECE], from);
    while at < to {
        let most = usize::try_from(to - at).unwrap_or(PIECE).min(PIECE);
        match answer.read(&mut piece[..most])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            got => {
                take(at, &piece[..got])?;
                at += got as u64;
            }
        }
    }
    Ok(())
}
