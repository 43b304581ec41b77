//! Limits by model.

use std::collections::BTreeMap;
use std::time::Duration;

use super::presets::{DEFAULT_TPM, UNKNOWN_MODEL_TPM, tier_limits};
use super::{Limits, Quota, Tier, base_model};
use crate::unit::Unit;

/// Which limits hold for which model.
///
/// A name is looked up as it stands, then as its [`base_model`]; one that the table does not
/// hold gets the limits of [`LimitTable::set_default`], in a bucket of its own.
///
/// ```
/// use paceline::{LimitTable, Limits};
///
/// let mut table = LimitTable::default();
/// assert_eq!(table.limits_for("gpt-4o-mini-2024-07-18").to_string(), "200000 tokens per minute");
/// assert_eq!(table.limits_for("never-heard-of").to_string(), "800000 tokens per minute");
///
/// // Two models that draw on one bucket.
/// let limits = Limits::tokens_per_minute(90_000)?;
/// table.set_family("research", ["o3", "o4-mini"], limits);
/// assert_eq!(table.family_of("o3-2025-04-16"), "research");
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitTable {
    /// Family by model name.
    models: BTreeMap<String, String>,
    /// Limits by family name.
    families: BTreeMap<String, Limits>,
    default: Limits,
}

impl Default for LimitTable {
    /// gpt-4.1 with 30,000 tokens per minute, gpt-4o-mini with 200,000, gpt-4o with 150,000, and
    /// 800,000 for any other model. No limit on requests.
    fn default() -> Self {
        let mut table = Self::empty(minute(None, UNKNOWN_MODEL_TPM));
        for (model, tokens) in DEFAULT_TPM {
            table.set(model, minute(None, tokens));
        }
        table
    }
}

impl LimitTable {
    /// A table that names no model yet: `default` holds for each.
    #[must_use]
    pub fn empty(default: Limits) -> Self {
        Self {
            models: BTreeMap::new(),
            families: BTreeMap::new(),
            default,
        }
    }

    /// The provider's published limits for an account of this tier, dated
    /// [`PRESETS_DATED`](crate::PRESETS_DATED), and 800,000 tokens per minute for any other model.
    #[must_use]
    pub fn for_tier(tier: Tier) -> Self {
        let mut table = Self::empty(minute(None, UNKNOWN_MODEL_TPM));
        for (model, requests, tokens) in tier_limits(tier) {
            table.set(model, minute(Some(requests), tokens));
        }
        table
    }

    /// Sets the limits of one model, which has them to itself.
    pub fn set(&mut self, model: impl Into<String>, limits: Limits) {
        let model = model.into();
        self.models.insert(model.clone(), model.clone());
        self.families.insert(model, limits);
    }

    /// Sets the limits of a family: models that share one bucket.
    pub fn set_family<M: Into<String>>(
        &mut self,
        family: impl Into<String>,
        models: impl IntoIterator<Item = M>,
        limits: Limits,
    ) {
        let family = family.into();
        for model in models {
            self.models.insert(model.into(), family.clone());
        }
        self.families.insert(family, limits);
    }

    /// Sets the limits of every model that the table does not name; each has its own bucket.
    pub fn set_default(&mut self, limits: Limits) {
        self.default = limits;
    }

    /// The limits that hold for a model.
    #[must_use]
    pub fn limits_for(&self, model: &str) -> &Limits {
        self.families
            .get(self.family_of(model))
            .unwrap_or(&self.default)
    }

    /// The name under which a model's limits are kept. Models with the same one share a bucket.
    #[must_use]
    pub fn family_of<'a>(&'a self, model: &'a str) -> &'a str {
        let base = base_model(model);
        self.models
            .get(model)
            .or_else(|| self.models.get(base))
            .map_or(base, String::as_str)
    }

    /// The models that the table names, each with its limits, sorted.
    pub fn models(&self) -> impl Iterator<Item = (&str, &Limits)> {
        let models = self.models.keys();
        models.map(|model| (model.as_str(), self.limits_for(model)))
    }

    /// The limits of every model that the table does not name.
    #[must_use]
    pub fn default_limits(&self) -> &Limits {
        &self.default
    }

    /// Sets one quota of one model, in place of those of the same unit and period; its others stay.
    pub fn set_quota(&mut self, model: &str, quota: Quota) {
        let family = self.family_of(model).to_owned();
        let limits = self.limits_for(model).with(quota);
        match self.families.get_mut(&family) {
            Some(old) => *old = limits,
            None => self.set(model, limits),
        }
    }

    /// Sets one quota of every model, named or not, in place of those of the same unit and period.
    pub fn set_quota_of_all(&mut self, quota: Quota) {
        self.map(|limits| limits.with(quota));
    }

    /// Sets every burst to what comes in within `duration`, but not those of limits per day (or
    /// any period above a minute): in buckets of seconds they would spread a day's amount evenly
    /// over the day, and hold up every run.
    pub fn set_burst_lasting(&mut self, duration: Duration) {
        self.map(|limits| limits.clone().short_bursts_lasting(duration));
    }

    fn map(&mut self, change: impl Fn(&Limits) -> Limits) {
        for limits in self.families.values_mut() {
            *limits = change(limits);
        }
        self.default = change(&self.default);
    }
}

