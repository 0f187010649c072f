//! The buffer in an object store that speaks the language of Amazon S3.
//!
//! # The same names, the same promises, other means
//!
//! | promise | in a folder | here |
//! | --- | --- | --- |
//! | nothing half under a final name | part, `fsync`, rename | an object appears whole, with its last request |
//! | what was received is what is stored | written and hashed by us | each request carries the SHA-256 of its body, which the store checks |
//! | a writer that lost its lease is stopped | its part is gone | its upload is aborted |
//! | a manifest is replaced only by its successor | a look, then a rename | `If-Match` with the manifest's ETag, `If-None-Match: *` for the first |
//! | two openings never share a part | the name has a chance in it | the upload's id; a chance for the names of parts |
//!
//! A file of up to [`upload::PART`] bytes is one conditional request when it is whole and verified. A larger one is a
//! multipart upload: begun, its id kept in `<folder>/.<name>.<n>.part`, its parts sent while they arrive, completed when
//! it is verified, and the `.part` removed. So the memory of a file on its way is at most two parts, whatever its size.
//!
//! # What a crash leaves
//!
//! | killed | is there | who mends it |
//! | --- | --- | --- |
//! | before the upload's id is kept | an upload without parts, which holds no bytes | the bucket's rule for unfinished uploads |
//! | before the upload is completed | the `.part`, and an upload with parts that no reader sees | the meeting's next holder aborts it: [`clear_parts`](ObjectBuffer::clear_parts) |
//! | before the `.part` is removed | the whole file, and a `.part` that speaks of nothing | the same |
//! | before the manifest | a verified file that no manifest names | it is read, hashed and adopted |
//!
//! # An answer that got lost
//!
//! A request whose answer did not arrive is sent again and may then be refused, because the first one did its work: the
//! object is there, the upload is not. Every object of ours carries the mark of its writer, so a refused writer looks
//! whether what stands there is its own before it believes that it was overtaken.

mod fault;
mod listing;
mod run;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum, S3ConditionalPut};
use object_store::multipart::MultipartStore;
use object_store::path::Path as Key;
use object_store::{
    Attribute, AttributeValue, Attributes, ClientOptions, GetOptions, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, PutPayload, RetryConfig, UpdateVersion,
};

use self::fault::{absent_is_none, fault};
pub use self::run::{RunObjects, Stands};
pub(super) use self::upload::ObjectWriter;
use super::error::BufferError;
use super::facts::{FileFacts, Reading};
use super::layout::MeetingFolder;
use super::manifest::{LARGEST_MANIFEST, Manifest, ManifestVersion, StoredManifest};
use crate::config;
use crate::contact::Contact;
use crate::failpoint;
use crate::http;

const MANIFEST: &str = "manifest.json";

/// The key of the metadata that holds the writer's mark.
const WRITER: &str = "recapture-writer";

/// More than any object has that is read into memory: one that is larger is none of ours, and is not read.
const LARGEST_OBJECT: u64 = 256 << 20;

/// A request that meets a broken connection or a busy store is sent again this often, within [`RETRY_WITHIN`]; what lasts
/// longer is for `workers/src/disposition.rs` to decide. Without it a single reset would cost gigabytes of an upload.
const RETRIES: usize = 4;
/// The store's own client spreads its pauses by chance, a tenth of a second and little more each.
const RETRIES_OF_CLIENT: usize = 40;
/// Of a store that is away the unit tests ask what is said in the end, and need not wait as long for it.
const RETRY_WITHIN: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 20 });
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How long a store may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// Tells the parts of this process apart; the opening's chance tells openings apart.
static PARTS: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, Clone)]
pub struct ObjectBuffer {
    store: Arc<AmazonS3>,
    place: Arc<config::S3>,
    /// Unique to this opening: part of every part name and writer's mark.
    nonce: u64,
}

