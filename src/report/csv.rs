//! The report for spreadsheets: RFC 4180, UTF-8, a row a meeting and below it a row for each of its files.

use recapture_core::evidence::FileEnd;
use recapture_core::meeting::MeetingUuid;
use recapture_core::period::stamp;

use super::{MeetingReport, Report};

const HEADER: [&str; 17] = [
    "row",
    "meeting_uuid",
    "started_at",
    "verdict",
    "outcome",
    "reason",
    "detail",
    "http_status",
    "tracking_id",
    "starts",
    "deadline",
    "folder",
    "file_id",
    "file",
    "size",
    "sha256",
    "downloaded_at",
];

/// A row under the header; what is not set stays empty.
#[derive(Default)]
struct Row<'a> {
    kind: &'a str,
    meeting: &'a str,
    started_at: String,
    verdict: &'a str,
    outcome: &'a str,
    reason: &'a str,
    detail: &'a str,
    status: String,
    tracking_id: &'a str,
    starts: String,
    deadline: String,
    folder: &'a str,
    file_id: &'a str,
    file: &'a str,
    size: String,
    sha256: &'a str,
    downloaded_at: String,
}

impl Report {
    pub fn to_csv(&self) -> String {
        let mut text = HEADER.join(",") + "\r\n";
        for (uuid, meeting) in &self.meetings {
            write(&mut text, &meeting.row(uuid));
            for file in meeting.end.iter().flat_map(|end| &end.files) {
                write(&mut text, &of_file(uuid, meeting, file));
            }
        }
        text
    }
}

impl MeetingReport {
    fn row<'a>(&'a self, uuid: &'a MeetingUuid) -> Row<'a> {
        let verdict = self.verdict.as_ref();
        let detail = verdict.and_then(|verdict| verdict.detail.as_deref()).unwrap_or_default();
        let starts = self.waits.as_ref().map(|job| job.starts).or(self.end.as_ref().map(|end| end.starts));
        let cause = self.cause();
        let size: u64 = self.end.iter().flat_map(|end| &end.files).filter_map(|file| file.size).sum();
        Row {
            kind: "meeting",
            meeting: uuid.as_str(),
            started_at: verdict.and_then(|verdict| verdict.started_at).map(stamp).unwrap_or_default(),
            verdict: verdict.map(|verdict| verdict.verdict.as_str()).unwrap_or_default(),
            outcome: self.outcome(),
            reason: cause.map(|cause| cause.reason.as_str()).unwrap_or_default(),
            detail: cause.map_or(detail, |cause| &cause.detail),
            status: cause.and_then(|cause| cause.status).map(|it| it.to_string()).unwrap_or_default(),
            tracking_id: cause.and_then(|cause| cause.tracking_id.as_deref()).unwrap_or_default(),
            starts: starts.map(|starts| starts.to_string()).unwrap_or_default(),
            deadline: self.deadline().map(stamp).unwrap_or_default(),
            folder: self.folder(),
            size: if size > 0 { size.to_string() } else { String::new() },
            ..Row::default()
        }
    }

    fn folder(&self) -> &str {
        self.end.as_ref().and_then(|end| end.folder.as_deref()).unwrap_or_default()
    }
}

fn of_file<'a>(uuid: &'a MeetingUuid, meeting: &'a MeetingReport, file: &'a FileEnd) -> Row<'a> {
    let cause = file.unavailable.as_ref();
    Row {
        kind: "file",
        meeting: uuid.as_str(),
        outcome: if cause.is_some() { "unavailable" } else { "recovered" },
        reason: cause.map(|cause| cause.reason.as_str()).unwrap_or_default(),
        folder: meeting.folder(),
        file_id: &file.file_id,
        file: file.path.as_deref().unwrap_or_default(),
        size: file.size.map(|size| size.to_string()).unwrap_or_default(),
        sha256: file.sha256.as_deref().unwrap_or_default(),
        downloaded_at: file.downloaded_at.map(stamp).unwrap_or_default(),
        ..Row::default()
    }
}

fn write(text: &mut String, row: &Row<'_>) {
    let fields = [
        row.kind,
        row.meeting,
        &row.started_at,
        row.verdict,
        row.outcome,
        row.reason,
        row.detail,
        &row.status,
        row.tracking_id,
        &row.starts,
        &row.deadline,
        row.folder,
        row.file_id,
        row.file,
        &row.size,
        row.sha256,
        &row.downloaded_at,
    ];
    let fields: Vec<String> = fields.into_iter().map(field).collect();
    text.push_str(&fields.join(","));
    text.push_str("\r\n");
}

/// A field as text. Spreadsheets run what begins like a formula, and a meeting's id or a server's words may; an
/// apostrophe before it makes it text, and is what spreadsheets themselves write.
fn field(text: &str) -> String {
    let is_formula = text.trim_start().starts_with(['=', '+', '-', '@']) || text.starts_with(['\t', '\r']);
    let safe = if is_formula { format!("'{text}") } else { text.to_owned() };
    if safe.contains(['"', ',', ';', '\n', '\r', '\t']) || safe != safe.trim() {
        format!("\"{}\"", safe.replace('"', "\"\""))
    } else {
        safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_text_to_every_spreadsheet() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"a\"", "\"say \"\"a\"\"\""),
            ("=1+1", "'=1+1"),
            ("+aB3==", "'+aB3=="),
            (" @cmd", "' @cmd"),
            ("-2\n", "\"'-2\n\""),
            ("\t=x", "\"'\t=x\""),
            ("2026-10-01T00:00:00Z", "2026-10-01T00:00:00Z"),
        ] {
            assert_eq!(field(text), expected);
        }
    }

    #[test]
    fn a_row_has_the_headers_fields() {
        let mut text = String::new();
        write(&mut text, &Row::default());
        assert_eq!(text.matches(',').count(), HEADER.len() - 1);
    }
}
