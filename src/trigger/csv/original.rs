//! A file's bytes as they came: hashed, and counted in lines. The grammar of CSV knows records, which may hold line
//! breaks and are parted by blank lines; people look for lines.

use std::collections::VecDeque;
use std::io::{self, Read};

use recapture_core::digest::Hasher;

pub(super) struct Original<R> {
    inner: R,
    hasher: Hasher,
    /// What was handed out and not yet counted, from `counted` on.
    uncounted: VecDeque<u8>,
    counted: u64,
    line: u64,
    after_cr: bool,
}

impl<R: Read> Original<R> {
    /// `hasher` has taken what of the file does not come through here.
    pub(super) fn new(inner: R, hasher: Hasher) -> Self {
        Self { inner, hasher, uncounted: VecDeque::new(), counted: 0, line: 1, after_cr: false }
    }

    /// The line of the first byte at or after `offset` that is no line end. Offsets never go back.
    pub(super) fn line_at(&mut self, offset: u64) -> u64 {
        while let Some(byte) = self.uncounted.front() {
            if self.counted >= offset && !matches!(byte, b'\r' | b'\n') {
                break;
            }
            self.count();
        }
        self.line
    }

    /// Lines end in LF, CR LF or CR, as the grammar has it.
    fn count(&mut self) {
        let Some(byte) = self.uncounted.pop_front() else { return };
        self.counted += 1;
        if byte == b'\r' || byte == b'\n' && !self.after_cr {
            self.line += 1;
        }
        self.after_cr = byte == b'\r';
    }

    /// Of everything that was read.
    pub(super) fn sha256(&self) -> String {
        self.hasher.clone().finish()
    }
}

impl<R: Read> Read for Original<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.uncounted.extend(&buffer[..count]);
        Ok(count)
    }
}
