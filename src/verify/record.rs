//! A run's record: its chains, its heads, its seals, and what its lines say of meetings.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::Path;

use recapture_core::evidence::{self, Entry, FileEnd, Head, Line, MeetingEnd, Met, Purged, Seal, SealFault};
use recapture_core::meeting::MeetingUuid;
use recapture_core::reason::Outcome;
use recapture_core::run::RunId;
use recapture_core::signature::PublicKey;

use super::findings::{Counted, Fault, Finding};
use super::place;
use super::sums::{Books, Listings};

/// How the meetings of a run ended.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pub(super) by_meeting: HashMap<MeetingUuid, End>,
}

/// Of all the ends of one meeting in one run: the last, and which outcomes there were.
#[derive(Debug, Default)]
pub(super) struct End {
    pub(super) outcomes: BTreeSet<&'static str>,
    /// There is, or was, a manifest.
    pub(super) stored: bool,
    pub(super) purged: bool,
    pub(super) folder: Option<String>,
    pub(super) manifest_sha256: Option<String>,
    /// For records that do not tell the manifest's hash.
    pub(super) files: Vec<FileEnd>,
    fence: u64,
}

impl Ends {
    pub(super) fn ended(&mut self, end: MeetingEnd) {
        let known = self.by_meeting.entry(end.meeting).or_default();
        known.outcomes.insert(end.outcome.as_str());
        if end.manifest.is_none() || end.fence < known.fence {
            return;
        }
        known.stored = true;
        known.fence = end.fence;
        known.files = if end.manifest_sha256.is_none() { end.files } else { Vec::new() };
        known.manifest_sha256 = end.manifest_sha256;
        known.folder = end.folder;
    }

    pub(super) fn purged(&mut self, purged: &Purged) {
        let known = self.by_meeting.entry(purged.meeting.clone()).or_default();
        (known.stored, known.purged) = (true, true);
        known.folder.get_or_insert_with(|| purged.folder.clone());
    }

    pub(super) fn with(&self, outcome: Outcome) -> impl Iterator<Item = &MeetingUuid> {
        self.by_meeting
            .iter()
            .filter(move |(_, end)| end.outcomes.contains(outcome.as_str()))
            .map(|(meeting, _)| meeting)
    }
}

/// A record that was read and checked by itself.
pub(super) struct Record {
    pub(super) ends: Ends,
    pub(super) books: Books,
    pub(super) findings: Vec<Finding>,
    pub(super) notes: Vec<String>,
    pub(super) counted: Counted,
}

/// Where a closing line stands, and what it names.
struct Closing {
    writer: String,
    number: u64,
    heads: Vec<Head>,
}

struct Reading<'a> {
    run: &'a RunId,
    folder: &'a Path,
    record: Record,
    listings: Listings,
    closings: Vec<Closing>,
    /// Writer → how many lines, and the hashes of those that a seal asks for.
    files: BTreeMap<String, (u64, HashMap<u64, String>)>,
}

impl Record {
    /// Reads all of a run's record; fails only where the disk does.
    pub(super) fn check(folder: &Path, run: &RunId, expected: Option<&PublicKey>) -> io::Result<Self> {
        let mut reading = Reading {
            run,
            folder,
            record: Self {
                ends: Ends::default(),
                books: Books::default(),
                findings: Vec::new(),
                notes: Vec::new(),
                counted: Counted { runs: 1, ..Counted::default() },
            },
            listings: Listings::new(folder),
            closings: Vec::new(),
            files: BTreeMap::new(),
        };
        let seals = reading.read_seals(expected)?;
        let asked = asked(&seals);
        for path in evidence::files(folder, "jsonl")? {
            reading.read_lines(&path, &asked)?;
        }
        for seal in &seals {
            reading.check_heads(&seal.statement.heads, "a seal")?;
        }
        for closing in std::mem::take(&mut reading.closings) {
            reading.check_closing(&closing, &seals)?;
        }
        reading.note_open_ends(&seals);
        let Reading { mut record, listings, .. } = reading;
        listings.end(run, &mut record);
        Ok(record)
    }
}

/// The lines whose hashes the seals tell, by writer.
fn asked(seals: &[Seal]) -> HashMap<String, BTreeSet<u64>> {
    let mut asked: HashMap<String, BTreeSet<u64>> = HashMap::new();
    for head in seals.iter().flat_map(|seal| &seal.statement.heads) {
        asked.entry(head.writer.clone()).or_default().insert(head.lines);
    }
    asked
}

