//! Events: what changes, told as it changes. The queue is looked at once a second for all streams together, and now and then
//! while nobody listens: how fast a run goes shows only to who looked before.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use futures_util::{Stream, StreamExt, stream};
use recapture_core::queue::{Queue, QueueError};
use recapture_core::run::{RecoveryRun, RunId};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use super::schema::{QueueDepth, Recovery};
use super::{Api, schema};
use crate::pace::Pace;
use crate::web::problem::Problem;

const EVERY: Duration = Duration::from_secs(1);

/// While nobody listens.
const UNHEARD: Duration = Duration::from_secs(10);

/// A proxy that hears nothing for a minute may close the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How many of the newest runs are told of.
const NEWEST: u32 = 100;

/// What stood at one look, as it is sent.
#[derive(Debug, Default)]
struct Look {
    runs: Vec<(RunId, Arc<str>)>,
    queue: Arc<str>,
}

#[derive(Clone)]
pub(in crate::serve) struct Pulse {
    queue: Queue,
    looks: watch::Sender<Arc<Look>>,
    pub(in crate::serve) paces: Paces,
}

/// How fast the runs go that are under way.
#[derive(Clone, Default)]
pub(in crate::serve) struct Paces(Arc<Mutex<HashMap<RunId, (Pace, u64)>>>);

/// A run's rates now, and the time that is left at them for what could be begun.
pub(in crate::serve) struct Going {
    pub(in crate::serve) meetings_per_second: f64,
    pub(in crate::serve) bytes_per_second: f64,
    pub(in crate::serve) left: Option<chrono::Duration>,
}

impl Paces {
    /// `None` of a run that nobody has looked at twice.
    pub(in crate::serve) fn of(&self, run: &RunId) -> Option<Going> {
        let paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (pace, open) = paces.get(run).filter(|(pace, _)| pace.is_known())?;
        Some(Going {
            meetings_per_second: pace.meetings_a_second(),
            bytes_per_second: pace.bytes_a_second(),
            left: pace.time_for(*open),
        })
    }

    /// Takes a look at the runs under way, each with the meetings of it that could be begun; others are forgotten.
    pub(in crate::serve) fn see(&self, at: Instant, runs: &[(&RecoveryRun, u64)]) {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paces.retain(|id, _| runs.iter().any(|(run, _)| run.id == *id));
        for (run, open) in runs {
            let (pace, left) = paces.entry(run.id.clone()).or_default();
            pace.see(at, run.counts.done(), run.counts.bytes);
            *left = *open;
        }
    }
}

impl Pulse {
    pub(super) fn new(queue: Queue) -> Self {
        Self { queue, looks: watch::Sender::new(Arc::default()), paces: Paces::default() }
    }

    /// Looks as long as somebody listens, until `stop`.
    pub(in crate::serve) async fn keep(self, stop: CancellationToken) -> Result<(), String> {
        let (mut away, mut looked) = (false, Instant::now());
        while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            if self.looks.receiver_count() == 0 && looked.elapsed() < UNHEARD {
                continue;
            }
            looked = Instant::now();
            match self.look().await {
                Ok(look) => {
                    away = false;
                    self.looks.send_replace(Arc::new(look));
                }
                Err(error) if !away => {
                    away = true;
                    tracing::warn!(%error, "events wait for the queue");
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    async fn look(&self) -> Result<Look, QueueError> {
        let (runs, depth) = (self.queue.runs(NEWEST).await?, self.queue.depth().await?);
        let mut going = Vec::new();
        for run in runs.iter().filter(|run| !run.state.is_end()) {
            let left = self.queue.work_left(&run.id).await?;
            going.push((run, left.ready + left.leased + left.retrying));
        }
        self.paces.see(Instant::now(), &going);
        let now = Utc::now();
        let runs = runs.into_iter().map(|run| {
            // A rate moves by itself: what has ended is told of once.
            let text = json(&Recovery::of(&run, &self.paces, run.finished_at.unwrap_or(now)));
            (run.id, Arc::from(text))
        });
        Ok(Look { runs: runs.collect(), queue: json(&QueueDepth::from(depth)).into() })
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("our own types have string keys and no failing parts")
}

/// What one stream has told.
struct Told {
    looks: watch::Receiver<Arc<Look>>,
    runs: HashMap<RunId, Arc<str>>,
    queue: Arc<str>,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Told {
    /// What is new; `None` when the service stops.
    async fn next(mut self) -> Option<(Vec<Event>, Self)> {
        loop {
            let changed = tokio::select! {
                changed = self.looks.changed() => changed,
                () = self.stop.cancelled() => return None,
            };
            changed.ok()?;
            let look = Arc::clone(&self.looks.borrow_and_update());
            let mut events = Vec::new();
            // The oldest first, so that the newest is told last.
            for (id, text) in look.runs.iter().rev() {
                if self.runs.get(id) != Some(text) {
                    events.push(Event::default().event("recovery").data(&**text));
                }
            }
            if self.queue != look.queue {
                events.push(Event::default().event("queue").data(&*look.queue));
            }
            self.runs = look.runs.iter().cloned().collect();
            self.queue = Arc::clone(&look.queue);
            if !events.is_empty() {
                return Some((events, self));
            }
        }
    }
}

/// What changes, as server-sent events: `recovery` with a run, `queue` with the depth of the queue
///
/// A new stream begins with all of the newest hundred runs. Runs that change are told of once a second at most.
#[utoipa::path(get, path = "/v1/events", tag = "operation", responses(
    (status = 200, description = "A stream without end", body = String, content_type = "text/event-stream"),
    (status = 503, description = "Too many streams", body = schema::Problem, content_type = "application/problem+json"),
))]
pub(super) async fn events(State(api): State<Api>) -> Response {
    let Ok(place) = Arc::clone(&api.streams).try_acquire_owned() else {
        let detail = "too many clients listen to this process; ask again later, or ask GET /v1/recoveries";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
    };
    let told = Told {
        looks: api.pulse.looks.subscribe(),
        runs: HashMap::new(),
        queue: Arc::from(""),
        stop: api.stop.clone(),
        _place: place,
    };
    Sse::new(flow(told)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

fn flow(told: Told) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(told, Told::next).flat_map(|events| stream::iter(events.into_iter().map(Ok)))
}
