//! The counts of long stretches of text, so that what many texts share is counted once.
//!
//! A stretch is known by 128 bits of XXH3 with a seed of this process: of 2⁴⁰ different ones, two
//! are taken for one with a chance of 2⁻⁴⁸, and without the seed no input can be made to collide.
//! So the table holds no text and has one size: 3 MB for each encoding in use, which are the counts of
//! the last 64 MB of text or more. It forgets as [`Recent`](super::recent::Recent) does, and has no lock either.

#![allow(clippy::cast_possible_truncation, reason = "halves of a hash")]

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use twox_hash::XxHash3_128;

/// The bits of a place, which has 24 bytes.
const PLACE_BITS: u32 = 17;

/// Both halves of a hash, each mixed with the count, and the count: a thread that reads parts of
/// two entries sees that they do not belong together.
type Place = [AtomicU64; 3];

pub(super) struct Memory {
    seed: u64,
    /// Made when the first long text comes.
    places: OnceLock<Box<[Place]>>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            seed: RandomState::new().build_hasher().finish(),
            places: OnceLock::new(),
        }
    }

    /// The tokens of this text, from memory or by `count`.
    pub(super) fn get(&self, text: &str, count: impl FnOnce(&str) -> u64) -> u64 {
        let places = self.places.get_or_init(|| {
            (0..1_usize << PLACE_BITS)
                .map(|_| Place::default())
                .collect()
        });
        let hash = XxHash3_128::oneshot_with_seed(self.seed, text.as_bytes());
        let hash = [hash as u64, (hash >> 64) as u64];
        let [first, second, known] = &places[(hash[0] >> (64 - PLACE_BITS)) as usize];
        let found = known.load(Relaxed);
        let halves = [first.load(Relaxed), second.load(Relaxed)];
        if halves == hash.map(|half| half ^ mixed(found)) {
            return found;
        }
        let count = count(text);
        let [one, other] = hash.map(|half| half ^ mixed(count));
        first.store(one, Relaxed);
        second.store(other, Relaxed);
        known.store(count, Relaxed);
        count
    }
}

/// Odd, so that no two counts are mixed to one.
fn mixed(count: u64) -> u64 {
    count.wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_counted_once_and_no_other_for_it() {
        let (memory, other) = (Memory::new(), Memory::new());
        assert_eq!(memory.get("one text", |_| 2), 2);
        assert_eq!(memory.get("one text", |_| 3), 2);
        assert_eq!(memory.get("another text", |_| 4), 4);
        assert_eq!(memory.get("", |_| 0), 0);
        assert_eq!(other.get("one text", |_| 5), 5);
        assert_ne!(memory.seed, other.seed);
    }

    /// What a thread may see while another writes.
    #[test]
    fn parts_of_two_entries_are_no_entry() {
        let memory = Memory::new();
        memory.get("one text", |_| 2);
        for place in memory.places.get().into_iter().flatten() {
            if place[2].load(Relaxed) == 2 {
                place[2].store(3, Relaxed);
            }
        }
        assert_eq!(memory.get("one text", |_| 4), 4);
    }
}
