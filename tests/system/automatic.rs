//! Automatic recovery with real processes: whatever is cut off, killed or flushed, afterwards every interval is covered
//! once and nothing is missing.

use chrono::{DateTime, Utc};
use recapture_simulator::{DasLimits, Faults, Scenario, Simulator};
use serde_json::Value;
use sqlx::Connection as _;

use crate::harness::{Bench, Process, plain, text};
use crate::redis_server::RedisServer;
use crate::serving::Service;

const DIMENSIONS: [&str; 2] = ["meeting_start_time", "archive_complete_time"];

/// A bench that looks back over the whole scenario, all the time.
async fn bench(scenario: Scenario) -> Bench {
    let mut bench = Bench::start(scenario).await;
    bench
        .set("automatic.enabled", "true")
        .set("automatic.interval", &text("200ms"))
        .set("automatic.settle", &text("0s"))
        .set("automatic.overlap", &text("1h"))
        .set("automatic.lookback", &text("9d"))
        .set("queue.lease", &text("1s"));
    bench
}

async fn bench_on_redis(scenario: Scenario, redis: &RedisServer) -> Bench {
    let mut bench = bench(scenario).await;
    bench
        .set("queue.url", &text(&redis.url()))
        .set("server.listen", &text("127.0.0.1:0"))
        .set("worker.concurrency", "4");
    bench
}

/// The slices of a pass begin no earlier than its overlap before this; the look of a pass that listed nothing has longer
/// ones.
fn only_since(pages: &[recapture_simulator::PageRequest], before: DateTime<Utc>) -> bool {
    let mut of_a_pass = pages.iter().filter(|page| page.to - page.from <= chrono::Duration::days(1));
    of_a_pass.all(|page| page.from >= before - chrono::Duration::hours(2))
}

