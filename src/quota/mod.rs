//! What is allowed: an amount of one unit per period, and sets of such quotas.

#[cfg(any(feature = "providers", feature = "tokens"))]
mod file; //    limits written down in TOML
mod limits; //  the quotas of one model or family
mod names; //   which models are the same to a limit
mod presets; // the guide's table, and the published tiers
mod table; //   limits by model

use std::fmt;
use std::time::Duration;

#[cfg(any(feature = "providers", feature = "tokens"))]
pub(crate) use file::{Place, from_toml};
pub use limits::{Limits, LimitsBuilder};
pub use names::base_model;
pub use presets::{PRESETS_DATED, Tier};
pub use table::LimitTable;

use crate::error::per;
use crate::unit::Unit;
use crate::{AcquireError, ConfigError, Error, Result};

/// The largest amount of anything, 2⁵³ − 1: what a double holds exactly, and far above every
/// real limit.
pub const MAX_AMOUNT: u64 = (1 << 53) - 1;

/// The longest period: 31 days.
pub const MAX_PERIOD: Duration = Duration::from_secs(31 * 24 * 60 * 60);

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An amount of one unit per period, with a burst.
///
/// A quota of 30,000 tokens a minute with a burst of 30,000 admits 30,000 tokens at once, and
/// from then on 500 a second: in any stretch of T seconds at most 30,000 + 500 · T. So the first
/// minute can pass 60,000, and that is what the API itself allows. With a burst of 500 (one
/// second of the rate) the first minute passes at most 30,500.
///
/// ```
/// use std::time::Duration;
/// use paceline::{Quota, Unit};
///
/// let quota = Quota::per_minute(Unit::Tokens, 30_000)?.with_burst_duration(Duration::from_secs(1));
/// assert_eq!((quota.amount(), quota.burst()), (30_000, 500));
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Quota {
    unit: Unit,
    amount: u64,
    #[cfg_attr(
        feature = "serde",
        serde(serialize_with = "crate::unit::seconds::serialize")
    )]
    period: Duration,
    burst: u64,
    /// What stands ready at first, if that is less than the burst.
    start: Option<u64>,
    provisional: bool,
}

impl Quota {
    /// `amount` of `unit` per `period`, with a burst of the whole amount.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the amount is 0 or above [`MAX_AMOUNT`], or the period is 0
    /// or above [`MAX_PERIOD`].
    pub fn new(unit: Unit, amount: u64, period: Duration) -> Result<Self> {
        let invalid = |reason: String| -> Error {
            let field = format!("{unit} per {}", per(period));
            let message = format!("limit of {amount} {field}: {reason}");
            ConfigError::new(field, message).with_value(amount).into()
        };
        Self::checked(unit, amount, period).ok_or_else(|| match amount {
            0 => invalid("a limit of 0 admits nothing; leave it out for no limit".to_owned()),
            1..=MAX_AMOUNT => invalid("the period is 1 ns to 31 days".to_owned()),
            _ => invalid(format!("the largest limit is {MAX_AMOUNT}")),
        })
    }

    /// Like [`new`](Quota::new), for constants: `None` where that is an error.
    ///
    /// ```
    /// use std::time::Duration;
    /// use paceline::{Quota, Unit};
    ///
    /// const LIMIT: Quota = Quota::checked(Unit::Tokens, 30_000, Duration::from_secs(60))
    ///     .expect("a limit above 0")
    ///     .with_burst_duration(Duration::from_secs(1));
    /// assert_eq!(LIMIT.burst(), 500);
    /// ```
    #[must_use]
    pub const fn checked(unit: Unit, amount: u64, period: Duration) -> Option<Self> {
        let nanos = period.as_nanos();
        if amount == 0 || amount > MAX_AMOUNT || nanos == 0 || nanos > MAX_PERIOD.as_nanos() {
            return None;
        }
        Some(Self {
            unit,
            amount,
            period,
            burst: amount,
            start: None,
            provisional: false,
        })
    }

