//! Stopping: the first Ctrl-C or SIGTERM asks for a drain, the second one ends the process at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What the shell gives a process that a second Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// A token that is cancelled by the first signal. Must be called inside the runtime.
pub fn on_signals() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let stop = token.clone();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.is_cancelled() {
                // Nothing is lost: leases run out, and parts are cleared by the meetings' next tries.
                std::process::exit(INTERRUPTED);
            }
            tracing::warn!("stopping: running work is finished first; a second signal ends at once");
            stop.cancel();
        }
    });
    Ok(token)
}
