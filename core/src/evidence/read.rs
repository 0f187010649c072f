//! Reading a run's record back, and checking that it is what was written.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::Line;
use crate::bounded::{self, LONGEST_LINE, LineRead};
use crate::run::RunId;

/// A record that does not hold together.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EvidenceError {
    #[error("{path} cannot be read: {detail}")]
    Unreadable { path: String, detail: String },
    #[error("{path}, line {line}: {detail}")]
    Broken { path: String, line: u64, detail: String },
}

/// What is met on the way through a file, in the order of its lines, which count from 1.
#[derive(Debug)]
pub enum Met {
    /// A line that follows from the one before it, and the hash of its text.
    Line { number: u64, line: Box<Line>, sha256: String },
    /// What is wrong with a line. Reading goes on behind it: the next line is held against this one as it is.
    Broken { number: u64, detail: String },
    /// Text without a line end: a line that a crash cut off, or one that is being written.
    Unfinished { number: u64 },
}

/// The files of a run's record with that extension, in the order of their names.
pub fn files(folder: &Path, extension: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads one file from end to end; fails only where the disk does.
pub fn read_file(path: &Path, run: &RunId, mut meet: impl FnMut(Met)) -> std::io::Result<()> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut prev = super::chain::root(run, &stem);
    let mut file = BufReader::new(File::open(path)?);
    let mut text = Vec::new();
    for number in 1.. {
        let Some(LineRead { sha256, ended, too_long }) = bounded::line(&mut file, &mut text, LONGEST_LINE)?
        else {
            break;
        };
        if !ended {
            meet(Met::Unfinished { number });
            break;
        }
        if too_long {
            let detail = format!("it is longer than {LONGEST_LINE} bytes: no line of evidence is");
            meet(Met::Broken { number, detail });
            prev = sha256;
            continue;
        }
        meet(match serde_json::from_slice::<Line>(&text) {
            Err(error) => Met::Broken { number, detail: format!("it is no line of evidence: {error}") },
            Ok(line) if line.prev != prev => Met::Broken {
                number,
                detail: "it does not follow from the line before: something was changed, added or removed"
                    .to_owned(),
            },
            Ok(line) if line.seq + 1 != number => {
                Met::Broken { number, detail: format!("it says that it is line {}", line.seq + 1) }
            }
            Ok(line) => Met::Line { number, line: Box::new(line), sha256: sha256.clone() },
        });
        prev = sha256;
    }
    Ok(())
}

/// Reads a run's record in a folder, file by file, checks each chain, and gives every line to `take`. A file that
/// is still being written is read up to its last whole line.
pub fn read(folder: &Path, run: &RunId, mut take: impl FnMut(Line)) -> Result<(), EvidenceError> {
    let unreadable = |path: &Path, error: &std::io::Error| EvidenceError::Unreadable {
        path: path.display().to_string(),
        detail: error.to_string(),
    };
    for path in files(folder, "jsonl").map_err(|error| unreadable(folder, &error))? {
        let mut broken = None;
        let read = read_file(&path, run, |met| match met {
            Met::Line { line, .. } if broken.is_none() => take(*line),
            Met::Broken { number, detail } => _ = broken.get_or_insert((number, detail)),
            Met::Line { .. } | Met::Unfinished { .. } => {}
        });
        read.map_err(|error| unreadable(&path, &error))?;
        if let Some((line, detail)) = broken {
            return Err(EvidenceError::Broken { path: path.display().to_string(), line, detail });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::Write;

    use super::*;

    /// Half a gigabyte without a line end, in front of a line: neither is taken for one, and reading goes on behind it.
    #[test]
    fn a_line_of_any_length_is_told_and_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.jsonl");
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
        file.set_len(512 << 20).unwrap();
        file.write_all(b"\n{}\n").unwrap();
        let mut met = Vec::new();
        let run = RunId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        read_file(&path, &run, |found| match found {
            Met::Broken { number, detail } => met.push((number, detail.contains("longer than"))),
            other => panic!("{other:?}"),
        })
        .unwrap();
        assert_eq!(met, [(1, true), (2, false)]);
    }
}
