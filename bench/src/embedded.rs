//! The embedded queue, in a file of its own: what it answers is on the disk before it is answered.

use crate::Fault;
use crate::peer::{micros_per_job, per_job, rate};
use crate::table::{Figures, WIDTHS};
use crate::{jobs, machine, pool};

/// No-op jobs by so many at once, and how many, off a backlog that is a little larger than all of them.
pub(crate) async fn measure(parts: [(usize, usize); WIDTHS], samples: u32) -> Result<Figures, Fault> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("queue.db");
    let url = format!("sqlite://{}", file.display());
    let backlog = parts.iter().map(|(_, jobs)| jobs).sum::<usize>() + 1_000;
    let mut figures =
        Figures { enqueued: rate(backlog, pool::enqueue(&url, backlog).await?), ..Figures::default() };
    figures.bytes = per_job(file.metadata()?.len(), backlog);
    for (at, (concurrency, jobs)) in parts.into_iter().enumerate() {
        let before = machine::used();
        figures.done[at] = rate(jobs, pool::drain(&url, concurrency, jobs).await?);
        if concurrency == 16 {
            figures.used = [micros_per_job(machine::used().saturating_sub(before), jobs), 0.0];
        }
    }
    let idle = format!("sqlite://{}", folder.path().join("idle.db").display());
    // One process lists and works.
    let idle = jobs::open(&idle).await?;
    figures.latencies(pool::latencies_between(&idle, idle.clone(), samples).await?);
    Ok(figures)
}
