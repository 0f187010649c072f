use std::collections::HashSet;
use std::time::Duration;

use chrono::{Days, Utc};
use recapture_simulator::{Endpoint, FileState, Limits, Scenario};
use serde_json::Value;

use crate::client::{Account, refusal, scenario, time};

fn uuids(meetings: &[Value]) -> Vec<&str> {
    meetings.iter().map(|meeting| meeting["uuid"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn pages_hold_every_meeting_once_in_order() {
    let account = Account::start(scenario()).await;
    let meetings = account.list().await;
    let truth: Vec<_> = account.simulator.truth().collect();
    assert_eq!(uuids(&meetings), truth.iter().map(|meeting| meeting.uuid.as_str()).collect::<Vec<_>>());
    let first: Value = account.page("").send().await.unwrap().json().await.unwrap();
    assert_eq!((&first["total_records"], &first["page_size"]), (&20.into(), &7.into()));
    assert_eq!(
        (&first["from"], &first["to"]),
        (&"2024-10-01T00:00:00Z".into(), &"2024-10-08T00:00:00Z".into())
    );

    let counts = account.simulator.counts();
    assert_eq!(counts.answers(Endpoint::List, 200), 4);
    assert_eq!(counts.pages.iter().filter(|page| page.first).count(), 2);
    assert_eq!(counts.pages[0].from, scenario().from);
}

#[tokio::test]
async fn listed_files_are_those_of_the_truth() {
    let account = Account::start(Scenario { failed_files: 0.3, ..scenario() }).await;
    for (meeting, truth) in account.list().await.iter().zip(account.simulator.truth()) {
        let files = meeting["archive_files"].as_array().unwrap();
        assert_eq!(files.len(), truth.files.len());
        for (file, truth) in files.iter().zip(&truth.files) {
            assert_eq!(
                (&file["id"], &file["file_type"]),
                (&truth.id.as_str().into(), &truth.file_type.as_str().into())
            );
            if truth.state == FileState::Failed {
                assert_eq!((&file["status"], &file["file_size"]), (&"failed".into(), &0.into()));
                assert_eq!(file["download_url"], "");
            } else {
                assert_eq!((&file["status"], &file["file_size"]), (&"completed".into(), &truth.size.into()));
                let hash = account.simulator.file_sha256(&truth.id).unwrap();
                assert_eq!(file["encryption_fingerprint"], hash);
            }
        }
    }
}

#[tokio::test]
async fn the_same_seed_is_the_same_account() {
    let (one, two) = (Account::start(scenario()).await, Account::start(scenario()).await);
    let other = Account::start(Scenario { seed: 2, ..scenario() }).await;
    let mut lists = Vec::new();
    for account in [&one, &two, &other] {
        let mut list = account.list().await;
        // Ports differ.
        list.iter_mut().flat_map(|m| m["archive_files"].as_array_mut().unwrap()).for_each(|file| {
            file["download_url"].take();
        });
        lists.push(list);
    }
    assert_eq!(lists[0], lists[1]);
    assert_ne!(lists[0], lists[2]);
}

#[tokio::test]
async fn a_page_token_is_bound_to_its_query() {
    let account = Account::start(scenario()).await;
    let first: Value = account.page("").send().await.unwrap().json().await.unwrap();
    let token = first["next_page_token"].as_str().unwrap();
    assert_eq!(account.page(token).send().await.unwrap().status(), 200);
    let scenario = scenario();
    let (from, to) = (time(scenario.from), time(scenario.to));
    let earlier = time(scenario.to - Days::new(1));
    for (from, to, size, by) in [
        (&from, &earlier, "7", "meeting_start_time"),
        (&from, &to, "8", "meeting_start_time"),
        (&from, &to, "7", "archive_complete_time"),
    ] {
        let query = [("from", from.as_str()), ("to", to), ("page_size", size), ("query_date_type", by)];
        let request = account.get("/archive_files").query(&query).query(&[("next_page_token", token)]);
        assert_eq!(refusal(request).await, (400, 300));
    }
    assert_eq!(refusal(account.page("made-up")).await, (400, 300));
}

#[tokio::test]
async fn a_page_token_expires() {
    let account = Account::start(Scenario { page_token_lifetime_s: 0, ..scenario() }).await;
    let first: Value = account.page("").send().await.unwrap().json().await.unwrap();
    assert_eq!(refusal(account.page(first["next_page_token"].as_str().unwrap())).await, (400, 300));
}

#[tokio::test]
async fn a_period_is_at_most_a_week_and_ends_now() {
    let account = Account::start(scenario()).await;
    let query = |from: &str, to: &str| account.get("/archive_files").query(&[("from", from), ("to", to)]);
    assert_eq!(refusal(query("2024-10-01T00:00:00Z", "2024-10-08T00:00:01Z")).await, (400, 300));
    assert_eq!(refusal(query("2024-10-02T00:00:00Z", "2024-10-01T00:00:00Z")).await, (400, 300));
    assert_eq!(refusal(query("yesterday", "2024-10-01T00:00:00Z")).await, (400, 300));
    let now = Utc::now();
    let request = query(&time(now - Days::new(1)), &time(now + Days::new(5)));
    let page: Value = request.send().await.unwrap().json().await.unwrap();
    let to: chrono::DateTime<Utc> = page["to"].as_str().unwrap().parse().unwrap();
    assert!(to < now + Days::new(1), "{to}");
}

#[tokio::test]
async fn an_archive_in_the_making_has_no_completion_time() {
    let now = Utc::now();
    let period = Scenario { from: now - Days::new(3), to: now - Days::new(1), ..scenario() };
    let account = Account::start(Scenario { processing: 0.25, ..period }).await;
    let complete = async || {
        let (from, to) = (time(now - Days::new(4)), time(Utc::now() + Days::new(1)));
        let query = [("from", from.as_str()), ("to", &to), ("query_date_type", "archive_complete_time")];
        let page: Value =
            account.get("/archive_files").query(&query).send().await.unwrap().json().await.unwrap();
        let meetings = page["meetings"].as_array().unwrap().clone();
        assert_eq!(page["total_records"], meetings.len());
        assert!(meetings.iter().all(|meeting| meeting["status"] == "completed"));
        uuids(&meetings).into_iter().map(str::to_owned).collect::<HashSet<_>>()
    };
    assert_eq!(complete().await.len(), 15);
    account.simulator.finish_processing();
    assert_eq!(complete().await.len(), 20);
}

#[tokio::test]
async fn statistics_count_what_the_list_holds() {
    let account = Account::start(Scenario { failed_files: 0.2, no_files: 0.1, ..scenario() }).await;
    let query = [("from", time(scenario().from)), ("to", time(scenario().to))];
    let request = account.get("/archive_files/statistics").query(&query);
    let statistics: Value = request.send().await.unwrap().json().await.unwrap();
    let files: Vec<_> = account.simulator.truth().flat_map(|meeting| meeting.files).collect();
    let count = |extension: &str| files.iter().filter(|file| file.extension == extension).count();
    assert_eq!(statistics["total_records"], 20);
    let extensions = &statistics["statistic_by_file_extension"];
    for (name, extension) in
        [("mp4_file_count", "MP4"), ("json_file_count", "JSON"), ("vtt_file_count", "VTT")]
    {
        assert_eq!(extensions[name], count(extension), "{extension}");
    }
    let failed = files.iter().filter(|file| file.state == FileState::Failed).count();
    assert_eq!(statistics["statistic_by_file_status"]["failed_file_count"], failed);
    assert_eq!(statistics["statistic_by_file_status"]["completed_file_count"], files.len() - failed);
}

#[tokio::test]
async fn credentials_tokens_and_scopes() {
    let mut account = Account::start(Scenario { scopes: vec!["other".to_owned()], ..scenario() }).await;
    assert_eq!(refusal(account.page("")).await, (400, 4711));
    let refused = account.ask_for_token("wrong").await;
    assert_eq!(refused.status(), 401);
    assert!(refused.headers().contains_key("x-zm-trackingid"));
    assert_eq!(refused.json::<Value>().await.unwrap()["error"], "invalid_client");

    account.simulator.revoke_tokens();
    assert_eq!(refusal(account.page("")).await, (401, 124));
    account.simulator.set_token_lifetime(Duration::ZERO);
    account.log_in().await;
    assert_eq!(refusal(account.page("")).await, (401, 124));
    assert_eq!(refusal(account.get("/archive_files?access_token=x")).await, (401, 124));
    let counts = account.simulator.counts();
    assert_eq!((counts.tokens_issued, counts.tokens_in_queries), (2, 1));
}

#[tokio::test]
async fn limits_answer_in_zooms_way() {
    let account = Account::start(scenario()).await;
    account.simulator.set_limits(Limits { medium: Some(0), ..Limits::default() });
    let answer = account.page("").send().await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["x-ratelimit-type"], "QPS");
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], 429);

    account.simulator.set_limits(Limits { daily: Some(0), ..Limits::default() });
    let answer = account.page("").send().await.unwrap();
    let until = answer.headers()["retry-after"].to_str().unwrap();
    assert!(until.parse::<chrono::DateTime<Utc>>().unwrap() > Utc::now());

    account.simulator.set_limits(Limits { daily: Some(0), headers: false, ..Limits::default() });
    assert!(!account.page("").send().await.unwrap().headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_hundred_thousand_meetings_are_listed_page_by_page() {
    let many = Scenario { meetings: 100_000, fingerprint_limit: 0, ..scenario() };
    let account = Account::start(many).await;
    let mut token = String::new();
    let mut listed = 0;
    // The first pages and, by a token of their own, those that follow: each costs the same.
    for _ in 0..10 {
        let query = [("from", time(scenario().from)), ("to", time(scenario().to))];
        let page = account.get("/archive_files").query(&query);
        let page = page.query(&[("page_size", "300"), ("next_page_token", &token)]);
        let page: Value = page.send().await.unwrap().json().await.unwrap();
        assert_eq!(page["total_records"], 100_000);
        listed += page["meetings"].as_array().unwrap().len();
        page["next_page_token"].as_str().unwrap().clone_into(&mut token);
    }
    assert_eq!(listed, 3000);
    assert_eq!(account.simulator.truth().count(), 100_000);
}
