//! Which files wait, and whether they have stopped growing.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::claim;
use super::error::CsvError;
use super::finish::Folders;

/// A file as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub path: PathBuf,
    size: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl Waiting {
    fn new(path: PathBuf, metadata: &Metadata) -> Self {
        Self { path, size: metadata.len(), modified: metadata.modified().ok(), inode: metadata.ino() }
    }
}

/// The file at the path, or the `.csv` files in it if it is a folder, by name. What is equal at a second look has not
/// grown meanwhile.
pub fn waiting(path: &Path, folders: &Folders) -> Result<Vec<Waiting>, CsvError> {
    let unreadable = CsvError::unreadable(path);
    // A link is followed first: what is moved in the end is the file, not the link.
    let path = fs::canonicalize(path).map_err(&unreadable)?;
    let metadata = fs::metadata(&path).map_err(&unreadable)?;
    if !metadata.is_dir() {
        return Ok(vec![Waiting::new(path, &metadata)]);
    }
    if folders.contain(&path) {
        return Err(CsvError::OwnFolder(path));
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(&path).map_err(&unreadable)? {
        let entry = entry.map_err(&unreadable)?;
        claim::clear_orphan(&entry.path());
        // A file may go while the folder is read.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() && is_csv(&entry.path()) {
            files.push(Waiting::new(entry.path(), &metadata));
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// Hidden files are those that somebody is still writing under a name of their own.
fn is_csv(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}
