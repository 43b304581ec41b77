//! What has been used of one limit, and whether more fits. Pure: the caller passes in the time.
//!
//! The API's own way of putting it is "Limit L, Used U, Requested R": what is used leaks away at
//! L a minute, and a request fits when used and requested together are within the capacity.
//! Everything is counted in tokens times the period's nanoseconds, so that one nanosecond leaks
//! exactly L of them and nothing is ever rounded but what is shown. In windows nothing leaks, and
//! with each new one nothing is used.

use std::time::Duration;

use super::super::rule::Rule;

#[derive(Debug, Clone)]
pub(super) struct Meter {
    pub(super) limit: u64,
    capacity: u64,
    period: u64,
    span: u64,
    windows: bool,
    /// In tokens times nanoseconds, as it was at `at`.
    used: u128,
    at: u64,
}

impl Meter {
    /// For a limit of this rule. The capacity is what comes in within the rule's span: rounded
    /// down, but at least 1.
    pub(super) fn new(rule: &Rule, limit: u64, now: u64) -> Self {
        let (period, span) = (rule.period.max(1), rule.span.max(1));
        Self {
            limit,
            capacity: capacity(limit, span, period),
            period,
            span,
            windows: rule.windows,
            used: 0,
            at: now,
        }
    }

    /// Another limit from `now` on. What is used stays used.
    pub(super) fn change(&mut self, limit: u64, now: u64) {
        self.used = self.used_at(now);
        self.at = self.at.max(now);
        self.limit = limit;
        self.capacity = capacity(limit, self.span, self.period);
    }

    pub(super) fn used_at(&self, now: u64) -> u128 {
        if self.windows {
            let same = now / self.span <= self.at / self.span;
            return if same { self.used } else { 0 };
        }
        let leaked = u128::from(now.saturating_sub(self.at)) * u128::from(self.limit);
        self.used.saturating_sub(leaked)
    }

    /// Nanoseconds until `amount` fits, rounded up; 0 when it fits now. An amount above the
    /// capacity fits when nothing is used.
    pub(super) fn wait(&self, amount: u64, now: u64) -> u64 {
        let room = self.weigh(self.capacity.saturating_sub(amount));
        let excess = self.used_at(now).saturating_sub(room);
        if excess == 0 {
            0
        } else {
            self.time_to_lose(excess, now)
        }
    }

    /// The whole amount that fits.
    pub(super) fn room(&self, now: u64) -> u64 {
        let room = self.weigh(self.capacity).saturating_sub(self.used_at(now));
        u64::try_from(room / u128::from(self.period)).unwrap_or(u64::MAX)
    }

    pub(super) fn take(&mut self, amount: u64, now: u64) {
        self.used = self.used_at(now).saturating_add(self.weigh(amount));
        self.at = self.at.max(now);
    }

    /// Takes `amount`, or as much of it as there is room for, to the last nanosecond.
    pub(super) fn take_within(&mut self, amount: u64, now: u64) {
        let used = self.used_at(now);
        let room = self.weigh(self.capacity).saturating_sub(used);
        self.used = used.saturating_add(self.weigh(amount).min(room));
        self.at = self.at.max(now);
    }

    /// Gives back what was taken at `taken_at`. False when there is nothing to give back to: what
    /// was taken from one window is not given to another.
    pub(super) fn give_back(&mut self, amount: u64, taken_at: u64, now: u64) -> bool {
        if self.windows && taken_at / self.span != now / self.span {
            return false;
        }
        self.used = self.used_at(now).saturating_sub(self.weigh(amount));
        self.at = self.at.max(now);
        true
    }

    /// What is used above the capacity, rounded up.
    pub(super) fn debt(&self, now: u64) -> u64 {
        let above = self.used_at(now).saturating_sub(self.weigh(self.capacity));
        u64::try_from(above.div_ceil(u128::from(self.period))).unwrap_or(u64::MAX)
    }

    pub(super) fn standing(&self, now: u64) -> Standing {
        let used = self.used_at(now);
        // As if the capacity were the limit, so that the message's numbers explain its wait:
        // (used + requested − limit) · 60 / limit.
        let shown = (used.div_ceil(u128::from(self.period)) + u128::from(self.limit))
            .saturating_sub(u128::from(self.capacity));
        Standing {
            limit: self.limit,
            used: u64::try_from(shown).unwrap_or(u64::MAX),
            remaining: self.room(now),
            reset: Duration::from_nanos(self.time_to_lose(used, now)),
        }
    }

    /// Until `used` is no longer used.
    fn time_to_lose(&self, used: u128, now: u64) -> u64 {
        if self.windows {
            return self.span - now % self.span;
        }
        u64::try_from(used.div_ceil(u128::from(self.limit.max(1)))).unwrap_or(u64::MAX)
    }

    fn weigh(&self, amount: u64) -> u128 {
        u128::from(amount) * u128::from(self.period)
    }
}

fn capacity(limit: u64, span: u64, period: u64) -> u64 {
    let within = u128::from(limit) * u128::from(span) / u128::from(period);
    u64::try_from(within).unwrap_or(u64::MAX).max(1)
}

/// What the headers and messages say about one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) struct Standing {
    pub(in crate::sim) limit: u64,
    /// Rounded up.
    pub(in crate::sim) used: u64,
    /// Rounded down, and 0 while there is a debt.
    pub(in crate::sim) remaining: u64,
    /// Until nothing is used; in windows until the next one.
    pub(in crate::sim) reset: Duration,
}
