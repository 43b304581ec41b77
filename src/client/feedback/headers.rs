//! How the limits stand, in the headers of an answer.

use std::time::SystemTime;

use super::durations;
use crate::observation::{LimitStatus, Scope};
use crate::unit::Unit;

/// One limit: what it counts, whose it is, and its headers: limit, remaining, reset.
type Trio = (Unit, Scope, [&'static str; 3]);

/// Every limit that has headers. What a provider does not send is not there, so that nobody has
/// to know whose answer it is.
const TRIOS: [Trio; 7] = [
    (
        Unit::Requests,
        Scope::Account,
        [
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ],
    ),
    (
        Unit::Tokens,
        Scope::Account,
        [
            "x-ratelimit-limit-tokens",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
        ],
    ),
    (
        Unit::Tokens,
        Scope::Project,
        [
            "x-ratelimit-limit-project-tokens",
            "x-ratelimit-remaining-project-tokens",
            "x-ratelimit-reset-project-tokens",
        ],
    ),
    // Anthropic's
    (
        Unit::Requests,
        Scope::Account,
        [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ],
    ),
    // Of whichever limit on tokens is the tightest at the moment, beside those of each.
    (
        Unit::Tokens,
        Scope::Account,
        [
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ],
    ),
    (
        Unit::InputTokens,
        Scope::Account,
        [
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
        ],
    ),
    (
        Unit::OutputTokens,
        Scope::Account,
        [
            "anthropic-ratelimit-output-tokens-limit",
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
        ],
    ),
];

/// What headers, looked up by their lower-case names, say of each limit. `now` is what a reset
/// that is an instant counts from.
pub(super) fn reports<'a>(
    get: impl Fn(&str) -> Option<&'a str>,
    now: SystemTime,
) -> Vec<LimitStatus> {
    TRIOS
        .iter()
        .filter_map(|trio| report(trio, &get, now))
        .collect()
}

/// None when nothing is said of it.
fn report<'a>(
    trio: &Trio,
    get: impl Fn(&str) -> Option<&'a str>,
    now: SystemTime,
) -> Option<LimitStatus> {
    let (unit, scope, [limit, remaining, reset]) = *trio;
    let limit = get(limit);
    // Azure says −1 or 0 where it has no limit to tell. What is left of that is no amount either.
    if limit.is_some_and(is_none_at_all) {
        return None;
    }
    let limit = limit.and_then(count);
    let remaining = get(remaining).and_then(count);
    let reset = get(reset).and_then(|text| durations::read(text, now));
    let is_silent = limit.is_none() && remaining.is_none() && reset.is_none();
    (!is_silent).then_some(LimitStatus {
        unit,
        scope,
        limit,
        remaining,
        reset,
    })
}

/// Whether a number stands where a limit would and says that there is none.
fn is_none_at_all(limit: &str) -> bool {
    limit.trim().parse().is_ok_and(|limit: f64| limit <= 0.0)
}

