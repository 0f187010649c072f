//! What became of each row: the results, and the rows that name no meeting, as drafts under part names.
//!
//! # Cells and spreadsheets
//!
//! A cell that begins with `=`, `+`, `-`, `@`, a tab or a line end may be run as a formula by a spreadsheet. What came
//! out of a rejected row is written with an apostrophe before it then. A meeting UUID is written as it is, though it may begin
//! with `+`: results are there to be joined with other tables, and of base64 alone (letters, digits, `+`, `/`, `=`) no
//! formula can be made that calls anything. The reader of files takes ids in either form.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use recapture_core::meeting::MeetingUuid;
use recapture_core::reason::Cause;

use super::error::CsvError;
use super::finish::Tally;
use super::rows::{Row, Rows};
use crate::producer::Asked;
use crate::report::{MeetingReport, Report};

const RESULTS: [&str; 7] = ["line", "meeting_uuid", "outcome", "reason", "files", "bytes", "run_id"];
/// Of a row that nobody could tell anything of.
pub(super) const INDETERMINATE: &str = "indeterminate";

const REJECTED: [&str; 3] = ["line", "value", "cause"];

/// Both drafts, durable, and what was found on the way.
pub(super) struct Draft {
    pub(super) results: Part,
    pub(super) rejected: Option<Part>,
    pub(super) tally: Tally,
    /// Of the input, as it was read for the drafts.
    pub(super) sha256: String,
    /// Rows of which something is not finished.
    pub(super) open: u64,
    /// Rows of which the run has not heard.
    pub(super) unlisted: u64,
    /// Rows of which nobody could tell.
    pub(super) undecided: u64,
}

/// A file under a part name; removed if it was not renamed.
pub(super) struct Part(PathBuf);

impl Part {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Where the two drafts go.
pub(super) struct Parts {
    pub(super) results: PathBuf,
    pub(super) rejected: PathBuf,
}

/// Reads the input once more, a row at a time, and writes what the run's report says of it.
pub(super) fn draft(input: &Path, report: &Report, parts: Parts) -> Result<Draft, CsvError> {
    let unreadable = CsvError::unreadable(input);
    let mut rows = File::open(input).and_then(Rows::new).map_err(&unreadable)?;
    let mut results = Table::begin(parts.results, &RESULTS)?;
    let mut rejected: Option<Table> = None;
    let mut tally = Tally { rows: 0, outcomes: BTreeMap::new() };
    let (mut open, mut unlisted, mut undecided) = (0, 0, 0);
    for row in rows.by_ref() {
        let row = row.map_err(&unreadable)?;
        tally.rows += 1;
        match outcomes(&row, report) {
            Found::Finished(lines) => {
                undecided += u64::from(lines.iter().any(|line| line.outcome == INDETERMINATE));
                for line in lines {
                    *tally.outcomes.entry(line.outcome.clone()).or_default() += 1;
                    results.result(row.line, &line, report)?;
                }
            }
            Found::Open => open += 1,
            Found::Unlisted => unlisted += 1,
        }
        if let Err(cause) = &row.asked {
            let table = match &mut rejected {
                Some(table) => table,
                none => none.insert(Table::begin(parts.rejected.clone(), &REJECTED)?),
            };
            table.row(&[&row.line.to_string(), &harmless(&row.value), &cause.to_string()])?;
        }
    }
    let rejected = rejected.map(Table::end).transpose()?;
    Ok(Draft { results: results.end()?, rejected, tally, sha256: rows.sha256(), open, unlisted, undecided })
}

enum Found {
    Finished(Vec<Line>),
    Open,
    Unlisted,
}

/// One line of the results: a row has one, a meeting number one for each of its instances.
struct Line {
    meeting: String,
    outcome: String,
    reason: String,
    files: u64,
    bytes: u64,
}

fn outcomes(row: &Row, report: &Report) -> Found {
    let meetings = match &row.asked {
        Err(cause) => {
            let (meeting, reason) = (harmless(&row.value), cause.as_str().to_owned());
            let outcome = "rejected".to_owned();
            return Found::Finished(vec![Line { meeting, outcome, reason, files: 0, bytes: 0 }]);
        }
        Ok(Asked::Meeting(uuid)) => std::slice::from_ref(uuid),
        Ok(Asked::Number(number)) => match report.instances.get(number) {
            Some(meetings) => meetings,
            None => return Found::Unlisted,
        },
    };
    let mut lines = Vec::with_capacity(meetings.len());
    for uuid in meetings {
        match report.meetings.get(uuid) {
            None => return Found::Unlisted,
            Some(meeting) if matches!(meeting.outcome(), "pending" | "unknown") => return Found::Open,
            Some(meeting) => lines.push(line(uuid, meeting)),
        }
    }
    Found::Finished(lines)
}

fn line(uuid: &MeetingUuid, meeting: &MeetingReport) -> Line {
    let files = meeting.end.iter().flat_map(|end| &end.files);
    // Of a meeting that was recovered without some of its files: why the first of them is lacking.
    let lacking = files.clone().find_map(|file| file.unavailable.as_ref());
    let reason = |cause: &Cause| cause.reason.as_str().to_owned();
    let verdict = || meeting.verdict.as_ref().and_then(|verdict| verdict.detail.as_deref());
    let reason = match (meeting.cause(), lacking, &meeting.end) {
        (Some(cause), _, _) | (None, Some(cause), _) => reason(cause),
        (None, None, Some(_)) => String::new(),
        (None, None, None) => harmless(verdict().unwrap_or_default()),
    };
    let stored = files.filter(|file| file.unavailable.is_none());
    Line {
        meeting: uuid.to_string(),
        outcome: meeting.outcome().to_owned(),
        reason,
        files: stored.clone().count() as u64,
        bytes: stored.filter_map(|file| file.size).sum(),
    }
}

/// As text for a spreadsheet.
pub(super) fn harmless(cell: &str) -> String {
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n') => format!("'{cell}"),
        _ => cell.to_owned(),
    }
}

/// A CSV file on its way.
struct Table {
    part: Part,
    writer: csv::Writer<File>,
}

impl Table {
    fn begin(path: PathBuf, header: &[&str]) -> Result<Self, CsvError> {
        let file = File::create(&path).map_err(CsvError::unwritable(&path))?;
        let mut table = Self { part: Part(path), writer: csv::Writer::from_writer(file) };
        table.row(header)?;
        Ok(table)
    }

    fn row(&mut self, cells: &[&str]) -> Result<(), CsvError> {
        let written = self.writer.write_record(cells).map_err(io::Error::from);
        written.map_err(CsvError::unwritable(self.part.path()))
    }

    fn result(&mut self, number: u64, line: &Line, report: &Report) -> Result<(), CsvError> {
        let [number, files, bytes] = [number, line.files, line.bytes].map(|number| number.to_string());
        let Line { meeting, outcome, reason, .. } = line;
        self.row(&[&number, meeting, outcome, reason, &files, &bytes, report.run.id.as_str()])
    }

    /// Makes it durable.
    fn end(self) -> Result<Part, CsvError> {
        let file = self.writer.into_inner().map_err(csv::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all()).map_err(CsvError::unwritable(self.part.path()))?;
        Ok(self.part)
    }
}
