//! Which server is talked to, and as whom.

use redis::cmd;

use super::audit::audit;
use super::server::{Server, aside, free_port};
use super::{fresh, settings, store};
use crate::queue::conformance::{Bench, Store};
use crate::queue::{Enqueued, Fate, Queue, QueueError, QueueSettings, Settled};
use crate::reason::Outcome;

fn at(url: String, server: &Server) -> Store {
    let mut store = store(server);
    store.settings.url = url;
    store
}

/// Something of every kind: writing, claiming, settling, hearing news.
async fn works(bench: &Bench) {
    let run = bench.run_with(&[1, 2]).await;
    let job = bench.claim_one().await;
    assert_eq!(bench.settle(&job, Fate::Finish { outcome: Outcome::Recovered }).await, Settled::Done);
    let job = bench.claim_one().await;
    let (waited, settled) = tokio::join!(bench.queue.wait_for_work(), bench.settle(&job, Fate::Release));
    assert_eq!((waited, settled), (Ok(()), Settled::Done));
    assert_eq!(bench.counts(&run).await.recovered, 1);
}

#[tokio::test]
async fn queues_of_different_prefixes_do_not_meet() {
    let server = Server::start().await;
    let one = Bench::new(at(server.url() + "?prefix=one", &server)).await;
    let two = Bench::new(at(server.url() + "?prefix=two", &server)).await;
    one.run_with(&[1]).await;
    assert_eq!(two.claim(9).await, []);
    two.run_with(&[1]).await;
    assert_eq!((one.claim(9).await.len(), two.claim(9).await.len()), (1, 1));
    audit(&server.url(), Some("one")).await;
    audit(&server.url(), Some("two")).await;
}