impl ObjectBuffer {
    /// Nothing is asked of the store yet.
    pub(super) fn open(place: &config::S3) -> Result<Self, BufferError> {
        http::install_tls();
        // The surroundings count only for what the configuration leaves to them: whose key it is.
        let builder = match &place.access {
            Some((id, secret)) => {
                AmazonS3Builder::new().with_access_key_id(id).with_secret_access_key(secret.expose())
            }
            None => AmazonS3Builder::from_env(),
        };
        let options = ClientOptions::new()
            .with_allow_http(place.endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http"))
            .with_connect_timeout(Duration::from_secs(10))
            .with_timeout_disabled()
            .with_read_timeout(SILENCE);
        let retry = RetryConfig {
            max_retries: RETRIES_OF_CLIENT,
            retry_timeout: RETRY_WITHIN,
            ..RetryConfig::default()
        };
        let mut builder = builder
            .with_bucket_name(&place.bucket)
            .with_region(&place.region)
            .with_client_options(options)
            .with_retry(retry)
            .with_checksum_algorithm(Checksum::SHA256)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            // Not every store has the request that removes many.
            .with_disable_bulk_delete(true);
        if let Some(endpoint) = &place.endpoint {
            builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
        }
        let store = builder.build().map_err(|error| fault(&location(place), &error))?;
        Ok(Self { store: Arc::new(store), place: Arc::new(place.clone()), nonce: fastrand::u64(..) })
    }

    pub(super) fn location(&self) -> String {
        location(&self.place)
    }

    /// Where something stands, for people.
    fn shown(&self, key: &Key) -> String {
        format!("s3://{}/{key}", self.place.bucket)
    }

    pub(super) fn key(&self, relative: &str) -> Result<Key, BufferError> {
        let text = match self.place.prefix.as_str() {
            "" => relative.to_owned(),
            prefix => format!("{prefix}/{relative}"),
        };
        Key::parse(&text).map_err(|error| BufferError::Failed { path: text, detail: error.to_string() })
    }

    fn key_in(&self, meeting: &MeetingFolder, name: &str) -> Result<Key, BufferError> {
        self.key(&format!("{}/{name}", meeting.as_str()))
    }

    fn next_mark(&self) -> String {
        format!("{:x}-{:x}", self.nonce, PARTS.fetch_add(1, Ordering::Relaxed))
    }

    /// A probe is created, read, and cannot be created again: a store that lets that pass would let a worker that lost
    /// its lease overwrite another's work. An upload is begun and aborted, which needs a right of its own.
    pub(super) async fn check(&self) -> Result<Option<u64>, BufferError> {
        let key = self.key(&format!(".probe.{}", self.next_mark()))?;
        let create = async |text: &'static str| {
            self.put(&key, Bytes::from_static(text.as_bytes()), PutMode::Create, &self.next_mark()).await
        };
        create("recapture").await?;
        let again = create("overwritten").await;
        let found = self.get(&key).await;
        let upload = self.store.create_multipart(&key).await;
        let aborted = match &upload {
            Ok(id) => self.store.abort_multipart(&key, id).await,
            Err(_) => Ok(()),
        };
        let removed = self.store.delete(&key).await;
        let is_first = found?.is_some_and(|(bytes, _)| &*bytes == b"recapture");
        match again {
            Err(BufferError::TakenOver { .. }) if is_first => {}
            Err(error) if is_first => return Err(error),
            _ => {
                let detail = "it does not heed conditions on writing (If-None-Match), without which two workers \
                              could overwrite each other";
                return Err(BufferError::Refused { path: self.location(), detail: detail.to_owned() });
            }
        }
        for tried in [upload.map(drop), aborted, removed] {
            tried.map_err(|error| fault(&self.location(), &error))?;
        }
        Ok(None)
    }

