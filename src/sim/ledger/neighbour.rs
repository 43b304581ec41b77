//! Another user of the account: its charges, computed when the ledger is next used.

use super::super::config::NeighbourRule;
use super::super::fraction::WHOLE;

#[derive(Debug, Clone)]
pub(super) struct Neighbour {
    share: u64,
    every: u64,
    /// When the next charge is due.
    pub(super) next: u64,
    /// What was due and did not fit.
    pub(super) owed: u64,
    /// What the charges so far were rounded down by, in parts per million times nanoseconds.
    rest: u128,
}

impl Neighbour {
    pub(super) fn new(rule: NeighbourRule) -> Self {
        let every = u64::try_from(rule.every.as_nanos()).unwrap_or(u64::MAX);
        let every = every.max(1);
        Self {
            share: rule.share,
            every,
            next: every,
            owed: 0,
            rest: 0,
        }
    }

    /// Adds the share of one interval of a limit to what is owed. Rounding never adds up: it is
    /// carried on to the next interval.
    pub(super) fn fall_due(&mut self, limit: u64, period: u64) {
        let whole = u128::from(WHOLE) * u128::from(period.max(1));
        let due = u128::from(limit)
            .saturating_mul(u128::from(self.share))
            .saturating_mul(u128::from(self.every))
            .saturating_add(self.rest);
        self.rest = due % whole;
        let amount = u64::try_from(due / whole).unwrap_or(u64::MAX);
        self.owed = self.owed.saturating_add(amount);
        self.next = self.next.saturating_add(self.every);
    }
}
