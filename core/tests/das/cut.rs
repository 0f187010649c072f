//! A service of the REST form that leaves contacts out, gives them twice, or takes its time.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Router;
use recapture_core::config::{self, ContactsUrl};
use recapture_core::contact::Contact;
use recapture_core::contacts::conformance::full;
use recapture_core::contacts::{Contacts, ContactsError, Sought};
use recapture_core::http;
use recapture_core::secret::Secret;
use recapture_simulator::{Capture, DasLimits, Endpoint, Scenario, Simulator};
use serde_json::json;

use super::serve;

async fn open(url: &str, token: &str, timeout: Duration) -> Contacts {
    let url = ContactsUrl::Rest(url.parse().unwrap());
    let settings = config::Contacts { url, token: Some(Secret::new(token)), password: None, timeout };
    Contacts::open(&settings, http::client().unwrap()).await.unwrap()
}

/// Looks up 300 meetings, of which the service has 120, and gives the look-ups that it took.
async fn found_all(das: DasLimits, timeout: Duration) -> Result<u64, ContactsError> {
    let scenario = Scenario { meetings: 300, captured: 0.4, incomplete: 0.0, das, ..Scenario::default() };
    let simulator = Simulator::start(scenario).await.unwrap();
    let contacts = open(&simulator.das_url(), simulator.das_token(), timeout).await;
    let truth: Vec<_> = simulator.truth().collect();
    let sought: Vec<_> =
        truth.iter().map(|meeting| Sought { source_id: &meeting.uuid, held: None }).collect();
    let found = contacts.find(&sought).await?;
    let found: BTreeSet<_> = found.contacts.iter().map(|contact| contact.source_id.as_str()).collect();
    let is_captured = |meeting: &&recapture_simulator::TruthMeeting| meeting.class == Capture::Captured;
    let captured: BTreeSet<_> =
        truth.iter().filter(is_captured).map(|meeting| meeting.uuid.as_str()).collect();
    assert_eq!(found, captured);
    Ok(simulator.counts().requests(Endpoint::DasLookup) + simulator.counts().das_unanswered)
}

#[tokio::test]
async fn an_answer_that_is_cut_is_asked_for_again_until_nothing_comes() {
    let patient = Duration::from_secs(20);
    assert_eq!(
        found_all(DasLimits::default(), patient).await.unwrap(),
        2,
        "once, and once for those that lack"
    );
    for (rows, asked) in [(1, 121), (50, 4), (119, 3), (120, 2)] {
        let das = DasLimits { rows: Some(rows), ..DasLimits::default() };
        assert_eq!(found_all(das, patient).await.unwrap(), asked, "{rows}");
    }
}

#[tokio::test]
async fn a_look_up_that_takes_too_long_is_made_in_halves() {
    let das = |most| DasLimits { most_ids: Some(most), ..DasLimits::default() };
    assert!(found_all(das(40), Duration::from_millis(300)).await.unwrap() > 8);
    let error = found_all(das(0), Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, ContactsError::Late { .. }), "{error:?}");
}

#[tokio::test]
async fn a_contact_that_comes_twice_is_one_and_tells_of_files_once() {
    let bare = Contact { media: Vec::new(), ..full("a") };
    for answer in [json!({"contacts": [full("a"), bare]}), json!({"contacts": [bare, full("a"), full("a")]})]
    {
        let url = serve(Router::new().fallback(move || async move { answer.to_string() })).await;
        let contacts = open(&url, "token", Duration::from_secs(20)).await;
        let found = contacts.find(&[Sought { source_id: "a", held: None }]).await.unwrap();
        assert_eq!(found.contacts, [full("a")]);
    }
}
