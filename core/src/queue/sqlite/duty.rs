//! The duty that one process has at a time, as one row.

use chrono::{DateTime, Utc};
use sqlx::Row;

use super::SqliteQueue;
use super::rows::counted;
use crate::queue::WorkerId;
use crate::queue::clock::{Millis, instant};
use crate::queue::duty::{Duty, DutyToken, OnDuty};
use crate::queue::error::QueueError;

impl SqliteQueue {
    pub(in crate::queue) async fn take_duty(
        &self,
        token: &DutyToken,
        process: &WorkerId,
    ) -> Result<bool, QueueError> {
        let (token, process, lease) = (token.clone(), process.clone(), self.0.terms.lease);
        self.write(move |step| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE duty SET token = ?1, process = ?2, until = ?3 + ?4 WHERE until IS NULL OR until <= ?3",
                )
                .bind(token.as_str())
                .bind(process.as_str())
                .bind(step.now)
                .bind(lease)
                .execute(&mut step.conn)
                .await?;
                Ok(done.rows_affected() > 0)
            })
        })
        .await
    }

    pub(in crate::queue) async fn keep_duty(&self, token: &DutyToken) -> Result<bool, QueueError> {
        let (token, lease) = (token.clone(), self.0.terms.lease);
        self.write(move |step| {
            Box::pin(async move {
                let kept = sqlx::query("UPDATE duty SET until = ? WHERE token = ?")
                    .bind(step.now + lease)
                    .bind(token.as_str())
                    .execute(&mut step.conn)
                    .await?;
                Ok(kept.rows_affected() > 0)
            })
        })
        .await
    }

    pub(in crate::queue) async fn leave_duty(&self, token: &DutyToken) -> Result<(), QueueError> {
        let token = token.clone();
        self.write(move |step| {
            Box::pin(async move {
                sqlx::query("UPDATE duty SET token = NULL, process = NULL, until = NULL WHERE token = ?")
                    .bind(token.as_str())
                    .execute(&mut step.conn)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    pub(in crate::queue) async fn put_ledger(
        &self,
        token: &DutyToken,
        text: &str,
    ) -> Result<bool, QueueError> {
        let (token, text) = (token.clone(), text.to_owned());
        self.write(move |step| {
            Box::pin(async move {
                let put = sqlx::query("UPDATE duty SET ledger = ? WHERE token = ?")
                    .bind(text)
                    .bind(token.as_str())
                    .execute(&mut step.conn)
                    .await?;
                Ok(put.rows_affected() > 0)
            })
        })
        .await
    }

    pub(in crate::queue) async fn duty(&self) -> Result<Duty, QueueError> {
        let now = self.0.clock.millis();
        let row = sqlx::query("SELECT process, until, ledger FROM duty")
            .fetch_one(&mut *self.reader().await?)
            .await
            .map_err(|error| self.fault(&error))?;
        let read = || {
            let (process, until): (Option<String>, Option<Millis>) =
                (row.try_get("process")?, row.try_get("until")?);
            let on_duty = process.zip(until.filter(|until| *until > now));
            Ok(Duty {
                on_duty: on_duty.map(|(process, until)| OnDuty { process, until: instant(until) }),
                ledger: row.try_get("ledger")?,
            })
        };
        read().map_err(|error: sqlx::Error| self.fault(&error))
    }

    pub(in crate::queue) async fn lost_by(&self, at: DateTime<Utc>) -> Result<u64, QueueError> {
        // By run and state, so that the index of claiming answers it.
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM jobs WHERE state IN ('ready', 'leased', 'delayed') AND owner IN (SELECT id FROM runs) \
             AND deadline < ?",
        )
        .bind(at.timestamp_millis())
        .fetch_one(&mut *self.reader().await?)
        .await
        .map_err(|error| self.fault(&error))?;
        Ok(counted(count))
    }
}
