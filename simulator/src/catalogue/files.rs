//! The files of a meeting: which of the scenario's list it has, how large they are and what became of them.

use super::{Archive, Catalogue, FileKey};
use crate::chance::{Subject, between, unit};

/// How a file is made; follows from its type and is what the last part of its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Mp4,
    M4a,
    ChatText,
    ChatJson,
    Json,
    Vtt,
    Lines,
    Png,
}

impl Form {
    fn of(file_type: &str) -> Self {
        match file_type {
            "MP4" => Self::Mp4,
            "M4A" => Self::M4a,
            "CHAT" => Self::ChatText,
            "CHAT_MESSAGE" => Self::ChatJson,
            "CC" => Self::Vtt,
            "CSV" => Self::Lines,
            _ => Self::Json,
        }
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Mp4 => "MP4",
            Self::M4a => "M4A",
            Self::ChatText => "TXT",
            Self::ChatJson | Self::Json => "JSON",
            Self::Vtt => "VTT",
            Self::Lines => "CSV",
            Self::Png => "PNG",
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Mp4 => "video/mp4",
            Self::M4a => "audio/mp4",
            Self::ChatText => "text/plain; charset=utf-8",
            Self::ChatJson | Self::Json => "application/json",
            Self::Vtt => "text/vtt",
            Self::Lines => "text/csv",
            Self::Png => "image/png",
        }
    }

    /// The kind that the DAS files it under.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Mp4 | Self::Png => "video",
            Self::M4a => "audio",
            _ => "text",
        }
    }
}

/// What a file will be for whoever fetches it. While its archive is processing it is not yet any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Available,
    Failed,
    Gone,
}

#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) key: FileKey,
    pub(crate) form: Form,
    /// The size when it is complete.
    pub(crate) size: u64,
    pub(crate) fate: Fate,
}

impl File {
    pub(crate) fn is_listed_complete(&self) -> bool {
        self.fate != Fate::Failed
    }
}

/// A file that somebody shared in the chat.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) file: File,
    pub(crate) name: &'static str,
}

impl Catalogue {
    /// The files that Zoom lists of the meeting, in the order of the scenario.
    pub(crate) fn files(&self, index: u32) -> Vec<File> {
        let archive = self.archive(index);
        if archive == Archive::NoFiles {
            return Vec::new();
        }
        let mut files: Vec<_> = (0u16..)
            .zip(&self.scenario.files)
            .map(|(ordinal, spec)| (FileKey { meeting: index, ordinal }, spec))
            .filter(|(key, spec)| unit(self.draw(Subject::FilePresent, key.number())) < spec.share)
            .map(|(key, _)| self.file(key))
            .collect();
        if files.is_empty() && !self.scenario.files.is_empty() {
            files.push(self.file(FileKey { meeting: index, ordinal: 0 }));
        }
        let fate = match archive {
            Archive::FailedFile if !self.is_mended() => Fate::Failed,
            Archive::GoneFile if !self.is_mended() => Fate::Gone,
            _ => return files,
        };
        let special =
            usize::from(self.draw(Subject::Special, index.into()).to_le_bytes()[0]) % files.len().max(1);
        if let Some(file) = files.get_mut(special) {
            file.fate = fate;
        }
        files
    }

    fn file(&self, key: FileKey) -> File {
        let spec = &self.scenario.files[usize::from(key.ordinal)];
        let form = Form::of(&spec.file_type);
        let size = between(self.draw(Subject::FileSize, key.number()), spec.min_size, spec.max_size);
        File { key, form, size: size.max(crate::bodies::least_size(form)), fate: Fate::Available }
    }

    /// The file behind an id that the catalogue gave out; `None` if this meeting does not have it.
    pub(crate) fn find(&self, key: FileKey) -> Option<File> {
        if key.ordinal == FileKey::ATTACHMENT {
            return self.attachment(key.meeting).map(|attachment| attachment.file);
        }
        self.files(key.meeting).into_iter().find(|file| file.key == key)
    }

    pub(crate) fn attachment(&self, index: u32) -> Option<Attachment> {
        let count = self.count(self.scenario.attachments);
        let archive = self.archive(index);
        if self.attachments.place(index.into()) >= count || archive == Archive::NoFiles {
            return None;
        }
        let key = FileKey { meeting: index, ordinal: FileKey::ATTACHMENT };
        let size = between(self.draw(Subject::FileSize, key.number()), 1 << 10, 64 << 10);
        let file = File { key, form: Form::Png, size, fate: Fate::Available };
        // A narrow no-break space before PM: Zoom's own example has it.
        Some(Attachment { file, name: "Bildschirmfoto 2026-02-06 um 10.42.27\u{202f}PM.png" })
    }

    pub(crate) fn file_type(&self, file: &File) -> &str {
        &self.scenario.files[usize::from(file.key.ordinal)].file_type
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{FileSpec, Scenario};

    #[test]
    fn exactly_the_files_that_a_scenario_asks_for() {
        let files = vec![
            FileSpec::exactly("MP4", 2 << 30),
            FileSpec::exactly("M4A", 5000),
            FileSpec::exactly("TRANSCRIPT", 1000),
        ];
        let catalogue = Catalogue::new(Scenario { meetings: 20, files, ..Scenario::default() });
        for index in 0..20 {
            let sizes: Vec<_> = catalogue.files(index).iter().map(|file| file.size).collect();
            assert_eq!(sizes, [2 << 30, 5000, 1000]);
        }
    }

    #[test]
    fn one_file_fails_or_goes_where_the_scenario_says() {
        let scenario = Scenario { meetings: 100, failed_files: 0.2, gone_files: 0.1, ..Scenario::default() };
        let catalogue = Catalogue::new(scenario);
        let with = |fate| {
            let has =
                |index: &u32| catalogue.files(*index).iter().filter(|file| file.fate == fate).count() == 1;
            (0..100).filter(has).count()
        };
        assert_eq!((with(Fate::Failed), with(Fate::Gone)), (20, 10));
    }

    #[test]
    fn no_meeting_is_left_without_a_file_by_chance() {
        let files = vec![FileSpec::exactly("M4A", 500).share(0.1), FileSpec::exactly("CC", 500).share(0.1)];
        let catalogue = Catalogue::new(Scenario { files, ..Scenario::default() });
        assert!((0..100).all(|index| !catalogue.files(index).is_empty()));
    }
}
