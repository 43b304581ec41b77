//! Failures under a status of success, in results of earlier runs, which took them for answers.

use serde_json::Value;

use crate::client::{is_failure, value_of};

/// What may stand in such a failure. Needles of at most eight bytes are found fast.
const DOUBTS: [&str; 6] = [
    "\"error\"",
    "\"ERROR\"",
    "failed\"",
    "FAILED\"",
    "celled\"",
    "celed\"",
];

/// Fields of which answers have one, of any endpoint.
const ANSWERS: [&str; 8] = [
    "choices",
    "output",
    "data",
    "content",
    "results",
    "text",
    "embeddings",
    "candidates",
];

/// Lists that hold answers.
const LISTS: [&str; 3] = ["\"choices\"", "\"output\"", "\"data\""];

/// True for the body of a failure. A million bodies are looked at when a run begins, so it is read only
/// where it may be one. An empty object is what is left where bodies are not kept, and no failure.
pub(super) fn is_failure_inside(body: &str) -> bool {
    !is_surely_answer(body)
        && body != "{}"
        && (is_failure(endpoint_of(body), 200, body) || is_complaint(body))
}

/// The endpoint whose answers call themselves so.
fn endpoint_of(body: &str) -> Option<&'static str> {
    match value_of(body).ok()?.get("object")?.as_str()? {
        "chat.completion" => Some("/v1/chat/completions"),
        "text_completion" => Some("/v1/completions"),
        "response" => Some("/v1/responses"),
        "list" => Some("/v1/embeddings"),
        _ => None,
    }
}

/// True for what servers and gateways put in place of an answer, whatever the endpoint: words on what
/// went wrong, and nothing that an answer holds.
fn is_complaint(body: &str) -> bool {
    let Ok(body) = value_of(body) else {
        return false;
    };
    let Some(fields) = body.as_object() else {
        return body.as_array().is_some_and(Vec::is_empty);
    };
    let is_answer = ANSWERS.iter().any(|name| fields.contains_key(*name));
    let says = |name: &str| fields.get(name).is_some_and(Value::is_string);
    let is_no_success = fields.get("success") == Some(&Value::Bool(false));
    !is_answer && (says("detail") || says("message") || says("msg") || is_no_success)
}

fn is_surely_answer(body: &str) -> bool {
    let holds_some = |list: &str| {
        let rest = body.find(list).map(|at| &body[at + list.len()..]);
        let list = rest.and_then(|rest| rest.trim_ascii_start().strip_prefix(':'));
        let first = list.and_then(|list| list.trim_ascii_start().strip_prefix('['));
        first.is_some_and(|first| first.trim_ascii_start().starts_with('{'))
    };
    LISTS.iter().any(|list| holds_some(list)) && !DOUBTS.iter().any(|doubt| body.contains(doubt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_from_answers() {
        let answers = [
            r#"{"choices":[{"message":{"content":"{\"error\": \"failed\"}"}}]}"#,
            r#"{"error":null,"output": [ {"type":"message"} ],"status":"completed"}"#,
            r#"{"data":[{"embedding":[1]}]}"#,
            r#"{"results":[{"flagged":true}]}"#,
            r#"{"x":[]}"#,
            "{}",
        ];
        for body in answers {
            assert!(!is_failure_inside(body), "{body}");
        }
        let failures = [
            r#"{"error":{"message":"no","code":502}}"#,
            r#"{"choices":[]}"#,
            r#"{"choices":null}"#,
            r#"{"choices":[{"error":{"message":"no"}}]}"#,
            r#"{"choices":[{"message":{"content":"x"},"finish_reason": "error"}]}"#,
            r#"{"object":"response","output":[{"type":"message"}],"status":"failed"}"#,
            r#"{"choices":[{"message":{"content":"x"},"finish_reason":"ERROR"}]}"#,
            r#"{"detail":"Internal Server Error"}"#,
            r#"{"message":"Rate limit exceeded","request_id":"r"}"#,
            r#"{"code":500,"msg":"fail","success":false}"#,
            r#"{"id":"x","object":"chat.completion"}"#,
            r#"{"object":"list","data":[]}"#,
            r#"{"object":"response","output":[{"type":"message"}],"status":"canceled"}"#,
            "[]",
            r#""<html>""#,
            "null",
        ];
        for body in failures {
            assert!(is_failure_inside(body), "{body}");
        }
    }
}
