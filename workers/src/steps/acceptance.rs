//! Whether what arrives is the file that was listed: looked at while it passes, in memory that does not grow.
//!
//! | file | is none if it is | is odd unless it is |
//! | --- | --- | --- |
//! | MP4, M4A | empty, or without an `ftyp` box first | boxes from end to end, a `moov` somewhere, none cut off |
//! | VTT | empty | `WEBVTT` first |
//! | JSON | empty | JSON from end to end |
//! | PNG | empty, or without its signature first | – |
//! | anything | a page of HTML, an error object of an API in the file's place, or empty where bytes are listed | – |
//!
//! What is none is refused, whatever else speaks for it. What is odd is refused as well, unless it is certainly what Zoom
//! has: its SHA-256 is Zoom's fingerprint, or the same bytes came twice, with the listed size and the announced one. Zoom
//! does not document every form (whether a chat is base64 as a whole, say), and a film whose end Zoom itself lost is not
//! mended by never storing it. The manifest says what is odd. `download.rs` decides that, and judges the size.
//!
//! What chats are said to hold (`number_of_messages`) is counted where the form can be, in JSON, and noted in the manifest,
//! not refused: whether Zoom counts what was deleted or edited is not documented.

mod boxes;
mod json;

use recapture_core::meeting::ArchiveFile;

use boxes::Boxes;
use json::Json;

/// An error object is short: longer bodies are not looked at for one.
const LONGEST_ERROR: usize = 512;

/// Looks at a body from its first byte to its last.
pub struct Inspector {
    extension: String,
    form: Form,
    head: Vec<u8>,
    listed: Option<u64>,
    size: u64,
    odd: Option<String>,
}

enum Form {
    Boxes(Boxes),
    Json(Json),
    Other,
}

/// What is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It is not the file.
    #[error("{0}")]
    NotIt(String),
    /// Its form is not what such a file has.
    #[error("{0}")]
    Odd(String),
}

impl Inspector {
    pub fn new(file: &ArchiveFile) -> Self {
        let form = match file.extension.as_str() {
            "mp4" | "m4a" => Form::Boxes(Boxes::default()),
            "json" => Form::Json(Json::default()),
            _ => Form::Other,
        };
        let listed = file.size.filter(|size| *size > 0);
        Self { extension: file.extension.clone(), form, head: Vec::new(), listed, size: 0, odd: None }
    }

    /// The next bytes; what is wrong, as soon as it shows. After what is odd the rest may be taken all the same.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
        let judged = self.head.len() >= LONGEST_ERROR;
        if !judged {
            let wanted = (LONGEST_ERROR + 1 - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..wanted]);
        }
        self.size += bytes.len() as u64;
        if !judged && let Some(page) = page(&self.head) {
            return Err(Wrong::NotIt(page.to_owned()));
        }
        if self.odd.is_some() {
            return Ok(());
        }
        let taken = match &mut self.form {
            Form::Boxes(boxes) => boxes.take(bytes).map_err(|why| boxes.wrong(why)),
            Form::Json(json) => json.take(bytes).map_err(Wrong::Odd),
            Form::Other => Ok(()),
        };
        if let Err(Wrong::Odd(why)) = &taken {
            self.odd = Some(why.clone());
        }
        taken
    }

    /// The body is whole; what is wrong with it.
    pub fn end(&self) -> Result<(), Wrong> {
        if self.size == 0 {
            return empty(&self.extension, self.listed).map_or(Ok(()), |why| Err(Wrong::NotIt(why)));
        }
        // A file of just the listed size that happens to look like an error is the file.
        if self.listed != Some(self.size) && is_error_object(&self.head) {
            return Err(Wrong::NotIt("an error in place of the file".to_owned()));
        }
        if let Some(odd) = &self.odd {
            return Err(Wrong::Odd(odd.clone()));
        }
        match &self.form {
            Form::Boxes(boxes) => boxes.end().map_err(|why| boxes.wrong(why)),
            Form::Json(json) => json.end().map_err(Wrong::Odd),
            Form::Other => first_bytes(&self.extension, &self.head),
        }
    }

    /// Whether the form itself tells that nothing lacks at the end: asked where nothing else does.
    pub fn shows_its_end(&self) -> bool {
        match &self.form {
            Form::Boxes(boxes) => boxes.end().is_ok() && boxes.tells_its_size(),
            Form::Json(json) => self.odd.is_none() && json.end().is_ok(),
            Form::Other => false,
        }
    }

    /// How many messages a chat holds, where it can be counted.
    pub fn messages(&self) -> Option<u64> {
        match &self.form {
            Form::Json(json) => json.messages(),
            Form::Boxes(_) | Form::Other => None,
        }
    }
}

/// What is wrong with a stored file, by its first bytes.
pub fn look(file: &ArchiveFile, head: &[u8]) -> Result<(), Wrong> {
    if head.is_empty() {
        let listed = file.size.filter(|size| *size > 0);
        return empty(&file.extension, listed).map_or(Ok(()), |why| Err(Wrong::NotIt(why)));
    }
    if let Some(page) = page(head) {
        return Err(Wrong::NotIt(page.to_owned()));
    }
    first_bytes(&file.extension, head)
}

