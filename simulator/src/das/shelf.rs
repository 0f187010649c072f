//! The contacts of the DAS.
//!
//! Those of the scenario are computed from the catalogue when asked for; only what a client wrote is stored,
//! as text. Both are read as one list in order of start.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, Range};
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::catalogue::{Capture, Catalogue, File};
use crate::counts::lock;
use crate::zoom::rfc3339;

/// The source under which the scenario's meetings stand.
const ZOOM: &str = "zoom";

#[derive(Debug, Default)]
pub(crate) struct Shelf(Mutex<Stored>);

#[derive(Debug, Default)]
struct Stored {
    contacts: BTreeMap<Place, Box<str>>,
    places: HashMap<(String, String), Place>,
}

/// Where a contact stands in its source's list: by start, then by the meeting's index, then by its id.
/// Contacts that are no meetings of the scenario come after those that are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    source: String,
    started_at: i64,
    index: u64,
    /// Empty for a meeting of the scenario: the index says it.
    source_id: String,
}

impl Place {
    fn of_meeting(catalogue: &Catalogue, index: u32) -> Self {
        let started_at = catalogue.start(index) * 1000;
        Self { source: ZOOM.to_owned(), started_at, index: index.into(), source_id: String::new() }
    }

    fn new(catalogue: &Catalogue, source: &str, source_id: &str, started_at: i64) -> Self {
        let index = meeting(catalogue, source, source_id);
        Self {
            source: source.to_owned(),
            started_at,
            index: index.map_or(u64::MAX, u64::from),
            source_id: if index.is_some() { String::new() } else { source_id.to_owned() },
        }
    }

    fn to_cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{} {} {}", self.started_at, self.index, self.source_id))
    }

    fn from_cursor(source: &str, cursor: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let mut parts = text.splitn(3, ' ');
        let (started_at, index) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { source: source.to_owned(), started_at, index, source_id: parts.next()?.to_owned() })
    }
}

fn meeting(catalogue: &Catalogue, source: &str, source_id: &str) -> Option<u32> {
    (source == ZOOM).then(|| catalogue.meeting_of(source_id)).flatten()
}

impl Stored {
    fn get(&self, source: &str, source_id: &str) -> Option<Value> {
        let place = self.places.get(&(source.to_owned(), source_id.to_owned()))?;
        self.contacts.get(place).map(|text| parse(text))
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("what was stored was written from a value")
}

impl Shelf {
    pub(crate) fn read(&self, catalogue: &Catalogue, source: &str, source_id: &str) -> Option<Value> {
        let stored = lock(&self.0).get(source, source_id);
        stored.or_else(|| initial(catalogue, meeting(catalogue, source, source_id)?))
    }

    /// The contacts that start within the period, after the cursor; `None` if the cursor is not one of ours.
    pub(crate) fn list(
        &self,
        catalogue: &Catalogue,
        source: &str,
        period: Range<i64>,
        limit: usize,
        cursor: Option<&str>,
    ) -> Option<(Vec<Value>, Option<String>)> {
        let after = cursor.map(|cursor| Place::from_cursor(source, cursor).ok_or(())).transpose().ok()?;
        let from = after.as_ref().map_or(period.start, |place| place.started_at.max(period.start));
        let start = Place { source: source.to_owned(), started_at: from, index: 0, source_id: String::new() };
        let is_after = |place: &Place| after.as_ref().is_none_or(|after| place > after);
        let within = |place: &Place| place.source == source && place.started_at < period.end;

        let held = lock(&self.0);
        let mut stored = held
            .contacts
            .range((Bound::Included(start), Bound::Unbounded))
            .take_while(|(place, _)| within(place))
            .filter(|(place, _)| is_after(place))
            .peekable();
        let meetings = if source == ZOOM {
            catalogue.started_within(from.div_euclid(1000), period.end.div_euclid(1000))
        } else {
            0..0
        };
        let untouched = |index: &u32| {
            let id = (ZOOM.to_owned(), catalogue.uuid(*index));
            catalogue.capture(*index) != Capture::Missing && !held.places.contains_key(&id)
        };
        let mut initials = meetings
            .filter(untouched)
            .map(|index| (Place::of_meeting(catalogue, index), index))
            .filter(|(place, _)| place.started_at >= from && is_after(place))
            .take_while(|(place, _)| within(place))
            .peekable();

        let mut contacts = Vec::new();
        let mut last = None;
        while contacts.len() < limit {
            let stored_first = match (stored.peek(), initials.peek()) {
                (None, None) => return Some((contacts, None)),
                (Some((stored, _)), Some((initial, _))) => *stored < initial,
                (stored, _) => stored.is_some(),
            };
            if stored_first {
                contacts.extend(stored.next().map(|(place, text)| {
                    last = Some(place.clone());
                    parse(text)
                }));
            } else if let Some((place, index)) = initials.next() {
                contacts.extend(initial(catalogue, index));
                last = Some(place);
            }
        }
        let more = stored.peek().is_some() || initials.peek().is_some();
        Some((contacts, last.filter(|_| more).map(|place| place.to_cursor())))
    }

