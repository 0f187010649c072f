//! Zoom and a data access service (DAS) as HTTP servers that can misbehave on purpose.
//!
//! One [`Simulator`] holds three listeners: Zoom (`/oauth/token`, `/v2/…`, `/rec/…`), the host that its
//! downloads redirect to, and the DAS. The same code serves the demo, the tests and, as a program,
//! containers.
//!
//! What is simulated stands on one of three grounds, and each module says on which:
//!
//! * **documented** by Zoom: paging, the seven days of a query, the encoding of a UUID in a path, the names of fields;
//! * **reported** by people who run clients: the redirect to a signed URL on another host, pages of HTML in place of
//!   a file, tokens that die early;
//! * **assumed** here because nobody says: whether `to` is inclusive, the order of a list, what a wide range does.
//!
//! Everything comes from the seed of a [`Scenario`]: the same scenario has the same meetings, files and bytes
//! in every process, and a meeting costs no memory until something happens to it.

mod bodies;
mod catalogue;
mod chance;
mod connections;
mod control;
mod counts;
mod das;
mod faults;
mod limits;
mod progress;
mod scenario;
mod server;
mod state;
mod truth;
mod zoom;

pub use catalogue::{Capture, FileKey};
pub use counts::{Counts, Endpoint, FileCount, NO_ANSWER, PageRequest};
pub use faults::{Fault, Faults};
pub use limits::{Limits, RetryAfter};
pub use scenario::{DasLimits, Downloads, FileSpec, Scenario};
pub use server::{Addresses, Simulator};
pub use truth::{FileState, TruthFile, TruthMeeting};
