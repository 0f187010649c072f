//! What Zoom answered, kept as it came: `<buffer>/runs/<run id>/raw/<SHA-256>.json.gz`, named by the hash of the
//! file itself, so that `sha256sum` alone can check it.
//!
//! One thing is left out: what stands under keys that end in `_url` or `token`, because an address may carry a signature
//! that opens the file to whoever reads it, and a token opens more. The text is otherwise the same byte for byte, so the
//! comparison can be made again.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use memchr::memchr;

use super::whole;
use crate::bounded;
use crate::buffer::{BufferError, RunObjects, Stands};
use crate::digest;

/// More than any answer that is accepted: a file that unpacks to more is none of ours.
const LARGEST: u64 = 256 << 20;

/// An answer as it is kept, and its name.
pub(super) fn pack(answer: &[u8]) -> std::io::Result<(Vec<u8>, String)> {
    // Quickly: packing closer is half of what a listing costs.
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&without_addresses(answer))?;
    let packed = packed.finish()?;
    let name = digest::sha256(&packed);
    Ok((packed, name))
}

/// Keeps an answer and makes it durable; answers its name.
pub(super) fn keep(folder: &Path, answer: &[u8]) -> std::io::Result<String> {
    let (packed, name) = pack(answer)?;
    let (raw, path) = (folder.join("raw"), path(folder, &name));
    if path.exists() {
        return Ok(name);
    }
    match std::fs::DirBuilder::new().mode(0o700).create(&raw) {
        Ok(()) => File::open(folder)?.sync_all()?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    whole::put(&raw, &file_name(&name), &packed)?;
    Ok(name)
}

/// The same in an object store.
pub(super) async fn keep_object(objects: &RunObjects, answer: &[u8]) -> Result<String, BufferError> {
    let failed = |detail: String| BufferError::Failed { path: "an answer of Zoom".to_owned(), detail };
    let (packed, name) = pack(answer).map_err(|error| failed(error.to_string()))?;
    match objects.create(&format!("raw/{}", file_name(&name)), packed.into()).await? {
        Stands::This => Ok(name),
        Stands::Other(_) => Err(failed(format!("what stands under {name} is something else"))),
    }
}

fn file_name(name: &str) -> String {
    format!("{name}.json.gz")
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join("raw").join(file_name(name))
}

/// A kept answer that is not there, or not what was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RawFault {
    #[error("the answer of Zoom that the line names is not there")]
    Lacking,
    #[error("the answer of Zoom is not the one that was kept: {0}")]
    Changed(String),
}

/// Reads a kept answer and checks it against its name.
pub fn read_raw(folder: &Path, name: &str) -> Result<Vec<u8>, RawFault> {
    if !digest::is_sha256(name) {
        return Err(RawFault::Changed("its name is no SHA-256".to_owned()));
    }
    let packed = bounded::read(&path(folder, name), LARGEST).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => RawFault::Lacking,
        _ => RawFault::Changed(error.to_string()),
    })?;
    if digest::sha256(&packed) != name {
        return Err(RawFault::Changed("its SHA-256 differs".to_owned()));
    }
    unpack(&packed, LARGEST)
}

fn unpack(packed: &[u8], most: u64) -> Result<Vec<u8>, RawFault> {
    bounded::up_to(GzDecoder::new(packed), most)
        .map_err(|error| RawFault::Changed(format!("it cannot be unpacked: {error}")))
}

/// The text with every address and token emptied of what it says. A search through the bytes, because reading and
/// writing JSON anew would change more than that: within a string a quote has a backslash before it, so what is
/// found, and has a colon behind it, is a key.
fn without_addresses(text: &[u8]) -> Vec<u8> {
    const WITHHELD: &[u8] = b"withheld";
    let mut kept = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(quote) = memchr(b'"', rest) {
        let (before, after) = rest.split_at(quote + 1);
        kept.extend_from_slice(before);
        rest = after;
        let is_secret = [&b"_url"[..], b"token"].iter().any(|end| {
            let start = quote.checked_sub(end.len());
            start.is_some_and(|start| before[start..quote].eq_ignore_ascii_case(end))
        });
        if !is_secret {
            continue;
        }
        let gap = rest.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == b':').count();
        if rest.get(gap) != Some(&b'"') || !rest[..gap].contains(&b':') {
            continue;
        }
        kept.extend_from_slice(&rest[..=gap]);
        rest = &rest[gap + 1..];
        let end = string_end(rest);
        if end > 0 {
            kept.extend_from_slice(WITHHELD);
        }
        // The quote that ends it is none that a key could end with.
        let after = rest.len().min(end + 1);
        kept.extend_from_slice(&rest[end..after]);
        rest = &rest[after..];
    }
    kept.extend_from_slice(rest);
    kept
}

