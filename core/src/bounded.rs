//! Reading what others may have put into a folder: never more of it than a bound, however large it is.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;

use crate::digest::Hasher;

/// More than any line of evidence has: the longest tells the files of a meeting, of which this has room for tens of
/// thousands.
pub(crate) const LONGEST_LINE: u64 = 16 << 20;

/// A small file's bytes; an error if it is larger than `most`.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // It may grow while it is read; what is known beforehand costs nothing.
    let length = file.metadata()?.len();
    if length > most {
        return Err(too_large(most));
    }
    // With room for all of it and for finding its end, or it would be read in ever larger pieces, from 32 bytes on.
    let room = usize::try_from(length.saturating_add(1)).unwrap_or_default();
    into(Vec::with_capacity(room), file, most)
}

/// All that comes; an error, instead of a beginning, if it is more than `most`.
pub(crate) fn up_to(from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    into(Vec::new(), from, most)
}

fn into(mut bytes: Vec<u8>, from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    from.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(too_large(most));
    }
    Ok(bytes)
}

fn too_large(most: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it is larger than {most} bytes, and none of ours"))
}

/// A line that was read: its text is in the caller's buffer, as far as it may be.
pub(crate) struct LineRead {
    /// Of the whole text, without the line end.
    pub(crate) sha256: String,
    /// There was a line end behind it.
    pub(crate) ended: bool,
    /// The text is longer than a line may be; what is behind the bound was hashed and passed over.
    pub(crate) too_long: bool,
}

/// Reads to the next line end; `None` at the end of the file.
pub(crate) fn line(from: &mut impl BufRead, text: &mut Vec<u8>, most: u64) -> io::Result<Option<LineRead>> {
    text.clear();
    let (mut hasher, mut any, mut too_long) = (Hasher::default(), false, false);
    loop {
        let piece = from.fill_buf()?;
        if piece.is_empty() {
            return Ok(any.then(|| LineRead { sha256: hasher.finish(), ended: false, too_long }));
        }
        any = true;
        let end = piece.iter().position(|byte| *byte == b'\n');
        let of_line = &piece[..end.unwrap_or(piece.len())];
        hasher.update(of_line);
        too_long |= text.len() as u64 + of_line.len() as u64 > most;
        if !too_long {
            text.extend_from_slice(of_line);
        }
        let read = of_line.len() + usize::from(end.is_some());
        from.consume(read);
        if end.is_some() {
            return Ok(Some(LineRead { sha256: hasher.finish(), ended: true, too_long }));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::digest::sha256;

    #[test]
    fn a_line_longer_than_the_bound_is_hashed_and_not_kept() {
        let mut text = Vec::new();
        let mut from = io::BufReader::with_capacity(4, &b"12345678\n123456789\n\nab"[..]);
        let mut next = |text: &mut Vec<u8>| {
            line(&mut from, text, 8).unwrap().map(|read| (read.sha256, read.ended, read.too_long))
        };
        assert_eq!(next(&mut text), Some((sha256(b"12345678"), true, false)));
        assert_eq!(text, b"12345678");
        assert_eq!(next(&mut text), Some((sha256(b"123456789"), true, true)));
        assert!(text.len() <= 8);
        assert_eq!(next(&mut text), Some((sha256(b""), true, false)));
        assert_eq!(next(&mut text), Some((sha256(b"ab"), false, false)));
        assert_eq!(next(&mut text), None);
    }

    #[test]
    fn what_is_too_large_is_an_error_and_no_beginning() {
        assert_eq!(up_to(&b"1234"[..], 4).unwrap(), b"1234");
        assert!(up_to(&b"12345"[..], 4).unwrap_err().to_string().contains("larger than 4 bytes"));
        assert!(up_to(io::repeat(0), 4).is_err());
    }
}
