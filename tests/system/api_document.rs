//! The API is what its document says: Schemathesis reads it and tries.

use std::path::Path;

use tokio::process::Command;

use crate::harness::{Bench, plain, text};
use crate::serving::Service;

const TOKEN: &str = "0perat0r";
const VIEWER: &str = "v1ewer";

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_off_the_document() {
    let mut bench = Bench::start(plain(2)).await;
    bench.set("server.requests_per_second", "100000").set("zoom.processing_poll", &text("1h"));
    let open = Service::start(&mut bench).await;
    schemathesis(&open, None, "8", &[]).await;
    open.stopped().await;
    bench.set("server.token", &text(TOKEN)).set("server.viewer_token", &text(VIEWER));
    let guarded = Service::start(&mut bench).await;
    // What is in order is refused all the same to who may not have it.
    let refused = ["--exclude-checks", "positive_data_acceptance"];
    tokio::join!(
        schemathesis(&guarded, Some(TOKEN), "25", &[]),
        schemathesis(&guarded, Some(VIEWER), "8", &refused),
        schemathesis(&guarded, None, "4", &refused),
    );
    let runs = recapture_core::http::client().unwrap().get(format!("{}/v1/recoveries?limit=1", guarded.url));
    assert_eq!(runs.send().await.unwrap().status(), 401);
    guarded.stopped().await;
}

async fn schemathesis(service: &Service, token: Option<&str>, examples: &str, more: &[&str]) {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/das/schemathesis"));
    command
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis"))
        .args([
            "run",
            &format!("{}/openapi.json", service.url),
            "--continue-on-failure",
            "--seed",
            "20261001",
        ])
        // A stream has no end: tests/system/api.rs listens to it.
        .args(["--checks", "all", "--exclude-path", "/v1/events", "--max-examples", examples])
        .args(more)
        .kill_on_drop(true);
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    let run = command.output().await.expect("this test needs bash");
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success() && told.contains("11/12"),
        "{told}{}\nIf there is no Schemathesis: this test needs Python 3 with venv (run tests/install-tools) and PyPI.",
        String::from_utf8_lossy(&run.stderr)
    );
}
