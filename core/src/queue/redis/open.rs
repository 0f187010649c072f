//! Opening, and what `doctor` wants to know of the server.

use std::collections::HashMap;
use std::sync::Arc;

use redis::{Cmd, cmd};

use super::clocks::Ahead;
use super::doubt::Doubts;
use super::keys::Keys;
use super::reply::Reply;
use super::scripts;
use super::{Inner, RedisQueue, twice};
use crate::config::RedisAddress;
use crate::queue::QueueSettings;
use crate::queue::clock::Clock;
use crate::queue::error::QueueError;
use crate::redis::{Link, Target};

/// The version of the forms in which keys and records are written; a newer one is not touched.
const VERSION: u32 = 1;

impl RedisQueue {
    /// Connects; a server that cannot be reached now is told here, later it is waited for.
    pub(in crate::queue) async fn open(
        address: RedisAddress,
        settings: &QueueSettings,
        clock: Clock,
    ) -> Result<Self, QueueError> {
        let keys = Keys::new(address.prefix.as_deref());
        let queue = Self(Arc::new(Inner {
            link: Arc::new(Link::new(Target::new(address), keys.tag().to_owned(), keys.news())),
            keys,
            clock,
            lease: settings.lease,
            max_attempts: settings.max_attempts.max(1),
            high_water: settings.high_water.max(1),
            doubts: Doubts::default(),
            ahead: Ahead::default(),
        }));
        let version = queue.eval(&scripts::OPEN, vec![VERSION.to_string()]).await?.text();
        match version.parse::<u32>() {
            Ok(version) if version <= VERSION => {
                queue.compare_clocks().await;
                Ok(queue)
            }
            _ => Err(QueueError::Newer { place: queue.0.link.place().to_owned() }),
        }
    }

    /// That scripts run and write, and that the server keeps what it is given.
    pub(in crate::queue) async fn check(&self) -> Result<(), QueueError> {
        // A write that changes nothing.
        let mut write = cmd("HINCRBY");
        write.arg(self.0.keys.queue()).arg("fence").arg(0);
        self.command(write).await?;
        let facts = self.facts().await?;
        let fact = |name: &str| facts.get(name).map_or("", String::as_str);
        let evicts = fact("maxmemory") != "0" && fact("maxmemory_policy") != "noeviction";
        let why = if evicts {
            "maxmemory-policy is ".to_owned()
                + fact("maxmemory_policy")
                + ", so Redis throws jobs away when it is full; set it to noeviction"
        } else if fact("aof_enabled") == "0" {
            "appendonly is no, so a restart of Redis forgets jobs; set it to yes".to_owned()
        } else {
            return Ok(());
        };
        Err(QueueError::Unsafe { place: self.0.link.place().to_owned(), why })
    }

    /// What an acknowledgement is worth: a sentence for `doctor`.
    pub(in crate::queue) async fn durability(&self) -> Result<String, QueueError> {
        let facts = self.facts().await?;
        let version = facts.get("redis_version").map_or("", String::as_str);
        let synced = match self.setting("appendfsync").await?.as_str() {
            "always" => "appendfsync always: what was acknowledged is on disk",
            "everysec" => {
                "appendfsync everysec: a power cut may take the last two seconds of what was acknowledged"
            }
            "no" => "appendfsync no: a power cut may take half a minute of what was acknowledged",
            _ => "appendfsync is not told",
        };
        Ok(format!("Redis {version}, {synced}"))
    }

    /// The account that the queue is of, if it is anybody's.
    pub(in crate::queue) async fn owner(&self) -> Result<Option<String>, QueueError> {
        let mut read = cmd("HGET");
        read.arg(self.0.keys.queue()).arg("account");
        let owner = self.command(read).await?.text();
        Ok(Some(owner).filter(|owner| !owner.is_empty()))
    }

    /// The account that the queue is of; `account` if it was nobody's.
    pub(in crate::queue) async fn account(&self, account: &str) -> Result<String, QueueError> {
        let mut read = cmd("HGET");
        read.arg(self.0.keys.queue()).arg("account");
        let owner = self.command(read.clone()).await?.text();
        if !owner.is_empty() {
            return Ok(owner);
        }
        let mut write = cmd("HSETNX");
        write.arg(self.0.keys.queue()).arg("account").arg(account);
        match self.command(write).await {
            // A server that takes no writes now can be opened all the same: writing says so.
            Err(QueueError::Full { .. } | QueueError::Unwritable { .. }) => return Ok(account.to_owned()),
            written => written?,
        };
        Ok(self.command(read).await?.text())
    }

    pub(in crate::queue) async fn set_account(&self, account: &str) -> Result<(), QueueError> {
        let mut write = cmd("HSET");
        write.arg(self.0.keys.queue()).arg("account").arg(account);
        self.command(write).await.map(drop)
    }

    pub(in crate::queue) fn place(&self) -> String {
        self.0.link.place().to_owned()
    }

    /// The parts of `INFO` that tell what is kept.
    async fn facts(&self) -> Result<HashMap<String, String>, QueueError> {
        let mut facts = HashMap::new();
        for section in ["server", "memory", "persistence"] {
            let mut info = cmd("INFO");
            info.arg(section);
            let text = self.command(info).await?.text();
            let lines = text.lines().filter_map(|line| line.split_once(':'));
            facts.extend(lines.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        Ok(facts)
    }

    /// A setting of the server; empty if it does not tell, as many that are rented out.
    async fn setting(&self, name: &str) -> Result<String, QueueError> {
        let mut get = cmd("CONFIG");
        get.arg("GET").arg(name);
        match self.command(get).await {
            Ok(answer) => Ok(answer.pairs().remove(name).unwrap_or_default()),
            Err(QueueError::Refused { .. } | QueueError::Failed { .. }) => Ok(String::new()),
            Err(error) => Err(error),
        }
    }

    /// One plain command that may be run twice.
    pub(super) async fn command(&self, command: Cmd) -> Result<Reply, QueueError> {
        let command = &command;
        let send = || async move {
            let sent =
                self.0.link.send(|mut connection| async move { command.query_async(&mut connection).await });
            sent.await.map(Reply::new)
        };
        twice(send).await.map_err(|fault| self.told(fault))
    }
}
