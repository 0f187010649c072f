//! A download that broke off is continued by a range, and the answers to that may be anything.

use super::*;

/// Of the whole body the first half comes, then the connection breaks; `odd` answers the request for the rest. Gives
/// how many requests it took to have the whole file.
async fn after_the_first_half(odd: impl Fn(&[u8], usize) -> Reply + Send + Sync + 'static) -> u64 {
    let body = film(40_000);
    let sent = body.clone();
    let zoom = OneMeeting::with_file(listed("film", "MP4", "MP4", Some(body.len())), move |asked| {
        match (asked.number, asked.from) {
            (0, None) => raw(200, &format!("Content-Length: {}\r\n", sent.len()), &sent[..sent.len() / 2]),
            (1, Some(from)) => odd(&sent, from),
            (_, None) => whole(200, "", &sent),
            other => panic!("{other:?} was asked for"),
        }
    })
    .await;
    let record = zoom.recovered(&body).await;
    assert_eq!((record.listed_size, record.form), (None, None));
    zoom.downloads()
}

fn part(body: &[u8], from: usize, range: Option<String>) -> Reply {
    let range = range.map(|range| format!("Content-Range: bytes {range}\r\n")).unwrap_or_default();
    whole(206, &range, &body[from..])
}

#[tokio::test]
async fn a_part_that_fits_is_taken() {
    let span = |from: usize, body: &[u8]| format!("{from}-{}", body.len() - 1);
    let with_total =
        move |body: &[u8], from| part(body, from, Some(format!("{}/{}", span(from, body), body.len())));
    assert_eq!(after_the_first_half(with_total).await, 2);
    let without = move |body: &[u8], from| part(body, from, Some(format!("{}/*", span(from, body))));
    assert_eq!(after_the_first_half(without).await, 2);
}

/// From another place, of another file, or of nobody knows what: begun anew.
#[tokio::test]
async fn a_part_that_does_not_fit_is_not_taken() {
    let end = |body: &[u8]| body.len() - 1;
    let early = move |body: &[u8], from: usize| {
        part(body, from - 1, Some(format!("{}-{}/{}", from - 1, end(body), body.len())))
    };
    assert_eq!(after_the_first_half(early).await, 3);
    let other =
        move |body: &[u8], from| part(body, from, Some(format!("{from}-{}/{}", end(body), body.len() + 1)));
    assert_eq!(after_the_first_half(other).await, 3);
    assert_eq!(after_the_first_half(|body, from| part(body, from, None)).await, 3);
    assert_eq!(after_the_first_half(|body, from| part(body, from, Some("soon".to_owned()))).await, 3);
}

#[tokio::test]
async fn a_file_that_is_said_to_be_shorter_is_begun_anew() {
    for range in ["Content-Range: bytes */7\r\n", "Content-Range: bytes */*\r\n", ""] {
        assert_eq!(after_the_first_half(move |_, _| whole(416, range, b"")).await, 3, "{range}");
    }
}

/// Everything came but the sign that it is the end.
#[tokio::test]
async fn a_file_of_which_only_the_end_was_lacking_is_whole() {
    let body = film(40_000);
    let sent = body.clone();
    let zoom =
        OneMeeting::with_file(listed("film", "MP4", "MP4", Some(body.len())), move |asked| {
            match asked.from {
                None => {
                    let piece = [format!("{:x}\r\n", sent.len()).as_bytes(), &sent, b"\r\n"].concat();
                    raw(200, "Transfer-Encoding: chunked\r\n", &piece)
                }
                Some(_) => whole(416, &format!("Content-Range: bytes */{}\r\n", sent.len()), b""),
            }
        })
        .await;
    zoom.recovered(&body).await;
    assert_eq!(zoom.downloads(), 2);
}