/// A whole number; none when it is negative or anything else.
fn count(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MILLISECOND: Duration = Duration::from_millis(1);

    fn now() -> SystemTime {
        // 2026-11-25T08:00:00Z
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_593_600)
    }

    /// The reports of headers given as lines, as they are captured.
    fn read(lines: &str) -> Vec<LimitStatus> {
        let get = |name: &str| {
            let mut lines = lines.lines().filter_map(|line| line.split_once(": "));
            lines
                .find(|(key, _)| key.trim() == name)
                .map(|(_, value)| value)
        };
        reports(get, now())
    }

    fn said(
        unit: Unit,
        limit: impl Into<Option<u64>>,
        remaining: impl Into<Option<u64>>,
        reset: impl Into<Option<Duration>>,
    ) -> LimitStatus {
        LimitStatus {
            limit: limit.into(),
            remaining: remaining.into(),
            reset: reset.into(),
            ..LimitStatus::of(unit)
        }
    }

    #[test]
    fn each_provider_s_headers_are_understood() {
        let openai = "x-ratelimit-limit-requests: 10000
            x-ratelimit-remaining-requests: 9999
            x-ratelimit-reset-requests: 8.64s
            x-ratelimit-limit-tokens: 30000
            x-ratelimit-remaining-tokens: 29110
            x-ratelimit-reset-tokens: 1.78s";
        let project = "x-ratelimit-limit-tokens: 30000
            x-ratelimit-limit-project-tokens: 20000
            x-ratelimit-remaining-project-tokens: 0
            x-ratelimit-reset-project-tokens: 1m0s";
        let anthropic = "anthropic-ratelimit-requests-limit: 50
            anthropic-ratelimit-requests-remaining: 49
            anthropic-ratelimit-requests-reset: 2026-11-25T08:00:01Z
            anthropic-ratelimit-tokens-limit: 38000
            anthropic-ratelimit-tokens-remaining: 37000
            anthropic-ratelimit-tokens-reset: 2026-11-25T08:00:02.5Z
            anthropic-ratelimit-input-tokens-limit: 30000
            anthropic-ratelimit-input-tokens-remaining: 29000
            anthropic-ratelimit-input-tokens-reset: 2026-11-25T08:00:02+00:00
            anthropic-ratelimit-output-tokens-limit: 8000
            anthropic-ratelimit-output-tokens-remaining: 8000
            anthropic-ratelimit-output-tokens-reset: 2026-11-25T07:59:59Z";
        let of_project = |report| LimitStatus {
            scope: Scope::Project,
            ..report
        };
        let table = [
            (
                openai,
                vec![
                    said(Unit::Requests, 10_000, 9_999, MILLISECOND * 8_640),
                    said(Unit::Tokens, 30_000, 29_110, MILLISECOND * 1_780),
                ],
            ),
            (
                project,
                vec![
                    said(Unit::Tokens, 30_000, None, None),
                    of_project(said(Unit::Tokens, 20_000, 0, SECOND * 60)),
                ],
            ),
            (
                anthropic,
                vec![
                    said(Unit::Requests, 50, 49, SECOND),
                    said(Unit::Tokens, 38_000, 37_000, MILLISECOND * 2_500),
                    said(Unit::InputTokens, 30_000, 29_000, SECOND * 2),
                    said(Unit::OutputTokens, 8_000, 8_000, Duration::ZERO),
                ],
            ),
        ];
        for (step, (lines, expected)) in table.into_iter().enumerate() {
            assert_eq!(read(lines), expected, "step {step}");
        }
    }

    #[test]
    fn what_is_missing_or_nonsense_is_not_said() {
        let tokens = |limit, remaining, reset| vec![said(Unit::Tokens, limit, remaining, reset)];
        let table = [
            // Azure: only what remains, bare seconds, −1 and 0
            (
                "x-ratelimit-remaining-tokens: 119",
                tokens(None, Some(119), None),
            ),
            (
                "x-ratelimit-reset-tokens: 60",
                tokens(None, None, Some(SECOND * 60)),
            ),
            (
                "x-ratelimit-limit-tokens: -1\nx-ratelimit-remaining-tokens: 0",
                vec![],
            ),
            (
                "x-ratelimit-limit-tokens: 0\nx-ratelimit-remaining-tokens: 7\nx-ratelimit-reset-tokens: 1s",
                vec![],
            ),
            (
                "x-ratelimit-limit-tokens: 0.0\nx-ratelimit-remaining-tokens: 0",
                vec![],
            ),
            (
                "x-ratelimit-limit-tokens: 5\nx-ratelimit-remaining-tokens: -3",
                tokens(Some(5), None, None),
            ),
            (
                "x-ratelimit-limit-tokens: 5\nx-ratelimit-reset-tokens: soon",
                tokens(Some(5), None, None),
            ),
            (
                "x-ratelimit-limit-tokens: -1\nx-ratelimit-remaining-tokens: -1",
                vec![],
            ),
            (
                "x-ratelimit-limit-tokens: 30k\nx-ratelimit-remaining-tokens: 1e3",
                vec![],
            ),
            ("x-ratelimit-limit-tokens: 99999999999999999999", vec![]),
            ("x-ratelimit-limit-tokens: ", vec![]),
            ("x-ratelimit-limit-images: 5", vec![]),
            ("", vec![]),
        ];
        for (step, (lines, expected)) in table.into_iter().enumerate() {
            assert_eq!(read(lines), expected, "step {step}: {lines}");
        }
    }
}
