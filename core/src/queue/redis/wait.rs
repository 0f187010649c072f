//! Waiting for work: woken by what is published and by time.

use std::time::Duration;

use super::reply::Fields;
use super::{RedisQueue, scripts};
use crate::queue::clock::Millis;
use crate::queue::error::QueueError;

/// A connection that died unheard is noticed by the look that it does not answer.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// What an idle worker waits for.
struct Outlook {
    now: Millis,
    claimable: bool,
    /// When the next job is due, or the next lease ends.
    next: Option<Millis>,
}

impl RedisQueue {
    pub(in crate::queue) async fn wait_for_work(&self) -> Result<(), QueueError> {
        let mut news = self.0.link.news();
        loop {
            // Marked before looking: what is published after the look is news.
            news.mark_unchanged();
            let outlook = self.outlook().await?;
            if outlook.claimable || outlook.next.is_some_and(|next| next <= outlook.now) {
                return Ok(());
            }
            // A lease that is taken after the look ends after this wait.
            let longest = self.0.lease.min(LONGEST_WAIT);
            tokio::select! {
                heard = news.changed() => heard.map_err(|_| QueueError::Closed)?,
                () = self.until(&outlook) => {}
                () = tokio::time::sleep(longest) => {}
                () = self.0.link.closed() => return Err(QueueError::Closed),
            }
        }
    }

    /// Returns when the next thing happens by itself: by this machine's pace, from the server's instant.
    async fn until(&self, outlook: &Outlook) {
        match outlook.next {
            None => std::future::pending().await,
            Some(next) if self.0.clock.set_by_hand().is_some() => self.0.clock.until(next).await,
            Some(next) => {
                let left = u64::try_from(next - outlook.now).unwrap_or_default();
                tokio::time::sleep(Duration::from_millis(left)).await;
            }
        }
    }

    async fn outlook(&self) -> Result<Outlook, QueueError> {
        let mut answer = Fields::of(self.eval(&scripts::OUTLOOK, Vec::new()).await?);
        Ok(Outlook {
            now: answer.instant().unwrap_or_default(),
            claimable: answer.flag(),
            next: answer.instant(),
        })
    }
}
