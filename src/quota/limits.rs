//! The quotas of one model, or of a family of models that share them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::{DAY, HOUR, MINUTE, Quota, SECOND};
use crate::unit::Unit;
use crate::{ConfigError, Error, Result};

/// A set of quotas that a request must fit all at once, and how many may be in flight.
///
/// ```
/// use std::time::Duration;
/// use paceline::{Limits, Unit};
///
/// let limits = Limits::builder()
///     .tokens_per_minute(450_000)
///     .requests_per_minute(5_000)
///     .per_second(Unit::Requests, 100) // within the minute's, no more than this
///     .per_day(Unit::Requests, 1_000_000)
///     .with_burst_duration(Duration::from_secs(10)) // of each
///     .in_flight(64)
///     .build()?;
/// assert_eq!(
///     limits.to_string(),
///     "450000 tokens per minute, 5000 requests per minute, 100 requests per second, \
///      1000000 requests per day, 64 in flight"
/// );
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    quotas: Cow<'static, [Quota]>,
    in_flight: Option<u64>,
}

impl Limits {
    /// Begins a declaration.
    pub fn builder() -> LimitsBuilder {
        LimitsBuilder::default()
    }

    /// No limits at all: a limiter of these grants everything at once, until it is paused, closed or
    /// given [others](crate::RateLimiter::set_limits).
    ///
    /// ```
    /// use paceline::{Cost, Limits, RateLimiter};
    ///
    /// let limiter = RateLimiter::new(Limits::none());
    /// limiter.try_acquire(Cost::tokens(u64::MAX))?;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    #[must_use]
    pub const fn none() -> Self {
        Self::from_static(&[])
    }

    /// Limits of constant quotas, for statics: without a check, because each quota has had its own.
    ///
    /// ```
    /// use std::time::Duration;
    /// use paceline::{Limits, Quota, Unit};
    ///
    /// const MINUTE: Duration = Duration::from_secs(60);
    /// const QUOTAS: [Quota; 2] = [
    ///     Quota::checked(Unit::Tokens, 30_000, MINUTE).unwrap(),
    ///     Quota::checked(Unit::Requests, 500, MINUTE).unwrap(),
    /// ];
    /// static LIMITS: Limits = Limits::from_static(&QUOTAS).with_in_flight(8);
    /// assert_eq!(LIMITS.to_string(), "30000 tokens per minute, 500 requests per minute, 8 in flight");
    /// ```
    #[must_use]
    pub const fn from_static(quotas: &'static [Quota]) -> Self {
        Self {
            quotas: Cow::Borrowed(quotas),
            in_flight: None,
        }
    }

    /// The same limits with a cap on requests in flight. 0 becomes 1.
    #[must_use]
    pub const fn with_in_flight(mut self, most: u64) -> Self {
        self.in_flight = Some(if most == 0 { 1 } else { most });
        self
    }

    /// Tokens per minute alone, with a burst of the whole amount.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the amount is 0 or too large.
    pub fn tokens_per_minute(amount: u64) -> Result<Self> {
        Self::builder().tokens_per_minute(amount).build()
    }

    pub(super) fn from_quotas(quotas: Vec<Quota>) -> Self {
        Self {
            quotas: Cow::Owned(quotas),
            in_flight: None,
        }
    }

    /// These limits with `quota` in place of all of the same unit and period.
    pub(super) fn with(&self, quota: Quota) -> Self {
        let kind = |quota: &Quota| (quota.unit(), quota.period());
        let others = self.quotas.iter().filter(|old| kind(old) != kind(&quota));
        Self {
            quotas: others.copied().chain([quota]).collect(),
            in_flight: self.in_flight,
        }
    }

    /// These limits with the bursts of those per minute, or shorter, set to what comes in within
    /// `duration`.
    pub(super) fn short_bursts_lasting(mut self, duration: Duration) -> Self {
        for quota in self.quotas.to_mut() {
            if quota.period() <= MINUTE {
                *quota = quota.with_burst_duration(duration);
            }
        }
        self
    }

    /// The quotas, in the order of their declaration.
    #[must_use]
    pub fn quotas(&self) -> &[Quota] {
        &self.quotas
    }

    /// How many requests may be in flight at once: granted, and their permits not ended.
    #[must_use]
    pub fn in_flight(&self) -> Option<u64> {
        self.in_flight
    }

    /// The same limits as a [guess](Quota::provisional), until the server says what they are.
    #[must_use]
    pub fn provisional(mut self) -> Self {
        for quota in self.quotas.to_mut() {
            *quota = quota.provisional();
        }
        self
    }