/// What is wrong with a file of no bytes, or `None`.
fn empty(extension: &str, listed: Option<u64>) -> Option<String> {
    let has_a_form = matches!(extension, "mp4" | "m4a" | "json" | "vtt" | "png");
    (has_a_form || listed.is_some()).then(|| "an empty body".to_owned())
}

fn first_bytes(extension: &str, head: &[u8]) -> Result<(), Wrong> {
    let text = without_mark(head);
    let fits = match extension {
        "mp4" | "m4a" => head.get(4..8) == Some(b"ftyp"),
        "vtt" => text.starts_with(b"WEBVTT"),
        "json" => text.first().is_some_and(|first| matches!(first, b'{' | b'[')),
        "png" => head.starts_with(b"\x89PNG\r\n\x1a\n"),
        _ => true,
    };
    let why = || format!("no {extension} file by its first bytes");
    match extension {
        _ if fits => Ok(()),
        "vtt" | "json" => Err(Wrong::Odd(why())),
        _ => Err(Wrong::NotIt(why())),
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

    /// What the body is judged to be: `the file`, `odd`, `none`.
    fn inspected(extension: &str, size: Option<u64>, body: &[u8], step: usize) -> &'static str {
        let mut inspector = Inspector::new(&file(extension, size));
        let mut taken = body.chunks(step.max(1)).map(|piece| inspector.take(piece));
        let refused = taken.find(|taken| matches!(taken, Err(Wrong::NotIt(_))));
        match refused.unwrap_or_else(|| inspector.end()) {
            Ok(()) => "the file",
            Err(Wrong::Odd(_)) => "odd",
            Err(Wrong::NotIt(_)) => "none",
        }
    }

    #[test]
    fn pages_errors_and_wrong_containers_are_refused() {
        let film = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08moov\0\0\0\x0cmdat\x01\x02\x03\x04".as_slice();
        let late = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x0cmdat\x01\x02\x03\x04\0\0\0\x08moov".as_slice();
        let error = br#"{"code":124,"message":"Invalid access token."}"#.as_slice();
        for (extension, body, verdict) in [
            ("mp4", film, "the file"),
            ("m4a", late, "the file"),
            ("mp4", &film[..film.len() - 1], "odd"),
            ("mp4", &late[..late.len() - 8], "odd"),
            ("mp4", &film[..6], "none"),
            ("m4a", error, "none"),
            ("m4a", b"<!DOCTYPE html><p>Sign in", "none"),
            ("vtt", b"\xef\xbb\xbfWEBVTT\n", "the file"),
            ("vtt", b"1\n00:00", "odd"),
            ("json", b" \n[1]", "the file"),
            ("json", b"{\"messages\":[]", "odd"),
            ("json", b"oops, and more of it", "odd"),
            ("json", error, "none"),
            ("txt", error, "none"),
            ("txt", b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "none"),
            ("txt", b"00:01 Anna: <html> is a tag", "the file"),
            ("txt", b"  <!DOCTYPE HTML><p>", "none"),
            ("png", b"<html>", "none"),
            ("png", b"\x89PNG\r\n\x1a\n.", "the file"),
            ("png", b"GIF89a..", "none"),
            ("txt", b"", "the file"),
            ("mp4", b"", "none"),
            ("m4a", b"", "none"),
            ("json", b"", "none"),
            ("vtt", b"", "none"),
            ("png", b"", "none"),
        ] {
            for step in [1, 3, 1000] {
                assert_eq!(inspected(extension, None, body, step), verdict, "{extension} {body:?} by {step}");
            }
        }
        assert_eq!(inspected("txt", Some(5), b"", 1), "none", "bytes are listed");
        // Somebody may have written just this into the chat.
        assert_eq!(inspected("txt", Some(error.len() as u64), error, 9), "the file");
    }

    #[test]
    fn only_some_forms_show_their_end() {
        let film = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08moov\0\0\0\x0cmdat\x01\x02\x03\x04".as_slice();
        let open = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08moov\0\0\0\0mdat\x01\x02\x03\x04".as_slice();
        for (extension, body, shows) in [
            ("mp4", film, true),
            ("mp4", open, false),
            ("json", b"{}", true),
            ("json", b"{", false),
            ("vtt", b"WEBVTT\n", false),
            ("txt", b"00:01 Anna: hello", false),
        ] {
            let mut inspector = Inspector::new(&file(extension, None));
            assert_eq!(inspector.take(body), Ok(()));
            assert_eq!(inspector.shows_its_end(), shows, "{extension} {body:?}");
        }
    }

    #[test]
    fn a_stored_file_is_judged_by_its_first_bytes() {
        for (extension, head, verdict) in [
            ("mp4", b"\0\0\0\x18ftypisom".as_slice(), "the file"),
            ("m4a", b"{\"error\":1}", "none"),
            ("json", b"{\"cut", "the file"),
            ("json", b"eyJtZXNzYWdlcyI6", "odd"),
            ("txt", b"", "the file"),
            ("mp4", b"", "none"),
        ] {
            let found = match look(&file(extension, None), head) {
                Ok(()) => "the file",
                Err(Wrong::Odd(_)) => "odd",
                Err(Wrong::NotIt(_)) => "none",
            };
            assert_eq!(found, verdict, "{extension} {head:?}");
        }
    }
}
