//! What people deploy with says what the programs read: the composition's variables, the example files, and the
//! Kubernetes example, which has to fit Kubernetes' published schemas.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use recapture_core::config::{Config, Sources};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

#[test]
fn the_kubernetes_example_fits_the_published_schemas() {
    let output = Command::new(path("tests/deploy/kubernetes-validate"))
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("kubernetes-validate"))
        .arg("--strict")
        .args(["config", "worker", "control"].map(|name| path("deploy/k8s").join(format!("{name}.yaml"))))
        .output()
        .expect("this test needs bash");
    let told =
        [output.stdout, output.stderr].map(|told| String::from_utf8_lossy(&told).into_owned()).concat();
    assert!(
        output.status.success() && told.matches(" passed for resource ").count() == 7,
        "{told}\nThis test needs Python 3 with venv (run tests/install-tools) and PyPI."
    );
}

/// KEDA's schema is not among the published ones; what the file has to name is known all the same.
#[test]
fn the_scaled_object_names_the_deployment_and_a_metric_that_there_is() {
    let scaling = text("deploy/k8s/scaling.yaml");
    for line in ["kind: ScaledObject", "  scaleTargetRef: {name: recapture-worker}", "    - type: prometheus"]
    {
        assert!(scaling.lines().any(|found| found == line), "{line}");
    }
    assert!(
        text("deploy/k8s/worker.yaml").contains("kind: Deployment\nmetadata:\n  name: recapture-worker\n")
    );
    assert!(scaling.contains("recapture_queue_jobs{state=\"ready\"}"));
    assert!(text("core/src/metrics.rs").contains("\"recapture_queue_jobs\""));
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
