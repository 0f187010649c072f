//! A Redis that speaks TLS and knows its users, one that serves several Zoom accounts, and one whose replica takes over.

use std::path::Path;

use rustix::process::Signal;

use crate::certificates::certificates;
use crate::harness::{Bench, Finished, Process, text};
use crate::redis::{bench, tiny};
use crate::redis_server::RedisServer;

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn trusting(bench: &Bench, authority: &Path, arguments: &[&str]) -> Process {
    let mut command = bench.command(arguments);
    command.env("SSL_CERT_FILE", authority);
    Process::spawn(command)
}

/// Nothing that was said holds the password.
fn keeps_silent(finished: Finished) -> Finished {
    for said in [&finished.stdout, &finished.stderr] {
        assert!(!said.contains("hunter"), "{said}");
    }
    finished
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_and_a_user_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let authority = certificates(folder.path()).await;
    let port = free_port().to_string();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key, ca) = (file("server.crt"), file("server.key"), file("ca.crt"));
    let tls = ["--port", "0", "--tls-port", &port, "--tls-cert-file", &certificate, "--tls-key-file", &key];
    let rest = ["--tls-ca-cert-file", &ca, "--tls-auth-clients", "no", "--user", "default", "off", "--user"];
    let user =
        ["worker", "on", ">hunter2@/", "~{recapture}*", "&{recapture}*", "+@all", "-@dangerous", "+info"];
    let _redis = RedisServer::start_with(&[&tls[..], &rest, &user].concat()).await;
    let mut bench = Bench::start(tiny(30)).await;
    let as_user = |password: &str| text(&format!("rediss://worker:{password}@127.0.0.1:{port}"));
    bench.set("queue.url", &as_user("hunter2%40%2F"));

    // An authority that nobody told it to trust.
    let distrusted = keeps_silent(bench.run(&["worker"]).await.exits(1));
    distrusted.tells(&["cannot be reached", "certificate"]);
    let doctor = keeps_silent(trusting(&bench, &authority, &["doctor"]).end().await.exits(0));
    assert!(doctor.stdout.contains("queue"), "{}", doctor.stdout);
    let worker = trusting(&bench, &authority, &["worker"]);
    let run = keeps_silent(trusting(&bench, &authority, &bench.recovery(&[])).end().await.exits(0));
    assert_eq!(run.counts(), bench.expected_counts());
    worker.signal(Signal::TERM);
    keeps_silent(worker.end().await.exits(0));

    bench.set("queue.url", &as_user("hunter3"));
    let refused = keeps_silent(trusting(&bench, &authority, &["worker"]).end().await.exits(1));
    refused.tells(&["refuses this user", "check user and password"]);
    // Plain text to a port that speaks TLS only.
    bench.set("queue.url", &text(&format!("redis://worker:hunter2%40%2F@127.0.0.1:{port}")));
    keeps_silent(bench.run(&["worker"]).await.exits(1)).tells(&["cannot be reached"]);
}

/// Two accounts with a queue, workers, a rate limit and a token of their own in one Redis.
#[tokio::test(flavor = "multi_thread")]
async fn the_backlog_of_one_account_holds_up_no_other() {
    let redis = RedisServer::start().await;
    let (mut large, mut small) = (bench(tiny(1200), &redis).await, bench(tiny(20), &redis).await);
    large.set("queue.url", &text(&(redis.url() + "?prefix=large")));
    small.set("queue.url", &text(&(redis.url() + "?prefix=small")));
    let workers = [large.spawn(&["worker"]), large.spawn(&["worker"]), small.spawn(&["worker"])];
    let mut backlog = large.spawn_recovery();
    backlog.until(large.simulator.wait_for(|counts| counts.downloads_completed >= 100)).await;

    let run = small.recover().await.exits(0);

    let left = large.runs().await[0]["counts"]["recovered"].as_u64().unwrap();
    assert!(left < 1200, "the other account was done before");
    assert_eq!(run.counts(), small.expected_counts());
    assert_eq!(backlog.end().await.exits(0).counts(), large.expected_counts());
    for bench in [&large, &small] {
        bench.assert_all_recovered();
        assert_eq!(bench.simulator.counts().tokens_issued, 1);
    }
    for worker in workers {
        worker.signal(Signal::TERM);
        worker.end().await.exits(0);
    }
}

/// Its meetings would be "not found" to the other account, and booked as gone: on both queues.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_does_not_work_on_the_queue_of_another() {
    let redis = RedisServer::start().await;
    for mut bench in [Bench::start(tiny(8)).await, bench(tiny(8), &redis).await] {
        bench.run(&bench.recovery(&["--detach"])).await.exits(0);
        let ours = text(bench.simulator.account_id());
        bench.set("zoom.account_id", &text("another"));
        for command in [bench.recovery(&[]), vec!["worker"]] {
            let refused = bench.run(&command).await.exits(1);
            refused.tells(&[
                "holds the work of the Zoom account",
                "zoom.account_id is another",
                "?prefix=NAME",
            ]);
        }
        assert_eq!(bench.simulator.counts().downloads_started, 0);
        bench.set("zoom.account_id", &ours);
        bench.run(&bench.recovery(&["--work"])).await.exits(0);
        bench.assert_all_recovered();
    }
}
