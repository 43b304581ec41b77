//! The `custom_id`s of a run: what earlier runs made of each, and where it stands in the input.
//!
//! An id is kept as 80 bits of a hash of it, so its length does not count. Two of a hundred
//! million ids are taken for one another in one of 240 million runs.
//!
//! # Memory
//!
//! At most 29 bytes an id, and 48 KiB: a slot has 20 bytes; a shard has at most 1.25 · 1.125 times
//! as many slots as ids, and 8; and of the 256 shards one at a time is copied as it grows.

use twox_hash::XxHash3_128;

use super::fingerprint::Fingerprint;

/// A power of two: the first bits of a hash choose one.
const SHARDS: usize = 256;
const SHARD_BITS: u32 = SHARDS.ilog2();

/// What is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It stands in this line.
    Line(u64),
    /// It has a result, of a request with this fingerprint where that is known.
    Finished(Option<Fingerprint>),
    /// It failed and is skipped, unless the request has changed since.
    Failed(Option<Fingerprint>),
}

/// What is known of each id.
#[derive(Debug, Clone)]
pub(super) struct Ids(Vec<Shard>);

/// A hash table with linear probing, in which nothing is ever removed.
#[derive(Debug, Clone, Default)]
struct Shard {
    filled: usize,
    slots: Vec<Slot>,
}

/// Packed, or each slot would have 24 bytes.
#[derive(Debug, Clone, Copy)]
#[repr(C, packed(4))]
struct Slot {
    hash: u64,
    value: u64,
    more_hash: u16,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum State {
    Empty,
    Line,
    Finished,
    /// The same, and it was met in the input.
    FinishedAndSeen,
    FinishedUnknown,
    Failed,
    FailedUnknown,
}

const EMPTY: Slot = Slot {
    hash: 0,
    value: 0,
    more_hash: 0,
    state: State::Empty,
};

/// 80 bits of a hash of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(u64, u16);

impl Key {
    #[allow(clippy::cast_possible_truncation, reason = "80 of 128 bits are kept")]
    pub(super) fn of(id: &str) -> Self {
        let hash = XxHash3_128::oneshot(id.as_bytes());
        Self(hash as u64, (hash >> 64) as u16)
    }

    #[allow(clippy::cast_possible_truncation, reason = "8 bits fit")]
    fn shard(self) -> usize {
        (self.0 >> (u64::BITS - SHARD_BITS)) as usize
    }

    /// Its place among `slots`, by the bits that did not choose the shard.
    #[allow(clippy::cast_possible_truncation, reason = "it is below `slots`")]
    fn home(self, slots: usize) -> usize {
        ((u128::from(self.0 << SHARD_BITS) * slots as u128) >> u64::BITS) as usize
    }
}

impl Default for Ids {
    fn default() -> Self {
        Self(vec![Shard::default(); SHARDS])
    }
}

impl Ids {
    pub(super) fn get(&self, id: &str) -> Option<Known> {
        let hash = Key::of(id);
        self.0[hash.shard()].get(hash)
    }

    /// Sets what is known of an id, and returns what was before.
    pub(super) fn set(&mut self, id: &str, known: Known) -> Option<Known> {
        self.set_of(Key::of(id), known)
    }

    /// The same by the key of the id.
    pub(super) fn set_of(&mut self, key: Key, known: Known) -> Option<Known> {
        self.0[key.shard()].set(key, known)
    }

    /// Makes room for `ids` ids, without growing on the way. A shard with some more than an equal part
    /// grows.
    pub(super) fn reserve(&mut self, ids: usize) {
        for shard in &mut self.0 {
            shard.reserve(ids.div_ceil(SHARDS));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|shard| shard.filled == 0)
    }

    /// Whether any id has a result.
    pub(super) fn any_finished(&self) -> bool {
        let mut slots = self.0.iter().flat_map(|shard| &shard.slots);
        slots.any(|slot| matches!(slot.known(), Some(Known::Finished(_))))
    }

