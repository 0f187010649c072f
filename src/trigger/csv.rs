//! Specific recovery: files that name meetings, one a row.
//!
//! A file is promised two things. None of its rows is lost: each gets at least one line in the results, whatever
//! stands in it. And it stays where it is until every row is finished.
//!
//! # A file's life
//!
//! ```text
//!   in its folder                        in csv.processed             in csv.rejected
//!   ─────────────────────────────        ─────────────────────        ─────────────────
//! 1 ids.csv
//! 2 ids.csv  .ids.csv.taken (locked)
//! 3 ids.csv  .ids.csv.taken
//! 4 ids.csv  .ids.csv.taken              ids.results.csv
//! 5 ids.csv  .ids.csv.taken              ids.results.csv              ids.rejected.csv
//! 6          .ids.csv.taken              ids.results.csv  ids.csv     ids.rejected.csv
//! 7                                      ids.results.csv  ids.csv     ids.rejected.csv
//! ```
//!
//! 1 → 2: it has stopped growing, and one process takes it: `.ids.csv.taken` is locked (`flock`) and names the run
//! that the rows are recovered for. 2 → 3: that process ended, with rows that wait for Zoom, or killed. 4, 5: the
//! results, and the rows that name no meeting (no such file if there are none), each written under a part name, made
//! durable, then renamed. 6: the file itself is moved. No step overwrites anything: if one of the three names belongs
//! to another file, all three get the same number (`ids-2.csv`, `ids-2.results.csv`, …).
//!
//! # What a crash leaves
//!
//! One of the states above, and perhaps a part that the next try writes over. The kernel frees the lock of a dead
//! process, so a state from 2 to 5 is taken up by the next start. It looks at the evidence of the run that
//! `.ids.csv.taken` names: if every row of the file, as it is now, is finished there, the move goes on where it stopped,
//! which shows in the names that exist with just the content that is about to be written. Otherwise the rows are
//! recovered for a new run, whose jobs join those that are still on the queue, and which finds present what was
//! recovered meanwhile. State 6 is cleaned up by the next look at the folder.
//!
//! A row that is written while the file is moved is not lost either: the file is read once more where it has got to, and
//! goes back if it is not the one that the results tell of; those are removed. Only who still writes after that, or
//! in the very moment of a kill, does so behind everybody's back.
//!
//! Rows of which nobody can tell (*indeterminate*) keep their file open for a day, and are asked for again meanwhile.
//! `.ids.csv.taken` holds since when.
//!
//! Whether a row is finished is read from the evidence and the queue alone, never from memory: so a file whose rows
//! were finished by workers elsewhere, days later, is moved as well. A file that was changed while it was worked on is
//! not the file that the run read (its SHA-256 tells), and is taken again.

mod claim;
mod error;
mod finish;
mod inbox;
mod original;
mod results;
mod rows;
mod waiting;
mod watch;

#[cfg(test)]
mod tests;

pub use claim::{Claim, Content};
pub use error::CsvError;
pub use finish::{Finish, Folders, Tally};
pub use inbox::{Inbox, InboxError, Say, folders, look};
pub use rows::{Row, Rows};
pub use waiting::{Waiting, waiting};
pub use watch::watch;