#[tokio::test]
async fn the_node_of_a_cluster_that_has_the_keys_is_found() {
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let bus = free_port().to_string();
        nodes.push(Server::start_with(&["--cluster-enabled", "yes", "--cluster-port", &bus]).await);
    }
    let bus = |node: &Server| node.argument("--cluster-port");
    let slots = [("0", "8191"), ("8192", "16383")];
    for (node, (first, last)) in nodes.iter().zip(slots) {
        let mut node = aside(&node.url()).await;
        cmd("CLUSTER").arg(&["ADDSLOTSRANGE", first, last]).exec_async(&mut node).await.unwrap();
    }
    let mut first = aside(&nodes[0].url()).await;
    let mut meet = cmd("CLUSTER");
    meet.arg(&["MEET", "127.0.0.1", &nodes[1].port().to_string(), &bus(&nodes[1])]);
    meet.exec_async(&mut first).await.unwrap();
    for node in &nodes {
        let mut node = aside(&node.url()).await;
        loop {
            let info: String = cmd("CLUSTER").arg("INFO").query_async(&mut node).await.unwrap();
            if info.contains("cluster_state:ok") {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let slot: u16 = cmd("CLUSTER").arg(&["KEYSLOT", "{recapture}"]).query_async(&mut first).await.unwrap();
    let (has, has_not) = if slot < 8192 { (&nodes[0], &nodes[1]) } else { (&nodes[1], &nodes[0]) };
    // It redirects to the other, which the URL does not name.
    let url = format!("redis+cluster://127.0.0.1:{}", has_not.port());
    works(&Bench::new(at(url, has_not)).await).await;
    audit(&has.url(), None).await;
}

#[tokio::test]
async fn the_master_that_sentinel_names_is_followed() {
    let old = Server::start().await;
    let new = Server::start_with(&["--replicaof", "127.0.0.1", &old.port().to_string()]).await;
    let sentinel = Server::sentinel_of(old.port()).await;
    let nobody = free_port();
    let url = format!("redis+sentinel://127.0.0.1:{nobody},127.0.0.1:{}/mymaster", sentinel.port());
    let bench = Bench::new(at(url, &old)).await;
    let run = bench.run_with(&[1]).await;
    let (mut old_admin, mut new_admin) = (aside(&old.url()).await, aside(&new.url()).await);
    // The replica has everything, then takes over.
    while cmd("DBSIZE").query_async::<u64>(&mut old_admin).await.unwrap()
        != cmd("DBSIZE").query_async::<u64>(&mut new_admin).await.unwrap()
    {}
    cmd("REPLICAOF").arg(&["NO", "ONE"]).exec_async(&mut new_admin).await.unwrap();
    cmd("REPLICAOF").arg(&["127.0.0.1", &new.port().to_string()]).exec_async(&mut old_admin).await.unwrap();
    let mut sentinel = aside(&sentinel.url()).await;
    cmd("SENTINEL").arg(&["REMOVE", "mymaster"]).exec_async(&mut sentinel).await.unwrap();
    let monitor = ["MONITOR", "mymaster", "127.0.0.1", &new.port().to_string(), "1"];
    cmd("SENTINEL").arg(&monitor).exec_async(&mut sentinel).await.unwrap();

    // The old one does not write any more, and nobody is told of it.
    assert_eq!(bench.enqueue(&run, &[2]).await, [Enqueued::New]);
    assert_eq!(bench.claim(9).await.len(), 2);
    audit(&new.url(), None).await;
}

#[tokio::test]
async fn users_have_passwords_and_those_are_not_told() {
    let server = Server::start().await;
    let mut admin = aside(&server.url()).await;
    let user = [
        "SETUSER",
        "worker",
        "on",
        ">hunter2@/",
        "~{recapture}*",
        "&{recapture}*",
        "+@all",
        "-@dangerous",
        "+info",
    ];
    cmd("ACL").arg(&user).exec_async(&mut admin).await.unwrap();
    let as_user = |password: &str| QueueSettings {
        url: format!("redis://worker:{password}@127.0.0.1:{}", server.port()),
        ..settings(&server)
    };
    let refused = Queue::open(&as_user("hunter3")).await.expect_err("a wrong password");
    assert!(matches!(refused, QueueError::Refused { .. }), "{refused:?}");
    assert!(!format!("{refused} {refused:?} {:?}", as_user("hunter3")).contains("hunter3"));

    let bench = Bench::new(at(as_user("hunter2%40%2F").url, &server)).await;
    works(&bench).await;
    assert!(!format!("{:?}", bench.queue).contains("hunter2"));
    assert_eq!(bench.queue.check().await, Ok(()));
    assert!(bench.queue.durability().await.unwrap().contains("appendfsync is not told"));

    // Its password is changed under it, and back.
    let kill = || ["KILL", "USER", "worker"];
    cmd("ACL").arg(&["SETUSER", "worker", "resetpass", ">other"]).exec_async(&mut admin).await.unwrap();
    let _: u64 = cmd("CLIENT").arg(&kill()).query_async(&mut admin).await.unwrap();
    while bench.queue.depth().await.is_ok() {}
    let refused = bench.queue.depth().await.expect_err("a wrong password");
    assert!(matches!(refused, QueueError::Refused { .. }) && refused.is_transient(), "{refused:?}");
    cmd("ACL").arg(&["SETUSER", "worker", "resetpass", ">hunter2@/"]).exec_async(&mut admin).await.unwrap();
    assert!(bench.queue.depth().await.is_ok());
}

#[tokio::test]
async fn a_server_that_forgets_is_told_of() {
    let (store, server) = fresh().await;
    let bench = Bench::new(store).await;
    assert_eq!(bench.queue.check().await, Ok(()));
    let told = bench.queue.durability().await.unwrap();
    assert!(told.contains("everysec") && told.contains("last two seconds"), "{told}");
    let mut admin = aside(&server.url()).await;
    for (setting, bad, good, word) in [
        ("maxmemory-policy", "allkeys-lru", "noeviction", "noeviction"),
        ("appendonly", "no", "yes", "appendonly"),
    ] {
        cmd("CONFIG").arg(&["SET", "maxmemory", "1gb", setting, bad]).exec_async(&mut admin).await.unwrap();
        let unsafe_ = bench.queue.check().await.expect_err(setting);
        assert!(matches!(unsafe_, QueueError::Unsafe { .. }), "{unsafe_:?}");
        assert!(unsafe_.to_string().contains(word), "{unsafe_}");
        cmd("CONFIG").arg(&["SET", setting, good]).exec_async(&mut admin).await.unwrap();
    }
    assert_eq!(bench.queue.check().await, Ok(()));
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_with_its_place() {
    let (store, mut server) = fresh().await;
    let bench = Bench::new(store).await;
    server.kill().await;
    let gone = Queue::open(&settings(&server)).await.expect_err("nobody is there");
    assert!(matches!(gone, QueueError::Unreachable { .. }), "{gone:?}");
    assert!(gone.to_string().contains(&format!("127.0.0.1:{}", server.port())), "{gone}");
    for url in ["redis://", "redis://host/x", "redis+other://secret@host"] {
        let bad = QueueSettings { url: url.into(), ..settings(&server) };
        let error = Queue::open(&bad).await.expect_err(url);
        assert!(matches!(error, QueueError::BadUrl { .. }), "{error}");
        assert!(!error.to_string().contains("secret"));
    }
    bench.queue.clone().close().await;
    assert_eq!(bench.queue.claim(&bench.worker, 1).await, Err(QueueError::Closed));
    assert_eq!(bench.queue.wait_for_work().await, Err(QueueError::Closed));
}
