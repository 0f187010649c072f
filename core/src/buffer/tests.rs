//! The suite over both stores, and what only one of them can show.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod folder {
    use crate::config;

    fn fresh() -> (config::Buffer, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (folder.path().join("buffer").into(), folder)
    }

    crate::buffer_claims!(fresh);
}

mod objects;
