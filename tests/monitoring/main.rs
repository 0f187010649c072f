//! What watches Recapture: the alert rules speak when they have to (Prometheus' own `promtool` says so), each has its
//! runbook, and rules and dashboard ask for metrics that there are.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

const RULES: &str = "config/prometheus/recapture.rules.yml";
const TESTS: &str = "tests/monitoring/rules.test.yml";

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("promtool runs; tests/install-tools installs it");
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "promtool {}:\n{said}", arguments.join(" "));
}

#[test]
fn every_rule_speaks_and_is_quiet_when_it_should() {
    promtool(&["check", "rules", RULES]);
    promtool(&["check", "config", "--syntax-only", "config/prometheus/prometheus.yml"]);
    promtool(&["test", "rules", TESTS]);
}

fn alerts() -> Vec<String> {
    let alerts: Vec<_> = text(RULES)
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .map(str::to_owned)
        .collect();
    assert!(!alerts.is_empty());
    alerts
}

#[test]
fn every_rule_has_a_test_and_a_runbook() {
    let (tests, runbooks) = (text(TESTS), text("docs/monitoring.md"));
    for alert in alerts() {
        let speaks = tests.lines().collect::<Vec<_>>().windows(2).any(|lines| {
            lines[0].trim() == format!("alertname: {alert}") && lines[1].trim() == "exp_alerts:"
        });
        assert!(speaks, "no test in {TESTS} makes {alert} speak");
        assert!(
            runbooks.contains(&format!("\n### {alert}\n")),
            "docs/monitoring.md has no runbook for {alert}"
        );
        let link = format!("runbook: docs/monitoring.md#{}", alert.to_lowercase());
        assert!(text(RULES).contains(&link), "{alert} does not name its runbook");
    }
}

#[test]
fn rules_and_dashboard_ask_for_metrics_that_there_are() {
    let defined = text("core/src/metrics.rs");
    for file in [RULES, "config/grafana/recapture.json"] {
        for metric in metrics_of(&text(file)) {
            let plain = ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end));
            let there = |name: &str| defined.contains(&format!("\"{name}\""));
            assert!(
                there(&metric) || plain.is_some_and(there),
                "{file} asks for {metric}, which nothing counts"
            );
        }
    }
}

/// All words that begin as our metrics do.
fn metrics_of(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let metrics: BTreeSet<_> =
        words.filter(|word| word.starts_with("recapture_")).map(str::to_owned).collect();
    assert!(metrics.len() > 5, "{metrics:?}");
    metrics
}

#[test]
fn the_dashboard_is_json_whose_panels_do_not_overlap() {
    let dashboard: serde_json::Value = serde_json::from_str(&text("config/grafana/recapture.json")).unwrap();
    let mut taken = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        for cell in
            (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)))
        {
            assert!(cell.0 < 24 && taken.insert(cell), "{} lies over another panel", panel["title"]);
        }
    }
}
