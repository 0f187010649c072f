//! What Redis does of the least that a queue could ask of it: a script a job that takes it out and forgets it, called by
//! `redis-benchmark`, many in a pipeline. No leases, no books, no deadlines but the order.

use tokio::process::Command;

use crate::Fault;
use crate::server::Server;

const JOBS: usize = 100_000;
const PIPELINE: &str = "32";
const CLIENTS: &str = "4";

const FILL: &str = "for at = ARGV[1], ARGV[1] + 999 do
  redis.call('ZADD', KEYS[1], at, 'qB3dE/+gHiJkL4m' .. string.format('%07d', at) .. '==')
  redis.call('HSET', KEYS[2], 'qB3dE/+gHiJkL4m' .. string.format('%07d', at) .. '==', string.rep('x', 120))
end";

const TAKE: &str = "local job = redis.call('ZPOPMIN', KEYS[1])[1]
local record = redis.call('HGET', KEYS[2], job)
redis.call('HDEL', KEYS[2], job)
return record";

/// Jobs a second.
pub(crate) async fn rate() -> Result<f64, Fault> {
    let mut server = Server::start().await?;
    for first in (0..JOBS).step_by(1000) {
        server.run(FILL, &first.to_string()).await?;
    }
    let script = server.load(TAKE).await?;
    let (port, jobs) = (server.port().to_string(), JOBS.to_string());
    let said = Command::new("redis-benchmark")
        .args(["-p", &port, "-n", &jobs, "-P", PIPELINE, "-c", CLIENTS, "--csv"])
        .args(["EVALSHA", &script, "2", "ready", "jobs"])
        .output()
        .await
        .map_err(|error| format!("redis-benchmark cannot be started; it comes with Redis: {error}"))?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    server.stop().await?;
    // The name of the test, then requests a second, each in quotes.
    let rate = said.lines().last().and_then(|line| line.split("\",\"").nth(1)?.parse().ok());
    rate.ok_or_else(|| format!("redis-benchmark told no rate: {said}").into())
}
