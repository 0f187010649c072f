//! A TCP proxy before Redis that behaves as networks do: it cuts, delays, closes one half, and swallows.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to everything that passes, and to whoever connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Weather {
    #[default]
    Fair,
    /// What is open is closed, and whoever connects is closed at once.
    Cut,
    /// Each piece waits so long before it goes on, in each direction.
    Slow(Duration),
    /// Connections stand, and nothing goes through: what arrives meanwhile goes on when it is over.
    Stuck,
    /// The server's half of what is open is closed; the client's stays, and its requests go on to the server.
    HalfClosedToClient,
    /// The client's half of what is open is closed: the server sees its end.
    HalfClosedToServer,
}

pub(crate) struct Proxy {
    port: u16,
    weather: Arc<watch::Sender<Weather>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let weather = Arc::new(watch::Sender::new(Weather::Fair));
        let seen = Arc::clone(&weather);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, upstream, seen.subscribe()));
            }
        });
        Self { port, weather, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(client: TcpStream, upstream: u16, weather: watch::Receiver<Weather>) {
    if *weather.borrow() == Weather::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)).await else { return };
    // Small requests and answers wait for nobody.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = weather.clone();
    tokio::select! {
        // A connection ends when both of its halves have.
        _ = async {
            tokio::join!(
                half(from_client, to_server, weather.clone(), Weather::HalfClosedToServer),
                half(from_server, to_client, weather.clone(), Weather::HalfClosedToClient),
            )
        } => {}
        _ = cut.wait_for(|weather| *weather == Weather::Cut) => {}
    }
}

/// One direction, until its source ends, its target is gone, or the weather closes it.
async fn half(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    closes: Weather,
) {
    let mut bytes = vec![0; 65_536];
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read,
            _ = weather.wait_for(|weather| *weather == closes) => break,
        };
        let Ok(read @ 1..) = read else { break };
        let now = *weather.borrow_and_update();
        match now {
            Weather::Slow(delay) => tokio::time::sleep(delay).await,
            Weather::Stuck => {
                let _ = weather.wait_for(|weather| *weather != Weather::Stuck).await;
            }
            _ => {}
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
