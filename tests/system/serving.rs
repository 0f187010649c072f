//! `recapture serve` as a process: it answers a supervisor, works, and stops when it is told to.

use rustix::process::Signal;

use crate::harness::{Bench, Process, plain, prepare, text};

/// The service of a bench, and where it answers.
pub(crate) struct Service {
    pub(crate) process: Process,
    pub(crate) url: String,
}

impl Service {
    /// Started, and listening.
    pub(crate) async fn start(bench: &mut Bench) -> Self {
        bench.set("server.listen", &text("127.0.0.1:0"));
        Self::with(bench, &[]).await
    }

    pub(crate) async fn with(bench: &Bench, arguments: &[&str]) -> Self {
        Self::listening(bench.spawn(&[&["serve"], arguments].concat())).await
    }

    async fn listening(mut process: Process) -> Self {
        let line = process.line_with("listening on http://").await;
        let address = line.split_once("http://").unwrap().1.split(';').next().unwrap().to_owned();
        Self { process, url: format!("http://{address}") }
    }

    /// The status and the text of an answer.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let http = recapture_core::http::client().unwrap();
        let answer = http.get(format!("{}{path}", self.url)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub(crate) async fn stopped(self) {
        self.process.signal(Signal::TERM);
        self.process.end().await.exits(0).tells(&["stopped; nothing is left in hand"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_a_supervisor_and_stops_when_told() {
    let mut bench = Bench::start(plain(3)).await;
    let service = Service::start(&mut bench).await;
    assert_eq!(service.get("/healthz").await.0, 200);
    assert_eq!(service.get("/readyz").await, (200, "ok\n".to_owned()));
    let (status, metrics) = service.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("recapture_queue_jobs{state=\"ready\"} 0"), "{metrics}");
    assert_eq!(service.get("/elsewhere").await.0, 404);
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/login", "/v1/workers", "/elsewhere"] {
        let request = recapture_core::http::client().unwrap().get(format!("{}{path}", service.url));
        let answer = request.header("x-request-id", "probe-1").send().await.unwrap();
        assert_eq!(answer.headers()["x-request-id"], "probe-1", "{path}");
    }
    service.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_on_what_waits_in_an_embedded_queue() {
    let mut bench = Bench::start(plain(5)).await;
    let mut service = Service::start(&mut bench).await;
    bench.run(&bench.recovery(&["--detach"])).await.exits(0);
    service.process.until(bench.simulator.wait_for(|counts| counts.das_puts.len() >= 5)).await;
    service.stopped().await;
    bench.assert_all_recovered();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_named() {
    let mut bench = Bench::start(plain(1)).await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    bench.set("server.listen", &text(&address));
    bench.run(&["serve"]).await.exits(1).tells(&["server.listen", &address]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_stays_to_be_looked_at() {
    let bench = Bench::start(plain(1)).await;
    let quick = ["demo", "--meetings", "20", "--faults", "0", "--serve"];
    let settings = ["--set", "server.listen=127.0.0.1:0", "--set", "log.level=recapture=info,warn"];
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_recapture"));
    prepare(command.args(quick).args(settings), &bench.path(""));
    let service = Service::listening(Process::spawn(command)).await;
    let (status, page) = service.get("/").await;
    assert!(status == 200 && page.contains("an outage that never was"), "{status} {page}");
    service.process.signal(Signal::TERM);
    service.process.end().await.exits(0).tells(&["The dashboard is at http://"]);
}
