//! A worker that died between a file's final name and the manifest: what was verified is not fetched again.

use super::*;

#[tokio::test]
async fn a_verified_file_is_adopted_whatever_was_odd_about_it() {
    const TEXT: &[u8] = b"WEBVTT\n\nGood morning.\n";
    const ODD: &[u8] = b"eyJ1dWlkIjoiYSJ9";
    for (file, body) in [
        (listed("text", "CC", "VTT", Some(999)), TEXT),
        (listed("chat", "CHAT_MESSAGE", "JSON", Some(ODD.len())), ODD),
    ] {
        let zoom = OneMeeting::with_file(file, move |_| whole(200, "", body)).await;
        let first = zoom.recovered(body).await;
        let fetched = zoom.downloads();
        let manifest = zoom.folder.path().join("buffer").join(zoom.meeting().as_str()).join("manifest.json");
        std::fs::remove_file(manifest).unwrap();

        let second = zoom.recovered(body).await;

        assert_eq!(zoom.downloads(), fetched, "nothing is fetched twice");
        assert_eq!((second.listed_size, second.form.is_some()), (first.listed_size, first.form.is_some()));
    }
}
