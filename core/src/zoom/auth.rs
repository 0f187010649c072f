//! The access token: one for the process, shared by all who ask.
//!
//! Server-to-Server OAuth, parameters in the body (the query form began to fail). A new token may kill the former
//! one (error 124), so there is never more than one request for a token under way, and all use its answer. A
//! failure is remembered for a moment, so that a hundred waiting requests do not become a hundred log-ins.
//!
//! One code (124) stands for "expired", "killed by a newer one" and "never good". What tells them apart is whether
//! the token ever worked: one that did is replaced without a word; when several new ones in a row are refused before
//! they worked once, the credentials are.
//!
//! The processes of an account that share a Redis share the token there ([`shared`]).

mod shared;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use chrono::Utc;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use self::shared::Shelf;
use super::error::{Answer, ZoomError};
use super::sharing::Sharing;
use crate::config::Credentials;
use crate::http;
use crate::secret::Secret;

/// A token that ends within this time is not used for another request.
const MARGIN: Duration = Duration::from_secs(60);

/// How long a failure to get a token stands for all who ask: a moment for trouble on the way, longer for a refusal.
const TROUBLE_STANDS: Duration = Duration::from_millis(100);
const REFUSAL_STANDS: Duration = Duration::from_secs(2);

const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How often a process that may not ask looks whether another one has got the token.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// New tokens that may be refused in a row before it is the credentials that are refused.
const MOST_REFUSED: u32 = 5;

/// A token as handed out: compare it by its number when it turns out to be dead.
#[derive(Clone)]
pub(super) struct Token {
    number: u64,
    /// Whether all processes use it.
    shared: bool,
    bearer: Secret,
    worked: Arc<AtomicBool>,
}

impl Token {
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.bearer.expose())
    }

    fn is(&self, other: &Self) -> bool {
        (self.number, self.shared) == (other.number, other.shared)
    }

    /// A request with it was taken.
    pub(super) fn worked(&self) {
        self.worked.store(true, Ordering::Relaxed);
    }
}

pub(super) struct Tokens {
    oauth_url: Url,
    credentials: Credentials,
    http: reqwest::Client,
    sharing: Option<Sharing>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    issued: u64,
    current: Option<(Token, Instant)>,
    failed: Option<(ZoomError, Instant)>,
    scopes: Vec<String>,
    /// New tokens in a row that were refused before they worked once.
    refused: u32,
}

/// What a refused token means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Of this token: another one may be taken.
    OfToken,
    /// Of the credentials.
    OfCredentials,
}

#[derive(Deserialize)]
struct Grant {
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    scope: Option<String>,
}

impl Tokens {
    pub(super) fn new(
        oauth_url: Url,
        credentials: Credentials,
        http: reqwest::Client,
        sharing: Option<Sharing>,
    ) -> Self {
        Self { oauth_url, credentials, http, sharing, state: Mutex::default() }
    }

    /// The current token, or a new one. The lock is held over the request: that is the single flight.
    pub(super) async fn get(&self) -> Result<Token, ZoomError> {
        let mut state = self.state.lock().await;
        if let Some((token, ends)) = &state.current
            && *ends > Instant::now()
        {
            return Ok(token.clone());
        }
        if let Some((error, at)) = &state.failed
            && at.elapsed() < stands(error)
        {
            return Err(error.clone());
        }
        let obtained = match &self.sharing {
            Some(sharing) => self.shared(sharing, &mut state).await,
            None => self.own(&mut state).await,
        };
        match obtained {
            Ok((token, usable, scopes)) => {
                state.scopes = scopes;
                state.current = Some((token.clone(), Instant::now() + usable));
                state.failed = None;
                Ok(token)
            }
            Err(error) => {
                state.failed = Some((error.clone(), Instant::now()));
                Err(error)
            }
        }
    }

    /// A token of this process.
    async fn own(&self, state: &mut State) -> Result<Obtained, ZoomError> {
        let grant = self.request().await?;
        state.issued += 1;
        Ok(obtained(state.issued, false, &grant))
    }

