//! Those who look on: each asks for one thing after the other, once a second, from an address of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::{MissedTickBehavior, interval_at, timeout_at};

use crate::Fault;

const EVERY: Duration = Duration::from_secs(1);

/// What was waited for one kind of request.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) took: Vec<Duration>,
    pub(crate) refused: usize,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) asked: BTreeMap<&'static str, Asked>,
    pub(crate) events: usize,
    pub(crate) streams_that_ended: u32,
}

/// Looks on for so long, with so many.
pub(crate) async fn look_on(
    url: &str,
    run: &str,
    clients: u32,
    streams: u32,
    long: Duration,
) -> Result<Seen, Fault> {
    // Made before anybody asks: each reads the machine's certificates, which takes some milliseconds, and who asks meanwhile
    // would be answered late by this process.
    let made = (0..clients + streams).map(client).collect::<Result<Vec<_>, _>>()?;
    let until = Instant::now() + long;
    let paths = [
        ("`GET /v1/recoveries`", format!("{url}/v1/recoveries")),
        ("`GET /v1/recoveries/{id}`", format!("{url}/v1/recoveries/{run}")),
        ("`GET /v1/recoveries/{id}/meetings`", format!("{url}/v1/recoveries/{run}/meetings?limit=100")),
        ("`GET /v1/coverage`", format!("{url}/v1/coverage")),
        ("`GET /v1/workers`", format!("{url}/v1/workers")),
        ("the dashboard's page of the run", format!("{url}/runs/{run}")),
    ];
    let (pollers, listeners) = made.split_at(clients as usize);
    let polling =
        join_all((0..).zip(pollers).map(|(number, client)| poll(client, number, clients, &paths, until)));
    let listening = join_all(listeners.iter().map(|client| listen(client, url, until)));
    let (polled, listened) = tokio::join!(polling, listening);
    let mut seen = Seen::default();
    for answers in polled {
        for (name, took, good) in answers? {
            let asked = seen.asked.entry(name).or_default();
            asked.took.push(took);
            asked.refused += usize::from(!good);
        }
    }
    for listened in listened {
        let (events, ended) = listened?;
        seen.events += events;
        seen.streams_that_ended += u32::from(ended);
    }
    Ok(seen)
}

/// The limit of requests is one of each address.
fn client(number: u32) -> Result<reqwest::Client, Fault> {
    let [_, _, high, low] = number.to_be_bytes();
    let address = IpAddr::from(Ipv4Addr::new(127, 0, high + 1, low));
    recapture_core::http::install_tls();
    Ok(reqwest::Client::builder().local_address(address).no_proxy().build()?)
}

type Answer = (&'static str, Duration, bool);

async fn poll(
    client: &reqwest::Client,
    number: u32,
    of: u32,
    paths: &[(&'static str, String)],
    until: Instant,
) -> Result<Vec<Answer>, Fault> {
    // Evenly over the second, as strangers come.
    let first = Instant::now() + EVERY * number / of;
    let mut turn = interval_at(first.into(), EVERY);
    turn.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut answers = Vec::new();
    for (name, path) in paths.iter().cycle().skip(number as usize % paths.len()) {
        turn.tick().await;
        if Instant::now() >= until {
            break;
        }
        let began = Instant::now();
        let answer = client.get(path).send().await?;
        let good = answer.status().is_success();
        answer.bytes().await?;
        answers.push((*name, began.elapsed(), good));
    }
    Ok(answers)
}

/// The events that came, and whether the stream ended before it was left.
async fn listen(client: &reqwest::Client, url: &str, until: Instant) -> Result<(usize, bool), Fault> {
    let mut stream = client.get(format!("{url}/v1/events")).send().await?.error_for_status()?;
    let mut events = 0;
    while let Ok(piece) = timeout_at(until.into(), stream.chunk()).await {
        let Ok(Some(piece)) = piece else { return Ok((events, true)) };
        events += piece.windows(7).filter(|window| window == b"\nevent:").count();
        events += usize::from(piece.starts_with(b"event:"));
    }
    Ok((events, false))
}