fn instant(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

impl Bench {
    async fn pass(&self) -> crate::harness::Finished {
        self.run(&["recover", "--automatic", "--json", "--by", "cron"]).await
    }

    async fn automatic(&self) -> Value {
        self.status().await["automatic"].take()
    }

    /// The intervals of the ledger, by dimension.
    async fn intervals(&self) -> [Vec<(DateTime<Utc>, DateTime<Utc>)>; 2] {
        let ledger = self.automatic().await["ledger"].take();
        DIMENSIONS.map(|dimension| {
            let intervals = ledger[dimension].as_array().map_or(&[][..], Vec::as_slice);
            intervals.iter().map(|one| (instant(&one["from"]), instant(&one["to"]))).collect()
        })
    }

    /// Every instant from the first look to at least `to` is covered, once.
    async fn covers_all_until(&self, to: DateTime<Utc>) -> bool {
        let since = self.automatic().await["ledger"]["since"].take();
        if since.is_null() {
            return false;
        }
        let whole = |intervals: &Vec<(DateTime<Utc>, DateTime<Utc>)>| matches!(intervals[..], [(from, end)] if from <= instant(&since) && end >= to);
        self.intervals().await.iter().all(whole)
    }

    /// What a person finds who looks now.
    async fn assert_nothing_missing(&self) {
        let look = self.run(&["recover", "--last", "9d", "--dry-run", "--json"]).await.exits(0);
        let counts = look.counts();
        assert_eq!((counts["missing"], counts["incomplete"]), (0, 0), "{counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zoom_cut_off_the_process_killed_redis_flushed() {
    let redis = RedisServer::start().await;
    let bench = bench_on_redis(plain(120), &redis).await;

    // Zoom goes away while it lists, with some meetings under way; the process is killed while it waits for Zoom.
    bench.simulator.hold_downloads();
    let mut service = Service::with(&bench, &["--work"]).await;
    service.process.until(bench.simulator.wait_for(|counts| counts.downloads_started >= 4)).await;
    bench.simulator.set_zoom_up(false);
    service.process.said("asking Zoom again").await;
    service.process.killed_at(std::future::ready(())).await;

    // The next one finds Zoom away too; then it comes back.
    let mut service = Service::with(&bench, &["--work"]).await;
    service.process.said("asking Zoom again").await;
    bench.simulator.set_zoom_up(true);
    bench.simulator.release_downloads();
    service.process.until(bench.simulator.wait_for(|counts| counts.downloads_completed >= 90)).await;

    // Redis loses everything: jobs, books, the ledger, the duty.
    bench.simulator.hold_downloads();
    redis.flushed().await;
    bench.simulator.release_downloads();
    service.process.said("is made again from the evidence of earlier runs").await;
    service.process.until(bench.simulator.wait_for(|counts| counts.das_puts.len() >= 120)).await;
    let recovered_at = Utc::now();
    service.process.until(async { while !bench.covers_all_until(recovered_at).await {} }).await;
    service.stopped().await;

    assert!(bench.automatic().await["ledger"]["rebuilt_at"].is_string());
    bench.assert_all_recovered();
    bench.assert_nothing_missing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_is_on_duty_and_another_takes_over() {
    let redis = RedisServer::start().await;
    let bench = bench_on_redis(plain(60), &redis).await;
    bench.simulator.hold_downloads();
    let mut first = Service::with(&bench, &["--work"]).await;
    first.process.said("on duty").await;
    let mut second = Service::with(&bench, &["--work"]).await;
    second.process.said("standing by").await;
    let listed = |counts: &recapture_simulator::Counts| counts.downloads_started >= 4;
    first.process.until(bench.simulator.wait_for(listed)).await;
    bench.pass().await.exits(1).tells(&["another process makes automatic recovery"]);
    let (_, metrics) = first.get("/metrics").await;
    assert!(metrics.contains("recapture_on_duty 1"), "{metrics}");

    first.process.killed_at(std::future::ready(())).await;
    bench.simulator.release_downloads();
    second.process.said("on duty").await;
    second.process.until(bench.simulator.wait_for(|counts| counts.das_puts.len() >= 60)).await;
    let recovered_at = Utc::now();
    second.process.until(async { while !bench.covers_all_until(recovered_at).await {} }).await;
    let (_, metrics) = second.get("/metrics").await;
    for name in ["recapture_on_duty 1", "recapture_passes_total{outcome=\"covered\"}"] {
        assert!(metrics.contains(name), "no {name} in {metrics}");
    }
    assert!(metrics.contains("recapture_uncovered_seconds{dimension=\"meeting_start_time\"}"), "{metrics}");
    second.stopped().await;
    assert_eq!(bench.automatic().await["on_duty"], Value::Null, "who stops leaves the duty");

    bench.assert_all_recovered();
    bench.assert_nothing_missing().await;
    assert_eq!(bench.simulator.counts().files_fetched_twice(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_from_cron_takes_what_is_not_covered() {
    let bench = bench(Scenario { captured: 0.5, ..plain(40) }).await;
    let look = bench.run(&["recover", "--automatic", "--dry-run", "--json"]).await.exits(0);
    assert_eq!(look.counts()["missing"], 20);
    assert_eq!(bench.automatic().await["ledger"], Value::Null, "a dry run covers nothing");
    let before = Utc::now();
    let first = bench.pass().await.exits(0);
    assert_eq!(first.object()["mode"], "automatic");
    assert_eq!(first.counts()["recovered"], 20);
    assert!(bench.covers_all_until(before - chrono::Duration::seconds(1)).await);
    let pages = bench.simulator.counts().pages.len();

    let second = bench.pass().await.exits(0);
    assert_eq!(second.counts()["missing"], 0);
    let seen = bench.simulator.counts();
    assert!(seen.pages.len() > pages && only_since(&seen.pages[pages..], before));

    // The database is lost: the evidence tells what was covered.
    for file in ["queue.db", "queue.db-wal", "queue.db-shm"] {
        let _ = std::fs::remove_file(bench.path(file));
    }
    let pages = seen.pages.len();
    bench.pass().await.exits(0).tells(&["is made again from the evidence of earlier runs"]);
    assert!(bench.covers_all_until(before - chrono::Duration::seconds(1)).await);
    assert!(only_since(&bench.simulator.counts().pages[pages..], before));
    bench.assert_all_recovered();
}

/// A slice that cannot be proven stays uncovered until it can.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_proven_is_not_covered() {
    let mut bench = bench(plain(30)).await;
    bench.simulator.set_faults(Faults { shifted_range: 1.0, relentless: true, ..Faults::default() });
    let before = Utc::now();
    bench.pass().await.exits(4).tells(&["could not be proven listed"]);
    assert!(!bench.covers_all_until(before - chrono::Duration::seconds(1)).await);
    let gap = bench.automatic().await["gaps"][0].take();
    assert_eq!(gap["from"], bench.automatic().await["ledger"]["since"], "{gap}");
    let status = bench.run(&["status"]).await.exits(0).stdout;
    assert!(status.contains("nothing\n") && status.contains("all is covered up to"), "{status}");

    bench.simulator.set_faults(Faults::default());
    bench.pass().await.exits(0);
    assert!(bench.covers_all_until(before - chrono::Duration::seconds(1)).await);
    bench.assert_all_recovered();
    bench.assert_nothing_missing().await;

    // Looked at again and in doubt, it is not covered any more, and a ledger from evidence knows that.
    bench.set("automatic.overlap", &text("8d"));
    bench.simulator.set_faults(Faults { shifted_range: 1.0, relentless: true, ..Faults::default() });
    bench.pass().await.exits(4);
    assert!(!bench.covers_all_until(before - chrono::Duration::seconds(1)).await);
    for file in ["queue.db", "queue.db-wal", "queue.db-shm"] {
        let _ = std::fs::remove_file(bench.path(file));
    }
    bench.pass().await.exits(4).tells(&["is made again"]);
    assert!(!bench.covers_all_until(before - chrono::Duration::seconds(1)).await);
    bench.simulator.set_faults(Faults::default());
    bench.pass().await.exits(0);
    assert!(bench.covers_all_until(before - chrono::Duration::seconds(1)).await);
}

/// Zoom is away in the middle of a pass: what was listed before stays covered.
#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_is_interrupted_keeps_what_it_covered() {
    let bench = bench(plain(60)).await;
    let mut process: Process = bench.spawn(&["recover", "--automatic", "--detach", "--json"]);
    process.until(bench.simulator.wait_for(|counts| counts.pages.len() >= 7)).await;
    bench.simulator.set_zoom_up(false);
    process.said("asking Zoom again").await;
    process.signal(rustix::process::Signal::TERM);
    process.end().await.exits(4);
    let [by_start, _] = bench.intervals().await;
    assert_eq!(by_start.len(), 1, "{by_start:?}");

    bench.simulator.set_zoom_up(true);
    let pages = bench.simulator.counts().pages.len();
    let before = Utc::now();
    bench.pass().await.exits(0);
    let seen = bench.simulator.counts();
    let oldest = seen.pages[pages..].iter().map(|page| page.from).min().unwrap();
    assert!(oldest > by_start[0].0, "what was covered is not listed again");
    assert!(bench.covers_all_until(before - chrono::Duration::seconds(1)).await);
    bench.assert_all_recovered();
}

/// A platform that cannot say what it has keeps every slice open that lists such a meeting, in both dimensions.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_compared_is_not_covered() {
    let das = DasLimits { rows: Some(50), ..DasLimits::default() };
    let mut scenario = Scenario { das, captured: 0.5, ..plain(60) };
    scenario.from = scenario.to - chrono::Duration::minutes(1);
    let held = [scenario.from, scenario.to];
    let mut bench = bench(scenario).await;
    bench.speak_verint().set("contacts.verint.row_limit", "50").set("contacts.verint.file_column", "''");
    let before = Utc::now();
    let pass = bench.pass().await.exits(4);
    assert!(pass.counts()["indeterminate"] > 0);
    for (dimension, intervals) in DIMENSIONS.iter().zip(bench.intervals().await) {
        let covers = |at: &DateTime<Utc>| intervals.iter().any(|(from, to)| from <= at && at < to);
        assert!(!covers(&held[0]), "{dimension}: {intervals:?}");
        assert!(covers(&(held[0] - chrono::Duration::days(4))), "{dimension}: {intervals:?}");
    }

    // Another platform, which can say it.
    let (url, token) = (text(&bench.simulator.das_url()), text(bench.simulator.das_token()));
    bench.set("contacts.api", "'rest'").set("contacts.url", &url).set("contacts.token", &token);
    for key in ["contacts.verint.row_limit", "contacts.verint.file_column"] {
        bench.unset(key);
    }
    bench.pass().await.exits(0);
    assert!(bench.covers_all_until(before - chrono::Duration::seconds(1)).await);
    bench.assert_all_recovered();
    bench.assert_nothing_missing().await;
}

/// A ledger that somebody else wrote over is made again from the evidence, loudly, wherever it is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_damaged_is_made_again() {
    let redis = RedisServer::start().await;
    let captured = || Scenario { captured: 1.0, ..plain(6) };
    for bench in [bench(captured()).await, bench_on_redis(captured(), &redis).await] {
        let before = Utc::now();
        bench.pass().await.exits(0);
        let database = bench.path("queue.db");
        if database.exists() {
            let mut queue =
                sqlx::SqliteConnection::connect(&format!("sqlite://{}", database.display())).await.unwrap();
            sqlx::query("UPDATE duty SET ledger = substr(ledger, 1, 60)").execute(&mut queue).await.unwrap();
        } else {
            redis.tell(&["HSET", "{recapture}:duty", "ledger", "{\"schema\":"]).await;
        }
        let status = bench.run(&["status"]).await.exits(0).stdout;
        assert!(status.contains("WARNING: the ledger is unreadable"), "{status}");
        let pages = bench.simulator.counts().pages.len();
        bench
            .pass()
            .await
            .exits(0)
            .tells(&["cannot be used", "made again from the evidence of earlier runs"]);
        assert!(bench.covers_all_until(before - chrono::Duration::seconds(1)).await);
        assert!(only_since(&bench.simulator.counts().pages[pages..], before));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_zoom_throttled_is_not_covered() {
    let bench = bench(plain(6)).await;
    bench.simulator.set_faults(Faults { rate_limited: 1.0, relentless: true, ..Faults::default() });
    bench.pass().await.exits(1).tells(&["rate limit"]);
    assert_eq!(bench.intervals().await, [vec![], vec![]]);
    bench.simulator.set_faults(Faults::default());
    let before = Utc::now();
    bench.pass().await.exits(0);
    assert!(bench.covers_all_until(before - chrono::Duration::seconds(1)).await);
    bench.assert_all_recovered();
}

/// What one account's archive held says nothing of another's, though queue and buffer are the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_of_another_account_is_not_used() {
    let mut bench = bench(Scenario { captured: 1.0, ..plain(6) }).await;
    bench.pass().await.exits(0);
    let before = Utc::now();
    let pages = bench.simulator.counts().pages.len();
    bench.set("zoom.account_id", &text("another"));
    let other = bench.pass().await;
    assert!(other.stderr.contains("it is that of the Zoom account"), "{other:?}");
    let seen = bench.simulator.counts();
    let oldest = seen.pages[pages..].iter().map(|page| page.from).min();
    assert!(oldest.is_none_or(|from| from < before - chrono::Duration::days(8)), "{oldest:?}");
}

/// Wherever a kill falls, what it leaves is taken up.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_again_and_again() {
    let bench = bench(plain(80)).await;
    for _ in 0..6 {
        let seen = bench.simulator.counts();
        let process = bench.spawn(&["recover", "--automatic"]);
        // Sometimes while it lists, sometimes while it downloads.
        let reached = bench.simulator.wait_for(|counts| {
            counts.pages.len() >= seen.pages.len() + 5
                || counts.downloads_completed >= seen.downloads_completed + 20
        });
        if process.killed_at(reached).await.is_some() {
            break;
        }
    }
    let before = Utc::now();
    // A process that was killed is on duty until its lease is over.
    while bench.automatic().await["on_duty"].is_object() {}
    bench.pass().await.exits(0);
    assert!(bench.covers_all_until(before - chrono::Duration::seconds(1)).await);
    bench.assert_all_recovered();
    bench.assert_nothing_missing().await;
}

/// Another account, archiving turned off, a listing that is broken: nothing is no proof of nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_suddenly_lists_nothing() {
    let mut bench = bench(plain(20)).await;
    bench.set("automatic.overlap", &text("8d"));
    bench.pass().await.exits(0);
    let [covered, _] = bench.intervals().await;

    let empty = Simulator::start(plain(0)).await.unwrap();
    let [api, oauth] = [bench.simulator.api_url(), bench.simulator.oauth_url()];
    bench.set("zoom.api_url", &text(&empty.api_url())).set("zoom.oauth_url", &text(&empty.oauth_url()));
    bench.pass().await.exits(4).tells(&["Zoom lists nothing at all, although"]);
    assert_eq!(bench.intervals().await[0], covered, "it covers nothing");
    let status = bench.run(&["status"]).await.exits(0).stdout;
    assert!(status.contains("WARNING: since"), "{status}");
    bench.pass().await.exits(4).tells(&["Zoom lists nothing at all, although"]);

    bench.set("zoom.api_url", &text(&api)).set("zoom.oauth_url", &text(&oauth));
    bench.pass().await.exits(0);
    assert!(bench.intervals().await[0][0].1 >= covered[0].1);
    assert_eq!(bench.automatic().await["ledger"]["silent_since"], Value::Null);
}

/// A weekend without meetings is covered; one after which the archive is gone as well is not, though no pass would have
/// looked at the last meeting again.
#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_weekend_is_no_silence() {
    let mut scenario = plain(10);
    scenario.to -= chrono::Duration::days(3);
    let mut bench = bench(scenario).await;
    bench.pass().await.exits(0);
    let before = Utc::now();
    let quiet = bench.pass().await.exits(0);
    assert_eq!(quiet.counts()["listed"], 0);
    assert!(bench.covers_all_until(before - chrono::Duration::seconds(1)).await);
    assert_eq!(bench.automatic().await["ledger"]["silent_since"], Value::Null);
    let covered = bench.intervals().await;

    let empty = Simulator::start(plain(0)).await.unwrap();
    bench.set("zoom.api_url", &text(&empty.api_url())).set("zoom.oauth_url", &text(&empty.oauth_url()));
    bench.pass().await.exits(4).tells(&["Zoom lists nothing at all, although"]);
    assert_eq!(bench.intervals().await, covered, "it covers nothing");
    bench.set("server.listen", &text("127.0.0.1:0"));
    let mut service = Service::with(&bench, &[]).await;
    service.process.said("could not be proven listed").await;
    loop {
        let (_, metrics) = service.get("/metrics").await;
        let silent = metrics.lines().find_map(|line| line.strip_prefix("recapture_source_silent_seconds "));
        if silent.is_some_and(|seconds| seconds != "0") {
            break;
        }
        assert!(!service.process.has_ended());
    }
    service.stopped().await;

    // A person who asks is told the same.
    let silent = bench.run(&["recover", "--last", "1d", "--json"]).await.exits(4);
    silent.tells(&["Zoom lists no meeting at all, at no time"]);
    let [api, oauth] = [bench.simulator.api_url(), bench.simulator.oauth_url()];
    bench.set("zoom.api_url", &text(&api)).set("zoom.oauth_url", &text(&oauth));
    bench.run(&["recover", "--last", "1d"]).await.exits(0).tells(&["though it does at other times"]);
    bench.pass().await.exits(0);
    assert_eq!(bench.automatic().await["ledger"]["silent_since"], Value::Null);
}

/// After an outage that is longer than Zoom keeps archives, what may have been lost is said, once, and for good.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_listed_in_time_is_told() {
    let mut bench = bench(plain(20)).await;
    bench.simulator.set_faults(Faults { shifted_range: 1.0, relentless: true, ..Faults::default() });
    bench.run(&["recover", "--automatic", "--detach"]).await.exits(4);
    bench.simulator.set_faults(Faults::default());

    bench.set("zoom.retention", &text("2d")).set("automatic.lookback", &text("1d"));
    let status = bench.run(&["status"]).await.exits(0).stdout;
    assert!(status.contains("Zoom has been deleting from it since"), "{status}");
    let before = Utc::now();
    let late = bench.pass().await.exits(4).tells(&["it was not listed within zoom.retention"]);
    let report = bench.run(&["report", late.object()["id"].as_str().unwrap()]).await.exits(0).stdout;
    assert!(report.contains("not listed within zoom.retention"), "{report}");
    bench.assert_all_recovered();
    let automatic = bench.automatic().await;
    for dimension in ["abandoned_by_start", "abandoned_by_completion"] {
        let abandoned = &automatic["ledger"][dimension][0];
        assert_eq!(abandoned["from"], automatic["ledger"]["since"], "{automatic}");
        assert!(instant(&abandoned["to"]) < before - chrono::Duration::days(2), "{automatic}");
    }
    let status = bench.run(&["status"]).await.exits(0).stdout;
    assert!(status.contains("was not listed while Zoom kept it"), "{status}");

    let pages = bench.simulator.counts().pages.len();
    bench.pass().await.exits(0);
    let seen = bench.simulator.counts();
    let again = &seen.pages[pages..];
    assert!(again.iter().all(|page| page.from > before - chrono::Duration::days(3)), "only once");
    bench.set("server.listen", &text("127.0.0.1:0"));
    let mut service = Service::with(&bench, &[]).await;
    loop {
        let (_, metrics) = service.get("/metrics").await;
        let name = "recapture_abandoned_seconds{dimension=\"meeting_start_time\"} ";
        let told = metrics.lines().find_map(|line| line.strip_prefix(name)?.parse::<u64>().ok());
        if told.is_some_and(|seconds| seconds > 6 * 86_400) {
            break;
        }
        assert!(!service.process.has_ended());
    }
    service.stopped().await;
}

