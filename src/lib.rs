//! Recapture: finds the Zoom meetings that a recording platform missed, and brings them back.
//!
//! This is the top floor: the [`trigger`]s that say which meetings, the [`producer`] that enumerates missing ones into
//! jobs, the [`recovery`] that all of them share, the command line ([`cli`]), the [`report`]s, what [`verify`] proves of them, the [`control`] that people have over runs, the [`purge`] of what the platform
//! took over, the service that does all of it by itself ([`serve`]), and the reference data access service ([`das`]). The workers stand in `recapture-worker`, the domain and
//! its ports in `recapture-core`.

pub mod cli;
pub mod control;
pub mod das;
mod markup;
mod pace;
pub mod producer;
pub mod purge;
pub mod recovery;
pub mod report;
pub mod serve;
pub mod trigger;
pub mod verify;
mod web;
