//! A client that does what it is told: no retries, no redirects.

use chrono::{DateTime, SecondsFormat, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use recapture_simulator::{Scenario, Simulator};
use reqwest::{Client, RequestBuilder, Response, redirect};
use serde_json::Value;

pub(crate) struct Account {
    pub(crate) simulator: Simulator,
    pub(crate) http: Client,
    pub(crate) token: String,
}

pub(crate) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Twenty meetings of a fixed week, all of them missing and ordinary, unless said otherwise.
pub(crate) fn scenario() -> Scenario {
    Scenario {
        meetings: 20,
        from: "2024-10-01T00:00:00Z".parse().unwrap(),
        to: "2024-10-08T00:00:00Z".parse().unwrap(),
        captured: 0.0,
        incomplete: 0.0,
        external: 0.0,
        breakout_rooms: 0.0,
        ..Scenario::default()
    }
}

pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl Account {
    pub(crate) async fn start(scenario: Scenario) -> Self {
        // The first of the tests of this process installs it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let simulator = Simulator::start(scenario).await.unwrap();
        let http = Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
        let mut account = Self { simulator, http, token: String::new() };
        account.log_in().await;
        account
    }

    pub(crate) async fn log_in(&mut self) {
        let answer: Value = self.ask_for_token(self.simulator.client_secret()).await.json().await.unwrap();
        answer["access_token"].as_str().unwrap().clone_into(&mut self.token);
    }

    pub(crate) fn token_request(&self, secret: &str) -> RequestBuilder {
        let form = [("grant_type", "account_credentials"), ("account_id", self.simulator.account_id())];
        self.http
            .post(self.simulator.oauth_url())
            .form(&form)
            .basic_auth(self.simulator.client_id(), Some(secret))
    }

    pub(crate) async fn ask_for_token(&self, secret: &str) -> Response {
        self.token_request(secret).send().await.unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.simulator.api_url())).bearer_auth(&self.token)
    }

    /// A page of the list of the whole period.
    pub(crate) fn page(&self, token: &str) -> RequestBuilder {
        let scenario = scenario();
        let query = [
            ("from", time(scenario.from)),
            ("to", time(scenario.to)),
            ("page_size", "7".to_owned()),
            ("next_page_token", token.to_owned()),
        ];
        self.get("/archive_files").query(&query)
    }

    /// Every meeting object of the list.
    pub(crate) async fn list(&self) -> Vec<Value> {
        let (mut meetings, mut token) = (Vec::new(), String::new());
        loop {
            let page: Value = self.page(&token).send().await.unwrap().json().await.unwrap();
            meetings.extend(page["meetings"].as_array().unwrap().iter().cloned());
            page["next_page_token"].as_str().unwrap().clone_into(&mut token);
            if token.is_empty() {
                return meetings;
            }
        }
    }

    /// The metadata of a meeting whose UUID is encoded by the rule.
    pub(crate) fn metadata(&self, uuid: &str) -> RequestBuilder {
        let once = encode(uuid);
        let segment = if uuid.starts_with('/') || uuid.contains("//") { encode(&once) } else { once };
        self.get(&format!("/past_meetings/{segment}/archive_files"))
    }

    pub(crate) async fn meeting(&self, index: usize) -> Value {
        let uuid = self.simulator.truth().nth(index).unwrap().uuid;
        self.metadata(&uuid).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) fn first_hop(&self, url: &str) -> RequestBuilder {
        self.http.get(url).bearer_auth(&self.token)
    }

    /// The signed URL that a download is redirected to.
    pub(crate) async fn signed_url(&self, url: &str) -> String {
        let answer = self.first_hop(url).send().await.unwrap();
        assert_eq!(answer.status(), 302);
        answer.headers()["location"].to_str().unwrap().to_owned()
    }

    /// Both hops, as a good client goes them.
    pub(crate) async fn download(&self, url: &str) -> Response {
        let signed = self.signed_url(url).await;
        self.http.get(signed).send().await.unwrap()
    }

    pub(crate) fn das(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.simulator.das_url());
        self.http.request(method, url).bearer_auth(self.simulator.das_token())
    }
}

/// Status and Zoom's code of a refusal.
pub(crate) async fn refusal(request: RequestBuilder) -> (u16, u64) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json::<Value>().await.unwrap()["code"].as_u64().unwrap())
}

/// The first file's URL.
pub(crate) fn url(meeting: &Value) -> String {
    meeting["archive_files"][0]["download_url"].as_str().unwrap().to_owned()
}
