//! `docs/reasons.md` is the closed list of reasons. `UPDATE_DOCS=1 cargo test -p recapture-core --test reasons` writes
//! it anew.

use std::fmt::Write;
use std::path::Path;

use recapture_core::reason::{Cause, Reason};

#[test]
fn the_documented_list_is_the_one_in_the_code() {
    let mut rows = String::new();
    for (_, word, meaning) in Reason::ALL {
        let _ = writeln!(rows, "| `{word}` | {} |", meaning.trim());
    }
    let table = format!("| reason | meaning |\n| --- | --- |\n{rows}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reasons.md");
    let page = std::fs::read_to_string(&path).expect("docs/reasons.md");
    let (before, rest) = page.split_once("<!-- table -->\n").expect("a table's beginning");
    let (_, after) = rest.split_once("<!-- end of table -->").expect("a table's end");
    let fresh = format!("{before}<!-- table -->\n{table}<!-- end of table -->{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, fresh).expect("docs/reasons.md can be written");
        return;
    }
    assert!(page == fresh, "docs/reasons.md is not the list in reason.rs; write it anew with UPDATE_DOCS=1");
}

#[test]
fn words_and_json_are_the_same() {
    for (reason, word, _) in Reason::ALL {
        let json = serde_json::to_string(&Cause::new(*reason, "x")).expect("serialises");
        assert!(json.contains(&format!("\"{word}\"")), "{json}");
        let back: Cause = serde_json::from_str(&json).expect("reads back");
        assert_eq!(back.reason, *reason);
    }
}
