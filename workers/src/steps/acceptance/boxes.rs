//! The boxes of an MP4 or M4A, as ISO/IEC 14496-12 lays them end to end: a size in 32 bits, four letters, then what is in
//! it. A size of 1 says that the real one follows in 64 bits, 0 that the box goes on to the end of the file.

use super::Wrong;

/// Walks over the outer boxes; what is in them is skipped.
#[derive(Debug, Default)]
pub(super) struct Boxes {
    /// A box's header that has begun.
    header: Vec<u8>,
    /// Bytes of the current box that are still to come; `None` for one that goes on to the end.
    left: Left,
    seen: u64,
    has_moov: bool,
}

#[derive(Debug, Clone, Copy)]
enum Left {
    Bytes(u64),
    ToTheEnd,
}

impl Default for Left {
    fn default() -> Self {
        Self::Bytes(0)
    }
}

impl Boxes {
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            match self.left {
                Left::ToTheEnd => return Ok(()),
                Left::Bytes(0) => {
                    let wanted = (self.header_length() - self.header.len()).min(bytes.len());
                    self.header.extend_from_slice(&bytes[..wanted]);
                    bytes = &bytes[wanted..];
                    if self.header.len() == self.header_length() {
                        self.enter()?;
                    }
                }
                Left::Bytes(left) => {
                    let skipped = left.min(bytes.len() as u64);
                    self.left = Left::Bytes(left - skipped);
                    bytes = &bytes[usize::try_from(skipped).unwrap_or(bytes.len())..];
                }
            }
        }
        Ok(())
    }

    fn header_length(&self) -> usize {
        if self.header.get(..4) == Some(&[0, 0, 0, 1]) { 16 } else { 8 }
    }

    /// The header is whole.
    fn enter(&mut self) -> Result<(), String> {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let header = std::mem::take(&mut self.header);
        let kind = &header[4..8];
        if self.seen == 0 && kind != b"ftyp" {
            return Err("no ftyp box at its beginning".to_owned());
        }
        self.seen += 1;
        self.has_moov |= kind == b"moov";
        let length = header.len() as u64;
        self.left = match number(&header[..4]) {
            // Also what some writers fill the end with.
            0 => Left::ToTheEnd,
            size => {
                let size = if size == 1 { number(&header[8..]) } else { size };
                let left = size.checked_sub(length);
                Left::Bytes(
                    left.ok_or_else(|| format!("box {} has an impossible size, {size} bytes", self.seen))?,
                )
            }
        };
        Ok(())
    }

    /// A body that does not even begin with a box is no such file; one that goes on wrongly is an odd one.
    pub(super) fn wrong(&self, why: String) -> Wrong {
        if self.seen == 0 { Wrong::NotIt(why) } else { Wrong::Odd(why) }
    }

    /// Whether the last box says how long it is.
    pub(super) fn tells_its_size(&self) -> bool {
        matches!(self.left, Left::Bytes(_))
    }

    pub(super) fn end(&self) -> Result<(), String> {
        match self.left {
            _ if self.seen == 0 => Err("no ftyp box at its beginning".to_owned()),
            Left::Bytes(left) if left > 0 => Err(format!("its last box lacks {left} bytes")),
            _ if !self.header.is_empty() => Err("it ends within the header of a box".to_owned()),
            _ if !self.has_moov => Err("no moov box".to_owned()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn walk(body: &[u8], step: usize) -> Result<(), String> {
        let mut boxes = Boxes::default();
        body.chunks(step).try_for_each(|piece| boxes.take(piece))?;
        boxes.end()
    }

    fn a_box(kind: &str, inside: usize) -> Vec<u8> {
        let size = u32::try_from(inside + 8).expect("small");
        [&size.to_be_bytes()[..], kind.as_bytes(), &vec![9; inside]].concat()
    }

    #[test]
    fn sizes_in_64_bits_and_to_the_end() {
        let start = [a_box("ftyp", 4), a_box("moov", 30)].concat();
        let large = [&[0, 0, 0, 1][..], b"mdat", &20u64.to_be_bytes(), &[1; 4]].concat();
        let open = [&[0; 4][..], b"mdat", &[1; 100]].concat();
        for (body, good) in [
            ([&start[..], &large].concat(), true),
            ([&start[..], &large[..19]].concat(), false),
            ([&start[..], &open].concat(), true),
            ([&start[..], &[0, 0, 0, 7], b"mdat"].concat(), false),
            ([&start[..], &[0, 0, 0, 1], b"mdat", &[0; 7], &[15]].concat(), false),
            ([&start[..], &[0, 0]].concat(), false),
            ([a_box("ftyp", 4), a_box("mdat", 50)].concat(), false),
            ([a_box("moov", 4), a_box("ftyp", 50)].concat(), false),
        ] {
            for step in [1, 5, 1000] {
                assert_eq!(walk(&body, step).is_ok(), good, "{body:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(crate::fuzz_cases()))]

        /// However the network cuts it, a body gets one verdict, and a cut one is refused.
        #[test]
        fn fuzz_boxes(kinds in prop::collection::vec(("ftyp|moov|mdat|free|[a-z]{4}", 0_usize..300), 0..8),
                      noise in prop::collection::vec(any::<u8>(), 0..40), step in 1_usize..50) {
            let mut body: Vec<u8> = kinds.iter().flat_map(|(kind, inside)| a_box(kind, *inside)).collect();
            let expected = kinds.first().is_some_and(|(kind, _)| kind == "ftyp")
                && kinds.iter().any(|(kind, _)| kind == "moov");
            prop_assert_eq!(walk(&body, step).is_ok(), expected);
            if expected {
                prop_assert!(walk(&body[..body.len() - 1], step).is_err());
            }
            body.extend(noise);
            prop_assert_eq!(walk(&body, step), walk(&body, 1));
        }
    }
}
