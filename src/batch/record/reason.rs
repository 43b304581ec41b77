//! Why a request failed, in a few words.

use serde_json::Value;

use super::INVALID_ANSWER;
use crate::{Error, TransportKind};

/// Why a request or an attempt of it failed: the kind in a few words, and what was said.
pub(in crate::batch) fn reason_of(error: &Error) -> (String, String) {
    match error {
        Error::Api(api) if (200..300).contains(&api.status) => {
            let status = api.effective_status.map(|status| status.to_string());
            let word = status.or_else(|| api.code.clone().or_else(|| api.error_type.clone()));
            let word = word.unwrap_or_else(|| "no answer".to_owned());
            (format!("{} but {word}", api.status), api.message.clone())
        }
        Error::Api(api) => match &api.body {
            Some(body) => reason_in(api.status, body),
            None => (api.status.to_string(), api.message.clone()),
        },
        Error::Transport { kind, .. } => (kind.to_string(), error.to_string()),
        error => (code(error).replace('_', " "), error.to_string()),
    }
}

/// Whether it can help to send the same request again in a later run.
pub(in crate::batch) fn is_retryable(error: &Error) -> bool {
    match error {
        Error::Transport { kind, .. } => *kind != TransportKind::Certificate,
        error => error.is_retryable(),
    }
}

/// The reason that an error's body gives.
pub(super) fn reason_in(status: u16, body: &Value) -> (String, String) {
    let error = body.get("error");
    let field = |name| error.and_then(|error| error.get(name));
    let word = |name| field(name).and_then(Value::as_str);
    let code = word("code").or(word("type"));
    let said = field("message").unwrap_or(body);
    let said = said
        .as_str()
        .map_or_else(|| said.to_string(), str::to_owned);
    (
        code.map_or(status.to_string(), |code| format!("{status} {code}")),
        said,
    )
}

/// The code of a failure without a response.
pub(super) fn code(error: &Error) -> &'static str {
    match error {
        Error::TooLarge { .. } => "request_too_large",
        Error::Transport { .. } => "no_answer",
        Error::InvalidResponse { .. } => INVALID_ANSWER,
        Error::InvalidRequest(_) => "invalid_request",
        _ => "not_sent",
    }
}
