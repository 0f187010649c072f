//! The composition under test: containers of its own project, gone with the test.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};

/// How often what cannot tell by itself is asked.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// What has not come about by then never will; the slowest wait takes a tenth of it.
const GIVE_UP: Duration = Duration::from_secs(300);

pub(crate) struct Composition {
    project: String,
    load: Load,
    control: String,
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
        let mut composition = Self { project, load, control: String::new(), http };
        composition.compose(&["up", "-d", "--no-build", "--scale", &format!("worker={workers}"), "worker"]);
        composition.compose(&["up", "-d", "--no-build", "simulator", "control"]);
        let at = composition.compose(&["port", "simulator", "9010"]);
        composition.control = format!("http://{}/_sim", at.trim());
        composition.until_healthy("worker", workers).await;
        composition.until_healthy("control", 1).await;
        composition
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

    fn command(&self, arguments: &[&str]) -> Command {
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
            .args(["--project-name", &self.project, "--profile", "demo", "--profile", "monitoring"])
            .args(["--file", "docker-compose.yml", "--file", "tests/compose/compose.test.yml"])
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

    /// The ids of a service's running containers.
    pub(crate) fn containers(&self, service: &str) -> Vec<String> {
        self.compose(&["ps", "-q", service]).lines().map(str::to_owned).collect()
    }

    pub(crate) async fn counts(&self) -> Value {
        let answer = self.http.get(format!("{}/counts", self.control)).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// How many files Zoom has, of all meetings.
    async fn files(&self) -> u64 {
        let truth =
            self.http.get(format!("{}/truth", self.control)).send().await.unwrap().text().await.unwrap();
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
        let answer = self.http.post(format!("{}/{what}", self.control)).json(words).send().await.unwrap();
        assert!(answer.status().is_success(), "{what}: {}", answer.status());
    }

    /// Returns once this many downloads were done.
    pub(crate) async fn until_downloads(&self, many: u64) {
        let reached = async || self.counts().await["downloads_completed"].as_u64().unwrap() >= many;
        wait(&format!("{many} downloads"), reached).await;
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

    fn network(&self, name: &str) -> String {
        format!("{}_{name}", self.project)
    }

    /// What a service's containers logged: one object a line, of all of them that are still there.
    pub(crate) fn log(&self, service: &str) -> Vec<Value> {
        let text = self.compose(&["logs", "--no-color", service]);
        // What is no JSON was not written by our programs: the tool's own headings.
        text.lines()
            .filter_map(|line| line.split_once(" | "))
            .filter_map(|(_, line)| serde_json::from_str(line).ok())
            .collect()
    }

    /// Returns once a service's containers have said one of these at least so often; answers how often.
    pub(crate) async fn until_logged(&self, service: &str, messages: &[&str], least: usize) -> usize {
        let mut said = 0;
        let reached = async || {
            let log = self.log(service);
            said =
                log.iter().filter(|line| messages.iter().any(|message| line["message"] == *message)).count();
            said >= least
        };
        wait(&format!("{service} says {messages:?}"), reached).await;
        said
    }

    /// No service of ours logged an error but those that begin with one of these words.
    #[track_caller]
    pub(crate) fn assert_no_errors_but(&self, expected: &[&str]) {
        for service in ["worker", "das", "control"] {
            for line in self.log(service) {
                let message = line["message"].as_str().unwrap_or_default();
                let unexpected =
                    line["level"] == "ERROR" && !expected.iter().any(|words| message.starts_with(words));
                assert!(!unexpected, "{service}: {line}");
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
        let _ = self.command(&["down", "--volumes", "--timeout", "1"]).output();
    }
}

/// A running `recover`; it ends with the test.
pub(crate) struct Recovery(Option<Child>);

impl Recovery {
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

/// The engine's own Compose where there is one, else the older program of that name; `COMPOSE` chooses.
fn tool() -> &'static [String] {
    static TOOL: LazyLock<Vec<String>> = LazyLock::new(|| {
        let asked = std::env::var("COMPOSE").ok().filter(|words| !words.is_empty());
        let words = asked.unwrap_or_else(|| {
            let own = succeeds(&["compose", "version"]);
            if own { "docker compose" } else { "docker-compose" }.to_owned()
        });
        words.split_whitespace().map(str::to_owned).collect()
    });
    &TOOL
}

fn succeeds(arguments: &[&str]) -> bool {
    Command::new("docker").args(arguments).output().is_ok_and(|output| output.status.success())
}

pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output().unwrap();
    printed(&format!("docker {}", arguments.join(" ")), &output).trim().to_owned()
}

pub(crate) fn inspect(container: &str, format: &str) -> String {
    docker(&["inspect", "--format", format, container])
}

/// Ends a container's process as a crash of it would.
pub(crate) fn kill(container: &str) {
    let id = inspect(container, "{{.State.Pid}}").parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
}

#[track_caller]
fn printed(command: &str, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {}\n{said}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

async fn wait(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !reached().await {
            tokio::time::sleep(ASK_EVERY).await;
        }
    };
    assert!(tokio::time::timeout(GIVE_UP, waiting).await.is_ok(), "never came about: {what}");
}

/// Whether an engine answers here and the image is there; otherwise says so.
pub(crate) fn can_run() -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docker-compose.yml").exists()
        && succeeds(&["info"])
        && succeeds(&["image", "inspect", "recapture"])
}
