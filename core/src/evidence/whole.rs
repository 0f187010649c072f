//! Small files that are there whole or not at all: kept answers and seals.
//!
//! A file is written beside its place as `.<name>.<chance>.part`, made durable, and renamed. Its writer holds a lock on
//! the part meanwhile, which ends with the process: so a part that can be locked is one whose writer died, and whoever
//! comes next [clears](clear_dead) it away.
//!
//! Accepted: between the creation of a part and its lock another process may take it for dead. The writer finds its
//! part gone when it renames, and writes anew.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::failpoint;

/// How often a part may be taken away before that is an error.
const TRIES: u32 = 5;

/// Writes a file, replacing one that is there; returns once it is durable under its name.
pub(super) fn put(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let path = folder.join(name);
    let [at_part, at_name] = if Path::new(name).extension().is_some_and(|kind| kind == "seal") {
        ["seal-part", "seal-renamed"]
    } else {
        ["answer-part", "answer-renamed"]
    };
    let mut tries = 1;
    loop {
        let part = folder.join(format!(".{name}.{:x}.part", fastrand::u64(..)));
        let written = write(&part, bytes).and_then(|lock| {
            failpoint::reach(at_part);
            std::fs::rename(&part, &path).map(|()| drop(lock))
        });
        match written {
            Ok(()) => {
                failpoint::reach(at_name);
                return File::open(folder)?.sync_all();
            }
            Err(error) if error.kind() == ErrorKind::NotFound && tries < TRIES => tries += 1,
            Err(error) => {
                let _ = std::fs::remove_file(&part);
                return Err(error);
            }
        }
    }
}

/// The part, written and durable; whoever holds the answer holds its lock.
fn write(part: &Path, bytes: &[u8]) -> std::io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
    // Where the file system has no locks, parts of the dead stay, and do no harm.
    match file.lock() {
        Err(error) if error.kind() != ErrorKind::Unsupported => return Err(error),
        _ => {}
    }
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(file)
}

/// Takes away the parts of writers that are no more. A folder that is not there has none.
pub(super) fn clear_dead(folder: &Path) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if !(name.starts_with(b".") && name.ends_with(b".part")) {
            continue;
        }
        // One that is gone by now was renamed, or cleared by somebody else.
        let Ok(part) = File::open(entry.path()) else { continue };
        if part.try_lock().is_ok() {
            match std::fs::remove_file(entry.path()) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "a.seal", b"old").unwrap();
        put(folder.path(), "a.seal", b"new").unwrap();
        assert_eq!(std::fs::read(folder.path().join("a.seal")).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["a.seal"]);
    }

    #[test]
    fn only_parts_of_the_dead_are_cleared() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "a.seal", b"whole").unwrap();
        let living = write(&folder.path().join(".b.1.part"), b"half").unwrap();
        drop(write(&folder.path().join(".c.2.part"), b"half").unwrap());
        clear_dead(folder.path()).unwrap();
        assert_eq!(names(folder.path()), [".b.1.part", "a.seal"]);
        drop(living);
        clear_dead(folder.path()).unwrap();
        assert_eq!(names(folder.path()), ["a.seal"]);
        clear_dead(&folder.path().join("not there")).unwrap();
    }

    #[test]
    fn clearing_costs_no_writer_its_file() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let folder = folder.path();
                    scope.spawn(move || {
                        for file in 0..50 {
                            put(folder, &format!("{writer}-{file}"), b"whole").unwrap();
                        }
                    })
                })
                .collect();
            while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                clear_dead(folder.path()).unwrap();
            }
        });
        assert_eq!(names(folder.path()).len(), 200);
    }
}
