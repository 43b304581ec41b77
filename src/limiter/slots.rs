//! The places of requests in flight: taken with a grant, given back when its permit ends.

/// How many may be in flight, and how many are.
///
/// Where there is no cap nobody is counted, so that ending a permit costs nothing. One that was
/// granted before a cap was set has no place and gives none back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots {
    most: Option<u64>,
    taken: u64,
}

impl Slots {
    pub(super) fn new(most: Option<u64>) -> Self {
        Self { most, taken: 0 }
    }

    /// Sets another cap. Who is in flight stays so, and is counted to the end.
    pub(super) fn set_most(&mut self, most: Option<u64>) {
        self.most = most;
    }

    pub(super) fn most(&self) -> Option<u64> {
        self.most
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether there are `count` places.
    #[inline]
    pub(super) fn has(&self, count: u64) -> bool {
        let fits = |most| self.taken.saturating_add(count) <= most;
        self.most.is_none_or(fits)
    }

    /// How many more may be in flight.
    #[cfg(feature = "redis")]
    pub(super) fn free(&self) -> usize {
        let free = |most: u64| usize::try_from(most.saturating_sub(self.taken));
        self.most
            .map_or(usize::MAX, |most| free(most).unwrap_or(usize::MAX))
    }

    /// Takes a place. Returns how many there are to give back: one, or none if nobody counts.
    #[inline]
    pub(super) fn take(&mut self) -> u64 {
        let taken = u64::from(self.most.is_some());
        self.taken += taken;
        taken
    }

    /// Gives a place back that was taken.
    pub(super) fn give(&mut self) {
        debug_assert!(self.taken > 0, "given back twice");
        self.taken = self.taken.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_counts_whom_it_let_in_and_nobody_else() {
        let mut slots = Slots::new(None);
        assert_eq!(slots.take(), 0, "nobody counts");
        slots.set_most(Some(2));
        assert_eq!(slots.take(), 1);
        assert!(slots.has(1) && !slots.has(2));
        assert_eq!(slots.take(), 1);
        assert!(!slots.has(1));
        slots.set_most(Some(1));
        slots.give();
        assert!(!slots.has(1), "one is still in flight, and no more may be");
        slots.give();
        assert!(slots.has(1));
        slots.set_most(None);
        assert!(slots.has(u64::MAX));
    }
}
