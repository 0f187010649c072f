//! Taking and moving, with processes that are killed between the steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::{DateTime, Duration, Utc};
use recapture_core::digest::sha256;
use recapture_core::evidence::{FileEnd, MeetingEnd, MeetingVerdict};
use recapture_core::meeting::MeetingUuid;
use recapture_core::reason::{Cause, Outcome, Reason};
use recapture_core::run::{Counts, Mode, RecoveryRun, Request, RunId, RunState};
use tempfile::TempDir;

use super::{DIE_AT, WRITE_AT};
use crate::report::{MeetingReport, Report};
use crate::trigger::csv::{Claim, Finish, Folders, waiting};

const FOLDER: &str = "RECAPTURE_TEST_FOLDER";
const PROCESSED: &str = "RECAPTURE_TEST_PROCESSED";
const RUN: &str = "01KAPV3V4Z0000000000000000";

const GONE: &str = "+aB3dE+/gHiJkL4mNoPqRg==";
const GOOD: &str = "/aB3dE//gHiJkL4mNoPqRg==";
const PRESENT: &str = "aaaaaaaaaaaaaaaaaaaaaa==";

const INPUT: &str = "meeting_uuid;topic\r\n/aB3dE//gHiJkL4mNoPqRg==;a\r\n=HYPERLINK(1);b\r\n86412345678;c\r\n\
     /aB3dE//gHiJkL4mNoPqRg==;again\r\n";
const RESULTS: &str = "line,meeting_uuid,outcome,reason,files,bytes,run_id\n\
     2,/aB3dE//gHiJkL4mNoPqRg==,recovered,archive_failed,1,9,01KAPV3V4Z0000000000000000\n\
     3,'=HYPERLINK(1),rejected,not_an_id,0,0,01KAPV3V4Z0000000000000000\n\
     4,+aB3dE+/gHiJkL4mNoPqRg==,expired,retention_over,0,0,01KAPV3V4Z0000000000000000\n\
     4,aaaaaaaaaaaaaaaaaaaaaa==,present,,0,0,01KAPV3V4Z0000000000000000\n\
     5,/aB3dE//gHiJkL4mNoPqRg==,recovered,archive_failed,1,9,01KAPV3V4Z0000000000000000\n";
const REJECTED: &str = "line,value,cause\n\
     3,'=HYPERLINK(1),\"it is neither a meeting UUID (base64, 24 characters) nor a meeting number (9 to 11 digits)\"\n";

fn uuid(text: &str) -> MeetingUuid {
    MeetingUuid::parse(text).unwrap()
}

fn verdict(meeting: &str, verdict: &str) -> MeetingReport {
    let verdict = MeetingVerdict {
        meeting: uuid(meeting),
        started_at: None,
        verdict: verdict.to_owned(),
        detail: None,
        deadline: None,
        queued_by: None,
    };
    MeetingReport { verdict: Some(verdict), ..MeetingReport::default() }
}

fn ended(meeting: &str, outcome: Outcome, cause: Option<Cause>, files: Vec<FileEnd>) -> MeetingReport {
    let end = MeetingEnd {
        meeting: uuid(meeting),
        outcome,
        cause,
        starts: 1,
        worker: String::new(),
        fence: 1,
        manifest: None,
        manifest_sha256: None,
        folder: None,
        files,
        took_ms: None,
    };
    MeetingReport { end: Some(end), ..verdict(meeting, "missing") }
}

/// A run that has finished every row of [`INPUT`].
fn report() -> Report {
    let file = |size, unavailable| FileEnd {
        file_id: "f".to_owned(),
        path: None,
        size,
        listed_size: None,
        sha256: None,
        downloaded_at: None,
        unavailable,
    };
    let failed = Cause::new(Reason::ArchiveFailed, "");
    let files = vec![file(Some(9), None), file(None, Some(failed))];
    let meetings = [
        (GOOD, ended(GOOD, Outcome::Recovered, None, files)),
        (GONE, ended(GONE, Outcome::Expired, Some(Cause::new(Reason::RetentionOver, "")), Vec::new())),
        (PRESENT, verdict(PRESENT, "present")),
    ];
    Report {
        run: run(),
        meetings: meetings.into_iter().map(|(meeting, report)| (uuid(meeting), report)).collect(),
        instances: BTreeMap::from([(86_412_345_678, vec![uuid(GONE), uuid(PRESENT)])]),
        inputs: BTreeSet::from([sha256(INPUT.as_bytes())]),
        slices: BTreeMap::new(),
        damage: Vec::new(),
        buffer: String::new(),
    }
}

fn run() -> RecoveryRun {
    RecoveryRun {
        id: RunId::parse(RUN).unwrap(),
        request: Request {
            mode: Mode::Specific,
            dry_run: false,
            requested_by: String::new(),
            reason: None,
            period: None,
            served: None,
        },
        state: RunState::Completed,
        started_at: DateTime::UNIX_EPOCH,
        finished_at: None,
        counts: Counts::default(),
        unproven: Vec::new(),
        ended_because: None,
    }
}

