//! Writing one file to an object store; the head of `objects.rs` tells the order and what a crash leaves.
//!
//! ```text
//! taking ──── PART bytes are full ───► uploading ── finish ──► parts are all there ── commit: complete ──► stands
//!    └─────────────── finish ────────► whole in memory ─────────────────────────────── commit: put ──────┘
//! ```
//!
//! One part is on its way while the next one fills: a writer holds at most two. Dropping it aborts the upload.

use bytes::Bytes;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as Key;
use object_store::{PutMode, PutMultipartOptions, PutPayload, UpdateVersion};
use tokio::task::JoinHandle;

use super::fault::fault;
use super::{ObjectBuffer, marked};
use crate::buffer::error::BufferError;
use crate::digest::Hasher;
use crate::failpoint;

/// The smallest part that stores take, but for the last one; all parts of a file are of one size, which some stores want.
pub(super) const PART: u64 = 5 << 20;

/// Stores take 10,000 parts; the listed size may be wrong, so larger parts begin earlier.
const MOST_PARTS: u64 = 9_000;

pub(in crate::buffer) struct ObjectWriter {
    buffer: ObjectBuffer,
    key: Key,
    /// Where the upload's id is kept.
    part: Key,
    mark: String,
    /// What stood under the name when this began.
    replaces: Option<UpdateVersion>,
    part_size: usize,
    hasher: Hasher,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    upload: Option<Upload>,
}

struct Upload {
    id: String,
    parts: Vec<PartId>,
    on_its_way: Option<JoinHandle<object_store::Result<PartId>>>,
}

impl std::fmt::Debug for ObjectWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectWriter")
            .field("key", &self.key)
            .field("mark", &self.mark)
            .finish_non_exhaustive()
    }
}

