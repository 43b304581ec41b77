//! Refusals, in the API's own words.

use serde_json::json;

use super::config::Fault;
use super::durations::{go_style, millis_up, seconds_up};
use super::http::Response;
use super::ledger::{Counted, Verdict};

/// The name of the organization in messages.
const ORGANIZATION: &str = "org-sim";
const INVALID: &str = "invalid_request_error";

/// A request that gets an error for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    message: String,
    kind: &'static str,
    param: Option<String>,
    code: Option<&'static str>,
    /// The method that would be right.
    allow: Option<&'static str>,
}

impl Refusal {
    /// A refusal that has a status and a message, and nothing more to tell.
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            kind: INVALID,
            param: None,
            code: None,
            allow: None,
        }
    }

    pub(super) fn malformed_json() -> Self {
        Self::new(
            400,
            "We could not parse the JSON body of your request. The API expects a JSON payload.",
        )
    }

    pub(super) fn missing(param: &str) -> Self {
        Self {
            param: Some(param.to_owned()),
            code: Some("missing_required_parameter"),
            ..Self::new(400, format!("Missing required parameter: '{param}'."))
        }
    }

    /// A parameter has a value that cannot be; `expected` says what could.
    pub(super) fn invalid(param: &str, expected: &str) -> Self {
        Self {
            param: Some(param.to_owned()),
            code: Some("invalid_value"),
            ..Self::new(400, format!("Invalid '{param}': expected {expected}."))
        }
    }

    pub(super) fn unknown_url(method: &str, path: &str) -> Self {
        Self {
            code: Some("unknown_url"),
            ..Self::new(404, format!("Invalid URL ({method} {path})"))
        }
    }

    pub(super) fn wrong_method(method: &str, path: &str, allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            code: Some("method_not_supported"),
            ..Self::new(405, format!("Not allowed to {method} on {path}."))
        }
    }

    pub(super) fn missing_key() -> Self {
        Self::new(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization \
             header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an \
             API key from https://platform.openai.com/account/api-keys.",
        )
    }

    /// The API repeats a masked key here; this does not, so that no key is ever printed.
    pub(super) fn wrong_key() -> Self {
        Self {
            code: Some("invalid_api_key"),
            ..Self::new(
                401,
                "Incorrect API key provided. You can find your API key at \
                 https://platform.openai.com/account/api-keys.",
            )
        }
    }

    pub(super) fn into_response(self) -> Response {
        let Self {
            status,
            message,
            kind,
            param,
            code,
            allow,
        } = self;
        let error = json!({"message": message, "type": kind, "param": param, "code": code});
        let mut response = Response::json(status, &json!({"error": error}));
        if let Some(allow) = allow {
            response.header("allow", allow.to_owned());
        }
        response
    }
}

/// The 429 for a verdict; None when it was admitted.
pub(super) fn over_limit(verdict: Verdict, model: &str, retry_after: bool) -> Option<Response> {
    let visit = "Visit https://platform.openai.com/account/rate-limits to learn more.";
    let (by, message, wait) = match verdict {
        Verdict::Admitted => return None,
        Verdict::TooLarge {
            by,
            limit,
            requested,
        } => {
            let per = unit(by);
            let message = format!(
                "Request too large for {model} in organization {ORGANIZATION} on {per}: \
                 Limit {limit}, Requested {requested}. The input or output tokens must be \
                 reduced in order to run successfully. {visit}"
            );
            (by, message, None)
        }
        Verdict::Refused {
            by,
            standing,
            requested,
            wait,
        } => {
            let (per, limit, used) = (unit(by), standing.limit, standing.used);
            let after = go_style(wait);
            let message = format!(
                "Rate limit reached for {model} in organization {ORGANIZATION} on {per}: \
                 Limit {limit}, Used {used}, Requested {requested}. \
                 Please try again in {after}. {visit}"
            );
            (by, message, Some(wait))
        }
    };
    let refusal = Refusal {
        kind: match by {
            Counted::Requests | Counted::DailyRequests => "requests",
            Counted::Tokens | Counted::DailyTokens => "tokens",
        },
        code: Some("rate_limit_exceeded"),
        ..Refusal::new(429, message)
    };
    let mut response = refusal.into_response();
    // A request that is too large is not told to come back: waiting would never help.
    if let Some(wait) = wait {
        if retry_after {
            response.header("retry-after-ms", millis_up(wait).to_string());
            response.header("retry-after", seconds_up(wait).to_string());
        }
        response.header("x-should-retry", "true".to_owned());
    }
    Some(response)
}

/// The 500 or 503 of a fault that comes before the limits.
pub(super) fn broken(fault: Fault) -> Response {
    let (status, message) = match fault {
        Fault::Overloaded | Fault::OverloadedForASecond => (
            503,
            "Slow Down: the engine is currently overloaded, please try again later",
        ),
        _ => (
            500,
            "The server had an error while processing your request. Sorry about that!",
        ),
    };
    let refusal = Refusal {
        kind: "server_error",
        ..Refusal::new(status, message)
    };
    let mut response = refusal.into_response();
    if fault == Fault::OverloadedForASecond {
        response.header("retry-after", "1".to_owned());
    }
    response
}

/// The 429 of an account without money. Waiting does not help, so it names no wait.
pub(super) fn out_of_money() -> Response {
    let message = "You exceeded your current quota, please check your plan and billing details. \
                   For more information on this error, read the docs: \
                   https://platform.openai.com/docs/guides/error-codes/api-errors.";
    let refusal = Refusal {
        kind: "insufficient_quota",
        code: Some("insufficient_quota"),
        ..Refusal::new(429, message)
    };
    refusal.into_response()
}

fn unit(by: Counted) -> &'static str {
    match by {
        Counted::Requests => "requests per min (RPM)",
        Counted::Tokens => "tokens per min (TPM)",
        Counted::DailyRequests => "requests per day (RPD)",
        Counted::DailyTokens => "tokens per day (TPD)",
    }
}
