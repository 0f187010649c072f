//! The pool's halt: something that no meeting would fare better with (refused credentials, a buffer that cannot be
//! written, a contact database that is away). The meeting at hand goes back unharmed, and no other is begun.

use std::sync::{Arc, OnceLock};

use recapture_core::reason::Cause;
use tokio_util::sync::CancellationToken;
use tracing::error;

#[derive(Clone)]
pub struct Halt {
    cause: Arc<OnceLock<Cause>>,
    stop: CancellationToken,
}

impl Halt {
    /// `stop` is cancelled when the pool has to halt.
    pub fn new(stop: CancellationToken) -> Self {
        Self { cause: Arc::default(), stop }
    }

    /// The first cause counts, and is said once.
    pub fn raise(&self, cause: Cause) {
        if self.cause.set(cause).is_ok() {
            if let Some(cause) = self.cause.get() {
                error!(%cause, "the pool halts: no meeting would fare better now");
            }
            self.stop.cancel();
        }
    }

    pub fn cause(&self) -> Option<&Cause> {
        self.cause.get()
    }
}
