//! The refusal in a body, and what kind it is.

use serde_json::Value;

use super::{Heard, effective};
use crate::client::answer::{Fault, value};
use crate::error::{ApiError, ErrorKind};

/// Codes and types by which an API says that the account, not the request, is refused.
const ACCOUNT_CODES: [&str; 9] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    // Anthropic's
    "authentication_error",
    "billing_error",
    "enforced_spend_limit_reached",
];

/// Codes by which a class of service says that it has no room now. It is no limit of the account's.
pub(super) const CAPACITY_CODES: [&str; 2] = ["resource_unavailable", "capacity_exceeded"];

/// The longest part of a body that is quoted, in characters.
const MAX_QUOTE: usize = 300;

/// The refusal that an answer with an error status is.
pub(in crate::client) fn api_error(status: u16, heard: &Heard, body: &[u8]) -> ApiError {
    let text = String::from_utf8_lossy(body);
    let json = value(&text).ok();
    let said = Said::of(json.as_ref().map(error_in));
    let message = said.message.unwrap_or_else(|| quote(&text));
    ApiError {
        kind: kind(
            status,
            said.code.as_deref(),
            said.error_type.as_deref(),
            &message,
        ),
        status,
        effective_status: None,
        message,
        error_type: said.error_type,
        code: said.code,
        request_id: heard.request_id.clone(),
        retry_after: heard.retry_after,
        body: json,
    }
}

/// The refusal that an answer with a status of success is.
pub(in crate::client) fn error_inside(
    status: u16,
    heard: &Heard,
    body: &str,
    fault: Fault,
) -> ApiError {
    let json = value(body).ok();
    let error = json.as_ref().map(|body| match fault {
        Fault::ErrorInChoice => error_in_choices(body).unwrap_or(body),
        _ => error_in(body),
    });
    let said = Said::of(error);
    let effective_status = error.and_then(effective::status);
    let message = said
        .message
        .unwrap_or_else(|| format!("{fault}: {}", quote(body)));
    let (code, error_type) = (said.code, said.error_type);
    ApiError {
        // One that says nothing of itself may pass, as the servers' own do.
        kind: kind(
            effective_status.unwrap_or(500),
            code.as_deref(),
            error_type.as_deref(),
            &message,
        ),
        status,
        effective_status,
        message,
        error_type,
        code,
        request_id: heard.request_id.clone(),
        retry_after: heard.retry_after,
        body: json,
    }
}

/// The fields of an error.
#[derive(Default)]
struct Said {
    code: Option<String>,
    error_type: Option<String>,
    message: Option<String>,
}

impl Said {
    fn of(error: Option<&Value>) -> Self {
        let Some(error) = error else {
            return Self::default();
        };
        let field = |name: &str| error.get(name)?.as_str().map(str::to_owned);
        Self {
            code: field("code"),
            // Google's types are called so.
            error_type: field("type")
                .or_else(|| field("status").filter(|status| effective::of_word(status).is_some())),
            message: field("message")
                // Some servers put the sentence itself in `error`.
                .or_else(|| error.as_str().map(str::to_owned)),
        }
    }
}

/// The error of a body, or else the body: some have its fields at the top, some in a list.
fn error_in(body: &Value) -> &Value {
    let body = match body {
        Value::Array(list) => list.first().unwrap_or(body),
        _ => body,
    };
    let error = body.get("error").filter(|error| !error.is_null());
    error.unwrap_or(body)
}

fn error_in_choices(body: &Value) -> Option<&Value> {
    let choices = body.get("choices")?.as_array()?;
    let mut errors = choices.iter().filter_map(|choice| choice.get("error"));
    errors.find(|error| !error.is_null())
}

/// What to do about a refusal. Words are asked before the status where they say more: a gateway
/// may pass them on under a status of its own. Which of the two fields has the word differs, too.
fn kind(status: u16, code: Option<&str>, error_type: Option<&str>, message: &str) -> ErrorKind {
    let says = |word: &str| code == Some(word) || error_type == Some(word);
    match status {
        400..500 if ACCOUNT_CODES.into_iter().any(says) => ErrorKind::Account,
        400 | 429 if is_spend_limit(message) => ErrorKind::Account,
        429 if CAPACITY_CODES.into_iter().any(says) => ErrorKind::Overloaded,
        402 if says("openrouter_in_flight_budget") => ErrorKind::Overloaded,
        401 | 402 => ErrorKind::Account,
        403 => ErrorKind::Forbidden,
        _ if says("overloaded_error") => ErrorKind::Overloaded,
        429 if is_too_large(message) => ErrorKind::TooLarge,
        // Without such a word it is the bytes of the body that are too many, not its tokens.
        413 if is_too_large(message) && (says("tokens") || says("rate_limit_exceeded")) => {
            ErrorKind::TooLarge
        }
        429 => ErrorKind::RateLimited,
        408 | 409 | 425 | 499 => ErrorKind::Conflict,
        // 498: Groq's `capacity_exceeded`
        498 | 503 | 529 => ErrorKind::Overloaded,
        // What is not implemented today is not tomorrow.
        501 | 505 | 506 | 508 | 510 => ErrorKind::Request,
        500.. => ErrorKind::Server,
        _ => ErrorKind::Request,
    }
}

/// Anthropic says so with a type that says otherwise.
fn is_spend_limit(message: &str) -> bool {
    message.starts_with("You have reached your specified") && message.contains("usage limits")
}

/// Some servers put a sentence of their own before it.
fn is_too_large(message: &str) -> bool {
    message.contains("Request too large")
}

/// The beginning of a body, on one line and without what a terminal would obey.
pub(in crate::client) fn quote(body: &str) -> String {
    let is_parted = |char: char| char.is_whitespace() || char.is_control();
    let words = body.split(is_parted).filter(|word| !word.is_empty());
    // No more words than characters are kept.
    let line = words.take(MAX_QUOTE).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "no message".to_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind_of(status: u16, body: &Value) -> ErrorKind {
        api_error(status, &Heard::default(), body.to_string().as_bytes()).kind
    }

    #[test]
    fn refusals_are_told_apart_by_status_code_type_and_message() {
        let error =
            |code: &str, message: &str| json!({"error": {"code": code, "message": message}});
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
            let error = api_error(status, &Heard::default(), body.to_string().as_bytes());
            assert_eq!(error.kind, kind, "step {step}: {status} {word}");
            assert_eq!(error.error_type.as_deref(), Some(word), "step {step}");
            assert_eq!(error.message, "words", "step {step}");
        }
    }

    #[test]
    fn a_page_that_is_not_the_apis_is_quoted_in_short() {
        let page = format!("<html>\n  {}</html>", "bad gateway ".repeat(100));
        let error = api_error(502, &Heard::default(), page.as_bytes());
        assert!(
            error.message.starts_with("<html> bad gateway bad"),
            "{}",
            error.message
        );
        assert_eq!(error.message.chars().count(), MAX_QUOTE + 1);
        let error = api_error(502, &Heard::default(), b"");
        assert_eq!(error.to_string(), "the server answered 502: no message");
    }
}
