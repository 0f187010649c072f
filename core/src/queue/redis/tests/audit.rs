//! The whole store, read by other means than the queue's, and every statement of the module's table checked.

use std::collections::{BTreeMap, BTreeSet};

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, cmd};

use super::server;

type Scores = BTreeMap<String, i64>;

struct Store {
    connection: MultiplexedConnection,
    tag: String,
}

/// One job's record.
struct Record {
    state: char,
    owner: String,
    runs: Vec<String>,
    deadline: i64,
    enqueued: String,
    hold: String,
}

impl Record {
    fn read(text: &str) -> Self {
        let fields: Vec<&str> = text.splitn(7, ';').collect();
        let others = fields[2].split(',').filter(|run| !run.is_empty()).map(str::to_owned);
        Self {
            state: fields[0].chars().next().unwrap(),
            owner: fields[1].to_owned(),
            runs: std::iter::once(fields[1].to_owned()).chain(others).collect(),
            deadline: fields[3].parse().unwrap(),
            enqueued: fields[4].to_owned(),
            hold: fields[5].to_owned(),
        }
    }
}

impl Store {
    async fn ask<T: FromRedisValue>(&mut self, command: &str, key: &str, rest: &[&str]) -> T {
        let mut ask = cmd(command);
        ask.arg(format!("{}:{key}", self.tag)).arg(rest);
        ask.query_async(&mut self.connection).await.unwrap()
    }

    async fn hash(&mut self, key: &str) -> BTreeMap<String, String> {
        self.ask("HGETALL", key, &[]).await
    }

    async fn set(&mut self, key: &str) -> BTreeSet<String> {
        self.ask("SMEMBERS", key, &[]).await
    }

    async fn scores(&mut self, key: &str) -> Scores {
        let members: Vec<(String, f64)> = self.ask("ZRANGE", key, &["0", "-1", "WITHSCORES"]).await;
        #[expect(clippy::cast_possible_truncation, reason = "instants are whole")]
        members.into_iter().map(|(member, score)| (member, score as i64)).collect()
    }
}

/// What the indices should hold, by the records alone.
#[derive(Default, PartialEq, Debug)]
struct Indices {
    ready: BTreeMap<String, Scores>,
    other: BTreeMap<String, Scores>,
    leased: Scores,
    delayed: Scores,
    aged: BTreeMap<String, String>,
    counted: BTreeMap<(String, &'static str), u64>,
}

fn indices_of(jobs: &BTreeMap<String, Record>) -> Indices {
    let mut indices = Indices::default();
    let mut ages: BTreeMap<String, u64> = BTreeMap::new();
    for (uuid, job) in jobs {
        *ages.entry(job.enqueued.clone()).or_default() += 1;
        let counted = match job.state {
            'l' => {
                let until = job.hold.split(',').nth(1).unwrap().parse().unwrap();
                indices.leased.insert(uuid.clone(), until);
                Some("leased")
            }
            'd' | 'z' => {
                indices.delayed.insert(uuid.clone(), job.hold.parse().unwrap());
                Some(if job.state == 'd' { "retrying" } else { "waiting" })
            }
            'r' => None,
            odd => panic!("{uuid} has the state {odd}"),
        };
        for run in &job.runs {
            let place =
                if job.state == 'r' && *run == job.owner { &mut indices.ready } else { &mut indices.other };
            place.entry(run.clone()).or_default().insert(uuid.clone(), job.deadline);
            if let Some(counted) = counted {
                *indices.counted.entry((run.clone(), counted)).or_default() += 1;
            }
        }
    }
    indices.aged = ages.into_iter().map(|(at, jobs)| (at, jobs.to_string())).collect();
    indices
}

/// Panics at the first statement that does not hold.
pub(super) async fn audit(url: &str, prefix: Option<&str>) {
    let tag = prefix.map_or("{recapture}".to_owned(), |prefix| format!("{{recapture:{prefix}}}"));
    let mut store = Store { connection: server::aside(url).await, tag };
    let jobs = store.hash("jobs").await;
    let jobs: BTreeMap<String, Record> =
        jobs.into_iter().map(|(uuid, text)| (uuid, Record::read(&text))).collect();
    let runs: Vec<String> = store.ask("ZRANGE", "runs", &["0", "-1"]).await;

    let mut found = Indices {
        leased: store.scores("leased").await,
        delayed: store.scores("delayed").await,
        aged: store.hash("aged").await,
        ..Indices::default()
    };
    let ages: BTreeSet<String> = store.scores("ages").await.into_keys().collect();
    assert_eq!(ages, found.aged.keys().cloned().collect());
    let causes: BTreeSet<String> = store.hash("causes").await.into_keys().collect();
    assert!(causes.iter().all(|uuid| jobs.contains_key(uuid)), "causes of jobs that are gone: {causes:?}");

    let mut live = BTreeSet::new();
    let mut dead = 0;
    for run in &runs {
        let books = store.hash(&format!("run:{run}")).await;
        let count = |field: &str| books.get(field).map_or(0, |count| count.parse().unwrap());
        for field in ["leased", "retrying", "waiting"] {
            if count(field) > 0 {
                found.counted.insert((run.clone(), field), count(field));
            }
        }
        for (index, name) in [(&mut found.ready, "ready"), (&mut found.other, "other")] {
            let jobs = store.scores(&format!("{name}:{run}")).await;
            if !jobs.is_empty() {
                live.insert(run.clone());
                index.insert(run.clone(), jobs);
            }
        }
        let head = found.ready.get(run).and_then(|ready| ready.values().min()).copied();
        let served = !books.contains_key("paused") && !books.contains_key("cancelling");
        let heads = store.scores(&format!("heads:{}", books["class"])).await;
        assert_eq!(heads.get(run).copied(), head.filter(|_| served), "the head of {run}");

        let buried: BTreeSet<String> = store.hash(&format!("dead:{run}")).await.into_keys().collect();
        let graves: BTreeSet<String> = store.scores(&format!("graves:{run}")).await.into_keys().collect();
        assert_eq!(buried, graves);
        assert_eq!(buried.len() as u64, count("failed"), "the dead of {run}");
        dead += count("failed");
    }
    assert_eq!(found, indices_of(&jobs));
    assert_eq!(store.set("live").await, live);
    let queue = store.hash("queue").await;
    assert_eq!(queue.get("dead").map_or(0, |dead| dead.parse().unwrap()), dead);
}

/// The names of all keys but the answers that are gone by themselves.
pub(super) async fn keys(url: &str) -> BTreeSet<String> {
    let mut connection = server::aside(url).await;
    let keys: BTreeSet<String> = cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    let told = |key: &String| key.starts_with("{recapture}:told:");
    for key in keys.iter().filter(|key| told(key)) {
        let left: i64 = cmd("PTTL").arg(key).query_async(&mut connection).await.unwrap();
        assert!(left > 0, "{key} stays for ever");
    }
    keys.into_iter().filter(|key| !told(key)).collect()
}
