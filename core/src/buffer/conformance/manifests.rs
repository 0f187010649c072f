//! Manifests, and what is found of meetings.

use super::{body, folder, folder_of, manifest, open, store};
use crate::buffer::{BufferError, ManifestVersion};
use crate::config;
use crate::digest;

/// Two workers believe that they hold the meeting; the one that writes later knows an older manifest.
pub async fn a_manifest_is_replaced_by_its_successor_only(place: &config::Buffer) {
    let (stale, holder) = (open(place).await, open(place).await);
    assert_eq!(holder.manifest(&folder()).await.expect("read"), None);
    let first = manifest("first", &[]);
    let (sha256, version) =
        stale.put_manifest(&folder(), &first, &ManifestVersion::NONE).await.expect("the first");
    let stored = holder.manifest(&folder()).await.expect("read").expect("it is there");
    assert_eq!((&stored.manifest, &stored.sha256, &stored.version), (&first, &sha256, &version));

    let second = manifest("second", &[("a.mp4", &body(10, 1))]);
    let (_, newer) = holder.put_manifest(&folder(), &second, &stored.version).await.expect("the successor");
    for outdated in [&ManifestVersion::NONE, &version] {
        let late = stale.put_manifest(&folder(), &first, outdated).await;
        assert!(matches!(late, Err(BufferError::TakenOver { .. })), "{late:?}");
    }
    let stands = stale.manifest(&folder()).await.expect("read").expect("it is there");
    assert_eq!((stands.manifest.written_by.worker, stands.version), ("second".to_owned(), newer.clone()));
    holder.put_manifest(&folder(), &first, &newer).await.expect("who knows what stands there replaces it");

    // One that was removed has no successor.
    holder.remove(&folder(), &first).await.expect("removed");
    let late = stale.put_manifest(&folder(), &second, &newer).await;
    assert!(matches!(late, Err(BufferError::TakenOver { .. })), "{late:?}");
}

pub async fn what_is_no_manifest_is_not_read(place: &config::Buffer) {
    let buffer = open(place).await;
    let newer = manifest("x", &[]);
    let newer = serde_json::to_string(&newer).expect("JSON").replace("manifest/1", "manifest/2");
    for text in [&newer, "", "{", "null", "<html>"] {
        store(&buffer, &folder(), "manifest.json", &text.to_owned().into()).await;
        let read = buffer.manifest(&folder()).await;
        assert!(matches!(read, Err(BufferError::UnreadableManifest { .. })), "{text}: {read:?}");
    }
}

pub async fn meetings_are_found_and_removed(place: &config::Buffer) {
    let buffer = open(place).await;
    assert_eq!(buffer.days().await.expect("read"), Vec::<String>::new());
    let bytes = body(1000, 1);
    let folders = [folder(), folder_of("4444AAAiAAAAAiAiAiiAii=="), folder_of("../../etc/passwd==")];
    for folder in &folders {
        store(&buffer, folder, "a.mp4", &bytes).await;
        let named = manifest("w", &[("a.mp4", &bytes)]);
        buffer.put_manifest(folder, &named, &ManifestVersion::NONE).await.expect("put");
    }
    assert_eq!(buffer.days().await.expect("read"), ["meetings/2026/10/01"]);
    let mut found = buffer.meetings_of("meetings/2026/10/01").await.expect("read");
    let mut expected = folders.to_vec();
    found.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    expected.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    assert_eq!(found, expected);

    // What the manifest does not name stays.
    store(&buffer, &folders[0], "b.mp4", &bytes).await;
    let named = manifest("w", &[("a.mp4", &bytes)]);
    assert!(!buffer.remove(&folders[0], &named).await.expect("removed"));
    assert_eq!(buffer.file_size(&folders[0], "b.mp4").await.expect("read"), Some(1000));
    assert_eq!(buffer.file_size(&folders[0], "a.mp4").await.expect("read"), None);
    assert!(buffer.remove(&folders[1], &named).await.expect("removed"));
    assert_eq!(buffer.manifest(&folders[1]).await.expect("read"), None);
    let facts = buffer.read_file(&folders[2], "a.mp4").await.expect("read").expect("it stays");
    assert_eq!(facts.sha256, digest::sha256(&bytes));
}

pub async fn a_check_leaves_nothing(place: &config::Buffer) {
    let buffer = open(place).await;
    for _twice in 0..2 {
        buffer.check().await.expect("it can be used");
        buffer.has_room_for(1).await.expect("room");
    }
    assert_eq!(buffer.runs().await.expect("read"), Vec::new());
    assert_eq!(buffer.days().await.expect("read"), Vec::<String>::new());
}
