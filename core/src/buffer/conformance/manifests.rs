//! Manifests, and what is found of meetings.

use super::{body, folder, folder_of, manifest, open, store};
use crate::buffer::{Buffer, BufferError, ManifestVersion};
use crate::config;
use crate::contact::Contact;
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
    let (_, last) = holder
        .put_manifest(&folder(), &first, &newer)
        .await
        .expect("who knows what stands there replaces it");

    // Whoever removes what stood there before takes nothing of its successor away.
    let mut writer = stale.begin(&folder(), "a.mp4", None).await.expect("a part");
    super::write(&mut writer, &body(10, 1)).await;
    super::name(&stale, &folder(), writer.finish().await.expect("durable")).await.expect("named");
    let late = stale.remove(&folder(), &second, &newer).await;
    assert!(matches!(late, Err(BufferError::TakenOver { .. })), "{late:?}");
    assert_eq!(holder.file_size(&folder(), "a.mp4").await.expect("read"), Some(10));
    assert_eq!(holder.manifest(&folder()).await.expect("read").expect("it stays").version, last);

    // One that was removed has no successor.
    holder.remove(&folder(), &first, &last).await.expect("removed");
    let late = stale.put_manifest(&folder(), &second, &newer).await;
    assert!(matches!(late, Err(BufferError::TakenOver { .. })), "{late:?}");
}

/// The short way into a folder, or `None`, after which everything is looked at.
pub async fn a_first_manifest_is_put_where_nothing_stands_and_nowhere_else(place: &config::Buffer) {
    let buffer = open(place).await;
    let (first, second) = (manifest("first", &[]), manifest("second", &[]));
    if let Some(version) = buffer.put_first_manifest(&folder(), &first).await.expect("put") {
        let stands = buffer.manifest(&folder()).await.expect("read").expect("it is there");
        assert_eq!((&stands.manifest, &stands.version), (&first, &version));
    }
    assert_eq!(buffer.put_first_manifest(&folder(), &second).await.expect("looked"), None);
    let stands = buffer.manifest(&folder()).await.expect("read").map(|stands| stands.manifest);
    assert!(stands.is_none_or(|stands| stands == first), "it was replaced");

    // A file that nobody names is something.
    let other = folder_of("4444AAAiAAAAAiAiAiiAii==");
    store(&buffer, &other, "a.mp4", &body(10, 1)).await;
    assert_eq!(buffer.put_first_manifest(&other, &second).await.expect("looked"), None);
    assert_eq!(buffer.manifest(&other).await.expect("read"), None);
}

pub async fn what_is_no_manifest_is_not_read(place: &config::Buffer) {
    let buffer = open(place).await;
    let newer = manifest("x", &[]);
    let newer = serde_json::to_string(&newer).expect("JSON").replace("manifest/1", "manifest/2");
    for (number, text) in [&newer, "", "{", "null", "<html>"].into_iter().enumerate() {
        let folder = folder_of(&format!("{number}444AAAiAAAAAiAiAiiAii=="));
        store(&buffer, &folder, "manifest.json", &text.to_owned().into()).await;
        let read = buffer.manifest(&folder).await;
        assert!(matches!(read, Err(BufferError::UnreadableManifest { .. })), "{text}: {read:?}");
    }
}

pub async fn meetings_are_found_and_removed(place: &config::Buffer) {
    let buffer = open(place).await;
    assert_eq!(buffer.days().await.expect("read"), Vec::<String>::new());
    let bytes = body(1000, 1);
    let folders = [folder(), folder_of("4444AAAiAAAAAiAiAiiAii=="), folder_of("../../etc/passwd==")];
    let mut versions = Vec::new();
    for folder in &folders {
        store(&buffer, folder, "a.mp4", &bytes).await;
        let named = manifest("w", &[("a.mp4", &bytes)]);
        versions.push(buffer.put_manifest(folder, &named, &ManifestVersion::NONE).await.expect("put").1);
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
    assert!(!buffer.remove(&folders[0], &named, &versions[0]).await.expect("removed"));
    assert_eq!(buffer.file_size(&folders[0], "b.mp4").await.expect("read"), Some(1000));
    assert_eq!(buffer.file_size(&folders[0], "a.mp4").await.expect("read"), None);
    assert!(buffer.remove(&folders[1], &named, &versions[1]).await.expect("removed"));
    assert_eq!(buffer.manifest(&folders[1]).await.expect("read"), None);
    let facts = buffer.read_file(&folders[2], "a.mp4").await.expect("read").expect("it stays");
    assert_eq!(facts.sha256, digest::sha256(&bytes));
}

pub async fn a_check_leaves_nothing(place: &config::Buffer) {
    let buffer = open(place).await;
    for _twice in 0..2 {
        buffer.check().await.expect("it can be used");
    }
    assert_eq!(buffer.runs().await.expect("read"), Vec::new());
    assert_eq!(buffer.days().await.expect("read"), Vec::<String>::new());
}

/// Downloads that begin together are not each promised the same room.
pub async fn room_is_promised_once(place: &config::Buffer) {
    let buffer = open(place).await;
    let Some(free) = buffer.check().await.expect("it can be used") else {
        // No end of it can be seen.
        drop(buffer.reserve(u64::MAX).await.expect("room"));
        return;
    };
    // Others write on the same disk meanwhile.
    let most = free / 3 * 2;
    let (first, other_handle) = (buffer.reserve(most).await.expect("room"), buffer.clone());
    let second = other_handle.reserve(most).await;
    assert!(matches!(second, Err(BufferError::Full { .. })), "{second:?}");
    let mut writer = buffer.begin(&folder(), "x", None).await.expect("a part").within(first);
    super::write(&mut writer, &body(1000, 1)).await;
    drop(writer);
    drop(buffer.reserve(most).await.expect("room"));
}

/// A platform that takes contacts in by itself finds the newest one, and nothing else beside it.
pub async fn a_contact_is_handed_over_whole(place: &config::Buffer) {
    let (writing, reading) = (open(place).await, open(place).await);
    let first = manifest("w", &[]).contact;
    let second = Contact { topic: Some("ä \u{1F600}".to_owned()), ..first.clone() };
    for contact in [&first, &second, &second] {
        let at = writing.put_handover(&folder(), contact).await.expect("handed over");
        assert_eq!(at, "handover/2026/10/01/_aB3dE__gHiJkL4mNoPqRg.json");
        let found: Contact = serde_json::from_slice(&handed_over(&reading, &at).await).expect("a contact");
        assert_eq!(found, *contact);
    }
    // It is no meeting, and no part of one.
    assert_eq!(reading.days().await.expect("read"), Vec::<String>::new());
}

/// All that stands where contacts are handed over: the one.
async fn handed_over(buffer: &Buffer, at: &str) -> Vec<u8> {
    match buffer {
        Buffer::Folder(folder) => {
            let path = folder.root().join(at);
            let beside = std::fs::read_dir(path.parent().expect("a folder")).expect("read");
            assert_eq!(beside.count(), 1, "a part was left");
            std::fs::read(path).expect("it is there")
        }
        Buffer::Objects(objects) => {
            let key = objects.key(at).expect("a key");
            objects.get(&key).await.expect("read").expect("it is there").0.to_vec()
        }
    }
}