    /// `amount` of `unit` per second, with a burst of the whole amount.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the amount is 0 or above [`MAX_AMOUNT`].
    pub fn per_second(unit: Unit, amount: u64) -> Result<Self> {
        Self::new(unit, amount, SECOND)
    }

    /// `amount` of `unit` per minute, with a burst of the whole amount.
    ///
    /// # Errors
    ///
    /// As [`per_second`](Quota::per_second).
    pub fn per_minute(unit: Unit, amount: u64) -> Result<Self> {
        Self::new(unit, amount, MINUTE)
    }

    /// `amount` of `unit` per hour, with a burst of the whole amount.
    ///
    /// # Errors
    ///
    /// As [`per_second`](Quota::per_second).
    pub fn per_hour(unit: Unit, amount: u64) -> Result<Self> {
        Self::new(unit, amount, HOUR)
    }

    /// `amount` of `unit` per day of 24 hours, with a burst of the whole amount.
    ///
    /// # Errors
    ///
    /// As [`per_second`](Quota::per_second).
    pub fn per_day(unit: Unit, amount: u64) -> Result<Self> {
        Self::new(unit, amount, DAY)
    }

    /// The same quota with another burst: the most that may pass at one instant. Default:
    /// the amount. Values outside 1 to [`MAX_AMOUNT`] become the nearest of the two.
    #[must_use]
    pub const fn with_burst(mut self, burst: u64) -> Self {
        self.burst = match burst {
            0 => 1,
            1..=MAX_AMOUNT => burst,
            _ => MAX_AMOUNT,
        };
        self
    }

    /// The same quota with the burst that comes in within `duration`, rounded down, at least 1.
    #[must_use]
    pub const fn with_burst_duration(self, duration: Duration) -> Self {
        self.with_burst(self.amount_in(duration))
    }

    /// The same quota with a limiter that begins with `units` in its bucket: nothing, if others
    /// have just used it up, or what a former run has left. Default: a full bucket, which is
    /// also the most there can be.
    ///
    /// A quota of 30,000 tokens a minute that starts with 0 passes at most 30,000 in the first
    /// minute, where a full bucket lets 60,000 pass.
    #[must_use]
    pub const fn with_initial(mut self, units: u64) -> Self {
        self.start = Some(units);
        self
    }

    /// The same quota with its burst lowered by what comes in within `jitter`, rounded up, but
    /// by no more than half of it.
    ///
    /// A server counts requests when they arrive. If the transit takes between *d* and
    /// *d* + `jitter`, requests that left in accordance with a burst of B − rate · `jitter`
    /// arrive in accordance with a burst of B: two that left T apart arrive at least
    /// T − `jitter` apart. So this is what keeps a client that runs *exactly* at its limit free
    /// of refusals, for the price of `jitter` once in a run.
    #[must_use]
    pub const fn allow_jitter(self, jitter: Duration) -> Self {
        let (held_back, half) = (self.amount_in(jitter).saturating_add(1), self.burst / 2);
        self.with_burst(self.burst - if held_back < half { held_back } else { half })
    }

    /// The same quota as a guess: what the server says takes its place, be it more or less.
    /// One that is stated is a ceiling instead: the server can lower it and never raise it.
    #[must_use]
    pub const fn provisional(mut self) -> Self {
        self.provisional = true;
        self
    }

    /// Whether it is only a [guess](Quota::provisional).
    #[must_use]
    pub const fn is_provisional(&self) -> bool {
        self.provisional
    }

    /// What it counts.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// How much it grants in one period.
    #[must_use]
    pub const fn amount(&self) -> u64 {
        self.amount
    }

    /// The period in which it grants the amount.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// The most that may pass at one instant.
    #[must_use]
    pub const fn burst(&self) -> u64 {
        self.burst
    }

