//! `recapture recover`: a period or a list of meetings in, verified meetings out.
//!
//! The command lists, enqueues, works (the queue is embedded) and waits until nothing is left to do now;
//! [`crate::recovery`] tells how that can end.

mod dry;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, Utc};
use recapture_core::config::Loaded;
use recapture_core::period::{Period, parse_instant, parse_length};
use recapture_core::run::Request;
use recapture_worker::{Opened, open};
use tokio_util::sync::CancellationToken;

use super::progress::{Display, Work, say};
use super::{Failure, output};
use crate::producer::Asked;
use crate::recovery::{News, Part, Recovery, RecoveryError, What, begin, conclude, exit_code};
use crate::report;
use crate::trigger::automatic::{Keeper, Pass, PassError, Terms};
use crate::trigger::csv::{self, CsvError, Inbox, InboxError};

#[derive(clap::Args, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = "Examples:
  recapture recover --last 7d --dry-run
  recapture recover --from 2026-10-01 --to 2026-10-03T12:00:00Z --by ops --reason 'INC-4711'
  recapture recover --meeting '/aB3dE//gHiJkL4mNoPqRg==' --meeting 864-1234-5678
  recapture recover --csv data/csv
  recapture recover --automatic")]
#[command(group(clap::ArgGroup::new("what").args(["from", "last", "meetings", "csv", "automatic"]).required(true).multiple(true)))]
pub(super) struct Arguments {
    /// Begin of the period (UTC), inclusive: 2026-10-01 or 2026-10-01T08:00:00Z
    #[arg(long, value_name = "T", value_parser = instant, requires = "to")]
    pub(super) from: Option<DateTime<Utc>>,
    /// End of the period (UTC), exclusive
    #[arg(long, value_name = "T", value_parser = instant, requires = "from")]
    pub(super) to: Option<DateTime<Utc>>,
    /// The period that ends now: 24h, 7d
    #[arg(long, value_name = "LENGTH", value_parser = length, conflicts_with_all = ["from", "to"])]
    pub(super) last: Option<Duration>,
    /// A meeting by its UUID, or all meetings of a number; may be repeated
    #[arg(long = "meeting", value_name = "ID", num_args = 1.., conflicts_with_all = ["from", "to", "last", "csv"])]
    pub(super) meetings: Vec<Asked>,
    /// A CSV file that names meetings, or a folder of such files; each moves to csv.processed with its results
    #[arg(long, value_name = "FILE|DIR", conflicts_with_all = ["from", "to", "last"])]
    pub(super) csv: Option<PathBuf>,
    /// One pass of automatic recovery: what is not covered yet by earlier passes, for cron and its kin
    #[arg(long, conflicts_with_all = ["from", "to", "last", "meetings", "csv"])]
    pub(super) automatic: bool,
    /// Lists and compares, prints what would be recovered, and changes nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Returns once all is on the queue; `recapture worker` does the work
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) detach: bool,
    /// Works in this process too, where the queue is one that workers elsewhere share
    #[arg(long, conflicts_with_all = ["dry_run", "detach"])]
    pub(super) work: bool,
    /// Who asks, for the evidence; the user's name otherwise
    #[arg(long, value_name = "NAME")]
    pub(super) by: Option<String>,
    /// Why, for the evidence
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Prints the run object
    #[arg(long)]
    pub(super) json: bool,
}

fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    parse_instant(text).map_err(|error| error.to_string())
}

fn length(text: &str) -> Result<Duration, String> {
    parse_length(text).map_err(|error| error.to_string())
}

impl Arguments {
    /// All but what stands in files or in the ledger.
    fn what(&self, now: DateTime<Utc>) -> Result<What, Failure> {
        let (from, to) = match (self.from, self.to, self.last) {
            (Some(from), Some(to), _) => (from, to),
            (_, _, Some(last)) => (now - chrono::Duration::from_std(last).unwrap_or_default(), now),
            _ => return Ok(What::Meetings(self.meetings.clone())),
        };
        let period = Period::new(from, to).and_then(|period| period.until(now));
        period.map(What::Period).map_err(|error| Failure::WrongArguments(error.to_string()))
    }

    fn request(&self, what: &What) -> Request {
        Request {
            mode: what.mode(),
            dry_run: self.dry_run,
            requested_by: who(self.by.clone()),
            reason: self.reason.clone(),
            period: what.period(),
            served: None,
        }
    }

    fn part(&self, opened: &Opened) -> Part {
        match () {
            () if self.detach => Part::List,
            () if self.work || opened.queue.is_embedded() => Part::ListAndWork,
            () => Part::ListAndWait,
        }
    }
}

/// Who asks: the name that is given, or else the user that runs the command.
pub(super) fn who(by: Option<String>) -> String {
    let user = || std::env::var("USER").ok().filter(|name| !name.is_empty());
    by.or_else(user).unwrap_or_else(|| "unknown".to_owned())
}

