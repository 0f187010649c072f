//! What the simulator saw: what tests assert on, and the events that they wait for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::Notify;

use crate::catalogue::FileKey;
use crate::faults::Fault;

/// The status under which a request is counted whose connection was reset before any answer.
pub const NO_ANSWER: u16 = 0;

/// The requests that are told apart. `Media` is the second hop of a download, on the other host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    Token,
    List,
    Statistics,
    Metadata,
    Instances,
    Download,
    Media,
    DasList,
    DasLookup,
    DasGet,
    DasPut,
    /// The Verint form.
    DasLogIn,
    DasQuery,
    DasIngest,
    /// The simulator's own remote control.
    Control,
    Unknown,
}

/// What happened to one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileCount {
    pub started: u32,
    /// Transfers whose last byte was handed to the connection; a range counts if it reaches the end.
    pub completed: u32,
    pub bytes: u64,
}

/// A request for one page of the list, as asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageRequest {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub query_date_type: &'static str,
    pub first: bool,
}

/// Everything counted since the start.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    pub requests: BTreeMap<Endpoint, BTreeMap<u16, u64>>,
    pub tokens_issued: u64,
    /// Bodies begun, on whichever host serves them. A held download has begun.
    pub downloads_started: u64,
    pub downloads_completed: u64,
    pub downloads_now: u64,
    pub downloads_at_once: u64,
    pub bytes_sent: u64,
    /// The bearer token arrived at a host that must not get it.
    pub authorization_at_second_host: u64,
    pub tokens_in_queries: u64,
    pub faults: BTreeMap<Fault, u64>,
    pub pages: Vec<PageRequest>,
    /// Requests that the DAS left without an answer.
    pub das_unanswered: u64,
    /// Too many to print: by file, see [`crate::Simulator::file_count`].
    #[serde(skip)]
    pub files: HashMap<FileKey, FileCount>,
    #[serde(skip)]
    pub das_puts: HashMap<String, u32>,
}

impl Counts {
    /// Requests to an endpoint, whatever came of them.
    pub fn requests(&self, endpoint: Endpoint) -> u64 {
        self.requests.get(&endpoint).map_or(0, |statuses| statuses.values().sum())
    }

    pub fn answers(&self, endpoint: Endpoint, status: u16) -> u64 {
        self.requests.get(&endpoint).and_then(|statuses| statuses.get(&status)).copied().unwrap_or_default()
    }

    pub fn fault(&self, fault: Fault) -> u64 {
        self.faults.get(&fault).copied().unwrap_or_default()
    }

    /// Files that were fetched to their end more than once.
    pub fn files_fetched_twice(&self) -> usize {
        self.files.values().filter(|file| file.completed > 1).count()
    }
}

/// The counts, and a way to wait until they say something.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    counts: Mutex<Counts>,
    changed: Notify,
}

impl Ledger {
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Counts) -> T) -> T {
        look(&lock(&self.counts))
    }

    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        let result = change(&mut lock(&self.counts));
        self.changed.notify_waiters();
        result
    }

    pub(crate) async fn wait_for(&self, mut reached: impl FnMut(&Counts) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that a change in between is not missed.
            changed.as_mut().enable();
            if self.read(&mut reached) {
                return;
            }
            changed.await;
        }
    }
}

/// A test that panicked while it held a lock has failed already; its neighbours go on.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
