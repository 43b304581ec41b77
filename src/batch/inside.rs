//! Failures under a status of success, in results of earlier runs, which took them for answers.

use crate::client::is_failure;

/// What may stand in such a failure. Needles of at most eight bytes are found fast.
const DOUBTS: [&str; 3] = ["\"error\"", "failed\"", "celled\""];

/// Lists that hold answers.
const LISTS: [&str; 3] = ["\"choices\"", "\"output\"", "\"data\""];

/// True for the body of a failure. A million bodies are looked at when a run begins, so it is read only
/// where it may be one. An empty object is what is left where bodies are not kept, and no failure.
pub(super) fn is_failure_inside(body: &str) -> bool {
    !is_surely_answer(body) && body != "{}" && is_failure(None, 200, body)
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
            r#""<html>""#,
            "null",
        ];
        for body in failures {
            assert!(is_failure_inside(body), "{body}");
        }
    }
}
