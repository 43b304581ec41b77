//! Quotas and waits in the details of an error, as Google's services have them.

use std::time::Duration;

use serde_json::Value;

use super::durations;
use crate::unit::Unit;

/// A quota that an error names as used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) unit: Option<Unit>,
    pub(super) period: Option<Duration>,
    pub(super) limit: Option<u64>,
}

/// The parts of a quota's name that tell its period, the longest first: that one binds.
const PERIODS: [(&str, u64); 4] = [
    ("PerDay", 86_400),
    ("PerHour", 3_600),
    ("PerMinute", 60),
    ("PerSecond", 1),
];

/// The parts that tell what it counts; the first that is there.
const UNITS: [(&str, Unit); 4] = [
    ("InputToken", Unit::InputTokens),
    ("OutputToken", Unit::OutputTokens),
    ("Token", Unit::Tokens),
    ("Request", Unit::Requests),
];

/// The details of an error's body, which may be a list.
fn details(body: &Value) -> impl Iterator<Item = &Value> {
    let body = match body {
        Value::Array(list) => list.first().unwrap_or(body),
        body => body,
    };
    let details = body.pointer("/error/details").and_then(Value::as_array);
    details.into_iter().flatten()
}

fn violations(body: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let lists = details(body).filter_map(|detail| detail.get("violations")?.as_array());
    let named = |violation| Some((Value::get(violation, "quotaId")?.as_str()?, violation));
    lists.flatten().filter_map(named)
}

/// The names of the quotas that a body names.
pub(super) fn names(body: &Value) -> Vec<&str> {
    violations(body).map(|(name, _)| name).collect()
}

/// The quota that binds for the longest time.
pub(super) fn binding(body: &Value) -> Option<Quota> {
    let quota = |(name, violation): (&str, &Value)| {
        let period = PERIODS.iter().find(|(part, _)| name.contains(part));
        let unit = UNITS.iter().find(|(part, _)| name.contains(part));
        let limit = violation.get("quotaValue");
        Quota {
            unit: unit.map(|(_, unit)| *unit),
            period: period.map(|(_, seconds)| Duration::from_secs(*seconds)),
            limit: limit.and_then(|limit| match limit {
                Value::String(text) => text.parse().ok(),
                limit => limit.as_u64(),
            }),
        }
    };
    violations(body).map(quota).max_by_key(|quota| quota.period)
}

/// The wait of a `RetryInfo`.
pub(super) fn retry_delay(body: &Value) -> Option<Duration> {
    let delay = |detail: &Value| durations::go_style(detail.get("retryDelay")?.as_str()?);
    details(body).find_map(delay)
}

/// The reason of an `ErrorInfo`, and the code that others put among the details.
pub(super) fn reasons(error: &Value) -> Vec<&str> {
    let details = error.get("details");
    let lists = details.and_then(Value::as_array).into_iter().flatten();
    let reasons = lists.filter_map(|detail| detail.get("reason")?.as_str());
    let code = details.and_then(|details| details.get("error_code")?.as_str());
    reasons.chain(code).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_quota_of_the_longest_period_binds() {
        let violation = |name: &str, limit: Value| json!({"quotaId": name, "quotaValue": limit});
        let minute = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier";
        let day = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
        let tokens = "GenerateContentInputTokensPerModelPerMinute-FreeTier";
        let body = |violations: Value| {
            json!([{"error": {"details": [
                {"@type": "QuotaFailure", "violations": violations},
                {"@type": "RetryInfo", "retryDelay": "46s"},
            ]}}])
        };
        let quota = |unit, seconds, limit| Quota {
            unit: Some(unit),
            period: Some(Duration::from_secs(seconds)),
            limit: Some(limit),
        };
        let both = body(json!([
            violation(minute, json!("15")),
            violation(day, json!("200"))
        ]));
        assert_eq!(binding(&both), Some(quota(Unit::Requests, 86_400, 200)));
        let one = body(json!([violation(tokens, json!(250_000))]));
        assert_eq!(binding(&one), Some(quota(Unit::InputTokens, 60, 250_000)));
        assert_eq!(names(&both), [minute, day]);
        assert_eq!(retry_delay(&one), Some(Duration::from_secs(46)));
        for nothing in [json!({}), json!([]), json!({"error": {"details": [1, {}]}})] {
            assert_eq!((binding(&nothing), retry_delay(&nothing)), (None, None));
        }
    }
}
