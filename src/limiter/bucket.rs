//! Bucket arithmetic: exact, on integers, with the time passed in. No lock, clock or thread.
//!
//! A level is held in *amount × nanoseconds of the period*. One unit of the quota is then
//! `period` of these, and a nanosecond brings in `amount` of them: refilling is one
//! multiplication and nothing is ever rounded away. Only a wait needs a division, and it
//! rounds up.
//!
//! ```text
//! 30,000 tokens per minute:  one token  = 60,000,000,000
//!                            one ns     = 30,000            so one token comes in 2 ms
//! ```
//!
//! The largest values: an amount is below 2⁵³, a period below 2⁵² ns, a time below 2⁶⁴ ns, so a
//! full bucket is below 2¹⁰⁵ and a refill below 2¹¹⁷. `i128` has room for both. Only debt is
//! unbounded (settlements say what they like), and saturates.

mod adjusted; // levels that follow what a server says
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::quota::Quota;
use crate::unit::Unit;
use crate::{AcquireError, Result};

/// A time in nanoseconds since the limiter's clock began: 584 years' worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Tick(pub(crate) u64);

impl Tick {
    /// A time that does not come.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The time `duration` later, or [`Tick::NEVER`].
    #[inline]
    pub(crate) fn after(self, duration: Duration) -> Self {
        let seconds = duration.as_secs().saturating_mul(1_000_000_000);
        let nanos = seconds.saturating_add(u64::from(duration.subsec_nanos()));
        Self(self.0.saturating_add(nanos))
    }
}

/// How much of one quota is left.
///
/// The quota is what it is called by. A level that [hears](super::hearing) what a server says may
/// fill slower, charge more or grant less than its quota alone would have it.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    quota: Quota,
    /// Nanoseconds in the quota's period: the scale.
    period: u64,
    /// What a nanosecond brings in: the quota's amount, unless an estimator sets another rate.
    rate: u64,
    /// The burst, to scale. The level never stands above it.
    full: i128,
    /// What is otherwise than the quota alone would have it, if anything is.
    other: Option<Box<Adjustment>>,
    /// What is left, to scale. Negative is debt: it has to come in before anything is granted.
    level: i128,
    /// When `level` was right.
    at: Tick,
}

/// What a level does that follows what a server says. Apart, because most do not, and each
/// acquire looks at all that a level is.
#[derive(Debug, Clone)]
struct Adjustment {
    /// The last arguments of [`Bucket::charge`] for this quota: most calls repeat them.
    last_charge: Option<(f64, f64)>,
    /// What a cost of a million is charged.
    per_million: u64,
    /// What is never granted, to scale: the part of the level that may not be there.
    reserve: i128,
    /// Whether it is left out of snapshots and predictions.
    hidden: bool,
    /// Whether it only counts, and holds no request back.
    idle: bool,
    /// What a limit lets through that one response alone has reported.
    probe: Probe,
}

/// What is done about a limit that one response alone has reported: one request of any amount is sent as a
/// probe, and others wait for its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Probe {
    /// A second response, or the user, has named the limit: no probe is needed.
    #[default]
    Confirmed,
    /// The next request that is above it, or would wait for long, is the probe.
    Next,
    /// It has been granted.
    Sent,
}

impl Default for Adjustment {
    fn default() -> Self {
        Self {
            last_charge: None,
            per_million: MILLION,
            reserve: 0,
            hidden: false,
            idle: false,
            probe: Probe::Confirmed,
        }
    }
}

impl Bucket {
    /// The bucket that a limiter begins with.
    pub(crate) fn starting(quota: Quota, now: Tick) -> Self {
        let mut level = Self::full(quota, now);
        level.level = product(quota.start(), level.period);
        level
    }

    /// A full bucket.
    pub(crate) fn full(quota: Quota, now: Tick) -> Self {
        let period = u64::try_from(quota.period().as_nanos()).unwrap_or(u64::MAX); // below 2^52
        let full = product(quota.burst(), period);
        Self {
            quota,
            period,
            rate: quota.amount(),
            full,
            other: None,
            level: full,
            at: now,
        }
    }

    pub(crate) fn quota(&self) -> Quota {
        self.quota
    }

    #[inline]
    pub(crate) fn unit(&self) -> Unit {
        self.quota.unit()
    }

    /// Whether it is that of a quota of this unit and period.
    pub(crate) fn is_of(&self, unit: Unit, period: Duration) -> bool {
        (self.unit(), self.quota.period()) == (unit, period)
    }

    /// Refuses an amount that no waiting would help.
    pub(crate) fn check(&self, amount: u64) -> Result<(), AcquireError> {
        match self.passes(amount) {
            true => Ok(()),
            false => Err(self.quota.too_large(amount)),
        }
    }

    /// Brings the level up to `now`. A time before the last one changes nothing: a clock that
    /// steps back brings in nothing twice.
    #[inline]
    pub(crate) fn refill(&mut self, now: Tick) {
        if now > self.at {
            let came_in = product(now.0 - self.at.0, self.rate);
            self.level = self.full.min(self.level + came_in);
            self.at = now;
        }
    }

    /// Whether `amount` can be granted at the level's time. One above the burst is granted when
    /// the bucket is full, and leaves a debt.
    #[inline]
    pub(crate) fn covers(&self, amount: u64) -> bool {
        self.level >= self.needed(amount)
    }

