//! What refusals say.

use super::*;
use crate::error::ErrorKind;
use crate::providers::ProviderTable;

const MILLISECOND: Duration = Duration::from_millis(1);

fn known() -> &'static Words {
    &ProviderTable::global().any().words
}

fn error(error_type: &str, message: &str, retry_after: Option<Duration>) -> ApiError {
    ApiError {
        kind: ErrorKind::RateLimited,
        status: 429,
        effective_status: None,
        message: message.to_owned(),
        error_type: Some(error_type.to_owned()),
        code: None,
        request_id: None,
        retry_after,
        body: None,
    }
}

/// Unit, period, limit, requested, wait in milliseconds.
type Said = (
    Option<Unit>,
    Option<Duration>,
    Option<u64>,
    Option<u64>,
    Option<u32>,
);

fn check(table: &[(&str, &str, Said)]) {
    for (step, (error_type, message, said)) in table.iter().enumerate() {
        let (unit, period, limit, requested, wait) = *said;
        let expected = Refusal {
            unit,
            period,
            limit,
            requested,
            wait: wait.map(|wait| MILLISECOND * wait),
            is_for_room: false,
        };
        let found = refusal(&error(error_type, message, None), false, known());
        assert_eq!(found, expected, "step {step}: {message}");
    }
}

#[test]
fn seconds_and_hours_are_periods_too() {
    let table = [
        (
            "Rate limit reached on requests per second: Limit 5",
            Some(Unit::Requests),
            SECOND,
        ),
        ("Limit 2000 tokens per hour", Some(Unit::Tokens), HOUR),
        ("Limit 20 / h", None, HOUR),
        ("over your RPS: Limit 5", Some(Unit::Requests), SECOND),
    ];
    for (step, (message, unit, period)) in table.into_iter().enumerate() {
        let found = refusal(&error("", message, None), false, known());
        assert_eq!(
            (found.unit, found.period),
            (unit, Some(period)),
            "step {step}"
        );
    }
}

#[test]
fn a_refusal_for_want_of_room_is_known_by_its_words() {
    let table = [
        (
            "rate_limit_reached_error",
            "request reached max organization concurrency: 2, please try again after 1 seconds",
            true,
        ),
        ("overloaded", "Model is overloaded", true),
        (
            "",
            "server busy, please try again.  maximum pending requests exceeded",
            true,
        ),
        ("", "Too many concurrent requests", true),
        ("tokens", "Rate limit reached for concurrent tokens", false),
        (
            "",
            "Rate limit reached on requests per min: the model is overloaded",
            false,
        ),
        ("", "Too Many Requests", false),
    ];
    for (step, (error_type, message, expected)) in table.into_iter().enumerate() {
        let found = refusal(&error(error_type, message, None), false, known());
        assert_eq!(found.is_for_room, expected, "step {step}: {message}");
    }
}

#[test]
fn every_form_of_the_message_is_understood() {
    use Unit::{Requests, Tokens};
    let (minute, day) = (Some(MINUTE), Some(DAY));
    check(&[
        (
            "tokens",
            "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): \
             Limit 30000, Used 29900, Requested 890. Please try again in 1.58s. Visit \
             https://platform.openai.com/account/rate-limits to learn more.",
            (Some(Tokens), minute, Some(30_000), Some(890), Some(1_580)),
        ),
        (
            "requests",
            "Rate limit reached for gpt-4o in organization org-x on requests per min (RPM): \
             Limit 500, Used 500, Requested 1. Please try again in 120ms.",
            (Some(Requests), minute, Some(500), Some(1), Some(120)),
        ),
        (
            "requests",
            "Rate limit reached for x in organization y on requests per day (RPD): Limit 200, \
             Used 200, Requested 1. Please try again in 7m12s.",
            (Some(Requests), day, Some(200), Some(1), Some(432_000)),
        ),
        (
            "tokens",
            "Rate limit reached for x on tokens per day (TPD): Limit 1,500,000, Used \
             1,499,990, Requested 1,024. Please try again in 1h2m3.5s",
            (
                Some(Tokens),
                day,
                Some(1_500_000),
                Some(1_024),
                Some(3_723_500),
            ),
        ),
        (
            "",
            "Rate limit reached for default-x in organization y on requests per min. \
             Limit: 3 / min. Please try again in 20s. Contact us at \
             https://help.openai.com if you continue to have issues.",
            (Some(Requests), minute, Some(3), None, Some(20_000)),
        ),
        (
            "tokens",
            "Rate limit reached for x. Limit: 30000 / min. Current: 30500 / min. Please \
             try again in 6m0s.",
            (Some(Tokens), minute, Some(30_000), None, Some(360_000)),
        ),
        (
            "",
            "Rate limit reached for 10KTPM-200RPM on tokens_usage_based per min. \
             Limit: 10000/min.",
            (Some(Tokens), minute, Some(10_000), None, None),
        ),
        // The abbreviation alone; the type alone; nothing at all.
        (
            "",
            "Over TPD: limit 5.",
            (Some(Tokens), day, Some(5), None, None),
        ),
        (
            "requests",
            "Slower.",
            (Some(Requests), None, None, None, None),
        ),
        ("", "Too many requests", (None, None, None, None, None)),
        ("", "", (None, None, None, None, None)),
    ]);
}