    /// Notes that an id stands in this line of the input, and returns what was known of it. When
    /// that is a line, that one stays.
    pub(super) fn meet(&mut self, id: &str, line: u64) -> Option<Known> {
        let hash = Key::of(id);
        let shard = &mut self.0[hash.shard()];
        let known = shard.get(hash);
        if !matches!(known, Some(Known::Line(_))) {
            shard.set(hash, Known::Line(line));
        }
        known
    }

    /// The same, if the id has a result of the request with this fingerprint. Otherwise nothing is
    /// noted, and false.
    pub(super) fn meet_finished(&mut self, id: &str, print: Fingerprint, line: u64) -> bool {
        let hash = Key::of(id);
        let shard = &mut self.0[hash.shard()];
        let at = shard.find(hash);
        let Some(slot) = shard.slots.get_mut(at) else {
            return false;
        };
        let is_finished = slot.known() == Some(Known::Finished(Some(print)));
        if is_finished {
            *slot = Slot::new(hash, Known::Line(line));
        }
        is_finished
    }

    /// The request that the result of an id is of, where that is known: the first time that it is asked
    /// for.
    pub(super) fn see(&mut self, id: &str) -> Option<Fingerprint> {
        let hash = Key::of(id);
        self.0[hash.shard()].see(hash)
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        let slots: usize = self.0.iter().map(|shard| shard.slots.capacity()).sum();
        slots * size_of::<Slot>() + self.0.capacity() * size_of::<Shard>()
    }
}

impl Shard {
    fn get(&self, hash: Key) -> Option<Known> {
        self.slots.get(self.find(hash))?.known()
    }

    fn see(&mut self, hash: Key) -> Option<Fingerprint> {
        let at = self.find(hash);
        let slot = self.slots.get_mut(at)?;
        if slot.state != State::Finished {
            return None;
        }
        slot.state = State::FinishedAndSeen;
        Some(Fingerprint(slot.value))
    }

    fn set(&mut self, hash: Key, known: Known) -> Option<Known> {
        if (self.filled + 1) * 5 > self.slots.len() * 4 {
            self.grow();
        }
        let at = self.find(hash);
        let before = self.slots[at].known();
        self.filled += usize::from(before.is_none());
        self.slots[at] = Slot::new(hash, known);
        before
    }

    /// Where it stands, or the empty slot where it would. There always is one, except in a shard
    /// without slots.
    fn find(&self, hash: Key) -> usize {
        let mut at = hash.home(self.slots.len());
        while self.slots.get(at).is_some_and(|slot| !slot.is_for(hash)) {
            at = if at + 1 == self.slots.len() {
                0
            } else {
                at + 1
            };
        }
        at
    }

    fn grow(&mut self) {
        self.resize(self.slots.len() + self.slots.len() / 8 + 8);
    }

    fn reserve(&mut self, ids: usize) {
        let slots = (ids + 1) * 5 / 4 + 1;
        if slots > self.slots.len() {
            self.resize(slots);
        }
    }

    fn resize(&mut self, slots: usize) {
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; slots]);
        for slot in old {
            if slot.state != State::Empty {
                let at = self.find(slot.hash());
                self.slots[at] = slot;
            }
        }
    }
}

impl Slot {
    fn new(Key(hash, more_hash): Key, known: Known) -> Self {
        let (state, value) = match known {
            Known::Line(line) => (State::Line, line),
            Known::Finished(Some(Fingerprint(print))) => (State::Finished, print),
            Known::Finished(None) => (State::FinishedUnknown, 0),
            Known::Failed(Some(Fingerprint(print))) => (State::Failed, print),
            Known::Failed(None) => (State::FailedUnknown, 0),
        };
        Self {
            hash,
            value,
            more_hash,
            state,
        }
    }

    fn known(self) -> Option<Known> {
        match self.state {
            State::Empty => None,
            State::Line => Some(Known::Line(self.value)),
            State::Finished | State::FinishedAndSeen => {
                Some(Known::Finished(Some(Fingerprint(self.value))))
            }
            State::FinishedUnknown => Some(Known::Finished(None)),
            State::Failed => Some(Known::Failed(Some(Fingerprint(self.value)))),
            State::FailedUnknown => Some(Known::Failed(None)),
        }
    }

