//! What a worker works with: the ports, put together once for the process.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use recapture_core::buffer::Buffer;
use recapture_core::config::Fingerprint;
use recapture_core::contacts::Contacts;
use recapture_core::evidence::Evidence;
use recapture_core::zoom::Zoom;
use tokio::sync::Semaphore;

use crate::room::Room;

pub struct Ports {
    pub zoom: Zoom,
    pub contacts: Contacts,
    pub buffer: Buffer,
    pub evidence: Evidence,
    /// Files at once in this process.
    pub download_slots: Semaphore,
    /// Bytes of files that this process received; for progress displays alone.
    pub received: AtomicU64,
    /// Who waits for room in the buffer.
    pub room: Room,
    pub settings: Settings,
}

/// The settings that a meeting's recovery depends on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The Zoom account, as manifests name it.
    pub account: String,
    pub processing_poll: Duration,
    pub fingerprint: Fingerprint,
}
