//! Levels that follow what a server says: corrected, renamed, filled and charged otherwise.
//!
//! What a server says comes with noise, so it is reckoned with in floating point. Only here does
//! it become integers, and from then on nothing is rounded.

#[cfg(feature = "redis")]
use super::Tick;
use super::{Adjustment, Bucket, MILLION, Probe};
use crate::quota::{MAX_AMOUNT, Quota};

impl Bucket {
    /// Moves the level by `units`, not above the burst.
    pub(in crate::limiter) fn shift(&mut self, units: f64) {
        let target = self.level.saturating_add(scaled_units(units, self.period));
        self.level = target.min(self.full);
    }

    /// Sets the level to `units`, not above the burst.
    pub(in crate::limiter) fn set_units(&mut self, units: f64) {
        self.level = scaled_units(units, self.period).min(self.full);
    }

    /// What is left, with its fraction.
    pub(in crate::limiter) fn units(&self) -> f64 {
        self.in_units(self.level)
    }

    /// What a refill until `now` would bring in beyond the burst.
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn spills(&self, now: Tick) -> f64 {
        let came_in = super::product(now.0.saturating_sub(self.at.0), self.rate);
        self.in_units((self.level + came_in - self.full).max(0))
    }

    /// What comes in, in units per second.
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn fills_at(&self) -> f64 {
        self.rate as f64 / self.quota.period().as_secs_f64()
    }

    /// What is held back because it may not be there.
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn reserve(&self) -> f64 {
        let reserve = self.other.as_ref().map_or(0, |other| other.reserve);
        self.in_units(reserve)
    }

    /// What fits into the bucket.
    pub(in crate::limiter) fn capacity(&self) -> f64 {
        self.in_units(self.full)
    }

    /// Only counts, holds no request back and is hidden, until it is [woken](Bucket::wake).
    pub(in crate::limiter) fn rest(&mut self) {
        let other = self.otherwise();
        (other.hidden, other.idle) = (true, true);
    }

    /// Holds back again, and is seen.
    pub(in crate::limiter) fn wake(&mut self) {
        let other = self.otherwise();
        (other.hidden, other.idle) = (false, false);
    }

    /// One response alone says that the quota is this small: nothing is refused for that, and the next
    /// request that would have to wait is sent as a probe.
    pub(in crate::limiter) fn send_probe(&mut self) {
        self.otherwise().probe = Probe::Next;
    }

    /// The quota is what it is.
    pub(in crate::limiter) fn confirm(&mut self) {
        if self.is_unconfirmed() {
            self.otherwise().probe = Probe::Confirmed;
        }
    }

    pub(in crate::limiter) fn is_unconfirmed(&self) -> bool {
        let other = self.other.as_ref();
        other.is_some_and(|other| other.probe != Probe::Confirmed)
    }

    /// Forgets its debt.
    pub(in crate::limiter) fn forgive(&mut self) {
        self.level = self.level.max(0);
    }

    /// Becomes the level of another quota of the same unit, which fills at `speed` times its
    /// rate. What is left stays left, up to the new burst.
    pub(in crate::limiter) fn pace(&mut self, quota: Quota, speed: f64) {
        let left = self.units();
        *self = Self {
            other: self.other.take(),
            ..Self::full(quota, self.at)
        };
        if let Some(other) = &mut self.other {
            other.last_charge = None; // it was of another scale
        }
        self.fill_at(quota.amount() as f64 * speed);
        self.set_units(left);
    }

    /// Becomes the level of another quota of the same unit. What is used stays used: a bucket that
    /// gets larger gains what it can hold more, and one that gets smaller may be in debt.
    pub(in crate::limiter) fn resize(&mut self, quota: Quota) {
        let used = self.full.saturating_sub(self.level);
        let scale = self.period;
        self.pace(quota, 1.0);
        self.level = self.full.saturating_sub(rescaled(used, scale, self.period));
    }

    /// Fills at `rate` per period in place of the quota's amount.
    pub(in crate::limiter) fn fill_at(&mut self, rate: f64) {
        self.rate = whole_amount(rate).max(1);
    }

    /// Charges `ratio` times what a cost says, and holds `reserve` units back.
    pub(in crate::limiter) fn charge(&mut self, ratio: f64, reserve: f64) {
        let told = Some((ratio, reserve));
        if self
            .other
            .as_ref()
            .is_some_and(|other| other.last_charge == told)
        {
            return;
        }
        let reserve = scaled_units(reserve, self.period).clamp(0, self.full);
        let other = self.otherwise();
        other.last_charge = told;
        other.per_million = whole_amount(ratio * MILLION as f64);
        other.reserve = reserve;
    }

    /// Leaves it out of snapshots, and lets it refuse no amount.
    pub(in crate::limiter) fn hidden(mut self) -> Self {
        self.otherwise().hidden = true;
        self
    }

    pub(in crate::limiter) fn is_hidden(&self) -> bool {
        self.other.as_ref().is_some_and(|other| other.hidden)
    }

    fn otherwise(&mut self) -> &mut Adjustment {
        self.other.get_or_insert_default()
    }

    fn in_units(&self, scaled: i128) -> f64 {
        scaled as f64 / self.period as f64
    }
}

/// An amount to the scale of one period as one to that of another, rounded up.
fn rescaled(scaled: i128, from: u64, to: u64) -> i128 {
    if from == to {
        return scaled;
    }
    // In two parts, of which the whole one is an amount and the other is below one: both fit.
    let (from, to) = (i128::from(from), i128::from(to));
    let (whole, part) = (scaled.div_euclid(from), scaled.rem_euclid(from));
    let part = (part * to + from - 1).div_euclid(from);
    whole.saturating_mul(to).saturating_add(part)
}

/// Units of a quota to the scale of its level. What is no number is nothing.
#[allow(
    clippy::cast_possible_truncation,
    reason = "`as` saturates, which is meant"
)]
fn scaled_units(units: f64, period: u64) -> i128 {
    (units * period as f64) as i128
}

/// The whole amount nearest to a number, within what amounts can be.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is meant"
)]
fn whole_amount(number: f64) -> u64 {
    (number.round() as u64).min(MAX_AMOUNT)
}