    fn hash(self) -> Key {
        Key(self.hash, self.more_hash)
    }

    /// True when this is the slot of that hash: it stands here, or is to.
    fn is_for(self, hash: Key) -> bool {
        self.state == State::Empty || self.hash() == hash
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_takes_at_most_32_bytes_and_is_no_other() {
        assert_eq!(size_of::<Slot>(), 20);
        let mut ids = Ids::default();
        for number in 0..300_000_usize {
            let id = format!("a rather long id that is not kept as it is {number}");
            assert_eq!(ids.meet(&id, number as u64), None, "{number}");
            let shards = ids.0.iter().map(|shard| shard.slots.capacity());
            // While a shard grows, what it was and what it is stand side by side.
            if number % 1_000 == 0 {
                let copy = shards.max().unwrap() * size_of::<Slot>();
                let most = (number + 1) * 29 + 48 * 1_024;
                assert!(ids.bytes() + copy <= most, "{number}: {}", ids.bytes());
            }
        }
        for number in 0..300_000_usize {
            let id = format!("a rather long id that is not kept as it is {number}");
            assert_eq!(ids.get(&id), Some(Known::Line(number as u64)));
            assert_eq!(ids.get(&format!("another {number}")), None);
        }
    }

    #[test]
    fn either_part_of_a_hash_tells_ids_apart() {
        let mut shard = Shard::default();
        let hashes = [Key(7, 1), Key(7, 2), Key(8, 1)];
        for (line, hash) in hashes.into_iter().enumerate() {
            assert_eq!(shard.set(hash, Known::Line(line as u64)), None, "{hash:?}");
        }
        for (line, hash) in hashes.into_iter().enumerate() {
            assert_eq!(shard.get(hash), Some(Known::Line(line as u64)), "{hash:?}");
        }
    }

    #[test]
    fn what_is_finished_is_met_by_its_own_request_alone() {
        let mut ids = Ids::default();
        let print = Fingerprint(7);
        assert!(!ids.meet_finished("a", print, 1));
        ids.set("a", Known::Finished(Some(print)));
        assert!(!ids.meet_finished("a", Fingerprint(8), 1));
        assert_eq!(ids.see("a"), Some(print)); // and may have been compared before
        assert!(ids.meet_finished("a", print, 2));
        assert_eq!(ids.get("a"), Some(Known::Line(2)));
        assert!(
            !ids.meet_finished("a", print, 3),
            "the second line of its name"
        );
        for known in [Known::Finished(None), Known::Failed(Some(print))] {
            ids.set("b", known);
            assert!(!ids.meet_finished("b", print, 1), "{known:?}");
        }
    }

    #[test]
    fn the_first_line_stands_and_what_was_known_before_is_told_once() {
        let mut ids = Ids::default();
        let known = [
            Known::Finished(None),
            Known::Finished(Some(Fingerprint(u64::MAX))),
            Known::Failed(Some(Fingerprint(7))),
            Known::Failed(None),
        ];
        for (id, known) in ["a", "b", ""].into_iter().zip(known) {
            assert_eq!(ids.set(id, known), None);
            assert_eq!(ids.get(id), Some(known));
            assert_eq!(ids.meet(id, 5), Some(known), "{id}");
            assert_eq!(ids.meet(id, 6), Some(Known::Line(5)), "{id}");
            assert_eq!(ids.meet(id, 7), Some(Known::Line(5)), "{id}");
        }
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0..400_u64, any::<u64>(), 0..3_u8), 0..2_000)) {
            let (mut ids, mut map) = (Ids::default(), HashMap::new());
            for (number, value, kind) in steps {
                let known = match kind {
                    0 => Known::Line(value),
                    1 => Known::Failed(None),
                    _ => Known::Finished((value % 2 == 0).then_some(Fingerprint(value))),
                };
                let id = number.to_string();
                prop_assert_eq!(ids.set(&id, known), map.insert(number, known));
                let other = value % 400;
                prop_assert_eq!(ids.get(&other.to_string()), map.get(&other).copied());
            }
        }
    }
}