/// Limits per minute from the tables of this crate, whose amounts are all valid: a guess, until
/// the server says what they are.
fn minute(requests: Option<u64>, tokens: u64) -> Limits {
    let quota = |unit, amount: u64| {
        let quota = Quota::per_minute(unit, amount).ok(); // a test builds every table
        quota.map(Quota::provisional)
    };
    let quotas = requests
        .and_then(|requests| quota(Unit::Requests, requests))
        .into_iter()
        .chain(quota(Unit::Tokens, tokens));
    Limits::from_quotas(quotas.collect())
}

#[cfg(any(feature = "providers", feature = "tokens"))]
impl LimitTable {
    /// Reads limits from a TOML file.
    ///
    /// ```
    /// use paceline::LimitTable;
    ///
    /// let table = LimitTable::from_toml(r#"
    ///     preset = "tier-1"        # start from a published tier; default: the built-in table
    ///     burst_seconds = 10       # of every limit per minute; default 60
    ///
    ///     [default]                # any model that is not named
    ///     tpm = 800_000
    ///
    ///     [models."gpt-4o-mini"]   # any of these; none is needed beside another
    ///     rpm = 5_000              # requests per minute
    ///     tpm = 2_000_000          # tokens per minute
    ///     rpd = 10_000             # requests per day
    ///     tpd = 20_000_000         # tokens per day; rps, tps, rph and tph: per second, per hour
    ///     in_flight = 64           # requests in flight
    ///
    ///     [models.claude]          # input and output tokens per minute apart
    ///     itpm = 30_000
    ///     otpm = 8_000
    ///
    ///     [families.research]      # one bucket for several models
    ///     models = ["o3", "o4-mini"]
    ///     tpm = 90_000
    /// "#)?;
    /// assert_eq!(table.limits_for("o4-mini").quotas()[0].amount(), 90_000);
    /// assert_eq!(table.limits_for("gpt-4o-mini").quotas().len(), 4);
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) with the line and column of what
    /// cannot be read, or the name of the model whose limits cannot work.
    pub fn from_toml(text: &str) -> crate::Result<Self> {
        super::file::parse(text)
    }

    /// Reads limits from a TOML file on disk.
    ///
    /// # Errors
    ///
    /// [`Error::File`](crate::Error::File) that names the file.
    pub fn from_file(path: impl AsRef<std::path::Path>) -> crate::Result<Self> {
        crate::Error::in_file("limits file", path.as_ref(), Self::from_toml)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIERS: [Tier; 5] = [Tier::One, Tier::Two, Tier::Three, Tier::Four, Tier::Five];

    #[test]
    fn every_built_in_limit_is_whole() {
        for tier in TIERS {
            for (model, _, tokens) in tier_limits(tier) {
                let table = LimitTable::for_tier(tier);
                let quotas = table.limits_for(model).quotas();
                assert_eq!(quotas.len(), 2, "{model} in {tier}");
                assert_eq!(quotas[1].amount(), tokens, "{model} in {tier}");
            }
        }
        for (model, tokens) in DEFAULT_TPM {
            let table = LimitTable::default();
            assert_eq!(
                table.limits_for(model).quotas()[0].amount(),
                tokens,
                "{model}"
            );
        }
    }

    #[test]
    fn a_quota_replaces_those_of_its_unit_and_period_and_leaves_the_others() {
        let mut table = LimitTable::for_tier(Tier::One);
        table.set_quota_of_all(Quota::per_minute(Unit::Tokens, 7).unwrap());
        table.set_quota("o3", Quota::per_minute(Unit::Requests, 3).unwrap());
        table.set_quota("new", Quota::per_minute(Unit::Requests, 2).unwrap());
        let show = |model| table.limits_for(model).to_string();
        assert_eq!(
            show("gpt-4o"),
            "500 requests per minute, 7 tokens per minute"
        );
        assert_eq!(show("o3"), "7 tokens per minute, 3 requests per minute");
        assert_eq!(show("new"), "7 tokens per minute, 2 requests per minute");
        assert_eq!(show("other"), "7 tokens per minute");
        let day = Duration::from_secs(24 * 60 * 60);
        table.set_quota("o3", Quota::new(Unit::Tokens, 90, day).unwrap());
        table.set_quota("o3", Quota::per_minute(Unit::Tokens, 8).unwrap());
        assert_eq!(
            table.limits_for("o3").to_string(),
            "3 requests per minute, 90 tokens per day, 8 tokens per minute"
        );
    }

    #[test]
    fn a_burst_of_seconds_is_for_minutes_and_leaves_days_alone() {
        let mut table = LimitTable::default();
        let quota = |seconds| Quota::new(Unit::Requests, 600, Duration::from_secs(seconds));
        let limits = Limits::builder()
            .quota(quota(1).unwrap())
            .quota(quota(60).unwrap())
            .quota(quota(86_400).unwrap());
        table.set("o3", limits.build().unwrap());
        table.set_burst_lasting(Duration::from_secs(2));
        let bursts: Vec<_> = table
            .limits_for("o3")
            .quotas()
            .iter()
            .map(Quota::burst)
            .collect();
        assert_eq!(bursts, [1_200, 20, 600]);
    }

    #[test]
    fn an_exact_name_goes_before_its_base() {
        let mut table = LimitTable::default();
        table.set("gpt-4o-2024-05-13", Limits::tokens_per_minute(5).unwrap());
        assert_eq!(table.family_of("gpt-4o-2024-05-13"), "gpt-4o-2024-05-13");
        assert_eq!(table.family_of("gpt-4o-2024-08-06"), "gpt-4o");
        assert_eq!(table.family_of("new-2024-08-06"), "new");
    }
}
