//! What people deploy with says what the programs read: the composition's variables, the example files, and the
//! Kubernetes example, which has to fit Kubernetes' published schemas.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use recapture_core::config::{Config, Sources};
use serde_json::Value;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

/// A program of the environment that has what reads YAML.
fn in_venv(program: &str) -> Command {
    let mut command = Command::new(path("tests/deploy/in-venv"));
    command.arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("deploy-venv")).arg(program);
    command
}

const NEEDS: &str = "This test needs bash, Python 3 with venv (run tests/install-tools) and PyPI.";

/// The documents of a YAML file, by a parser of YAML.
fn documents(file: &str) -> Vec<Value> {
    let code = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let output = in_venv("python").args(["-c", code]).arg(path(file)).output().expect(NEEDS);
    assert!(output.status.success(), "{file}: {}\n{NEEDS}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_kubernetes_example_fits_the_published_schemas() {
    let output = in_venv("kubernetes-validate")
        .arg("--strict")
        .args(["config", "worker", "control"].map(|name| path("deploy/k8s").join(format!("{name}.yaml"))))
        .output()
        .expect(NEEDS);
    let told =
        [output.stdout, output.stderr].map(|told| String::from_utf8_lossy(&told).into_owned()).concat();
    assert!(output.status.success() && told.matches(" passed for resource ").count() == 7, "{told}\n{NEEDS}");
}

/// KEDA's schema is not among the published ones; what the file has to say is known all the same.
#[test]
fn the_scaled_object_scales_the_deployment_by_a_metric_that_there_is() {
    let scaling = documents("deploy/k8s/scaling.yaml");
    let [object] = scaling.as_slice() else { panic!("one document, not {}", scaling.len()) };
    let spec = &object["spec"];
    assert_eq!(
        (&object["apiVersion"], &object["kind"]),
        (&"keda.sh/v1alpha1".into(), &"ScaledObject".into())
    );
    let deployment = &documents("deploy/k8s/worker.yaml")[0];
    assert_eq!(deployment["kind"], "Deployment");
    assert_eq!(spec["scaleTargetRef"]["name"], deployment["metadata"]["name"]);
    // KEDA and the file would take it in turns to set them.
    assert_eq!(deployment["spec"]["replicas"], Value::Null);
    let replicas = |key: &str| spec[key].as_u64().unwrap();
    assert!(replicas("minReplicaCount") < replicas("maxReplicaCount"));
    // It counts down to no replica at all alone, which this file never does.
    assert!(replicas("minReplicaCount") > 0 && spec["cooldownPeriod"].is_null());
    let behavior = &spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"];
    assert!(behavior["scaleDown"]["stabilizationWindowSeconds"].as_u64().unwrap() <= 3600);
    let trigger = &spec["triggers"][0];
    assert_eq!(trigger["type"], "prometheus");
    // KEDA takes texts alone.
    assert!(trigger["metadata"]["threshold"].as_str().unwrap().parse::<u32>().unwrap() > 0);
    let query = trigger["metadata"]["query"].as_str().unwrap();
    assert!(query.contains("recapture_queue_jobs{state=\"ready\"}"), "{query}");
    assert!(text("core/src/metrics.rs").contains("\"recapture_queue_jobs\""));
}

fn drain() -> u64 {
    let sources = Sources { file: None, env: Vec::new(), flags: Vec::new() };
    Config::load(&sources).unwrap().config.worker.drain.as_secs()
}

#[test]
fn a_process_gets_longer_to_stop_than_it_takes_to_drain() {
    let composition = &documents("docker-compose.yml")[0]["services"];
    for service in ["worker", "control", "producer", "demo"] {
        let grace = composition[service]["stop_grace_period"].as_str().unwrap().strip_suffix('s').unwrap();
        assert!(grace.parse::<u64>().unwrap() >= drain() + 10, "{service}");
    }
    for file in ["deploy/k8s/worker.yaml", "deploy/k8s/control.yaml"] {
        let grace = &documents(file)[0]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
        assert!(grace.as_u64().unwrap() >= drain() + 10, "{file}");
    }
}

/// Compose makes the image of each service that says how; the same one six times at once is one time too often.
#[test]
fn the_image_is_built_once_before_anything_runs_from_it() {
    let services = &documents("docker-compose.yml")[0]["services"];
    let services = services.as_object().unwrap();
    let ours = |service: &Value| service["image"].as_str().unwrap().contains("recapture");
    let builds: Vec<_> = services.iter().filter(|(_, service)| !service["build"].is_null()).collect();
    let [(first, build)] = builds.as_slice() else { panic!("{builds:?}") };
    let target = build["build"]["target"].as_str().unwrap();
    assert!(text("Dockerfile").lines().any(|line| line == format!("FROM runtime AS {target}")));
    let waits_for_it = |name: &str| {
        let mut open = vec![name.to_owned()];
        while let Some(name) = open.pop() {
            if name == **first {
                return true;
            }
            open.extend(
                services[&name]["depends_on"].as_object().into_iter().flat_map(|on| on.keys().cloned()),
            );
        }
        false
    };
    for (name, service) in services {
        let image = service["image"].as_str().unwrap();
        assert!(!ours(service) || waits_for_it(name), "{name} may start before its image is built");
        let pinned = image.rsplit_once(':').is_some_and(|(_, tag)| tag != "latest");
        assert!(ours(service) || pinned, "{name}: {image} is whatever it is today");
    }
}

/// Nothing but what is between the services goes in the clear.
#[test]
fn the_composition_speaks_to_zoom_over_https() {
    let composition = text("docker-compose.yml");
    assert!(!composition.contains("ALLOW_HTTP"));
    let hosts =
        composition.lines().filter_map(|line| line.trim().strip_prefix("RECAPTURE_SECURITY__HTTP_HOSTS: "));
    let hosts: Vec<_> = hosts.flat_map(|hosts| hosts.split(',')).collect();
    let services = &documents("docker-compose.yml")[0]["services"];
    for host in &hosts {
        assert!(!services[host.rsplit('.').next().unwrap()].is_null(), "{host} is no service");
    }
    assert!(hosts.contains(&"das") && hosts.contains(&"postgres"));
    let example = text("deploy/compose/example.env");
    assert!(example.contains("ZOOM_API_URL=https://") && example.contains("ZOOM_OAUTH_URL=https://"));
}

/// Secrets of the example stand in files that are not there; here they are.
#[test]
fn the_kubernetes_settings_are_settings() {
    let folder = tempfile::tempdir().unwrap();
    let config = text("deploy/k8s/config.yaml");
    let secrets = folder.path().to_str().unwrap();
    let toml: Vec<_> = config
        .split_once("  recapture.toml: |\n")
        .unwrap()
        .1
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(|line| line.trim_start().replace("/run/secrets/recapture", secrets))
        .collect();
    let toml = toml.join("\n");
    for line in toml.lines().filter(|line| line.contains("_file = ")) {
        std::fs::write(line.split('"').nth(1).unwrap(), "a-secret-of-this-test").unwrap();
    }
    let file = folder.path().join("recapture.toml");
    std::fs::write(&file, toml).unwrap();
    let loaded = Config::load(&Sources { file: Some(file), env: Vec::new(), flags: Vec::new() });
    assert!(loaded.is_ok(), "{}", loaded.unwrap_err());
}

#[test]
fn the_compositions_variables_are_settings() {
    let keys: Vec<_> = Config::load(&Sources { file: None, env: Vec::new(), flags: Vec::new() })
        .unwrap()
        .describe()
        .into_iter()
        .map(|row| row.key)
        .collect();
    let mut seen = 0;
    for file in ["docker-compose.yml", "tests/compose/compose.test.yml"] {
        for line in text(file).lines() {
            let Some((name, _)) =
                line.trim().strip_prefix("RECAPTURE_").and_then(|line| line.split_once(": "))
            else {
                continue;
            };
            let key = name.to_lowercase().replace("__", ".");
            let plain = key.strip_suffix("_file").unwrap_or(&key);
            assert!(keys.iter().any(|known| known == plain), "{file}: {name} is no setting");
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} variables were found");
}
