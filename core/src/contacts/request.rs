//! One request to a data access service of any form, and its answer as facts.

use std::time::Duration;

use chrono::Utc;
use reqwest::header::{ACCEPT, LOCATION};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;

use super::ContactsError;
use super::wire::Problem;
use crate::config::without_credentials;
use crate::http::{self, HttpError};

/// A thousand contacts with hundreds of files and participants each, and room.
const LARGEST_ANSWER: usize = 64 << 20;

/// An error's body is for a person to read.
const LARGEST_PROBLEM: usize = 64 << 10;
const LONGEST_DETAIL: usize = 300;

/// So many questions in a row may go unanswered in their time before smaller ones are not tried any more.
pub(super) const MOST_LATE: usize = 8;

/// A request with the words for it in messages: method and address, without query and secrets.
pub(super) struct Asked {
    pub(super) name: String,
    request: RequestBuilder,
    timeout: Duration,
    /// What an answer says that there is no such path.
    no_such_path: &'static str,
}

impl Asked {
    pub(super) fn new(
        http: &reqwest::Client,
        method: Method,
        address: String,
        timeout: Duration,
        no_such_path: &'static str,
    ) -> Self {
        let name = format!("{method} {}", without_credentials(&address));
        let request = http.request(method, address).timeout(timeout).header(ACCEPT, "application/json");
        Self { name, request, timeout, no_such_path }
    }

    pub(super) fn with(self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Self {
        Self { request: change(self.request), ..self }
    }

    /// The answer if it is a success; the name of the request comes back with it.
    pub(super) async fn send(self) -> Result<(Response, String), ContactsError> {
        let Self { name: request, request: builder, timeout, no_such_path } = self;
        match builder.send().await {
            Ok(response) if response.status().is_success() => Ok((response, request)),
            Ok(response) => Err(refusal(request, response, no_such_path).await),
            Err(error) if error.is_timeout() && !error.is_connect() => {
                Err(ContactsError::Late { request, after: timeout })
            }
            Err(error) => Err(ContactsError::Unreachable { request, why: http::transport_words(&error) }),
        }
    }

    pub(super) async fn read<T: DeserializeOwned>(self) -> Result<(T, String), ContactsError> {
        let after = self.timeout;
        let (response, request) = self.send().await?;
        let body = match http::read_capped(response, LARGEST_ANSWER).await {
            Ok(body) => body,
            Err(HttpError::TooLarge { cap }) => {
                let what = format!("it is larger than {} MiB", cap >> 20);
                return Err(ContactsError::Unreadable { request, what });
            }
            Err(HttpError::Late) => return Err(ContactsError::Late { request, after }),
            Err(error) => {
                return Err(ContactsError::Unreachable { request, why: error.to_string() });
            }
        };
        match serde_json::from_slice(&body) {
            Ok(answer) => Ok((answer, request)),
            Err(error) => Err(ContactsError::Unreadable { request, what: cut(&error.to_string()) }),
        }
    }
}

async fn refusal(request: String, response: Response, no_such_path: &str) -> ContactsError {
    let status = response.status();
    let retry_after = http::retry_after(response.headers(), Utc::now());
    let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).map(without_credentials);
    let body = http::read_capped(response, LARGEST_PROBLEM).await.unwrap_or_default();
    let detail = cut(&serde_json::from_slice::<Problem>(&body).unwrap_or_default().words());
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ContactsError::Unauthorized { request, status: status.as_u16() }
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            ContactsError::Server { request, status: status.as_u16(), detail, retry_after }
        }
        status if status.is_server_error() => {
            ContactsError::Server { request, status: status.as_u16(), detail, retry_after }
        }
        status if status.is_redirection() => {
            let to = location.unwrap_or_else(|| "nowhere".to_owned());
            let detail = format!("it redirects to {to}; set the address to where the service really is");
            ContactsError::Refused { request, status: status.as_u16(), detail }
        }
        status if status == StatusCode::NOT_FOUND && detail.is_empty() => {
            let detail = format!("there is no such path; {no_such_path}");
            ContactsError::Refused { request, status: status.as_u16(), detail }
        }
        status => ContactsError::Refused { request, status: status.as_u16(), detail },
    }
}

/// Somebody else's words, fit for one line of a log.
pub(super) fn cut(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_DETAIL).collect()
}
