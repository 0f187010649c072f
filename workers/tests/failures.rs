//! `docs/failures.md` shows what `disposition.rs` decides: each error, its reason, what becomes of the meeting.
//!
//! `UPDATE_DOCS=1 cargo test -p recapture-worker --test failures` writes the table anew.

use std::fmt::Write;
use std::path::Path;

use chrono::{DateTime, Utc};
use recapture_core::buffer::BufferError;
use recapture_core::contacts::ContactsError;
use recapture_core::zoom::{Answer, DownloadError, ZoomError};
use recapture_worker::disposition::{Disposition, decide};
use recapture_worker::error::StepError;

fn until() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

fn answer() -> Answer {
    Answer::default()
}

fn text() -> String {
    String::new()
}

fn zoom_errors() -> Vec<ZoomError> {
    vec![
        ZoomError::RateLimited { until: until(), daily: false, answer: answer() },
        ZoomError::Server { retry_after: None, answer: answer() },
        ZoomError::Transport { request: text(), detail: text() },
        ZoomError::Unreadable { request: text(), detail: text(), tracking_id: None },
        ZoomError::TokenRefused(answer()),
        ZoomError::PageTokenExpired(answer()),
        ZoomError::NotFound(answer()),
        ZoomError::Refused(answer()),
        ZoomError::Unauthorized(answer()),
        ZoomError::ScopeMissing(answer()),
    ]
}

fn download_errors() -> Vec<DownloadError> {
    vec![
        DownloadError::Zoom(ZoomError::Transport { request: text(), detail: text() }),
        DownloadError::Truncated { expected: None, got: 0 },
        DownloadError::Stalled { got: 0, seconds: 0 },
        DownloadError::TooSlow { got: 0, seconds: 0 },
        DownloadError::NotTheFile { found: text() },
        DownloadError::AddressExpired { status: 403 },
        DownloadError::Gone { status: 404 },
        DownloadError::ForeignHost { host: text(), why: "" },
        DownloadError::RedirectLoop { hops: 0 },
    ]
}

fn buffer_errors() -> Vec<BufferError> {
    vec![
        BufferError::Full { path: text(), detail: text() },
        BufferError::Unwritable { path: text(), detail: text() },
        BufferError::Absent { path: text() },
        BufferError::Failed { path: text(), detail: text() },
        BufferError::Unreachable { path: text(), detail: text() },
        BufferError::Refused { path: text(), detail: text() },
        BufferError::TakenOver { path: text() },
        BufferError::UnreadableManifest { path: text(), detail: text() },
    ]
}

fn contacts_errors() -> Vec<ContactsError> {
    vec![
        ContactsError::Unreachable { request: text(), why: text() },
        ContactsError::Late { request: text(), after: std::time::Duration::ZERO },
        ContactsError::Server { request: text(), status: 503, detail: text(), retry_after: None },
        ContactsError::Unreadable { request: text(), what: text() },
        ContactsError::Busy { place: text(), seconds: 0 },
        ContactsError::Failed { place: text(), why: text() },
        ContactsError::Unauthorized { request: text(), status: 401 },
        ContactsError::LogInRefused { request: text(), status: 401 },
        ContactsError::Denied { place: text(), why: text() },
        ContactsError::Full { place: text() },
        ContactsError::Unwritable { place: text(), why: text() },
        ContactsError::Corrupt { place: text(), why: text() },
        ContactsError::Refused { request: text(), status: 422, detail: text() },
        ContactsError::NotAContact { why: text() },
        ContactsError::NotACursor,
        ContactsError::NotOffered { what: "" },
    ]
}

fn all() -> Vec<StepError> {
    let file = |error| StepError::Download { file_id: text(), error };
    let own = vec![
        StepError::SizeDiffers { file_id: text(), listed: 0, got: 0 },
        StepError::FingerprintDiffers { file_id: text() },
        StepError::Processing,
        StepError::Panicked(text()),
        StepError::Stopping,
        StepError::LeaseLost,
    ];
    let zoom = zoom_errors().into_iter().map(StepError::Zoom);
    zoom.chain(download_errors().into_iter().map(file))
        .chain(own)
        .chain(buffer_errors().into_iter().map(StepError::Buffer))
        .chain(contacts_errors().into_iter().map(StepError::Contacts))
        .collect()
}