#[test]
fn other_providers_and_other_limits_are_understood_as_far_as_they_go() {
    let minute = Some(MINUTE);
    check(&[
        (
            "rate_limit_error",
            "This request would exceed your organization's rate limit of 40,000 input tokens \
             per minute.",
            (Some(Unit::InputTokens), minute, Some(40_000), None, None),
        ),
        (
            "rate_limit_error",
            "This request would exceed the limit for your organization (a-b) of 8,000 output \
             tokens per minute.",
            (Some(Unit::OutputTokens), minute, Some(8_000), None, None),
        ),
        (
            "rate_limit_error",
            "Number of requests has exceeded your per-minute rate limit",
            (None, minute, None, None, None),
        ),
        (
            "429",
            "Requests have exceeded the token rate limit. Please retry after 26 seconds.",
            (None, None, None, None, Some(26_000)),
        ),
        // Not a unit of ours, whatever the type says.
        (
            "requests",
            "Rate limit reached on images per min: Limit 5, Used 5, Requested 1.",
            (None, minute, Some(5), Some(1), None),
        ),
        // Nonsense is not said.
        (
            "tokens",
            "on tokens per min: Limit -1, Requested x. Please try again in -3s.",
            (Some(Unit::Tokens), minute, None, None, None),
        ),
        (
            "",
            "Limit 0. Try again in 2 minutes",
            (None, None, None, None, None),
        ),
    ]);
}

#[test]
fn google_s_waits_are_read_in_the_message_and_among_the_details() {
    let details = serde_json::json!({"error": {"details": [
        {"@type": "QuotaFailure"}, {"@type": "RetryInfo", "retryDelay": "46s"},
    ]}});
    let table = [
        ("Quota exceeded. Please retry in 31.44s.", 31_440),
        ("Please retry in 10h17m5.7s.", 37_025_700),
        ("Quota exceeded.", 46_000),
    ];
    for (step, (message, wait)) in table.into_iter().enumerate() {
        for body in [details.clone(), serde_json::json!([details])] {
            let mut error = error("", message, None);
            error.body = Some(body);
            let expected = Some(MILLISECOND * wait);
            assert_eq!(
                refusal(&error, false, known()).wait,
                expected,
                "step {step}"
            );
            assert_eq!(wait_in_body(&error, known()), expected, "step {step}");
        }
    }
}

#[test]
fn the_most_exact_wait_is_taken_that_the_header_bears_out() {
    // header, in milliseconds?, message; all in milliseconds
    let table = [
        (None, false, None, None),
        (None, false, Some(1_780), Some(1_780)),
        (Some(2_000), false, None, Some(2_000)),
        (Some(2_000), false, Some(1_780), Some(1_780)),
        (Some(2_000), false, Some(2_000), Some(2_000)),
        (Some(2_000), false, Some(1_000), Some(1_000)),
        (Some(2_000), false, Some(999), Some(2_000)),
        (Some(2_000), false, Some(2_001), Some(2_000)),
        (Some(2_000), true, Some(1_780), Some(2_000)),
        (Some(0), false, Some(5), Some(0)),
    ];
    for (step, (header, is_exact, message, expected)) in table.into_iter().enumerate() {
        let [header, message, expected] =
            [header, message, expected].map(|time| time.map(|time: u32| MILLISECOND * time));
        let text = message.map(|time| format!("Try again in {}ms", time.as_millis()));
        let error = error("", &text.unwrap_or_default(), header);
        assert_eq!(
            refusal(&error, is_exact, known()).wait,
            expected,
            "step {step}"
        );
    }
}
