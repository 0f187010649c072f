//! Getting to the server that takes writes: the one that was named, the master that Sentinel names, or the node of a
//! cluster that has our slot. All keys are in one slot, so of a cluster a single node is talked to: the one that the
//! others redirect to.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, ProtocolVersion};
use redis::{RedisConnectionInfo, RedisError, cmd};

use super::fault::timed_out;
use super::link::PATIENCE_FOR_ONE;
use crate::config::{Node, RedisAddress};

/// An address, and how to get to the server behind it.
#[derive(Debug, Clone)]
pub struct Target(RedisAddress);

impl Target {
    pub fn new(address: RedisAddress) -> Self {
        Self(address)
    }

    /// The servers, as people see them.
    pub fn place(&self) -> String {
        self.0.place()
    }

    /// Connects to the server that takes writes. `known` is where a cluster redirected to.
    pub async fn connect(
        &self,
        known: Option<Node>,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        let mut failed = None;
        let candidates = match &self.0.service {
            Some(service) => vec![self.ask_sentinels(service).await?],
            None => known.into_iter().chain(self.0.nodes.iter().cloned()).collect(),
        };
        for node in &candidates {
            match self.open(node, self.server(), config).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| timed_out("there is no server to connect to")))
    }

    /// The master that the first sentinel to answer names.
    async fn ask_sentinels(&self, service: &str) -> Result<Node, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE_FOR_ONE))
            .set_response_timeout(Some(PATIENCE_FOR_ONE));
        let mut failed = None;
        for node in &self.0.nodes {
            // A sentinel has users of its own; those of the server are not shown to it.
            let ask = async {
                let mut sentinel = self.open(node, RedisConnectionInfo::default(), &config).await?;
                let mut question = cmd("SENTINEL");
                question.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
                question.query_async::<Option<Node>>(&mut sentinel).await
            };
            match ask.await {
                Ok(Some(master)) => return Ok(master),
                Ok(None) => {
                    let unknown = "the sentinels do not know the service";
                    failed = Some((ErrorKind::MasterNameNotFoundBySentinel, unknown).into());
                }
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| timed_out("there is no sentinel to ask")))
    }

    async fn open(
        &self,
        (host, port): &Node,
        settings: RedisConnectionInfo,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, RedisError> {
        let address = if self.0.tls {
            ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host.clone(), *port)
        };
        let info = address.into_connection_info()?.set_redis_settings(settings);
        Client::open(info)?.get_multiplexed_async_connection_with_config(config).await
    }

    fn server(&self) -> RedisConnectionInfo {
        let mut settings =
            RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(self.0.database);
        if let Some(user) = &self.0.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.0.password {
            settings = settings.set_password(password.expose());
        }
        settings
    }
}
