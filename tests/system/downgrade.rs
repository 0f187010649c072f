//! A download that began over https stays there: a redirect to plain http is refused, wherever it leads.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use recapture_simulator::{Downloads, Scenario};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::certificates;
use crate::harness::{Bench, Process, plain, text};

/// Sends whoever asks over TLS to the same host over plain http.
struct Downgrader {
    port: u16,
    asked: Arc<AtomicUsize>,
    asked_plainly: Arc<AtomicUsize>,
}

impl Downgrader {
    fn start(folder: &Path) -> Self {
        recapture_core::http::install_tls();
        let chain = CertificateDer::pem_file_iter(folder.join("server.crt")).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(chain.map(Result::unwrap).collect(), key).unwrap());
        let [tls, plain] = [0; 2].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let to = format!("http://127.0.0.1:{}/film", plain.local_addr().unwrap().port());
        let (asked, asked_plainly) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let this = Self {
            port: tls.local_addr().unwrap().port(),
            asked: asked.clone(),
            asked_plainly: asked_plainly.clone(),
        };
        std::thread::spawn(move || {
            for stream in tls.incoming().map(Result::unwrap) {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let (asked, to) = (Arc::clone(&asked), to.clone());
                std::thread::spawn(move || redirect(StreamOwned::new(connection, stream), &to, &asked));
            }
        });
        std::thread::spawn(move || {
            for _ in plain.incoming() {
                asked_plainly.fetch_add(1, Ordering::SeqCst);
            }
        });
        this
    }
}

fn redirect(stream: StreamOwned<ServerConnection, TcpStream>, to: &str, asked: &AtomicUsize) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|got| got > 0) {
        if line == "\r\n" {
            asked.fetch_add(1, Ordering::SeqCst);
            let answer =
                format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
            // A client that hangs up has heard enough.
            let _ = stream.get_mut().write_all(answer.as_bytes());
        }
        line.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_from_https_to_plain_http_is_refused_even_to_a_listed_host() {
    let folder = tempfile::tempdir().unwrap();
    let authority = certificates(folder.path()).await;
    let server = Downgrader::start(folder.path());
    let origin = Some(format!("https://127.0.0.1:{}", server.port));
    let downloads = Downloads { origin, ..Downloads::default() };
    let mut bench = Bench::start(Scenario { downloads, ..plain(2) }).await;
    bench.set("zoom.download_hosts", &format!("[{}]", text("127.0.0.1")));
    let mut command = bench.command(&bench.recovery(&[]));
    command.env("SSL_CERT_FILE", authority);

    let ended = Process::spawn(command).end().await.exits(3);

    assert_eq!((ended.counts()["failed"], ended.counts()["recovered"]), (2, 0));
    let files = bench.wanted().iter().map(|wanted| wanted.files.len()).sum::<usize>();
    assert_eq!(server.asked.load(Ordering::SeqCst), files, "each file is asked for once");
    assert_eq!(server.asked_plainly.load(Ordering::SeqCst), 0, "nothing is asked for in the open");
    ended.tells(&["foreign_host", "the redirect falls back to plain http"]);
    assert!(bench.parts().is_empty());
}
