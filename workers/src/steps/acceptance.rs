//! Whether what arrives is the file that was listed: looked at while it passes, in memory that does not grow.
//!
//! | file | has to be |
//! | --- | --- |
//! | MP4, M4A | boxes from end to end: `ftyp` first, a `moov` somewhere, none cut off |
//! | VTT | `WEBVTT` first |
//! | JSON | JSON from end to end |
//! | PNG | its signature first |
//! | anything | no page of HTML, and no error object of an API in the file's place |
//!
//! Size and hash are judged elsewhere: `download.rs`. What chats are said to hold (`number_of_messages`) is counted where
//! the form can be, in JSON, and noted in the manifest, not refused: whether Zoom counts what was deleted or edited is
//! not documented.

mod boxes;
mod json;

use recapture_core::meeting::ArchiveFile;

use boxes::Boxes;
use json::Json;

/// An error object is short: longer bodies are not looked at for one.
const LONGEST_ERROR: usize = 512;

/// Looks at a body from its first byte to its last.
pub struct Inspector {
    form: Form,
    head: Vec<u8>,
    listed: Option<u64>,
    size: u64,
}

enum Form {
    Boxes(Boxes),
    Json(Json),
    Other(String),
}

impl Inspector {
    pub fn new(file: &ArchiveFile) -> Self {
        let form = match file.extension.as_str() {
            "mp4" | "m4a" => Form::Boxes(Boxes::default()),
            "json" => Form::Json(Json::default()),
            other => Form::Other(other.to_owned()),
        };
        Self { form, head: Vec::new(), listed: file.size.filter(|size| *size > 0), size: 0 }
    }

    /// The next bytes; what is wrong, as soon as it shows.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let judged = self.head.len() >= LONGEST_ERROR;
        if !judged {
            let wanted = (LONGEST_ERROR + 1 - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..wanted]);
        }
        self.size += bytes.len() as u64;
        if !judged && let Some(page) = page(&self.head) {
            return Err(page.to_owned());
        }
        match &mut self.form {
            Form::Boxes(boxes) => boxes.take(bytes),
            Form::Json(json) => json.take(bytes),
            Form::Other(_) => Ok(()),
        }
    }

    /// The body is whole; what is wrong with it. An empty one is judged by its size alone.
    pub fn end(&self) -> Result<(), String> {
        if self.size == 0 {
            return Ok(());
        }
        // A file of just the listed size that happens to look like an error is the file.
        if self.listed != Some(self.size) && is_error_object(&self.head) {
            return Err("an error in place of the file".to_owned());
        }
        match &self.form {
            Form::Boxes(boxes) => boxes.end(),
            Form::Json(json) => json.end(),
            Form::Other(extension) if first_bytes_fit(extension, &self.head) => Ok(()),
            Form::Other(extension) => Err(format!("no {extension} file by its first bytes")),
        }
    }

    /// How many messages a chat holds, where it can be counted.
    pub fn messages(&self) -> Option<u64> {
        match &self.form {
            Form::Json(json) => json.messages(),
            Form::Boxes(_) | Form::Other(_) => None,
        }
    }
}

/// What is wrong with a stored file's first bytes, or `None`. An empty file is judged by its size alone.
pub fn fault(file: &ArchiveFile, head: &[u8]) -> Option<String> {
    if head.is_empty() {
        return None;
    }
    if let Some(page) = page(head) {
        return Some(page.to_owned());
    }
    let fits = first_bytes_fit(&file.extension, head);
    (!fits).then(|| format!("no {} file by its first bytes", file.extension))
}

fn first_bytes_fit(extension: &str, head: &[u8]) -> bool {
    let text = without_mark(head);
    match extension {
        "mp4" | "m4a" => head.get(4..8) == Some(b"ftyp"),
        "vtt" => text.starts_with(b"WEBVTT"),
        "json" => text.first().is_some_and(|first| matches!(first, b'{' | b'[')),
        "png" => head.starts_with(b"\x89PNG\r\n\x1a\n"),
        _ => true,
    }
}

