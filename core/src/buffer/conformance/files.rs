//! Files: whole under their name, or not there.

use super::{SIZES, body, folder, manifest, name, open, store, write};
use crate::buffer::{BufferError, Claim, ManifestVersion, Written};
use crate::config;
use crate::digest;

pub async fn a_file_appears_whole_and_only_when_it_is_committed(place: &config::Buffer) {
    let (writing, reading) = (open(place).await, open(place).await);
    for size in SIZES {
        let (path, bytes) = (format!("{size}.mp4"), body(size, 1));
        let mut writer = writing.begin(&folder(), &path, Some(size as u64)).await.expect("a part");
        write(&mut writer, &bytes).await;
        assert_eq!(writer.size(), size as u64);
        assert_eq!(writer.head(), &bytes[..size.min(512)]);
        assert_eq!(reading.read_file(&folder(), &path).await.expect("read"), None);
        let written = writer.finish().await.expect("whole");
        assert_eq!((written.size, &*written.sha256), (size as u64, &*digest::sha256(&bytes)));
        assert_eq!(reading.file_size(&folder(), &path).await.expect("read"), None);
        name(&writing, &folder(), written).await.expect("a name");
        let facts = reading.read_file(&folder(), &path).await.expect("read").expect("it is there");
        assert_eq!((facts.size, facts.sha256), (size as u64, digest::sha256(&bytes)));
        assert_eq!(facts.head, &bytes[..size.min(512)]);
        assert_eq!(reading.file_size(&folder(), &path).await.expect("read"), Some(size as u64));
    }
}

/// Small ones and large ones, as they happen to come.
pub async fn files_get_their_names_together(place: &config::Buffer) {
    let buffer = open(place).await;
    let mut files = Vec::new();
    for size in SIZES {
        let mut writer = buffer.begin(&folder(), &size.to_string(), Some(size as u64)).await.expect("a part");
        write(&mut writer, &body(size, 1)).await;
        files.push(writer.finish().await.expect("whole"));
    }
    let claim = Claim::new(|| true, ManifestVersion::NONE);
    buffer.give_names(&folder(), files, &claim).await.expect("names");
    for size in SIZES {
        let facts = buffer.read_file(&folder(), &size.to_string()).await.expect("read").expect("it is there");
        assert_eq!((facts.size, facts.sha256), (size as u64, digest::sha256(&body(size, 1))));
    }
    assert_nothing_but(place, SIZES.len()).await;
}

/// By its own clock: the next holder may have begun.
pub async fn a_worker_that_has_lost_the_meeting_gives_no_names(place: &config::Buffer) {
    let buffer = open(place).await;
    for size in [100, 12 << 20] {
        let mut writer = buffer.begin(&folder(), "x", Some(size as u64)).await.expect("a part");
        write(&mut writer, &body(size, 1)).await;
        let files = vec![writer.finish().await.expect("whole")];
        let refused = buffer.give_names(&folder(), files, &Claim::new(|| false, ManifestVersion::NONE)).await;
        assert!(matches!(refused, Err(BufferError::TakenOver { .. })), "{refused:?}");
    }
    assert_eq!(buffer.read_file(&folder(), "x").await.expect("read"), None);
    buffer.clear_parts(&folder()).await.expect("cleared");
    assert_nothing_but(place, 0).await;
}

pub async fn a_file_that_begins_anew_holds_nothing_of_the_first_try(place: &config::Buffer) {
    let buffer = open(place).await;
    for (path, first, second) in [("a", 9 << 20, 11 << 20), ("b", 12 << 20, 1000), ("c", 1000, 6 << 20)] {
        let (wrong, right) = (body(first, 2), body(second, 3));
        let mut writer = buffer.begin(&folder(), path, None).await.expect("a part");
        write(&mut writer, &wrong).await;
        writer.restart().await.expect("a new beginning");
        assert_eq!((writer.size(), writer.head()), (0, &[][..]));
        write(&mut writer, &right).await;
        name(&buffer, &folder(), writer.finish().await.expect("whole")).await.expect("a name");
        let facts = buffer.read_file(&folder(), path).await.expect("read").expect("it is there");
        assert_eq!((facts.size, facts.sha256), (second as u64, digest::sha256(&right)));
    }
    assert_nothing_but(place, 3).await;
}

