//! The loops of the service, and what becomes of it when one of them ends.

use std::collections::HashMap;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::ServeError;

type Ended = Result<(), String>;

/// Loops that run until `stop`. One of them, the last, goes on until all others have ended.
pub(super) struct Loops {
    stop: CancellationToken,
    stop_last: CancellationToken,
    tasks: JoinSet<Ended>,
    names: HashMap<Id, &'static str>,
    last: Option<Id>,
}

impl Loops {
    pub(super) fn new(stop: &CancellationToken) -> Self {
        Self {
            stop: stop.child_token(),
            stop_last: CancellationToken::new(),
            tasks: JoinSet::new(),
            names: HashMap::new(),
            last: None,
        }
    }

    /// Cancelled when the loops are told to end.
    pub(super) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a loop; it has to end soon after its token is cancelled, and not before.
    pub(super) fn start<F>(&mut self, name: &'static str, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = Ended> + Send + 'static,
    {
        let task = self.tasks.spawn(run(self.stop.clone()));
        self.names.insert(task.id(), name);
    }

    /// Starts the loop that is told to end when all others have.
    pub(super) fn last<F>(&mut self, name: &'static str, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = Ended> + Send + 'static,
    {
        let task = self.tasks.spawn(run(self.stop_last.clone()));
        self.names.insert(task.id(), name);
        self.last = Some(task.id());
    }

    /// Returns when all loops have ended: after `stop`, or because one ended by itself, which is the error.
    pub(super) async fn run(mut self) -> Result<(), ServeError> {
        let mut failure = None;
        loop {
            if self.only_the_last_is_left() && self.stop.is_cancelled() {
                self.stop_last.cancel();
            }
            let joined = tokio::select! {
                joined = self.tasks.join_next_with_id() => joined,
                () = self.stop.cancelled(), if self.only_the_last_is_left() && !self.stop_last.is_cancelled() => continue,
            };
            let Some(joined) = joined else { break };
            let (id, ended) = told(joined);
            let name = self.names.remove(&id).unwrap_or("a loop");
            let early = !self.stop.is_cancelled();
            let why = match ended {
                Ok(()) if early => Some("it was not told to".to_owned()),
                Ok(()) => None,
                Err(why) => Some(why),
            };
            if let Some(why) = why {
                error!(name, why, "a loop of the service is dead; the service ends");
                failure.get_or_insert(ServeError::Ended { loop_name: name, why });
                self.stop.cancel();
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn only_the_last_is_left(&self) -> bool {
        self.names.len() == 1 && self.last.is_some_and(|last| self.names.contains_key(&last))
    }
}

fn told(joined: Result<(Id, Ended), JoinError>) -> (Id, Ended) {
    match joined {
        Ok(ended) => ended,
        Err(panicked) => (panicked.id(), Err(format!("it panicked: {panicked}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    async fn until(stop: CancellationToken) -> Ended {
        stop.cancelled().await;
        Ok(())
    }

    #[tokio::test]
    async fn all_end_when_told_and_the_last_one_last() {
        let stop = CancellationToken::new();
        let mut loops = Loops::new(&stop);
        let order = Arc::new(AtomicUsize::new(0));
        let (early, late) = (Arc::clone(&order), Arc::clone(&order));
        loops.last("http", |stop| async move {
            stop.cancelled().await;
            assert_eq!(late.fetch_add(1, Ordering::SeqCst), 1);
            Ok(())
        });
        loops.start("work", |stop| async move {
            stop.cancelled().await;
            tokio::task::yield_now().await;
            assert_eq!(early.fetch_add(1, Ordering::SeqCst), 0);
            Ok(())
        });
        stop.cancel();
        loops.run().await.expect("nothing failed");
        assert_eq!(order.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn without_others_the_last_one_serves_until_it_is_told() {
        let stop = CancellationToken::new();
        let mut loops = Loops::new(&stop);
        loops.last("http", until);
        let running = tokio::spawn(loops.run());
        tokio::task::yield_now().await;
        assert!(!running.is_finished());
        stop.cancel();
        running.await.expect("no panic").expect("nothing failed");
    }

    #[tokio::test]
    async fn a_loop_that_dies_takes_the_service_with_it() {
        async fn fails(_: CancellationToken) -> Ended {
            Err("the queue is closed".to_owned())
        }
        async fn ends(_: CancellationToken) -> Ended {
            Ok(())
        }
        async fn panics(_: CancellationToken) -> Ended {
            panic!("on purpose")
        }
        for (what, told) in [("fails", "closed"), ("ends", "not told to"), ("panics", "panicked")] {
            let mut loops = Loops::new(&CancellationToken::new());
            loops.last("http", until);
            loops.start("folder", until);
            match what {
                "fails" => loops.start("automatic", fails),
                "ends" => loops.start("automatic", ends),
                _ => loops.start("automatic", panics),
            }
            let error = loops.run().await.expect_err("a loop has died").to_string();
            assert!(error.contains("automatic") && error.contains(told), "{error}");
        }
    }
}
