//! Bodies that end too early, too late, or not at all, and how that shows.

use super::*;

const TEXT: &[u8] = b"WEBVTT\n\n00:01.000 --> 00:04.000\nGood morning to you all.\n";

/// What merely ended may have been cut, however often it ends there.
#[tokio::test]
async fn a_text_without_a_length_has_to_have_the_listed_size() {
    let zoom = OneMeeting::with_file(listed("text", "CC", "VTT", Some(TEXT.len())), |_| {
        raw(200, "", &TEXT[..TEXT.len() - 9])
    })
    .await;
    zoom.refused("truncated").await;
    let zoom =
        OneMeeting::with_file(listed("text", "CC", "VTT", Some(TEXT.len())), |_| raw(200, "", TEXT)).await;
    zoom.recovered(TEXT).await;
    assert_eq!(zoom.downloads(), 1);
}

/// It happens that Zoom lists a wrong size.
#[tokio::test]
async fn another_size_is_taken_when_it_comes_twice_and_is_certainly_all() {
    let zoom = OneMeeting::with_file(listed("text", "CC", "VTT", Some(999)), |_| whole(200, "", TEXT)).await;
    assert_eq!(zoom.recovered(TEXT).await.listed_size, Some(999));
    assert_eq!(zoom.downloads(), 2);
    let body = film(4000);
    let sent = body.clone();
    let zoom =
        OneMeeting::with_file(listed("film", "MP4", "MP4", Some(999)), move |_| raw(200, "", &sent)).await;
    assert_eq!(zoom.recovered(&body).await.listed_size, Some(999));
    assert_eq!(zoom.downloads(), 2, "boxes tell their end");
}

#[tokio::test]
async fn a_body_that_drips_is_given_up_and_continued() {
    let body = film(4000);
    let sent = body.clone();
    let zoom = OneMeeting::with_file(listed("film", "MP4", "MP4", Some(body.len())), move |asked| {
        if asked.number > 0 {
            return whole(200, "", &sent);
        }
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 400000000\r\n\r\n".as_slice();
        Reply::Drip([head, b"\0\0\0\x10ftyp"].concat())
    })
    .await;
    zoom.recovered(&body).await;
    assert_eq!(zoom.downloads(), 2);
}

#[tokio::test]
async fn a_body_without_a_listed_size_has_an_end() {
    let head = format!("Content-Length: {}\r\n", 1_u64 << 40);
    let zoom =
        OneMeeting::with_file(listed("film", "MP4", "MP4", None), move |_| raw(200, &head, b"\0")).await;
    zoom.refused("not_the_file").await;
}

#[tokio::test]
async fn a_body_that_is_packed_is_not_the_file() {
    let zoom = OneMeeting::with_file(listed("text", "CC", "VTT", None), |_| {
        whole(200, "Content-Encoding: gzip\r\n", TEXT)
    })
    .await;
    zoom.refused("not_the_file").await;
}

#[tokio::test]
async fn an_empty_file_is_one_only_where_nothing_is_listed() {
    for (kind, extension, size) in
        [("MP4", "MP4", Some(400)), ("M4A", "M4A", None), ("CC", "VTT", Some(0)), ("CHAT", "TXT", Some(7))]
    {
        let zoom = OneMeeting::with_file(listed("f", kind, extension, size), |_| whole(200, "", b"")).await;
        zoom.refused("not_the_file").await;
    }
    let zoom = OneMeeting::with_file(listed("f", "CHAT", "TXT", Some(0)), |_| whole(200, "", b"")).await;
    zoom.recovered(b"").await;
}

/// An address that leads nowhere says nothing of the file: the API is asked, once.
#[tokio::test]
async fn what_is_not_found_is_looked_up_before_it_is_gone() {
    let file = || listed("text", "CC", "VTT", Some(TEXT.len()));
    let page = || whole(404, "Content-Type: text/html\r\n", b"<html>404");

    let once = move |asked: &Asked| if asked.number == 0 { page() } else { whole(200, "", TEXT) };
    let zoom = OneMeeting::with_file(file(), once).await;
    zoom.recovered(TEXT).await;
    assert_eq!((zoom.downloads(), zoom.reads()), (2, 2));

    let zoom = OneMeeting::with_file(file(), move |_| page()).await;
    let ended = zoom.recover().await.unwrap();
    assert_eq!(ended.outcome, Outcome::Unavailable);
    assert_eq!(ended.cause.unwrap().reason.as_str(), "gone");
    assert_eq!((zoom.downloads(), zoom.reads()), (2, 2));

    let unlisted = move |base: &str, asked: &Asked| {
        metadata(UUID, base, &if asked.number == 0 { vec![file()] } else { Vec::new() })
    };
    let zoom = OneMeeting::start(UUID, unlisted, move |_| page()).await;
    assert_eq!(zoom.recover().await.unwrap().outcome, Outcome::Unavailable);
    assert_eq!((zoom.downloads(), zoom.reads()), (1, 2));
}
