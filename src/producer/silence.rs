//! A listing that holds nothing at all: is it the account that is silent, or only this time?
//!
//! What Zoom keeps is asked for once more, the newest part first, until a meeting is found. One that is found proves
//! that account and archive are there, and that nothing was held in between. Where none is found, an empty listing proves
//! nothing.

use chrono::Utc;
use recapture_core::period::Period;
use recapture_core::zoom::Dimension;

use super::persist::persist;
use super::{Producer, ProducerError};

/// Whether Zoom lists any meeting that began within its retention.
pub async fn lists_anything(producer: &Producer<'_>) -> Result<bool, ProducerError> {
    let now = Utc::now();
    let Ok(kept) = Period::new(now - producer.retention, now) else { return Ok(false) };
    for slice in kept.slices().into_iter().rev() {
        let page = || producer.zoom.list(slice, Dimension::StartTime, None);
        let listed = persist(producer, page).await?;
        if !listed.page.meetings.is_empty() || listed.page.next_page_token.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
