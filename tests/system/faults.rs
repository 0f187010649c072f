//! Everything that the simulator can do wrong, all at once: nothing is lost, nothing wrong gets a final name, and the
//! token goes nowhere but to Zoom.

use std::time::Duration;

use recapture_simulator::{Downloads, Fault, Faults, Scenario};
use serde_json::Value;

use crate::expectation::assert_balanced;
use crate::harness::{Bench, plain};

const MOST_STARTS: u64 = 8;

/// How often the recovery of each meeting was started, from the run's report.
async fn starts(bench: &Bench, run: &str) -> Vec<u64> {
    let report = bench.run(&["report", run, "--format", "json"]).await.exits(0);
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["evidence_damage"], Value::from(Vec::<String>::new()));
    let meetings = report["meetings"].as_array().unwrap().iter();
    meetings.map(|meeting| meeting["starts"].as_u64().unwrap_or_else(|| panic!("{meeting}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_at_once_costs_no_meeting() {
    // More than a page holds in one slice, so that listings meet what happens between pages. No files that were shared in
    // the chat: they have no fingerprint, and of a bit that flips on the way to one of them nobody can tell.
    let scenario = Scenario { captured: 0.5, incomplete: 0.1, attachments: 0.0, ..plain(700) };
    let mut bench = Bench::start(scenario).await;
    bench.set("zoom.fingerprint", "'require'");
    // Left out: entries that a page loses and shortened periods, which are told as unproven and not mended (below), and
    // contact services that never answer, which take minutes (`lying.rs`).
    bench.simulator.set_faults(Faults {
        wrong_total: 0.05,
        short_body: 0.05,
        corrupt: 0.05,
        shifted_range: 0.0,
        ..Faults::all(0.05)
    });

    let run = bench.recover().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    bench.assert_final_names_verify();
    let seen = bench.simulator.counts();
    for fault in [
        Fault::ServerError,
        Fault::Reset,
        Fault::CutBody,
        Fault::StalledBody,
        Fault::Html200,
        Fault::TokenExpired,
        Fault::UrlExpired,
        Fault::RateLimited,
        Fault::MalformedPage,
        Fault::WrongShape,
        Fault::ShortBody,
        Fault::Corrupt,
        Fault::DasError,
        Fault::DasReset,
    ] {
        assert!(seen.fault(fault) > 0, "{fault:?} never happened");
    }
    assert_eq!(seen.authorization_at_second_host, 0);
    assert_eq!(seen.tokens_in_queries, 0);
    let starts = starts(&bench, run.object()["id"].as_str().unwrap()).await;
    assert_eq!(starts.len() as u64, run.counts()["detected"]);
    assert!(starts.iter().all(|starts| (1..=MOST_STARTS).contains(starts)), "{starts:?}");
}

/// Listings meet their own faults too rarely for the test above: here they meet little else.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_goes_wrong_in_every_way_is_made_whole() {
    let bench = Bench::start(Scenario { captured: 0.99, ..plain(1500) }).await;
    bench.simulator.set_faults(Faults {
        page_token_expired: 0.15,
        duplicates: 0.15,
        shifted_range: 0.15,
        malformed_page: 0.1,
        wrong_shape: 0.1,
        token_expired: 0.1,
        wrong_total: 0.1,
        ..Faults::default()
    });

    let every = [
        Fault::PageTokenExpired,
        Fault::Duplicates,
        Fault::ShiftedRange,
        Fault::MalformedPage,
        Fault::WrongShape,
    ];
    let (mut proven, mut in_doubt) = (false, 0);
    while !proven || every.iter().any(|fault| bench.simulator.counts().fault(*fault) == 0) {
        let run = bench.recover().await;
        // A range that Zoom shortens in both listings of a slice stays unproven, and that has to be said.
        let reconciled = run.object()["reconciled"] == true;
        assert!(!reconciled || run.counts()["listed"] == 1500, "{:?}", run.counts());
        in_doubt = if reconciled { 0 } else { in_doubt + 1 };
        assert!(in_doubt < 10, "ten listings in a row were in doubt: {}", run.stderr);
        proven |= reconciled;
        run.exits(if reconciled { 0 } else { 4 });
    }

    bench.assert_all_recovered();
}

/// What is not proven is said, in the words of what stands against it.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_stays_in_doubt_says_why() {
    let always = |faults: Faults| Faults { relentless: true, ..faults };
    tokio::join!(
        doubted(always(Faults { shifted_range: 1.0, ..Faults::default() }), "Zoom answered for "),
        doubted(always(Faults { lost_entry: 1.0, ..Faults::default() }), "meetings were listed, Zoom's "),
        doubted(
            always(Faults { untold_total: 1.0, ..Faults::default() }),
            "Zoom gave no total to hold that against"
        ),
    );
}

