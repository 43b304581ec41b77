//! The envelope of an error.

use serde_json::{Value, json};

use super::super::config::Dialect;

/// The content of an error, before a dialect gives it its form.
#[derive(Debug, Clone, Copy)]
pub(in crate::sim) struct Error<'a> {
    pub(in crate::sim) status: u16,
    pub(in crate::sim) message: &'a str,
    /// OpenAI's type, from which the others' follow.
    pub(in crate::sim) kind: &'a str,
    pub(in crate::sim) param: Option<&'a str>,
    pub(in crate::sim) code: Option<&'a str>,
}

/// The body of an error.
pub(in crate::sim) fn envelope(dialect: Dialect, error: Error<'_>) -> Value {
    let Error {
        status,
        message,
        kind,
        param,
        code,
    } = error;
    match dialect {
        Dialect::Anthropic => {
            let error = json!({"type": anthropic(status), "message": message});
            json!({"type": "error", "error": error, "request_id": null})
        }
        Dialect::Gemini => {
            json!([{"error": {"code": status, "message": message, "status": google(status)}}])
        }
        Dialect::Mistral if status == 429 => json!({"message": message}),
        Dialect::Mistral => json!({
            "object": "error",
            "message": message,
            "type": kind,
            "param": param,
            "code": code,
        }),
        Dialect::Cerebras => {
            json!({"message": message, "type": kind, "param": param, "code": code})
        }
        Dialect::Fireworks => {
            // As captured: the type of a 429 is that of a wrong request, too.
            json!({"object": "error", "type": kind, "code": kind, "message": message})
        }
        Dialect::OpenRouter => json!({"error": {"code": status, "message": message}}),
        Dialect::OpenAi
        | Dialect::Azure
        | Dialect::Groq
        | Dialect::Moonshot
        | Dialect::Together => {
            let error = json!({"message": message, "type": kind, "param": param, "code": code});
            json!({"error": error})
        }
    }
}

fn anthropic(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500..=599 => "api_error",
        _ => "invalid_request_error",
    }
}

fn google(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        500..=599 => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}
