//! The connection of a process to Redis, for all that is kept there: the queue, and what the processes of a Zoom account
//! share.
//!
//! All keys begin with one tag in braces, so that all are in one slot of a cluster.

mod fault;
mod link;
mod target;

pub use fault::Fault;
pub use link::{CLOSING, Link, RECALL};
pub use target::Target;

/// What every key begins with: `{recapture}`, or `{recapture:PREFIX}`. Braces make it what decides the slot in a
/// cluster.
pub fn tag(prefix: Option<&str>) -> String {
    prefix.map_or_else(|| "{recapture}".to_owned(), |prefix| format!("{{recapture:{prefix}}}"))
}
