//! What all handlers share.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::bodies::Bodies;
use crate::catalogue::{Catalogue, FileKey};
use crate::chance::{self, Subject, mix};
use crate::connections::Door;
use crate::counts::{Ledger, lock};
use crate::das::Shelf;
use crate::faults::Mischief;
use crate::limits::Limiter;
use crate::progress::Progress;
use crate::scenario::Scenario;

#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) zoom: Door,
    pub(crate) media: Door,
    pub(crate) das: Door,
}

impl Doors {
    pub(crate) fn shut(&self) {
        for door in [&self.zoom, &self.media, &self.das] {
            door.set_open(false);
        }
    }
}

pub(crate) struct Shared {
    pub(crate) catalogue: Catalogue,
    pub(crate) bodies: Bodies,
    pub(crate) progress: Progress,
    pub(crate) mischief: Mischief,
    pub(crate) limiter: Limiter,
    pub(crate) ledger: Ledger,
    pub(crate) tokens: Tokens,
    /// Of the DAS' Verint form.
    pub(crate) das_sessions: Tokens,
    pub(crate) links: Links,
    pub(crate) shelf: Shelf,
    pub(crate) doors: Doors,
    /// What is answered of some ids, UUIDs or numbers, in place of what there is: status and code.
    pub(crate) told: Mutex<HashMap<String, (u16, u16)>>,
    /// True while downloads wait.
    pub(crate) held: watch::Sender<bool>,
    /// Scheme, host and port of the API, and of the host that downloads are redirected to.
    pub(crate) zoom_origin: String,
    pub(crate) media_origin: String,
}

impl Shared {
    pub(crate) fn new(scenario: Scenario, zoom_origin: String, media_origin: String) -> Self {
        Self {
            bodies: Bodies::new(scenario.seed),
            progress: Progress::default(),
            mischief: Mischief::new(scenario.seed),
            limiter: Limiter::new(scenario.limits.clone()),
            ledger: Ledger::default(),
            tokens: Tokens::new(scenario.seed, scenario.token_lifetime_s),
            das_sessions: Tokens::new(scenario.seed ^ 0x0DA5, scenario.das.session_lifetime_s),
            links: Links::default(),
            shelf: Shelf::default(),
            doors: Doors { zoom: Door::new(), media: Door::new(), das: Door::new() },
            told: Mutex::default(),
            held: watch::Sender::new(false),
            catalogue: Catalogue::new(scenario),
            zoom_origin,
            media_origin,
        }
    }

    /// A signature over something that only the simulator hands out. It has to be hard to get wrong, not hard
    /// to forge.
    pub(crate) fn sign(&self, text: &str) -> String {
        let key = chance::draw(self.catalogue.scenario.seed, Subject::Sign, 0);
        format!("{:016x}", chance::digest(key, text))
    }
}

/// The access tokens that are valid. Several are at a time, as Zoom documents today.
#[derive(Debug)]
pub(crate) struct Tokens {
    seed: u64,
    issued: AtomicU64,
    lifetime_s: AtomicU64,
    valid: Mutex<HashMap<String, Instant>>,
}

impl Tokens {
    /// What every token begins with, so that one that strays into a URL is recognized.
    pub(crate) const PREFIX: &str = "simulated.";

    fn new(seed: u64, lifetime_s: u64) -> Self {
        Self {
            seed,
            issued: AtomicU64::new(0),
            lifetime_s: AtomicU64::new(lifetime_s),
            valid: Mutex::default(),
        }
    }

    /// A new token and how many seconds it lives.
    pub(crate) fn issue(&self) -> (String, u64) {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let lifetime_s = self.lifetime_s.load(Ordering::Relaxed);
        let secret = chance::draw(self.seed, Subject::Token, number);
        let token = format!("{}{number}.{secret:016x}{:016x}", Self::PREFIX, mix(secret));
        let now = Instant::now();
        let mut valid = lock(&self.valid);
        valid.retain(|_, until| *until > now);
        valid.insert(token.clone(), now + Duration::from_secs(lifetime_s));
        (token, lifetime_s)
    }

    pub(crate) fn is_valid(&self, token: &str) -> bool {
        lock(&self.valid).get(token).is_some_and(|until| *until > Instant::now())
    }

    pub(crate) fn revoke(&self, token: &str) {
        lock(&self.valid).remove(token);
    }

    /// Holds for tokens issued from now on.
    pub(crate) fn set_lifetime(&self, lifetime: Duration) {
        self.lifetime_s.store(lifetime.as_secs(), Ordering::Relaxed);
    }

    pub(crate) fn revoke_all(&self) {
        lock(&self.valid).clear();
    }
}

/// Which edition of a file's download URL is good. Holds only files that a URL died of.
#[derive(Debug, Default)]
pub(crate) struct Links(Mutex<HashMap<FileKey, Link>>);

#[derive(Debug, Default, Clone, Copy)]
struct Link {
    edition: u32,
    dead: bool,
}

impl Links {
    /// The edition to hand out; a dead one is replaced.
    pub(crate) fn mint(&self, file: FileKey) -> u32 {
        lock(&self.0).get_mut(&file).map_or(0, |link| {
            if link.dead {
                *link = Link { edition: link.edition + 1, dead: false };
            }
            link.edition
        })
    }

    pub(crate) fn kill(&self, file: FileKey) {
        lock(&self.0).entry(file).or_default().dead = true;
    }

    pub(crate) fn is_good(&self, file: FileKey, edition: u32) -> bool {
        let link = lock(&self.0).get(&file).copied().unwrap_or_default();
        !link.dead && link.edition == edition
    }
}
