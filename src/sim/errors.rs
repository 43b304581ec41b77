//! Errors that do not concern a limit, in the API's own words.

use super::config::{Dialect, Fault};
use super::dialect::{Error, envelope};
use super::response::Response;

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

    /// An error that a test has written.
    pub(super) fn scripted(status: u16, message: String) -> Self {
        Self {
            kind: match status {
                429 => "rate_limit_exceeded",
                500.. => "server_error",
                _ => INVALID,
            },
            ..Self::new(status, message)
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

    /// An endpoint that the API has and this does not simulate.
    pub(super) fn not_simulated(method: &str, path: &str) -> Self {
        Self {
            code: Some("not_simulated"),
            ..Self::new(404, format!("{method} {path} is not simulated."))
        }
    }

    /// A field that this provider does not know.
    pub(super) fn unknown_field(name: &str) -> Self {
        Self {
            param: Some(name.to_owned()),
            code: Some("extra_forbidden"),
            ..Self::new(422, format!("Extra inputs are not permitted: '{name}'."))
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

    pub(super) fn into_response(self, dialect: Dialect) -> Response {
        let error = Error {
            status: self.status,
            message: &self.message,
            kind: self.kind,
            param: self.param.as_deref(),
            code: self.code,
        };
        let mut response = Response::json(self.status, &envelope(dialect, error));
        if let Some(allow) = self.allow {
            response.header("allow", allow.to_owned());
        }
        response
    }
}

/// The 500 or 503 of a fault that comes before the limits.
pub(super) fn broken(fault: Fault, dialect: Dialect) -> Response {
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
    let mut response = refusal.into_response(dialect);
    if fault == Fault::OverloadedForASecond {
        response.header("retry-after", "1".to_owned());
    }
    response
}

/// The error of an account without money. Waiting does not help, so it names no wait.
pub(super) fn out_of_money(dialect: Dialect) -> Response {
    let refusal = match dialect {
        Dialect::Anthropic => Refusal::new(
            400,
            "You have reached your specified API usage limits. \
             You will regain access on 2030-01-01 at 00:00 UTC.",
        ),
        Dialect::OpenRouter | Dialect::Together => Refusal {
            kind: "credit_limit",
            ..Refusal::new(402, "Insufficient credits. Add more to continue.")
        },
        _ => Refusal {
            kind: "insufficient_quota",
            code: Some("insufficient_quota"),
            ..Refusal::new(
                429,
                "You exceeded your current quota, please check your plan and billing details. \
                 For more information on this error, read the docs: \
                 https://platform.openai.com/docs/guides/error-codes/api-errors.",
            )
        },
    };
    refusal.into_response(dialect)
}

/// The refusal of a request for which no place is free.
pub(super) fn no_slot(dialect: Dialect, slots: usize) -> Response {
    let refusal = match dialect {
        Dialect::OpenAi => Refusal {
            kind: "server_error",
            ..Refusal::new(503, "Maximum pending requests exceeded.")
        },
        Dialect::Moonshot => Refusal {
            kind: "rate_limit_reached_error",
            ..Refusal::new(
                429,
                format!("Your account request reached max organization concurrency: {slots}"),
            )
        },
        Dialect::Anthropic => Refusal::new(529, "Overloaded"),
        _ => Refusal {
            kind: "overloaded",
            ..Refusal::new(429, "Model is overloaded. Please try again later.")
        },
    };
    refusal.into_response(dialect)
}

/// The refusal of flexible processing that finds no room: no matter of a limit.
pub(super) fn no_capacity(dialect: Dialect) -> Response {
    let (status, code, message) = match dialect {
        Dialect::Groq => (498, "capacity_exceeded", "Flex tier capacity exceeded."),
        _ => (
            429,
            "resource_unavailable",
            "Resource unavailable: try again later.",
        ),
    };
    let refusal = Refusal {
        code: Some(code),
        ..Refusal::new(status, message)
    };
    refusal.into_response(dialect)
}

/// A status 200 with an error in the body: what a gateway sends when its own upstream failed.
pub(super) fn failure_inside() -> Response {
    let error = serde_json::json!({"code": 502, "message": "Upstream error from the provider"});
    Response::json(200, &serde_json::json!({"error": error}))
}
