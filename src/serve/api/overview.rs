//! What is covered, and who holds what: for the API and for the dashboard.

use std::collections::BTreeMap;

use chrono::Utc;
use recapture_core::period::Period;
use recapture_core::queue::{Queue, QueueError};
use recapture_core::zoom::Dimension;

use super::schema::{Coverage, Covered, CoveredDimension, Held, Span, Worker, Workers};
use crate::serve::Service;
use crate::trigger::automatic::{Ledger, Standing, Terms};

/// More leases than this are not told one by one.
const MOST_LEASES: u32 = 2000;

pub(in crate::serve) async fn coverage(service: &Service) -> Result<Coverage, QueueError> {
    let config = &service.loaded.config;
    let (terms, now) = (Terms::of(config), Utc::now());
    let standing = Standing::read(&service.opened.queue, &terms, config.automatic.enabled, now).await?;
    let ledger = standing.ledger.as_ref();
    // What the next pass takes is no gap yet.
    let interval = chrono::Duration::from_std(config.automatic.interval).unwrap_or_default();
    let window = ledger.and_then(|ledger| terms.window(ledger, now));
    let window = window.and_then(|window| Period::new(window.from, window.to - interval).ok());
    let of = |ledger: &Ledger, dimension: Dimension| {
        let coverage = ledger.of(dimension);
        let covered = coverage.intervals().iter().map(|covered| Covered {
            from: covered.period.from,
            to: covered.period.to,
            first_run: covered.first.to_string(),
            last_run: covered.last.to_string(),
        });
        CoveredDimension {
            dimension: dimension.as_str().to_owned(),
            covered: covered.collect(),
            gaps: window
                .map(|window| coverage.gaps(window))
                .unwrap_or_default()
                .into_iter()
                .map(Span::from)
                .collect(),
        }
    };
    Ok(Coverage {
        enabled: standing.enabled,
        on_duty: standing.on_duty.map(|process| process.process),
        since: window.map(|window| window.from),
        until: window.map(|window| window.to),
        dimensions: ledger
            .map(|ledger| Dimension::BOTH.into_iter().map(|dimension| of(ledger, dimension)).collect())
            .unwrap_or_default(),
        silent_since: ledger.and_then(|ledger| ledger.silent_since),
        unreadable: standing.unreadable,
    })
}

pub(in crate::serve) async fn workers(queue: &Queue) -> Result<Workers, QueueError> {
    let depth = queue.depth().await?;
    let leased = queue.leased(MOST_LEASES).await?;
    let truncated = leased.len() == MOST_LEASES as usize;
    let mut workers: BTreeMap<String, Vec<Held>> = BTreeMap::new();
    for job in leased {
        workers.entry(job.worker).or_default().push(Held {
            meeting_uuid: job.uuid.to_string(),
            recovery: job.owner.to_string(),
            starts: job.starts,
            lease_until: job.until,
            deadline: job.deadline,
        });
    }
    let workers = workers.into_iter().map(|(worker, meetings)| Worker { worker, meetings }).collect();
    Ok(Workers { queue: depth.into(), workers, truncated })
}
