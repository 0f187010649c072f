//! The composition under test: containers of its own project, gone with the test.

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::engine::{docker, inspect, printed, said_by, tool, wait};
use crate::logs::Log;

pub(crate) struct Composition {
    project: String,
    /// What is laid over the published file, if anything.
    overlay: &'static [&'static str],
    load: Load,
    simulator: String,
    http: reqwest::Client,
}

/// What there is to do, and how fast a worker may do it.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) meetings: u32,
    /// Meetings at once in one worker.
    pub(crate) concurrency: u32,
    /// Requests for metadata a second, of all workers together.
    pub(crate) limit: u32,
}

impl Composition {
    /// Brings all services up and waits until they are healthy. The simulator has about this many meetings.
    pub(crate) async fn up(name: &str, meetings: u32, workers: usize) -> Self {
        Self::up_with(name, Load { meetings, concurrency: 8, limit: 10_000 }, workers).await
    }

    pub(crate) async fn up_with(name: &str, load: Load, workers: usize) -> Self {
        let project = format!("recapture-{name}-{}", std::process::id());
        // reqwest is built without a provider of its own.
        let http = recapture_core::http::client().unwrap();
        let overlay = ["--file", "docker-compose.yml", "--file", "tests/compose/compose.test.yml"].as_slice();
        let mut composition = Self { project, overlay, load, simulator: String::new(), http };
        composition.compose(&["up", "-d", "--no-build", "--scale", &format!("worker={workers}"), "worker"]);
        composition.compose(&["up", "-d", "--no-build", "simulator", "control"]);
        let at = composition.compose(&["port", "simulator", "9010"]);
        composition.simulator = format!("http://{}/_sim", at.trim());
        composition.until_healthy("worker", workers).await;
        composition.until_healthy("control", 1).await;
        composition
    }

    /// The published file with nothing over it, not up yet.
    pub(crate) fn as_published(name: &str) -> Self {
        let project = format!("recapture-{name}-{}", std::process::id());
        let http = recapture_core::http::client().unwrap();
        let load = Load { meetings: 0, concurrency: 0, limit: 0 };
        Self { project, overlay: &[], load, simulator: String::new(), http }
    }

