//! What short pieces were found to be. Most pieces of a text are among a few thousand, and those
//! are nearer to the processor here than in the vocabulary; those that are several tokens are not
//! merged again.
//!
//! A table that forgets: each key has one place, and the next key with that place takes it. There
//! is no lock. An entry is two words of which the first is mixed with the second, so that a thread
//! that reads halves of two entries sees that they do not belong together.

#![allow(clippy::cast_possible_truncation, reason = "halves of a key")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;

use super::vocabulary::fold;

/// The bits of a place: with 16 bytes each, a table takes 512 KB.
const PLACE_BITS: u32 = 15;
/// At most this many tables, which take 16 MB together.
const MOST_TABLES: usize = 32;
/// Where the tokens are in the second word: above the length of the key, which is at most 15, as
/// they are.
const COUNT_SHIFT: u32 = 60;

/// One table for each core, so that threads do not fight for cache lines.
pub(super) struct Recent(Vec<OnceLock<Table>>);

pub(super) struct Table(Box<[[AtomicU64; 2]]>);

impl Recent {
    pub(super) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let tables = cores.next_power_of_two().min(MOST_TABLES);
        Self((0..tables).map(|_| OnceLock::new()).collect())
    }

    /// The table of this thread, which it shares with others if there are more than cores.
    pub(super) fn table(&self) -> &Table {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static NUMBER: usize = THREADS.fetch_add(1, Relaxed);
        }
        let number = NUMBER.with(|number| number % self.0.len());
        self.0[number].get_or_init(Table::new)
    }
}

impl Table {
    fn new() -> Self {
        Self(
            (0..1_usize << PLACE_BITS)
                .map(|_| Default::default())
                .collect(),
        )
    }

    /// The tokens of the piece with this key, from memory or by `count`.
    #[inline]
    pub(super) fn get(&self, key: u128, count: impl FnOnce(u128) -> usize) -> usize {
        let (low, high) = (key as u64, (key >> 64) as u64);
        let place = &self.0[(fold(key) >> (64 - PLACE_BITS)) as usize];
        let second = place[1].load(Relaxed);
        let found = place[0].load(Relaxed) ^ mixed(second);
        if found == low && second & !(0xF << COUNT_SHIFT) == high {
            return (second >> COUNT_SHIFT) as usize;
        }
        let count = count(key);
        let second = high | (count as u64) << COUNT_SHIFT;
        place[0].store(low ^ mixed(second), Relaxed);
        place[1].store(second, Relaxed);
        count
    }
}

/// Odd, so that no two words are mixed to one.
fn mixed(word: u64) -> u64 {
    word.wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: u128) -> usize {
        (fold(key) >> (64 - PLACE_BITS)) as usize
    }

    #[test]
    fn a_piece_is_counted_once_until_another_takes_its_place() {
        let table = Table::new();
        let one = 7_u128 << 120 | 0xABCD;
        let key = |number: u128| 7_u128 << 120 | number;
        let other = (1..)
            .map(key)
            .find(|&key| place(key) == place(one) && key != one);
        let other = other.expect("there are more keys than places");
        assert_eq!(table.get(one, |_| 3), 3);
        assert_eq!(table.get(one, |_| 4), 3);
        assert_eq!(table.get(other, |_| 5), 5);
        assert_eq!(table.get(other, |_| 6), 5);
        assert_eq!(table.get(one, |_| 15), 15);
        assert_eq!(table.get(one, |_| 1), 15);
    }

    #[test]
    fn keys_of_any_length_are_kept_and_told_apart_by_every_byte() {
        let table = Table::new();
        for len in 2..=15_u128 {
            let key = len << 120 | ((1 << (8 * len)) - 1);
            assert_eq!(table.get(key, |_| 15), 15, "{len}");
            assert_eq!(table.get(key, |_| 1), 15, "{len}");
            for byte in 0..len {
                let other = key ^ 1 << (8 * byte);
                // As if the other had the same place.
                let [one, another] = [key, other].map(place);
                let entry = [0, 1].map(|word| table.0[one][word].load(Relaxed));
                let kept = [0, 1].map(|word| table.0[another][word].swap(entry[word], Relaxed));
                assert_eq!(table.get(other, |_| 2), 2, "{len}: {byte}");
                for (word, kept) in kept.into_iter().enumerate() {
                    table.0[another][word].store(kept, Relaxed);
                }
                let known = table.get(key, |_| 7);
                assert_eq!(known, 15, "{len}: {byte}");
            }
        }
    }

    /// What a thread may see while another writes.
    #[test]
    fn halves_of_two_entries_are_no_entry() {
        let [mixture, one, other] = [(); 3].map(|()| Table::new());
        let low = 0xABCD;
        let [key, same_low] = [7_u128 << 120 | low, 8_u128 << 120 | low];
        one.get(key, |_| 2);
        other.get(same_low, |_| 3);
        let first = one.0[place(key)][0].load(Relaxed);
        let second = other.0[place(same_low)][1].load(Relaxed);
        let at = place(same_low);
        mixture.0[at][0].store(first, Relaxed);
        mixture.0[at][1].store(second, Relaxed);
        assert_eq!(mixture.get(same_low, |_| 9), 9);
    }
}
