//! The report for scripts: the run object, and every meeting that was not simply present.

use chrono::Utc;
use serde_json::{Value, json};

use super::{MeetingReport, Report};

impl Report {
    pub fn to_json(&self) -> Value {
        let meetings: Vec<Value> = self
            .meetings
            .iter()
            .map(|(uuid, meeting)| {
                let mut value = meeting.to_json();
                value["meeting_uuid"] = json!(uuid);
                value
            })
            .collect();
        json!({
            "schema": "recapture.report/1",
            "run": self.run.to_object(),
            "buffer": self.buffer,
            "evidence_damage": self.damage,
            "lost_within_24h": self.lost_soon(Utc::now()).map_or(0, |(meetings, _)| meetings),
            "meetings": meetings,
        })
    }
}

impl MeetingReport {
    fn to_json(&self) -> Value {
        let mut value = json!({ "outcome": self.outcome() });
        if let Some(cause) = self.cause() {
            value["reason"] = json!(cause.reason);
            value["evidence"] = json!(cause);
        }
        if let Some(verdict) = &self.verdict {
            value["verdict"] = json!(verdict.verdict);
            value["started_at"] = json!(verdict.started_at);
            value["deadline"] = json!(verdict.deadline);
            if let Some(detail) = &verdict.detail {
                value["verdict_detail"] = json!(detail);
            }
            if let Some(owner) = &verdict.queued_by {
                value["queued_by"] = json!(owner);
            }
        }
        if let Some(at) = self.first_known {
            value["first_known_at"] = json!(at);
        }
        if let Some(job) = &self.waits {
            value["starts"] = json!(job.starts);
            value["due"] = json!(job.due);
        } else if let Some(end) = &self.end {
            value["starts"] = json!(end.starts);
            value["manifest"] = json!(end.manifest);
            value["files"] = json!(end.files);
        }
        value
    }
}
