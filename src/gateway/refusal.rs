//! Errors of the gateway's own, in the form that the provider's clients read: pure.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{Error, Quota, TransportKind};

/// The longest wait after which a client is to come again by itself. The official clients wait no longer than this for
/// a `retry-after`.
const COMES_AGAIN: Duration = Duration::from_secs(60);

/// How a provider writes its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    OpenAi,
    Anthropic,
    Gemini,
}

impl Form {
    /// The form of a request's endpoint: messages are Anthropic's everywhere.
    pub(super) fn of(path: &str, provider: Option<&str>) -> Self {
        let is_compatible = path.contains("/openai/");
        if path.ends_with("/messages") || path.contains("/messages/") {
            Self::Anthropic
        } else if path.starts_with("/v1beta/") && !is_compatible {
            Self::Gemini
        } else {
            match provider {
                Some("anthropic") if !path.ends_with("/completions") => Self::Anthropic,
                _ => Self::OpenAi,
            }
        }
    }
}

/// A response of the gateway's own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
    /// For programs: stays the same when the words change.
    pub(super) code: &'static str,
    /// Until the same request may succeed.
    pub(super) retry_after: Option<Duration>,
    /// Whether the client is to come again by itself.
    pub(super) should_retry: Option<bool>,
    /// The limit that holds it back.
    pub(super) limit: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
            should_retry: None,
            limit: None,
        }
    }

    /// What an error is to the caller. `binding` is the limit that is waited for, `deadline` how long the caller
    /// waits.
    pub(super) fn of(error: &Error, binding: Option<Quota>, deadline: Option<Duration>) -> Self {
        match error {
            Error::DeadlineExceeded { wait, .. } => late(*wait, binding, deadline),
            Error::QueueFull { waiters } => Self {
                retry_after: Some(Duration::from_secs(1)),
                ..Self::new(
                    503,
                    "queue_full",
                    format!("{waiters} requests wait already, which is as many as may"),
                )
            },
            Error::TooLarge { .. } => Self {
                should_retry: Some(false),
                ..Self::new(429, "request_too_large", error.to_string())
            },
            Error::InvalidRequest(message) => Self::new(400, "invalid_request", message.clone()),
            Error::Closed => Self::new(503, "shutting_down", "the gateway is shutting down"),
            Error::StoreDown => Self {
                retry_after: Some(Duration::from_secs(1)),
                ..Self::new(503, "store_down", error.to_string())
            },
            Error::Transport {
                kind: TransportKind::Timeout,
                ..
            } => Self::new(504, "upstream_timeout", error.to_string()),
            Error::Transport { .. } | Error::InvalidResponse { .. } => {
                Self::new(502, "upstream_failed", error.to_string())
            }
            _ => Self::new(500, "gateway_error", error.to_string()),
        }
    }

    /// The headers of its response.
    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("x-paceline-error".to_owned(), self.code.to_owned()),
        ];
        if let Some(wait) = self.retry_after {
            headers.push(("retry-after".to_owned(), whole_seconds(wait).to_string()));
        }
        if let Some(should_retry) = self.should_retry {
            headers.push(("x-should-retry".to_owned(), should_retry.to_string()));
        }
        headers
    }

    /// The body of its response.
    pub(super) fn body(&self, form: Form) -> Vec<u8> {
        let kind = match (form, self.status) {
            (Form::Anthropic, 400 | 413) => "invalid_request_error",
            (Form::Anthropic, 401) => "authentication_error",
            (Form::Anthropic, 403) => "permission_error",
            (Form::Anthropic, 404) => "not_found_error",
            (Form::Anthropic, 429) => "rate_limit_error",
            (Form::Anthropic, 503) => "overloaded_error",
            (Form::Anthropic, _) => "api_error",
            (Form::Gemini, 400) => "INVALID_ARGUMENT",
            (Form::Gemini, 401) => "UNAUTHENTICATED",
            (Form::Gemini, 403) => "PERMISSION_DENIED",
            (Form::Gemini, 404) => "NOT_FOUND",
            (Form::Gemini, 429) => "RESOURCE_EXHAUSTED",
            (Form::Gemini, 503) => "UNAVAILABLE",
            (Form::Gemini, _) => "INTERNAL",
            (Form::OpenAi, 429) => "rate_limit_exceeded",
            (Form::OpenAi, 500..) => "server_error",
            (Form::OpenAi, _) => "invalid_request_error",
        };
        let message = format!("paceline: {}", self.message);
        let mut error = match form {
            Form::OpenAi => {
                json!({"message": message, "type": kind, "param": null, "code": self.code})
            }
            Form::Anthropic => json!({"type": kind, "message": message}),
            Form::Gemini => json!({"code": self.status, "message": message, "status": kind}),
        };
        if let Value::Object(error) = &mut error {
            if let Some(wait) = self.retry_after {
                error.insert(
                    "predicted_wait_seconds".to_owned(),
                    json!(wait.as_secs_f64()),
                );
            }
            if let Some(limit) = &self.limit {
                error.insert("limit".to_owned(), json!(limit));
            }
        }
        let body = match form {
            Form::Anthropic => json!({"type": "error", "error": error}),
            Form::OpenAi | Form::Gemini => json!({"error": error}),
        };
        body.to_string().into_bytes()
    }
}

