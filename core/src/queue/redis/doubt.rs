//! Calls that were sent and not answered: whether they were done is not known here.
//!
//! Each has a token: its number in a series of calls of which one is under way at a time. The same call made again
//! presents it, and the server, which keeps the last answer of each series for some minutes, tells what the first
//! attempt was told, or does it now. So there are as many series as calls are under way or in doubt at once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is not asked again by then is not asked at all.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// A series and the number of its call under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) series: String,
    pub(super) number: u64,
}

impl Token {
    /// Before the first call of a new series.
    fn first() -> Self {
        Self { series: format!("{:016x}", fastrand::u64(..)), number: 0 }
    }

    fn next(self) -> Self {
        Self { number: self.number + 1, ..self }
    }
}

/// Unanswered calls, by what they are about; and series that have none.
#[derive(Debug, Default)]
pub(super) struct Doubts(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    unanswered: HashMap<String, Unanswered>,
    idle: Vec<Token>,
}

#[derive(Debug)]
struct Unanswered {
    token: Token,
    since: Instant,
}

impl Doubts {
    /// `what` names the call; it is asked for only if there is doubt about any.
    pub(super) fn begin<F: Fn() -> String>(&self, what: F) -> Attempt<'_, F> {
        let mut inner = self.lock();
        let former = if inner.unanswered.is_empty() { None } else { inner.unanswered.remove(&what()) };
        let token = match former {
            Some(former) => former.token,
            None => inner.idle.pop().unwrap_or_else(Token::first).next(),
        };
        Attempt { doubts: self, what, token: Some(token), answered: false }
    }

    /// No panic can leave it half-changed: each change is one call.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One attempt at a call. Dropped without an answer, as a cancelled future does, it leaves a doubt.
#[derive(Debug)]
pub(super) struct Attempt<'a, F: Fn() -> String> {
    doubts: &'a Doubts,
    what: F,
    token: Option<Token>,
    answered: bool,
}

impl<F: Fn() -> String> Attempt<'_, F> {
    pub(super) fn token(&self) -> &Token {
        self.token.as_ref().expect("it is taken when this is dropped")
    }

    pub(super) fn answered(&mut self) {
        self.answered = true;
    }
}

impl<F: Fn() -> String> Drop for Attempt<'_, F> {
    fn drop(&mut self) {
        let Some(token) = self.token.take() else { return };
        let mut inner = self.doubts.lock();
        if self.answered {
            inner.idle.push(token);
            return;
        }
        inner.unanswered.retain(|_, doubt| doubt.since.elapsed() < FORGOTTEN_AFTER);
        inner.unanswered.insert((self.what)(), Unanswered { token, since: Instant::now() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &'static str) -> impl Fn() -> String {
        move || name.to_owned()
    }

    #[test]
    fn a_token_is_kept_until_it_is_answered() {
        let doubts = Doubts::default();
        let first = doubts.begin(named("a")).token().clone();
        let mut second = doubts.begin(named("a"));
        assert_eq!(*second.token(), first);
        let other = doubts.begin(named("b")).token().clone();
        assert_ne!(other.series, first.series, "of a series one call is under way at a time");
        second.answered();
        drop(second);
        assert_ne!(*doubts.begin(named("a")).token(), first);
    }

    #[test]
    fn an_answered_series_goes_on_with_the_next_number() {
        let doubts = Doubts::default();
        let mut first = doubts.begin(named("a"));
        let token = first.token().clone();
        first.answered();
        drop(first);
        let second = doubts.begin(named("a")).token().clone();
        assert_eq!((second.series, second.number), (token.series, token.number + 1));
    }
}
