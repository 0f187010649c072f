//! Several worker processes on one backlog.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use crate::Fault;
use crate::peer::Peer;
use crate::server::Server;

/// How often it is looked whether they are done.
const LOOK: Duration = Duration::from_millis(5);

/// How many jobs a second are done from the first one to the last, by so many processes of this program.
pub(crate) async fn rate(
    peer: Peer,
    server: &mut Server,
    processes: usize,
    concurrency: usize,
) -> Result<f64, Fault> {
    let whole = peer.left(server).await?;
    let workers: Vec<Child> = (0..processes)
        .map(|_| {
            Command::new(std::env::current_exe()?)
                .args(["work", peer.name(), &server.url(), &concurrency.to_string()])
                .stdin(Stdio::null())
                .kill_on_drop(true)
                .spawn()
        })
        .collect::<Result<_, _>>()?;
    let (mut began, mut first) = (Instant::now(), whole);
    loop {
        let left = peer.left(server).await?;
        if first == whole {
            (began, first) = (Instant::now(), left);
        }
        if left == 0 {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    let took = began.elapsed();
    drop(workers);
    Ok(crate::peer::rate(first, took))
}