/// What happened, in words. Exhaustive: a new variant needs its words here and its sample above.
fn what(error: &StepError) -> &'static str {
    match error {
        StepError::Zoom(error) => zoom_words(error),
        StepError::Download { error, .. } => download_words(error),
        StepError::Buffer(error) => match error {
            BufferError::Full { .. } => "The buffer has no room",
            BufferError::Unwritable { .. } => "The buffer cannot be written",
            BufferError::Absent { .. } => "There is no buffer, and somebody wants to read it",
            BufferError::Failed { .. } => "The buffer's disk failed",
            BufferError::Unreachable { .. } => "The buffer's object store is away, or too busy",
            BufferError::Refused { .. } => "The buffer's object store refuses us",
            BufferError::TakenOver { .. } => "Another worker cleared our part away",
            BufferError::UnreadableManifest { .. } => "There is a manifest that cannot be read",
        },
        StepError::Contacts(error) => contacts_words(error),
        StepError::SizeDiffers { .. } => {
            "A file arrived whole, with another size than listed (accepted when it does so twice, and that is certainly all)"
        }
        StepError::FingerprintDiffers { .. } => {
            "A file's SHA-256 differs from Zoom's, and `zoom.fingerprint = \"require\"`"
        }
        StepError::Processing => "Zoom is still making the archive",
        StepError::Panicked(_) => "The job panicked",
        StepError::Stopping => "The worker is stopping",
        StepError::LeaseLost => "The lease was lost",
    }
}

fn zoom_words(error: &ZoomError) -> &'static str {
    match error {
        ZoomError::RateLimited { .. } => "Zoom: 429, a rate or daily limit",
        ZoomError::Server { .. } => "Zoom: 5xx, or 404 without a code of Zoom's",
        ZoomError::Transport { .. } => "No connection to Zoom's API, or it broke",
        ZoomError::Unreadable { .. } => "Zoom's answer cannot be read",
        ZoomError::TokenRefused(_) => "Zoom: 401 for a token that others use",
        ZoomError::PageTokenExpired(_) => "Zoom: the page token expired (the slice is listed anew)",
        ZoomError::NotFound(_) => "Zoom: 404 with a code, the meeting is not known",
        ZoomError::Refused(_) => "Zoom: another 4xx",
        ZoomError::Unauthorized(_) => "Zoom refuses the credentials",
        ZoomError::ScopeMissing(_) => "Zoom: the app lacks a scope",
    }
}

fn download_words(error: &DownloadError) -> &'static str {
    match error {
        DownloadError::Zoom(ZoomError::Transport { .. }) => "No connection to a download's host, or it broke",
        DownloadError::Zoom(error) => zoom_words(error),
        DownloadError::Truncated { .. } => "A body was cut (continued by range)",
        DownloadError::Stalled { .. } => "A body stood still (continued by range)",
        DownloadError::TooSlow { .. } => "A body came too slowly (continued by range)",
        DownloadError::NotTheFile { .. } => "A page or another file came in place of the file",
        DownloadError::AddressExpired { .. } => "The download address expired (renewed)",
        DownloadError::Gone { .. } => {
            "The file is gone: 404 for a new address as well (of this file; the others are stored)"
        }
        DownloadError::ForeignHost { .. } => "A download leads to a host or scheme that is not allowed",
        DownloadError::RedirectLoop { .. } => "Too many redirects",
    }
}

