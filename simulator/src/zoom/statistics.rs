//! `GET /v2/archive_files/statistics`: what a list of the same period should hold.
//!
//! Documented: the counts by extension and by status. Assumed: the period is one of start times, and
//! `total_records` counts meetings.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;

use super::window::{Params, Window};
use super::wire::rfc3339;
use super::{Call, Refusal, answer};
use crate::catalogue::Fate;
use crate::chance::digest;
use crate::connections::Wire;
use crate::counts::Endpoint;
use crate::faults::Fault;
use crate::limits::Category;
use crate::state::Shared;

#[derive(Serialize)]
struct Statistics {
    from: String,
    to: String,
    total_records: usize,
    statistic_by_file_extension: BTreeMap<String, u64>,
    statistic_by_file_status: ByStatus,
}

#[derive(Serialize, Default)]
#[expect(clippy::struct_field_names, reason = "Zoom's names")]
struct ByStatus {
    processing_file_count: u64,
    completed_file_count: u64,
    failed_file_count: u64,
}

pub(super) async fn statistics(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let call = Call {
        endpoint: Endpoint::Statistics,
        entity: digest(0, &format!("{:?}", params.get("from"))),
        scope: "archiving:read:archived_file_statistics:admin",
        category: Category::Medium,
    };
    let fault = shared.enter(&call, &headers, &wire, |_| true)?;
    let window = Window::read(&params)?;
    // Walks every meeting of the period: a moment for a hundred thousand.
    let counted = tokio::task::spawn_blocking(move || answer(&count(&shared, window, fault), fault));
    Ok(counted.await.expect("a period can be counted"))
}

fn count(shared: &Shared, window: Window, fault: Option<Fault>) -> Statistics {
    let meetings = shared.catalogue.started_within(window.from, window.to);
    let total_records = meetings.len() + usize::from(fault == Some(Fault::WrongTotal));
    let mut extensions: BTreeMap<_, u64> = ["MP4", "M4A", "TXT", "JSON", "VTT"].map(|name| (name, 0)).into();
    let mut status = ByStatus::default();
    for index in meetings {
        let complete = shared.progress.complete(&shared.catalogue, index).is_some();
        let files = shared.catalogue.files(index);
        for (at, file) in files.iter().enumerate() {
            if let Some(count) = extensions.get_mut(file.form.extension()) {
                *count += 1;
            }
            match file.fate {
                Fate::Failed => status.failed_file_count += 1,
                _ if complete || at > 0 && at + 1 == files.len() => status.completed_file_count += 1,
                _ => status.processing_file_count += 1,
            }
        }
    }
    Statistics {
        from: rfc3339(window.from),
        to: rfc3339(window.to),
        total_records,
        statistic_by_file_extension: extensions
            .into_iter()
            .map(|(name, count)| (format!("{}_file_count", name.to_lowercase()), count))
            .collect(),
        statistic_by_file_status: status,
    }
}
