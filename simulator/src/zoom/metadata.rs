//! `GET /v2/past_meetings/…`: one meeting's archive, and the instances of a number.
//!
//! Documented: a UUID in a path is percent-encoded once, and a second time if it begins with `/` or contains
//! `//`; an unknown meeting is 404 with code 3001. Reported: a UUID that is encoded wrongly gets the same
//! answer. Assumed: the rule is kept to the letter, so that a UUID which needs no second encoding must not
//! have one.

use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::wire::{MeetingWire, rfc3339};
use super::{Call, Refusal, answer, error};
use crate::catalogue::{Archive, Catalogue, needs_double_encoding, number_of};
use crate::chance::digest;
use crate::connections::Wire;
use crate::counts::{Endpoint, lock};
use crate::limits::Category;
use crate::state::Shared;

/// Takes the path apart before anything has decoded it: the encoding is what is to be judged.
pub(super) async fn past_meeting(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    let path = uri.path().trim_start_matches("/v2/past_meetings/");
    if let Some(number) = path.strip_suffix("/instances") {
        return instances(&shared, &wire, &headers, number);
    }
    let segment = path.strip_suffix("/archive_files").unwrap_or_default();
    let call = Call {
        endpoint: Endpoint::Metadata,
        entity: digest(0, segment),
        scope: "archiving:read:archived_files:admin",
        category: Category::Light,
    };
    let fault = shared.enter(&call, &headers, &wire, |_| true)?;
    let meeting = meeting_in(&shared.catalogue, segment);
    if let Some(index) = meeting {
        told(&shared, &shared.catalogue.uuid(index))?;
    }
    let known = |index: &u32| shared.catalogue.archive(*index) != Archive::Gone;
    let Some(index) = meeting.filter(known) else {
        return Err(unknown(segment).into());
    };
    shared.progress.read(&shared.catalogue, index);
    Ok(answer(&MeetingWire::new(&shared, index), fault))
}

fn meeting_in(catalogue: &Catalogue, segment: &str) -> Option<u32> {
    let once = percent_decode_str(segment).decode_utf8().ok()?;
    if let Some(index) = catalogue.meeting_of(&once) {
        return (!segment.contains('/') && !needs_double_encoding(&once)).then_some(index);
    }
    let twice = percent_decode_str(&once).decode_utf8().ok()?;
    catalogue.meeting_of(&twice).filter(|_| needs_double_encoding(&twice))
}

fn instances(shared: &Shared, wire: &Wire, headers: &HeaderMap, number: &str) -> Result<Response, Refusal> {
    let call = Call {
        endpoint: Endpoint::Instances,
        entity: digest(0, number),
        scope: "meeting:read:list_past_instances:admin",
        category: Category::Medium,
    };
    let fault = shared.enter(&call, headers, wire, |_| true)?;
    told(shared, number)?;
    let found = number_of(number).map(|number| shared.catalogue.instances(number)).unwrap_or_default();
    if found.is_empty() {
        return Err(unknown(number).into());
    }
    let meetings: Vec<_> = found
        .into_iter()
        .map(|index| {
            json!({"uuid": shared.catalogue.uuid(index), "start_time": rfc3339(shared.catalogue.start(index))})
        })
        .collect();
    Ok(answer(&json!({"meetings": meetings}), fault))
}

/// What the simulator was told to answer of an id.
fn told(shared: &Shared, id: &str) -> Result<(), Refusal> {
    let Some((status, code)) = lock(&shared.told).get(id).copied() else { return Ok(()) };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    Err(error(status, code, &format!("Not to be had: {id}.")).into())
}

fn unknown(meeting: &str) -> Response {
    error(StatusCode::NOT_FOUND, 3001, &format!("Meeting does not exist: {meeting}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn the_encoding_rule_is_kept_to_the_letter() {
        let catalogue = Catalogue::new(Scenario { meetings: 10, ..Scenario::default() });
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        for index in 0..10 {
            let uuid = catalogue.uuid(index);
            let (once, twice) = (encode(&uuid), encode(&encode(&uuid)));
            let (right, wrong) = if needs_double_encoding(&uuid) { (twice, once) } else { (once, twice) };
            assert_eq!(meeting_in(&catalogue, &right), Some(index), "{uuid}");
            assert_eq!(meeting_in(&catalogue, &wrong), None, "{uuid}");
            if uuid.contains('/') {
                assert_eq!(meeting_in(&catalogue, &uuid), None, "{uuid} as it is");
            }
        }
    }
}
