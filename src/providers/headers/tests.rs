//! Headers of each provider.

use std::time::Duration;

use super::*;
use crate::providers::ProviderTable;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

fn now() -> SystemTime {
    // 2026-11-25T08:00:00Z
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_593_600)
}

/// What headers say that are given as lines, as they are captured.
fn limits(lines: &str) -> Limits {
    let headers: Vec<(&str, &str)> = lines
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.trim(), value))
        .collect();
    let reading = ProviderTable::global().read(None, &headers, now());
    Limits {
        zeros: reading.zeros.clone(),
        reports: reading.feedback.limits,
        unknown: reading.unknown,
    }
}

fn read(lines: &str) -> Vec<LimitStatus> {
    limits(lines).reports
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
    let of_a_minute = |report| LimitStatus {
        period: Some(SECOND * 60),
        ..report
    };
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
                of_a_minute(said(Unit::Requests, 50, 49, SECOND)),
                of_a_minute(said(Unit::Tokens, 38_000, 37_000, MILLISECOND * 2_500)),
                of_a_minute(said(Unit::InputTokens, 30_000, 29_000, SECOND * 2)),
                of_a_minute(said(Unit::OutputTokens, 8_000, 8_000, Duration::ZERO)),
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