    /// Stores the contact, merged with what is there, and says whether it is new. Doing it again changes
    /// nothing.
    pub(crate) fn merge(
        &self,
        catalogue: &Catalogue,
        source: &str,
        source_id: &str,
        started_at: i64,
        contact: Value,
    ) -> (bool, Value) {
        let id = (source.to_owned(), source_id.to_owned());
        let mut held = lock(&self.0);
        let there = held.get(source, source_id);
        let there = there.or_else(|| initial(catalogue, meeting(catalogue, source, source_id)?));
        let created = there.is_none();
        let merged = merge(there.unwrap_or_else(|| json!({})), contact);
        let place = Place::new(catalogue, source, source_id, started_at);
        if let Some(former) = held.places.insert(id, place.clone()) {
            held.contacts.remove(&former);
        }
        held.contacts.insert(place, merged.to_string().into());
        (created, merged)
    }
}

/// Fields that are given replace those that are there; media do so one by one.
fn merge(mut there: Value, new: Value) -> Value {
    let (Some(fields), Value::Object(new)) = (there.as_object_mut(), new) else {
        return there;
    };
    for (name, value) in new {
        match value {
            Value::Null => {}
            Value::Array(media) if name == "media" => {
                let entry = fields.entry(name).or_insert_with(|| json!([]));
                for file in media {
                    merge_file(entry, file);
                }
            }
            value => {
                fields.insert(name, value);
            }
        }
    }
    there
}

fn merge_file(media: &mut Value, new: Value) {
    let Some(files) = media.as_array_mut() else { return };
    match files.iter_mut().find(|file| file["file_id"] == new["file_id"]) {
        Some(there) => *there = merge(there.take(), new),
        None => files.push(new),
    }
}

/// The contact of a meeting that the platform captured by itself, wholly or in part.
fn initial(catalogue: &Catalogue, index: u32) -> Option<Value> {
    if catalogue.capture(index) == Capture::Missing {
        return None;
    }
    let meeting = catalogue.meeting(index);
    let captured = catalogue.captured_ordinals(index);
    let media: Vec<_> = catalogue
        .files(index)
        .iter()
        .filter(|file| captured.contains(&file.key.ordinal))
        .map(|file| media(catalogue, file))
        .collect();
    let mut contact = Map::new();
    contact.insert("source".into(), ZOOM.into());
    contact.insert("source_id".into(), meeting.uuid.into());
    contact.insert("started_at".into(), rfc3339(meeting.start).into());
    contact.insert("ended_at".into(), rfc3339(meeting.end).into());
    contact.insert("topic".into(), meeting.topic.into());
    contact.insert("host".into(), meeting.host.into());
    contact.insert("media".into(), media.into());
    Some(contact.into())
}

fn media(catalogue: &Catalogue, file: &File) -> Value {
    json!({
        "file_id": catalogue.file_id(file.key),
        "file_type": catalogue.file_type(file),
        "kind": file.form.kind(),
        "size": file.size,
        "state": "available",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_twice_is_merging_once() {
        let there =
            json!({"topic": "a", "host": "h", "media": [{"file_id": "1", "size": 5, "kind": "audio"}]});
        let new =
            json!({"topic": "b", "host": null, "media": [{"file_id": "2"}, {"file_id": "1", "size": 6}]});
        let once = merge(there, new.clone());
        let media = json!([{"file_id": "1", "size": 6, "kind": "audio"}, {"file_id": "2"}]);
        assert_eq!(once, json!({"topic": "b", "host": "h", "media": media}));
        assert_eq!(merge(once.clone(), new), once);
    }
}
