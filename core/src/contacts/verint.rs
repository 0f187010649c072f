//! A data access service of the Verint form: it can be asked, by period alone, and told nothing.
//!
//! # What can be relied on
//!
//! There is no paging, and an answer may be cut at a row limit without saying so. So an answer counts as whole only if it
//! has fewer rows than `contacts.verint.row_limit` and is not told to be of a shorter period than asked; any other is
//! asked for again in halves of its period, down to [`FINEST`]. A question that takes too long is halved as well. What is
//! still cut then proves presence and nothing else: a meeting that is not in it is *unknown*, never absent.
//!
//! Rows are sessions. Those of one contact carry the meeting UUID in one column (`contacts.verint.key_column`), by which
//! they are put together. Their times begin anywhere within the meeting, so a meeting is looked for from before its start
//! to after its end, and the ends of neighbouring questions overlap: whether they are inclusive is not documented. Nor is
//! what `TimeOfDateEnd` does with the last second of a day; the other sessions of the contact make up for it.
//!
//! # The log-in
//!
//! A token is had with the first question and kept. A 401 voids it: one more is had, once for each question, whoever
//! of several questions at the same time noticed first.
//!
//! # What a crash leaves
//!
//! Nothing: the service is only read. A new contact is handed over as a file in the buffer, which the worker writes before
//! it calls [`VerintContacts::register`], and by one request to `contacts.ingest_url` if there is such an address; the
//! receiver has to merge, because a crash or a lost answer repeats it.

mod search;
mod sessions;
mod windows;

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::json;
use tokio::sync::Mutex;

use super::request::Asked;
use super::{ContactsError, Registered, Sought};
use crate::config::{Verint, without_credentials};
use crate::contact::Contact;
use crate::period::Period;
use crate::secret::Secret;
pub(super) use search::PeriodSearch;
use sessions::{Answer, LogIn, LoggedIn, Query};

/// The shortest period that is halved no more.
const FINEST: chrono::Duration = chrono::Duration::minutes(2);

/// Questions about different periods on their way at once.
const AT_ONCE: usize = 4;

const TOKEN_HEADER: &str = "Impact360AuthToken";

/// The client of one service. Clones share its connections and its session.
#[derive(Debug, Clone)]
pub struct VerintContacts {
    settings: Arc<Verint>,
    /// For the hand-off.
    token: Option<Secret>,
    timeout: Duration,
    http: reqwest::Client,
    session: Arc<Mutex<Option<Secret>>>,
}

impl VerintContacts {
    pub(super) fn new(
        settings: &Verint,
        token: Option<Secret>,
        timeout: Duration,
        http: reqwest::Client,
    ) -> Self {
        Self { settings: Arc::new(settings.clone()), token, timeout, http, session: Arc::default() }
    }

    pub(super) fn search<'a>(&'a self, sought: &[Sought<'a>]) -> PeriodSearch<'a> {
        PeriodSearch::new(self, windows::Wanted::new(sought, self.settings.margin))
    }

    /// Hands the contact off, if there is somebody to take it.
    pub(super) async fn register(&self, contact: &Contact) -> Result<Registered, ContactsError> {
        if let Some(url) = &self.settings.ingest_url {
            let asked = Asked::new(
                &self.http,
                Method::POST,
                url.as_str().to_owned(),
                self.timeout,
                "contacts.ingest_url is the whole address that contacts are posted to",
            );
            let asked = asked.with(|request| request.json(contact));
            match &self.token {
                Some(token) => asked.with(|request| request.bearer_auth(token.expose())).send().await?,
                None => asked.send().await?,
            };
        }
        Ok(Registered::HandedOver)
    }

    /// Logs in and asks for the last hour: that the service answers, takes the user, and has the column of the UUID.
    pub(super) async fn check(&self) -> Result<String, ContactsError> {
        let now = Utc::now();
        let request = self.settings.url.to_string();
        let last_hour = Period::new(now - chrono::Duration::hours(1), now)
            .map_err(|error| ContactsError::Unreadable { request, what: error.to_string() })?;
        let answer = self.query(last_hour).await?;
        let (rows, keyed) = (answer.rows.len(), answer.keyed());
        let column = &self.settings.key_column;
        let cut = if answer.is_cut { " (cut at its limit)" } else { "" };
        let place = without_credentials(self.settings.url.as_str());
        Ok(format!(
            "{place} answers; {rows} sessions in the last hour{cut}, {keyed} with a value in {column}"
        ))
    }

    /// One question, logged in.
    async fn query(&self, period: Period) -> Result<Answer, ContactsError> {
        let token = self.log_in(None).await?;
        match self.ask(period, &token).await {
            Err(ContactsError::Unauthorized { .. }) => {
                let fresh = self.log_in(Some(&token)).await?;
                self.ask(period, &fresh).await.map_err(|error| match error {
                    ContactsError::Unauthorized { request, status } => {
                        ContactsError::LogInRefused { request, status }
                    }
                    other => other,
                })
            }
            other => other,
        }
    }

    async fn ask(&self, period: Period, token: &Secret) -> Result<Answer, ContactsError> {
        let address = self.address(&self.settings.query_path);
        let wrong_path = "contacts.verint.query_path does not lead to the query of this installation";
        let asked = Asked::new(&self.http, Method::POST, address, self.timeout, wrong_path);
        let mut header = HeaderValue::from_str(token.expose()).map_err(|_| ContactsError::Unreadable {
            request: asked.name.clone(),
            what: "the token of the log-in fits into no header".to_owned(),
        })?;
        header.set_sensitive(true);
        let query = Query::new(&self.settings, period, self.timeout);
        let asked = asked.with(|request| request.header(TOKEN_HEADER, header).json(&query));
        let (sessions, request) = asked.read().await?;
        Answer::read(&self.settings, period, sessions)
            .map_err(|what| ContactsError::Unreadable { request, what })
    }

    /// The token of the session; a new one if there is none, or if the one there is has proven stale.
    async fn log_in(&self, stale: Option<&Secret>) -> Result<Secret, ContactsError> {
        let mut session = self.session.lock().await;
        if let Some(token) = session.as_ref().filter(|token| Some(*token) != stale) {
            return Ok(token.clone());
        }
        *session = None;
        let address = self.address(&self.settings.login_path);
        let wrong_path = "contacts.verint.login_path does not lead to the log-in of this installation";
        let Verint { user, password, .. } = &*self.settings;
        let body = LogIn { user, password: password.expose() };
        let asked = Asked::new(&self.http, Method::POST, address, self.timeout, wrong_path);
        let answer = asked.with(|request| request.json(&json!(body))).read::<LoggedIn>().await;
        let (answer, _) = answer.map_err(|error| match error {
            ContactsError::Unauthorized { request, status } => {
                ContactsError::LogInRefused { request, status }
            }
            other => other,
        })?;
        Ok(session.insert(Secret::new(answer.auth_token.token)).clone())
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.settings.url.as_str().trim_end_matches('/'))
    }
}
