//! The Verint form against a platform that speaks it, and what that can do wrong.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, Uri};
use axum::{Json, Router};
use recapture_core::config::{self, ContactsUrl, Verint};
use recapture_core::contacts::{Contacts, ContactsError, Found, Sought};
use recapture_core::http;
use recapture_core::reason::Reason;
use recapture_core::secret::Secret;
use recapture_simulator::{Capture, DasLimits, Endpoint, Fault, Faults, Scenario, Simulator, TruthMeeting};
use serde_json::Value;

use super::serve;

/// A platform, and how it is configured.
pub(super) struct Platform {
    simulator: Simulator,
    verint: Verint,
    timeout: Duration,
}

impl Platform {
    pub(super) async fn empty() -> Self {
        Self::of(Scenario { meetings: 0, ..Scenario::default() }).await
    }

    async fn of(scenario: Scenario) -> Self {
        let simulator = Simulator::start(scenario).await.unwrap();
        let verint = Verint {
            url: simulator.verint_url().parse().unwrap(),
            user: simulator.verint_user().to_owned(),
            password: Secret::new(simulator.verint_password()),
            login_path: "/api/v1/auth/token".to_owned(),
            query_path: "/DASWebAPI/Query/ExecuteDynamicQuery".to_owned(),
            user_id: 8001,
            conditions: String::new(),
            columns: Vec::new(),
            key_column: "SWITCH_CALL_ID".to_owned(),
            start_column: "AUDIO_START_TIME".to_owned(),
            end_column: "audio_end_time".to_owned(),
            file_column: None,
            row_limit: 2000,
            margin: Duration::from_secs(900),
            ingest_url: Some(simulator.ingest_url().parse().unwrap()),
        };
        Self { simulator, verint, timeout: Duration::from_secs(20) }
    }

    /// 200 meetings of a day, a half of them captured.
    async fn of_a_day(das: DasLimits) -> Self {
        let scenario = Scenario::default();
        let from = scenario.to - chrono::Duration::days(1);
        let row_limit = das.rows.unwrap_or(2000);
        let mut platform = Self::of(Scenario { meetings: 200, captured: 0.5, from, das, ..scenario }).await;
        platform.verint.row_limit = row_limit;
        platform
    }

    pub(super) async fn contacts(&self) -> Contacts {
        let settings = config::Contacts {
            url: ContactsUrl::Verint(Box::new(self.verint.clone())),
            token: Some(Secret::new(self.simulator.das_token())),
            password: None,
            timeout: self.timeout,
        };
        Contacts::open(&settings, http::client().unwrap()).await.unwrap()
    }

    fn truth(&self) -> Vec<TruthMeeting> {
        self.simulator.truth().collect()
    }

    async fn find(&self) -> Result<Found, ContactsError> {
        let truth = self.truth();
        let sought: Vec<Sought<'_>> = truth
            .iter()
            .map(|meeting| Sought {
                source_id: &meeting.uuid,
                held: Some((meeting.start_time, meeting.start_time + chrono::Duration::minutes(90))),
            })
            .collect();
        self.contacts().await.find(&sought).await
    }

    /// Nothing that is there is absent, nothing that is not there is found; gives how many are unknown.
    #[track_caller]
    fn assert_true(&self, found: &Found) -> usize {
        let ids = |of: Vec<String>| of.into_iter().collect::<BTreeSet<_>>();
        let here = ids(found.contacts.iter().map(|contact| contact.source_id.clone()).collect());
        let unknown = ids(found.unknown.iter().map(|of| of.source_id.clone()).collect());
        let all = self.truth();
        let is_captured = |meeting: &&TruthMeeting| meeting.class != Capture::Missing;
        let captured = ids(all.iter().filter(is_captured).map(|meeting| meeting.uuid.clone()).collect());
        assert_eq!(here.difference(&captured).count(), 0, "found, and not there");
        assert_eq!(here.intersection(&unknown).count(), 0);
        let absent = captured.iter().filter(|id| !here.contains(*id) && !unknown.contains(*id));
        assert_eq!(absent.count(), 0, "there, and not found");
        unknown.len()
    }

    fn questions(&self) -> u64 {
        self.simulator.counts().requests(Endpoint::DasQuery)
    }
}

