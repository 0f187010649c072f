//! The one connection of a process to Redis: made when it is needed, and again when it is of no use any more.
//!
//! redis-rs has a connection manager; it does not replace a connection that answers nothing (a timeout is no reason to
//! it) nor one whose log-in was refused once, and knows nothing of masters that change. What a call met decides here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, PushInfo, PushKind, RedisError, ServerErrorKind, Value};
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::fault::{Fault, ends_connection, is_for_another, is_transport, timed_out};
use super::target::Target;
use crate::config::Node;

/// What is published when leases were taken back: whoever holds some asks whether they still stand.
pub const RECALL: &str = "recall";

/// What is published when a lane of Zoom's rate limit was closed.
pub const CLOSING: &str = "closing";

/// How long a server may take to answer.
const PATIENCE_FOR_ANSWERS: Duration = Duration::from_secs(5);
/// How long connecting may take, to all servers together.
const PATIENCE_FOR_CONNECTING: Duration = Duration::from_secs(5);
/// The same for a single one.
pub(super) const PATIENCE_FOR_ONE: Duration = Duration::from_secs(2);
/// How often one call is sent, when each server says that another one is to be asked.
const MOST_ATTEMPTS: usize = 3;

#[derive(Debug)]
pub struct Link {
    place: String,
    tag: String,
    shared: Arc<Shared>,
}

/// What calls, connections and whoever makes one have in common.
#[derive(Debug)]
struct Shared {
    target: Target,
    channel: String,
    current: Mutex<Current>,
    news: watch::Sender<()>,
    recalls: watch::Sender<()>,
    closings: watch::Sender<()>,
    /// The failure of the last attempt. Held by tasks of its own only: a caller that is not polled for a while holds up
    /// nobody.
    connecting: AsyncMutex<Option<RedisError>>,
    failures: AtomicU64,
    closed: CancellationToken,
}

#[derive(Default)]
struct Current {
    connection: Option<MultiplexedConnection>,
    /// Counts connections: a fault of an old one says nothing of its successor.
    generation: u64,
    /// Where a cluster redirected to.
    redirected: Option<Node>,
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "connection {}, open: {}", self.generation, self.connection.is_some())
    }
}

impl Link {
    /// Every key begins with `tag`; `channel` is where news are published.
    pub fn new(target: Target, tag: String, channel: String) -> Self {
        let place = target.place();
        let shared = Shared {
            target,
            channel,
            current: Mutex::default(),
            news: watch::Sender::new(()),
            recalls: watch::Sender::new(()),
            closings: watch::Sender::new(()),
            connecting: AsyncMutex::default(),
            failures: AtomicU64::new(0),
            closed: CancellationToken::new(),
        };
        Self { place, tag, shared: Arc::new(shared) }
    }

    /// The servers, as people see them.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// A key under the tag.
    pub fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.tag)
    }

    /// Changes with everything that is published, and with every connection: what was published before it may not have
    /// been heard.
    pub fn news(&self) -> watch::Receiver<()> {
        self.shared.news.subscribe()
    }

    /// Changes when [`RECALL`] is published, and with every connection.
    pub fn recalls(&self) -> watch::Receiver<()> {
        self.shared.recalls.subscribe()
    }

    /// Changes when [`CLOSING`] is published, and with every connection.
    pub fn closings(&self) -> watch::Receiver<()> {
        self.shared.closings.subscribe()
    }

    /// Where all of this is published.
    pub fn channel(&self) -> &str {
        &self.shared.channel
    }

    pub async fn closed(&self) {
        self.shared.closed.cancelled().await;
    }

    pub async fn close(&self) {
        self.shared.closed.cancel();
        // Whoever is connecting ends first, and leaves nothing open.
        let _connecting = self.shared.connecting.lock().await;
        self.shared.lock().connection = None;
    }

    /// Makes one call on the connection.
    pub async fn send<T, F>(&self, call: impl Fn(MultiplexedConnection) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (connection, generation) = self.connection().await?;
            let error = match call(connection).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if ends_connection(&error) {
                self.shared.drop_connection(generation, redirection(&error));
            }
            if is_transport(&error) {
                return Err(Fault::Unanswered(error));
            }
            if !is_for_another(&error) || attempts == MOST_ATTEMPTS {
                return Err(Fault::Refused(error));
            }
        }
    }

    async fn connection(&self) -> Result<(MultiplexedConnection, u64), Fault> {
        if self.shared.closed.is_cancelled() {
            return Err(Fault::Closed);
        }
        if let Some(current) = self.shared.lock().connected() {
            return Ok(current);
        }
        let failures = self.shared.failures.load(Ordering::SeqCst);
        match tokio::spawn(Arc::clone(&self.shared).reconnect(failures)).await {
            Ok(connected) => connected,
            // The runtime is about to end.
            Err(_) => Err(Fault::Closed),
        }
    }
}