    /// The same limits with every quota's burst [lowered](Quota::allow_jitter) by what comes in
    /// within `jitter`.
    #[must_use]
    pub fn allow_jitter(mut self, jitter: Duration) -> Self {
        for quota in self.quotas.to_mut() {
            *quota = quota.allow_jitter(jitter);
        }
        self
    }

    /// The same limits with every quota's burst set to what comes in within `duration`.
    #[must_use]
    pub fn with_burst_duration(mut self, duration: Duration) -> Self {
        for quota in self.quotas.to_mut() {
            *quota = quota.with_burst_duration(duration);
        }
        self
    }
}

#[cfg(any(feature = "providers", feature = "tokens"))]
impl Limits {
    /// The keys of one table of a limits file, a line for each quota, in their order.
    ///
    /// [`LimitTable::from_toml`](crate::LimitTable::from_toml) reads them. A quota that the form
    /// has no key for, such as one per ten seconds, is a comment; so is a second one of the same unit
    /// and period, of which the lowest has the key. Bursts are not written: the form has one for
    /// all limits.
    ///
    /// ```
    /// use std::time::Duration;
    /// use paceline::{LimitTable, Limits, Quota, Unit};
    ///
    /// let limits = Limits::builder()
    ///     .tokens_per_minute(450_000)
    ///     .per_day(Unit::Requests, 10_000)
    ///     .quota(Quota::new(Unit::Requests, 50, Duration::from_secs(10))?)
    ///     .build()?;
    /// let text = limits.to_toml();
    /// assert_eq!(text, "tpm = 450000\nrpd = 10000\n# no key for 50 requests per 10.0 s\n");
    ///
    /// let table = LimitTable::from_toml(&format!("[models.gpt-4o]\n{text}"))?;
    /// assert_eq!(table.limits_for("gpt-4o").quotas()[0].amount(), 450_000);
    /// # Ok::<(), paceline::Error>(())
    /// ```
    #[must_use]
    pub fn to_toml(&self) -> String {
        super::file::write(self)
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, quota) in self.quotas.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{quota}")?;
        }
        if let Some(most) = self.in_flight {
            let separator = if self.quotas.is_empty() { "" } else { ", " };
            write!(f, "{separator}{most} in flight")?;
        }
        Ok(())
    }
}

/// Declares [`Limits`], and checks them at [`build`](LimitsBuilder::build).
///
/// ```
/// use paceline::{Limits, Unit};
///
/// let limits = Limits::builder()
///     .tokens_per_minute(30_000)
///     .requests_per_minute(500)
///     .per_day(Unit::Requests, 10_000)
///     .in_flight(20)
///     .build()?;
/// assert_eq!(limits.quotas().len(), 3);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct LimitsBuilder {
    quotas: Vec<Declared>,
    burst: Option<Duration>,
    starts_empty: bool,
    in_flight: Option<u64>,
}

/// A quota as it was declared. One that cannot be is kept until [`LimitsBuilder::build`] says why:
/// the error itself could not be cloned.
#[derive(Debug, Clone)]
enum Declared {
    Quota(Quota),
    Amount(Unit, u64, Duration),
}

impl LimitsBuilder {
    /// Adds a limit on tokens, input and output together.
    pub fn tokens_per_minute(self, amount: u64) -> Self {
        self.per_minute(Unit::Tokens, amount)
    }

    /// Adds a limit on requests.
    pub fn requests_per_minute(self, amount: u64) -> Self {
        self.per_minute(Unit::Requests, amount)
    }

    /// Adds a limit on one unit, per second.
    pub fn per_second(self, unit: Unit, amount: u64) -> Self {
        self.per(unit, amount, SECOND)
    }

    /// Adds a limit on one unit, per minute.
    pub fn per_minute(self, unit: Unit, amount: u64) -> Self {
        self.per(unit, amount, MINUTE)
    }

    /// Adds a limit on one unit, per hour.
    pub fn per_hour(self, unit: Unit, amount: u64) -> Self {
        self.per(unit, amount, HOUR)
    }

    /// Adds a limit on one unit, per day of 24 hours.
    pub fn per_day(self, unit: Unit, amount: u64) -> Self {
        self.per(unit, amount, DAY)
    }

    fn per(mut self, unit: Unit, amount: u64, period: Duration) -> Self {
        self.quotas.push(Declared::Amount(unit, amount, period));
        self
    }

