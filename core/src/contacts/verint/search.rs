//! Asking for periods in so small pieces that each answer is whole.

use futures_util::future::join_all;
use tracing::{debug, info};

use super::sessions::{Answer, Row};
use super::windows::Wanted;
use super::{AT_ONCE, FINEST, VerintContacts};
use crate::contacts::request::MOST_LATE;
use crate::contacts::{ContactsError, Found};
use crate::period::Period;

/// What was asked for holds this, as far as it could be told.
#[derive(Debug, Default)]
pub(super) struct Searched {
    pub(super) rows: Vec<Row>,
    /// Pieces whose answers stayed cut.
    pub(super) cut: Vec<Period>,
}

/// A search under way. What was answered is kept when another question fails: it is not asked again.
#[derive(Debug)]
pub(in crate::contacts) struct PeriodSearch<'a> {
    client: &'a VerintContacts,
    wanted: Wanted<'a>,
    /// What is left to ask for.
    pieces: Vec<Period>,
    searched: Searched,
    /// So often in a row no answer came in time.
    late: usize,
    pub(in crate::contacts) answered: u64,
}

impl<'a> PeriodSearch<'a> {
    pub(super) fn new(client: &'a VerintContacts, wanted: Wanted<'a>) -> Self {
        let mut pieces = wanted.periods();
        // The last is asked for first.
        pieces.reverse();
        Self { client, wanted, pieces, searched: Searched::default(), late: 0, answered: 0 }
    }

    /// Asks until nothing is left to ask. After an error it goes on where it stopped.
    pub(in crate::contacts) async fn run(&mut self) -> Result<Found, ContactsError> {
        while !self.pieces.is_empty() {
            // They stay on the list until they are answered, in case nobody waits for the answers.
            let first = self.pieces.len().saturating_sub(AT_ONCE);
            let answers = join_all(self.pieces[first..].iter().map(|piece| self.client.query(*piece))).await;
            let asked = self.pieces.split_off(first);
            let in_time = answers.iter().any(|answer| !answer.as_ref().is_err_and(ContactsError::is_late));
            self.late = if in_time { 0 } else { self.late + 1 };
            let mut failed = None;
            for (piece, answer) in asked.into_iter().zip(answers) {
                if let Err(error) = self.take(piece, answer) {
                    self.pieces.push(piece);
                    failed.get_or_insert(error);
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
        }
        Ok(self.wanted.judge(&self.searched, self.client.settings.file_column.is_some()))
    }

    fn take(&mut self, piece: Period, answer: Result<Answer, ContactsError>) -> Result<(), ContactsError> {
        let answer = match (answer, halves(piece)) {
            (Ok(answer), Some(halves)) if answer.is_cut => {
                debug!(%piece, rows = answer.rows.len(), "the answer may be cut; asking for its halves");
                self.pieces.extend(halves);
                self.answered += 1;
                return Ok(());
            }
            (Err(error), Some(halves)) if error.is_late() && self.late <= MOST_LATE => {
                info!(%piece, %error, "asking for its halves");
                self.pieces.extend(halves);
                return Ok(());
            }
            (answer, _) => answer?,
        };
        self.answered += 1;
        self.searched.cut.extend(answer.is_cut.then_some(piece));
        // A platform has many sessions that are nobody's meeting, or another's.
        self.searched.rows.extend(answer.rows.into_iter().filter(|row| self.wanted.has(row)));
        Ok(())
    }
}

/// The later and the earlier half, which share a second: no row falls between them, whichever of their ends counts.
fn halves(piece: Period) -> Option<[Period; 2]> {
    let length = piece.to - piece.from;
    if length <= FINEST {
        return None;
    }
    let second = chrono::Duration::seconds(1);
    let middle = Period::new(piece.from, piece.from + length / 2).ok()?.to;
    Some([Period { from: middle - second, to: piece.to }, Period { from: piece.from, to: middle }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::parse_instant;

    #[test]
    fn halves_overlap_and_end_at_two_minutes() {
        let at = |text| parse_instant(text).expect("an instant");
        let day = Period::new(at("2026-10-01"), at("2026-10-02")).expect("a period");
        let [later, earlier] = halves(day).expect("a day has halves");
        assert_eq!(earlier, Period { from: day.from, to: at("2026-10-01T12:00:00Z") });
        assert_eq!(later, Period { from: at("2026-10-01T11:59:59Z"), to: day.to });
        let (mut piece, mut questions) = (day, 0);
        while let Some([later, _]) = halves(piece) {
            (piece, questions) = (later, questions + 1);
        }
        assert!(piece.to - piece.from <= FINEST && questions < 12, "{piece} after {questions}");
    }
}
