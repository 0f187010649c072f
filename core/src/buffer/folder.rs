//! The buffer in a local folder.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::error::BufferError;
use super::facts::{FileFacts, Reading};
use super::folder_writer::FolderWriter;
use super::layout::MeetingFolder;
use super::manifest::{LARGEST_MANIFEST, Manifest, ManifestState, ManifestVersion, StoredManifest};
use super::room::{Lack, Promised, Reservation};
use crate::bounded;
use crate::contact::Contact;
use crate::digest;
use crate::failpoint;
use crate::run::RunId;

pub(super) const MANIFEST: &str = "manifest.json";

/// Kept free on the file system, for the manifests, the databases and the system itself.
const RESERVE: u64 = 64 << 20;

/// Tells the parts of this process apart; the process id and the start's chance tell processes apart.
static PARTS: AtomicU64 = AtomicU64::new(0);

/// When the names in a folder, this one and those of the files before it, are made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Durable,
    Later,
}

#[derive(Debug, Clone)]
pub struct FolderBuffer {
    root: PathBuf,
    /// Unique to this opening: part of every part name.
    nonce: u64,
    promised: Promised,
}

impl FolderBuffer {
    pub(super) async fn open(root: PathBuf) -> Result<Self, BufferError> {
        let buffer = Self { root, nonce: fastrand::u64(..), promised: Promised::default() };
        let root = buffer.root.clone();
        blocking(&buffer.root, move || {
            create_folders(&root)?;
            if root.is_dir() { Ok(()) } else { Err(io::Error::from(io::ErrorKind::NotADirectory)) }
        })
        .await?;
        Ok(buffer)
    }

