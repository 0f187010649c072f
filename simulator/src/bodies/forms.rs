//! What stands before and after the filler so that a file looks like what it claims to be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Filler;
use crate::catalogue::Form;
use crate::chance::{between, mix};

pub(super) struct Envelope {
    pub(super) head: Vec<u8>,
    pub(super) tail: Vec<u8>,
    pub(super) filler: Filler,
}

/// The least size at which a form is still itself. A test holds it against what [`envelope`] writes.
pub(crate) fn least_size(form: Form) -> u64 {
    match form {
        Form::Mp4 | Form::M4a | Form::ChatJson => 256,
        Form::ChatText | Form::Json | Form::Vtt => 128,
        Form::Lines | Form::Png => 64,
    }
}

/// As many chat messages as chance says and the size allows; at least one.
pub(super) fn messages(key: u64, size: u64) -> u64 {
    between(key, 1, 20).min(size / 256).max(1)
}

pub(super) fn envelope(form: Form, uuid: &str, key: u64, size: u64) -> Envelope {
    match form {
        Form::Mp4 => boxes(*b"isom", size),
        Form::M4a => boxes(*b"M4A ", size),
        Form::ChatText => chat_text(messages(key, size)),
        Form::ChatJson => chat_json(uuid, messages(key, size), key),
        Form::Json => Envelope {
            head: format!(r#"{{"uuid":"{uuid}","content":""#).into_bytes(),
            tail: b"\"}\n".to_vec(),
            filler: Filler::Text,
        },
        Form::Vtt => Envelope {
            head: b"WEBVTT\n\n1\n00:00:01.000 --> 00:00:04.000\nGood morning, everybody.\n\nNOTE\n".to_vec(),
            tail: b"\n".to_vec(),
            filler: Filler::Lines,
        },
        Form::Lines => {
            Envelope { head: b"question,answer\n".to_vec(), tail: b"\n".to_vec(), filler: Filler::Lines }
        }
        Form::Png => {
            Envelope { head: b"\x89PNG\r\n\x1a\n".to_vec(), tail: Vec::new(), filler: Filler::Binary }
        }
    }
}

/// `ftyp`, a small `moov` with its header, and an `mdat` that holds the rest.
fn boxes(brand: [u8; 4], size: u64) -> Envelope {
    let mut head = Vec::with_capacity(192);
    head.extend([24u32.to_be_bytes(), *b"ftyp", brand, [0, 0, 2, 0], *b"isom", *b"mp42"].concat());
    // A movie header of version 0: 100 bytes after its own box header, all zero but the time scale and the
    // next track.
    let mut movie = [0; 100];
    movie[12..16].copy_from_slice(&1000u32.to_be_bytes());
    movie[96..].copy_from_slice(&2u32.to_be_bytes());
    head.extend([&116u32.to_be_bytes(), b"moov", &108u32.to_be_bytes(), b"mvhd".as_slice(), &movie].concat());
    let rest = size - head.len() as u64;
    match u32::try_from(rest) {
        Ok(rest) => head.extend([rest.to_be_bytes(), *b"mdat"].concat()),
        // A size of 1 says that the real one follows in 64 bits.
        Err(_) => {
            head.extend([&1u32.to_be_bytes(), b"mdat".as_slice(), &rest.to_be_bytes()].concat());
        }
    }
    Envelope { head, tail: Vec::new(), filler: Filler::Binary }
}

/// One line a message, as in `HH:MM:SS<TAB>name: text`; the filler is the last message's text.
fn chat_text(messages: u64) -> Envelope {
    let lines = (0..messages).map(|at| {
        let end = if at + 1 == messages { "" } else { "All quiet here.\n" };
        format!("00:{:02}:{:02}\tParticipant {at}:\t{end}", at % 60, at * 7 % 60)
    });
    Envelope {
        head: lines.collect::<String>().into_bytes(),
        tail: b"\n".to_vec(),
        // One line, so that lines can be counted.
        filler: Filler::Text,
    }
}

/// The documented shape, with base64 in each field of text; the filler is the last message's content.
fn chat_json(uuid: &str, messages: u64, key: u64) -> Envelope {
    let mut head = format!(r#"{{"uuid":"{uuid}","messages":["#);
    for at in 0..messages {
        let name = STANDARD.encode(format!("Participant {at}"));
        let id = mix(key ^ at);
        let time = format!("00:{:02}:{:02}", at % 60, at * 11 % 60);
        let fields = [("e_time", time), ("msg_id", format!("{id:016x}")), ("s_name", name)];
        head += r#"{"msg_type":1,"#;
        head.extend(fields.map(|(field, value)| format!(r#""{field}":"{value}","#)));
        head += r#""msg_content":""#;
        if at + 1 < messages {
            head += &STANDARD.encode("All quiet here.");
            head += "\"},";
        }
    }
    Envelope { head: head.into_bytes(), tail: b"\"}]}\n".to_vec(), filler: Filler::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_size_holds_every_envelope() {
        use Form::{ChatJson, ChatText, Json, Lines, M4a, Mp4, Png, Vtt};
        for form in [Mp4, M4a, ChatText, ChatJson, Json, Vtt, Lines, Png] {
            for key in 0..40 {
                for size in [least_size(form), 1000, 2000, 5000] {
                    let made = envelope(form, "4444AAAiAAAAAiAiAiiAii==", key, size);
                    assert!((made.head.len() + made.tail.len()) as u64 <= size, "{form:?} of {size}");
                }
            }
        }
    }
}
