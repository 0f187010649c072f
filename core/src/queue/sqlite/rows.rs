//! Rows to values and back.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::meeting::MeetingUuid;
use crate::queue::clock::{Millis, instant};
use crate::queue::view::FELL_SILENT;
use crate::reason::Cause;
use crate::run::{Counts, RecoveryRun, RunId, RunState};

/// SQLite's integers are signed; no count of ours reaches the half that is missing.
pub(super) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn counted(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}

/// A column that this program wrote and cannot read back.
fn unreadable(column: &str, why: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(why) }
}

pub(super) fn count(row: &SqliteRow, column: &str) -> Result<u64, sqlx::Error> {
    row.try_get(column).map(counted)
}

pub(super) fn starts(row: &SqliteRow) -> Result<u32, sqlx::Error> {
    row.try_get::<i64, _>("starts").map(|starts| u32::try_from(starts).unwrap_or_default())
}

pub(super) fn uuid(row: &SqliteRow) -> Result<MeetingUuid, sqlx::Error> {
    MeetingUuid::parse(row.try_get("uuid")?).map_err(|why| unreadable("uuid", why))
}

pub(super) fn run_id(row: &SqliteRow, column: &str) -> Result<RunId, sqlx::Error> {
    RunId::parse(row.try_get(column)?).map_err(|why| unreadable(column, why))
}

pub(super) fn json<T: serde::de::DeserializeOwned>(text: &str, column: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|why| unreadable(column, why))
}

pub(super) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our own types have string keys and no failing parts")
}

pub(super) fn cause(row: &SqliteRow) -> Result<Option<Cause>, sqlx::Error> {
    row.try_get::<Option<&str>, _>("cause")?.map(|text| json(text, "cause")).transpose()
}

/// An unknown word was written by a newer program.
pub(super) fn run_state(word: &str) -> Result<RunState, sqlx::Error> {
    RunState::parse(word)
        .ok_or_else(|| unreadable("state", std::io::Error::other(format!("unknown state '{word}'"))))
}

/// The run as it is shown at `now`: paused and abandoned runs are told by their columns, not by their state.
pub(super) fn run(row: &SqliteRow, now: Millis) -> Result<RecoveryRun, sqlx::Error> {
    let mut state = run_state(row.try_get("state")?)?;
    let mut finished_at: Option<Millis> = row.try_get("finished_at")?;
    let mut ended_because: Option<String> = row.try_get("ended_because")?;
    let beat_until: Millis = row.try_get("beat_until")?;
    if state == RunState::Enumerating && beat_until < now {
        state = RunState::Stopped;
        finished_at = Some(beat_until);
        ended_because = Some(FELL_SILENT.to_owned());
    } else if state == RunState::Running && row.try_get("paused")? {
        state = RunState::Paused;
    }
    Ok(RecoveryRun {
        id: run_id(row, "id")?,
        request: json(row.try_get("request")?, "request")?,
        state,
        started_at: instant(row.try_get("started_at")?),
        finished_at: finished_at.map(instant),
        counts: counts(row)?,
        unproven: json(row.try_get("unproven")?, "unproven")?,
        ended_because,
    })
}

fn counts(row: &SqliteRow) -> Result<Counts, sqlx::Error> {
    Ok(Counts {
        listed: count(row, "listed")?,
        present: count(row, "present")?,
        incomplete: count(row, "incomplete")?,
        missing: count(row, "missing")?,
        excluded: count(row, "excluded")?,
        indeterminate: count(row, "indeterminate")?,
        detected: count(row, "detected")?,
        recovered: count(row, "recovered")?,
        failed: count(row, "failed")?,
        unavailable: count(row, "unavailable")?,
        expired: count(row, "expired")?,
        pending: count(row, "pending")?,
        files: count(row, "files")?,
        bytes: count(row, "bytes")?,
    })
}

/// The stored state of a run; absent if there is no such run.
pub(super) async fn state_of(
    conn: &mut SqliteConnection,
    run: &RunId,
) -> Result<Option<RunState>, sqlx::Error> {
    let word: Option<String> = sqlx::query_scalar("SELECT state FROM runs WHERE id = ?")
        .bind(run.as_str())
        .fetch_optional(conn)
        .await?;
    word.map(|word| run_state(&word)).transpose()
}