    pub(super) async fn open_to_read(root: PathBuf) -> Result<Self, BufferError> {
        let buffer = Self { root, nonce: fastrand::u64(..), promised: Promised::default() };
        let root = buffer.root.clone();
        let there = blocking(&buffer.root, move || match std::fs::read_dir(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            read => read.map(|_| true),
        });
        if there.await? {
            Ok(buffer)
        } else {
            Err(BufferError::Absent { path: buffer.root.display().to_string() })
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) async fn check(&self) -> Result<Option<u64>, BufferError> {
        let probe = self.root.join(format!(".probe.{:x}", self.nonce));
        let (root, path) = (self.root.clone(), probe.clone());
        blocking(&probe, move || {
            let mut file = create_new(&path)?;
            file.write_all(b"recapture")?;
            file.sync_all()?;
            std::fs::remove_file(&path)?;
            free_bytes(&root).map(Some)
        })
        .await
    }

    pub(super) async fn reserve(&self, bytes: u64) -> Result<Reservation, BufferError> {
        if let Some(taken) = self.promised.take_of_plenty(bytes, Instant::now()) {
            return Ok(taken);
        }
        let (root, promised) = (self.root.clone(), self.promised.clone());
        let usable = move || Ok(free_bytes(&root)?.saturating_sub(RESERVE));
        let taken = blocking(&self.root, move || promised.take(bytes, usable)).await?;
        taken.map_err(|Lack { free, promised }| BufferError::Full {
            path: self.root.display().to_string(),
            detail: format!(
                "{bytes} bytes are needed, {free} are free beside {RESERVE} that are kept for the system, and \
                 downloads under way will take {promised} of them"
            ),
        })
    }

    pub(super) async fn manifest(
        &self,
        meeting: &MeetingFolder,
    ) -> Result<Option<StoredManifest>, BufferError> {
        let path = self.folder(meeting).join(MANIFEST);
        let read = path.clone();
        let found = blocking(&path, move || match bounded::read(&read, LARGEST_MANIFEST) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Some(Err(error.to_string()))),
            other => Ok(absent_is_none(other)?.map(Ok)),
        });
        let text = match found.await? {
            None => return Ok(None),
            Some(Ok(text)) => text,
            Some(Err(detail)) => {
                return Err(BufferError::UnreadableManifest { path: path.display().to_string(), detail });
            }
        };
        let manifest = Manifest::parse(&text, || path.display().to_string())?;
        let sha256 = digest::sha256(&text);
        Ok(Some(StoredManifest { manifest, version: ManifestVersion(Some(sha256.clone())), sha256 }))
    }

    pub(super) async fn put_manifest(
        &self,
        meeting: &MeetingFolder,
        manifest: &Manifest,
        after: &ManifestVersion,
    ) -> Result<(String, ManifestVersion), BufferError> {
        let path = self.folder(meeting).join(MANIFEST);
        let (text, sha256) = manifest.text().map_err(|error| not_json(&path, &error))?;
        // Of a meeting that is not settled nobody has been told: its name becomes durable with the last manifest.
        let names = if manifest.state == ManifestState::Ingested { Names::Later } else { Names::Durable };
        if !self.put(path.clone(), text, Some(after.clone()), names).await? {
            return Err(BufferError::TakenOver { path: path.display().to_string() });
        }
        Ok((sha256.clone(), ManifestVersion(Some(sha256))))
    }

    pub(super) async fn put_handover(
        &self,
        meeting: &MeetingFolder,
        contact: &Contact,
    ) -> Result<String, BufferError> {
        let place = meeting.handover();
        let path = self.root.join(&place);
        let text = serde_json::to_string_pretty(contact).map_err(|error| not_json(&path, &error))? + "\n";
        self.put(path, text.into_bytes(), None, Names::Durable).await?;
        Ok(place)
    }

    pub(super) async fn put_first_manifest(
        &self,
        meeting: &MeetingFolder,
        manifest: &Manifest,
    ) -> Result<Option<ManifestVersion>, BufferError> {
        let folder = self.folder(meeting);
        let path = folder.join(MANIFEST);
        let (text, sha256) = manifest.text().map_err(|error| not_json(&path, &error))?;
        let (to, part) = (path.clone(), folder.join(self.part_name(MANIFEST)));
        let is_first = blocking(&path, move || {
            Ok(!folder.try_exists()?
                && replace(&to, &part, &text, Some(&ManifestVersion::NONE), Names::Later)?)
        });
        Ok(is_first.await?.then_some(ManifestVersion(Some(sha256))))
    }

    async fn put(
        &self,
        path: PathBuf,
        text: Vec<u8>,
        after: Option<ManifestVersion>,
        names: Names,
    ) -> Result<bool, BufferError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let part = path.with_file_name(self.part_name(&name));
        blocking(&path.clone(), move || replace(&path, &part, &text, after.as_ref(), names)).await
    }

    pub(super) async fn clear_parts(&self, meeting: &MeetingFolder) -> Result<bool, BufferError> {
        let folder = self.folder(meeting);
        blocking(&folder.clone(), move || {
            let Some(entries) = absent_is_none(std::fs::read_dir(&folder))? else {
                return Ok(false);
            };
            for entry in entries {
                let name = entry?.file_name();
                let name = name.to_string_lossy();
                if name.starts_with('.') && name.ends_with(".part") {
                    absent_is_none(std::fs::remove_file(folder.join(&*name)))?;
                }
            }
            Ok(true)
        })
        .await
    }

    pub(super) async fn read_file(
        &self,
        meeting: &MeetingFolder,
        name: &str,
    ) -> Result<Option<FileFacts>, BufferError> {
        let path = self.folder(meeting).join(name);
        blocking(&path.clone(), move || match absent_is_none(File::open(&path))? {
            Some(file) => hash_file(file).map(Some),
            None => Ok(None),
        })
        .await
    }

    pub(super) async fn file_size(
        &self,
        meeting: &MeetingFolder,
        name: &str,
    ) -> Result<Option<u64>, BufferError> {
        let path = self.folder(meeting).join(name);
        blocking(
            &path.clone(),
            move || Ok(absent_is_none(std::fs::metadata(&path))?.map(|facts| facts.len())),
        )
        .await
    }

    /// The part is made with its first bytes: most files are made, written, hashed and made durable in one go.
    pub(super) fn begin(&self, meeting: &MeetingFolder, name: &str) -> FolderWriter {
        let folder = self.folder(meeting);
        FolderWriter::new(folder.join(name), folder.join(self.part_name(name)))
    }

    pub(super) async fn run_folder(&self, run: &RunId) -> Result<PathBuf, BufferError> {
        let folder = self.root.join("runs").join(run.as_str());
        let created = folder.clone();
        blocking(&folder.clone(), move || create_folders(&created)).await?;
        Ok(folder)
    }

    pub(super) fn folder(&self, meeting: &MeetingFolder) -> PathBuf {
        self.root.join(meeting.path())
    }

    fn part_name(&self, name: &str) -> String {
        format!(".{name}.{:x}-{:x}.part", self.nonce, PARTS.fetch_add(1, Ordering::Relaxed))
    }
}

