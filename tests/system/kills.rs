//! `kill -9`, again and again: the same command goes on, and what was verified before a kill is never fetched again.

use std::collections::BTreeMap;

use fastrand::Rng;
use recapture_simulator::{Counts, Endpoint, Scenario};

use crate::expectation::{assert_balanced, sha256_of};
use crate::harness::{Bench, plain};

const KILLS: usize = 10;

/// An event of the simulator at which the process dies.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Pages(usize),
    Downloads(u64),
    Registrations(u64),
}

impl Moment {
    fn any(random: &mut Rng) -> Self {
        match random.u8(..3) {
            0 => Self::Pages(random.usize(1..=6)),
            1 => Self::Downloads(random.u64(1..=40)),
            _ => Self::Registrations(random.u64(1..=15)),
        }
    }

    fn is_reached(self, before: &Counts, now: &Counts) -> bool {
        match self {
            Self::Pages(count) => now.pages.len() >= before.pages.len() + count,
            Self::Downloads(count) => now.downloads_completed >= before.downloads_completed + count,
            Self::Registrations(count) => {
                now.requests(Endpoint::DasPut) >= before.requests(Endpoint::DasPut) + count
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_lose_nothing_and_fetch_nothing_twice() {
    let given = std::env::var("KILLS_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("the same moments again: KILLS_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let mut bench = Bench::start(Scenario { captured: 0.65, ..plain(1000) }).await;
    bench.set("queue.lease", "'1s'").set("worker.concurrency", "4");

    let mut verified = BTreeMap::new();
    for _ in 0..KILLS {
        let moment = Moment::any(&mut random);
        let before = bench.simulator.counts();
        let reached = bench.simulator.wait_for(|now| moment.is_reached(&before, now));
        let ended = bench.spawn_recovery().killed_at(reached).await;
        println!("killed at {moment:?}");
        assert!(ended.is_none(), "seed {seed}: it ended before {moment:?}: {ended:?}");
        bench.assert_final_names_verify();
        for (id, path) in bench.final_files() {
            let facts = (bench.simulator.file_count(&id).started, sha256_of(&path));
            let earlier = verified.insert(id.clone(), facts.clone());
            assert!(earlier.is_none_or(|earlier| earlier == facts), "seed {seed}: {id} was touched");
        }
    }

    let last = bench.recover().await.exits(0);

    println!("{} files were verified before the last kill", verified.len());
    bench.assert_all_recovered();
    for (id, (started, _)) in &verified {
        let now = bench.simulator.file_count(id).started;
        assert_eq!(now, *started, "seed {seed}: {id} was fetched again");
    }
    let counts = last.counts();
    assert_balanced(&counts);
    assert_eq!((counts["listed"], counts["detected"]), (1000, counts["recovered"]), "seed {seed}");
}
