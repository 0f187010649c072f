//! The move of a finished file: its results, its rejected rows, then the file itself. `trigger/csv.rs` draws the states.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Duration, Utc};
use recapture_core::digest::{self, Hasher};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::claim::Claim;
use super::error::CsvError;
use super::results::{Draft, INDETERMINATE, Part, Parts, draft};
use crate::report::Report;

/// For how long rows are asked for again of which nobody can tell. What passes by itself is over by then.
const PATIENCE: Duration = Duration::days(1);

/// Where finished files and rejected rows go.
#[derive(Debug, Clone)]
pub struct Folders {
    pub processed: PathBuf,
    pub rejected: PathBuf,
}

/// What finishing a file came to.
#[derive(Debug)]
pub enum Finish {
    Moved {
        results: PathBuf,
        rejected: Option<PathBuf>,
        tally: Tally,
    },
    /// The run has not finished these rows, or not heard of them.
    Open {
        pending: u64,
        unlisted: u64,
        /// Nobody could tell of these yet. They are asked for again until then.
        undecided: u64,
        until: DateTime<Utc>,
    },
    /// It is not the file that the run read, or is not any more.
    Changed,
}

/// What became of a file's rows. A meeting number counts once for each of its instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    pub rows: u64,
    pub outcomes: BTreeMap<String, u64>,
}

impl Tally {
    /// The exit code that tells of the rows.
    pub fn code(&self) -> u8 {
        let has = |outcomes: &[&str]| outcomes.iter().any(|outcome| self.outcomes.contains_key(*outcome));
        match () {
            () if has(&[INDETERMINATE]) => 4,
            () if has(&["rejected", "failed", "expired"]) => 3,
            () => 0,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcomes: Vec<String> =
            self.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        write!(f, "{} rows", self.rows)?;
        if outcomes.is_empty() { Ok(()) } else { write!(f, ": {}", outcomes.join(", ")) }
    }
}

impl Folders {
    /// Creates both, and makes sure that files can be put there, before anything is begun.
    pub fn check(&self) -> Result<(), CsvError> {
        for folder in [&self.processed, &self.rejected] {
            let unwritable = CsvError::unwritable(folder);
            fs::create_dir_all(folder).map_err(&unwritable)?;
            let probe = folder.join(format!(".probe.{}", std::process::id()));
            File::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(&unwritable)?;
        }
        Ok(())
    }

    pub(super) fn contain(&self, folder: &Path) -> bool {
        let is = |other: &Path| fs::canonicalize(other).is_ok_and(|other| other == folder);
        is(&self.processed) || is(&self.rejected)
    }
}

impl Claim {
    /// Moves the file, with its results, if the run has finished every row of it.
    pub fn finish(&self, folders: &Folders, report: &Report) -> Result<Finish, CsvError> {
        // The same for each try over this file, and for no other file of its name.
        let tag = &digest::sha256(self.path.as_os_str().as_encoded_bytes())[..12];
        let part = |folder: &Path, what: &str| folder.join(format!(".{tag}.{what}.part"));
        let parts = Parts {
            results: part(&folders.processed, "results"),
            rejected: part(&folders.rejected, "rejected"),
        };
        let draft = draft(&self.path, report, parts)?;
        if !report.inputs.contains(&draft.sha256) {
            return Ok(Finish::Changed);
        }
        let now = Utc::now();
        let until = self.since().unwrap_or(now) + PATIENCE;
        let undecided = if now < until { draft.undecided } else { 0 };
        let Draft { open: pending, unlisted, .. } = draft;
        if pending + unlisted + undecided > 0 {
            return Ok(Finish::Open { pending, unlisted, undecided, until });
        }
        let copy = Part::new(part(&folders.processed, "input"));
        for number in 1.. {
            let slot = Slot::new(&self.path, folders, number);
            if !slot.is_free_for(self, &draft)? {
                continue;
            }
            match slot.take(self, &draft, &copy)? {
                Take::Taken => {
                    let rejected = draft.rejected.as_ref().map(|_| slot.rejected);
                    return Ok(Finish::Moved { results: slot.results, rejected, tally: draft.tally });
                }
                Take::Late => {}
                Take::Changed => return Ok(Finish::Changed),
            }
        }
        unreachable!("some number is free")
    }
}

/// The three names that go together.
struct Slot {
    results: PathBuf,
    rejected: PathBuf,
    input: PathBuf,
}

impl Slot {
    fn new(input: &Path, folders: &Folders, number: u32) -> Self {
        let name = |extension: &str| {
            let mut name = OsString::from(input.file_stem().unwrap_or_default());
            if number > 1 {
                name.push(format!("-{number}"));
            }
            name.push(extension);
            name
        };
        let extension = input.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
        Self {
            results: folders.processed.join(name(".results.csv")),
            rejected: folders.rejected.join(name(".rejected.csv")),
            input: folders.processed.join(name(&extension.unwrap_or_default())),
        }
    }