impl ObjectWriter {
    pub(super) fn new(
        buffer: ObjectBuffer,
        key: Key,
        part: Key,
        mark: String,
        replaces: Option<UpdateVersion>,
        expected: Option<u64>,
    ) -> Self {
        let part_size = PART.max(expected.unwrap_or(0).div_ceil(MOST_PARTS));
        Self {
            buffer,
            key,
            part,
            mark,
            replaces,
            part_size: usize::try_from(part_size).unwrap_or(usize::MAX),
            hasher: Hasher::default(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            upload: None,
        }
    }

    pub(in crate::buffer) fn sha256(&self) -> String {
        self.hasher.clone().finish()
    }

    pub(in crate::buffer) async fn write(&mut self, mut bytes: Bytes) -> Result<(), BufferError> {
        self.hasher.update(&bytes);
        while self.waiting_bytes + bytes.len() > self.part_size {
            let rest = bytes.split_off(self.part_size - self.waiting_bytes);
            self.take(bytes);
            self.send_part().await?;
            bytes = rest;
        }
        self.take(bytes);
        Ok(())
    }

    fn take(&mut self, bytes: Bytes) {
        self.waiting_bytes += bytes.len();
        self.waiting.push(bytes);
    }

    pub(in crate::buffer) async fn restart(&mut self) -> Result<(), BufferError> {
        self.hasher = Hasher::default();
        self.waiting.clear();
        self.waiting_bytes = 0;
        match self.upload.take() {
            Some(upload) => given_up(&self.buffer, &self.key, &self.part, upload).await,
            None => Ok(()),
        }
    }

    /// Sends the rest; answers the hash of the whole.
    pub(in crate::buffer) async fn finish(&mut self) -> Result<String, BufferError> {
        if self.upload.is_some() {
            if self.waiting_bytes > 0 {
                self.send_part().await?;
            }
            self.arrived().await?;
        }
        Ok(std::mem::take(&mut self.hasher).finish())
    }

    pub(in crate::buffer) async fn commit(mut self) -> Result<(), BufferError> {
        match &mut self.upload {
            None => {
                failpoint::reach("before-put");
                let mode = self.replaces.take().map_or(PutMode::Create, PutMode::Update);
                let payload: PutPayload = std::mem::take(&mut self.waiting).into_iter().collect();
                self.buffer.put(&self.key, payload, mode, &self.mark).await?;
                failpoint::reach("after-put");
            }
            Some(upload) => {
                let parts = std::mem::take(&mut upload.parts);
                failpoint::reach("before-completion");
                let completed = self.buffer.store.complete_multipart(&self.key, &upload.id, parts).await;
                if let Err(error) = completed {
                    self.judge(&error).await?;
                }
                failpoint::reach("after-completion");
            }
        }
        if self.upload.take().is_some() {
            self.buffer.delete(&self.part).await?;
        }
        Ok(())
    }

    /// Of a request of the upload that failed: `Ok` if all had been done before, and only the answer was lost.
    async fn judge(&self, error: &object_store::Error) -> Result<(), BufferError> {
        let shown = self.buffer.shown(&self.key);
        let verdict = fault(&shown, error);
        if !matches!(verdict, BufferError::Refused { .. }) {
            return Err(verdict);
        }
        if self.buffer.marked_with(&self.key, &self.mark).await?.is_some() {
            return Ok(());
        }
        // The next holder of the lease takes away the upload and the part that tells of it. An upload that is gone while
        // its part stands was lost by the store, or ended by the bucket's rule: the file begins anew.
        match (self.buffer.size(&self.part).await?, verdict) {
            (None, _) => Err(BufferError::TakenOver { path: shown }),
            (Some(_), BufferError::Refused { path, detail }) => {
                Err(BufferError::Failed { path, detail: format!("the upload is no more: {detail}") })
            }
            (Some(_), other) => Err(other),
        }
    }

    async fn send_part(&mut self) -> Result<(), BufferError> {
        if self.upload.is_none() {
            self.upload = Some(self.begin_upload().await?);
        }
        self.arrived().await?;
        let payload: PutPayload = std::mem::take(&mut self.waiting).into_iter().collect();
        self.waiting_bytes = 0;
        if let Some(upload) = &mut self.upload {
            let (store, key, id) = (self.buffer.store.clone(), self.key.clone(), upload.id.clone());
            let number = upload.parts.len();
            upload.on_its_way =
                Some(tokio::spawn(async move { store.put_part(&key, &id, number, payload).await }));
        }
        Ok(())
    }

    /// The id is kept before the first part is sent: whoever finds a part of a dead writer finds how to abort it.
    async fn begin_upload(&self) -> Result<Upload, BufferError> {
        let failed = |error: object_store::Error| fault(&self.buffer.shown(&self.key), &error);
        let options =
            PutMultipartOptions { attributes: marked(&self.mark), ..PutMultipartOptions::default() };
        let id = self.buffer.store.create_multipart_opts(&self.key, options).await.map_err(failed)?;
        failpoint::reach("upload-begun");
        let kept = self.buffer.put(&self.part, id.clone().into_bytes(), PutMode::Create, &self.mark).await;
        let upload = Upload { id, parts: Vec::new(), on_its_way: None };
        if let Err(error) = kept {
            given_up(&self.buffer, &self.key, &self.part, upload).await?;
            return Err(error);
        }
        failpoint::reach("upload-noted");
        Ok(upload)
    }

    /// Waits for the part that is on its way.
    async fn arrived(&mut self) -> Result<(), BufferError> {
        let Some(upload) = &mut self.upload else { return Ok(()) };
        let Some(on_its_way) = &mut upload.on_its_way else { return Ok(()) };
        let arrived = on_its_way.await;
        upload.on_its_way = None;
        match arrived {
            Ok(Ok(part)) => {
                upload.parts.push(part);
                failpoint::reach("upload-part");
                Ok(())
            }
            Ok(Err(error)) => self.judge(&error).await,
            Err(_) => {
                let detail = "the upload was given up".to_owned();
                Err(BufferError::Failed { path: self.buffer.shown(&self.key), detail })
            }
        }
    }
}

/// Ends an upload of our own.
async fn given_up(
    buffer: &ObjectBuffer,
    key: &Key,
    part: &Key,
    mut upload: Upload,
) -> Result<(), BufferError> {
    if let Some(on_its_way) = upload.on_its_way.take() {
        on_its_way.abort();
        // A part that arrives behind the abort would be stored after all.
        let _ = on_its_way.await;
    }
    buffer.abort(key, &upload.id).await?;
    buffer.delete(part).await
}

impl Drop for ObjectWriter {
    /// What cannot be done here, because the process ends, the meeting's next holder does.
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (buffer, key, part) = (self.buffer.clone(), self.key.clone(), self.part.clone());
        runtime.spawn(async move {
            let _ = given_up(&buffer, &key, &part, upload).await;
        });
    }
}