async fn doubted(faults: Faults, why: &str) {
    let bench = Bench::start(plain(20)).await;
    bench.simulator.set_faults(faults);

    let run = bench.recover().await.exits(4).tells(&[why]);

    assert_eq!(run.object()["reconciled"], false);
    assert_balanced(&run.counts());
    bench.simulator.set_faults(Faults::default());
    bench.assert_mended().await;
    bench.assert_all_recovered();
}

/// A page token that never works is no reason to list for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_that_never_works_ends_the_listing_in_doubt() {
    let bench = Bench::start(Scenario { captured: 0.99, page_token_lifetime_s: 0, ..plain(3000) }).await;

    let run = bench.recover().await.exits(4).tells(&["its page token expired 5 times before the last page"]);

    assert_eq!(run.object()["reconciled"], false);
    assert_balanced(&run.counts());
}

/// Zoom's fingerprints are what tells a file that arrived with its size and one wrong bit.
#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_gets_no_final_name_where_fingerprints_are_required() {
    let mut bench = Bench::start(plain(40)).await;
    bench.set("zoom.fingerprint", "'require'");
    bench.simulator.set_faults(Faults { corrupt: 0.15, short_body: 0.15, ..Faults::default() });

    let run = bench.recover().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    let seen = bench.simulator.counts();
    assert!(seen.fault(Fault::Corrupt) > 0 && seen.fault(Fault::ShortBody) > 0);
}

/// Servers differ in what they offer: without ranges a file that breaks off is begun anew, without a length its end
/// is told by the protocol alone.
#[tokio::test(flavor = "multi_thread")]
async fn downloads_are_whole_whatever_the_server_offers() {
    let offer =
        |direct, ranges, content_length| Downloads { direct, ranges, content_length, ..Downloads::default() };
    tokio::join!(
        whole_from(offer(true, true, true)),
        whole_from(offer(false, false, true)),
        whole_from(offer(false, true, false)),
        whole_from(offer(false, false, false)),
    );
}

async fn whole_from(downloads: Downloads) {
    let mut scenario = Scenario { downloads, ..plain(12) };
    scenario.files[0].max_size = 2 << 20;
    let bench = Bench::start(scenario).await;
    bench.simulator.set_faults(Faults { cut_body: 0.3, stalled_body: 0.1, ..Faults::default() });

    let run = bench.recover().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    assert!(bench.simulator.counts().fault(Fault::CutBody) > 0);
}

/// Tokens end, and another program may void them: each costs a request, not a meeting.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_die_in_the_middle_cost_nothing() {
    let mut bench = Bench::start(plain(60)).await;
    // Few at once: after each time there is more that needs a token.
    bench.set("worker.concurrency", "4");
    bench.simulator.set_token_lifetime(Duration::from_secs(2));
    let mut process = bench.spawn_recovery();
    for done in [5, 40, 80] {
        process.until(bench.simulator.wait_for(|counts| counts.downloads_completed >= done)).await;
        bench.simulator.revoke_tokens();
    }

    let run = process.end().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    assert!(bench.simulator.counts().tokens_issued >= 4);
}

/// A job that cannot succeed is given up after its starts, with its reason; `retry` takes it up again.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_again_and_again_is_given_up_and_can_be_retried() {
    let mut bench = Bench::start(plain(6)).await;
    bench.set("queue.max_attempts", "2");
    bench.simulator.set_faults(Faults { html_200: 1.0, relentless: true, ..Faults::default() });

    let run = bench.recover().await.exits(3);

    assert_balanced(&run.counts());
    assert_eq!(run.counts()["failed"], 6);
    let id = run.object()["id"].as_str().unwrap().to_owned();
    assert_eq!(starts(&bench, &id).await, [2; 6]);
    let text = bench.run(&["report", &id]).await.exits(0).stdout;
    assert_eq!(text.matches("not_the_file").count(), 6, "{text}");
    assert!(bench.final_files().is_empty());

    bench.simulator.set_faults(Faults::default());
    let one = bench.simulator.truth().next().unwrap().uuid;
    for (what, back) in [(vec!["--meeting", &one], 1), (vec![], 5)] {
        let retried = bench.run(&[vec!["retry", &id], what].concat()).await.exits(0).stdout;
        assert!(retried.starts_with(&format!("{back} back on the queue")), "{retried}");
    }
    bench.recover().await.exits(0);
    bench.assert_all_recovered();
    assert_eq!(bench.runs().await[1]["counts"]["recovered"], 6, "the books of the first run moved too");
}
