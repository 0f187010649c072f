//! What has to stand in the buffer, in the data access service and in the books, worked out from the simulator's
//! truth alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use recapture_simulator::{Capture, FileState, TruthFile, TruthMeeting};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::harness::{Bench, walk};

/// What one meeting's recovery has to bring.
pub(crate) struct Wanted {
    pub(crate) meeting: TruthMeeting,
    pub(crate) files: Vec<TruthFile>,
}

impl Bench {
    /// The meetings that the platform lacked, wholly or in part, when the simulator started.
    pub(crate) fn wanted(&self) -> Vec<Wanted> {
        let wanted = |meeting: TruthMeeting| {
            let files = match meeting.class {
                Capture::Captured => return None,
                Capture::Missing => meeting.files.iter().chain(&meeting.attachments).cloned().collect(),
                Capture::Incomplete => lacking(&meeting),
            };
            Some(Wanted { meeting, files })
        };
        self.simulator.truth().filter_map(wanted).collect()
    }

    /// Every wanted meeting that Zoom can give is in the buffer, byte for byte, and registered.
    pub(crate) fn assert_all_recovered(&self) {
        for wanted in self.wanted() {
            if wanted.available().count() > 0 {
                self.assert_recovered(&wanted);
            }
        }
        if !self.is_on_s3() {
            self.assert_private();
        }
        assert_eq!(self.parts(), Vec::<PathBuf>::new());
        self.assert_verifies();
    }

    /// Whatever happened on the way, the evidence holds together and the files are those that it names.
    #[track_caller]
    fn assert_verifies(&self) {
        let verified = self.command(&["verify"]).into_std().output().unwrap();
        let said = String::from_utf8_lossy(&verified.stdout);
        assert_eq!(verified.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&verified.stderr));
    }

    /// What stood in the way is gone: the same command recovers everything.
    pub(crate) async fn assert_mended(&self) {
        let run = self.recover().await.exits(0);
        assert_balanced(&run.counts());
        self.assert_all_recovered();
    }

    /// Nothing was fetched or registered.
    pub(crate) fn assert_untouched(&self) {
        let seen = self.simulator.counts();
        assert_eq!((seen.downloads_started, seen.das_puts.len()), (0, 0));
        assert!(self.final_files().is_empty());
    }

    pub(crate) fn assert_recovered(&self, wanted: &Wanted) {
        let folder = self.meeting_folder(&wanted.meeting);
        let manifest = read_json(&folder.join("manifest.json"));
        let whole = wanted.available().count() == wanted.files.len();
        let uuid = &wanted.meeting.uuid;
        assert_eq!(manifest["schema"], "recapture.manifest/1", "{uuid}");
        assert_eq!(manifest["contact"]["source_id"], uuid.as_str());
        assert_eq!(manifest["state"], if whole { "complete" } else { "partial" }, "{uuid}");
        let records = by_id(&manifest["files"]);
        assert_eq!(
            records.keys().collect::<BTreeSet<_>>(),
            wanted.files.iter().map(|file| &file.id).collect::<BTreeSet<_>>(),
            "{uuid}"
        );
        let contact = self.simulator.das_contact(uuid);
        let media = by_id(&contact.unwrap_or_else(|| panic!("{uuid} is not registered"))["media"]);
        let mut names = BTreeSet::from(["manifest.json".to_owned()]);
        for file in &wanted.files {
            names.extend(self.assert_file(file, &folder, &records[&file.id], &media[&file.id]));
        }
        assert_eq!(names_in(&folder), names, "{uuid}");
    }

    /// One file on disk, in the manifest and at the platform; gives the name that it has on disk.
    fn assert_file(&self, file: &TruthFile, folder: &Path, record: &Value, medium: &Value) -> Option<String> {
        if file.state != FileState::Completed {
            assert_eq!(record["state"], "unavailable", "{record}");
            assert!(record["reason"].is_string(), "{record}");
            assert_eq!(medium["state"], "unavailable", "{medium}");
            return None;
        }
        let sha256 = self.simulator.file_sha256(&file.id).unwrap();
        for told in [record, medium] {
            assert_eq!(told["state"], "available", "{told}");
            assert_eq!(told["size"], file.size, "{told}");
            assert_eq!(told["sha256"], sha256.as_str(), "{told}");
        }
        let name = record["path"].as_str().unwrap();
        assert_eq!(sha256_of(&folder.join(name)), sha256, "{name}");
        Some(name.to_owned())
    }

    /// Nothing in the buffer can be read by anybody else.
    fn assert_private(&self) {
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&self.buffer()), 0o700);
        walk(&self.buffer(), &mut |path, kind| {
            let expected = if kind.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(path), expected, "{}", path.display());
        });
    }

    /// Nothing stands under a final name that is not the file of that id, whole.
    pub(crate) fn assert_final_names_verify(&self) {
        for (id, path) in self.final_files() {
            let expected = self.simulator.file_sha256(&id);
            let expected = expected.unwrap_or_else(|| panic!("{} is no file", path.display()));
            assert_eq!(sha256_of(&path), expected, "{}", path.display());
        }
    }

    /// Everything that was given a final name, manifests included, as it was put there: by which file and when. The same
    /// again under a name, whatever its bytes, is another.
    pub(crate) fn commits(&self) -> BTreeMap<PathBuf, (u64, i64, i64)> {
        let mut commits = BTreeMap::new();
        walk(&self.buffer().join("meetings"), &mut |path, kind| {
            let name = path.file_name().unwrap().to_str().unwrap();
            if kind.is_file() && !name.starts_with('.') {
                let seen = std::fs::metadata(path).unwrap();
                commits.insert(path.to_owned(), (seen.ino(), seen.mtime(), seen.mtime_nsec()));
            }
        });
        commits
    }

    /// The files of meetings that stand under a final name, by their id.
    pub(crate) fn final_files(&self) -> BTreeMap<String, PathBuf> {
        let mut files = BTreeMap::new();
        walk(&self.buffer().join("meetings"), &mut |path, kind| {
            let name = path.file_name().unwrap().to_str().unwrap();
            if kind.is_file() && name != "manifest.json" && !name.starts_with('.') {
                files.insert(path.file_stem().unwrap().to_str().unwrap().to_owned(), path.to_owned());
            }
        });
        files
    }

    pub(crate) fn meeting_folder(&self, meeting: &TruthMeeting) -> PathBuf {
        let key = meeting.uuid.replace('/', "_").replace('+', "-");
        let day = meeting.start_time.format("meetings/%Y/%m/%d").to_string();
        self.buffer().join(day).join(key.trim_end_matches('='))
    }

    /// The books of the first run over the whole scenario, if nothing fails.
    pub(crate) fn expected_counts(&self) -> BTreeMap<String, u64> {
        let class = |class| self.simulator.truth().filter(|meeting| meeting.class == class).count() as u64;
        let (present, incomplete, missing) =
            (class(Capture::Captured), class(Capture::Incomplete), class(Capture::Missing));
        let wanted = self.wanted();
        let recovered = wanted.iter().filter(|wanted| wanted.available().count() > 0).count() as u64;
        let files = || wanted.iter().flat_map(Wanted::available);
        counts(&[
            ("listed", present + incomplete + missing),
            ("present", present),
            ("incomplete", incomplete),
            ("missing", missing),
            ("detected", incomplete + missing),
            ("recovered", recovered),
            ("unavailable", incomplete + missing - recovered),
            ("files", files().count() as u64),
            ("bytes", files().map(|file| file.size).sum()),
        ])
    }
}