#[tokio::test]
async fn a_whole_answer_is_one_question() {
    let platform = Platform::of_a_day(DasLimits::default()).await;
    let found = platform.find().await.unwrap();
    assert_eq!(platform.assert_true(&found), 0);
    assert!(found.contacts.iter().all(|contact| contact.media.is_empty() && contact.ended_at.is_some()));
    assert_eq!((platform.questions(), platform.simulator.counts().requests(Endpoint::DasLogIn)), (1, 1));
}

#[tokio::test]
async fn an_answer_at_its_row_limit_is_asked_for_in_halves_until_it_is_whole() {
    for rows in [20, 100, 500] {
        let platform = Platform::of_a_day(DasLimits { rows: Some(rows), ..DasLimits::default() }).await;
        let found = platform.find().await.unwrap();
        assert_eq!(platform.assert_true(&found), 0, "{rows}");
        assert!(platform.questions() > 2, "{rows}");
    }
}

/// A hundred meetings began in one minute: no question is small enough.
#[tokio::test]
async fn what_stays_cut_is_unknown_and_never_absent() {
    let scenario = Scenario::default();
    let from = scenario.to - chrono::Duration::minutes(1);
    let das = DasLimits { rows: Some(30), ..DasLimits::default() };
    let scenario = Scenario { meetings: 100, captured: 0.5, from, das, ..scenario };
    let mut platform = Platform::of(scenario).await;
    platform.verint.row_limit = 30;
    let found = platform.find().await.unwrap();
    let unknown = platform.assert_true(&found);
    assert!(unknown >= 50 && !found.contacts.is_empty(), "{unknown} unknown");
    assert!(found.unknown[0].why.contains("cut its answer for"), "{:?}", found.unknown[0]);
    // With files told, what was seen may not have been seen whole.
    platform.verint.file_column = Some("cd17".to_owned());
    let found = platform.find().await.unwrap();
    assert!(platform.assert_true(&found) > unknown);
}

#[tokio::test]
async fn a_question_that_takes_too_long_is_asked_in_halves() {
    let das = DasLimits { longest_period_s: Some(4 * 3600), ..DasLimits::default() };
    let mut platform = Platform::of_a_day(das).await;
    platform.timeout = Duration::from_millis(400);
    let found = platform.find().await.unwrap();
    assert_eq!(platform.assert_true(&found), 0);
    assert!(platform.simulator.counts().das_unanswered >= 3);

    let mut silent =
        Platform::of_a_day(DasLimits { longest_period_s: Some(0), ..DasLimits::default() }).await;
    silent.timeout = Duration::from_millis(100);
    let error = silent.find().await.unwrap_err();
    assert!(matches!(error, ContactsError::Late { .. }), "{error:?}");
    assert!(error.to_string().contains("contacts.timeout"), "{error}");
    assert!(silent.simulator.counts().das_unanswered <= 40, "it is not asked for ever");
}

#[tokio::test]
async fn a_period_that_is_clamped_counts_as_cut() {
    let das = DasLimits { clamp_s: Some(3600), ..DasLimits::default() };
    let platform = Platform::of_a_day(das).await;
    let found = platform.find().await.unwrap();
    assert_eq!(platform.assert_true(&found), 0);
    assert!(platform.questions() > 24);
}

#[tokio::test]
async fn a_session_that_is_over_is_begun_anew_once_for_a_question() {
    let platform = Platform::of_a_day(DasLimits::default()).await;
    let contacts = platform.contacts().await;
    contacts.check().await.unwrap();
    platform.simulator.end_das_sessions();
    contacts.check().await.unwrap();
    contacts.check().await.unwrap();
    let counts = platform.simulator.counts();
    assert_eq!((counts.requests(Endpoint::DasLogIn), counts.answers(Endpoint::DasQuery, 401)), (2, 1));

    platform.simulator.set_faults(Faults { das_session_expired: 1.0, relentless: true, ..Faults::default() });
    let error = contacts.check().await.unwrap_err();
    assert!(matches!(error, ContactsError::LogInRefused { status: 401, .. }), "{error:?}");
    let counts = platform.simulator.counts();
    assert_eq!((counts.requests(Endpoint::DasLogIn), counts.fault(Fault::DasSessionExpired)), (3, 2));
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let mut platform = Platform::empty().await;
    platform.verint.password = Secret::new("hunter2");
    let contacts = platform.contacts().await;
    let error = contacts.check().await.unwrap_err();
    assert!(matches!(error, ContactsError::LogInRefused { status: 401, .. }), "{error:?}");
    assert!(error.to_string().contains("contacts.verint.password"), "{error}");
    assert!(!format!("{error} {error:?} {contacts:?}").contains("hunter2"));
    assert_eq!(error.cause().reason, Reason::ContactsRefused);
}

