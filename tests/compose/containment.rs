//! What each container may do and reach, and that each ends when it is told to.

use std::collections::BTreeSet;

use crate::composition::Composition;
use crate::engine::{can, docker, inspect, needs_an_engine};

#[tokio::test(flavor = "multi_thread")]
async fn each_service_is_confined_to_what_it_needs_and_stops_when_told_to() {
    needs_an_engine();
    let composition = Composition::up("confined", 1, 1).await;
    for service in ["worker", "control", "das", "simulator"] {
        let container = &one(&composition, service);
        assert_unprivileged(service, container);
        assert!(!can(container, &["touch", "/etc/x"]), "{service} writes into its root file system");
        assert!(can(container, &["touch", "/tmp/x"]), "{service} has no room for temporary files");
    }
    let redis = &one(&composition, "redis");
    assert_unprivileged("redis", redis);
    assert_networks(&composition);
    assert_secrets(&composition);
    // The image's own health check, which knows by itself whom to ask.
    assert!(can(&one(&composition, "das"), &["recapture", "healthcheck"]));
    assert!(!can(&one(&composition, "das"), &["recapture", "healthcheck", "worker"]));

    let services = ["worker", "control", "das", "simulator", "redis", "postgres"];
    let containers = services.map(|service| (service, one(&composition, service)));
    for (service, container) in &containers {
        let grace: u64 = inspect(container, "{{.Config.StopTimeout}}").parse().unwrap_or(10);
        assert!(grace >= 30 || *service == "simulator", "{service} is killed after {grace} s");
    }
    composition.compose(&["stop"]);
    for (service, container) in &containers {
        // 137 is what is left of a process that had to be killed.
        assert_eq!(inspect(container, "{{.State.ExitCode}} {{.State.OOMKilled}}"), "0 false", "{service}");
    }
}

fn one(composition: &Composition, service: &str) -> String {
    composition.containers(service).swap_remove(0)
}

/// As the kernel has it: not root, no capability, and no way to more of either.
fn assert_unprivileged(service: &str, container: &str) {
    let status = docker(&["exec", container, "cat", "/proc/1/status"]);
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim_start_matches(':').split_whitespace().next().unwrap_or_default().to_owned()
    };
    assert!(of("Uid").parse::<u32>().unwrap() > 0, "{service} is root");
    assert_eq!((of("CapEff"), of("CapBnd")), ("0".repeat(16), "0".repeat(16)), "{service}");
    assert_eq!(of("NoNewPrivs"), "1", "{service}");
    assert_eq!(inspect(container, "{{.HostConfig.ReadonlyRootfs}}"), "true", "{service}");
}

/// Redis and PostgreSQL have no way out, no port outside, and no name for those who have no business with them.
fn assert_networks(composition: &Composition) {
    for (service, network) in [("redis", "queue"), ("postgres", "database")] {
        let container = &one(composition, service);
        let joined = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
        assert!(
            inspect(container, joined).ends_with(&format!("_{network}")),
            "{service} is in other networks"
        );
        assert_eq!(inspect(container, "{{len .HostConfig.PortBindings}}"), "0", "{service} is published");
        let inside = inspect(&composition.network(network), "{{.Internal}}");
        assert_eq!(inside, "true", "{service} has a way out");
    }
    let knows = |service: &str, other: &str| can(&one(composition, service), &["getent", "hosts", other]);
    assert!(knows("worker", "redis") && knows("control", "redis") && knows("das", "postgres"));
    for (service, other) in
        [("simulator", "redis"), ("simulator", "postgres"), ("das", "redis"), ("worker", "postgres")]
    {
        assert!(!knows(service, other), "{service} reaches {other}");
    }
}

/// Each has the passwords that it needs, and no other.
fn assert_secrets(composition: &Composition) {
    for (service, needed) in [
        ("worker", ["das", "redis"].as_slice()),
        ("control", &["das", "redis", "server"]),
        ("das", &["das", "postgres"]),
        ("redis", &["redis"]),
        ("postgres", &["postgres"]),
        ("simulator", &[]),
    ] {
        let shell = "cd /run/recapture/secrets 2>/dev/null && ls -d */* 2>/dev/null | cut -d/ -f1; true";
        let found = docker(&["exec", &one(composition, service), "sh", "-c", shell]);
        let found: BTreeSet<_> = found.lines().collect();
        assert_eq!(found, needed.iter().copied().collect(), "{service}");
    }
}