    /// Writes an object under a condition; `TakenOver` if it does not hold. The crate does not send such a request again
    /// when its connection breaks, because it cannot tell whose object it finds then; by the mark we can.
    async fn put(
        &self,
        key: &Key,
        payload: impl Into<PutPayload>,
        mode: PutMode,
        mark: &str,
    ) -> Result<ManifestVersion, BufferError> {
        let payload = payload.into();
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_times(RETRIES)
            .with_jitter()
            .build();
        loop {
            let options =
                PutOptions { mode: mode.clone(), attributes: marked(mark), ..PutOptions::default() };
            let error = match self.store.put_opts(key, payload.clone(), options).await {
                Ok(put) => return Ok(ManifestVersion(put.e_tag)),
                Err(error) => fault(&self.shown(key), &error),
            };
            match error {
                BufferError::Unreachable { .. } => match pauses.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                },
                BufferError::TakenOver { .. } => {
                    let stands = self.marked_with(key, mark).await?;
                    return stands.ok_or(error);
                }
                _ => return Err(error),
            }
        }
    }

    /// A small object's bytes and version.
    pub(super) async fn get(&self, key: &Key) -> Result<Option<(Bytes, ManifestVersion)>, BufferError> {
        let failed = |error: &object_store::Error| fault(&self.shown(key), error);
        let Some(found) = absent_is_none(self.store.get(key).await).map_err(|error| failed(&error))? else {
            return Ok(None);
        };
        if found.meta.size > LARGEST_OBJECT {
            let detail = format!("it is larger than {LARGEST_OBJECT} bytes, and none of ours");
            return Err(BufferError::Failed { path: self.shown(key), detail });
        }
        let version = ManifestVersion(found.meta.e_tag.clone());
        let bytes = found.bytes().await.map_err(|error| failed(&error))?;
        Ok(Some((bytes, version)))
    }

    /// The version of the object that stands there, if it bears the mark.
    async fn marked_with(&self, key: &Key, mark: &str) -> Result<Option<ManifestVersion>, BufferError> {
        let head = GetOptions { head: true, ..GetOptions::default() };
        let found = absent_is_none(self.store.get_opts(key, head).await);
        let found = found.map_err(|error| fault(&self.shown(key), &error))?;
        let is_ours = |attributes: &Attributes| {
            attributes.get(&Attribute::Metadata(WRITER.into())).is_some_and(|value| value.as_ref() == mark)
        };
        Ok(found.filter(|found| is_ours(&found.attributes)).map(|found| ManifestVersion(found.meta.e_tag)))
    }

    pub(super) async fn manifest(
        &self,
        meeting: &MeetingFolder,
    ) -> Result<Option<StoredManifest>, BufferError> {
        let key = self.key_in(meeting, MANIFEST)?;
        if self.size(&key).await?.is_some_and(|size| size > LARGEST_MANIFEST) {
            let detail = format!("it is larger than {LARGEST_MANIFEST} bytes");
            return Err(BufferError::UnreadableManifest { path: self.shown(&key), detail });
        }
        let Some((text, version)) = self.get(&key).await? else { return Ok(None) };
        let manifest = Manifest::parse(&text, || self.shown(&key))?;
        Ok(Some(StoredManifest { manifest, sha256: crate::digest::sha256(&text), version }))
    }

    pub(super) async fn put_manifest(
        &self,
        meeting: &MeetingFolder,
        manifest: &Manifest,
        after: &ManifestVersion,
    ) -> Result<(String, ManifestVersion), BufferError> {
        let key = self.key_in(meeting, MANIFEST)?;
        let (text, sha256) = manifest
            .text()
            .map_err(|error| BufferError::Failed { path: self.shown(&key), detail: error.to_string() })?;
        let mode = match &after.0 {
            None => PutMode::Create,
            Some(etag) => PutMode::Update(UpdateVersion { e_tag: Some(etag.clone()), version: None }),
        };
        failpoint::reach("manifest-before-put");
        let version = self.put(&key, text, mode, &self.next_mark()).await?;
        failpoint::reach("manifest-after-put");
        Ok((sha256, version))
    }

    pub(super) async fn put_handover(
        &self,
        meeting: &MeetingFolder,
        contact: &Contact,
    ) -> Result<String, BufferError> {
        let place = meeting.handover();
        let key = self.key(&place)?;
        let text = serde_json::to_string_pretty(contact)
            .map_err(|error| BufferError::Failed { path: self.shown(&key), detail: error.to_string() })?;
        self.put(&key, text + "\n", PutMode::Overwrite, &self.next_mark()).await?;
        Ok(place)
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>, BufferError> {
        let found =
            absent_is_none(self.store.head(key).await).map_err(|error| fault(&self.shown(key), &error))?;
        Ok(found.map(|found| found.size))
    }

    pub(super) async fn file_size(
        &self,
        meeting: &MeetingFolder,
        name: &str,
    ) -> Result<Option<u64>, BufferError> {
        self.size(&self.key_in(meeting, name)?).await
    }

    pub(super) async fn read_file(
        &self,
        meeting: &MeetingFolder,
        name: &str,
    ) -> Result<Option<FileFacts>, BufferError> {
        let key = self.key_in(meeting, name)?;
        let failed = |error: object_store::Error| fault(&self.shown(&key), &error);
        let Some(found) = absent_is_none(self.store.get(&key).await).map_err(failed)? else {
            return Ok(None);
        };
        let (mut reading, mut pieces) = (Reading::default(), found.into_stream());
        while let Some(piece) = pieces.try_next().await.map_err(failed)? {
            reading.take(&piece);
        }
        Ok(Some(reading.end()))
    }

    pub(super) async fn begin(
        &self,
        meeting: &MeetingFolder,
        name: &str,
        expected: Option<u64>,
    ) -> Result<ObjectWriter, BufferError> {
        let key = self.key_in(meeting, name)?;
        let mark = self.next_mark();
        let part = self.key_in(meeting, &format!(".{name}.{mark}.part"))?;
        let replaces = absent_is_none(self.store.head(&key).await);
        let replaces = replaces.map_err(|error| fault(&self.shown(&key), &error))?;
        let replaces = replaces.map(|found| UpdateVersion { e_tag: found.e_tag, version: found.version });
        Ok(ObjectWriter::new(self.clone(), key, part, mark, replaces, expected))
    }

    /// Removes an object; one that is not there is removed already.
    async fn delete(&self, key: &Key) -> Result<(), BufferError> {
        match absent_is_none(self.store.delete(key).await) {
            Ok(_) => Ok(()),
            Err(error) => Err(fault(&self.shown(key), &error)),
        }
    }
}

fn location(place: &config::S3) -> String {
    let slash = if place.prefix.is_empty() { "" } else { "/" };
    let at = place.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
    format!("s3://{}{slash}{}{at}", place.bucket, place.prefix)
}

fn marked(mark: &str) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::Metadata(WRITER.into()), AttributeValue::from(mark.to_owned()));
    attributes
}
