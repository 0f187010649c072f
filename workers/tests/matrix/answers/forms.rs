//! Files whose form is not what such a file has.

use super::*;

const BASE64: &[u8] = b"eyJ1dWlkIjoiYSIsIm1lc3NhZ2VzIjpbXX0=";

/// Nobody documents whether such a chat is base64 as a whole: what certainly is Zoom's file is kept, and called odd.
#[tokio::test]
async fn an_odd_form_is_taken_when_it_is_certainly_what_zoom_has() {
    let file = || listed("chat", "CHAT_MESSAGE", "JSON", Some(BASE64.len()));
    let zoom = OneMeeting::with_file(file(), |_| whole(200, "", BASE64)).await;
    assert_eq!(zoom.recovered(BASE64).await.form.as_deref(), Some("no JSON at byte 0"));
    assert_eq!(zoom.downloads(), 2, "the same bytes twice");

    let mut marked = file();
    marked["encryption_fingerprint"] = json!(sha256_of(BASE64));
    let zoom = OneMeeting::with_file(marked, |_| whole(200, "", BASE64)).await;
    assert!(zoom.recovered(BASE64).await.form.is_some());
    assert_eq!(zoom.downloads(), 1, "its fingerprint says so");
}

#[tokio::test]
async fn an_odd_form_is_refused_where_something_else_is_odd_as_well() {
    let file = |size| listed("chat", "CHAT_MESSAGE", "JSON", Some(size));
    // No announced length, another size, and other bytes each time.
    OneMeeting::with_file(file(BASE64.len()), |_| raw(200, "", BASE64)).await.refused("not_the_file").await;
    OneMeeting::with_file(file(999), |_| whole(200, "", BASE64)).await.refused("not_the_file").await;
    let other = |asked: &Asked| whole(200, "", format!("odd{}", asked.number).as_bytes());
    OneMeeting::with_file(file(4), other).await.refused("not_the_file").await;
}

#[tokio::test]
async fn what_is_surely_something_else_is_refused_whatever_its_size() {
    for body in [b"<html><p>Sign in".as_slice(), b"no box at all, but text"] {
        let zoom = OneMeeting::with_file(listed("film", "MP4", "MP4", Some(body.len())), move |_| {
            whole(200, "", body)
        })
        .await;
        zoom.refused("not_the_file").await;
    }
}

/// A film whose last box Zoom itself lost is kept as Zoom has it.
#[tokio::test]
async fn a_film_that_zoom_cut_is_kept_as_it_is() {
    let mut body = film(4000);
    body.truncate(3000);
    let sent = body.clone();
    let zoom =
        OneMeeting::with_file(listed("film", "MP4", "MP4", Some(body.len())), move |_| whole(200, "", &sent))
            .await;
    let form = zoom.recovered(&body).await.form.unwrap();
    assert!(form.starts_with("its last box lacks "), "{form}");
}

/// A bit that only a hash can tell is noted where fingerprints are recorded.
#[tokio::test]
async fn a_flipped_bit_is_recorded() {
    let mut body = film(4000);
    let mut file = listed("film", "MP4", "MP4", Some(body.len()));
    file["encryption_fingerprint"] = json!(sha256_of(&body));
    body[2000] ^= 1;
    let sent = body.clone();
    let zoom = OneMeeting::with_file(file, move |_| whole(200, "", &sent)).await;
    let record = zoom.recovered(&body).await;
    assert_eq!(serde_json::to_value(record.fingerprint_match).unwrap(), "differs");
    assert_eq!(zoom.downloads(), 1);
}

#[tokio::test]
async fn messages_are_counted_and_a_difference_is_noted() {
    let body = br#"{"uuid":"a","messages":[{"msg_type":1},{"msg_type":3},{"msg_type":1}]}"#;
    for (listed_messages, noted) in [(5, Some(5)), (3, None)] {
        let mut file = listed("chat", "CHAT_MESSAGE", "JSON", Some(body.len()));
        file["number_of_messages"] = json!(listed_messages);
        let zoom = OneMeeting::with_file(file, |_| whole(200, "", body)).await;
        let record = zoom.recovered(body).await;
        assert_eq!((record.messages, record.listed_messages), (Some(3), noted));
    }
}