    /// What a limiter begins with in its bucket.
    #[must_use]
    pub const fn start(&self) -> u64 {
        match self.start {
            Some(start) if start < self.burst => start,
            _ => self.burst,
        }
    }

    /// Refuses an amount that no waiting would help.
    pub(crate) fn check(&self, wanted: u64) -> Result<(), AcquireError> {
        match wanted <= self.amount {
            true => Ok(()),
            false => Err(self.too_large(wanted)),
        }
    }

    /// The refusal of an amount above the whole.
    pub(crate) fn too_large(&self, cost: u64) -> AcquireError {
        AcquireError::TooLarge {
            unit: self.unit,
            cost,
            amount: self.amount,
            period: self.period,
        }
    }

    /// The same quota with the name that others have for its unit.
    #[cfg(feature = "redis")]
    pub(crate) fn with_unit_of(self, others: &[Self]) -> Self {
        let named = others.iter().find(|other| other.unit == self.unit);
        Self {
            unit: named.map_or(self.unit, |other| other.unit),
            ..self
        }
    }

    /// The time in which `amount` comes in, rounded up to a nanosecond.
    pub(crate) fn time_for(&self, amount: u64) -> Duration {
        // Below 2^64 · 2^52.
        let nanos = u128::from(amount) * self.period.as_nanos();
        let nanos = nanos.div_ceil(u128::from(self.amount));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The amount that comes in within `duration`, rounded down.
    #[allow(
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        reason = "conversions are no constant functions yet; what does not fit saturates"
    )]
    pub(crate) const fn amount_in(&self, duration: Duration) -> u64 {
        const MOST: u128 = u64::MAX as u128;
        // 2^53 · 2^94 overflows u128, so the duration saturates first; 2^53 · 2^64 does not.
        let nanos = duration.as_nanos();
        let nanos = if nanos < MOST { nanos } else { MOST };
        let amount = nanos * self.amount as u128 / self.period.as_nanos();
        if amount < MOST {
            amount as u64
        } else {
            u64::MAX
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} per {}", self.amount, self.unit, per(self.period))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_periods_that_cannot_work_are_refused_with_a_reason() {
        let second = Duration::from_secs(1);
        let table = [
            (0, second, "admits nothing"),
            (MAX_AMOUNT + 1, second, "largest limit"),
            (1, Duration::ZERO, "period"),
            (1, MAX_PERIOD + second, "period"),
        ];
        for (step, (amount, period, word)) in table.into_iter().enumerate() {
            let error = Quota::new(Unit::Tokens, amount, period).unwrap_err();
            assert!(error.to_string().contains(word), "step {step}: {error}");
        }
        assert!(Quota::new(Unit::Tokens, MAX_AMOUNT, MAX_PERIOD).is_ok());
    }

    #[test]
    fn bursts_stay_between_one_and_the_largest_amount() {
        let quota = Quota::per_minute(Unit::Requests, 30).unwrap();
        let table = [
            (Duration::ZERO, 1),
            (Duration::from_secs(1), 1),
            (Duration::from_secs(4), 2),
            (Duration::from_secs(60), 30),
            (Duration::MAX, u64::MAX / 2_000_000_000), // 584 years at most
        ];
        for (step, (lasting, burst)) in table.into_iter().enumerate() {
            assert_eq!(
                quota.with_burst_duration(lasting).burst(),
                burst,
                "step {step}"
            );
        }
    }

    #[test]
    fn jitter_holds_back_what_comes_in_meanwhile_but_never_more_than_half() {
        let quota = Quota::per_minute(Unit::Tokens, 60_000).unwrap();
        let second = quota.with_burst_duration(Duration::from_secs(1));
        assert_eq!(second.allow_jitter(Duration::from_millis(100)).burst(), 899);
        assert_eq!(second.allow_jitter(Duration::from_secs(9)).burst(), 500);
        assert_eq!(quota.with_burst(1).allow_jitter(Duration::MAX).burst(), 1);
    }
}
