//! The container engine and its Compose, as commands.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

/// How often what cannot tell by itself is asked.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// What has not come about by then never will; the slowest wait takes a tenth of it.
const GIVE_UP: Duration = Duration::from_secs(300);

/// The engine's own Compose where there is one, else the older program of that name; `COMPOSE` chooses.
pub(crate) fn tool() -> &'static [String] {
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

/// Whether an engine answers here and the image is there.
#[track_caller]
pub(crate) fn needs_an_engine() {
    let ready = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker-compose.yml").exists()
        && succeeds(&["info"])
        && succeeds(&["image", "inspect", "recapture"]);
    assert!(ready, "no container engine answers, or the image is not made: run `make containers`");
}

pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output().unwrap();
    printed(&format!("docker {}", arguments.join(" ")), &output).trim().to_owned()
}

/// Whether a command in a container succeeds.
pub(crate) fn can(container: &str, command: &[&str]) -> bool {
    succeeds(&[&["exec", container], command].concat())
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

/// Everything that a container has said on both its ways out; it may be gone already if it was asked to be kept.
pub(crate) fn said_by(container: &str) -> String {
    let output = Command::new("docker").args(["logs", container]).output().unwrap();
    assert!(output.status.success(), "docker logs {container}: {}", output.status);
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}

/// A container's log, kept although the container may be removed.
pub(crate) struct Followed(Child);

impl Followed {
    pub(crate) fn start(container: &str) -> Self {
        let arguments = ["-c", "exec docker logs --follow \"$0\" 2>&1", container];
        Self(Command::new("sh").args(arguments).stdout(Stdio::piped()).spawn().unwrap())
    }

    /// All of it, once the container has stopped.
    pub(crate) fn to_its_end(self) -> String {
        let output = self.0.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn forget(mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
pub(crate) fn printed(command: &str, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {}\n{said}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) async fn wait(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !reached().await {
            tokio::time::sleep(ASK_EVERY).await;
        }
    };
    assert!(tokio::time::timeout(GIVE_UP, waiting).await.is_ok(), "never came about: {what}");
}
