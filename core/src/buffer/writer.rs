//! Writing one file: hashed on the way, verified by the caller, and only then under its final name.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::error::BufferError;
use super::facts::HEAD;
use super::folder_writer::FolderWriter;
use super::manifest::ManifestVersion;
use super::objects::ObjectWriter;
use super::room::Reservation;

/// A file on its way. Dropping it removes what was written.
#[derive(Debug)]
pub struct PartWriter {
    to: To,
    size: u64,
    head: Vec<u8>,
    room: Reservation,
}

#[derive(Debug)]
enum To {
    Folder(Box<FolderWriter>),
    Objects(Box<ObjectWriter>),
}

/// A file that has wholly arrived, but does not stand under its final name yet. Dropping it removes what was written.
#[derive(Debug)]
pub struct Written {
    to: To,
    pub size: u64,
    pub sha256: String,
    /// Of one that is not on the disk yet.
    room: Reservation,
}

/// By what a worker may give files their names: the meeting's lease, and the manifest that it wrote under it.
#[derive(Clone)]
pub struct Claim {
    held: Arc<dyn Fn() -> bool + Send + Sync>,
    pub(super) manifest: ManifestVersion,
}

impl Claim {
    /// `held` says whether the lease still stands; it is asked right before the names are given, on the thread that gives
    /// them. `manifest` is the one that stands there.
    pub fn new(held: impl Fn() -> bool + Send + Sync + 'static, manifest: ManifestVersion) -> Self {
        Self { held: Arc::new(held), manifest }
    }

    pub(super) fn is_held(&self) -> bool {
        (self.held)()
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("manifest", &self.manifest).finish_non_exhaustive()
    }
}

impl From<FolderWriter> for PartWriter {
    fn from(writer: FolderWriter) -> Self {
        Self { to: To::Folder(Box::new(writer)), size: 0, head: Vec::new(), room: Reservation::endless() }
    }
}

impl From<ObjectWriter> for PartWriter {
    fn from(writer: ObjectWriter) -> Self {
        Self { to: To::Objects(Box::new(writer)), size: 0, head: Vec::new(), room: Reservation::endless() }
    }
}

impl PartWriter {
    /// Writes into room that was taken hold of before.
    #[must_use]
    pub fn within(self, room: Reservation) -> Self {
        Self { room, ..self }
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The first bytes, at most 512.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The SHA-256 of the bytes taken so far.
    pub fn sha256(&self) -> String {
        match &self.to {
            To::Folder(writer) => writer.sha256(),
            To::Objects(writer) => writer.sha256(),
        }
    }

    /// After an error only [`restart`](Self::restart) helps.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), BufferError> {
        if self.head.len() < HEAD {
            let wanted = (HEAD - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..wanted]);
        }
        let more = bytes.len() as u64;
        self.size += more;
        match &mut self.to {
            To::Folder(writer) => writer.write(bytes).await,
            To::Objects(writer) => writer.write(bytes).await,
        }?;
        self.room.written(more);
        Ok(())
    }

    /// Begins anew.
    pub async fn restart(&mut self) -> Result<(), BufferError> {
        self.room.renew();
        self.size = 0;
        self.head.clear();
        match &mut self.to {
            To::Folder(writer) => writer.restart().await,
            To::Objects(writer) => writer.restart().await,
        }
    }

    /// Writes the rest and makes durable what can be so without a name; what is small waits in memory for it.
    pub async fn finish(mut self) -> Result<Written, BufferError> {
        let sha256 = match &mut self.to {
            To::Folder(writer) => writer.finish().await,
            To::Objects(writer) => writer.finish().await,
        }?;
        if self.to.in_memory().is_some() {
            self.room.renew();
        }
        Ok(Written { to: self.to, size: self.size, sha256, room: self.room })
    }
}

impl To {
    fn in_memory(&self) -> Option<usize> {
        match self {
            Self::Folder(writer) => writer.in_memory(),
            // Each is a request of its own: nothing is gained by waiting for others.
            Self::Objects(_) => None,
        }
    }
}

impl Written {
    /// Bytes of a file that waits in memory, and gets its name more cheaply together with others.
    pub fn in_memory(&self) -> Option<usize> {
        self.to.in_memory()
    }

    /// The writers of a folder, or those of an object store: those of one buffer.
    pub(super) fn sort(files: Vec<Self>) -> (Vec<FolderWriter>, Vec<ObjectWriter>, Vec<Reservation>) {
        let (mut folder, mut objects, mut rooms) = (Vec::new(), Vec::new(), Vec::new());
        for file in files {
            match file.to {
                To::Folder(writer) => folder.push(*writer),
                To::Objects(writer) => objects.push(*writer),
            }
            rooms.push(file.room);
        }
        (folder, objects, rooms)
    }
}
