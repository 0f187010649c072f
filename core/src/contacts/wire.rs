//! The JSON of a data access service. What we send is [`Contact`] as it stands; what we read is taken generously:
//! unknown fields are passed over, a field that is null counts as absent, kinds and states that we do not know
//! survive as unknown. Only `source`, `source_id` and `started_at` must be there.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::statements::{kind_of, state_of};
use crate::contact::{Contact, Media, MediaState};

#[derive(Debug, Serialize)]
pub(super) struct Lookup<'a> {
    pub(super) source: &'a str,
    pub(super) source_ids: &'a [&'a str],
}

/// The answer to a look-up, and a page.
#[derive(Debug, Deserialize)]
pub(super) struct WireContacts {
    pub(super) contacts: Vec<WireContact>,
    pub(super) next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WireContact {
    source: String,
    source_id: String,
    started_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    topic: Option<String>,
    host: Option<String>,
    participants: Option<Vec<Option<String>>>,
    run_id: Option<String>,
    buffer_path: Option<String>,
    media: Option<Vec<WireMedia>>,
}

#[derive(Debug, Deserialize)]
struct WireMedia {
    file_id: String,
    file_type: Option<String>,
    kind: Option<String>,
    size: Option<u64>,
    sha256: Option<String>,
    state: Option<String>,
}

/// An error's body by RFC 9457.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Problem {
    title: Option<String>,
    detail: Option<String>,
}

impl Problem {
    pub(super) fn words(self) -> String {
        [self.title, self.detail].into_iter().flatten().collect::<Vec<_>>().join(": ")
    }
}

impl From<WireContact> for Contact {
    fn from(wire: WireContact) -> Self {
        Self {
            source: wire.source,
            source_id: wire.source_id,
            started_at: wire.started_at,
            ended_at: wire.ended_at,
            topic: wire.topic,
            host: wire.host,
            participants: wire.participants.into_iter().flatten().flatten().collect(),
            run_id: wire.run_id,
            buffer_path: wire.buffer_path,
            media: wire.media.into_iter().flatten().map(Media::from).collect(),
        }
    }
}

impl From<WireMedia> for Media {
    fn from(wire: WireMedia) -> Self {
        Self {
            file_id: wire.file_id,
            file_type: wire.file_type,
            kind: wire.kind.as_deref().and_then(kind_of),
            size: wire.size,
            sha256: wire.sha256,
            state: wire.state.as_deref().map_or(MediaState::default(), state_of),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Contact {
        serde_json::from_str::<WireContact>(json).expect("a contact").into()
    }

    #[test]
    fn nulls_and_the_unknown_are_taken() {
        let contact = read(
            r#"{"source": "zoom", "source_id": "a==", "started_at": "2026-10-01T10:00:04+02:00", "ended_at": null,
                "topic": null, "participants": null, "colour": "red", "media": [
                    {"file_id": "1", "kind": "hologram", "state": "frozen", "size": null, "new": {}},
                    {"file_id": "2", "kind": "video", "state": null}]}"#,
        );
        assert_eq!(crate::period::stamp(contact.started_at), "2026-10-01T08:00:04Z");
        assert_eq!((contact.media[0].kind, contact.media[0].state), (None, MediaState::Unknown));
        assert_eq!(contact.media[1].state, MediaState::Available);
        assert!(
            read(r#"{"source": "", "source_id": "", "started_at": "2026-10-01T00:00:00Z", "media": null}"#)
                .media
                .is_empty()
        );
    }

    #[test]
    fn our_own_json_is_read_back() {
        let contact = read(
            r#"{"source": "zoom", "source_id": "/aB3//x+y==", "started_at": "2026-10-01T08:00:04.5Z",
                "ended_at": "2026-10-01T08:57:01Z", "topic": "Ünïcode", "host": "h", "participants": ["a@example.com"],
                "run_id": "r", "buffer_path": "p", "media": [{"file_id": "1", "file_type": "MP4", "kind": "video",
                "size": 372118004, "sha256": "ab", "state": "unavailable"}]}"#,
        );
        assert_eq!(read(&serde_json::to_string(&contact).expect("JSON")), contact);
    }
}
