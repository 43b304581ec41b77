//! From a table of limits to what the simulated API enforces.
//!
//! It has limits per minute for each model, and limits per day for every model alike. So it gets
//! those of the table's default, unless some model has others: then it gets no limits per day.

use std::time::Duration;

use paceline::sim::{DailyLimits, SimConfig, SimLimits};
use paceline::{LimitTable, Limits, Quota, Unit};

use crate::say::warning;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The simulator's settings for the limits of `table`; says when they leave something out.
pub(crate) fn config(table: &LimitTable) -> SimConfig {
    let days = daily(table);
    if !is_whole(table, days) {
        warning!(
            "paceline: the simulated API has no limits on input or output tokens, and no limits \
             per day that differ by model; it leaves them out"
        );
    }
    let config = SimConfig::new()
        .default_limits(minutely(table.default_limits()))
        .daily_limits(days);
    table.models().fold(config, |config, (model, limits)| {
        config.limits(model, minutely(limits))
    })
}

/// The lowest limit of its kind, which is the one that holds.
fn amount(limits: &Limits, unit: Unit, period: Duration) -> Option<u64> {
    let quotas = limits.quotas().iter();
    let same = quotas.filter(|quota| (quota.unit(), quota.period()) == (unit, period));
    same.map(Quota::amount).min()
}

fn minutely(limits: &Limits) -> SimLimits {
    SimLimits::none()
        .tokens_per_minute(amount(limits, Unit::Tokens, MINUTE))
        .requests_per_minute(amount(limits, Unit::Requests, MINUTE))
}

/// The default's limits per day, or none when a model has others. One that has none gets them
/// too: the built-in table, which names models, has none.
fn daily(table: &LimitTable) -> DailyLimits {
    let default = |unit| {
        let every = amount(table.default_limits(), unit, DAY);
        let mut models = table.models();
        let agree = models.all(|(_, limits)| {
            let own = amount(limits, unit, DAY);
            own.is_none() || own == every
        });
        every.filter(|_| agree)
    };
    DailyLimits::none()
        .tokens_per_day(default(Unit::Tokens))
        .requests_per_day(default(Unit::Requests))
}

/// Whether nothing of the table is left out.
fn is_whole(table: &LimitTable, days: DailyLimits) -> bool {
    let all = table.models().map(|(_, limits)| limits);
    let mut quotas = all.chain([table.default_limits()]).flat_map(Limits::quotas);
    quotas.all(|quota| match (quota.unit(), quota.period()) {
        (Unit::Tokens | Unit::Requests, MINUTE) => true,
        (Unit::Tokens, DAY) => days.tokens_per_day.is_some(),
        (Unit::Requests, DAY) => days.requests_per_day.is_some(),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_per_day_are_handed_over_when_no_model_has_others() {
        // the table, its requests per day, its tokens per day, whether all of it is enforced
        let table = [
            ("", None, None, true),
            ("[default]\nrpd = 5", Some(5), None, true),
            ("[default]\nrpd = 5\ntpd = 6", Some(5), Some(6), true),
            (
                "[default]\nrpd = 5\n[models.o3]\nrpd = 5",
                Some(5),
                None,
                true,
            ),
            (
                "[default]\nrpd = 5\ntpd = 6\n[models.o3]\nrpd = 7",
                None,
                Some(6),
                false,
            ),
            ("[models.o3]\ntpd = 7", None, None, false),
            ("[models.o3]\nitpm = 7", None, None, false),
            ("[default]\nrpm = 1\notpm = 7", None, None, false),
        ];
        for (step, (text, requests, tokens, whole)) in table.into_iter().enumerate() {
            let table = LimitTable::from_toml(text).unwrap();
            let days = daily(&table);
            assert_eq!(days.requests_per_day, requests, "step {step}: {text}");
            assert_eq!(days.tokens_per_day, tokens, "step {step}: {text}");
            assert_eq!(is_whole(&table, days), whole, "step {step}: {text}");
        }
    }

    #[test]
    fn a_day_is_never_taken_for_a_minute() {
        let text = "[models.o3]\nrpd = 5\ntpd = 6\ntpm = 7";
        let table = LimitTable::from_toml(text).unwrap();
        let limits = minutely(table.limits_for("o3"));
        assert_eq!(limits.tokens_per_minute, Some(7));
        assert_eq!(limits.requests_per_minute, None);
    }
}
