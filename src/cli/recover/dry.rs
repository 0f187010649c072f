//! `recapture recover --dry-run`: lists and compares, prints what would be recovered, and changes nothing.

use std::process::ExitCode;

use recapture_core::config::Config;
use recapture_core::meeting::Meeting;
use recapture_core::reconcile::Verdict;
use recapture_worker::Opened;
use tokio_util::sync::CancellationToken;

use super::super::progress::Display;
use super::super::{Failure, output};
use super::Arguments;
use crate::producer::ProducerError;
use crate::recovery::{What, dry_run};
use crate::report;

pub(super) async fn run(
    arguments: &Arguments,
    config: &Config,
    opened: &Opened,
    what: What,
    stop: CancellationToken,
) -> Result<ExitCode, Failure> {
    let request = arguments.request(&what);
    let json = arguments.json;
    let show = |meeting: &Meeting, verdict: &Verdict| {
        if !json && let Some(line) = report::plan_line(meeting, verdict) {
            // A reader that went away ends the process there.
            let _ = output::print(&line);
        }
    };
    let display = Display::new();
    let watch = |progress| display.listing(&progress);
    let compared = dry_run(opened, config, &what, request, &show, &watch, stop).await;
    display.end();
    let run = match compared {
        Ok(run) => run,
        Err(ProducerError::Interrupted) => {
            return Err(Failure::CouldNotRun("interrupted; nothing was changed".to_owned()));
        }
        Err(error) => return Err(Failure::CouldNotRun(format!("{error}; nothing was changed"))),
    };
    if json {
        output::print_json(&run.to_object())?;
    } else {
        output::print(&report::plan_summary(&run))?;
    }
    let proven = run.counts.balance() && run.counts.indeterminate == 0 && run.unproven.is_empty();
    Ok(ExitCode::from(if proven { 0 } else { 4 }))
}