impl Wanted {
    /// What Zoom can give.
    pub(crate) fn available(&self) -> impl Iterator<Item = &TruthFile> {
        self.files.iter().filter(|file| file.state == FileState::Completed)
    }
}

/// A run's counts: these, and zero for all others.
pub(crate) fn counts(given: &[(&str, u64)]) -> BTreeMap<String, u64> {
    const ALL: [&str; 14] = [
        "listed",
        "present",
        "incomplete",
        "missing",
        "excluded",
        "indeterminate",
        "detected",
        "recovered",
        "failed",
        "unavailable",
        "expired",
        "pending",
        "files",
        "bytes",
    ];
    let mut counts: BTreeMap<_, _> = ALL.map(|name| (name.to_owned(), 0)).into();
    for (name, count) in given {
        *counts.get_mut(*name).unwrap() = *count;
    }
    counts
}

#[track_caller]
pub(crate) fn assert_balanced(counts: &BTreeMap<String, u64>) {
    let sum = |names: &[&str]| names.iter().map(|name| counts[*name]).sum::<u64>();
    let of_listed = sum(&["present", "incomplete", "missing", "excluded", "indeterminate"]);
    assert_eq!(counts["listed"], of_listed, "{counts:?}");
    assert_eq!(counts["detected"], sum(&["missing", "incomplete"]), "{counts:?}");
    let of_detected = sum(&["recovered", "failed", "unavailable", "expired", "pending"]);
    assert_eq!(counts["detected"], of_detected, "{counts:?}");
}

/// Of an incomplete meeting: what Zoom lists as complete and the platform did not have.
fn lacking(meeting: &TruthMeeting) -> Vec<TruthFile> {
    let lacks = |file: &&TruthFile| !file.captured && file.state != FileState::Failed;
    meeting.files.iter().filter(lacks).cloned().collect()
}

pub(crate) fn read_json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

fn by_id(files: &Value) -> BTreeMap<String, Value> {
    let files = files.as_array().unwrap_or_else(|| panic!("{files} is no list")).iter();
    files.map(|file| (file["file_id"].as_str().unwrap().to_owned(), file.clone())).collect()
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

pub(crate) fn sha256_of(path: &Path) -> String {
    let mut file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut digest, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece).unwrap() {
            0 => break,
            got => digest.update(&piece[..got]),
        }
    }
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
