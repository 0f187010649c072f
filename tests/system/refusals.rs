//! What cannot work is refused with words that name the remedy and with the right exit code, and nothing is lost: as
//! soon as the remedy is applied, the same command recovers all.

use chrono::{Duration, SecondsFormat, Utc};
use recapture_simulator::{Faults, Scenario};

use crate::expectation::counts;
use crate::harness::{Bench, Finished, plain, text};

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_zoom_refuses() {
    let mut bench = Bench::start(plain(5)).await;
    let secret = text(bench.simulator.client_secret());
    bench.set("zoom.client_secret", "'not-the-secret'");

    let refused = bench.recover().await.exits(1);

    let remedy =
        "Check zoom.account_id, zoom.client_id and zoom.client_secret, and that the app is activated";
    let refused = refused.tells(&["Zoom refuses the credentials", remedy]);
    assert!(!refused.stderr.contains("not-the-secret"));
    bench.assert_untouched();
    bench.set("zoom.client_secret", &secret);
    bench.assert_mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_not_set() {
    let mut bench = Bench::start(plain(5)).await;
    let secret = text(bench.simulator.client_secret());
    bench.unset("zoom.client_id").unset("zoom.client_secret");

    let refused = bench.recover().await.exits(1);

    refused.tells(&[
        "zoom.client_id, zoom.client_secret not set",
        "RECAPTURE_ZOOM__CLIENT_ID, RECAPTURE_ZOOM__CLIENT_SECRET",
    ]);
    assert!(bench.runs().await.is_empty());
    let id = text(bench.simulator.client_id());
    bench.set("zoom.client_id", &id).set("zoom.client_secret", &secret);
    bench.assert_mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_the_app_lacks() {
    let scenario = plain(5);
    let lacking = "archiving:read:archived_files:admin";
    let scopes = scenario.scopes.iter().filter(|scope| *scope != lacking).cloned().collect();
    let bench = Bench::start(Scenario { scopes, ..scenario }).await;

    let refused = bench.recover().await.exits(1);

    refused.tells(&["the Zoom app lacks a scope", lacking, "Add the scope to the app"]);
    bench.assert_untouched();
    assert_eq!(bench.runs().await[0]["counts"]["pending"], 5, "no attempt of any meeting was burnt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_access_service_that_refuses_the_token() {
    let mut bench = Bench::start(plain(5)).await;
    let token = text(bench.simulator.das_token());
    bench.set("contacts.token", "'not-the-token'");

    let refused = bench.recover().await.exits(1);

    let refused = refused.tells(&[
        "the data access service refuses the token",
        "Check contacts.token (or contacts.token_file)",
    ]);
    assert!(!refused.stderr.contains("not-the-token"));
    bench.assert_untouched();
    bench.set("contacts.token", &token);
    bench.assert_mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buffer_that_cannot_be_written() {
    let words = [
        "the capture buffer cannot be written",
        "Check that the folder exists, is a folder, and belongs to this user",
    ];
    let bench = Bench::start(plain(5)).await;

    std::fs::write(bench.buffer(), "in the way").unwrap();
    bench.recover().await.exits(1).tells(&words);
    bench.assert_untouched();
    std::fs::remove_file(bench.buffer()).unwrap();

    std::fs::create_dir(bench.buffer()).unwrap();
    std::fs::write(bench.buffer().join("meetings"), "in the way").unwrap();
    let stopped = bench.recover().await.exits(1).tells(&words);
    assert_eq!((stopped.counts()["failed"], stopped.counts()["pending"]), (0, 5));
    std::fs::remove_dir_all(bench.buffer()).unwrap();
    bench.assert_mended().await;
}

async fn recover_with(bench: &Bench, arguments: &[&str]) -> Finished {
    bench.run(&[&["recover"], arguments].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_and_settings_that_make_no_sense() {
    let mut bench = Bench::start(plain(5)).await;
    let tomorrow = Utc::now() + Duration::days(1);
    let [tomorrow, later] =
        [tomorrow, tomorrow + Duration::days(1)].map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
    let wrong: [(&[&str], &str); 7] = [
        (&["--from", "2026-02-03", "--to", "2026-02-01"], "swap --from and --to"),
        (&["--from", "2026-02-03", "--to", "2026-02-03"], "--to must be later than --from"),
        (&["--from", &tomorrow, "--to", &later], "which is still to come"),
        (&["--last", "a week"], "write a whole number and a unit: 30s, 5m, 24h, 7d, 2w"),
        (&["--from", "yesterday", "--to", "2026-02-03"], "write 2026-10-01T00:00:00Z, or 2026-10-01"),
        (&["--from", "2026-02-03"], "--to"),
        (&[], "--from <T>|--last <LENGTH>|--meeting <ID>...|--csv <FILE|DIR>|--automatic"),
    ];
    for (arguments, words) in wrong {
        recover_with(&bench, arguments).await.exits(2).tells(&[words]);
    }
    recover_with(&bench, &["--last", "0s"]).await.exits(2);

    bench.set("zoom.client_sekret", "'x'").set("queue.lease", "'soon'");
    let both =
        ["zoom.client_sekret", "zoom.client_secret", "queue.lease", "30s, 5m, 24h, 7d", "recapture.toml"];
    recover_with(&bench, &["--last", "7d"]).await.exits(1).tells(&both);
    bench.unset("zoom.client_sekret").unset("queue.lease");
    assert!(bench.runs().await.is_empty());
    bench.assert_untouched();
    bench.assert_mended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn meetings_without_a_file() {
    let bench = Bench::start(Scenario { no_files: 1.0, ..plain(3) }).await;

    let run = bench.recover().await.exits(0);

    assert_eq!(run.counts(), counts(&[("listed", 3), ("missing", 3), ("detected", 3), ("unavailable", 3)]));
    let report = bench.run(&["report", run.object()["id"].as_str().unwrap()]).await.exits(0).stdout;
    assert_eq!(
        report.matches("archive_empty: Zoom's archive of the meeting is complete and holds no file").count(),
        3
    );
    assert!(bench.simulator.counts().das_puts.is_empty(), "the platform is told of nothing");
}

/// Totals that stay wrong: all is recovered all the same, and the run says that it could not be proven.
#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_lies() {
    let bench = Bench::start(Scenario { captured: 0.5, ..plain(20) }).await;
    let lie = Faults { wrong_total: 1.0, ..Faults::default() };

    bench.simulator.set_faults(Faults { relentless: true, ..lie });
    let run = bench.recover().await.exits(4);
    assert_eq!(run.counts(), bench.expected_counts());
    let object = run.object();
    assert_eq!((&object["state"], &object["reconciled"]), (&"completed".into(), &false.into()));
    let unproven = object["unproven"].as_array().unwrap();
    assert!(
        unproven[0]["detail"]
            .as_str()
            .unwrap()
            .contains("20 meetings were listed, Zoom's statistics count 21")
    );
    run.tells(&["could not be proven listed"]);
    bench.assert_all_recovered();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_lies_once_is_settled_by_a_second_listing() {
    let bench = Bench::start(plain(20)).await;
    bench.simulator.set_faults(Faults { wrong_total: 1.0, ..Faults::default() });

    let run = bench.recover().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    assert_eq!(bench.simulator.counts().pages.len(), 3, "one listing a dimension, and one more");
}
