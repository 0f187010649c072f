//! Where the capture buffer is kept: a folder, or a bucket of an object store.

use std::path::PathBuf;

use toml::Value;
use url::Url;

use super::addresses::web;
use super::fault::Fault;
use super::reader::Reader;
use super::sections::Security;
use super::values::{self, Expected};
use crate::secret::Secret;

#[derive(Debug, Clone)]
pub enum Buffer {
    Folder(PathBuf),
    S3(S3),
}

/// A place in a store that speaks the language of Amazon S3.
#[derive(Debug, Clone)]
pub struct S3 {
    pub bucket: String,
    /// Without a slash at either end; empty for the whole bucket.
    pub prefix: String,
    /// `None` for Amazon's own.
    pub endpoint: Option<Url>,
    pub region: String,
    /// Key id and secret; `None` for what the surroundings offer.
    pub access: Option<(String, Secret)>,
}

impl From<PathBuf> for Buffer {
    fn from(folder: PathBuf) -> Self {
        Self::Folder(folder)
    }
}

/// What `buffer.url` alone tells.
enum Address {
    Folder(PathBuf),
    S3 { bucket: String, prefix: String },
}

impl Buffer {
    pub(super) fn read(reader: &mut Reader<'_>, security: &Security) -> Self {
        let address = reader.get("buffer.url", address);
        let endpoint = reader.get("buffer.endpoint", |value| match values::optional_text(value)? {
            None => Ok(None),
            Some(_) => web(security)(value).map(Some),
        });
        let region = reader.get("buffer.region", |value| {
            values::optional_text(value)?.ok_or_else(|| Expected("the name of a region".to_owned()))
        });
        let id = reader.get("buffer.access_key_id", values::optional_text);
        let secret = reader.secret("buffer.secret_access_key", |_| Ok(()));
        let access = match (id, secret) {
            (Some(id), Some(secret)) => Some((id, secret)),
            (None, None) => None,
            (Some(id), None) => {
                let origin = reader.origin("buffer.access_key_id");
                let key = "buffer.access_key_id".to_owned();
                let expected = "an id together with its secret, buffer.secret_access_key".to_owned();
                reader.fault(Fault::BadValue { key, origin, value: format!("'{id}'"), expected });
                None
            }
            (None, Some(_)) => {
                let origin = reader.origin("buffer.secret_access_key");
                let key = "buffer.secret_access_key".to_owned();
                let expected = "a secret together with its id, buffer.access_key_id".to_owned();
                reader.fault(Fault::BadSecret { key, origin, expected });
                None
            }
        };
        match address {
            Address::Folder(folder) => Self::Folder(folder),
            Address::S3 { bucket, prefix } => Self::S3(S3 { bucket, prefix, endpoint, region, access }),
        }
    }
}

fn address(value: &Value) -> Result<Address, Expected> {
    let text = values::text(value)?;
    if let Some(place) = text.strip_prefix("s3://") {
        return s3(place);
    }
    if text.starts_with("file://") {
        let path = Url::parse(text).ok().and_then(|url| url.to_file_path().ok());
        let expected = || Expected("file:/// and an absolute path".to_owned());
        return path.map(Address::Folder).ok_or_else(expected);
    }
    if text.is_empty() || text.contains("://") {
        return Err(Expected("a folder, file:///… or s3://bucket/prefix".to_owned()));
    }
    Ok(Address::Folder(PathBuf::from(text)))
}

fn s3(place: &str) -> Result<Address, Expected> {
    let place = place.strip_suffix('/').unwrap_or(place);
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let in_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name = |name: &str| !name.is_empty() && !matches!(name, "." | "..") && name.chars().all(in_a_name);
    if !is_name(bucket) || !(prefix.is_empty() || prefix.split('/').all(is_name)) {
        let expected = "s3://bucket/prefix, in letters, digits, '-', '_' and '.'";
        return Err(Expected(expected.to_owned()));
    }
    Ok(Address::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_buffer() {
        let read = |text: &str| match address(&Value::String(text.to_owned())) {
            Ok(Address::Folder(folder)) => folder.display().to_string(),
            Ok(Address::S3 { bucket, prefix }) => format!("{bucket}|{prefix}"),
            Err(Expected(expected)) => format!("no: {expected}"),
        };
        for (text, found) in [
            ("data/buffer", "data/buffer"),
            ("file:///var/lib/recapture", "/var/lib/recapture"),
            ("s3://archive", "archive|"),
            ("s3://archive/", "archive|"),
            ("s3://archive/recapture/eu-1", "archive|recapture/eu-1"),
        ] {
            assert_eq!(read(text), found);
        }
        let wrong =
            ["", "file://x", "gs://b", "s3://", "s3:///x", "s3://b//x", "s3://b/../x", "s3://k:s@b/x"];
        for wrong in wrong {
            assert!(read(wrong).starts_with("no: "), "{wrong}");
        }
    }
}
