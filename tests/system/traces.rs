//! Traces over OTLP, as a collector gets them: one a meeting, over the processes that took part.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use tokio::net::TcpListener;

use crate::harness::{Bench, plain, text};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
    uuid: Option<String>,
}

type Received = Arc<Mutex<Vec<Span>>>;

/// The fields of a message of protobuf that have a length, which are all that matter here.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    fn number(message: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (byte, rest) = message.split_first().unwrap();
            *message = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = number(&mut message);
        let length = match key & 7 {
            0 => {
                number(&mut message);
                continue;
            }
            1 => 8,
            2 => usize::try_from(number(&mut message)).unwrap(),
            5 => 4,
            kind => panic!("a field of kind {kind}"),
        };
        let (content, rest) = message.split_at(length);
        message = rest;
        if key & 7 == 2 {
            found.push((key >> 3, content));
        }
    }
    found
}

fn all(message: &[u8], field: u64) -> impl Iterator<Item = &[u8]> {
    fields(message).into_iter().filter(move |(number, _)| *number == field).map(|(_, content)| content)
}

/// `ExportTraceServiceRequest` → `ResourceSpans` → `ScopeSpans` → `Span`, as opentelemetry-proto numbers them.
fn spans(request: &[u8]) -> Vec<Span> {
    let read = |span: &[u8]| {
        let one = |field| all(span, field).next().unwrap_or_default().to_vec();
        let attribute = |pair: &[u8]| {
            let value = all(pair, 2).next()?;
            let text = all(value, 1).next()?;
            (all(pair, 1).next()? == b"uuid").then(|| String::from_utf8(text.to_vec()).unwrap())
        };
        Span {
            trace: one(1),
            id: one(2),
            parent: one(4),
            name: String::from_utf8(one(5)).unwrap(),
            uuid: all(span, 9).find_map(attribute),
        }
    };
    all(request, 1).flat_map(|of| all(of, 2)).flat_map(|of| all(of, 2)).map(read).collect()
}

async fn collector() -> (String, Received) {
    let received = Received::default();
    let take = async |State(received): State<Received>, body: Bytes| {
        received.lock().unwrap().extend(spans(&body));
    };
    let routes = Router::new().route("/otlp/v1/traces", post(take)).with_state(Arc::clone(&received));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (format!("http://{address}/otlp"), received)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_is_one_trace_from_its_listing_to_its_registration() {
    let mut bench = Bench::start(plain(3)).await;
    let (url, received) = collector().await;
    bench.set("telemetry.otlp_url", &text(&url)).set("log.level", &text("warn"));
    // One process lists, and another one works.
    bench.run(&bench.recovery(&["--detach"])).await.exits(0);
    let worker = bench.spawn(&["worker"]);
    bench.simulator.wait_for(|counts| counts.das_puts.len() >= 3).await;
    worker.signal(rustix::process::Signal::TERM);
    worker.end().await.exits(0);

    let spans = received.lock().unwrap().clone();
    let first = spans.iter().filter(|span| span.name == "detect");
    let traces: BTreeMap<_, _> = first.map(|span| (span.trace.clone(), span)).collect();
    assert_eq!(traces.len(), 3, "{spans:?}");
    for (trace, first) in traces {
        let of: Vec<&Span> = spans.iter().filter(|span| span.trace == trace).collect();
        let mut names: Vec<&str> = of.iter().map(|span| span.name.as_str()).collect();
        names.sort_unstable();
        let expected = "decide detect download download download ingest list meeting metadata register";
        assert_eq!(names.join(" "), expected);
        let ids: BTreeSet<_> = of.iter().map(|span| &span.id).collect();
        assert_eq!(ids.len(), of.len(), "an id is given once");
        let job = of.iter().find(|span| span.name == "meeting").unwrap();
        assert_eq!((&job.uuid, first.parent.len()), (&first.uuid, 0));
        for span in &of {
            let parent = match span.name.as_str() {
                "detect" => continue,
                "list" | "decide" | "meeting" => &first.id,
                _ => &job.id,
            };
            assert_eq!(&span.parent, parent, "{}", span.name);
        }
    }
    bench.assert_all_recovered();
}
