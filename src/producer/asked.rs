//! Listing by id: meetings that somebody names, each once, and all instances of a meeting number.
//!
//! Whether Zoom knows it or not, every different meeting that is asked for counts as *listed* once, and the platform
//! is asked for it by its UUID like any other. One that neither of them knows is *missing* and becomes a job like any
//! other: the worker finds it gone and ends it at once, as `unavailable`, or as `expired` where its deadline is known and
//! over, with Zoom's answer as the evidence. So the books balance without a rule of their own. A number of which Zoom
//! knows no instance is such a meeting, with the number in place of the UUID.
//!
//! One id stops no other: what Zoom refuses, or fails at again and again, is said of that id, and the list goes on. A
//! number whose instances Zoom does not tell is *indeterminate*: nobody knows which meetings are meant. Only where
//! Zoom fails at every id of a batch, and did at all of those before, it is Zoom that is away: the run stops.
//!
//! The rules that exclude meetings do not apply: they explain why nobody misses a meeting, and this one is asked for.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use recapture_core::evidence::Entry;
use recapture_core::meeting::{ArchiveState, Meeting, MeetingKind, MeetingUuid};
use recapture_core::reconcile::Verdict;
use recapture_core::zoom::{Instance, ZoomError};
use tracing::{info, warn};

use super::compare::compare;
use super::earlier::Earlier;
use super::page::record;
use super::persist::persist;
use super::seen::Seen;
use super::{Asked, Enumerated, Producer, ProducerError, Progress};

/// How many ids are taken to the queue in one step: the first jobs are under way while the rest is looked up.
const BATCH: usize = 100;

/// Requests to Zoom on their way at once; the limiter paces them.
const AT_ONCE: usize = 16;

/// A meeting as far as it could be looked up.
struct Looked {
    meeting: Meeting,
    doubt: Option<Doubt>,
}

/// What stands against believing the comparison.
enum Doubt {
    /// Zoom has the meeting and does not show it: whether the platform has it whole, nobody can say.
    Hidden(String),
    /// Zoom does not tell which meetings are meant.
    Unresolved(String),
}

/// Takes each meeting that is asked for once.
pub async fn enumerate_asked(producer: &Producer<'_>, asked: &[Asked]) -> Result<Enumerated, ProducerError> {
    let mut seen = Seen::default();
    let mut done = Enumerated::default();
    let (mut earlier, mut patience) = (Earlier::of(asked), Patience::default());
    let batches = asked.chunks(BATCH);
    let slices = batches.len();
    for (slice, batch) in batches.enumerate() {
        let mut looked_up = Vec::new();
        let mut instances = Vec::new();
        for named in named(producer, batch, &mut patience).await? {
            match named {
                Ok(named) => instances.extend(named.into_iter().filter(|one| seen.is_new(&one.uuid))),
                Err(looked) if seen.is_new(&looked.meeting.uuid) => looked_up.push(looked),
                Err(_) => {}
            }
        }
        looked_up.extend(look_up(producer, instances, &mut earlier, &mut patience).await?);
        done.listed += looked_up.len() as u64;
        done.detected += take(producer, looked_up).await?;
        (producer.watch)(Progress {
            slice: slice + 1,
            slices,
            listing: "meetings asked for".to_owned(),
            listed: done.listed,
            detected: done.detected,
        });
    }
    Ok(done)
}

/// The meetings behind each id, or what stands for them if Zoom does not tell.
async fn named(
    producer: &Producer<'_>,
    batch: &[Asked],
    patience: &mut Patience,
) -> Result<Vec<Result<Vec<Instance>, Looked>>, ProducerError> {
    // The futures are made before the stream: one made of borrowing closures could not be spawned.
    let numbers = batch.iter().filter_map(|asked| match asked {
        Asked::Number(number) => Some(*number),
        Asked::Meeting(_) => None,
    });
    let looks: Vec<_> =
        numbers.map(|number| of_itself(producer, move || producer.zoom.instances(number))).collect();
    let answers: Vec<_> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    patience.heed(&answers)?;
    let (mut answers, mut all) = (answers.into_iter(), Vec::with_capacity(batch.len()));
    for asked in batch {
        all.push(match asked {
            Asked::Meeting(uuid) => Ok(vec![Instance { uuid: uuid.clone(), started_at: None }]),
            Asked::Number(number) => {
                let answer = answers.next().unwrap_or(Ok(Vec::new()));
                instances(producer, *number, answer).await?
            }
        });
    }
    Ok(all)
}

/// The instances of a number; one that Zoom does not know stands for itself.
async fn instances(
    producer: &Producer<'_>,
    number: u64,
    answer: Result<Vec<Instance>, ZoomError>,
) -> Result<Result<Vec<Instance>, Looked>, ProducerError> {
    let named = match answer {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(ZoomError::NotFound(_)) => {
            info!(number, "Zoom knows no meeting of this number");
            Ok(vec![Instance { uuid: placeholder(number), started_at: None }])
        }
        Err(error) => {
            warn!(number, %error, "Zoom does not tell the meetings of this number");
            let doubt = Some(Doubt::Unresolved(error.to_string()));
            Err(Looked { meeting: unknown(placeholder(number), None, None), doubt })
        }
    };
    let meetings = match &named {
        Ok(found) => found.iter().map(|instance| instance.uuid.clone()).collect(),
        Err(looked) => vec![looked.meeting.uuid.clone()],
    };
    record(producer, Entry::Instances { number, meetings }).await?;
    Ok(named)
}