pub async fn a_file_that_stands_there_is_replaced_whole(place: &config::Buffer) {
    let buffer = open(place).await;
    for (name, before, after) in [("a", 10, 20), ("b", 10, 6 << 20), ("c", 6 << 20, 10)] {
        store(&buffer, &folder(), name, &body(before, 4)).await;
        let bytes = body(after, 5);
        store(&buffer, &folder(), name, &bytes).await;
        let facts = buffer.read_file(&folder(), name).await.expect("read").expect("it is there");
        assert_eq!((facts.size, facts.sha256), (after as u64, digest::sha256(&bytes)));
    }
}

/// A worker lost its lease and does not know: the meeting's next holder has begun.
pub async fn a_writer_whose_part_was_cleared_writes_nothing(place: &config::Buffer) {
    let (stale, holder) = (open(place).await, open(place).await);
    let mut stands = ManifestVersion::NONE;
    // Where nothing of a small file is stored before its end, what the holder has put there is what stops it.
    for (path, size, holder_writes) in
        [("large", 12 << 20, false), ("small", 100, true), ("later", 12 << 20, true)]
    {
        let mut writer = stale.begin(&folder(), path, Some(size)).await.expect("a part");
        write(&mut writer, &body(usize::try_from(size).expect("small enough"), 6)).await;
        let written: Written = writer.finish().await.expect("whole");
        let claim = Claim::new(|| true, stands.clone());
        holder.clear_parts(&folder()).await.expect("cleared");
        let theirs = body(50, 7);
        if holder_writes {
            let (_, version) =
                holder.put_manifest(&folder(), &manifest(path, &[]), &stands).await.expect("the successor");
            stands = version;
            store(&holder, &folder(), path, &theirs).await;
        }
        let overtaken = stale.give_names(&folder(), vec![written], &claim).await;
        assert!(matches!(overtaken, Err(BufferError::TakenOver { .. })), "{path}: {overtaken:?}");
        let stands = holder.read_file(&folder(), path).await.expect("read").map(|facts| facts.sha256);
        assert_eq!(stands, holder_writes.then(|| digest::sha256(&theirs)), "{path}");
    }
    assert_nothing_but(place, 2).await;
}

pub async fn what_is_given_up_leaves_nothing(place: &config::Buffer) {
    let buffer = open(place).await;
    for size in [10, 12 << 20] {
        let mut writer = buffer.begin(&folder(), "x", None).await.expect("a part");
        write(&mut writer, &body(size, 8)).await;
        drop(writer);
        let mut writer = buffer.begin(&folder(), "x", None).await.expect("a part");
        write(&mut writer, &body(size, 8)).await;
        drop(writer.finish().await.expect("durable"));
    }
    // What a process leaves that dies before it can tidy up, the next holder clears away.
    buffer.clear_parts(&folder()).await.expect("cleared");
    assert_eq!(buffer.read_file(&folder(), "x").await.expect("read"), None);
    assert_nothing_but(place, 0).await;
}

/// Removing what nothing names leaves the folder empty but for that many files.
async fn assert_nothing_but(place: &config::Buffer, files: usize) {
    let buffer = open(place).await;
    let nothing_named = manifest("w", &[]);
    let stands = buffer.manifest(&folder()).await.expect("read");
    let version = stands.map_or(ManifestVersion::NONE, |stands| stands.version);
    let is_empty = buffer.remove(&folder(), &nothing_named, &version).await.expect("removed");
    assert_eq!(is_empty, files == 0, "something is left");
}
