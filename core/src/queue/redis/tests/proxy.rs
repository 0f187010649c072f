//! A TCP proxy before Redis that can lose an answer: the request passes, the reply does not, the connection breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(super) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: u16,
    /// So many answers are lost, each with its connection.
    armed: AtomicU64,
    cuts: watch::Sender<u64>,
}

impl Proxy {
    pub(super) async fn before(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Shared { upstream, armed: AtomicU64::new(0), cuts: watch::Sender::new(0) };
        let shared = Arc::new(shared);
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, Arc::clone(&accepting)));
            }
        });
        Self { port, shared }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The answer to the next request is lost.
    pub(super) fn lose_the_next_answer(&self) {
        self.lose_the_next_answers(1);
    }

    /// Of the first request only what it answers is lost; after it nobody gets to connect so often.
    pub(super) fn lose_the_next_answers(&self, answers: u64) {
        self.shared.armed.store(answers, Ordering::SeqCst);
    }

    /// How many answers were lost.
    pub(super) fn lost(&self) -> u64 {
        *self.shared.cuts.borrow()
    }
}

async fn pass(client: TcpStream, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", shared.upstream)).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async { tokio::io::copy(&mut from_client, &mut to_server).await.map(|_| ()) };
    let replies = async {
        let mut bytes = vec![0; 65_536];
        loop {
            let read = from_server.read(&mut bytes).await?;
            // The server has done what it answers.
            if read == 0 {
                return Ok(());
            }
            if shared.armed.load(Ordering::SeqCst) > 0 {
                shared.armed.fetch_sub(1, Ordering::SeqCst);
                shared.cuts.send_modify(|cuts| *cuts += 1);
                return Ok::<(), std::io::Error>(());
            }
            to_client.write_all(&bytes[..read]).await?;
        }
    };
    // Whichever ends first takes the other with it.
    tokio::select! { _ = requests => {}, _ = replies => {} }
}
