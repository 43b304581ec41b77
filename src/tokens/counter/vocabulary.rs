//! Which bytes are a token, and its rank.
//!
//! Nearly all tokens have at most [`SHORT`] bytes. Those and their length fit into a number of 128
//! bits, which is their key: to compare it is to compare the bytes.

#![allow(
    clippy::cast_possible_truncation,
    reason = "halves of a key, upper bits of a hash"
)]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The rank of what is not a token: above that of all tokens.
pub(super) const NONE: u32 = u32::MAX;

/// The most bytes of a key.
pub(super) const SHORT: usize = 15;

/// Ten times as many hints as the largest vocabulary has tokens: 256 KB.
const HINT_BITS: u32 = 21;

/// Keys that are next to each other in memory, which are compared together.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Bucket([u128; 4]);

pub(super) struct Vocabulary {
    /// Tokens of up to [`SHORT`] bytes. A bucket is filled from its front; a key that finds it full
    /// is in the next one that is not. No key is 0.
    short: Vec<Bucket>,
    /// Their ranks, in the same places.
    ranks: Vec<[u32; 4]>,
    /// Longer tokens.
    long: HashMap<Box<[u8]>, u32, BuildHasherDefault<Folded>>,
    longest: usize,
    shift: u32,
    /// A bit for each of many hashes, set where a short token has it. Most of what is looked up in
    /// merging is not a token, and this is small enough to be near the processor.
    hints: Vec<u64>,
    /// The ranks of two bytes.
    pairs: Vec<u32>,
}

impl Vocabulary {
    /// `count` tokens, each with its rank.
    pub(super) fn new<'a>(count: usize, tokens: impl Iterator<Item = (&'a [u8], u32)>) -> Self {
        // Fewer than every other place is taken.
        let buckets = (count / 2).next_power_of_two().max(2);
        let mut vocabulary = Self {
            short: vec![Bucket([0; 4]); buckets],
            ranks: vec![[NONE; 4]; buckets],
            long: HashMap::default(),
            longest: 0,
            shift: 64 - buckets.trailing_zeros(),
            hints: vec![0; 1 << (HINT_BITS - 6)],
            pairs: vec![NONE; 1 << 16],
        };
        for (bytes, rank) in tokens {
            if bytes.len() <= SHORT {
                vocabulary.insert(key(bytes), rank);
                if let &[first, second] = bytes {
                    vocabulary.pairs[pair(first, second)] = rank;
                }
            } else {
                vocabulary.longest = vocabulary.longest.max(bytes.len());
                vocabulary.long.insert(bytes.into(), rank);
            }
        }
        vocabulary
    }

    fn insert(&mut self, key: u128, rank: u32) {
        let hash = fold(key);
        let (word, bit) = hint(hash);
        self.hints[word] |= bit;
        let mut at = self.bucket(hash);
        loop {
            let free = self.short[at].0.iter().position(|&other| other == 0);
            if let Some(place) = free {
                self.short[at].0[place] = key;
                self.ranks[at][place] = rank;
                return;
            }
            at = (at + 1) % self.short.len();
        }
    }

    #[inline]
    fn bucket(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }

    /// The rank of two bytes, [`NONE`] when they are not a token.
    #[inline]
    pub(super) fn rank_of_pair(&self, first: u8, second: u8) -> u32 {
        self.pairs[pair(first, second)]
    }

    /// The rank of a short token, by its [key]; [`NONE`] when it is not a token.
    #[inline]
    pub(super) fn rank_of_key(&self, key: u128) -> u32 {
        let hash = fold(key);
        let (word, bit) = hint(hash);
        if self.hints[word] & bit == 0 {
            return NONE;
        }
        let mask = self.short.len() - 1;
        let mut at = self.bucket(hash) & mask;
        loop {
            let keys = &self.short[at].0;
            for (place, &other) in keys.iter().enumerate() {
                if other == key {
                    return self.ranks[at][place];
                }
            }
            if keys[3] == 0 {
                return NONE;
            }
            at = (at + 1) & mask;
        }
    }

    /// True when it is a short token.
    #[inline]
    pub(super) fn has_key(&self, key: u128) -> bool {
        let mask = self.short.len() - 1;
        let mut at = self.bucket(fold(key)) & mask;
        loop {
            let [a, b, c, d] = self.short[at].0;
            if (a == key) | (b == key) | (c == key) | (d == key) {
                return true;
            }
            if d == 0 {
                return false;
            }
            at = (at + 1) & mask;
        }
    }

    /// The rank of these bytes, [`NONE`] when they are not a token.
    #[inline]
    pub(super) fn rank(&self, bytes: &[u8]) -> u32 {
        if bytes.len() <= SHORT {
            self.rank_of_key(key(bytes))
        } else if bytes.len() <= self.longest {
            self.long.get(bytes).copied().unwrap_or(NONE)
        } else {
            NONE
        }
    }
}

/// The place of two bytes among all.
#[inline]
fn pair(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

/// The word and the bit of a hash: by its lower bits, as the upper ones choose the bucket.
#[inline]
fn hint(hash: u64) -> (usize, u64) {
    let word = (hash as usize >> 6) & ((1 << (HINT_BITS - 6)) - 1);
    (word, 1 << (hash & 63))
}

/// The key of up to [`SHORT`] bytes: the bytes from the lowest on, and the length on top.
#[inline]
pub(super) fn key(bytes: &[u8]) -> u128 {
    let len = bytes.len();
    let low_high = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let shift = 8 * (16 - len);
        let high = u128::from(u64::from_le_bytes(*last)) << 64 >> shift;
        u128::from(u64::from_le_bytes(*first)) | high
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let high = u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4));
        u128::from(u64::from(u32::from_le_bytes(*first)) | high)
    } else {
        bytes
            .iter()
            .rev()
            .fold(0, |key, &byte| key << 8 | u128::from(byte))
    };
    low_high | (len as u128) << 120
}

/// The key of the `len` bytes from `at` on, `len` being at most [`SHORT`].
#[inline]
pub(super) fn key_at(text: &[u8], at: usize, len: usize) -> u128 {
    match text.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(&bytes) => key_of(u128::from_le_bytes(bytes), len),
        None => key(&text[at..at + len]),
    }
}

/// The key of the lowest `len` bytes of a number.
#[inline]
pub(super) fn key_of(bytes: u128, len: usize) -> u128 {
    let mask = (1_u128 << (8 * len)) - 1;
    bytes & mask | (len as u128) << 120
}

/// A hash of a number: in its upper bits.
#[inline]
pub(super) fn fold(key: u128) -> u64 {
    const SPREAD: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xE703_7ED1_A0B4_28DB];
    let (low, high) = (key as u64, (key >> 64) as u64);
    let product = u128::from(low ^ SPREAD[0]) * u128::from(high ^ SPREAD[1]);
    (product as u64 ^ (product >> 64) as u64).wrapping_mul(SPREAD[0])
}

/// The same for bytes, eight at a time.
#[derive(Default)]
struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(SHORT) {
            self.0 = fold(key(chunk) ^ u128::from(self.0));
        }
    }

    fn write_usize(&mut self, _: usize) {} // the length, which the last chunk tells

    fn finish(&self) -> u64 {
        self.0
    }
}
