//! What processes use: of the processor when they have ended, of memory while they run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::machine::ticks;

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Of the processor, by all children of this process that have ended and were waited for, with theirs.
pub(crate) fn by_children() -> Duration {
    ticks("self", 13..15)
}

/// Of the processor, by a process that runs.
pub(crate) fn by(process: u32) -> Duration {
    ticks(&process.to_string(), 11..13)
}

/// The most memory that processes and what they started held together, in KiB.
pub(crate) struct Memory {
    most: Arc<AtomicU64>,
    looking: JoinHandle<()>,
}

impl Memory {
    pub(crate) fn watch(roots: Vec<u32>) -> Self {
        let most = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&most);
        let looking = tokio::spawn(async move {
            loop {
                seen.fetch_max(roots.iter().map(|root| of_tree(*root)).sum(), Ordering::Relaxed);
                tokio::time::sleep(LOOK).await;
            }
        });
        Self { most, looking }
    }

    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub(crate) fn mib(&self) -> f64 {
        self.most.load(Ordering::Relaxed) as f64 / 1024.0
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// A process alone: its peak. One with children: what they hold now, what they share counted once.
fn of_tree(root: u32) -> u64 {
    let children = children(root);
    if children.is_empty() {
        return field(root, "status", "VmHWM:");
    }
    field(root, "smaps_rollup", "Pss:") + children.into_iter().map(shared_by_tree).sum::<u64>()
}

fn shared_by_tree(root: u32) -> u64 {
    field(root, "smaps_rollup", "Pss:") + children(root).into_iter().map(shared_by_tree).sum::<u64>()
}

fn children(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

fn field(process: u32, file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default()
}
