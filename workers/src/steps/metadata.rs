//! Reading a meeting's metadata: its files as they are now, with fresh download addresses.

use recapture_core::meeting::{Meeting, MeetingUuid};

use super::in_place;
use crate::error::StepError;
use crate::ports::Ports;

pub async fn read(ports: &Ports, uuid: &MeetingUuid) -> Result<Meeting, StepError> {
    in_place(|| async { Ok(ports.zoom.meeting(uuid).await?) }).await
}