/// Where the quote stands that ends a string.
fn string_end(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at;
        }
        // Whatever comes behind a backslash ends nothing.
        at += 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_withheld_and_nothing_else_changes() {
        for (came, kept) in [
            (
                r#"{"b": 1, "download_url" : "https://x/y?Signature=s\"z", "a":2}"#,
                r#"{"b": 1, "download_url" : "withheld", "a":2}"#,
            ),
            (
                r#"{"download_url":"","x":"\"download_url\":\"kept\""}"#,
                r#"{"download_url":"","x":"\"download_url\":\"kept\""}"#,
            ),
            (r#"{"download_url":null,"t":"https://x?y"}"#, r#"{"download_url":null,"t":"https://x?y"}"#),
            (
                r#"[{"download_url":"a"},{"download_url":"b\\"}]"#,
                r#"[{"download_url":"withheld"},{"download_url":"withheld"}]"#,
            ),
            (r#"{"download_url":"cut"#, r#"{"download_url":"withheld"#),
            (r#"{"download_url":"cut\"#, r#"{"download_url":"withheld"#),
            (r#"{"download_url":"\\\"\\","a":"\""}"#, r#"{"download_url":"withheld","a":"\""}"#),
            (
                r#"{"next_page_token":"x", "download_access_token": "y","play_url":"z","token_count":"1"}"#,
                r#"{"next_page_token":"withheld", "download_access_token": "withheld","play_url":"withheld","token_count":"1"}"#,
            ),
            (r#"{"topic":"my_url","hint":"a token"}"#, r#"{"topic":"my_url","hint":"a token"}"#),
            (r#"["x_url" "y"]"#, r#"["x_url" "y"]"#),
        ] {
            assert_eq!(String::from_utf8(without_addresses(came.as_bytes())).unwrap(), kept);
        }
    }

    #[test]
    fn what_is_kept_can_be_read_and_any_damage_shows() {
        let folder = tempfile::tempdir().unwrap();
        let answer = br#"{"meetings":[{"uuid":"a=="},{"uuid":"b=="}]}"#;
        let name = keep(folder.path(), answer).unwrap();
        assert_eq!(keep(folder.path(), answer).unwrap(), name);
        assert_eq!(read_raw(folder.path(), &name).unwrap(), answer);
        let path = path(folder.path(), &name);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            std::fs::write(&path, &damaged).unwrap();
            assert!(matches!(read_raw(folder.path(), &name), Err(RawFault::Changed(_))), "bit {at}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read_raw(folder.path(), &name), Err(RawFault::Lacking));
        assert!(matches!(read_raw(folder.path(), "../../x"), Err(RawFault::Changed(_))));
    }

    /// A few bytes that unpack to more than is ever accepted are told as that, and not cut to a beginning.
    #[test]
    fn what_unpacks_to_too_much_is_no_answer() {
        const MOST: usize = 1 << 20;
        let packed = |size: usize| pack(&vec![b' '; size]).unwrap().0;
        assert_eq!(unpack(&packed(MOST), MOST as u64).unwrap().len(), MOST);
        let bomb = packed(MOST + 1);
        assert!(bomb.len() < MOST / 100);
        assert!(
            matches!(unpack(&bomb, MOST as u64), Err(RawFault::Changed(why)) if why.contains("larger than"))
        );
    }

    proptest! {
        #[test]
        fn withheld_json_stays_json(url in "\\PC{0,40}", topic in "\\PC{0,40}") {
            let value = serde_json::json!({ "topic": topic, "files": [{ "download_url": url, "id": 1 }] });
            let kept: serde_json::Value =
                serde_json::from_slice(&without_addresses(value.to_string().as_bytes())).unwrap();
            prop_assert_eq!(&kept["topic"], &value["topic"]);
            let expected = if url.is_empty() { "" } else { "withheld" };
            prop_assert_eq!(&kept["files"][0]["download_url"], expected);
        }
    }
}
