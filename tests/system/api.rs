//! The API of `recapture serve`: a recovery from asking for it to its report, who may do what, and what outlives a kill.

use std::time::Duration;

use recapture_simulator::Faults;
use reqwest::{Method, RequestBuilder, Response};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::harness::{Bench, plain, text};
use crate::serving::Service;

const TOKEN: &str = "0perat0r";
const VIEWER: &str = "v1ewer";

impl Service {
    /// With tokens.
    async fn guarded(bench: &mut Bench) -> Self {
        bench.set("server.token", &text(TOKEN)).set("server.viewer_token", &text(VIEWER));
        Self::start(bench).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        recapture_core::http::client().unwrap().request(method, format!("{}{path}", self.url))
    }

    fn ask(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path).bearer_auth(TOKEN)
    }

    fn tell(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).bearer_auth(TOKEN).json(body)
    }

    async fn read(&self, path: &str) -> Value {
        told(self.ask(path).send().await.unwrap(), 200).await
    }

    /// Listens to events until the run is in that state; what the last event told of it.
    async fn until(&self, id: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut stream = self.ask("/v1/events").send().await.unwrap();
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        let mut text = String::new();
        loop {
            let piece = stream.chunk().await.unwrap().expect("the stream has no end");
            text.push_str(std::str::from_utf8(&piece).unwrap());
            while let Some((event, rest)) = text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                text = rest;
                let Some(data) = event.lines().find_map(|line| line.strip_prefix("data: ")) else { continue };
                let told: Value = serde_json::from_str(data).unwrap();
                if event.contains("event: recovery") && told["id"] == id && is(&told) {
                    return told;
                }
            }
        }
    }
}

