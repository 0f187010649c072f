//! The simulator as a client sees it: over HTTP, with nothing but what it hands out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod das;
mod download_faults;
mod downloads;
mod faults;
mod listing;
mod meetings;