/// A folder with one file, and where its files go.
struct Desk {
    root: TempDir,
    _elsewhere: Option<TempDir>,
    folders: Folders,
}

impl Desk {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let processed = root.path().join("processed");
        Self::with(root, processed, None)
    }

    /// Finished files go to another file system.
    #[cfg(target_os = "linux")]
    fn across() -> Self {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
        let processed = elsewhere.path().join("processed");
        Self::with(root, processed, Some(elsewhere))
    }

    fn with(root: TempDir, processed: PathBuf, elsewhere: Option<TempDir>) -> Self {
        let folders = Folders { processed, rejected: root.path().join("rejected") };
        folders.check().unwrap();
        fs::create_dir(root.path().join("new")).unwrap();
        let desk = Self { root, _elsewhere: elsewhere, folders };
        fs::write(desk.input(), INPUT).unwrap();
        desk
    }

    fn input(&self) -> PathBuf {
        self.root.path().join("new/ids.csv")
    }

    fn claim(&self) -> Option<Claim> {
        Claim::take(&self.input()).unwrap()
    }

    fn finish(&self) -> Finish {
        self.claim().unwrap().finish(&self.folders, &report()).unwrap()
    }

    /// Runs the victim below, to which that happens at the step; answers its exit code.
    fn victim(&self, what: &str, step: &str) -> Option<i32> {
        let victim = Command::new(std::env::current_exe().unwrap())
            .args(["trigger::csv::tests::moving::victim", "--exact"])
            .env(FOLDER, self.root.path())
            .env(PROCESSED, &self.folders.processed)
            .env(what, step)
            .output()
            .unwrap();
        victim.status.code()
    }

    fn kill_at(&self, step: &str) {
        assert_eq!(self.victim(DIE_AT, step), None, "it was not killed at {step}");
    }

    /// Every file, by folder and name.
    fn files(&self) -> BTreeMap<String, String> {
        let folders =
            [self.root.path().join("new"), self.folders.processed.clone(), self.folders.rejected.clone()];
        let mut files = BTreeMap::new();
        for folder in folders {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(folder.parent().unwrap()).unwrap();
                files.insert(name.to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap());
            }
        }
        files
    }

    #[track_caller]
    fn assert_files(&self, expected: &[(&str, &str)]) {
        let expected: BTreeMap<_, _> =
            expected.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert_eq!(self.files(), expected);
    }
}

const MOVED: [(&str, &str); 3] = [
    ("processed/ids.csv", INPUT),
    ("processed/ids.results.csv", RESULTS),
    ("rejected/ids.rejected.csv", REJECTED),
];

/// Not a test of its own: what a victim does, when the tests below run this binary again.
#[test]
fn victim() {
    let (Some(root), Some(processed)) = (std::env::var_os(FOLDER), std::env::var_os(PROCESSED)) else {
        return;
    };
    let root = Path::new(&root);
    let folders = Folders { processed: processed.into(), rejected: root.join("rejected") };
    let mut claim = Claim::take(&root.join("new/ids.csv")).unwrap().unwrap();
    claim.assign(&RunId::parse(RUN).unwrap()).unwrap();
    claim.finish(&folders, &report()).unwrap();
}

#[test]
fn a_finished_file_moves_with_its_results() {
    let desk = Desk::new();
    assert!(matches!(desk.finish(), Finish::Moved { tally, rejected: Some(_), .. } if tally.rows == 4));
    desk.assert_files(&MOVED);
}

