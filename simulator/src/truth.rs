//! What there is to find, for a test to hold against what was found.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::catalogue::{Archive, Capture, Fate, File, FileKey, Kind};
use crate::state::Shared;

/// One meeting that Zoom lists.
#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts about a meeting")]
pub struct TruthMeeting {
    pub uuid: String,
    /// Removed by Zoom for external meetings.
    pub number: Option<u64>,
    pub start_time: DateTime<Utc>,
    /// What the DAS had of it when the simulator started.
    pub class: Capture,
    pub files: Vec<TruthFile>,
    /// The archive was still processing when the simulator started.
    pub processing: bool,
    /// Listed, but its metadata is 404.
    pub gone: bool,
    pub external: bool,
    pub breakout_room: bool,
    /// Attachments (`physical_files`), all of them available.
    pub attachments: Vec<TruthFile>,
}

#[derive(Debug, Clone, Serialize)]
pub struct TruthFile {
    pub id: String,
    pub file_type: String,
    /// In capitals, as Zoom has it.
    pub extension: &'static str,
    pub size: u64,
    pub state: FileState,
    /// In the DAS when the simulator started.
    pub captured: bool,
    #[serde(skip)]
    pub key: FileKey,
}

/// What becomes of a file in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    Completed,
    /// Zoom says so itself: size 0, no URL.
    Failed,
    /// Listed as completed, but its download, or its whole meeting, is 404.
    Gone,
}

impl TruthMeeting {
    pub(crate) fn new(shared: &Shared, index: u32) -> Self {
        let catalogue = &shared.catalogue;
        let archive = catalogue.archive(index);
        let kind = catalogue.kind(index);
        let captured = catalogue.captured_ordinals(index);
        let truth = |file: &File| TruthFile {
            id: catalogue.file_id(file.key),
            file_type: if file.key.ordinal == FileKey::ATTACHMENT {
                String::new()
            } else {
                catalogue.file_type(file).to_owned()
            },
            extension: file.form.extension(),
            size: file.size,
            state: match file.fate {
                _ if archive == Archive::Gone => FileState::Gone,
                Fate::Available => FileState::Completed,
                Fate::Failed => FileState::Failed,
                Fate::Gone => FileState::Gone,
            },
            captured: captured.contains(&file.key.ordinal),
            key: file.key,
        };
        Self {
            uuid: catalogue.uuid(index),
            number: catalogue.number(index),
            start_time: DateTime::from_timestamp(catalogue.start(index), 0).unwrap_or_default(),
            class: catalogue.capture(index),
            files: catalogue.files(index).iter().map(truth).collect(),
            processing: archive == Archive::Processing,
            gone: archive == Archive::Gone,
            external: kind == Kind::External,
            breakout_room: matches!(kind, Kind::Breakout { .. }),
            attachments: catalogue
                .attachment(index)
                .map(|attachment| truth(&attachment.file))
                .into_iter()
                .collect(),
        }
    }
}

/// All meetings, in order of their start.
pub(crate) fn truth(shared: Arc<Shared>) -> impl Iterator<Item = TruthMeeting> + Send + 'static {
    (0..shared.catalogue.len()).map(move |index| TruthMeeting::new(&shared, index))
}
