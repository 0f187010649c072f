//! The grammar: UTF-8 with or without BOM, comma or semicolon, with or without a header, quotes, any line ends.
//!
//! The ids stand in the column `meeting_uuid`, else in `uuid`, else in the first. The first row is a header if it names
//! one of these columns, or if its first cell is made of the words that such headers are made of (`Meeting ID`).
//! Anything else that is no id is a row that is rejected: a header too many is a nuisance, an id too few a loss. Rows
//! without any text are no rows.

use std::io::{self, Cursor, Read};

use csv::{ByteRecord, Reader, ReaderBuilder};
use recapture_core::digest::Hasher;

use super::original::Original;
use crate::producer::{Asked, NoMeeting};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// How much of a file is looked at to tell its separator.
const HEAD: u64 = 64 << 10;

/// What the first column of a list of meetings is called.
const HEADER_WORDS: [&str; 14] = [
    "conference",
    "id",
    "identifier",
    "ids",
    "instance",
    "key",
    "meeting",
    "meetings",
    "no",
    "number",
    "uuid",
    "uuids",
    "webinar",
    "zoom",
];

/// One row of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line that it begins in, from 1.
    pub line: u64,
    /// The cell as it stands there; what is no UTF-8 is replaced.
    pub value: String,
    pub asked: Result<Asked, NoMeeting>,
}

type Source<R> = Original<io::Chain<Cursor<Vec<u8>>, R>>;

/// The rows of a file, one at a time.
pub struct Rows<R: Read> {
    csv: Reader<Source<R>>,
    record: ByteRecord,
    column: usize,
    first: bool,
}

impl<R: Read> Rows<R> {
    pub fn new(mut file: R) -> io::Result<Self> {
        let mut head = Vec::new();
        file.by_ref().take(HEAD).read_to_end(&mut head)?;
        let mut hasher = Hasher::default();
        if head.starts_with(BOM) {
            hasher.update(BOM);
            head.drain(..BOM.len());
        }
        let separator = separator(&head);
        let original = Original::new(Cursor::new(head).chain(file), hasher);
        Ok(Self { csv: reader(separator, original), record: ByteRecord::new(), column: 0, first: true })
    }

    /// Of the whole file, once its last row was read.
    pub fn sha256(&self) -> String {
        self.csv.get_ref().sha256()
    }

    fn read(&mut self) -> io::Result<Option<Row>> {
        loop {
            let begin = self.csv.position().byte();
            if !self.csv.read_byte_record(&mut self.record)? {
                return Ok(None);
            }
            let line = self.csv.get_mut().line_at(begin);
            if is_blank(&self.record) {
                continue;
            }
            if std::mem::take(&mut self.first)
                && let Some(column) = header(&self.record)
            {
                self.column = column;
                continue;
            }
            let cell = self.record.get(self.column).unwrap_or_default();
            let asked = str::from_utf8(cell).map_err(|_| NoMeeting::NotText).and_then(Asked::parse);
            return Ok(Some(Row { line, value: String::from_utf8_lossy(cell).into_owned(), asked }));
        }
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<io::Result<Row>> {
        self.read().transpose()
    }
}

/// The one by which the first row names ids, or else has more cells.
fn separator(head: &[u8]) -> u8 {
    let fit = |by: u8| {
        let mut head = reader(by, head);
        let mut record = ByteRecord::new();
        while head.read_byte_record(&mut record).unwrap_or(false) && is_blank(&record) {}
        let id = record.get(0).and_then(|cell| Asked::parse(str::from_utf8(cell).ok()?).ok());
        (id.is_some() || header(&record).is_some(), record.len())
    };
    if fit(b';') > fit(b',') { b';' } else { b',' }
}

fn reader<R: Read>(separator: u8, source: R) -> Reader<R> {
    ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(source)
}

fn is_blank(record: &ByteRecord) -> bool {
    record.iter().all(|cell| String::from_utf8_lossy(cell).trim().is_empty())
}

/// The column of the ids, if the record is a header.
fn header(record: &ByteRecord) -> Option<usize> {
    let names: Vec<String> =
        record.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_lowercase()).collect();
    let column = |name: &str| names.iter().position(|cell| cell == name);
    column("meeting_uuid").or_else(|| column("uuid")).or_else(|| {
        let mut words = names.first()?.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let first = words.next()?;
        let is_header = |word: &str| HEADER_WORDS.contains(&word);
        (is_header(first) && words.all(is_header)).then_some(0)
    })
}