#[test]
fn a_kill_at_any_step_is_made_good_by_the_next_start() {
    for step in ["begin", "results", "rejected", "input", "end"] {
        let desk = Desk::new();
        desk.kill_at(step);
        let left = desk.files();
        let inputs =
            ["new/ids.csv", "processed/ids.csv"].map(|name| left.get(name).is_some_and(|text| text == INPUT));
        assert_eq!(inputs.iter().filter(|there| **there).count(), 1, "killed at {step}: {left:?}");
        for file in waiting(&desk.root.path().join("new"), &desk.folders).unwrap() {
            let claim = Claim::take(&file.path).unwrap().unwrap();
            assert_eq!(claim.earlier().map(RunId::as_str), Some(RUN), "killed at {step}");
            assert!(matches!(claim.finish(&desk.folders, &report()).unwrap(), Finish::Moved { .. }));
        }
        desk.assert_files(&MOVED);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_kill_between_two_file_systems_is_made_good_too() {
    let desk = Desk::across();
    desk.kill_at("copy");
    assert_eq!(desk.files()["new/ids.csv"], INPUT, "killed before it was removed");
    assert!(matches!(desk.finish(), Finish::Moved { .. }));
    desk.assert_files(&MOVED);
}

#[test]
fn nothing_is_overwritten() {
    for taken in ["processed/ids.csv", "processed/ids.results.csv", "rejected/ids.rejected.csv"] {
        let desk = Desk::new();
        let theirs = if taken == "processed/ids.csv" { INPUT } else { "theirs" };
        fs::write(desk.root.path().join(taken), theirs).unwrap();
        assert!(matches!(desk.finish(), Finish::Moved { .. }));
        desk.assert_files(&[
            (taken, theirs),
            ("processed/ids-2.csv", INPUT),
            ("processed/ids-2.results.csv", RESULTS),
            ("rejected/ids-2.rejected.csv", REJECTED),
        ]);
    }
}

#[test]
fn a_file_with_open_or_unheard_rows_stays() {
    let desk = Desk::new();
    let mut pending = report();
    pending.meetings.insert(uuid(GOOD), verdict(GOOD, "missing"));
    let mut unheard = report();
    unheard.instances.clear();
    let claim = desk.claim().unwrap();
    for (report, expected) in [(pending, (2, 0)), (unheard, (0, 1))] {
        let Finish::Open { pending, unlisted, undecided: 0, .. } =
            claim.finish(&desk.folders, &report).unwrap()
        else {
            panic!("it moved");
        };
        assert_eq!((pending, unlisted), expected);
        desk.assert_files(&[("new/ids.csv", INPUT), ("new/.ids.csv.taken", "")]);
    }
}

#[test]
fn a_file_that_was_changed_stays() {
    let desk = Desk::new();
    let changed = format!("{INPUT}{PRESENT};late\r\n");
    fs::write(desk.input(), &changed).unwrap();
    assert!(matches!(desk.finish(), Finish::Changed));
    assert_eq!(desk.files()["new/ids.csv"], changed);
    assert_eq!(desk.files().len(), 2, "nothing but the file and its marker");
}

/// What the victim's file grows by.
pub(super) fn write_late() {
    let input = Path::new(&std::env::var_os(FOLDER).unwrap()).join("new/ids.csv");
    fs::OpenOptions::new().append(true).open(input).unwrap().write_all(LATE.as_bytes()).unwrap();
}

const LATE: &str = "bbbbbbbbbbbbbbbbbbbbbb==;late\r\n";

#[track_caller]
fn assert_a_late_row_stays(desk: &Desk, step: &str) {
    assert_eq!(desk.victim(WRITE_AT, step), Some(0));
    let left = desk.files();
    assert_eq!(left["new/ids.csv"], format!("{INPUT}{LATE}"), "written at {step}");
    let names: Vec<_> = left.keys().collect();
    assert_eq!(names, ["new/.ids.csv.taken", "new/ids.csv"], "written at {step}");
}

#[test]
fn a_row_that_comes_while_the_file_moves_is_not_lost() {
    for step in ["begin", "results", "rejected", "move"] {
        assert_a_late_row_stays(&Desk::new(), step);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn nor_one_that_comes_while_it_is_copied_to_another_file_system() {
    for step in ["rejected", "move", "copy"] {
        assert_a_late_row_stays(&Desk::across(), step);
    }
}

/// They are asked for again, and after a day their file is not kept back any longer.
#[test]
fn rows_of_which_nobody_can_tell_keep_their_file_for_a_day() {
    let mut undecided = report();
    undecided.meetings.insert(uuid(PRESENT), verdict(PRESENT, "indeterminate"));
    let desk = Desk::new();
    let marker = desk.root.path().join("new/.ids.csv.taken");
    for (hours_ago, stays) in [(0, true), (23, true), (25, false)] {
        let since = Utc::now() - Duration::hours(hours_ago);
        fs::write(&marker, format!("{RUN}\n{}\n", since.to_rfc3339())).unwrap();
        let mut claim = desk.claim().unwrap();
        claim.assign(&RunId::parse(RUN).unwrap()).unwrap();
        match claim.finish(&desk.folders, &undecided).unwrap() {
            Finish::Open { pending: 0, unlisted: 0, undecided: 1, .. } => assert!(stays, "{hours_ago} h"),
            Finish::Moved { tally, .. } => {
                assert!(!stays && tally.code() == 4 && tally.outcomes["indeterminate"] == 1, "{tally}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn one_process_has_a_file_until_it_ends() {
    let desk = Desk::new();
    let mut first = desk.claim().unwrap();
    assert!(desk.claim().is_none());
    first.assign(&RunId::parse(RUN).unwrap()).unwrap();
    drop(first);
    let second = desk.claim().unwrap();
    assert_eq!(second.earlier().map(RunId::as_str), Some(RUN));
    assert!(matches!(second.finish(&desk.folders, &report()).unwrap(), Finish::Moved { .. }));
    assert!(desk.claim().is_none(), "it is gone");
    desk.assert_files(&MOVED);
}

#[test]
fn the_folder_of_finished_files_is_none_of_new_ones() {
    let desk = Desk::new();
    let refusal = waiting(&desk.folders.processed, &desk.folders).unwrap_err();
    assert!(refusal.to_string().contains("csv.processed"), "{refusal}");
}