    /// The token that all processes use: the one that is there, or a new one by whoever gets the right to ask.
    async fn shared(&self, sharing: &Sharing, state: &mut State) -> Result<Obtained, ZoomError> {
        let (kept, who) = (Shelf(sharing), format!("{:016x}", fastrand::u64(..)));
        let patience = Instant::now() + ANSWER_WITHIN + LOOK_AGAIN;
        while Instant::now() < patience {
            let asking = match kept.find().await {
                Ok(Some((number, token))) if token.is_good() => return Ok(token.into_obtained(number)),
                Ok(_) => kept.may_ask(&who).await,
                Err(fault) => Err(fault),
            };
            match asking {
                Ok(true) => {
                    let grant = self.request().await;
                    let published = kept.conclude(&who, grant.as_ref().ok()).await;
                    let number =
                        published.inspect_err(|error| tracing::warn!(%error, "a new token is not shared"));
                    return Ok(obtained(number.unwrap_or_default(), true, &grant?));
                }
                Ok(false) => tokio::time::sleep(LOOK_AGAIN).await,
                Err(error) => {
                    tracing::warn!(%error, "the shared token cannot be read; this process gets one of its own");
                    break;
                }
            }
        }
        self.own(state).await
    }

    /// Forgets a token that Zoom refused, unless somebody has already replaced it.
    pub(super) async fn refused(&self, token: &Token) -> Refusal {
        let mut state = self.state.lock().await;
        if state.current.as_ref().is_some_and(|(current, _)| current.is(token)) {
            state.current = None;
            state.refused = if token.worked.load(Ordering::Relaxed) { 0 } else { state.refused + 1 };
        }
        if let Some(sharing) = self.sharing.as_ref().filter(|_| token.shared)
            && let Err(error) = Shelf(sharing).forget(token.number).await
        {
            tracing::warn!(%error, "a refused token could not be taken back");
        }
        if state.refused < MOST_REFUSED { Refusal::OfToken } else { Refusal::OfCredentials }
    }

    /// The scopes of the current token.
    pub(super) async fn scopes(&self) -> Result<Vec<String>, ZoomError> {
        self.get().await?;
        Ok(self.state.lock().await.scopes.clone())
    }

    async fn request(&self) -> Result<Grant, ZoomError> {
        let asked = format!("POST {}", self.oauth_url.path());
        let pair = format!("{}:{}", self.credentials.client_id, self.credentials.client_secret.expose());
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let form =
            [("grant_type", "account_credentials"), ("account_id", self.credentials.account_id.as_str())];
        let transport = |detail: String| ZoomError::Transport { request: asked.clone(), detail };
        let sent = self
            .http
            .post(self.oauth_url.clone())
            .header(AUTHORIZATION, basic)
            .timeout(ANSWER_WITHIN)
            .form(&form)
            .send()
            .await
            .map_err(|error| transport(http::transport_words(&error)))?;
        let status = sent.status().as_u16();
        let retry_after = http::retry_after(sent.headers(), Utc::now());
        let body = http::read_capped(sent, 1 << 20).await.map_err(|error| transport(error.to_string()))?;
        if status == 200 {
            return serde_json::from_slice(&body).map_err(|error| ZoomError::Unreadable {
                request: asked,
                // The body may hold a token: only the place of the fault is told.
                detail: format!("line {}, column {}", error.line(), error.column()),
                tracking_id: None,
            });
        }
        Err(refusal(asked, status, &body, retry_after))
    }
}

/// A token with how long it may be used and what it may do.
type Obtained = (Token, Duration, Vec<String>);

fn obtained(number: u64, shared: bool, grant: &Grant) -> Obtained {
    let token =
        Token { number, shared, bearer: Secret::new(grant.access_token.clone()), worked: Arc::default() };
    (token, grant.usable(), grant.scopes())
}

impl Grant {
    /// How long it may be used. A life shorter than the margin (a test's) still gives a token that can be used.
    fn usable(&self) -> Duration {
        let life = Duration::from_secs(self.expires_in.unwrap_or(3600));
        life.saturating_sub(MARGIN).max(life / 2)
    }

    fn scopes(&self) -> Vec<String> {
        self.scope.as_deref().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    }
}

fn stands(error: &ZoomError) -> Duration {
    match error {
        ZoomError::Unauthorized(_) => REFUSAL_STANDS,
        _ => TROUBLE_STANDS,
    }
}

fn refusal(
    request: String,
    status: u16,
    body: &[u8],
    retry_after: Option<chrono::DateTime<Utc>>,
) -> ZoomError {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Words {
        error: Option<String>,
        reason: Option<String>,
        message: Option<String>,
        code: Option<i64>,
    }
    let words: Words = serde_json::from_slice(body).unwrap_or_default();
    let message =
        [words.error, words.reason, words.message].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let answer = Answer { request, status: Some(status), code: words.code, message, tracking_id: None };
    match status {
        429 => ZoomError::RateLimited {
            until: retry_after.unwrap_or_else(|| Utc::now() + chrono::Duration::seconds(1)),
            daily: false,
            answer,
        },
        400..=499 => ZoomError::Unauthorized(answer),
        _ => ZoomError::Server { retry_after, answer },
    }
}
