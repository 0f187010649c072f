//! What the documents tell people to type is typed: every fenced block of shell in README.md and docs/ is run against the
//! simulator, document by document and block by block, or says in its first line why it is not (` ```sh no-run: why `).
//! What stands in the running text is read by the program's own grammar.
//!
//! A document is run in a folder of its own, with a configuration, with a run that was made before, and with what stands
//! for other things (`RUN`, `UUID…`, dates, addresses) filled in: [`scene`].
//! A block of JSON behind a block of shell is the answer to it, and is compared with what is answered.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blocks;
#[allow(dead_code, unused_imports, reason = "the tests of the whole system use all of it")]
#[path = "../system/harness.rs"]
mod harness;
mod scene;

use std::collections::BTreeSet;
use std::path::Path;

use blocks::{blocks, documents, inline};
use scene::Scene;

/// Documents whose blocks are run below.
const RUN: [&str; 6] =
    ["README.md", "docs/api.md", "docs/csv.md", "docs/das.md", "docs/evidence.md", "docs/operating.md"];

#[test]
fn every_block_is_run_or_says_why_not() {
    let mut to_run = BTreeSet::new();
    for document in documents() {
        for block in blocks(&document) {
            let place = format!("{document}:{}", block.line);
            match block.info.split_once(' ').unwrap_or((&block.info, "")) {
                ("sh", "") => _ = to_run.insert(document.clone()),
                ("sh", more) => {
                    let why = more.strip_prefix("no-run: ").unwrap_or_else(|| panic!("{place}: '{more}'"));
                    assert!(why.split(' ').count() > 2, "{place}: '{why}' is no reason");
                }
                ("bash" | "shell" | "console", _) => panic!("{place}: commands stand in blocks of sh"),
                _ => {}
            }
        }
    }
    assert_eq!(to_run, RUN.map(str::to_owned).into(), "each of them has a test below");
}

/// A wrong command or flag in the running text, such as `recapture retry RUN --all`.
#[test]
fn commands_in_the_running_text_are_commands() {
    let mut found = 0;
    for document in documents() {
        for (line, command) in inline(&document) {
            let words = scene::example(&command);
            let asked = std::process::Command::new(env!("CARGO_BIN_EXE_recapture"))
                .args(words.split_whitespace().skip(1))
                .arg("--help")
                .env_clear()
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&asked.stderr);
            assert!(asked.status.success(), "{document}:{line}: `{command}`, tried as `{words}`: {said}");
            found += 1;
        }
    }
    assert!(found > 40, "{found} commands");
}

async fn run(document: &str) {
    let mut scene = Scene::start().await;
    let blocks = blocks(document);
    for (at, block) in blocks.iter().enumerate().filter(|(_, block)| block.info == "sh") {
        // A block of JSON that comes next is what is answered.
        let answer = blocks.get(at + 1).filter(|next| next.info == "json");
        scene.run(document, block, answer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_can_be_typed() {
    run("README.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operating_guide_can_be_typed() {
    run("docs/operating.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_csv_files_can_be_typed() {
    run("docs/csv.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_evidence_can_be_typed() {
    run("docs/evidence.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_the_api_can_be_typed() {
    run("docs/api.md").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_data_access_services_can_be_typed() {
    run("docs/das.md").await;
}

/// The folder of the repository.
fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
