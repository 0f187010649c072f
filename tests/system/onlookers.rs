//! Many who look on while a recovery runs in the same process: everyone is answered, and everything is recovered.
//!
//! How long they wait is measured elsewhere: `bench/src/serve.rs`.

use futures_util::future::join_all;
use recapture_simulator::Faults;
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::harness::{Bench, plain};
use crate::serving::Service;

const STREAMS: usize = 50;
const POLLERS: usize = 50;

/// Listens until the service ends the stream, and says when the end of the run was told; the state that was told last.
async fn listen(http: &reqwest::Client, url: &str, ended: &Semaphore) -> String {
    let mut stream = http.get(format!("{url}/v1/events")).send().await.unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    let (mut heard, mut said) = (Vec::new(), false);
    while let Some(piece) = stream.chunk().await.expect("a stream ends well") {
        heard.extend_from_slice(&piece);
        if !said && String::from_utf8_lossy(&heard).contains(r#""state":"completed""#) {
            said = true;
            ended.add_permits(1);
        }
    }
    let heard = String::from_utf8(heard).unwrap();
    assert!(heard.is_empty() || heard.ends_with("\n\n"), "an event was cut: {heard}");
    let events = heard.split("\n\n").filter(|event| event.starts_with("event: recovery"));
    let last = events.last().expect("the run was told of").split_once("data: ").unwrap().1;
    serde_json::from_str::<Value>(last).unwrap()["state"].as_str().unwrap().to_owned()
}

/// Asks for one thing after the other until the run has ended; how often.
async fn poll(http: &reqwest::Client, url: &str, run: &str, first: usize) -> usize {
    let paths = [
        format!("/v1/recoveries/{run}"),
        "/v1/recoveries".to_owned(),
        format!("/v1/recoveries/{run}/meetings"),
        "/v1/coverage".to_owned(),
        "/v1/workers".to_owned(),
        format!("/runs/{run}"),
    ];
    let mut asked = 0;
    for path in paths.iter().cycle().skip(first % paths.len()) {
        let answer = http.get(format!("{url}{path}")).send().await.unwrap();
        // Who asks without a pause is told to slow down, and nothing worse.
        let status = answer.status();
        assert!(status == StatusCode::OK || status == StatusCode::TOO_MANY_REQUESTS, "{path}: {status}");
        let text = answer.text().await.unwrap();
        asked += 1;
        if status == StatusCode::OK && *path == paths[0] {
            let told: Value = serde_json::from_str(&text).unwrap();
            if told["state"] == "completed" {
                break;
            }
        }
    }
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_look_on_are_answered_and_do_no_harm() {
    let mut bench = Bench::start(plain(60)).await;
    bench.simulator.set_faults(Faults { latency_ms: 20, ..Faults::default() });
    let service = Service::start(&mut bench).await;
    let http = recapture_core::http::client().unwrap();
    let [from, to] = bench.period();
    let order = json!({ "from": from, "to": to, "by": "ops" });
    let begun = http.post(format!("{}/v1/recoveries", service.url)).json(&order).send().await.unwrap();
    let begun: Value = begun.error_for_status().unwrap().json().await.unwrap();
    let run = begun["id"].as_str().unwrap();

    let url = service.url.clone();
    let ended = Semaphore::new(0);
    let streams = join_all((0..STREAMS).map(|_| listen(&http, &url, &ended)));
    let looking = async {
        let asked = join_all((0..POLLERS).map(|number| poll(&http, &url, run, number))).await;
        // The service tells of the end with its next look, and everybody hears of it.
        let all = u32::try_from(STREAMS).unwrap();
        let _ = ended.acquire_many(all).await.unwrap();
        service.process.signal(Signal::TERM);
        asked
    };
    let (told, asked) = tokio::join!(streams, looking);
    assert!(asked.iter().all(|asked| *asked > 0));
    assert!(told.iter().all(|state| state == "completed"), "{told:?}");
    service.process.end().await.exits(0).tells(&["stopped; nothing is left in hand"]);
    bench.assert_all_recovered();
}
