//! Automatic recovery: looks for missing meetings by itself, and knows what it has looked at.
//!
//! # The ledger
//!
//! One watermark ("looked at up to here") lies as soon as one look fails in the middle: either it moves, and what was
//! skipped is never looked at again, or it stays, and everything is. So there is a [`Ledger`] of covered intervals for
//! each of Zoom's two dimensions of time, kept in the queue's store, and written slice by slice.
//!
//! A slice is *covered* when it was listed to its last page, Zoom's own totals agree, every meeting of it was compared with
//! the platform, and what was missing is on the queue. What was throttled, cut short, cancelled or could not be compared is
//! not covered, and the next pass takes it again. A pass takes what is not covered yet, and `overlap` before the end of
//! what is, up to `settle` ago. How far back: to where the first look began, `lookback` before it; so an outage of
//! ten days leaves no gap for a `lookback` of seven.
//!
//! Time that was not covered while Zoom kept its archives is listed once more, for what Zoom still has, and then
//! *abandoned*: its slices are not proven, which the run tells, and the ledger, `status` and a metric tell for good.
//!
//! Where Zoom answers for less than it was asked, because its clock is behind ours, only that is covered. What ended or
//! was archived less than `settle` ago is *excluded* by rule `automatic.settle`: it comes again, by its completion.
//!
//! # States
//!
//! ```text
//!            ┌────────────── the lease of another is over, or it left ◄─────────────┐
//!            ▼                                                                      │
//!   on duty: load the ledger ─► plan ─► list slice ─► evidence ─► ledger ─┐      standby
//!      ▲         │                        ▲    │          (fenced)        │         ▲
//!      │         └ lost: rebuild          └────┼──────── next slice ◄─────┤         │
//!      │                                       ▼                          ▼         │
//!      └──────────── interval ◄──────── the pass stopped          the pass is done  │
//!                                              └──────── duty lost ─────────────────┘
//! ```
//!
//! # What a crash leaves
//!
//! * *Killed while a slice is listed*: its jobs are on the queue, the slice is not in the ledger; it is listed again, and
//!   finds them queued or present.
//! * *Killed between the slice's evidence and the ledger*, or *between the last slice and the end of the run*: the same; a
//!   slice that was covered stays covered, whatever its run came to.
//! * *Killed while it works*, after the slices were covered: no pass lists them again, so one from the command line ends
//!   only when nothing of earlier passes is left in an embedded queue either.
//! * *Two processes on duty*: there are none. A process that slept while another took over finds its token replaced: its
//!   next slice is refused, and its pass ends. What it had enqueued is on the queue once.
//! * *The store lost everything* (a flushed Redis): the ledger is gone together with the jobs, and what was begun before
//!   cannot be written any more ([`recapture_core::queue::DutyToken`]). The ledger is made again from evidence
//!   (`rebuild`): a run's slices count if every meeting that it detected has come to an end. The others are listed again.
//! * *A clock that jumps ahead* covers nothing that Zoom has not answered for. Should the ledger lie in the future all the
//!   same, that part is forgotten, loudly. One that jumps back lists again what it had.
//!
//! # Silence
//!
//! An account that lists nothing where it has listed meetings before is not proof that there is nothing. A pass that lists
//! nothing asks for what Zoom should still keep (`producer/silence.rs`): if that is there, nothing was held, and the pass
//! covers. If it is gone as well, the pass covers nothing and says so, and so does every one after it, until Zoom lists
//! a meeting again, and with it all of the time between, or until Zoom need not have the last one any longer.

mod keep;
mod ledger;
mod pass;
mod plan;
mod rebuild;
mod standing;

pub use keep::{Keeper, keep};
pub use ledger::{Ledger, NoLedger};
pub use pass::{Pass, PassError};
pub use plan::{Plan, Terms, plan};
pub use standing::{Gap, SOON, Standing};
