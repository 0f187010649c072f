//! The floors of the building: nothing imports upwards, and ports do not know each other.
//!
//! | floor | modules | stands on |
//! | --- | --- | --- |
//! | ground | [`GROUND`]: pure | itself |
//! | shared | [`SHARED`] | ground |
//! | ports | [`PORTS`], and evidence, which is kept in the buffer | ground, shared |
//! | workers | `recapture-worker` | all of core |
//! | top | `recapture` | all |
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const GROUND: [&str; 11] = [
    "contact",
    "coverage",
    "digest",
    "mac",
    "meeting",
    "period",
    "reason",
    "reconcile",
    "run",
    "secret",
    "signature",
];
const SHARED: [&str; 9] =
    ["bounded", "config", "failpoint", "http", "metrics", "redis", "shutdown", "telemetry", "trace"];
const PORTS: [&str; 4] = ["buffer", "contacts", "queue", "zoom"];

/// What a module of core may use beside itself; `None` for one that stands on no floor yet.
fn allowed(module: &str) -> Option<Vec<&'static str>> {
    let below_ports = || [&GROUND[..], &SHARED[..]].concat();
    match module {
        ground if GROUND.contains(&ground) => Some(GROUND.to_vec()),
        shared_or_port if SHARED.contains(&shared_or_port) || PORTS.contains(&shared_or_port) => {
            Some(below_ports())
        }
        "evidence" => Some([below_ports(), vec!["buffer"]].concat()),
        _ => None,
    }
}

#[test]
fn modules_of_core_use_only_what_they_stand_on() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("core/src");
    let all: BTreeSet<String> = sources(&root).iter().map(|path| module_of(path, &root).0).collect();
    let mut faults = Vec::new();
    for path in sources(&root) {
        let (module, depth) = module_of(&path, &root);
        let Some(allowed) = allowed(&module) else {
            assert_eq!(module, "lib", "{module} stands on no floor; this test has to learn on which");
            continue;
        };
        for used in modules_used(&code(&path), depth) {
            if used != module && all.contains(&used) && !allowed.contains(&used.as_str()) {
                faults.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn crates_use_only_what_is_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    for (folder, forbidden) in [
        ("core/src", &["recapture::", "recapture_worker", "recapture_simulator"][..]),
        ("workers/src", &["recapture::", "recapture_simulator"]),
        ("simulator/src", &["recapture::", "recapture_worker", "recapture_core"]),
    ] {
        for path in sources(&root.join(folder)) {
            let code = code(&path);
            let used = forbidden.iter().filter(|name| code.contains(*name));
            faults.extend(used.map(|name| format!("{} uses {name}", path.display())));
        }
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn paths_are_read_in_every_form() {
    let code = "use crate::zoom::{Zoom, wire};\nuse crate::{buffer::Buffer, queue::{Queue, Job}, run};\n\
                fn f() { crate::http::client(); super::reason::f(); super::super::x() }";
    let found = modules_used(code, 1);
    assert_eq!(found, ["zoom", "buffer", "queue", "run", "http", "reason", "x"].map(str::to_owned).into());
    assert_eq!(
        modules_used("use super::zoom::A; use super::super::queue::B;", 2),
        ["queue".to_owned()].into()
    );
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The module of core that a file belongs to, and how many `super` lead from the file to the root.
fn module_of(path: &Path, root: &Path) -> (String, usize) {
    let inside = path.strip_prefix(root).unwrap().with_extension("");
    let names: Vec<_> = inside.iter().map(|name| name.to_str().unwrap()).collect();
    (names[0].to_owned(), names.len())
}

/// A file without its comments.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.fold(String::new(), |code, line| code + line + "\n")
}

/// The names at the root of the crate that a file's paths begin with.
fn modules_used(code: &str, depth: usize) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, word) in code.match_indices("crate::").chain(code.match_indices("super::")) {
        let continues = code[..at].ends_with("::") || code[..at].ends_with(is_part_of_a_name);
        if continues {
            continue;
        }
        let mut rest = &code[at..];
        let mut supers = 0;
        while let Some(after) = rest.strip_prefix("super::") {
            (rest, supers) = (after, supers + 1);
        }
        if word == "super::" && supers < depth {
            continue;
        }
        used.extend(first_names(rest.strip_prefix("crate::").unwrap_or(rest)));
    }
    used
}

/// Of `a::b` it is `a`; of `{a::b, c::{d, e}}` they are `a` and `c`.
fn first_names(path: &str) -> Vec<String> {
    let name =
        |text: &str| text.trim_start().chars().take_while(|c| is_part_of_a_name(*c)).collect::<String>();
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let (mut depth, mut names) = (0, vec![name(group)]);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names
}

fn is_part_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