impl Shared {
    /// No panic can leave it half-changed.
    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drop_connection(&self, generation: u64, redirected: Option<Node>) {
        let mut current = self.lock();
        if current.generation == generation {
            current.connection = None;
            current.redirected = redirected;
        }
    }

    /// A connection, unless more attempts than `failures` have failed by now.
    async fn reconnect(self: Arc<Self>, failures: u64) -> Result<(MultiplexedConnection, u64), Fault> {
        let mut last = self.connecting.lock().await;
        if self.closed.is_cancelled() {
            return Err(Fault::Closed);
        }
        if let Some(current) = self.lock().connected() {
            return Ok(current);
        }
        // Of those who wait for a connection one tries; its failure is the failure of all.
        if let Some(error) = last.as_ref().filter(|_| self.failures.load(Ordering::SeqCst) != failures) {
            return Err(Fault::Unsent(error.clone()));
        }
        let attempt = timeout(PATIENCE_FOR_CONNECTING, self.connect()).await;
        let attempt = attempt.unwrap_or_else(|_| Err(timed_out("no server answered in 5 s")));
        match attempt {
            Ok(connected) => Ok(connected),
            Err(error) => {
                self.lock().redirected = None;
                self.failures.fetch_add(1, Ordering::SeqCst);
                *last = Some(error.clone());
                Err(Fault::Unsent(error))
            }
        }
    }

    async fn connect(self: &Arc<Self>) -> Result<(MultiplexedConnection, u64), RedisError> {
        let (generation, redirected) = {
            let mut current = self.lock();
            current.generation += 1;
            (current.generation, current.redirected.clone())
        };
        let shared = Arc::downgrade(self);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE_FOR_ONE))
            .set_response_timeout(Some(PATIENCE_FOR_ANSWERS))
            .set_push_sender(move |push: PushInfo| {
                hear(&shared, generation, &push);
                Ok::<(), redis::aio::SendError>(())
            });
        let mut connection = self.target.connect(redirected, &config).await?;
        connection.subscribe(&self.channel).await?;
        self.lock().connection = Some(connection.clone());
        self.news.send_replace(());
        self.recalls.send_replace(());
        self.closings.send_replace(());
        Ok((connection, generation))
    }
}

impl Current {
    fn connected(&self) -> Option<(MultiplexedConnection, u64)> {
        self.connection.clone().map(|connection| (connection, self.generation))
    }
}

/// What a connection says by itself: something was published, or it is gone.
fn hear(shared: &Weak<Shared>, generation: u64, push: &PushInfo) {
    let Some(shared) = shared.upgrade() else { return };
    match push.kind {
        PushKind::Message if says(push, RECALL) => {
            shared.recalls.send_replace(());
        }
        // No news for those who wait for work.
        PushKind::Message if says(push, CLOSING) => {
            shared.closings.send_replace(());
            return;
        }
        PushKind::Message => {}
        PushKind::Disconnection => shared.drop_connection(generation, None),
        _ => return,
    }
    shared.news.send_replace(());
}

fn says(push: &PushInfo, word: &str) -> bool {
    match push.data.last() {
        Some(Value::BulkString(text)) => text == word.as_bytes(),
        Some(Value::SimpleString(text)) => text == word,
        _ => false,
    }
}

/// Where a cluster says that the keys are.
fn redirection(error: &RedisError) -> Option<Node> {
    if error.kind() != ErrorKind::Server(ServerErrorKind::Moved) {
        return None;
    }
    let (address, _) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
}