#[tokio::test]
async fn files_are_compared_where_a_column_tells_them() {
    let scenario = Scenario { meetings: 40, captured: 0.5, incomplete: 0.5, ..Scenario::default() };
    let mut platform = Platform::of(scenario).await;
    platform.verint.file_column = Some("CD17".to_owned());
    let found = platform.find().await.unwrap();
    assert_eq!(platform.assert_true(&found), 0);
    for meeting in platform.truth() {
        let contact = found.contacts.iter().find(|contact| contact.source_id == meeting.uuid);
        let held: BTreeSet<&str> =
            contact.iter().flat_map(|contact| &contact.media).map(|media| media.file_id.as_str()).collect();
        let captured = meeting.files.iter().filter(|file| file.captured).map(|file| file.id.as_str());
        assert_eq!(held, captured.collect(), "{}", meeting.uuid);
    }
}

/// A wrong column would make every meeting look missing.
#[tokio::test]
async fn a_key_column_that_is_not_there_is_an_error() {
    let mut platform = Platform::of_a_day(DasLimits::default()).await;
    platform.verint.key_column = "cd99".to_owned();
    let error = platform.find().await.unwrap_err();
    assert!(matches!(error, ContactsError::Unreadable { .. }), "{error:?}");
    let told = error.to_string();
    assert!(told.contains("contacts.verint.key_column") && told.contains("switch_call_id"), "{told}");
    platform.verint.key_column = "switch_call_id".to_owned();
    platform.verint.columns = vec!["switch_call_id".to_owned(), "AUDIO_START_TIME".to_owned()];
    assert_eq!(platform.assert_true(&platform.find().await.unwrap()), 0);
}

/// The worked example of the manual, word for word.
#[tokio::test]
async fn the_worked_example_is_what_is_asked_and_understood() {
    let manual = include_str!("../../../docs/das.md");
    let blocks: Vec<Value> = manual
        .split("```js\n")
        .skip(1)
        .map(|rest| serde_json::from_str(rest.split("```").next().unwrap()).unwrap())
        .collect();
    let [log_in, logged_in, query, sessions] = blocks.try_into().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let answers =
        Router::new().fallback(move |uri: Uri, headers: HeaderMap, Json(body): Json<Value>| async move {
            let token = headers.get("Impact360AuthToken").map(|token| token.to_str().unwrap().to_owned());
            seen.lock().unwrap().push((token, body));
            if uri.path() == "/api/v1/auth/token" { logged_in.to_string() } else { sessions.to_string() }
        });
    let url = serve(answers).await;
    let mut platform = Platform::empty().await;
    platform.verint.url = url.parse().unwrap();
    platform.verint.password = Secret::new("sesame");
    platform.verint.key_column = "cd5".to_owned();
    platform.timeout = Duration::from_secs(60);

    let at = |text: &str| recapture_core::period::parse_instant(text).unwrap();
    let held = Some((at("2026-10-01T08:00:00Z"), at("2026-10-01T08:57:00Z")));
    let ids = ["/aB3dE//gHiJkL4mNoPqRg==", "4444AAAiAAAAAiAiAiiAii=="];
    let sought = ids.map(|source_id| Sought { source_id, held });
    let found = platform.contacts().await.find(&sought).await.unwrap();

    assert_eq!(*asked.lock().unwrap(), [(None, log_in), (Some("9b1c4e7a".to_owned()), query)]);
    assert_eq!((found.contacts.len(), found.unknown.len()), (1, 0));
    let contact = &found.contacts[0];
    assert_eq!(contact.source_id, ids[0]);
    assert_eq!(
        (contact.started_at, contact.ended_at),
        (at("2026-10-01T08:00:04.25Z"), Some(at("2026-10-01T08:57:01Z")))
    );
}

#[tokio::test]
async fn what_it_cannot_be_asked_is_said() {
    let platform = Platform::empty().await;
    let contacts = platform.contacts().await;
    let error = contacts.get("a==").await.unwrap_err();
    assert!(matches!(error, ContactsError::NotOffered { .. }), "{error:?}");
    let found = contacts.find(&[Sought { source_id: "a==", held: None }]).await.unwrap();
    assert_eq!((found.contacts.len(), found.unknown.len()), (0, 1), "without a time nobody can tell");
}