async fn told(answer: Response, status: u16) -> Value {
    let found = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn period(bench: &Bench) -> Value {
    let [from, to] = bench.period();
    json!({ "from": from, "to": to, "by": "ops", "reason": "INC-4711" })
}

fn is_over(run: &Value) -> bool {
    run["state"] == "completed"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_from_asking_for_it_to_its_report() {
    let mut bench = Bench::start(plain(12)).await;
    let service = Service::guarded(&mut bench).await;
    let dry = json!({ "dry_run": true, "from": bench.period()[0], "to": bench.period()[1] });
    let plan = told(service.tell("/v1/recoveries", &dry).send().await.unwrap(), 200).await;
    assert_eq!(
        (&plan["counts"]["missing"], &plan["dry_run"], &plan["more"]),
        (&json!(12), &json!(true), &json!(0))
    );
    assert_eq!(plan["meetings"].as_array().unwrap().len(), 12);
    assert_eq!(service.read("/v1/recoveries").await["recoveries"], json!([]), "a dry run leaves nothing");

    let answer = service
        .tell("/v1/recoveries", &period(&bench))
        .header("x-request-id", "ticket-7")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["x-request-id"], "ticket-7");
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let begun = told(answer, 202).await;
    let id = begun["id"].as_str().unwrap();
    assert_eq!(location, format!("/v1/recoveries/{id}"));
    let run = service.until(id, is_over).await;
    assert_eq!((&run["counts"]["recovered"], &run["reconciled"]), (&json!(12), &json!(true)));

    let detail = service.read(&location).await;
    assert_eq!((&detail["requested_by"], &detail["left"]["leased"]), (&json!("ops"), &json!(0)));
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = service.read(&format!("{location}/meetings?outcome=recovered&limit=5{cursor}")).await;
        seen.extend(
            page["meetings"].as_array().unwrap().iter().map(|meeting| meeting["meeting_uuid"].clone()),
        );
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={}", next.replace('+', "%2B").replace('=', "%3D"));
    }
    assert_eq!(seen.len(), 12);
    assert_eq!(service.read(&format!("{location}/meetings?outcome=failed")).await["meetings"], json!([]));
    for (format, begins) in [("csv", "row,"), ("html", "<!doctype html>"), ("text", ""), ("json", "{")] {
        let answer = service.ask(&format!("{location}/report?format={format}")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.text().await.unwrap().starts_with(begins), "{format}");
    }
    assert_eq!(service.read("/v1/workers").await["workers"], json!([]));
    assert_eq!(service.read("/v1/coverage").await["dimensions"], json!([]));
    service.stopped().await;
    bench.assert_all_recovered();
    bench.run(&["verify"]).await.exits(0);
    let record = bench.record_of(id);
    assert!(
        record.contains("\"requested_by\":\"ops\"") && record.contains("\"request_id\":\"ticket-7\""),
        "{record}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_meetings_are_recovered_and_a_request_sent_again_is_known() {
    let mut bench = Bench::start(plain(4)).await;
    let service = Service::guarded(&mut bench).await;
    let uuids: Vec<String> = bench.simulator.truth().take(2).map(|meeting| meeting.uuid).collect();
    let asked = json!({ "meetings": uuids, "by": "ops" });
    let send = |asked: Value| {
        let request = service.tell("/v1/recoveries", &asked).header("idempotency-key", "order-1");
        async move { request.send().await.unwrap() }
    };
    let first = told(send(asked.clone()).await, 202).await;
    let again = told(send(asked.clone()).await, 200).await;
    assert_eq!(first["id"], again["id"]);
    told(send(json!({ "meetings": [uuids[0]] })).await, 422).await;
    let run = service.until(first["id"].as_str().unwrap(), is_over).await;
    assert_eq!((&run["mode"], &run["counts"]["recovered"]), (&json!("specific"), &json!(2)));

    let file = format!("meeting_uuid\n{}\nno id at all\n", uuids[0]);
    let upload = service.request(Method::POST, "/v1/recoveries?by=ops&name=ids.csv").bearer_auth(TOKEN);
    let upload = upload.header("content-type", "text/csv").body(file).send().await.unwrap();
    let id = told(upload, 202).await["id"].as_str().unwrap().to_owned();
    assert_eq!(service.until(&id, is_over).await["counts"]["present"], json!(1));
    let pages = service.read("/v1/recoveries?limit=1").await;
    let next = pages["next_cursor"].as_str().unwrap();
    assert_eq!(
        service.read(&format!("/v1/recoveries?cursor={next}")).await["recoveries"][0]["id"],
        first["id"]
    );
    service.stopped().await;
    assert!(
        bench.record_of(&id).contains("\"name\":\"ids.csv\",")
            && bench.record_of(&id).contains("\"rejected\":1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_paused_resumed_retried_and_cancelled_and_who_did_it_is_recorded() {
    let mut bench = Bench::start(plain(3)).await;
    bench.set("queue.max_attempts", "1");
    bench.simulator.set_faults(Faults { html_200: 1.0, relentless: true, ..Faults::default() });
    let service = Service::guarded(&mut bench).await;
    let begun = told(service.tell("/v1/recoveries", &period(&bench)).send().await.unwrap(), 202).await;
    let id = begun["id"].as_str().unwrap();
    let path = |action: &str| format!("/v1/recoveries/{id}/{action}");
    let run = service.until(id, |run| run["counts"]["failed"] == 3).await;
    assert_eq!(run["state"], "completed");
    let failed = service.read(&path("meetings?outcome=failed&reason=not_the_file")).await;
    assert_eq!(failed["meetings"].as_array().unwrap().len(), 3);
    assert!(failed["meetings"][0]["evidence"]["detail"].is_string());

    told(service.tell(&path("pause"), &json!({ "by": "ann" })).send().await.unwrap(), 200).await;
    bench.simulator.set_faults(Faults::default());
    let one = failed["meetings"][0]["meeting_uuid"].clone();
    let retried =
        told(service.tell(&path("retry"), &json!({ "meetings": [one] })).send().await.unwrap(), 200).await;
    assert_eq!(retried["requeued"], 1);
    service.until(id, |run| run["state"] == "paused").await;
    told(service.tell(&path("resume"), &json!({})).send().await.unwrap(), 200).await;
    service.until(id, |run| run["counts"]["recovered"] == 1).await;
    told(service.tell(&path("pause"), &json!({})).send().await.unwrap(), 200).await;
    let rest =
        told(service.tell(&path("retry"), &json!({ "reason": "not_the_file" })).send().await.unwrap(), 200)
            .await;
    assert_eq!(rest["requeued"], 2);
    let cancelled =
        told(service.tell(&path("cancel"), &json!({ "by": "bob" })).send().await.unwrap(), 200).await;
    assert_eq!((&cancelled["removed"], &cancelled["recovery"]["state"]), (&json!(2), &json!("cancelled")));
    told(
        service.tell("/v1/recoveries/01JBQ8Z6WQK7V3F2T9XN4M5P0R/cancel", &json!({})).send().await.unwrap(),
        404,
    )
    .await;
    service.stopped().await;
    let record = bench.record_of(id);
    for (action, by) in [("pause", "ann"), ("resume", "a client at 127.0.0.1"), ("cancel", "bob")] {
        assert!(record.contains(&format!("\"action\":\"{action}\",\"by\":\"{by}\"")), "{action}: {record}");
    }
    // Each order stands there twice, and each failed end that was taken up once.
    assert_eq!(record.matches("\"stage\":\"asked\"").count(), 6, "{record}");
    assert_eq!(record.matches("\"stage\":\"done\"").count(), 6, "{record}");
    assert!(record.contains("\"selection\":{\"reason\":\"not_the_file\"}"), "{record}");
    assert_eq!(record.matches("\"kind\":\"retried\"").count(), 3, "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_do_what() {
    let mut bench = Bench::start(plain(1)).await;
    let service = Service::guarded(&mut bench).await;
    let status = async |request: RequestBuilder| request.send().await.unwrap().status().as_u16();
    for path in ["/v1/recoveries", "/v1/coverage", "/v1/workers", "/v1/events"] {
        assert_eq!(status(service.request(Method::GET, path)).await, 401, "{path}");
        assert_eq!(status(service.request(Method::GET, path).bearer_auth("guess")).await, 401, "{path}");
        assert_eq!(status(service.request(Method::GET, path).bearer_auth(VIEWER)).await, 200, "{path}");
    }
    let post = || service.request(Method::POST, "/v1/recoveries").json(&json!({ "last": "1d" }));
    assert_eq!(status(post()).await, 401);
    assert_eq!(status(post().bearer_auth(VIEWER)).await, 403);
    assert_eq!(status(post().bearer_auth(TOKEN).header("origin", "http://evil.example")).await, 403);
    assert_eq!(status(post().bearer_auth(TOKEN).header("sec-fetch-site", "cross-site")).await, 403);
    assert_eq!(status(service.request(Method::GET, "/openapi.json")).await, 200);
    for (body, why) in [
        (json!({}), "what to recover"),
        (json!({ "last": "7" }), "length of time"),
        (json!({ "last": "7d", "meetings": ["x"] }), "one of them"),
        (json!({ "meetings": ["n/a"] }), "meetings[0]"),
        (json!({ "from": "2026-10-02", "to": "2026-10-01" }), "before it begins"),
        (json!({ "last": "7d", "by": "a\nb" }), "control characters"),
        (json!({ "lost": "7d" }), "unknown field"),
    ] {
        let problem = told(service.tell("/v1/recoveries", &body).send().await.unwrap(), 422).await;
        assert!(problem["detail"].as_str().unwrap().contains(why), "{body}: {problem}");
    }
    let wrong = service.request(Method::DELETE, "/v1/recoveries").bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(wrong.headers()["content-type"], "application/problem+json");
    assert_eq!(wrong.status(), 405);
    service.stopped().await;

    // Without a token everyone on this machine may do everything, but no page that a browser here has open.
    bench.unset("server.token").unset("server.viewer_token").set("server.requests_per_second", "5");
    let service = Service::start(&mut bench).await;
    assert_eq!(status(service.request(Method::GET, "/v1/recoveries")).await, 200);
    assert_eq!(
        status(service.request(Method::GET, "/v1/recoveries").header("host", "evil.example")).await,
        403
    );
    let foreign = service.request(Method::POST, "/v1/recoveries").header("origin", "http://evil.example");
    assert_eq!(status(foreign.json(&json!({ "last": "1d" }))).await, 403);
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(status(service.request(Method::GET, "/v1/recoveries")).await);
    }
    assert!(answers.contains(&200) && answers.contains(&429), "{answers:?}");
    service.stopped().await;
}

/// Every route of the document, with every role.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_the_role_that_a_route_takes() {
    let mut bench = Bench::start(plain(1)).await;
    let service = Service::guarded(&mut bench).await;
    let begun = told(service.tell("/v1/recoveries", &period(&bench)).send().await.unwrap(), 202).await;
    let id = begun["id"].as_str().unwrap();
    service.until(id, is_over).await;
    let document = told(service.request(Method::GET, "/openapi.json").send().await.unwrap(), 200).await;
    let mut routes = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", id);
        for method in methods.as_object().unwrap().keys() {
            routes += 1;
            let method: Method = method.to_uppercase().parse().unwrap();
            let ask = || service.request(method.clone(), &path);
            let status = async |request: RequestBuilder| request.send().await.unwrap().status().as_u16();
            assert_eq!(status(ask()).await, 401, "{method} {path}, nobody");
            assert_eq!(status(ask().basic_auth("ops", Some(TOKEN))).await, 401, "{method} {path}, no bearer");
            let viewer = status(ask().bearer_auth(VIEWER)).await;
            if method.is_safe() {
                assert_eq!(viewer, 200, "{method} {path}, a viewer");
            } else {
                assert_eq!(viewer, 403, "{method} {path}, a viewer");
            }
            let operator = status(ask().bearer_auth(TOKEN)).await;
            assert!(!matches!(operator, 401 | 403 | 404) && operator < 500, "{method} {path}: {operator}");
        }
    }
    assert_eq!(routes, 12, "all of /v1");
    service.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_of_a_size_and_a_kind_that_can_be_read_and_a_list_can_be_tried() {
    let mut bench = Bench::start(plain(3)).await;
    let service = Service::guarded(&mut bench).await;
    // A client that sends more than is taken is told before it has sent all of it.
    let address = service.url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/recoveries HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: 9000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; (8 << 20) + 1]).await.unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await.unwrap();
    assert_eq!(answer, "HTTP/1.1 413 Payload Too Large\r\n");

    let post = |path: &str, kind: &str, body: String| {
        service.request(Method::POST, path).bearer_auth(TOKEN).header("content-type", kind).body(body)
    };
    let xml = told(post("/v1/recoveries", "text/xml", "<a/>".to_owned()).send().await.unwrap(), 415).await;
    assert!(xml["detail"].as_str().unwrap().contains("text/csv"), "{xml}");

    let uuid = bench.simulator.truth().next().unwrap().uuid;
    let list = format!("meeting_uuid\n{uuid}\n");
    let tried = post("/v1/recoveries?dry_run=true", "text/csv; charset=utf-8", list).send().await.unwrap();
    let tried = told(tried, 200).await;
    assert_eq!((&tried["dry_run"], &tried["counts"]["missing"]), (&json!(true), &json!(1)));
    assert_eq!(tried["meetings"][0]["meeting_uuid"], json!(uuid));
    assert_eq!(service.read("/v1/recoveries").await["recoveries"], json!([]), "a dry run leaves nothing");
    service.stopped().await;
}

