//! The duty that one process has at a time, as one hash; each call is one script.

use chrono::{DateTime, Utc};

use super::reply::Fields;
use super::{RedisQueue, scripts, span};
use crate::queue::WorkerId;
use crate::queue::clock::instant;
use crate::queue::duty::{Duty, DutyToken, OnDuty};
use crate::queue::error::QueueError;

impl RedisQueue {
    pub(in crate::queue) async fn take_duty(
        &self,
        token: &DutyToken,
        process: &WorkerId,
    ) -> Result<bool, QueueError> {
        self.about_duty("take", token, &[span(self.0.lease), process.to_string()]).await
    }

    pub(in crate::queue) async fn keep_duty(&self, token: &DutyToken) -> Result<bool, QueueError> {
        self.about_duty("keep", token, &[span(self.0.lease)]).await
    }

    pub(in crate::queue) async fn leave_duty(&self, token: &DutyToken) -> Result<(), QueueError> {
        self.about_duty("leave", token, &[]).await.map(|_| ())
    }

    pub(in crate::queue) async fn put_ledger(
        &self,
        token: &DutyToken,
        text: &str,
    ) -> Result<bool, QueueError> {
        self.about_duty("put", token, &[text.to_owned()]).await
    }

    /// Each of these may be done twice: it ends as if it had been done once.
    async fn about_duty(&self, what: &str, token: &DutyToken, more: &[String]) -> Result<bool, QueueError> {
        let mut arguments = vec![what.to_owned(), token.as_str().to_owned()];
        arguments.extend_from_slice(more);
        Ok(self.eval(&scripts::DUTY, arguments).await?.text() == "1")
    }

    pub(in crate::queue) async fn duty(&self) -> Result<Duty, QueueError> {
        let answer = self.eval(&scripts::DUTY, vec!["look".to_owned()]).await?;
        let mut answer = Fields::of(answer);
        let now = answer.instant().unwrap_or_default();
        let (process, until) = (answer.text(), answer.instant());
        let ledger = answer.next();
        let until = until.filter(|until| *until > now);
        Ok(Duty {
            on_duty: until.map(|until| OnDuty { process, until: instant(until) }),
            ledger: (!ledger.is_nil()).then(|| ledger.text()),
        })
    }

    pub(in crate::queue) async fn lost_by(&self, at: DateTime<Utc>) -> Result<u64, QueueError> {
        let (mut lost, mut cursor) = (0, "0".to_owned());
        loop {
            let arguments = vec![cursor, at.timestamp_millis().to_string()];
            let mut answer = Fields::of(self.eval(&scripts::LOST_BY, arguments).await?);
            cursor = answer.text();
            lost += answer.count();
            if cursor == "0" {
                return Ok(lost);
            }
        }
    }
}
