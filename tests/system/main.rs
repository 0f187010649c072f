//! The whole system: the real `recapture` as a process of its own, against the simulated Zoom and data access
//! service, with a queue, a buffer and nothing else between them.
//!
//! Tests wait for what the simulator saw, for what the process said, and for its end; none waits for a time. What
//! was recovered is held, byte for byte, against what the simulator says that there was.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "measurements, and what a failed test can be repeated with")]

mod api;
mod api_document;
mod automatic;
mod browser;
mod certificates;
mod command_line;
mod control;
mod csv_files;
mod downgrade;
mod downloads;
mod evidence;
mod expectation;
mod faults;
mod folder_watch;
mod harness;
mod kills;
mod late;
mod log_level;
mod lying;
mod metrics;
mod object_store;
mod onlookers;
mod orders;
mod outages;
mod recovery;
mod redis;
mod redis_limits;
mod redis_network;
mod redis_operation;
mod redis_places;
mod redis_proxy;
mod redis_server;
mod redis_trouble;
mod refusals;
mod scale;
mod secrets;
mod serving;
mod sharing;
mod soak;
mod specific;
mod stopping;
#[cfg(feature = "otlp")]
mod traces;
mod triggers;
mod verint;
#[cfg(feature = "failpoints")]
mod write_path;
