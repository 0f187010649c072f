//! Writing one file: hashed on the way, verified by the caller, and only then under its final name.

use bytes::Bytes;

use super::error::BufferError;
use super::facts::HEAD;
use super::folder_writer::FolderWriter;
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

/// A file that is wholly written, but not under its final name yet.
#[derive(Debug)]
pub struct Written {
    to: To,
    pub size: u64,
    pub sha256: String,
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

    /// Writes the rest and makes durable what can be so without a name.
    pub async fn finish(mut self) -> Result<Written, BufferError> {
        let sha256 = match &mut self.to {
            To::Folder(writer) => writer.finish().await,
            To::Objects(writer) => writer.finish().await,
        }?;
        Ok(Written { to: self.to, size: self.size, sha256 })
    }
}

impl Written {
    /// The final name: from here on readers see the file. Fails with `TakenOver` if another worker cleared the part
    /// away. In a folder the name itself is durable with the meeting's next manifest.
    pub async fn commit(self) -> Result<(), BufferError> {
        match self.to {
            To::Folder(writer) => writer.commit().await,
            To::Objects(writer) => writer.commit().await,
        }
    }
}
