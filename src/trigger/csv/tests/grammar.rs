//! Rows as people and programs write them.

use proptest::prelude::*;
use recapture_core::digest::sha256;

use crate::producer::{Asked, NoMeeting};
use crate::trigger::csv::Rows;

const UUID: &str = "/aB3dE//gHiJkL4mNoPqRg==";
const PLUS: &str = "+aB3dE+/gHiJkL4mNoPqRg==";

fn rows(text: &[u8]) -> Vec<(u64, String, Result<Asked, NoMeeting>)> {
    let mut rows = Rows::new(text).unwrap();
    let found = rows.by_ref().map(Result::unwrap).map(|row| (row.line, row.value, row.asked)).collect();
    assert_eq!(rows.sha256(), sha256(text));
    found
}

/// Lines and ids, of a file in which every row has one.
fn ids(text: &str) -> Vec<(u64, String)> {
    rows(text.as_bytes()).into_iter().map(|(line, _, asked)| (line, asked.unwrap().to_string())).collect()
}

fn at(rows: &[(u64, &str)]) -> Vec<(u64, String)> {
    rows.iter().map(|(line, id)| (*line, (*id).to_owned())).collect()
}

#[test]
fn columns_are_found_by_name_or_are_the_first() {
    let one = at(&[(2, UUID)]);
    assert_eq!(ids(&format!("meeting_uuid\n{UUID}\n")), one);
    assert_eq!(ids(&format!("topic,Meeting_UUID\nx,{UUID}")), one);
    assert_eq!(ids(&format!("uuid,topic,meeting_uuid\nx,y,{UUID}")), one, "the better name counts");
    assert_eq!(ids(&format!("\"topic\";\"uuid\"\r\nx;{UUID}\r\n")), one);
    assert_eq!(ids(&format!("Meeting ID;Topic\n{UUID};x\n")), one);
    assert_eq!(ids(&format!("{UUID}\n{PLUS}")), at(&[(1, UUID), (2, PLUS)]));
    assert_eq!(ids(&format!("{UUID},Daily; Ops; Berlin\n")), at(&[(1, UUID)]), "the separator is the comma");
    assert_eq!(ids(&format!("{UUID};Daily, Ops, Berlin\n")), at(&[(1, UUID)]));
    assert_eq!(ids("864 1234 5678;x\n"), at(&[(1, "86412345678")]));
}

#[test]
fn lines_are_those_that_an_editor_shows() {
    let two = |first, second| at(&[(first, UUID), (second, PLUS)]);
    assert_eq!(ids(&format!("\u{feff}\r\n\r\n{UUID}\r\n\r\n{PLUS}\r\n")), two(3, 5));
    assert_eq!(ids(&format!("{UUID}\r{PLUS}\r")), two(1, 2), "of an old Macintosh");
    assert_eq!(ids(&format!("{UUID},\"a \"\"quoted\"\"\r\ntopic\n\"\n\n{PLUS}")), two(1, 5));
    assert_eq!(ids(&format!("uuid;t\n;;;\n{UUID};\n   \n{PLUS};")), two(3, 5), "rows without text are none");
    assert_eq!(ids(&format!("uuid\n{}{UUID}", "\n".repeat(100_000))), at(&[(100_002, UUID)]));
}