/// What ended just now may be on its way to the platform: it is not missing, and comes again.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_settled_is_excluded_by_name() {
    let mut bench = bench(plain(20)).await;
    bench.set("automatic.settle", &text("4d")).set("exclude.minimum_length", &text("0s"));
    let first = bench.pass().await.exits(0);
    let early = first.counts();
    assert!((1..20).contains(&early["recovered"]), "{early:?}");

    bench.set("automatic.settle", &text("0s"));
    let second = bench.pass().await.exits(0);
    assert_eq!(second.counts()["recovered"] + early["recovered"], 20);
    bench.assert_all_recovered();
}

/// What Zoom deletes within a day is told by everything that tells of the queue.
#[tokio::test(flavor = "multi_thread")]
async fn what_will_be_lost_soon_is_warned_of() {
    let mut bench = Bench::start(plain(10)).await;
    bench.set("zoom.retention", &text("1d")).set("server.listen", &text("127.0.0.1:0"));
    bench.run(&["pause"]).await.exits(0);
    let run = bench.run(&bench.recovery(&["--detach"])).await.exits(0).object();
    let status = bench.status().await;
    assert_eq!(status["queue"]["lost_within_24h"], 10);
    let words = bench.run(&["status"]).await.exits(0).stdout;
    assert!(words.contains("WARNING: Zoom deletes 10 of them within 24 hours"), "{words}");
    let id = run["id"].as_str().unwrap();
    let report = bench.run(&["report", id]).await.exits(0).stdout;
    assert!(report.contains("WARNING: Zoom deletes 10 of the pending meetings"), "{report}");
    let report = bench.run(&["report", id, "--format", "json"]).await.exits(0).object();
    assert_eq!(report["lost_within_24h"], 10);
    let service = Service::with(&bench, &[]).await;
    let (_, metrics) = service.get("/metrics").await;
    assert!(metrics.contains("recapture_lost_within_24h 10"), "{metrics}");
    service.stopped().await;
}