impl From<RecoveryError> for Failure {
    fn from(error: RecoveryError) -> Self {
        Self::CouldNotRun(error.to_string())
    }
}

impl From<PassError> for Failure {
    fn from(error: PassError) -> Self {
        Self::CouldNotRun(error.to_string())
    }
}

impl From<CsvError> for Failure {
    fn from(error: CsvError) -> Self {
        InboxError::from(error).into()
    }
}

impl From<InboxError> for Failure {
    fn from(error: InboxError) -> Self {
        match error {
            InboxError::Csv(CsvError::NotThere(_)) => Self::WrongArguments(error.to_string()),
            _ => Self::CouldNotRun(error.to_string()),
        }
    }
}

pub(super) async fn run(
    arguments: Arguments,
    loaded: Loaded,
    stop: CancellationToken,
) -> Result<ExitCode, Failure> {
    let mut what = arguments.what(Utc::now())?;
    let opened = open(&loaded.config).await?;
    if arguments.automatic {
        return Box::pin(automatic(arguments, &loaded, &opened, stop)).await;
    }
    if arguments.dry_run {
        if let Some(path) = &arguments.csv {
            what = What::Meetings(csv::look(path, &loaded.config, say)?);
        }
        return dry::run(&arguments, &loaded.config, &opened, what, stop).await;
    }
    let mut inbox = match &arguments.csv {
        Some(path) => Some(Inbox::take(path, &opened, &loaded.config, say, &stop).await?),
        None => None,
    };
    let code = Box::pin(recover(&arguments, &loaded, &opened, what, inbox.as_mut(), stop)).await?;
    opened.queue.close().await;
    Ok(ExitCode::from(code))
}

/// One pass, unless another process makes automatic recovery.
async fn automatic(
    arguments: Arguments,
    loaded: &Loaded,
    opened: &Opened,
    stop: CancellationToken,
) -> Result<ExitCode, Failure> {
    let keeper = if arguments.dry_run { None } else { Keeper::take(opened, &stop).await? };
    if keeper.is_none() && !arguments.dry_run {
        return Err(Failure::CouldNotRun(
            "another process makes automatic recovery, `recapture serve` or an earlier start of this command; \
             `recapture status` tells which. Nothing was changed"
                .to_owned(),
        ));
    }
    let duty = keeper.as_ref().map(Keeper::token);
    let pass = Pass::prepare(opened, Terms::of(&loaded.config), duty, Utc::now()).await?;
    let code = match (pass, &keeper) {
        (None, _) => {
            say(
                "recapture: everything up to automatic.settle ago is covered; there is nothing to look at yet",
            );
            ExitCode::SUCCESS
        }
        (Some(pass), None) => {
            let what = What::Pass(Box::new(pass));
            dry::run(&arguments, &loaded.config, opened, what, stop).await?
        }
        (Some(pass), Some(keeper)) => {
            let what = What::Pass(Box::new(pass));
            let stop = keeper.lost.clone();
            ExitCode::from(Box::pin(recover(&arguments, loaded, opened, what, None, stop)).await?)
        }
    };
    if let Some(keeper) = keeper {
        keeper.leave().await;
    }
    opened.queue.clone().close().await;
    Ok(code)
}

/// A run from its beginning to its end; answers the exit code.
async fn recover(
    arguments: &Arguments,
    loaded: &Loaded,
    opened: &Opened,
    mut what: What,
    mut inbox: Option<&mut Inbox>,
    stop: CancellationToken,
) -> Result<u8, Failure> {
    let run = begin(opened, arguments.request(&what), loaded.effective_hash()).await?;
    if let Some(inbox) = &mut inbox {
        inbox.assign(opened, &run.id).await?;
        what = What::Meetings(inbox.asked());
    }
    let display = Display::new();
    let tell = |news: News<'_>| match news {
        News::Listing(progress) => display.listing(&progress),
        News::Listed => display.listed(),
        News::Work { counts, left, received } => display.work(&Work { counts, left, received }),
    };
    let recovery = Recovery { opened, config: &loaded.config, id: run.id.clone(), tell: &tell, stop };
    let end = Box::pin(recovery.recover(&what, arguments.part(opened))).await?;
    display.end();
    let (run, because) = conclude(opened, &run.id, &end).await?;
    if let Some(because) = because {
        say(&format!("recapture: the run stopped: {because}"));
        say("recapture: nothing is lost; the same command goes on where this one stopped");
    }
    if arguments.json {
        output::print_json(&run.to_object())?;
    } else {
        let report = report::Report::read(&opened.queue, &opened.ports.buffer, run.clone()).await?;
        output::print(&report.to_text())?;
    }
    let code = exit_code(&run, &end);
    let Some(inbox) = inbox else { return Ok(code) };
    inbox.finish(opened, &run).await?;
    // A row that is rejected is no meeting, so the books do not show it.
    Ok(if code == 0 { inbox.code } else { code })
}