/// The meetings with their files, or what is known of them without Zoom.
async fn look_up(
    producer: &Producer<'_>,
    instances: Vec<Instance>,
    earlier: &mut Earlier,
    patience: &mut Patience,
) -> Result<Vec<Looked>, ProducerError> {
    let reads: Vec<_> = instances
        .iter()
        .map(|instance| of_itself(producer, move || producer.zoom.meeting(&instance.uuid)))
        .collect();
    let answers: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    patience.heed(&answers)?;
    let mut looked_up = Vec::with_capacity(instances.len());
    for (Instance { uuid, started_at }, answer) in instances.into_iter().zip(answers) {
        looked_up.push(match answer {
            Ok(meeting) => Looked { meeting, doubt: None },
            // The worker is told the same, and records it.
            Err(error) => {
                info!(%uuid, %error, "Zoom does not give the meeting's metadata");
                let is_gone = matches!(error, ZoomError::NotFound(_));
                let doubt = (!is_gone).then(|| Doubt::Hidden(error.to_string()));
                let known = earlier.of_meeting(producer, &uuid).await?;
                let started_at = started_at.or(known.and_then(|known| known.started_at));
                let archived_at = known.map(|known| known.archived_at(producer.retention));
                Looked { meeting: unknown(uuid, started_at, archived_at), doubt }
            }
        });
    }
    Ok(looked_up)
}

/// Asks with patience. The inner error is one that may concern this id alone, and must not stop the others.
async fn of_itself<T, F>(
    producer: &Producer<'_>,
    ask: impl FnMut() -> F,
) -> Result<Result<T, ZoomError>, ProducerError>
where
    F: Future<Output = Result<T, ZoomError>>,
{
    match persist(producer, ask).await {
        Ok(answer) => Ok(Ok(answer)),
        Err(ProducerError::Zoom(
            error @ (ZoomError::NotFound(_)
            | ZoomError::Refused(_)
            | ZoomError::Unreadable { .. }
            | ZoomError::Server { .. }),
        )) => Ok(Err(error)),
        Err(other) => Err(other),
    }
}

/// Tells a Zoom that fails at some ids from one that is away.
#[derive(Default)]
struct Patience {
    /// The last batch had an answer.
    answered: bool,
}

impl Patience {
    /// Fails where Zoom did nothing but fail.
    fn heed<T>(&mut self, answers: &[Result<T, ZoomError>]) -> Result<(), ProducerError> {
        let failed = answers.iter().filter_map(|answer| match answer {
            Err(error @ ZoomError::Server { .. }) => Some(error),
            _ => None,
        });
        let failed: Vec<&ZoomError> = failed.collect();
        let Some(&last) = failed.last() else {
            self.answered |= !answers.is_empty();
            return Ok(());
        };
        let answered = failed.len() < answers.len();
        if !answered && !self.answered {
            return Err(last.clone().into());
        }
        self.answered = answered;
        Ok(())
    }
}

/// Compares and puts on the queue.
async fn take(producer: &Producer<'_>, looked_up: Vec<Looked>) -> Result<u64, ProducerError> {
    if looked_up.is_empty() {
        return Ok(0);
    }
    let (meetings, doubts): (Vec<Meeting>, Vec<Option<Doubt>>) =
        looked_up.into_iter().map(|looked| (looked.meeting, looked.doubt)).unzip();
    let asked_at = SystemTime::now();
    let mut verdicts = compare(producer, &meetings).await?;
    for (verdict, doubt) in verdicts.iter_mut().zip(doubts) {
        match doubt {
            Some(Doubt::Unresolved(why)) => *verdict = Verdict::Indeterminate { why },
            Some(Doubt::Hidden(why)) if *verdict == Verdict::Present => {
                *verdict = Verdict::Indeterminate { why };
            }
            Some(Doubt::Hidden(_)) | None => {}
        }
    }
    Ok(producer.put(&meetings, verdicts, [asked_at; 2]).await?.detected)
}

/// A number in place of the UUID.
fn placeholder(number: u64) -> MeetingUuid {
    MeetingUuid::parse(&number.to_string()).expect("digits are printable")
}

/// A meeting of which Zoom says nothing.
fn unknown(
    uuid: MeetingUuid,
    started_at: Option<DateTime<Utc>>,
    archived_at: Option<DateTime<Utc>>,
) -> Meeting {
    Meeting {
        uuid,
        number: None,
        host_id: None,
        group_id: None,
        topic: None,
        kind: MeetingKind::Unknown(None),
        external: false,
        started_at,
        duration_seconds: None,
        archived_at,
        archive: ArchiveState::Unknown,
        parent: None,
        files: Vec::new(),
        recording_count: None,
        unnamed_files: 0,
        raw: serde_json::Value::Null,
    }
}
