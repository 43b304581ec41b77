//! What an answer says about the limits: pure, from headers and a body.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::transport::Headers;
use crate::cost::Usage;
use crate::error::{ApiError, ErrorKind};

/// Codes and types by which the API says that the account, not the request, is refused.
const ACCOUNT_CODES: [&str; 6] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
];

/// The longest message that is kept of an answer that is not the API's JSON, in characters.
const MAX_FOREIGN_MESSAGE: usize = 300;

/// What the headers of an answer say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Feedback {
    pub(super) request_id: Option<String>,
    pub(super) retry_after: Option<Duration>,
    /// The server's own advice whether to try again.
    pub(super) should_retry: Option<bool>,
}

impl Feedback {
    /// Reads the headers; `now` is what a `retry-after` that is a date counts from.
    pub(super) fn read(headers: &Headers, now: SystemTime) -> Self {
        Self::from_lookup(|name| headers.get(name), now)
    }

    fn from_lookup<'a>(get: impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> Self {
        let millis = get("retry-after-ms").and_then(|text| seconds(text, 1e-3));
        let after = || get("retry-after").and_then(|text| retry_after(text, now));
        Self {
            request_id: get("x-request-id").map(str::to_owned),
            retry_after: millis.or_else(after),
            should_retry: get("x-should-retry").and_then(|text| text.parse().ok()),
        }
    }
}

/// `retry-after` in either of its forms: seconds, or an HTTP date.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    seconds(text, 1.0).or_else(|| {
        let date = httpdate::parse_http_date(text).ok()?;
        // One in the past asks for no wait.
        Some(date.duration_since(now).unwrap_or_default())
    })
}

/// A number of `scale` seconds, fractions allowed.
fn seconds(text: &str, scale: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse::<f64>().ok()? * scale).ok()
}

/// The refusal that an answer with an error status is.
pub(super) fn api_error(status: u16, feedback: &Feedback, body: &[u8]) -> ApiError {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let error = json.as_ref().map(|body| body.get("error").unwrap_or(body));
    let field = |name: &str| error?.get(name)?.as_str().map(str::to_owned);
    let (code, error_type) = (field("code"), field("type"));
    let message = field("message")
        // Some servers put the sentence itself in `error`.
        .or_else(|| error?.as_str().map(str::to_owned))
        .unwrap_or_else(|| foreign_message(body));
    ApiError {
        kind: kind(status, code.as_deref(), error_type.as_deref(), &message),
        status,
        message,
        error_type,
        code,
        request_id: feedback.request_id.clone(),
        retry_after: feedback.retry_after,
        body: json,
    }
}

fn kind(status: u16, code: Option<&str>, error_type: Option<&str>, message: &str) -> ErrorKind {
    let says = |word: &str| code == Some(word) || error_type == Some(word);
    match status {
        401 | 403 => ErrorKind::Account,
        429 if ACCOUNT_CODES.into_iter().any(says) => ErrorKind::Account,
        429 if message.starts_with("Request too large") => ErrorKind::TooLarge,
        429 => ErrorKind::RateLimited,
        408 | 409 => ErrorKind::Conflict,
        503 | 529 => ErrorKind::Overloaded,
        500.. => ErrorKind::Server,
        _ => ErrorKind::Request,
    }
}

fn foreign_message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_FOREIGN_MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "no message".to_owned(),
        None => line,
    }
}

