//! A response as a whole, and whatever else a server may send.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod vectors; // what each provider sends

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::json;

use super::durations::MAX;
use super::*;
use crate::ErrorKind;
use crate::observation::{LimitStatus, Observation, Outcome, Refusal};
use crate::unit::Unit;

const MILLISECOND: Duration = Duration::from_millis(1);

fn read(headers: &[(&str, &str)], now: SystemTime) -> Reading {
    ProviderTable::global().read(None, headers, now)
}

/// The error of a body.
fn error(status: u16, reading: &Reading, body: &[u8]) -> ApiError {
    let text = String::from_utf8_lossy(body);
    reading.error(status, &text, serde_json::from_slice(body).ok())
}

/// A response read to its end.
fn observe(status: u16, headers: &[(&str, &str)], body: &[u8], now: SystemTime) -> Reading {
    let mut reading = read(headers, now);
    let is_success = (200..300).contains(&status);
    let error = (!is_success).then(|| error(status, &reading, body));
    reading.judge(status, error.as_ref());
    reading
}

#[test]
fn an_overloaded_server_may_name_its_wait_in_the_body() {
    let body = br#"{"error":{"message":"Overloaded. Please try again in 20s."}}"#;
    let now = SystemTime::UNIX_EPOCH;
    type Given<'a> = &'a [(&'a str, &'a str)];
    let table: [(u16, Given<'_>, Option<u64>); 4] = [
        (503, &[], Some(20)),
        (529, &[], Some(20)),
        (503, &[("retry-after", "3")], Some(3)),
        (500, &[], None),
    ];
    for (step, (status, headers, wait)) in table.into_iter().enumerate() {
        let heard = observe(status, headers, body, now);
        assert_eq!(heard.wait(), wait.map(Duration::from_secs), "step {step}");
    }
}

#[test]
fn waits_are_read_in_every_form() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 60);
    type Given<'a> = &'a [(&'a str, &'a str)];
    let table: [(Given<'_>, Option<u32>, bool); 10] = [
        (&[("retry-after", "2")], Some(2_000), false),
        (&[("retry-after", "0.25")], Some(250), false),
        (
            &[("retry-after-ms", "308"), ("retry-after", "1")],
            Some(308),
            true,
        ),
        (
            &[("retry-after-ms", "x"), ("retry-after", "1")],
            Some(1_000),
            false,
        ),
        (
            &[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")],
            Some(60_000),
            false,
        ),
        (
            &[("retry-after", "Sat, 06 Nov 1993 08:49:37 GMT")],
            Some(0),
            false,
        ),
        (&[("retry-after", "-1")], None, false),
        (&[("retry-after", "soon")], None, false),
        (&[("retry-after", "1764057600")], None, false),
        (&[], None, false),
    ];
    for (step, (headers, wait, is_exact)) in table.into_iter().enumerate() {
        let heard = read(headers, now);
        let wait = wait.map(|wait| MILLISECOND * wait);
        assert_eq!(heard.retry_after, wait, "step {step}");
        assert_eq!(heard.is_exact, is_exact, "step {step}");
    }
}

#[test]
fn ids_and_advice_are_read() {
    let now = SystemTime::UNIX_EPOCH;
    let heard = read(&[("x-request-id", "a"), ("x-should-retry", "false")], now);
    assert_eq!(heard.request_id.as_deref(), Some("a"));
    assert_eq!(heard.should_retry, Some(false));
    let heard = read(&[("request-id", "b"), ("x-should-retry", "maybe")], now);
    assert_eq!(heard.request_id.as_deref(), Some("b"));
    assert_eq!(heard.should_retry, None);
}

#[test]
fn a_refusal_is_heard_as_a_whole() {
    let message = "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): \
                   Limit 30000, Used 30000, Requested 890. Please try again in 1.78s.";
    let body =
        json!({"error": {"message": message, "type": "tokens", "code": "rate_limit_exceeded"}});
    let headers = [
        ("retry-after", "2"),
        ("x-ratelimit-limit-tokens", "30000"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "1m0s"),
    ];
    let heard = observe(
        429,
        &headers,
        body.to_string().as_bytes(),
        SystemTime::UNIX_EPOCH,
    );
    let report = LimitStatus {
        limit: Some(30_000),
        remaining: Some(0),
        reset: Some(Duration::from_secs(60)),
        ..LimitStatus::of(Unit::Tokens)
    };
    let refusal = Refusal {
        unit: Some(Unit::Tokens),
        period: Some(Duration::from_secs(60)),
        limit: Some(30_000),
        requested: Some(890),
        wait: Some(MILLISECOND * 1_780),
        ..Refusal::default()
    };
    assert_eq!(heard.feedback, Observation::refused(refusal).with(report));
    assert_eq!(heard.retry_after, Some(MILLISECOND * 2_000));
}

#[test]
fn the_verdict_is_that_of_the_kind_and_reports_stay() {
    let error = |word: &str, message: &str| json!({"error": {"type": word, "message": message}});
    let nothing = Refusal::default();
    let table = [
        (200, json!({}), Outcome::Admitted),
        (299, json!({}), Outcome::Admitted),
        (302, json!({}), Outcome::Unknown),
        (400, json!({}), Outcome::Unknown),
        (401, json!({}), Outcome::Unknown),
        (409, json!({}), Outcome::Unknown),
        (429, json!({}), Outcome::Refused(nothing)),
        (
            429,
            error("rate_limit_error", "slower"),
            Outcome::Refused(nothing),
        ),
        (429, error("insufficient_quota", ""), Outcome::Unknown),
        (429, error("tokens", "Request too large"), Outcome::Unknown),
        (500, json!({}), Outcome::Unknown),
        (503, json!({}), Outcome::Overloaded),
        (529, error("overloaded_error", ""), Outcome::Overloaded),
    ];
    let headers = [("x-ratelimit-remaining-requests", "9")];
    for (step, (status, body, verdict)) in table.into_iter().enumerate() {
        let body = body.to_string();
        let heard = observe(status, &headers, body.as_bytes(), SystemTime::UNIX_EPOCH);
        assert_eq!(
            heard.feedback.outcome, verdict,
            "step {step}: {status} {body}"
        );
        let [report] = heard.feedback.limits[..] else {
            panic!("step {step}: {heard:?}");
        };
        assert_eq!(report.remaining, Some(9), "step {step}");
    }
    let mut heard = read(&[], SystemTime::UNIX_EPOCH);
    heard.judge(304, None);
    assert_eq!(
        heard.feedback.outcome,
        Outcome::Unknown,
        "no success without 2xx"
    );
}

/// Headers with a value for each that could well be real.
const PLAUSIBLE: [(&str, &str); 14] = [
    ("retry-after", "2"),
    ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("retry-after-ms", "1780"),
    ("x-should-retry", "true"),
    ("x-request-id", "req_1"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-remaining-requests", "9999"),
    ("x-ratelimit-reset-requests", "23h18m29.144s"),
    ("x-ratelimit-limit-tokens", "-1"),
    ("x-ratelimit-reset-tokens", "8.64"),
    ("x-ratelimit-reset-project-tokens", "4m12.172s"),
    ("anthropic-ratelimit-input-tokens-limit", "30000"),
    ("anthropic-ratelimit-tokens-reset", "2026-11-25T08:00:02.5Z"),
    (
        "anthropic-ratelimit-requests-reset",
        "2026-11-25T09:00:02+01:00",
    ),
];

const BODIES: [&str; 4] = [
    r#"{"error":{"message":"Rate limit reached for M in organization O on tokens per min (TPM): Limit 30000, Used 29900, Requested 890. Please try again in 1.78s.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
    r#"{"error":{"message":"Rate limit reached for M on requests per day (RPD). Limit: 1,000 / day. Please try again in 6m0s.","type":"requests","code":null}}"#,
    r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your rate limit of 40,000 input tokens per minute."}}"#,
    r#"{"error":{"message":"Request too large for M on tokens per min: Limit 10, Requested 12","type":"tokens"},"usage":{"prompt_tokens":3}}"#,
];

/// Sets, inserts or removes a byte at a place; the place is taken within the text.
type Edit = (u8, usize, u8);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    // Digits and signs go deeper into the parser than most bytes do.
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(&b"0123456789.,:-+smhd \"{}/"[..])
    ];
    prop::collection::vec((0..3_u8, any::<usize>(), byte), 0..6)
}

