//! The places of requests in flight: taken with a grant, given back when its permit ends.

use super::bucket::Tick;
use super::window::{Landing, Window};

/// How many may be in flight, and how many are.
///
/// Where there is no cap and no window nothing is counted, so that ending a permit costs nothing. One
/// that was granted before a cap was set has no place and gives none back.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    most: Option<u64>,
    /// What the server has room for, as far as that is found out.
    window: Option<Box<Window>>,
    /// What both allow now.
    allowed: u64,
    taken: u64,
}

impl Slots {
    pub(super) fn new(most: Option<u64>) -> Self {
        Self {
            most,
            window: None,
            allowed: most.unwrap_or(u64::MAX),
            taken: 0,
        }
    }

    /// Finds out from now on how many the server has room for.
    pub(super) fn open_window(&mut self) {
        self.window = Some(Box::new(Window::new()));
        self.follow();
    }

    /// Sets another cap. Requests in flight stay in flight, and are counted to their end.
    pub(super) fn set_most(&mut self, most: Option<u64>) {
        self.most = most;
        self.follow();
    }

    pub(super) fn most(&self) -> Option<u64> {
        self.most
    }

    /// How many may be in flight as far as the server is concerned, if that is found out.
    pub(super) fn window(&self) -> Option<u64> {
        self.window.as_ref().map(|window| window.limit())
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Advances to `now`.
    #[inline]
    pub(super) fn advance(&mut self, now: Tick) {
        if let Some(window) = &mut self.window {
            window.advance(now);
            self.follow();
        }
    }

    /// What both allow is what the smaller one allows.
    fn follow(&mut self) {
        let most = self.most.unwrap_or(u64::MAX);
        self.allowed = self.window().map_or(most, |window| window.min(most));
    }

    /// Whether there are `count` places.
    #[inline]
    pub(super) fn has(&self, count: u64) -> bool {
        self.taken.saturating_add(count) <= self.allowed
    }

    /// Whether there is a place for a request that lacks nothing else. The window counts it if there is
    /// none.
    #[inline]
    pub(super) fn has_for_head(&mut self) -> bool {
        let has = self.has(1);
        if !has
            && self.most.is_none_or(|most| self.taken < most)
            && let Some(window) = &mut self.window
        {
            window.binds();
        }
        has
    }

    /// A request lacks something else.
    #[inline]
    pub(super) fn paced(&mut self) {
        if let Some(window) = &mut self.window {
            window.paced();
        }
    }

    /// When there is a place, if no request gives one back.
    pub(super) fn due(&self) -> Tick {
        if self.has(1) {
            return Tick::default();
        }
        let is_capped = self.most.is_some_and(|most| self.taken >= most);
        match &self.window {
            Some(window) if !is_capped => window.opens_at(self.taken),
            _ => Tick::NEVER,
        }
    }

    /// How many more may be in flight.
    #[cfg(feature = "redis")]
    pub(super) fn free(&self) -> usize {
        usize::try_from(self.allowed.saturating_sub(self.taken)).unwrap_or(usize::MAX)
    }

    /// Takes a place. Returns how many there are to give back: one, or none if they are not counted.
    #[inline]
    pub(super) fn take(&mut self, now: Tick) -> u64 {
        if let Some(window) = &mut self.window {
            window.granted(now);
        }
        let taken = u64::from(self.most.is_some() || self.window.is_some());
        self.taken += taken;
        taken
    }

    /// Whether it makes no difference when a place is given back: nothing is measured by it.
    pub(super) fn is_timeless(&self, landing: Landing) -> bool {
        let window = self.window.as_ref();
        window.is_none_or(|window| !window.measures(landing))
    }

    /// Gives a place back.
    pub(super) fn give_place(&mut self) {
        debug_assert!(self.taken > 0, "given back twice");
        self.taken = self.taken.saturating_sub(1);
    }

    /// Gives a place back that was taken at `sent`.
    pub(super) fn give(&mut self, landing: Landing, sent: Tick, now: Tick) {
        self.give_place();
        if let Some(window) = &mut self.window {
            window.landed(landing, sent, self.taken, now);
            self.follow();
        }
    }

    /// Tells the window, if there is one, of an answer to one of those in flight.
    pub(super) fn observe(&mut self, tell: impl FnOnce(&mut Window, u64)) {
        if let Some(window) = &mut self.window {
            tell(window, self.taken.saturating_sub(1));
            self.follow();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_counts_whom_it_let_in_and_nobody_else() {
        let mut slots = Slots::new(None);
        assert_eq!(slots.take(Tick(0)), 0, "nobody counts");
        slots.set_most(Some(2));
        assert_eq!(slots.take(Tick(0)), 1);
        assert!(slots.has(1) && !slots.has(2));
        assert_eq!(slots.take(Tick(0)), 1);
        assert!(!slots.has(1));
        slots.set_most(Some(1));
        slots.give(Landing::Unknown, Tick(0), Tick(0));
        assert!(!slots.has(1), "one is still in flight, and no more may be");
        slots.give(Landing::Unknown, Tick(0), Tick(0));
        assert!(slots.has(1));
        slots.set_most(None);
        assert!(slots.has(u64::MAX));
    }
}
