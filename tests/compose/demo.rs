//! The command that the README gives, as it stands there and with nothing over it.

use std::process::Stdio;

use serde_json::Value;

use crate::composition::{Composition, Recovery};
use crate::engine::{docker, inspect, needs_an_engine, said_by, wait};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_recovers_everything_as_the_readme_says() {
    needs_an_engine();
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    assert!(readme.contains("docker compose --profile demo up --scale worker=4"));
    let composition = Composition::as_published("demo");
    let mut command = composition.command(&["up", "--scale", "worker=4"]);
    let mut up = Recovery::of(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    wait("the demo's container", async || composition.compose(&["ps", "-a", "-q", "demo"]).trim() != "")
        .await;
    let demo = composition.compose(&["ps", "-a", "-q", "demo"]).trim().to_owned();
    wait("its start", async || inspect(&demo, "{{.State.Status}}") != "created").await;
    assert_eq!(docker(&["wait", &demo]), "0", "{}", said_by(&demo));
    let figures = said_by(&demo);
    eprintln!("{figures}");

    composition.until_healthy("worker", 4).await;
    let run = last_run(&composition);
    let truth = truth(&composition.containers("simulator")[0]);
    // The platform of the composition begins with nothing.
    assert_eq!(truth.len(), 500);
    for count in ["listed", "missing", "detected", "recovered"] {
        assert_eq!(run["counts"][count], truth.len(), "{count}: {run}");
    }
    assert_eq!((&run["reconciled"], &run["state"]), (&Value::from(true), &Value::from("completed")));
    let recovered = run["counts"]["recovered"].to_string();
    assert!(figures.contains(&recovered), "the figures are printed");
    composition.assert_no_errors_but(&[]);

    // Ctrl-C, as somebody at the terminal does: all of them end by themselves.
    let services = ["worker", "control", "das", "redis", "postgres", "simulator"];
    let containers: Vec<_> = services.iter().flat_map(|service| composition.containers(service)).collect();
    up.interrupt();
    for container in containers {
        docker(&["wait", &container]);
        assert_eq!(inspect(&container, "{{.State.ExitCode}}"), "0", "{}", inspect(&container, "{{.Name}}"));
    }
}

fn last_run(composition: &Composition) -> Value {
    let status: Value = serde_json::from_str(&composition.recapture(&["status", "--json"])).unwrap();
    status["runs"][0].clone()
}

/// What there was to find, from within: the simulator is published nowhere.
fn truth(simulator: &str) -> Vec<Value> {
    let ask =
        "exec 3<>/dev/tcp/127.0.0.1/9010 && printf 'GET /_sim/truth HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3";
    let answer = docker(&["exec", simulator, "bash", "-c", ask]);
    answer
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