fn edited(text: &str, edits: &[Edit]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for &(what, at, byte) in edits {
        let at = at % (bytes.len() + 1);
        match what {
            _ if at == bytes.len() => bytes.push(byte),
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
    }
    bytes
}

/// What holds of anything that is heard.
fn check(heard: &Reading, status: u16) -> Result<(), TestCaseError> {
    let believable = |time: Option<Duration>| time.is_none_or(|time| time <= MAX);
    prop_assert!(believable(heard.retry_after));
    for report in &heard.feedback.limits {
        prop_assert!(believable(report.reset), "{report:?}");
        prop_assert_ne!(report.limit, Some(0));
        prop_assert_ne!(
            *report,
            LimitStatus {
                scope: report.scope,
                ..LimitStatus::of(report.unit)
            }
        );
    }
    match heard.feedback.outcome {
        Outcome::Refused(refusal) => {
            prop_assert_eq!(status, 429);
            prop_assert!(believable(refusal.wait), "{refusal:?}");
            prop_assert_ne!(refusal.limit, Some(0));
            // A wait is at most the header's, and less by its rounding at most.
            if let Some(told) = heard.retry_after {
                let wait = refusal.wait.unwrap();
                prop_assert!(wait <= told && told - wait <= MILLISECOND * 1_000);
            }
        }
        Outcome::Admitted => prop_assert!((200..300).contains(&status)),
        Outcome::Unknown | Outcome::Overloaded => {}
    }
    Ok(())
}

fn statuses() -> impl Strategy<Value = u16> {
    prop_oneof![3 => Just(429), 1 => any::<u16>(), 1 => 200..600_u16]
}

proptest! {
    #[test]
    fn nothing_that_a_server_sends_panics(
        status in statuses(),
        text in "\\PC*",
        body in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let headers = PLAUSIBLE.map(|(name, _)| (name, text.as_str()));
        let heard = observe(status, &headers, &body, SystemTime::UNIX_EPOCH);
        check(&heard, status)?;
        let _ = error(status, &heard, &body).to_string();
    }

    #[test]
    fn a_message_of_any_words_is_heard(words in prop::collection::vec(
        prop::sample::select(&[
            "Limit", "limit:", "of", "Requested", "per", "min", "per-day", "/", "tokens", "input",
            "requests", "(TPM):", "again", "in", "retry", "after", "1.78s.", "6m0s", "30,000", "0",
            "-1", "99999999999999999999", "seconds", "9999999999h", "ß", "\u{1f980}",
        ][..]), 0..300),
        retry_after in prop::option::of("[0-9]{1,3}"),
    ) {
        let body = json!({"error": {"message": words.join(" ")}}).to_string();
        let headers = retry_after.as_deref().map(|text| ("retry-after", text));
        let heard = observe(429, headers.as_slice(), body.as_bytes(), SystemTime::UNIX_EPOCH);
        check(&heard, 429)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn answers_that_are_almost_right_are_heard_soundly(
        status in statuses(),
        chosen in prop::collection::vec((prop::sample::select(&PLAUSIBLE[..]), edits()), 0..10),
        body in prop::sample::select(&BODIES[..]),
        body_edits in edits(),
        now in prop_oneof![Just(784_111_717_u64), 0..u64::MAX / 4, Just(1_795_593_600)],
    ) {
        let texts: Vec<_> = chosen
            .iter()
            .map(|((name, text), edits)| (*name, edited(text, edits)))
            .collect();
        let headers: Vec<_> = texts
            .iter()
            // The wire hands out text alone.
            .filter_map(|(name, text)| Some((*name, str::from_utf8(text).ok()?)))
            .collect();
        let body = edited(body, &body_edits);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
        check(&observe(status, &headers, &body, now), status)?;
        for in_choice in [false, true] {
            let text = String::from_utf8_lossy(&body);
            let inside = Inside { in_choice, fault: &"the response is an error" };
            let json = serde_json::from_slice(&body).ok();
            let error = Reading::default().error_inside(200, &text, json, inside);
            let _ = error.to_string();
        }
    }
}