/// The usage that an answer states, under the names of any endpoint.
pub(super) fn usage(body: &Value) -> Option<Usage> {
    let usage = body.get("usage")?;
    let field = |names: [&str; 2]| names.into_iter().find_map(|name| usage.get(name)?.as_u64());
    Some(Usage {
        input_tokens: field(["prompt_tokens", "input_tokens"])?,
        output_tokens: field(["completion_tokens", "output_tokens"]).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn read(headers: &[(&str, &str)], now: SystemTime) -> Feedback {
        let get = |name: &str| {
            headers
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, v)| *v)
        };
        Feedback::from_lookup(get, now)
    }

    #[test]
    fn waits_are_read_in_every_form() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 60);
        type Given<'a> = &'a [(&'a str, &'a str)];
        let table: [(Given<'_>, Option<Duration>); 9] = [
            (&[("retry-after", "2")], Some(MILLISECOND * 2_000)),
            (&[("retry-after", "0.25")], Some(MILLISECOND * 250)),
            (
                &[("retry-after-ms", "308"), ("retry-after", "1")],
                Some(MILLISECOND * 308),
            ),
            (
                &[("retry-after-ms", "x"), ("retry-after", "1")],
                Some(MILLISECOND * 1_000),
            ),
            (
                &[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")],
                Some(MILLISECOND * 60_000),
            ),
            (
                &[("retry-after", "Sat, 06 Nov 1993 08:49:37 GMT")],
                Some(Duration::ZERO),
            ),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "soon")], None),
            (&[], None),
        ];
        for (step, (headers, wait)) in table.into_iter().enumerate() {
            assert_eq!(read(headers, now).retry_after, wait, "step {step}");
        }
    }

    #[test]
    fn refusals_are_told_apart_by_status_code_type_and_message() {
        let error =
            |code: &str, message: &str| json!({"error": {"code": code, "message": message}});
        let typed = json!({"error": {"type": "insufficient_quota", "code": null}});
        let table = [
            (
                429,
                error("rate_limit_exceeded", "Rate limit reached"),
                ErrorKind::RateLimited,
            ),
            (
                429,
                error("rate_limit_exceeded", "Request too large for x"),
                ErrorKind::TooLarge,
            ),
            (
                429,
                error("insufficient_quota", "You exceeded"),
                ErrorKind::Account,
            ),
            (429, typed, ErrorKind::Account),
            (429, json!("nothing"), ErrorKind::RateLimited),
            (401, error("invalid_api_key", ""), ErrorKind::Account),
            (403, json!({}), ErrorKind::Account),
            (400, json!({}), ErrorKind::Request),
            (404, json!({}), ErrorKind::Request),
            (422, json!({}), ErrorKind::Request),
            (302, json!({}), ErrorKind::Request),
            (408, json!({}), ErrorKind::Conflict),
            (409, json!({}), ErrorKind::Conflict),
            (500, json!({}), ErrorKind::Server),
            (502, json!({}), ErrorKind::Server),
            (503, json!({}), ErrorKind::Overloaded),
            (504, json!({}), ErrorKind::Server),
            (529, json!({}), ErrorKind::Overloaded),
        ];
        for (step, (status, body, kind)) in table.into_iter().enumerate() {
            let error = api_error(status, &Feedback::default(), body.to_string().as_bytes());
            assert_eq!(error.kind, kind, "step {step}: {status} {body}");
        }
    }

    #[test]
    fn a_page_that_is_not_the_apis_is_quoted_in_short() {
        let page = format!("<html>\n  {}</html>", "bad gateway ".repeat(100));
        let error = api_error(502, &Feedback::default(), page.as_bytes());
        assert!(
            error.message.starts_with("<html> bad gateway bad"),
            "{}",
            error.message
        );
        assert_eq!(error.message.chars().count(), MAX_FOREIGN_MESSAGE + 1);
        let error = api_error(502, &Feedback::default(), b"");
        assert_eq!(error.to_string(), "the server answered 502: no message");
    }

    #[test]
    fn usage_is_read_under_the_names_of_any_endpoint() {
        let chat = json!({"usage": {"prompt_tokens": 3, "completion_tokens": 4}});
        let responses = json!({"usage": {"input_tokens": 3, "output_tokens": 4}});
        let embeddings = json!({"usage": {"prompt_tokens": 3, "total_tokens": 3}});
        let outputs = [&chat, &responses, &embeddings].map(|b| usage(b).unwrap().output_tokens);
        assert_eq!(outputs, [4, 4, 0]);
        for none in [
            json!({}),
            json!({"usage": null}),
            json!({"usage": {"prompt_tokens": -1}}),
        ] {
            assert_eq!(usage(&none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_server_sends_panics(
            status in any::<u16>(),
            wait in "\\PC*",
            body in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let feedback = read(&[("retry-after", &wait), ("retry-after-ms", &wait)], SystemTime::UNIX_EPOCH);
            let _ = api_error(status, &feedback, &body).to_string();
        }
    }
}
