//! What people do with a run stands in its evidence, before it is done and after; and what a retry takes up is named.

use std::collections::BTreeSet;

use recapture_simulator::Faults;
use serde_json::{Value, json};

use crate::harness::{Bench, Process, plain};

/// Every file of Zoom's fails, except as many as get through at that rate, and each failure is an end.
async fn failed(bench: &mut Bench, rate: f64) -> String {
    bench.set("queue.max_attempts", "1");
    bench.simulator.set_faults(Faults { html_200: rate, relentless: true, ..Faults::default() });
    let run = bench.recover().await.exits(3).object();
    bench.simulator.set_faults(Faults::default());
    run["id"].as_str().unwrap().to_owned()
}

impl Bench {
    /// The lines of a kind in the order in which their writers wrote them.
    fn lines(&self, run: &str, kind: &str) -> Vec<Value> {
        let lines = self.record_of(run);
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["kind"] == kind).collect()
    }

    /// The two lines of each order, the oldest first.
    fn orders(&self, run: &str) -> Vec<[Value; 2]> {
        let mut asked: Vec<Value> = self.lines(run, "controlled");
        asked.sort_by_key(|line| line["order"].as_str().unwrap().to_owned());
        let (pairs, rest) = asked.as_chunks::<2>();
        assert!(rest.is_empty(), "an order without an answer: {asked:?}");
        for [before, after] in pairs {
            assert_eq!((&before["order"], &before["stage"]), (&after["order"], &json!("asked")));
        }
        pairs.to_vec()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_by_meeting_by_reason_and_of_all_says_who_and_what_it_takes_up() {
    let mut bench = Bench::start(plain(6)).await;
    let run = failed(&mut bench, 1.0).await;
    let failed = bench.lines(&run, "ended");
    let meeting = failed[0]["meeting"].as_str().unwrap();

    let retry = |more: &[&'static str]| [&["retry", run.as_str()], more].concat();
    let one = bench.run(&["retry", &run, "--meeting", meeting, "--by", "ann"]).await.exits(0);
    assert!(one.stdout.contains("1 back on the queue"), "{}", one.stdout);
    let none = bench.run(&retry(&["--reason", "network", "--by", "bob"])).await.exits(0);
    assert!(none.stdout.contains("0 back on the queue"), "{}", none.stdout);
    let some = bench.run(&retry(&["--reason", "not_the_file", "--by", "bob"])).await.exits(0);
    assert!(some.stdout.contains("5 back on the queue"), "{}", some.stdout);
    bench.simulator.set_faults(Faults { html_200: 1.0, relentless: true, ..Faults::default() });
    bench.recover().await.exits(3);
    bench.simulator.set_faults(Faults::default());
    let all = bench.run(&retry(&["--by", "cid"])).await.exits(0);
    assert!(all.stdout.contains("6 back on the queue"), "{}", all.stdout);

    let orders = bench.orders(&run);
    let told: Vec<_> = orders
        .iter()
        .map(|[before, after]| (&before["by"], &before["selection"], &after["detail"]))
        .collect();
    let words = |count: u64| json!(format!("{count} put back on the queue, 0 on it already"));
    assert_eq!(
        told,
        [
            (&json!("ann"), &json!({ "meetings": [meeting] }), &words(1)),
            (&json!("bob"), &json!({ "reason": "network" }), &words(0)),
            (&json!("bob"), &json!({ "reason": "not_the_file" }), &words(5)),
            (&json!("cid"), &json!({}), &words(6)),
        ]
    );
    let retried = bench.lines(&run, "retried");
    for (order, expected) in orders.iter().zip([1, 0, 5, 6]) {
        let of_order = retried.iter().filter(|line| line["order"] == order[0]["order"]);
        let meetings: BTreeSet<&str> = of_order.map(|line| line["meeting"].as_str().unwrap()).collect();
        assert_eq!(meetings.len(), expected, "{retried:?}");
        assert!(expected != 1 || meetings.contains(meeting));
    }
    assert!(retried.iter().all(|line| line["cause"]["reason"] == "not_the_file" && line["starts"] == 1));
    bench.run(&["verify"]).await.exits(0);
    bench.recover().await.exits(0);
    bench.assert_all_recovered();
}

/// Some files of a meeting came, others did not: a retry fetches the others alone, and the evidence told of both.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_fetches_only_what_lacks() {
    let mut bench = Bench::start(plain(24)).await;
    let run = failed(&mut bench, 0.5).await;
    let stored = bench.final_files();
    let ended = bench.lines(&run, "ended");
    let in_failed: BTreeSet<&str> = ended
        .iter()
        .filter(|end| end["outcome"] == "failed")
        .flat_map(|end| end["files"].as_array().into_iter().flatten())
        .map(|file| file["file_id"].as_str().unwrap())
        .collect();
    assert!(!in_failed.is_empty(), "no meeting was stored in part: {ended:?}");
    assert!(in_failed.iter().all(|id| stored.contains_key(*id)), "{in_failed:?} of {stored:?}");
    for attempt in bench.lines(&run, "attempt") {
        let files = attempt["files"].as_array().map(Vec::as_slice).unwrap_or_default();
        let bytes: u64 = files.iter().map(|file| file["size"].as_u64().unwrap()).sum();
        assert_eq!(attempt["bytes"].as_u64().unwrap_or_default(), bytes);
        assert!(attempt["began_at"].is_string() && attempt["took_ms"].is_u64(), "{attempt}");
    }
    let counts = |bench: &Bench| -> Vec<_> {
        stored.keys().map(|id| bench.simulator.file_count(id).started).collect()
    };
    let before = counts(&bench);

    bench.run(&["retry", &run]).await.exits(0);
    bench.recover().await.exits(0);

    bench.assert_all_recovered();
    assert_eq!(counts(&bench), before, "what was stored was fetched again");
}

/// What cannot be recorded is not done.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_controls_a_run_without_a_record() {
    let bench = Bench::start(plain(5)).await;
    let run = bench.run(&bench.recovery(&["--detach"])).await.exits(0).object()["id"].clone();
    let run = run.as_str().unwrap();
    let folder = bench.buffer().join("runs").join(run);
    let aside = folder.with_file_name("aside");
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, "no folder").unwrap();

    for command in ["pause", "cancel"] {
        let refused = bench.run(&[command, run, "--by", "eve"]).await;
        refused.exits(1).tells(&["nothing is done without a record of who asked for it"]);
    }
    bench.run(&["pause", "--by", "eve"]).await.exits(1);
    assert_eq!(bench.runs().await[0]["state"], "running");

    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    for (arguments, by) in [(&["pause"][..], "ann"), (&["resume", run], "bob"), (&["cancel", run], "cid")] {
        bench.run(&[arguments, &["--by", by]].concat()).await.exits(0);
    }
    let orders = bench.orders(run);
    let told: Vec<_> = orders
        .iter()
        .map(|[before, after]| {
            [&before["action"], &before["by"], &after["stage"]].map(|text| text.as_str().unwrap())
        })
        .collect();
    assert_eq!(told, [["pause", "ann", "done"], ["resume", "bob", "done"], ["cancel", "cid", "done"]]);
    assert_eq!(orders[0][0]["detail"], "the whole queue");
    assert_eq!(bench.runs().await[0]["state"], "cancelled");
}

/// Killed right after the order was written down, and right after it was carried out: who asked is known either way.
#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn who_cancelled_is_known_whatever_became_of_the_process() {
    for (point, state) in [("order-recorded", "running"), ("order-done", "cancelled")] {
        let bench = Bench::start(plain(2)).await;
        let run = bench.run(&bench.recovery(&["--detach"])).await.exits(0).object()["id"].clone();
        let run = run.as_str().unwrap();
        let mut command = bench.command(&["cancel", run, "--by", "ann"]);
        command.env("RECAPTURE_DIE_AT", point);
        assert_eq!(Process::spawn(command).end().await.code, None, "{point} was not reached");

        assert_eq!(bench.runs().await[0]["state"], state, "{point}");
        let lines = bench.lines(run, "controlled");
        let told = lines.iter().map(|line| (&line["action"], &line["by"], &line["stage"]));
        assert_eq!(told.collect::<Vec<_>>(), [(&json!("cancel"), &json!("ann"), &json!("asked"))], "{point}");
        bench.run(&["verify"]).await.exits(0);
        bench.run(&["cancel", run]).await.exits(0);
        assert_eq!(bench.runs().await[0]["state"], "cancelled");
    }
}