    /// Adds any quota. Several of one unit all hold: a minute's limit, ten seconds' and a second's.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quotas.push(Declared::Quota(quota));
        self
    }

    /// Sets how many requests may be in flight at once: each has its place from its grant until
    /// its [`Permit`](crate::Permit) ends, however it ends. Default: no cap.
    pub fn in_flight(mut self, most: u64) -> Self {
        self.in_flight = Some(most);
        self
    }

    /// Sets the burst of every quota to what comes in within `duration`, at least 1. Default:
    /// each quota's own burst, which is its whole amount unless it says otherwise.
    pub fn with_burst_duration(mut self, duration: Duration) -> Self {
        self.burst = Some(duration);
        self
    }

    /// Lets every quota [start](Quota::with_initial) with nothing. Default: each quota's own
    /// start, which is a full bucket unless it says otherwise.
    pub fn start_empty(mut self) -> Self {
        self.starts_empty = true;
        self
    }

    /// The finished limits.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when nothing is limited at all (that is [`Limits::none`]), or an amount is 0 or above
    /// [`MAX_AMOUNT`](crate::MAX_AMOUNT).
    pub fn build(self) -> Result<Limits> {
        if self.in_flight == Some(0) {
            let message =
                "limit of 0 in flight: a limit of 0 admits nothing; leave it out for no limit";
            return Err(ConfigError::new("in flight", message).with_value(0).into());
        }
        if self.quotas.is_empty() && self.in_flight.is_none() {
            let message = "limits: at least one quota is needed";
            return Err(Error::config("limits", message));
        }
        let quotas = self.quotas.into_iter().map(|declared| match declared {
            Declared::Quota(quota) => Ok(quota),
            Declared::Amount(unit, amount, period) => Quota::new(unit, amount, period),
        });
        let mut limits = Limits {
            quotas: Cow::Owned(quotas.collect::<Result<_>>()?),
            in_flight: self.in_flight,
        };
        let mut own = limits.quotas.iter().filter_map(|quota| match quota.unit() {
            Unit::Custom(name) => Some(name),
            _ => None,
        });
        if let Some(first) = own.next()
            && let Some(other) = own.find(|name| *name != first)
        {
            let message = format!(
                "limits on {first} and on {other}: a limiter has one unit of your own; use one limiter for \
                 each"
            );
            return Err(ConfigError::new("unit", message).with_value(other).into());
        }
        if self.starts_empty {
            for quota in limits.quotas.to_mut() {
                *quota = quota.with_initial(0);
            }
        }
        Ok(match self.burst {
            Some(duration) => limits.with_burst_duration(duration),
            None => limits,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_quota_is_reported_at_build() {
        let error = Limits::builder()
            .requests_per_minute(500)
            .tokens_per_minute(0)
            .build()
            .unwrap_err();
        assert!(error.to_string().contains("0 tokens per minute"), "{error}");
        let error = Limits::builder().build().unwrap_err();
        assert!(error.to_string().contains("at least one quota"), "{error}");
        let two = Limits::builder().per_minute(Unit::Custom("images"), 5);
        assert!(
            two.clone()
                .per_day(Unit::Custom("images"), 9)
                .build()
                .is_ok()
        );
        let error = two.per_day(Unit::Custom("songs"), 9).build().unwrap_err();
        assert!(error.to_string().contains("images and on songs"), "{error}");
        let none = Limits::builder().tokens_per_minute(5).in_flight(0);
        let error = none.build().unwrap_err();
        assert!(error.to_string().contains("0 in flight"), "{error}");
    }

    #[test]
    fn each_period_has_its_length_and_a_cap_in_flight_needs_no_quota() {
        let limits = Limits::builder()
            .per_second(Unit::Tokens, 1)
            .per_minute(Unit::Tokens, 2)
            .per_hour(Unit::Tokens, 3)
            .per_day(Unit::Tokens, 4)
            .start_empty()
            .build()
            .unwrap();
        let quotas = limits.quotas().iter();
        let seen: Vec<_> = quotas
            .map(|quota| (quota.amount(), quota.period().as_secs(), quota.start()))
            .collect();
        assert_eq!(seen, [(1, 1, 0), (2, 60, 0), (3, 3_600, 0), (4, 86_400, 0)]);
        let limits = Limits::builder().in_flight(8).build().unwrap();
        assert_eq!(limits.to_string(), "8 in flight");
    }

    #[test]
    fn a_common_burst_replaces_each_quotas_own() {
        let limits = Limits::builder()
            .quota(
                Quota::per_minute(Unit::Tokens, 6_000)
                    .unwrap()
                    .with_burst(7),
            )
            .requests_per_minute(60)
            .with_burst_duration(Duration::from_secs(2))
            .build()
            .unwrap();
        let bursts: Vec<u64> = limits.quotas().iter().map(Quota::burst).collect();
        assert_eq!(bursts, [200, 2]);
    }
}
