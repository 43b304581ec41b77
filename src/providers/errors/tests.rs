//! The kinds of errors.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use serde_json::json;

use super::*;

fn api_error(status: u16, body: &[u8]) -> ApiError {
    let text = String::from_utf8_lossy(body);
    Reading::default().error(status, &text, serde_json::from_slice(body).ok())
}

fn kind_of(status: u16, body: &Value) -> ErrorKind {
    api_error(status, body.to_string().as_bytes()).kind
}

#[test]
fn refusals_are_told_apart_by_status_code_type_and_message() {
    let error = |code: &str, message: &str| json!({"error": {"code": code, "message": message}});
    let typed = |error_type: &str, message: &str| json!({"error": {"type": error_type, "code": null, "message": message}});
    let limited = "rate_limit_exceeded";
    let table = [
        (
            429,
            error(limited, "Rate limit reached"),
            ErrorKind::RateLimited,
        ),
        (
            429,
            typed("requests", "Rate limit reached"),
            ErrorKind::RateLimited,
        ),
        (429, json!("nothing"), ErrorKind::RateLimited),
        (429, json!({"error": null}), ErrorKind::RateLimited),
        (
            429,
            json!([{"error": {"code": 429}}]),
            ErrorKind::RateLimited,
        ),
        (
            429,
            error(limited, "Request too large for x"),
            ErrorKind::TooLarge,
        ),
        (
            429,
            typed("tokens", "Sorry. Request too large for x"),
            ErrorKind::TooLarge,
        ),
        (
            413,
            typed("tokens", "Request too large for x"),
            ErrorKind::TooLarge,
        ),
        (
            413,
            error(limited, "Request too large for x"),
            ErrorKind::TooLarge,
        ),
        (413, error("", "Request too large"), ErrorKind::Request),
        (
            413,
            typed("tokens", "The body is too large"),
            ErrorKind::Request,
        ),
        (
            400,
            typed("tokens", "Request too large for x"),
            ErrorKind::Request,
        ),
        (401, error("invalid_api_key", ""), ErrorKind::Account),
        (
            429,
            json!({"error": null, "code": "insufficient_quota"}),
            ErrorKind::Account,
        ),
        (402, json!({}), ErrorKind::Account),
        (403, json!({}), ErrorKind::Forbidden),
        (400, json!({}), ErrorKind::Request),
        (404, json!({}), ErrorKind::Request),
        (413, json!({}), ErrorKind::Request),
        (422, json!({}), ErrorKind::Request),
        (302, json!({}), ErrorKind::Request),
        (408, json!({}), ErrorKind::Conflict),
        (409, json!({}), ErrorKind::Conflict),
        (500, json!({}), ErrorKind::Server),
        (502, json!({}), ErrorKind::Server),
        (503, json!({}), ErrorKind::Overloaded),
        (503, error("", "Slow Down"), ErrorKind::Overloaded),
        (504, json!({}), ErrorKind::Server),
        (529, json!({}), ErrorKind::Overloaded),
        // Only a client's error can be about its account.
        (500, error("insufficient_quota", ""), ErrorKind::Server),
    ];
    for (step, (status, body, kind)) in table.into_iter().enumerate() {
        assert_eq!(kind_of(status, &body), kind, "step {step}: {status} {body}");
    }
}

#[test]
fn an_account_without_money_is_known_by_code_or_type_under_any_status() {
    let words = [
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
    ];
    for word in words {
        for status in [400, 402, 403, 429] {
            for field in ["code", "type"] {
                let body = json!({"error": {field: word, "message": "Request too large"}});
                assert_eq!(
                    kind_of(status, &body),
                    ErrorKind::Account,
                    "{status} {body}"
                );
            }
        }
    }
}

#[test]
fn anthropic_s_errors_are_understood() {
    let table = [
        (400, "invalid_request_error", ErrorKind::Request),
        (401, "authentication_error", ErrorKind::Account),
        (400, "authentication_error", ErrorKind::Account),
        (402, "billing_error", ErrorKind::Account),
        (403, "permission_error", ErrorKind::Forbidden),
        (404, "not_found_error", ErrorKind::Request),
        (413, "request_too_large", ErrorKind::Request),
        (429, "rate_limit_error", ErrorKind::RateLimited),
        (500, "api_error", ErrorKind::Server),
        (504, "timeout_error", ErrorKind::Server),
        (529, "overloaded_error", ErrorKind::Overloaded),
        (500, "overloaded_error", ErrorKind::Overloaded),
        (429, "overloaded_error", ErrorKind::Overloaded),
    ];
    for (step, (status, word, kind)) in table.into_iter().enumerate() {
        let body = json!({"type": "error", "error": {"type": word, "message": "words"}});
        let error = api_error(status, body.to_string().as_bytes());
        assert_eq!(error.kind, kind, "step {step}: {status} {word}");
        assert_eq!(error.error_type.as_deref(), Some(word), "step {step}");
        assert_eq!(error.message, "words", "step {step}");
    }
}

#[test]
fn a_page_that_is_not_the_apis_is_quoted_in_short() {
    let page = format!("<html>\n  {}</html>", "bad gateway ".repeat(100));
    let error = api_error(502, page.as_bytes());
    assert!(
        error.message.starts_with("<html> bad gateway bad"),
        "{}",
        error.message
    );
    assert_eq!(error.message.chars().count(), MAX_QUOTE + 1);
    let error = api_error(502, b"");
    assert_eq!(error.to_string(), "the server answered 502: no message");
}
