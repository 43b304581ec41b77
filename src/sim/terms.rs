//! From the settings to the accounts of a model's ledger.

use std::time::Duration;

use super::SimConfig;
use super::config::{Change, SimLimits};
use super::ledger::{Account, Counted};
use super::rule::{DAY, MINUTE, Rule};

/// An account for every limit that a model has or will have; tokens before requests.
pub(super) fn accounts(limits: SimLimits, changes: &[Change], config: &SimConfig) -> Vec<Account> {
    let limiting = &config.limiting;
    let windows = limiting.window.is_some();
    let span = nanos(limiting.window.unwrap_or(config.burst));
    let minutely = |amount: fn(&SimLimits) -> Option<u64>| Rule {
        steps: steps(limits, changes, amount),
        period: MINUTE,
        span,
        windows,
    };
    let daily = |limit| Rule {
        steps: vec![(0, limit)],
        period: DAY,
        span: DAY,
        windows,
    };
    let rules = [
        (Counted::Tokens, minutely(|it| it.tokens_per_minute)),
        (Counted::Requests, minutely(|it| it.requests_per_minute)),
        (Counted::DailyTokens, daily(limiting.daily.tokens_per_day)),
        (
            Counted::DailyRequests,
            daily(limiting.daily.requests_per_day),
        ),
    ];
    rules
        .into_iter()
        .filter(|(_, rule)| rule.steps.iter().any(|(_, limit)| limit.is_some()))
        .map(|(counted, rule)| Account::new(counted, rule, limiting.neighbour))
        .collect()
}

/// One of the limits from each time on. Of two changes at the same time the later call wins.
fn steps(
    limits: SimLimits,
    changes: &[Change],
    amount: fn(&SimLimits) -> Option<u64>,
) -> Vec<(u64, Option<u64>)> {
    let mut steps = vec![(0, amount(&limits))];
    steps.extend(
        changes
            .iter()
            .map(|(after, limits)| (nanos(*after), amount(limits))),
    );
    steps.sort_by_key(|(from, _)| *from);
    steps
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_put_in_order_and_the_later_call_wins() {
        let limits = |tokens: u64| SimLimits::none().tokens_per_minute(tokens);
        let at = Duration::from_nanos;
        let changes = [(at(9), limits(3)), (at(5), limits(2)), (at(9), limits(4))];
        let found = accounts(limits(1), &changes, &SimConfig::new());
        let [tokens] = found.as_slice() else {
            panic!("limits on nothing else: {found:?}");
        };
        let expected = [(0, 1), (5, 2), (9, 3), (9, 4)];
        assert_eq!(
            tokens.rule.steps,
            expected.map(|(from, limit)| (from, Some(limit)))
        );
    }

    #[test]
    fn each_kind_of_limit_has_its_period_and_its_span() {
        let both = SimLimits::none()
            .tokens_per_minute(1)
            .requests_per_minute(1);
        let daily = super::super::DailyLimits::none()
            .tokens_per_day(1)
            .requests_per_day(1);
        let config = SimConfig::new()
            .burst(Duration::from_nanos(7))
            .daily_limits(daily);
        let windows = config.clone().fixed_windows(Duration::from_nanos(8));
        for (step, (config, span)) in [(config, 7), (windows, 8)].into_iter().enumerate() {
            let found: Vec<_> = accounts(both, &[], &config)
                .into_iter()
                .map(|it| (it.counted, it.rule.period, it.rule.span, it.rule.windows))
                .collect();
            let windows = span == 8;
            let expected = [
                (Counted::Tokens, MINUTE, span, windows),
                (Counted::Requests, MINUTE, span, windows),
                (Counted::DailyTokens, DAY, DAY, windows),
                (Counted::DailyRequests, DAY, DAY, windows),
            ];
            assert_eq!(found, expected, "step {step}");
        }
    }
}