    /// The jobs of Prometheus' targets that are up, once there are so many.
    pub(crate) async fn until_watched(&self, many: usize) -> Vec<String> {
        let at = self.compose(&["port", "prometheus", "9090"]);
        let address = format!("http://{}/api/v1/targets?state=active", at.trim());
        let mut up = Vec::new();
        let reached = async || {
            // It may not listen yet.
            let Ok(answer) = self.http.get(&address).send().await else { return false };
            let Ok(answer) = answer.json::<Value>().await else { return false };
            let targets = answer["data"]["activeTargets"].as_array().unwrap().iter();
            let jobs =
                targets.filter(|target| target["health"] == "up").map(|target| &target["labels"]["job"]);
            up = jobs.map(|job| job.as_str().unwrap().to_owned()).collect();
            up.len() == many
        };
        wait("Prometheus sees everybody", reached).await;
        up.sort();
        up
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut words = tool().iter();
        let mut command = Command::new(words.next().expect("a program"));
        command
            .args(words)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("MEETINGS", self.load.meetings.to_string())
            .env("CONCURRENCY", self.load.concurrency.to_string())
            .env("LIGHT", self.load.limit.to_string())
            .envs([("PUBLISH", "127.0.0.1:0"), ("PUBLISH_PROMETHEUS", "127.0.0.1:0")])
            .env("COMPOSE_IGNORE_ORPHANS", "true")
            // Nothing of this machine's own `.env`.
            .args(["--env-file", "tests/compose/test.env"])
            .args(["--project-name", &self.project])
            .args(self.overlay)
            .args(["--profile", "demo"])
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command of the tool that has to succeed; answers what it printed.
    pub(crate) fn compose(&self, arguments: &[&str]) -> String {
        printed(
            &format!("{} {}", tool().join(" "), arguments.join(" ")),
            &self.command(arguments).output().unwrap(),
        )
    }

    /// A program of the image that has to succeed, beside the services.
    pub(crate) fn recapture(&self, arguments: &[&str]) -> String {
        self.compose(&[&["run", "--rm", "-T", "producer"], arguments].concat())
    }

    /// A recovery of everything, in a container of its own.
    pub(crate) fn recovery(&self) -> Recovery {
        let arguments = ["run", "--rm", "-T", "producer", "recover", "--last", "30d", "--json"];
        let mut command = self.command(&arguments);
        Recovery(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    /// A recovery of everything, by the control plane; answers its address.
    pub(crate) async fn ask_for_a_recovery(&self) -> String {
        let (control, token) = self.control();
        let order = json!({ "last": "30d", "by": "ops", "reason": "an outage" });
        let request = self.http.post(format!("{control}/v1/recoveries")).bearer_auth(token).json(&order);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 202);
        answer.headers()["location"].to_str().unwrap().to_owned()
    }

    /// The run object of that recovery, once it is over.
    pub(crate) async fn until_over(&self, recovery: &str) -> Value {
        let (control, token) = self.control();
        let mut run = Value::Null;
        let over = async || {
            let answer =
                self.http.get(format!("{control}{recovery}")).bearer_auth(&token).send().await.unwrap();
            run = answer.json().await.unwrap();
            !run["finished_at"].is_null()
        };
        wait("the recovery's end", over).await;
        run
    }

    /// The ids of a service's running containers.
    pub(crate) fn containers(&self, service: &str) -> Vec<String> {
        self.compose(&["ps", "-q", service]).lines().map(str::to_owned).collect()
    }

    pub(crate) async fn counts(&self) -> Value {
        let answer = self.http.get(format!("{}/counts", self.simulator)).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// How many files Zoom has, of all meetings.
    pub(crate) async fn files(&self) -> u64 {
        let truth =
            self.http.get(format!("{}/truth", self.simulator)).send().await.unwrap().text().await.unwrap();
        let of = |meeting: &Value, key: &str| meeting[key].as_array().unwrap().len() as u64;
        truth
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .map(|meeting| of(&meeting, "files") + of(&meeting, "attachments"))
            .sum()
    }

    /// Every request to the simulator takes this long from now on.
    pub(crate) async fn set_latency(&self, ms: u64) {
        self.tell_simulator("faults", &json!({ "latency_ms": ms })).await;
    }

    /// The simulator refuses more requests for metadata a second than this.
    pub(crate) async fn set_limit(&self, a_second: u32) {
        self.tell_simulator("control", &json!({ "limits": { "light": a_second } })).await;
    }

    async fn tell_simulator(&self, what: &str, words: &Value) {
        let answer = self.http.post(format!("{}/{what}", self.simulator)).json(words).send().await.unwrap();
        assert!(answer.status().is_success(), "{what}: {}", answer.status());
    }

    pub(crate) async fn downloads(&self) -> u64 {
        self.counts().await["downloads_completed"].as_u64().unwrap()
    }

    /// Returns once this many downloads were done.
    pub(crate) async fn until_downloads(&self, many: u64) {
        let reached = async || self.downloads().await >= many;
        wait(&format!("{many} downloads"), reached).await;
    }

    /// Whether the only recovery is still under way.
    pub(crate) fn is_running(&self) -> bool {
        let status: Value = serde_json::from_str(&self.recapture(&["status", "--json"])).unwrap();
        ["enumerating", "running"].map(Value::from).contains(&status["runs"][0]["state"])
    }

    /// Where the control plane is published, and the token of its API.
    pub(crate) fn control(&self) -> (String, String) {
        let at = self.compose(&["port", "control", "8080"]);
        let control = &self.containers("control")[0];
        let token = docker(&["exec", control, "cat", "/run/recapture/secrets/server/token"]);
        (format!("http://{}", at.trim()), token)
    }

    pub(crate) async fn until_healthy(&self, service: &str, many: usize) {
        let healthy = async || {
            let containers = self.containers(service);
            containers.iter().filter(|id| inspect(id, "{{.State.Health.Status}}") == "healthy").count()
                == many
        };
        wait(&format!("{many} healthy containers of {service}"), healthy).await;
    }

    /// Cuts a container off one of the composition's networks.
    pub(crate) fn cut(&self, network: &str, container: &str) {
        docker(&["network", "disconnect", &self.network(network), container]);
    }

    pub(crate) fn mend(&self, network: &str, container: &str) {
        docker(&["network", "connect", &self.network(network), container]);
    }

    pub(crate) fn network(&self, name: &str) -> String {
        format!("{}_{name}", self.project)
    }

    /// Returns once a container of ours has said one of these at least so often; answers how often.
    pub(crate) async fn until_said(&self, container: &str, messages: &[&str], least: usize) -> usize {
        let mut said = 0;
        let reached = async || {
            said = Log { service: container, text: &said_by(container) }.says(messages);
            said >= least
        };
        wait(&format!("{container} says {messages:?}"), reached).await;
        said
    }

    /// The same of all containers of a service together.
    pub(crate) async fn until_anyone_said(&self, service: &str, messages: &[&str], least: usize) -> usize {
        let mut said = 0;
        let reached = async || {
            let logs = self.containers(service).iter().map(|id| said_by(id)).collect::<String>();
            said = Log { service, text: &logs }.says(messages);
            said >= least
        };
        wait(&format!("{service} says {messages:?}"), reached).await;
        said
    }

    /// No service logged an error but those that begin with one of these words.
    #[track_caller]
    pub(crate) fn assert_no_errors_but(&self, expected: &[&str]) {
        for service in ["worker", "das", "control", "simulator", "redis", "postgres"] {
            let containers = self.containers(service);
            assert!(!containers.is_empty(), "no container of {service}");
            for container in containers {
                Log { service, text: &said_by(&container) }.assert_no_errors_but(expected);
            }
        }
    }

    /// The buffer proves itself, and a second look finds every meeting with the platform and fetches nothing.
    pub(crate) async fn assert_whole(&self, first: &Value) {
        let counts = &first["counts"];
        assert!(counts["listed"].as_u64().unwrap() > 0, "{first}");
        assert_eq!(counts["recovered"], counts["listed"], "{first}");
        assert_eq!(counts["files"].as_u64().unwrap(), self.files().await, "{first}");
        assert_eq!((&first["state"], &first["reconciled"]), (&json!("completed"), &json!(true)), "{first}");
        self.recapture(&["verify"]);
        self.set_latency(0).await;
        let before = self.counts().await["downloads_started"].clone();
        let again = self.recovery().end();
        assert_eq!(again["counts"]["present"], counts["listed"], "{again}");
        assert_eq!(self.counts().await["downloads_started"], before);
    }
}

impl Drop for Composition {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.command(&["logs", "--no-color", "--tail", "40"]).output().unwrap();
            eprintln!("{}", String::from_utf8_lossy(&logs.stdout));
        }
        let _ = self.command(&["--profile", "monitoring", "down", "--volumes", "--timeout", "1"]).output();
    }
}

/// A running `recover`, or the tool that runs one; it ends with the test.
pub(crate) struct Recovery(Option<Child>);

impl Recovery {
    pub(crate) fn of(child: Child) -> Self {
        Self(Some(child))
    }

    pub(crate) fn interrupt(&mut self) {
        let id = self.0.as_ref().and_then(|child| i32::try_from(child.id()).ok()).unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    }

    /// Waits for its end, which has to be a good one; answers the run object.
    pub(crate) fn end(mut self) -> Value {
        let output = self.0.take().unwrap().wait_with_output().unwrap();
        serde_json::from_str(&printed("recover", &output)).unwrap()
    }
}

impl Drop for Recovery {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