/// A wait that would pass the caller's deadline.
fn late(wait: Duration, binding: Option<Quota>, deadline: Option<Duration>) -> Refusal {
    let limit = binding.map(|quota| quota.to_string());
    let of = limit.as_ref().map(|limit| format!(" for {limit}"));
    let of = of.unwrap_or_default();
    let patience = match deadline {
        Some(deadline) => format!(
            "the {:.1} s that this request may wait",
            deadline.as_secs_f64()
        ),
        None => "the deadline of this request".to_owned(),
    };
    let message = match wait.is_zero() {
        true => format!("{patience} have passed in the queue{of}"),
        false => format!(
            "the wait{of} is predicted to take {:.1} s, which is longer than {patience}",
            wait.as_secs_f64()
        ),
    };
    Refusal {
        // Of a wait that was not predicted all that is known is that it is not over.
        retry_after: Some(wait.max(Duration::from_secs(1))),
        should_retry: Some(wait <= COMES_AGAIN),
        limit,
        ..Refusal::new(429, "deadline_before_turn", message)
    }
}

/// Whole seconds, rounded up: what comes too early is refused again.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unit;

    #[test]
    fn a_wait_that_is_too_long_is_refused_in_the_provider_s_form() {
        let error = Error::DeadlineExceeded {
            wait: Duration::from_millis(36_000_100),
            last: None,
        };
        let quota = Quota::per_minute(Unit::Tokens, 30_000).unwrap();
        let refusal = Refusal::of(&error, Some(quota), Some(Duration::from_secs(5)));
        assert_eq!(refusal.status, 429);
        let headers = refusal.headers();
        let has = |name: &str, value: &str| headers.contains(&(name.to_owned(), value.to_owned()));
        assert!(
            has("retry-after", "36001") && has("x-should-retry", "false"),
            "{headers:?}"
        );
        for (form, kind) in [
            (Form::OpenAi, "/error/type"),
            (Form::Anthropic, "/error/type"),
            (Form::Gemini, "/error/status"),
        ] {
            let body: Value = serde_json::from_slice(&refusal.body(form)).unwrap();
            assert!(body.pointer(kind).unwrap().is_string(), "{body}");
            assert_eq!(body["error"]["predicted_wait_seconds"], 36_000.1);
            let message = body["error"]["message"].as_str().unwrap();
            assert!(message.contains("tokens per minute"), "{message}");
        }
        let soon = Error::DeadlineExceeded {
            wait: Duration::from_secs(20),
            last: None,
        };
        assert_eq!(Refusal::of(&soon, None, None).should_retry, Some(true));
    }

    #[test]
    fn a_form_is_that_of_the_endpoint() {
        let table = [
            ("/v1/chat/completions", None, Form::OpenAi),
            ("/v1/messages", None, Form::Anthropic),
            ("/v1/messages/count_tokens", Some("openai"), Form::Anthropic),
            ("/v1/models", Some("anthropic"), Form::Anthropic),
            (
                "/v1beta/models/gemini-2.5-pro:generateContent",
                None,
                Form::Gemini,
            ),
            (
                "/v1beta/openai/chat/completions",
                Some("gemini"),
                Form::OpenAi,
            ),
        ];
        for (path, provider, form) in table {
            assert_eq!(Form::of(path, provider), form, "{path}");
        }
    }
}
