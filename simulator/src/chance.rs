//! Chance that repeats itself: numbers drawn from (seed, subject, index) instead of from a generator with a
//! state, so that any meeting or byte can be computed alone and in any order.

/// What a number is drawn for. Two subjects never share numbers.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(crate) enum Subject {
    Start = 1,
    Duration,
    Delay,
    Shape,
    Topic,
    Uuid,
    FileId,
    FileSize,
    FilePresent,
    FileLacking,
    Special,
    Body,
    Fingerprint,
    Fault,
    Place,
    Token,
    Sign,
    Host,
}

/// The output function of splitmix64: every bit of the input moves every bit of the result.
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

pub(crate) const fn draw(seed: u64, subject: Subject, index: u64) -> u64 {
    mix(mix(seed ^ ((subject as u64) << 56)) ^ index)
}

/// A number in `[0, 1)`.
pub(crate) fn unit(random: u64) -> f64 {
    // 53 bits are what an f64 holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "both numbers fit the 53 bits of an f64")]
    let value = (random >> 11) as f64 / (1u64 << 53) as f64;
    value
}

/// A number in `low..=high`.
pub(crate) fn between(random: u64, low: u64, high: u64) -> u64 {
    let span = high.saturating_sub(low).saturating_add(1);
    low + random % span
}

/// Mixes text into a number, for signatures and for the keys of counters. No secret depends on it.
pub(crate) fn digest(seed: u64, text: &str) -> u64 {
    text.bytes().fold(mix(seed), |sum, byte| mix(sum ^ u64::from(byte)))
}

/// A reordering of `0..n` that can be computed forwards and backwards without a table.
///
/// A Feistel network over the next power of four, walked until it lands inside `0..n`. A share of the
/// meetings is "those whose place in the reordering is below share × n": spread at random, exact in number,
/// and countable without a scan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shuffle {
    n: u64,
    half: u32,
    key: u64,
}

impl Shuffle {
    pub(crate) fn new(key: u64, n: u64) -> Self {
        let bits = 64 - n.max(2).saturating_sub(1).leading_zeros();
        Self { n, half: bits.div_ceil(2), key }
    }

    /// Where the index stands in the new order.
    pub(crate) fn place(&self, index: u64) -> u64 {
        debug_assert!(index < self.n);
        let mut at = self.forward(index);
        while at >= self.n {
            at = self.forward(at);
        }
        at
    }

    /// Which index stands at the place.
    pub(crate) fn index(&self, place: u64) -> u64 {
        debug_assert!(place < self.n);
        let mut at = self.backward(place);
        while at >= self.n {
            at = self.backward(at);
        }
        at
    }

    const ROUNDS: u64 = 4;

    fn round(&self, value: u64, round: u64) -> u64 {
        mix(self.key ^ mix(value ^ (round << 48))) & self.mask()
    }

    fn mask(&self) -> u64 {
        (1 << self.half) - 1
    }

    fn forward(&self, value: u64) -> u64 {
        let (mut left, mut right) = (value >> self.half, value & self.mask());
        for round in 0..Self::ROUNDS {
            (left, right) = (right, left ^ self.round(right, round));
        }
        (left << self.half) | right
    }

    fn backward(&self, value: u64) -> u64 {
        let (mut left, mut right) = (value >> self.half, value & self.mask());
        for round in (0..Self::ROUNDS).rev() {
            (left, right) = (right ^ self.round(left, round), left);
        }
        (left << self.half) | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_visits_every_index_once_and_runs_backwards() {
        for n in [1, 2, 3, 5, 16, 17, 1000] {
            let shuffle = Shuffle::new(7, n);
            let mut seen: Vec<_> = (0..n).map(|index| shuffle.place(index)).collect();
            assert!((0..n).all(|index| shuffle.index(shuffle.place(index)) == index));
            seen.sort_unstable();
            assert_eq!(seen, (0..n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_unit_interval_is_half_open() {
        assert!(unit(u64::MAX) < 1.0);
        assert!(unit(0).abs() < f64::EPSILON);
    }
}
