//! How many requests may be in flight when this side is out of descriptors, ports, threads or
//! memory. Pure: [`CapacityGate`](crate::batch::send::capacity_gate) waits.

/// Found by failing: an attempt that finds nothing left shows that the requests in flight have it all.
/// It grows by an eighth each time that as many requests as are allowed have succeeded, since what was missing
/// may have been taken by another program.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::batch) struct Capacity {
    most: usize,
    allowed: usize,
    successes: usize,
}

impl Capacity {
    pub(in crate::batch) fn new(most: usize) -> Self {
        Self {
            most,
            allowed: most,
            successes: 0,
        }
    }

    pub(in crate::batch) fn allowed(&self) -> usize {
        self.allowed
    }

    pub(in crate::batch) fn is_limited(&self) -> bool {
        self.allowed < self.most
    }

    /// An attempt found nothing left while `others` attempts were in flight.
    pub(in crate::batch) fn exhausted(&mut self, others: usize) {
        self.allowed = self.allowed.min(others).max(1);
        self.successes = 0;
    }

    /// A request succeeded. True when one more may be in flight.
    pub(in crate::batch) fn succeeded(&mut self) -> bool {
        self.successes += 1;
        let grows = self.successes >= self.allowed && self.is_limited();
        if grows {
            self.successes = 0;
            self.allowed = self.most.min(self.allowed + (self.allowed / 8).max(1));
        }
        grows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with room for `room` attempts at once; the rest of `wanted` fail, one after another.
    /// Returns how many are allowed then.
    fn storm(capacity: &mut Capacity, wanted: usize, room: usize) -> usize {
        let mut in_flight = wanted.min(capacity.allowed());
        while in_flight > room {
            in_flight -= 1;
            capacity.exhausted(in_flight);
        }
        capacity.allowed()
    }

    #[test]
    fn it_falls_to_what_there_is_room_for_and_grows_back_slowly() {
        let mut capacity = Capacity::new(1_000);
        assert!(!capacity.is_limited() && !capacity.succeeded());
        assert_eq!(storm(&mut capacity, 1_000, 50), 50);
        let grown = (0..49).any(|_| capacity.succeeded());
        assert!(!grown);
        assert!(capacity.succeeded());
        assert_eq!(capacity.allowed(), 56);
        assert_eq!(storm(&mut capacity, 1_000, 50), 50);
        // With room for all it takes some twenty rounds.
        let mut successes = 0;
        while capacity.is_limited() {
            capacity.succeeded();
            successes += 1;
        }
        assert_eq!(capacity.allowed(), 1_000);
        assert!((5_000..20_000).contains(&successes), "{successes}");
    }

    #[test]
    fn one_may_always_try() {
        let mut capacity = Capacity::new(4);
        capacity.exhausted(0);
        assert_eq!(capacity.allowed(), 1);
        assert!(capacity.succeeded());
        assert_eq!(capacity.allowed(), 2);
        let mut capacity = Capacity::new(1);
        capacity.exhausted(0);
        assert!(!capacity.is_limited());
    }
}
