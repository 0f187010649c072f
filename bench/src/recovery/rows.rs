//! The rows of the table: who does the work, and at which settings.

use clap::ValueEnum;

use super::ours::{self, Form};
use super::processes::Programs;
use super::profile::Profile;
use super::zoom::Zoom;
use super::{Figures, script};
use crate::{Fault, python};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    Floor,
    FloorNoFsync,
    Redis,
    Redis4,
    /// One worker with twice as many meetings at once as by default
    Redis64,
    Embedded,
    /// Zoom's plans, with one worker process and with four
    Pro,
    Pro4,
    Business,
    Business4,
    Sequential,
    Celery,
    Taskiq,
    Arq,
}

/// Threads of the floor, of which the best number counts: many wait for the disk, and where nobody does they get into each
/// other's way.
const FLOOR: [usize; 3] = [4, 12, 32];
/// Files at once where each request waits.
const SLOW: usize = 64;
/// Of a thread's five requests four are for files: so many threads have as many files under way.
const SLOW_FLOOR: [usize; 1] = [SLOW * 5 / 4];

/// What a plan allows a second.
#[derive(Clone, Copy)]
struct Limit {
    plan: &'static str,
    light: u32,
    medium: u32,
}

impl Row {
    pub(super) fn of(profile: Profile) -> Vec<Self> {
        match profile {
            Profile::Small | Profile::Mixed => vec![
                Self::Floor,
                Self::Redis,
                Self::Redis4,
                Self::Redis64,
                Self::Embedded,
                Self::Taskiq,
                Self::Arq,
                Self::Celery,
                Self::Sequential,
                Self::FloorNoFsync,
            ],
            Profile::Latency => {
                vec![Self::Floor, Self::Redis, Self::Embedded, Self::Taskiq, Self::FloorNoFsync]
            }
            Profile::Limited => {
                vec![Self::Floor, Self::Pro, Self::Pro4, Self::Business, Self::Business4, Self::FloorNoFsync]
            }
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Floor => "floor, the best of 4, 12 and 32 threads",
            Self::FloorNoFsync => "the same without fsync",
            Self::Redis => "**Recapture**, Redis, 1 worker",
            Self::Redis4 => "**Recapture**, Redis, 4 workers",
            Self::Redis64 => "**Recapture**, Redis, 1 worker, 64 meetings at once",
            Self::Embedded => "**Recapture**, embedded",
            Self::Pro => "**Recapture**, plan pro, 1 worker",
            Self::Pro4 => "**Recapture**, plan pro, 4 workers",
            Self::Business => "**Recapture**, plan business, 1 worker",
            Self::Business4 => "**Recapture**, plan business, 4 workers",
            Self::Sequential => "sequential script, requests 2.34",
            Self::Celery => "Celery 5.7, prefork × 16, requests",
            Self::Taskiq => "taskiq 0.13, 2 × 32, aiohttp, uvloop",
            Self::Arq => "arq 0.28, 2 × 32, aiohttp, uvloop",
        }
    }

    /// The row that this one is held against.
    pub(super) fn floor(self) -> Self {
        if self == Self::FloorNoFsync { Self::FloorNoFsync } else { Self::Floor }
    }

    fn package(self) -> Option<&'static str> {
        match self {
            Self::Sequential => Some("sequential"),
            Self::Celery => Some("celery"),
            Self::Taskiq => Some("taskiq"),
            Self::Arq => Some("arq"),
            _ => None,
        }
    }

    pub(super) async fn prepare(self) -> Result<(), Fault> {
        match self.package() {
            Some(package) => python::prepare(&format!("{package}_recovery")).await,
            None => Ok(()),
        }
    }

    /// Requests a second that Zoom's plan allows, for metadata, of which each meeting costs one, and for listings.
    fn limit(self) -> Option<Limit> {
        match self {
            Self::Pro | Self::Pro4 => Some(Limit { plan: "pro", light: 30, medium: 20 }),
            Self::Business | Self::Business4 => Some(Limit { plan: "business", light: 80, medium: 60 }),
            _ => None,
        }
    }

    pub(super) async fn measure(
        self,
        programs: &Programs,
        profile: Profile,
        part: u32,
    ) -> Result<Figures, Fault> {
        let limit = self.limit();
        let zoom =
            Zoom::start(programs, &profile.scenario(limit.map(|limit| (limit.light, limit.medium)))).await?;
        script::warm(&zoom, profile.meetings()).await?;
        zoom.be_slow(profile).await?;
        let found = self.measure_at(programs, &zoom, profile, part).await;
        zoom.end().await?;
        found
    }

    async fn measure_at(
        self,
        programs: &Programs,
        zoom: &Zoom,
        profile: Profile,
        part: u32,
    ) -> Result<Figures, Fault> {
        let all = profile.meetings() / part;
        let some = profile.for_peers() / part;
        let slow = profile == Profile::Latency;
        let limit = self.limit();
        let threads: &[usize] = if slow { &SLOW_FLOOR } else { &FLOOR };
        let mut figures = match self {
            Self::Floor => script::floor(zoom, all, true, threads).await,
            Self::FloorNoFsync => script::floor(zoom, all, false, threads).await,
            Self::Sequential | Self::Celery | Self::Taskiq | Self::Arq => {
                script::measure(zoom, self.package().unwrap_or_default(), some).await
            }
            _ => {
                let workers = match self {
                    Self::Embedded => 0,
                    Self::Redis4 | Self::Pro4 | Self::Business4 => 4,
                    _ => 1,
                };
                let plan = limit.map(|limit| limit.plan);
                // The listing's few requests are small beside a second: the light limit is the one that is met.
                let meetings = limit.map_or(all, |limit| limit.light * 30 / part);
                let at_once = (slow || self == Self::Redis64).then_some((SLOW, SLOW));
                ours::measure(programs, zoom, Form { workers, at_once, plan }, meetings).await
            }
        }?;
        if let Some(limit) = limit {
            let mut counts = (0, 0);
            for endpoint in ["list", "metadata", "statistics"] {
                let (asked, refused) = zoom.answered(endpoint).await?;
                counts = (counts.0 + asked, counts.1 + refused);
            }
            figures.of_limit = Some((figures.rate / f64::from(limit.light), share(counts.1, counts.0)));
        } else if slow {
            // The floor and Recapture alike have 64 files under way, and ask for metadata beside.
            let limit = ours::per_second(SLOW, profile.latency(), 4.0);
            figures.of_limit = Some((figures.rate / limit, 0.0));
        }
        Ok(figures)
    }
}

#[allow(clippy::cast_precision_loss, reason = "what is counted is far below 2^52")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
