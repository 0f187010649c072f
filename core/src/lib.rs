//! The domain of Recapture and its ports.
//!
//! The ground floor is pure and uses nothing of ours: [`meeting`], [`period`], [`coverage`], [`run`], [`reason`], [`contact`],
//! [`reconcile`]. On it stand the ports, each with its own error enum that states facts: [`zoom`] (the source),
//! [`contacts`] (the platform's contact database), [`buffer`] (the capture buffer), [`queue`] (durable jobs and the
//! books of a run) and [`evidence`] (the record of what was seen and decided). Ports do not know each other; the
//! worker and the producer put them together. `tests/floors.rs` of the root package holds this order.

mod bounded;
pub mod buffer;
pub mod config;
pub mod contact;
pub mod contacts;
pub mod coverage;
pub mod digest;
pub mod evidence;
pub mod failpoint;
pub mod http;
pub mod mac;
pub mod meeting;
pub mod metrics;
pub mod period;
pub mod queue;
pub mod reason;
pub mod reconcile;
pub mod redis;
pub mod run;
pub mod secret;
pub mod shutdown;
pub mod signature;
pub mod telemetry;
pub mod trace;
pub mod zoom;

/// How many random cases a fuzz test runs: thousands in the suite, `FUZZ_CASES` of them for `make fuzz`.
#[cfg(test)]
fn fuzz_cases() -> u32 {
    std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2000)
}