impl Reading<'_> {
    fn found(&mut self, fault: Fault, path: String, detail: impl Into<String>) {
        self.record.findings.push(Finding::new(fault, path, detail));
    }

    fn read_seals(&mut self, expected: Option<&PublicKey>) -> io::Result<Vec<Seal>> {
        let mut seals = Vec::new();
        for path in evidence::files(self.folder, "seal")? {
            let place = place(self.run, &path);
            let seal = match evidence::read_seal(&path, self.run) {
                Ok(seal) => seal,
                Err(fault) => {
                    let kind = match fault {
                        SealFault::BadSignature => Fault::SignatureBad,
                        SealFault::Unreadable(_) | SealFault::OtherRun(_) => Fault::SealUnreadable,
                    };
                    self.found(kind, place, fault.to_string());
                    continue;
                }
            };
            self.record.counted.seals += 1;
            match (&seal.signed_by, expected) {
                (None, Some(_)) => {
                    self.found(Fault::SignatureForeign, place, "it bears no signature");
                }
                (Some(key), Some(expected)) if key != expected => {
                    self.found(Fault::SignatureForeign, place, format!("the key {key} signed it"));
                }
                (key, _) => self.record.counted.keys.extend(key.as_ref().map(ToString::to_string)),
            }
            seals.push(seal);
        }
        Ok(seals)
    }

    fn read_lines(&mut self, path: &Path, asked: &HashMap<String, BTreeSet<u64>>) -> io::Result<()> {
        let place = place(self.run, path);
        let writer = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let asked = asked.get(&writer);
        let (mut lines, mut hashes, mut last) = (0, HashMap::new(), None);
        self.listings.begin();
        evidence::read_file(path, self.run, |met| match met {
            Met::Line { number, line, sha256 } => {
                lines = number;
                if asked.is_some_and(|asked| asked.contains(&number)) {
                    hashes.insert(number, sha256.clone());
                }
                last = Some(sha256);
                self.take(&writer, number, *line);
            }
            Met::Broken { number, detail } => {
                lines = number;
                self.found(Fault::LineBroken, place.clone(), format!("line {number}: {detail}"));
            }
            Met::Unfinished { number } => {
                self.record
                    .notes
                    .push(format!("{place}: line {number} was never finished, and does not count"));
            }
        })?;
        hashes.extend(last.map(|last| (lines, last)));
        self.record.counted.writers += 1;
        self.record.counted.lines += lines;
        self.files.insert(writer, (lines, hashes));
        Ok(())
    }

    fn take(&mut self, writer: &str, number: u64, line: Line) {
        match line.entry {
            Entry::Listed(page) => self.listings.page(self.run, &page, &mut self.record),
            Entry::Slice { .. } | Entry::Requested { .. } | Entry::Verdict(_) => {
                self.listings.book(self.run, line.entry, &mut self.record);
            }
            Entry::Attempt(_)
            | Entry::Controlled(_)
            | Entry::Retried(_)
            | Entry::Covered { .. }
            | Entry::Uncovered { .. }
            | Entry::Input { .. }
            | Entry::Instances { .. } => {}
            Entry::Ended(end) => self.record.ends.ended(end),
            Entry::Purged(purged) => self.record.ends.purged(&purged),
            Entry::Closed { state, counts, heads, .. } => {
                self.record.books.closed(line.at, state, counts);
                self.closings.push(Closing { writer: writer.to_owned(), number, heads });
            }
        }
    }

    fn check_heads(&mut self, heads: &[Head], by: &str) -> io::Result<()> {
        for head in heads {
            let path = self.folder.join(format!("{}.jsonl", head.writer));
            let place = place(self.run, &path);
            let Some((lines, hashes)) = self.files.get_mut(&head.writer) else {
                self.found(Fault::WriterLacking, place, format!("{by} names it, with {} lines", head.lines));
                continue;
            };
            if *lines < head.lines {
                let detail = format!("it has {lines} lines, {by} counted {}", head.lines);
                self.found(Fault::LinesLacking, place, detail);
                continue;
            }
            if !hashes.contains_key(&head.lines) {
                // A closing line speaks of files that have grown since: their hash there was not kept.
                hashes.extend(hash_of(&path, self.run, head.lines)?.map(|hash| (head.lines, hash)));
            }
            if hashes.get(&head.lines) != Some(&head.sha256) {
                let detail = format!("line {} is not the one that {by} names", head.lines);
                self.found(Fault::LinesChanged, place, detail);
            }
        }
        Ok(())
    }

    fn check_closing(&mut self, closing: &Closing, seals: &[Seal]) -> io::Result<()> {
        self.check_heads(&closing.heads, "the closing line")?;
        let covers = |head: &Head| head.writer == closing.writer && head.lines >= closing.number;
        let sealed = seals.iter().flat_map(|seal| &seal.statement.heads).any(covers);
        // Versions that sealed nothing named no heads either.
        if !sealed && !closing.heads.is_empty() {
            let place = format!("runs/{}/{}.seal", self.run, closing.writer);
            let detail = "the run was closed, and no seal says so: the seal was removed, or the process died before it wrote it";
            self.found(Fault::SealLacking, place, detail);
        }
        Ok(())
    }

    fn note_open_ends(&mut self, seals: &[Seal]) {
        let run = self.run;
        if self.record.books.closing.is_none() {
            self.record.notes.push(format!("run {run} is not closed: it is under way, or its process died"));
        }
        for (writer, (lines, _)) in &self.files {
            let heads = seals.iter().flat_map(|seal| &seal.statement.heads);
            let sealed = heads.filter(|head| head.writer == *writer).map(|head| head.lines).max();
            let open = lines.saturating_sub(sealed.unwrap_or_default());
            if open > 0 {
                self.record.notes.push(format!(
                    "runs/{run}/{writer}.jsonl: no seal names the last {open} lines; that they are all there cannot be told"
                ));
            }
        }
    }
}

fn hash_of(path: &Path, run: &RunId, wanted: u64) -> io::Result<Option<String>> {
    let mut found = None;
    evidence::read_file(path, run, |met| {
        if let Met::Line { number, sha256, .. } = met
            && number == wanted
        {
            found = Some(sha256);
        }
    })?;
    Ok(found)
}