#[test]
fn rows_that_are_no_ids_are_told_of() {
    let refused = |text: &[u8]| {
        let found = rows(text);
        found.into_iter().map(|(line, value, asked)| (line, value, asked.unwrap_err())).collect::<Vec<_>>()
    };
    assert_eq!(refused(b"not-an-id\n"), [(1, "not-an-id".to_owned(), NoMeeting::Unlike)], "no header");
    assert_eq!(refused(b"topic,uuid\nx\n"), [(2, String::new(), NoMeeting::Empty)], "a cell too few");
    assert_eq!(refused(b"uuid\nB\xfcro\n"), [(2, "B\u{fffd}ro".to_owned(), NoMeeting::NotText)]);
    let unclosed = format!("uuid\n\"{UUID}\n{PLUS}\n");
    assert_eq!(refused(unclosed.as_bytes()), [(2, format!("{UUID}\n{PLUS}\n"), NoMeeting::Unlike)]);
    let utf16: Vec<u8> =
        format!("\u{feff}uuid\n{UUID}\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(rows(&utf16).iter().all(|(_, _, asked)| asked.is_err()) && rows(&utf16).len() >= 2);
    assert_eq!(rows(b""), []);
    assert_eq!(rows(b"\xef\xbb\xbf\r\n"), []);
}

#[test]
fn a_latin_1_topic_does_not_spoil_an_id() {
    let text = [UUID.as_bytes(), b";B\xfcro\n"].concat();
    assert_eq!(rows(&text).len(), 1);
    assert!(rows(&text)[0].2.is_ok());
}

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(UUID.to_owned()),
        Just(PLUS.to_owned()),
        (100_000_000u64..99_999_999_999).prop_map(|number| number.to_string()),
        "[a-z \"',;\r\n=+@-]{0,12}",
        "\\PC{0,8}",
    ]
}

fn quoted(cell: &str, always: bool) -> String {
    if always || cell.contains([',', ';', '"', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

fn line_ends(text: &str) -> u64 {
    let crlf = text.matches("\r\n").count();
    (text.matches(['\r', '\n']).count() - crlf) as u64
}

#[derive(Debug, Clone)]
struct Sheet {
    rows: Vec<(Vec<String>, usize)>,
    column: usize,
    separator: char,
    end: &'static str,
    bom: bool,
    always_quoted: bool,
}

fn sheet() -> impl Strategy<Value = Sheet> {
    let rows = prop::collection::vec((prop::collection::vec(cell(), 3), 0..3usize), 0..30);
    let end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    (rows, 0..3usize, prop::bool::ANY, end, prop::bool::ANY, prop::bool::ANY).prop_map(
        |(rows, column, semicolon, end, bom, always_quoted)| Sheet {
            rows,
            column,
            separator: if semicolon { ';' } else { ',' },
            end,
            bom,
            always_quoted,
        },
    )
}

impl Sheet {
    /// The file, and the lines and ids that stand in it.
    fn write(&self) -> (String, Vec<(u64, String)>) {
        let mut header = ["topic"; 3];
        header[self.column] = "meeting_uuid";
        let separator = self.separator.to_string();
        let mut text = header.join(&separator) + self.end;
        let mut expected = Vec::new();
        for (cells, blank) in &self.rows {
            text += &self.end.repeat(*blank);
            if cells.iter().any(|cell| !cell.trim().is_empty()) {
                expected.push((1 + line_ends(&text), cells[self.column].clone()));
            }
            let cells: Vec<_> = cells.iter().map(|cell| quoted(cell, self.always_quoted)).collect();
            text += &(cells.join(&separator) + self.end);
        }
        (if self.bom { format!("\u{feff}{text}") } else { text }, expected)
    }
}

/// Thousands in the suite, `FUZZ_CASES` of them for `make fuzz`.
fn fuzz_cases() -> u32 {
    std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(fuzz_cases()))]

    #[test]
    fn fuzz_rows_and_each_has_its_line(sheet in sheet()) {
        let (text, expected) = sheet.write();
        let found: Vec<_> = rows(text.as_bytes()).into_iter().map(|(line, value, _)| (line, value)).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn fuzz_bytes_that_are_no_rows(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let found = rows(&bytes);
        prop_assert!(found.is_sorted_by(|one, next| one.0 <= next.0));
    }

    #[test]
    fn lines_of_plain_text_are_all_there(lines in prop::collection::vec("[ab,;=+]{0,9}[0-9]", 0..50)) {
        let found = rows(lines.join("\n").as_bytes());
        prop_assert_eq!(found.len(), lines.len());
    }
}