/// As many streams as a process has places for, and one that gets the place of another.
#[tokio::test(flavor = "multi_thread")]
async fn streams_are_so_many_and_no_more() {
    let mut bench = Bench::start(plain(1)).await;
    bench.set("server.requests_per_second", "100000");
    let service = Service::guarded(&mut bench).await;
    let http = recapture_core::http::client().unwrap();
    let listen = || http.get(format!("{}/v1/events", service.url)).bearer_auth(TOKEN).send();
    let mut streams = Vec::new();
    for _ in 0..500 {
        let stream = listen().await.unwrap();
        assert_eq!(stream.status(), 200);
        streams.push(stream);
    }
    let refused = told(listen().await.unwrap(), 503).await;
    assert!(refused["detail"].as_str().unwrap().contains("too many clients listen"), "{refused}");
    streams.pop();
    // Its place is free once the service sees that it is gone.
    while listen().await.unwrap().status() != 200 {}
    drop(streams);
    service.stopped().await;
}

/// A listing that stands still, until the process is killed or stopped in it; the next start goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_was_cut_short_is_taken_up() {
    for signal in [Signal::KILL, Signal::TERM] {
        let mut bench = Bench::start(plain(6)).await;
        bench.set("queue.lease", &text("2s"));
        let service = Service::guarded(&mut bench).await;
        bench.simulator.set_faults(Faults { latency_ms: 20_000, ..Faults::default() });
        let uuids: Vec<String> = bench.simulator.truth().take(3).map(|meeting| meeting.uuid).collect();
        let asked = json!({ "meetings": uuids });
        let begun = told(service.tell("/v1/recoveries", &asked).send().await.unwrap(), 202).await;
        let old = begun["id"].as_str().unwrap();
        service.process.signal(signal);
        service.process.end().await;
        bench.simulator.set_faults(Faults::default());

        let service = Service::guarded(&mut bench).await;
        let run = tokio::time::timeout(
            Duration::from_secs(60),
            service.until(old, |run| {
                run["ended_because"].as_str().is_some_and(|why| why.contains("goes on with it"))
            }),
        );
        let because = run.await.unwrap()["ended_because"].as_str().unwrap().to_owned();
        let next = because.split("run ").nth(1).unwrap().split(' ').next().unwrap();
        let run = service.until(next, is_over).await;
        assert_eq!((&run["continues"], &run["counts"]["recovered"]), (&json!(old), &json!(3)));
        assert_eq!(service.read("/v1/recoveries").await["recoveries"].as_array().unwrap().len(), 2);
        service.stopped().await;
        bench.run(&["verify"]).await.exits(0);
    }
}
