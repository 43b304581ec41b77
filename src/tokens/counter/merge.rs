//! How many tokens a piece is that is not one: byte pairs are merged, the lowest rank first, of
//! equal ones the first, until none of the pairs is a token.
//!
//! Three ways to the same end, by the length of the piece. Up to [`SHORT`] bytes all of it is one
//! number, and every look-up is a shift and a mask. Up to [`MEDIUM`] the lowest rank is looked for
//! among all of them, on the stack. Longer ones have a heap, which takes n log n.

#![allow(
    clippy::cast_possible_truncation,
    reason = "places in a piece, which has a largest size"
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::vocabulary::{NONE, SHORT, Vocabulary, key_of};

/// A heap is faster for longer pieces than looking at all ranks. [`merged_by_looking`] has 7 bits for a
/// place, which fit this number.
const MEDIUM: usize = 128;

/// Longer pieces are cut, because a heap takes 30 times the piece's memory. That may change the
/// count by a few tokens for each cut.
const LONGEST: usize = 1 << 20;

impl Vocabulary {
    /// The tokens of a piece of `len` bytes, by its key.
    pub(super) fn short(&self, key: u128, len: usize) -> usize {
        if self.has_key(key) {
            return 1;
        }
        merged_by_looking::<{ SHORT + 1 }>(len, |from, to| {
            let bytes = key >> (8 * from);
            match to - from {
                2 => self.rank_of_pair(bytes as u8, (bytes >> 8) as u8),
                len => self.rank_of_key(key_of(bytes, len)),
            }
        })
    }

    /// The tokens of a longer piece.
    pub(super) fn long(&self, piece: &[u8]) -> usize {
        let rank = |from, to| self.rank(&piece[from..to]);
        match piece.len() {
            len if rank(0, len) != NONE => 1,
            len @ ..=MEDIUM => merged_by_looking::<MEDIUM>(len, rank),
            len @ ..=LONGEST => merged_by_heap(len, rank),
            _ => piece.chunks(LONGEST).map(|part| self.long(part)).sum(),
        }
    }
}

/// `rank` of the bytes from one place to another. A part has the place of its first byte; `len` is
/// at most `N`, and `N` at most 128.
#[inline]
fn merged_by_looking<const N: usize>(len: usize, rank: impl Fn(usize, usize) -> u32) -> usize {
    const PLACE_BITS: u32 = 7;
    const NOTHING: u32 = u32::MAX;
    // The rank of a part together with the next one, above the place of the part.
    let mut pairs = [NOTHING; N];
    // Where the next part begins, and the one before.
    let mut next = [0_u8; N];
    let mut previous = [0_u8; N];
    let pair = |from: usize, to: usize| match rank(from, to) {
        NONE => NOTHING,
        rank => rank << PLACE_BITS | from as u32,
    };
    for at in 0..len {
        next[at] = at as u8 + 1;
        previous[at] = (at as u8).wrapping_sub(1);
        if at + 2 <= len {
            pairs[at] = pair(at, at + 2);
        }
    }
    let mut parts = len;
    loop {
        let lowest = pairs.iter().fold(NOTHING, |low, &pair| low.min(pair));
        if lowest == NOTHING {
            return parts;
        }
        let left = (lowest & ((1 << PLACE_BITS) - 1)) as usize;
        let right = usize::from(next[left]);
        let end = usize::from(next[right]);
        parts -= 1;
        next[left] = end as u8;
        pairs[right] = NOTHING;
        pairs[left] = NOTHING;
        if end < len {
            previous[end] = left as u8;
            pairs[left] = pair(left, usize::from(next[end]));
        }
        if left > 0 {
            let before = usize::from(previous[left]);
            pairs[before] = pair(before, end);
        }
    }
}

/// A part of a long piece.
struct Part {
    previous: u32,
    /// Where the next part begins.
    next: u32,
    /// The rank of it together with the next one.
    rank: u32,
}

