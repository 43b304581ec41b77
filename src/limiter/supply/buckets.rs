//! The buckets of several quotas, which are taken from together or not at all.

use std::time::Duration;

use super::super::bucket::{Bucket, Tick};
use super::forecast::Forecast;
use crate::cost::Cost;
use crate::quota::Quota;
use crate::unit::Unit;
use crate::{AcquireError, Result};

/// A bucket for each quota.
#[derive(Debug, Clone, Default)]
pub(in crate::limiter) struct Buckets(pub(in crate::limiter) Vec<Bucket>);

impl Buckets {
    /// Buckets as a limiter begins with them.
    pub(super) fn starting<'a>(quotas: impl IntoIterator<Item = &'a Quota>, now: Tick) -> Self {
        let quotas = quotas.into_iter();
        Self(quotas.map(|quota| Bucket::starting(*quota, now)).collect())
    }

    #[inline]
    pub(super) fn refill(&mut self, now: Tick) {
        for level in &mut self.0 {
            level.refill(now);
        }
    }

    /// Brings all up to `now` and takes a cost that is all there, in one go. Takes nothing if it is
    /// not, or if there are other rules for it.
    #[inline(always)]
    pub(super) fn take_freely(&mut self, cost: Cost, now: Tick) -> bool {
        let amounts = cost.amounts();
        let mut levels = self.0.iter_mut();
        let refuses = |level: &mut Bucket| !level.take_freely(amounts[level.unit().index()], now);
        match levels.position(refuses) {
            None => true,
            Some(taken) => {
                self.take_back(cost, taken);
                false
            }
        }
    }

    /// Gives back to the first ones what has just been taken from them.
    #[cold]
    fn take_back(&mut self, cost: Cost, count: usize) {
        for level in &mut self.0[..count] {
            level.give(cost.amount(level.unit()));
        }
    }

    pub(super) fn covers(&self, cost: Cost) -> bool {
        let mut levels = self.0.iter();
        levels.all(|level| level.covers(cost.amount(level.unit())))
    }

    pub(super) fn take(&mut self, cost: Cost) {
        for level in &mut self.0 {
            level.take(cost.amount(level.unit()));
        }
    }

    /// Takes what `actual` has more than `reserved`, and gives back what it has less.
    pub(super) fn settle(&mut self, reserved: Cost, actual: Cost) {
        let (reserved, actual) = (reserved.amounts(), actual.amounts());
        for level in &mut self.0 {
            let unit = level.unit().index();
            level.settle(reserved[unit], actual[unit]);
        }
    }

    /// When a cost is covered, if nothing else is taken before.
    pub(super) fn due(&self, cost: Cost) -> Tick {
        let levels = self.0.iter();
        let dues = levels.map(|level| level.due(cost.amount(level.unit())));
        dues.fold(Tick::default(), Tick::max)
    }

    /// Whether `wanted` is still due at `due` if `cost` is taken before it.
    pub(super) fn stays_due(&self, wanted: Cost, cost: Cost, due: Tick) -> bool {
        let mut levels = self.0.iter();
        levels.all(|level| {
            let (taken, wanted) = (cost.amount(level.unit()), wanted.amount(level.unit()));
            level.due_after(taken, wanted) <= due
        })
    }

    /// The quota that a cost can never pass.
    pub(super) fn too_small(&self, cost: Cost) -> Option<Quota> {
        let mut levels = self.0.iter();
        let never = |level: &&Bucket| level.check(cost.amount(level.unit())).is_err();
        levels.find(never).map(Bucket::quota)
    }

    /// The buckets that are shown, with their places.
    pub(super) fn shown(&self) -> impl Iterator<Item = (usize, &Bucket)> {
        let levels = self.0.iter().enumerate();
        levels.filter(|(_, level)| !level.is_hidden())
    }

    /// Plays those that are shown forward: a careful start ends with the first answers, and would make
    /// predictions far too long.
    pub(super) fn forecast(&self, start: Tick) -> Forecast {
        Forecast::new(self.shown().map(|(_, level)| level), start)
    }

    /// The quota that a cost waits for longest.
    pub(super) fn binding(&self, cost: Cost) -> Option<Quota> {
        let levels = self.shown().map(|(_, level)| level);
        let slowest = levels.max_by_key(|level| level.due(cost.amount(level.unit())));
        slowest.map(Bucket::quota)
    }

    /// Sets what is left of each quota of a unit and period. Returns whether there is one.
    pub(super) fn set_left(&mut self, unit: Unit, period: Duration, left: i64) -> bool {
        let levels = self.0.iter_mut();
        let of = |level: &&mut Bucket| level.is_of(unit, period) && !level.is_hidden();
        let set = levels.filter(of).map(|level| level.set_available(left));
        set.count() > 0
    }

    /// Holds other quotas from now on. What is used stays used.
    pub(in crate::limiter) fn replace(&mut self, quotas: &[Quota], now: Tick) {
        let old = std::mem::take(&mut self.0);
        let level = |index| successor(index, &old, quotas, now);
        self.0 = (0..quotas.len()).map(level).collect();
    }
}

/// Refuses a cost that no waiting would help.
pub(super) fn refuse(quota: Option<Quota>, cost: Cost) -> Result<(), AcquireError> {
    let error = |quota: Quota| -> AcquireError { quota.too_large(cost.amount(quota.unit())) };
    quota.map_or(Ok(()), |quota| Err(error(quota)))
}

/// The level of a new quota. It continues that of the same unit and period, of several from its
/// own; or else from the one of another period whose place it takes: the same rate by the second
/// and not by the minute is no new burst. Of that it is at most empty: what has been used of a day
/// is not a minute's debt.
fn successor(index: usize, old: &[Bucket], new: &[Quota], now: Tick) -> Bucket {
    let quota = new[index];
    let is_same = |other: &&Quota| (other.unit(), other.period()) == (quota.unit(), quota.period());
    let before = new[..index].iter().filter(is_same).count();
    let same = |level: &&Bucket| level.is_of(quota.unit(), quota.period());
    let mut own = old.iter().filter(same);
    if let Some(level) = own.clone().nth(before).or_else(|| own.next()) {
        let mut level = level.clone();
        level.resize(quota);
        return level;
    }
    let goes_on = |level: &Bucket| new.iter().any(|new| level.is_of(new.unit(), new.period()));
    let ended = old
        .iter()
        .filter(|level| level.unit() == quota.unit() && !goes_on(level));
    match ended.min_by_key(|level| level.quota().period().abs_diff(quota.period())) {
        Some(level) => {
            let mut level = level.clone();
            level.resize(quota);
            level.forgive();
            level
        }
        None => Bucket::starting(quota, now),
    }
}
