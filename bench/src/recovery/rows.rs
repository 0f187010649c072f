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

/// Threads of the floor: most of them wait for the disk. Where nobody does, so many get into each other's way.
const FLOOR: usize = 32;
const FLOOR_NO_FSYNC: usize = 4;
/// Those of the profile in which each request waits, and the files at once of Recapture there.
const SLOW: usize = 64;

impl Row {
    pub(super) fn of(profile: Profile) -> Vec<Self> {
        match profile {
            Profile::Small | Profile::Mixed => vec![
                Self::Floor,
                Self::Redis,
                Self::Redis4,
                Self::Embedded,
                Self::Taskiq,
                Self::Arq,
                Self::Celery,
                Self::Sequential,
                Self::FloorNoFsync,
            ],
            Profile::Latency => vec![Self::Floor, Self::Redis, Self::Embedded],
            Profile::Limited => vec![Self::Pro, Self::Pro4, Self::Business, Self::Business4],
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::FloorNoFsync => "floor without fsync",
            Self::Redis => "**Recapture**, Redis, 1 worker",
            Self::Redis4 => "**Recapture**, Redis, 4 workers",
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

    /// Requests a second that Zoom's plan allows: each meeting costs one.
    fn limit(self) -> Option<(&'static str, u32)> {
        match self {
            Self::Pro | Self::Pro4 => Some(("pro", 30)),
            Self::Business | Self::Business4 => Some(("business", 80)),
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
        let zoom = Zoom::start(programs, &profile.scenario(limit.map(|(_, limit)| limit))).await?;
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
        let threads = if slow { SLOW } else { FLOOR };
        let mut figures = match self {
            Self::Floor => script::floor(zoom, all, true, threads).await,
            Self::FloorNoFsync => script::floor(zoom, all, false, FLOOR_NO_FSYNC).await,
            Self::Sequential | Self::Celery | Self::Taskiq | Self::Arq => {
                script::measure(zoom, self.package().unwrap_or_default(), some).await
            }
            _ => {
                let workers = match self {
                    Self::Embedded => 0,
                    Self::Redis4 | Self::Pro4 | Self::Business4 => 4,
                    _ => 1,
                };
                let plan = self.limit().map(|(plan, _)| plan);
                // The listing's two requests are small beside a second: the light limit is the one that is met.
                let meetings = self.limit().map_or(all, |(_, limit)| limit * 30 / part);
                let at_once = slow.then_some((SLOW, SLOW));
                ours::measure(programs, zoom, Form { workers, at_once, plan }, meetings).await
            }
        }?;
        figures.of_limit = match (self.limit(), slow) {
            (Some((_, limit)), _) => {
                let (asked, refused) = zoom.answered("metadata").await?;
                Some((figures.rate / f64::from(limit), share(refused, asked)))
            }
            (None, true) => {
                // The floor's threads ask for one thing after the other; Recapture's slots are those of files.
                let requests = if self == Self::Floor { 5.0 } else { 4.0 };
                let limit = ours::per_second(SLOW, profile.latency(), requests);
                Some((figures.rate / limit, 0.0))
            }
            (None, false) => None,
        };
        Ok(figures)
    }
}

#[allow(clippy::cast_precision_loss, reason = "what is counted is far below 2^52")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