    /// Free: nothing stands there but what an earlier try over this very file may have left.
    fn is_free_for(&self, claim: &Claim, draft: &Draft) -> Result<bool, CsvError> {
        let results = same_content(&self.results, draft.results.path())?;
        let input = same_content(&self.input, &claim.path)?;
        let rejected = match &draft.rejected {
            Some(part) => same_content(&self.rejected, part.path())?,
            None => Same::Absent,
        };
        Ok(match (results, rejected, input) {
            (Same::Different, _, _) | (_, Same::Different, _) | (_, _, Same::Different) => false,
            // Without results of ours beside it, a file of the same content is another's.
            (Same::Absent, Same::Absent, Same::Absent) | (Same::Equal, _, _) => true,
            (Same::Absent, _, _) => false,
        })
    }

    /// Takes the names one after the other.
    fn take(&self, claim: &Claim, draft: &Draft, copy: &Part) -> Result<Take, CsvError> {
        step("begin");
        if !publish(&draft.results, &self.results)? {
            return Ok(Take::Late);
        }
        step("results");
        if let Some(rejected) = &draft.rejected {
            publish_alone(rejected, &self.rejected)?;
        }
        step("rejected");
        if !self.move_input(claim, copy, &draft.sha256)? {
            // What is told of its rows so far will be told again.
            let told = [Some(&self.results), draft.rejected.as_ref().map(|_| &self.rejected)];
            for told in told.into_iter().flatten() {
                fs::remove_file(told).map_err(CsvError::unwritable(told))?;
            }
            return Ok(Take::Changed);
        }
        step("input");
        claim.end();
        step("end");
        Ok(Take::Taken)
    }

    /// Moves the file if it still is the one that the results tell of; else leaves it in its place, and answers false.
    /// Somebody may write to it at any moment, so it is looked at once more where it has got to.
    fn move_input(&self, claim: &Claim, copy: &Part, sha256: &str) -> Result<bool, CsvError> {
        let unwritable = CsvError::unwritable(&self.input);
        let (from, to) = (&claim.path, &self.input);
        let is_it =
            |path: &Path| Ok::<_, CsvError>(hash(path).map_err(CsvError::unreadable(path))? == sha256);
        let remove = |path: &Path| fs::remove_file(path).map_err(CsvError::unwritable(path));
        if !is_it(from)? {
            return Ok(false);
        }
        if same_content(to, from)? == Same::Equal {
            // An earlier try copied it and died.
            remove(from)?;
        } else {
            step("move");
            match rename_new(from, to) {
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    let copied = fs::copy(from, copy.path());
                    copied.and_then(|_| File::open(copy.path())?.sync_all()).map_err(&unwritable)?;
                    publish_alone(copy, to)?;
                    step("copy");
                    if !is_it(to)? || !is_it(from)? {
                        remove(to)?;
                        return Ok(false);
                    }
                    remove(from)?;
                }
                renamed => {
                    renamed.map_err(&unwritable)?;
                    if !is_it(to)? {
                        rename_new(to, from).map_err(CsvError::unwritable(from))?;
                        return Ok(false);
                    }
                }
            }
        }
        sync_folder(to).and_then(|()| sync_folder(from)).map_err(unwritable)?;
        Ok(true)
    }
}

/// What taking a slot came to.
enum Take {
    Taken,
    /// Another process was quicker with the first name.
    Late,
    /// The file has changed since its rows were read.
    Changed,
}

/// As [`publish`], where nobody else can have taken the name but by hand.
fn publish_alone(part: &Part, to: &Path) -> Result<(), CsvError> {
    if publish(part, to)? {
        Ok(())
    } else {
        Err(CsvError::unwritable(to)(io::ErrorKind::AlreadyExists.into()))
    }
}

/// Gives a durable part its name, durably; false if something else has it.
fn publish(part: &Part, to: &Path) -> Result<bool, CsvError> {
    match rename_new(part.path(), to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Ok(same_content(to, part.path())? == Same::Equal);
        }
        Err(error) => return Err(CsvError::unwritable(to)(error)),
    }
    sync_folder(to).map_err(CsvError::unwritable(to))?;
    Ok(true)
}

/// Renames, never over something. A file system that cannot promise it is asked first.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            if to.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        renamed => Ok(renamed?),
    }
}

fn sync_folder(file: &Path) -> io::Result<()> {
    File::open(file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
        .sync_all()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Same {
    Absent,
    Equal,
    Different,
}

fn same_content(there: &Path, ours: &Path) -> Result<Same, CsvError> {
    match fs::symlink_metadata(there) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Same::Absent),
        Err(error) => return Err(CsvError::unwritable(there)(error)),
        Ok(found) if !found.is_file() => return Ok(Same::Different),
        Ok(_) => {}
    }
    let there = hash(there).map_err(CsvError::unreadable(there))?;
    let ours = hash(ours).map_err(CsvError::unreadable(ours))?;
    Ok(if there == ours { Same::Equal } else { Same::Different })
}

fn hash(path: &Path) -> io::Result<String> {
    let (mut file, mut hasher, mut piece) = (File::open(path)?, Hasher::default(), vec![0; 64 << 10]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&piece[..count]),
        }
    }
}

/// Where tests kill the process.
#[cfg(not(test))]
fn step(_: &str) {}
#[cfg(test)]
use super::tests::step;
