//! The instances of a meeting number.

use chrono::{DateTime, Utc};

use super::lenient::{List, Scalar};
use crate::meeting::MeetingUuid;

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct WireInstances {
    meetings: List<WireInstance>,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct WireInstance {
    uuid: Scalar,
    start_time: Scalar,
}

/// One of the meetings that were held under a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub uuid: MeetingUuid,
    pub started_at: Option<DateTime<Utc>>,
}

/// An instance without a UUID cannot be asked for, and passing over it would lose it: the whole answer is no good. So
/// is one without a list, which would end a number's row as having no instance.
pub(in crate::zoom) fn read_instances(body: &[u8]) -> Result<Vec<Instance>, String> {
    let answer: WireInstances = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let instance = |wire: WireInstance| {
        let uuid = wire.uuid.text().ok_or("an instance without a uuid")?;
        let uuid = MeetingUuid::parse(&uuid).map_err(|error| error.to_string())?;
        Ok(Instance { uuid, started_at: wire.start_time.instant() })
    };
    if !answer.meetings.is_there {
        return Err("it has no list of meetings".to_owned());
    }
    answer.meetings.items.into_iter().map(instance).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_needs_a_uuid_and_nothing_else() {
        let read = |text: &str| read_instances(text.as_bytes());
        let uuid = MeetingUuid::parse("/aB3dE//gHiJkL4mNoPqRg==").expect("a UUID");
        let found = read(r#"{"meetings": [{"uuid": "/aB3dE//gHiJkL4mNoPqRg==", "start_time": null}]}"#);
        assert_eq!(found, Ok(vec![Instance { uuid, started_at: None }]));
        assert_eq!(read(r#"{"meetings": []}"#), Ok(Vec::new()));
        for bad in [
            r#"{"meetings": [{"start_time": "2026-10-01T08:00:04Z"}]}"#,
            r#"{"meetings": ["#,
            "{}",
            r#"{"meetings": null}"#,
            r#"{"code": 500, "message": "Internal error"}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