/// Text without a byte order mark and without space before it.
fn without_mark(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start()
}

fn page(head: &[u8]) -> Option<&'static str> {
    let text = without_mark(head);
    let begins = |word: &[u8]| text.len() >= word.len() && text[..word.len()].eq_ignore_ascii_case(word);
    (begins(b"<!doctype html") || begins(b"<html")).then_some("an HTML page")
}

/// Zoom's `{"code":…,"message":…}`, or the XML of the storage behind it, and nothing else.
fn is_error_object(whole: &[u8]) -> bool {
    if whole.len() > LONGEST_ERROR {
        return false;
    }
    let text = without_mark(whole);
    if text.starts_with(b"<?xml") || text.starts_with(b"<Error>") {
        return text.windows(7).any(|window| window == b"<Error>");
    }
    let Ok(serde_json::Value::Object(object)) = serde_json::from_slice(text) else { return false };
    let has = |names: &[&str]| names.iter().any(|name| object.contains_key(*name));
    has(&["code", "errorCode", "error"]) && (has(&["message", "errorMessage", "reason"]) || object.len() <= 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use recapture_core::meeting::FileState;

    fn file(extension: &str, size: Option<u64>) -> ArchiveFile {
        ArchiveFile {
            id: "f".to_owned(),
            file_type: String::new(),
            extension: extension.to_owned(),
            size,
            state: FileState::Completed,
            download_url: None,
            fingerprint: None,
            number_of_messages: None,
            participant_email: None,
        }
    }

    fn inspected(extension: &str, size: Option<u64>, body: &[u8], step: usize) -> bool {
        let mut inspector = Inspector::new(&file(extension, size));
        body.chunks(step.max(1))
            .try_for_each(|piece| inspector.take(piece))
            .and_then(|()| inspector.end())
            .is_ok()
    }

    #[test]
    fn pages_errors_and_wrong_containers_are_refused() {
        let film = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08moov\0\0\0\x0cmdat\x01\x02\x03\x04".as_slice();
        let late = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x0cmdat\x01\x02\x03\x04\0\0\0\x08moov".as_slice();
        let error = br#"{"code":124,"message":"Invalid access token."}"#.as_slice();
        for (extension, body, good) in [
            ("mp4", film, true),
            ("m4a", late, true),
            ("mp4", &film[..film.len() - 1], false),
            ("mp4", &late[..late.len() - 8], false),
            ("m4a", error, false),
            ("m4a", b"<!DOCTYPE html><p>Sign in", false),
            ("vtt", b"\xef\xbb\xbfWEBVTT\n", true),
            ("vtt", b"1\n00:00", false),
            ("json", b" \n[1]", true),
            ("json", b"{\"messages\":[]", false),
            ("json", b"oops", false),
            ("json", error, false),
            ("txt", error, false),
            ("txt", b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", false),
            ("txt", b"00:01 Anna: <html> is a tag", true),
            ("txt", b"  <!DOCTYPE HTML><p>", false),
            ("png", b"<html>", false),
            ("png", b"\x89PNG\r\n\x1a\n.", true),
            ("txt", b"", true),
        ] {
            for step in [1, 3, 1000] {
                assert_eq!(inspected(extension, None, body, step), good, "{extension} {body:?} by {step}");
            }
        }
        // Somebody may have written just this into the chat.
        assert!(inspected("txt", Some(error.len() as u64), error, 9));
    }

    #[test]
    fn a_stored_file_is_judged_by_its_first_bytes() {
        for (extension, head, good) in [
            ("mp4", b"\0\0\0\x18ftypisom".as_slice(), true),
            ("m4a", b"{\"error\":1}", false),
            ("json", b"{\"cut", true),
            ("txt", b"", true),
        ] {
            assert_eq!(fault(&file(extension, None), head).is_none(), good, "{extension} {head:?}");
        }
    }
}
