//! The quotas of one model, or of a family of models that share them.

use std::fmt;
use std::time::Duration;

use super::{MINUTE, Quota};
use crate::unit::Unit;
use crate::{Error, Result};

/// A set of quotas that a request must fit all at once.
///
/// ```
/// use std::time::Duration;
/// use paceline::Limits;
///
/// let limits = Limits::builder()
///     .tokens_per_minute(450_000)
///     .requests_per_minute(5_000)
///     .burst_lasting(Duration::from_secs(10)) // of both
///     .build()?;
/// assert_eq!(limits.to_string(), "450000 tokens per minute, 5000 requests per minute");
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    quotas: Vec<Quota>,
}

impl Limits {
    /// Begins a declaration.
    pub fn builder() -> LimitsBuilder {
        LimitsBuilder::default()
    }

    /// Tokens per minute alone, with a burst of the whole amount.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLimit`] when the amount is 0 or too large.
    pub fn tokens_per_minute(amount: u64) -> Result<Self> {
        Self::builder().tokens_per_minute(amount).build()
    }

    pub(super) fn from_quotas(quotas: Vec<Quota>) -> Self {
        Self { quotas }
    }

    /// These limits with `quota` in place of all of the same unit and period.
    pub(super) fn with(&self, quota: Quota) -> Self {
        let kind = |quota: &Quota| (quota.unit(), quota.period());
        let others = self.quotas.iter().filter(|old| kind(old) != kind(&quota));
        Self::from_quotas(others.copied().chain([quota]).collect())
    }

    /// These limits with the bursts of those per minute, or shorter, set to what comes in within
    /// `duration`.
    pub(super) fn short_bursts_lasting(mut self, duration: Duration) -> Self {
        for quota in &mut self.quotas {
            if quota.period() <= MINUTE {
                *quota = quota.burst_lasting(duration);
            }
        }
        self
    }

    /// The quotas, in the order of their declaration.
    #[must_use]
    pub fn quotas(&self) -> &[Quota] {
        &self.quotas
    }

    /// The same limits as a [guess](Quota::assumed), until the server says what they are.
    #[must_use]
    pub fn assumed(mut self) -> Self {
        for quota in &mut self.quotas {
            *quota = quota.assumed();
        }
        self
    }

    /// The same limits with every quota's burst [lowered](Quota::allow_jitter) by what comes in
    /// within `jitter`.
    #[must_use]
    pub fn allow_jitter(mut self, jitter: Duration) -> Self {
        for quota in &mut self.quotas {
            *quota = quota.allow_jitter(jitter);
        }
        self
    }

    /// The same limits with every quota's burst set to what comes in within `duration`.
    #[must_use]
    pub fn burst_lasting(mut self, duration: Duration) -> Self {
        for quota in &mut self.quotas {
            *quota = quota.burst_lasting(duration);
        }
        self
    }
}

#[cfg(feature = "client")]
impl Limits {
    /// The keys of one table of a limits file, a line for each quota, in their order.
    ///
    /// [`LimitTable::from_toml`](crate::LimitTable::from_toml) reads them. A quota that the form
    /// has no key for, such as one per second, is a comment; so is a second one of the same unit
    /// and period, of which the lowest has the key. Bursts are not written: the form has one for
    /// all limits.
    ///
    /// ```
    /// use std::time::Duration;
    /// use paceline::{LimitTable, Limits, Quota, Unit};
    ///
    /// let limits = Limits::builder()
    ///     .tokens_per_minute(450_000)
    ///     .quota(Quota::new(Unit::Requests, 10_000, Duration::from_secs(86_400))?)
    ///     .quota(Quota::new(Unit::Requests, 50, Duration::from_secs(1))?)
    ///     .build()?;
    /// let text = limits.to_toml();
    /// assert_eq!(text, "tpm = 450000\nrpd = 10000\n# no key for 50 requests per second\n");
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
        Ok(())
    }
}

/// Declares [`Limits`], and checks them at [`build`](LimitsBuilder::build).
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct LimitsBuilder {
    quotas: Vec<Result<Quota, (Unit, u64)>>,
    burst: Option<Duration>,
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

    /// Adds a limit on one unit.
    pub fn per_minute(mut self, unit: Unit, amount: u64) -> Self {
        self.quotas
            .push(Quota::per_minute(unit, amount).map_err(|_| (unit, amount)));
        self
    }

    /// Adds any quota. Several of one unit all hold: a minute's limit and a second's.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quotas.push(Ok(quota));
        self
    }

    /// Sets the burst of every quota to what comes in within `duration`, at least 1. Defaults to
    /// each quota's own burst, which is its whole amount unless it says otherwise.
    pub fn burst_lasting(mut self, duration: Duration) -> Self {
        self.burst = Some(duration);
        self
    }

    /// The finished limits.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLimit`] when there is no quota at all, or one has an amount of 0 or above
    /// [`MAX_AMOUNT`](crate::MAX_AMOUNT).
    pub fn build(self) -> Result<Limits> {
        if self.quotas.is_empty() {
            return Err(Error::InvalidLimit {
                what: "limits".to_owned(),
                reason: "at least one quota is needed".to_owned(),
            });
        }
        let quotas = self
            .quotas
            .into_iter()
            // The builder keeps what failed instead of the error, so that it can be cloned.
            .map(|quota| quota.or_else(|(unit, amount)| Quota::per_minute(unit, amount)))
            .collect::<Result<Vec<Quota>>>()?;
        let limits = Limits { quotas };
        Ok(match self.burst {
            Some(duration) => limits.burst_lasting(duration),
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
    }

    #[test]
    fn a_common_burst_replaces_each_quotas_own() {
        let limits = Limits::builder()
            .quota(Quota::per_minute(Unit::Tokens, 6_000).unwrap().burst_of(7))
            .requests_per_minute(60)
            .burst_lasting(Duration::from_secs(2))
            .build()
            .unwrap();
        let bursts: Vec<u64> = limits.quotas().iter().map(Quota::burst).collect();
        assert_eq!(bursts, [200, 2]);
    }
}
