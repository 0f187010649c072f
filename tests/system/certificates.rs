//! Certificates for servers of the tests, by an authority that nobody else trusts.

use std::path::{Path, PathBuf};

use tokio::process::Command;

async fn openssl(folder: &Path, arguments: &[&str]) {
    let made = Command::new("openssl").args(arguments).current_dir(folder).output().await;
    let made = made.unwrap_or_else(|error| panic!("openssl: {error}; tests/install-tools installs it"));
    assert!(made.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&made.stderr));
}

/// Makes an authority of this test's own and by it `server.crt` and `server.key`, for loopback; gives the authority's
/// certificate.
pub(crate) async fn certificates(folder: &Path) -> PathBuf {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let authority =
        ["req", "-x509", "-days", "2", "-subj", "/CN=an authority of the tests", "-keyout", "ca.key"];
    openssl(folder, &[&authority[..], &key, &["-out", "ca.crt"]].concat()).await;
    let request = ["req", "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr"];
    openssl(folder, &[&request[..], &key].concat()).await;
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").unwrap();
    let signing = ["x509", "-req", "-days", "2", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key"];
    let rest = ["-CAcreateserial", "-extfile", "names", "-out", "server.crt"];
    openssl(folder, &[&signing[..], &rest].concat()).await;
    folder.join("ca.crt")
}
