//! Damage within files: every kind of file, at many places, in each way.

use recapture::verify::Verification;

use crate::{Copy, Kind, signer};

/// A way to damage the bytes of a file at a place.
type How = (&'static str, fn(&mut Vec<u8>, usize));

const HOW: [How; 5] = [
    ("a flipped bit", |bytes, at| bytes[at] ^= 1 << (at % 8)),
    ("a zeroed byte", |bytes, at| bytes[at] = 0),
    ("a byte more", |bytes, at| bytes.insert(at, b' ')),
    ("a byte less", |bytes, at| _ = bytes.remove(at)),
    ("the rest cut off", |bytes, at| bytes.truncate(at)),
];

/// Places a file: many, spread evenly, and always the first and the last byte.
const PLACES: usize = 11;

#[tokio::test]
async fn the_kept_records_verify() {
    for record in ["unsealed", "signed"] {
        let verification = Copy::of(record).verify().await;
        assert_eq!(verification.findings, [], "{record}");
        assert!(verification.checked.meetings > 0 && verification.checked.files > 0);
    }
    let signed = Copy::of("signed").verify_with(Some(&signer())).await;
    assert_eq!(signed.findings, []);
    assert_eq!((signed.checked.writers, signed.checked.seals), (3, 3));
    assert_eq!(signed.checked.keys, [signer().to_string()]);
    assert_eq!(signed.notes, Vec::<String>::new());
}

/// Files that nobody could hold in memory: they are told, and not read.
#[tokio::test]
async fn what_is_far_too_large_is_told() {
    const FAR: u64 = 64 << 30;
    let copy = Copy::of("signed");
    for kind in [Kind::Seal, Kind::Answer, Kind::Manifest] {
        let file = copy.files(&[kind]).remove(0);
        let whole = std::fs::read(copy.path(&file)).unwrap();
        // Nothing is written: it is a hole with an end.
        std::fs::File::options().write(true).open(copy.path(&file)).unwrap().set_len(FAR).unwrap();
        let verification = copy.verify().await;
        assert_named(&verification, &file, "far too large");
        let told = verification.findings.iter().filter(|finding| finding.path == file);
        assert!(told.into_iter().any(|finding| finding.detail.contains("larger than")), "{kind:?}");
        std::fs::write(copy.path(&file), whole).unwrap();
    }
    assert_eq!(copy.verify().await.findings, []);
}

#[tokio::test]
async fn damage_within_a_file_is_found_and_named() {
    let copy = Copy::of("signed");
    for kind in Kind::ALL {
        let files = copy.files(&[kind]);
        assert!(!files.is_empty(), "no {kind:?}");
        for file in files {
            let whole = std::fs::read(copy.path(&file)).unwrap();
            for place in 0..PLACES {
                let at = place * (whole.len() - 1) / (PLACES - 1);
                for (how, damage) in HOW {
                    let mut damaged = whole.clone();
                    damage(&mut damaged, at);
                    if damaged == whole {
                        continue;
                    }
                    std::fs::write(copy.path(&file), &damaged).unwrap();
                    assert_named(&copy.verify().await, &file, &format!("{how} at {at} of {}", whole.len()));
                }
            }
            std::fs::write(copy.path(&file), &whole).unwrap();
        }
    }
    assert_eq!(copy.verify().await.findings, []);
}

#[tokio::test]
async fn whole_lines_removed_added_or_moved_are_found_and_named() {
    let copy = Copy::of("signed");
    for file in copy.files(&[Kind::Lines]) {
        let whole = std::fs::read_to_string(copy.path(&file)).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        let last = lines.len() - 1;
        for at in 0..lines.len() {
            let mut removed = lines.clone();
            removed.remove(at);
            let mut doubled = lines.clone();
            doubled.insert(at, lines[at]);
            let mut moved = lines.clone();
            moved.swap(at, if at == last { 0 } else { at + 1 });
            for (how, damaged) in [("removed", removed), ("doubled", doubled), ("moved", moved)] {
                let damaged: String = damaged.iter().flat_map(|line| [line, "\n"]).collect();
                std::fs::write(copy.path(&file), damaged).unwrap();
                let verification = copy.verify().await;
                if how == "doubled" || at < last {
                    assert_named(&verification, &file, &format!("line {at} {how}"));
                } else {
                    assert!(!verification.verified(), "line {at} of {file} {how}");
                }
            }
        }
        std::fs::write(copy.path(&file), &whole).unwrap();
    }
}

/// Half of what stands in an unsealed record follows from the rest of it, and that half is found.
#[tokio::test]
async fn older_records_show_what_they_can() {
    let copy = Copy::of("unsealed");
    for kind in [Kind::Lines, Kind::File] {
        for file in copy.files(&[kind]) {
            let whole = std::fs::read(copy.path(&file)).unwrap();
            let middle = whole.len() / 2;
            for (how, damage) in
                HOW.into_iter().filter(|(how, _)| kind == Kind::File || *how != "the rest cut off")
            {
                let mut damaged = whole.clone();
                damage(&mut damaged, middle);
                std::fs::write(copy.path(&file), &damaged).unwrap();
                assert_named(&copy.verify().await, &file, how);
            }
            std::fs::write(copy.path(&file), &whole).unwrap();
        }
    }
}

#[track_caller]
fn assert_named(verification: &Verification, file: &str, how: &str) {
    let named = verification.findings.iter().any(|finding| finding.path == file);
    assert!(named, "{file}, {how}: {:?}", verification.findings);
}