    /// The first time at which the level [covers](Bucket::covers) `amount` if nothing else is
    /// taken: rounded up, so never early.
    pub(crate) fn due(&self, amount: u64) -> Tick {
        self.due_after(0, amount)
    }

    /// The same if `taken` had been taken before.
    pub(crate) fn due_after(&self, taken: u64, amount: u64) -> Tick {
        let left = self.level.saturating_sub(self.scaled(taken));
        let missing = self.needed(amount).saturating_sub(left);
        if missing <= 0 {
            return self.at;
        }
        let nanos = (missing - 1) / i128::from(self.rate) + 1;
        u64::try_from(nanos).map_or(Tick::NEVER, |nanos| Tick(self.at.0.saturating_add(nanos)))
    }

    /// Brings the level up to `now` and takes an amount that is all there, in one go. Returns false
    /// and takes nothing if it is not, or if it is above the whole or the burst, for which there are
    /// other rules.
    #[inline(always)]
    pub(crate) fn take_freely(&mut self, amount: u64, now: Tick) -> bool {
        self.refill(now);
        if let Some(other) = &self.other {
            let taken = product(other.charged(amount), self.period);
            let is_free = other.idle
                || self.passes(amount) && self.level >= (taken + other.reserve).min(self.full);
            if is_free {
                self.level = self.level.saturating_sub(taken);
            }
            return is_free;
        }
        let taken = product(amount, self.period);
        // Compared and not subtracted first: a debt may be as large as there are numbers.
        let is_free = amount <= self.quota.amount() && self.level >= taken;
        if is_free {
            self.level -= taken;
        }
        is_free
    }

    /// Takes `amount`, below zero if need be.
    #[inline]
    pub(crate) fn take(&mut self, amount: u64) {
        if self.is_probe(amount)
            && let Some(other) = &mut self.other
        {
            other.probe = Probe::Sent;
        }
        self.level = self.level.saturating_sub(self.scaled(amount));
    }

    /// Puts `amount` back. What would stand above the burst is lost, as a refill above it is.
    #[inline]
    pub(crate) fn give(&mut self, amount: u64) {
        // Below 2¹⁰⁵ and 2¹¹⁶: see above.
        self.level = self.full.min(self.level + self.scaled(amount));
    }

    /// Sets what is left, not above the burst; negative is debt.
    pub(crate) fn set_available(&mut self, units: i64) {
        self.level = self.full.min(i128::from(units) * i128::from(self.period));
    }

    /// What is left in whole units, rounded down; negative is debt.
    pub(crate) fn available(&self) -> i64 {
        let whole = self.level.div_euclid(i128::from(self.period));
        i64::try_from(whole).unwrap_or(i64::MIN) // only debt can be that large
    }

    /// Takes what `actual` has more than `reserved`, or gives back what it has less.
    #[inline]
    pub(crate) fn settle(&mut self, reserved: u64, actual: u64) {
        match actual.checked_sub(reserved) {
            None => self.give(reserved - actual),
            Some(0) => {}
            Some(more) => self.take(more),
        }
    }

    /// Whether waiting can be enough for an amount. A provisional limit may be too low: an amount above
    /// it passes at a full bucket, and the server reports the limit. One that a single response has
    /// reported may be wrong: nothing is refused before a second one.
    fn passes(&self, amount: u64) -> bool {
        amount <= self.quota.amount()
            || self.is_hidden()
            || self.quota.is_provisional()
            || self.is_unconfirmed()
    }

    #[inline]
    fn needed(&self, amount: u64) -> i128 {
        match &self.other {
            None => product(amount, self.period).min(self.full),
            Some(other) => self.needed_adjusted(amount, other),
        }
    }

    #[inline]
    fn scaled(&self, amount: u64) -> i128 {
        match &self.other {
            None => product(amount, self.period),
            Some(other) => product(other.charged(amount), self.period),
        }
    }

    fn needed_adjusted(&self, amount: u64, other: &Adjustment) -> i128 {
        if other.idle || self.is_probe(amount) {
            return i128::MIN;
        }
        // Below 2¹¹⁶ and 2¹⁰⁵: see above.
        (product(other.charged(amount), self.period) + other.reserve).min(self.full)
    }

    /// Whether an amount passes as the probe of a limit that one response alone has reported: one that is above
    /// it, or that would wait for long.
    fn is_probe(&self, amount: u64) -> bool {
        let is_next = self
            .other
            .as_ref()
            .is_some_and(|it| it.probe == Probe::Next);
        is_next
            && (amount > self.quota.amount()
                || self.level < product(amount, self.period) - product(LONG_WAIT, self.rate))
    }
}

impl Adjustment {
    /// What an amount is charged where that is not what it is.
    #[inline]
    fn charged(&self, amount: u64) -> u64 {
        if self.per_million == MILLION {
            return amount;
        }
        // In one register where that is enough, because a division of two takes ten times as long.
        if let Some(charged) = amount.checked_mul(self.per_million) {
            return charged.div_ceil(MILLION);
        }
        let charged = u128::from(amount) * u128::from(self.per_million);
        u64::try_from(charged.div_ceil(u128::from(MILLION))).unwrap_or(u64::MAX)
    }
}

const MILLION: u64 = 1_000_000;
/// A wait for which a limit has to be more than one response's word, in nanoseconds. The careful start makes
/// requests wait for less.
const LONG_WAIT: u64 = 10_000_000_000;

/// One multiplication of the machine's, since both factors fit a register.
fn product(a: u64, b: u64) -> i128 {
    i128::from(a) * i128::from(b)
}