/// The same with a heap of pairs; one that has changed since stays in it and is passed over.
fn merged_by_heap(len: usize, rank: impl Fn(usize, usize) -> u32) -> usize {
    let mut parts: Vec<Part> = (0..len)
        .map(|at| Part {
            previous: (at as u32).wrapping_sub(1),
            next: at as u32 + 1,
            rank: if at + 2 <= len {
                rank(at, at + 2)
            } else {
                NONE
            },
        })
        .collect();
    let entry = |rank: u32, at: usize| Reverse(u64::from(rank) << 32 | at as u64);
    let pairs = parts
        .iter()
        .enumerate()
        .filter(|(_, part)| part.rank != NONE);
    let mut heap: BinaryHeap<_> = pairs.map(|(at, part)| entry(part.rank, at)).collect();
    let mut count = len;
    while let Some(Reverse(lowest)) = heap.pop() {
        let (known, left) = ((lowest >> 32) as u32, lowest as u32 as usize);
        if parts[left].rank != known {
            continue;
        }
        let right = parts[left].next as usize;
        let end = parts[right].next as usize;
        count -= 1;
        parts[right].rank = NONE;
        parts[left].next = end as u32;
        let mut renew = |parts: &mut [Part], from: usize, to: usize| {
            let rank = rank(from, to);
            parts[from].rank = rank;
            if rank != NONE {
                heap.push(entry(rank, from));
            }
        };
        if end < len {
            parts[end].previous = left as u32;
            let to = parts[end].next as usize;
            renew(&mut parts, left, to);
        } else {
            parts[left].rank = NONE;
        }
        if left > 0 {
            let before = parts[left].previous as usize;
            renew(&mut parts, before, end);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::super::ranks::{CL100K, CL100K_TOKENS, tokens, unpacked};
    use super::super::vocabulary::key;
    use super::*;

    fn vocabulary() -> Vocabulary {
        Vocabulary::new(CL100K_TOKENS, tokens(&unpacked(CL100K)))
    }

    #[test]
    fn all_ways_come_to_the_same_end() {
        let vocabulary = vocabulary();
        let letters = prop::sample::select(b"aaaabbinoest  \n\xE4\xB8\xAD\xC3\xA9".to_vec());
        let pieces = prop::collection::vec(letters, 2..MEDIUM);
        let config = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(2_000)
        };
        proptest!(config, |(piece in pieces)| {
            let rank = |from, to| vocabulary.rank(&piece[from..to]);
            let by_heap = merged_by_heap(piece.len(), rank);
            prop_assert_eq!(merged_by_looking::<MEDIUM>(piece.len(), rank), by_heap);
            let short = &piece[..piece.len().min(SHORT)];
            let rank = |from, to| vocabulary.rank(&short[from..to]);
            let by_key = vocabulary.short(key(short), short.len());
            prop_assert_eq!(by_key, merged_by_heap(short.len(), rank));
            let is_token = vocabulary.rank(&piece) != NONE;
            prop_assert_eq!(vocabulary.long(&piece), if is_token { 1 } else { by_heap });
        });
    }

    /// Each look-up puts at most one pair into the heap, so n log n follows.
    #[test]
    fn a_long_piece_takes_three_look_ups_a_byte_at_most() {
        let vocabulary = vocabulary();
        let mut random = fastrand::Rng::with_seed(1);
        let letters = (0..100_000).map(|_| random.lowercase() as u8).collect();
        let pieces = [
            letters,
            vec![b'a'; 100_000],
            vec![b' '; 100_000],
            b"ab".repeat(50_000),
        ];
        for (step, piece) in pieces.into_iter().enumerate() {
            let look_ups = Cell::new(0);
            merged_by_heap(piece.len(), |from, to| {
                look_ups.set(look_ups.get() + 1);
                vocabulary.rank(&piece[from..to])
            });
            assert!(
                look_ups.get() <= 3 * piece.len(),
                "step {step}: {}",
                look_ups.get()
            );
        }
    }

    #[test]
    fn what_is_cut_is_off_by_a_few_tokens() {
        let vocabulary = vocabulary();
        for unit in ["a", "ab", "中", "=-"] {
            let piece = unit.repeat((2 * LONGEST + 5) / unit.len()).into_bytes();
            let whole = merged_by_heap(piece.len(), |from, to| vocabulary.rank(&piece[from..to]));
            let off = vocabulary.long(&piece).abs_diff(whole);
            assert!(off <= 6, "{unit}: {off}");
        }
    }
}