/// Replaces a file, whole or not at all, and makes it durable, and as asked what was renamed in its folder; false if
/// another one stands there than `after`.
///
/// Accepted: between the look at what stands there and the rename another writer may rename. The lease has to be
/// lost in that instant, and the next holder's own parts are not touched by it.
fn replace(
    path: &Path,
    part: &Path,
    text: &[u8],
    after: Option<&ManifestVersion>,
    names: Names,
) -> io::Result<bool> {
    let folder = path.parent().unwrap_or(Path::new("."));
    create_folders(folder)?;
    let [at_part, at_name] = match after {
        Some(_) => ["manifest-part", "manifest-renamed"],
        None => ["handover-part", "handover-renamed"],
    };
    let written = create_new(part).and_then(|mut file| {
        file.write_all(text)?;
        failpoint::reach(at_part);
        file.sync_data()
    });
    let renamed = written.and_then(|()| {
        let is_successor = match after {
            Some(after) => version_at(path)? == *after,
            None => true,
        };
        // The folder's fsync makes durable the renames of its files as well as this one.
        if is_successor {
            std::fs::rename(part, path)?;
        } else {
            std::fs::remove_file(part)?;
        }
        Ok(is_successor)
    });
    if renamed.is_err() {
        let _ = std::fs::remove_file(part);
    }
    let is_successor = renamed?;
    failpoint::reach(at_name);
    if names == Names::Durable {
        File::open(folder)?.sync_all()?;
    }
    Ok(is_successor)
}

/// Which manifest stands there.
pub(super) fn version_at(path: &Path) -> io::Result<ManifestVersion> {
    let stands = absent_is_none(bounded::read(path, LARGEST_MANIFEST))?;
    Ok(ManifestVersion(stands.map(|text| digest::sha256(&text))))
}

fn not_json(path: &Path, error: &serde_json::Error) -> BufferError {
    BufferError::Failed { path: path.display().to_string(), detail: error.to_string() }
}

fn hash_file(mut file: File) -> io::Result<FileFacts> {
    let mut reading = Reading::default();
    let mut piece = vec![0; 256 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(reading.end()),
            got => reading.take(&piece[..got]),
        }
    }
}

/// Creates the folders that lack, and makes their names durable: a manifest in a folder that a power cut takes away
/// would be a meeting that the platform believes it has.
pub(super) fn create_folders(path: &Path) -> io::Result<()> {
    let lacking: Vec<&Path> =
        path.ancestors().take_while(|level| !level.as_os_str().is_empty() && !level.exists()).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for level in lacking {
        let parent = level.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

pub(super) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn free_bytes(root: &Path) -> io::Result<u64> {
    let facts = rustix::fs::statvfs(root)?;
    Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
}

pub(super) fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) async fn blocking<T, F>(path: &Path, work: F) -> Result<T, BufferError>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    let shown = path.to_owned();
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| BufferError::from_io(&shown, &error)),
        Err(_) => Err(BufferError::Failed {
            path: shown.display().to_string(),
            detail: "the work was given up".to_owned(),
        }),
    }
}
