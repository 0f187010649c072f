//! What is in an object buffer, for those who look after it; and clearing away what died writers left.

use futures_util::TryStreamExt;
use object_store::multipart::MultipartStore;
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::fault::{absent_is_none, fault, is_conflict};
use super::{MANIFEST, ObjectBuffer};
use crate::buffer::error::BufferError;
use crate::buffer::layout::MeetingFolder;
use crate::buffer::manifest::{Manifest, ManifestVersion};
use crate::failpoint;
use crate::run::RunId;

impl ObjectBuffer {
    pub(in crate::buffer) async fn runs(&self) -> Result<Vec<RunId>, BufferError> {
        Ok(self.folders("runs").await?.iter().filter_map(|name| RunId::parse(name).ok()).collect())
    }

    pub(in crate::buffer) async fn days(&self) -> Result<Vec<String>, BufferError> {
        let mut days = vec!["meetings".to_owned()];
        for _level in ["year", "month", "day"] {
            let mut below = Vec::new();
            for folder in &days {
                let inner = self.folders(folder).await?;
                below.extend(inner.into_iter().map(|name| format!("{folder}/{name}")));
            }
            days = below;
        }
        Ok(days)
    }

    pub(in crate::buffer) async fn meetings_of(&self, day: &str) -> Result<Vec<MeetingFolder>, BufferError> {
        let names = self.folders(day).await?;
        Ok(names.iter().filter_map(|name| MeetingFolder::parse(&format!("{day}/{name}"))).collect())
    }

    /// The names of the folders in a folder, in their order; none if it is not there.
    async fn folders(&self, folder: &str) -> Result<Vec<String>, BufferError> {
        let key = self.key(folder)?;
        let found = self.store.list_with_delimiter(Some(&key)).await;
        let found = found.map_err(|error| fault(&self.shown(&key), &error))?;
        let mut names: Vec<String> =
            found.common_prefixes.iter().filter_map(|prefix| prefix.filename().map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    /// All objects of a folder, with their sizes.
    pub(super) async fn facts(&self, folder: &Key) -> Result<Vec<ObjectMeta>, BufferError> {
        let found: Result<Vec<_>, _> = self.store.list(Some(folder)).try_collect().await;
        found.map_err(|error| fault(&self.shown(folder), &error))
    }

    pub(super) async fn objects(&self, folder: &Key) -> Result<Vec<Key>, BufferError> {
        Ok(self.facts(folder).await?.into_iter().map(|found| found.location).collect())
    }

    /// Aborts the uploads of earlier tries, which stops a writer that lost its lease without knowing.
    pub(in crate::buffer) async fn clear_parts(&self, meeting: &MeetingFolder) -> Result<bool, BufferError> {
        let standing = self.objects(&self.key(meeting.as_str())?).await?;
        let any = !standing.is_empty();
        for part in standing {
            let Some(name) = part.filename().and_then(|name| name.strip_prefix('.')) else { continue };
            let Some((name, _mark)) = name.strip_suffix(".part").and_then(|name| name.rsplit_once('.'))
            else {
                continue;
            };
            if let Some((id, _)) = self.get(&part).await? {
                self.abort(&self.key_in(meeting, name)?, &String::from_utf8_lossy(&id)).await?;
            }
            self.delete(&part).await?;
        }
        Ok(any)
    }

    async fn assert_standing(&self, key: &Key, version: &ManifestVersion) -> Result<(), BufferError> {
        let found =
            absent_is_none(self.store.head(key).await).map_err(|error| fault(&self.shown(key), &error))?;
        let stands = ManifestVersion(found.and_then(|found| found.e_tag));
        if stands == *version { Ok(()) } else { Err(BufferError::TakenOver { path: self.shown(key) }) }
    }

    /// Ends an upload, so that nothing can complete it; one that has ended is as good.
    pub(super) async fn abort(&self, key: &Key, id: &str) -> Result<(), BufferError> {
        match self.store.abort_multipart(key, &id.to_owned()).await {
            Ok(()) => Ok(()),
            Err(error) => match fault(&self.shown(key), &error) {
                // Stores say "not found", and one says "denied", of an upload that has ended.
                BufferError::Refused { .. } => Ok(()),
                _ if is_conflict(&error) => Ok(()),
                other => Err(other),
            },
        }
    }

    /// The files that the manifest names, then the manifest; whether nothing else is left. As in a folder: with a look
    /// before the first and before the last, because a removal knows no conditions.
    pub(in crate::buffer) async fn remove(
        &self,
        meeting: &MeetingFolder,
        manifest: &Manifest,
        version: &ManifestVersion,
    ) -> Result<bool, BufferError> {
        let key = self.key_in(meeting, MANIFEST)?;
        self.assert_standing(&key, version).await?;
        for name in manifest.file_names() {
            self.delete(&self.key_in(meeting, name)?).await?;
            failpoint::reach("purge-file");
        }
        self.assert_standing(&key, version).await?;
        self.delete(&key).await?;
        failpoint::reach("purge-manifest");
        Ok(self.objects(&self.key(meeting.as_str())?).await?.is_empty())
    }
}