fn contacts_words(error: &ContactsError) -> &'static str {
    match error {
        ContactsError::Unreachable { .. } => "The contact database or its service cannot be reached",
        ContactsError::Late { .. } => "The contact service takes too long, also for a smaller question",
        ContactsError::Server { .. } => "The contact service: 5xx, or not now",
        ContactsError::Unreadable { .. } => "The contact service's answer cannot be read",
        ContactsError::Busy { .. } => "The contact database is locked",
        ContactsError::Failed { .. } => "The contact database failed",
        ContactsError::Unauthorized { .. } => "The contact service refuses the token",
        ContactsError::LogInRefused { .. } => "The contact service refuses the log-in",
        ContactsError::Denied { .. } => "The contact database refuses the user",
        ContactsError::Full { .. } => "The contact database has no room",
        ContactsError::Unwritable { .. } => "The contact database cannot be written",
        ContactsError::Corrupt { .. } => "The contact database is damaged",
        ContactsError::Refused { .. } => "The contact service refuses the contact",
        ContactsError::NotAContact { .. } => "The contact cannot be written anywhere",
        ContactsError::NotACursor => "A page's cursor is none",
        ContactsError::NotOffered { .. } => "The contact service's form cannot be asked that",
    }
}

fn becomes(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Retry { .. } => "again in place, then later; `failed` after `queue.max_attempts` starts",
        Disposition::Snooze { until: Some(_) } => "waits until then; costs no attempt",
        Disposition::Snooze { until: None } => "waits `zoom.processing_poll`; costs no attempt",
        Disposition::NoRoom => "waits for room, 5 s to 5 min; costs no attempt; smaller meetings go on",
        Disposition::Gone => "`unavailable`; past its deadline `expired`",
        Disposition::Dead => "`failed` at once; `retry` takes it up again",
        Disposition::Outage { .. } => "again in place, then the pool halts; costs no attempt",
        Disposition::Halt => "the pool halts; costs no attempt",
        Disposition::Release => "goes back to the queue; costs no attempt",
        Disposition::Nothing => "nothing: another worker has it",
    }
}

#[test]
fn the_documented_table_is_what_is_decided() {
    let mut rows = String::new();
    for error in all() {
        let (reason, fate) = (error.cause().reason, becomes(decide(&error)));
        let _ = writeln!(rows, "| {} | `{reason}` | {fate} |", what(&error));
    }
    let table =
        format!("| what happened | reason | what becomes of the meeting |\n| --- | --- | --- |\n{rows}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/failures.md");
    let page = std::fs::read_to_string(&path).expect("docs/failures.md");
    let (before, rest) = page.split_once("<!-- table -->\n").expect("a table's beginning");
    let (_, after) = rest.split_once("<!-- end of table -->").expect("a table's end");
    let fresh = format!("{before}<!-- table -->\n{table}<!-- end of table -->{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, fresh).expect("docs/failures.md can be written");
        return;
    }
    assert!(
        page == fresh,
        "docs/failures.md is not what disposition.rs decides; write it anew with UPDATE_DOCS=1"
    );
}

/// Zoom's own limit holds the whole pool, for as long as a day at most; that of a download's host holds that download.
#[test]
fn only_zoom_itself_closes_the_pool() {
    use recapture_worker::disposition::closed_for;
    let now = until();
    let limited = |seconds| ZoomError::RateLimited {
        until: now + chrono::Duration::seconds(seconds),
        daily: true,
        answer: answer(),
    };
    assert_eq!(closed_for(&limited(3600).into(), now), Some(std::time::Duration::from_secs(3600)));
    assert_eq!(closed_for(&limited(5).into(), now), None, "waited for in place");
    let longest = recapture_core::http::LONGEST_WAIT;
    assert_eq!(closed_for(&limited(4_294_967_295).into(), now), Some(longest));
    let download = StepError::Download { file_id: text(), error: limited(3600).into() };
    assert_eq!(closed_for(&download, now), None);
    assert_eq!(decide(&download), Disposition::Snooze { until: Some(now + chrono::Duration::hours(1)) });
}

#[test]
fn delays_double_up_to_five_minutes_and_are_spread() {
    use recapture_worker::disposition::delay;
    use std::time::Duration;
    assert_eq!(delay(1, 1.0), Duration::from_secs(5));
    assert_eq!(delay(4, 1.0), Duration::from_secs(40));
    assert_eq!(delay(4, 0.0), Duration::from_secs(20));
    assert_eq!(delay(40, 1.0), Duration::from_secs(300));
    assert_eq!(delay(0, 1.0), Duration::from_secs(5));
}
