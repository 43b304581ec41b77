//! Bodies of every provider and endpoint, and whatever else a server may send.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod ends; //  how they ended, and what was used
mod texts; // whether they are JSON

use serde_json::{Value, json};

use super::*;
use Endpoint::{Chat, Completions, Embeddings, Moderations, Other, Responses};

fn read_text(endpoint: Endpoint, text: &str) -> Result<Body, Unreadable> {
    read(endpoint, text.as_bytes().to_vec())
}

fn fault(endpoint: Endpoint, body: &Value) -> Option<Fault> {
    read_text(endpoint, &body.to_string()).unwrap().fault
}

fn completion(endpoint: Endpoint, body: &Value) -> Completion {
    let body = read_text(endpoint, &body.to_string()).unwrap();
    assert_eq!(body.fault, None, "{body:?}");
    body.completion
}

fn chat(choice: &Value) -> Value {
    json!({"id": "x", "object": "chat.completion", "choices": [choice]})
}

#[test]
fn failures_with_a_status_of_success_are_found() {
    let error = json!({"message": "Provider returned error", "code": 502});
    let with = |choice: Value| chat(&choice);
    let table = [
        (Chat, json!({"error": error, "user_id": "u"}), Fault::Error),
        (Chat, json!({"error": error, "choices": []}), Fault::Error),
        (Chat, json!({"error": error, "choices": null}), Fault::Error),
        (Chat, json!({"error": "out of memory"}), Fault::Error),
        (Chat, json!({"error": true, "message": "no"}), Fault::Error),
        (Chat, json!([{"error": error}]), Fault::Error),
        (Other, json!([{"error": error}]), Fault::Error),
        (Other, json!({"error": error}), Fault::Error),
        (Other, json!({"error": error, "output": []}), Fault::Error),
        // Fireworks', vLLM's and Anthropic's
        (
            Chat,
            json!({"object": "error", "message": "m", "code": 400}),
            Fault::Error,
        ),
        (
            Other,
            json!({"object": "error", "message": "m", "code": 400}),
            Fault::Error,
        ),
        (
            Other,
            json!({"type": "error", "error": {"type": "api_error"}}),
            Fault::Error,
        ),
        (Embeddings, json!({"error": error}), Fault::Error),
        (Moderations, json!({"error": error}), Fault::Error),
        (Responses, json!({"error": error}), Fault::Error),
        (Completions, json!({"error": error}), Fault::Error),
        (
            Chat,
            with(json!({"error": error, "message": {"content": ""}})),
            Fault::ErrorInChoice,
        ),
        (
            Chat,
            json!({"choices": [{"message": {"content": "a"}}, {"error": error}]}),
            Fault::ErrorInChoice,
        ),
        (
            Chat,
            with(json!({"finish_reason": "error", "message": {"content": "half"}})),
            Fault::EndedByError,
        ),
        (
            Other,
            with(json!({"finish_reason": "error"})),
            Fault::EndedByError,
        ),
        (
            Completions,
            json!({"choices": [{"text": "", "finish_reason": "error"}]}),
            Fault::EndedByError,
        ),
        (
            Responses,
            json!({"object": "response", "status": "failed", "error": {"code": "server_error"},
                "output": [{"type": "reasoning"}]}),
            Fault::Status("failed"),
        ),
        (
            Responses,
            json!({"status": "cancelled", "error": null, "output": []}),
            Fault::Status("cancelled"),
        ),
        (
            Chat,
            json!({"choices": null, "usage": null}),
            Fault::Missing("choices"),
        ),
        (Chat, json!({"choices": []}), Fault::Missing("choices")),
        (Chat, json!({"choices": {}}), Fault::Missing("choices")),
        (Chat, json!({}), Fault::Missing("choices")),
        (
            Chat,
            json!({"message": "Rate limit exceeded"}),
            Fault::Missing("choices"),
        ),
        (
            Chat,
            json!({"detail": "upstream"}),
            Fault::Missing("choices"),
        ),
        (Completions, json!({}), Fault::Missing("choices")),
        (Responses, json!({}), Fault::Missing("output")),
        (Responses, json!({"output": null}), Fault::Missing("output")),
        (Embeddings, json!({}), Fault::Missing("data")),
        (Embeddings, json!({"data": []}), Fault::Missing("data")),
        (
            Moderations,
            json!({"results": null}),
            Fault::Missing("results"),
        ),
        (Other, json!({"choices": null}), Fault::Missing("choices")),
        (Chat, json!([]), Fault::NoObject),
        (Chat, json!(null), Fault::NoObject),
        (Chat, json!("upstream error"), Fault::NoObject),
        (Chat, json!(7), Fault::NoObject),
        (Other, json!(null), Fault::NoObject),
        (Other, json!("upstream error"), Fault::NoObject),
        (Other, json!(false), Fault::NoObject),
    ];
    for (step, (endpoint, body, expected)) in table.into_iter().enumerate() {
        assert_eq!(
            fault(endpoint, &body),
            Some(expected),
            "step {step}: {body}"
        );
    }
}

#[test]
fn answers_are_no_failures() {
    let table = [
        (Chat, json!({"error": null, "choices": [{}]})),
        (
            Chat,
            json!({"error": {"message": "one of two tools failed"}, "choices": [{}]}),
        ),
        (
            Chat,
            json!({"choices": [{"error": null, "finish_reason": "stop"}]}),
        ),
        (
            Chat,
            json!({"choices": [{"error": {"code": null, "message": null}}]}),
        ),
        // Its content is the model's own.
        (
            Chat,
            json!({"choices": [{"message": {"content": "{\"error\": {\"code\": 502}}"}}]}),
        ),
        (
            Completions,
            json!({"choices": [{"text": "a"}], "error": false}),
        ),
        (
            Responses,
            json!({"object": "response", "status": "completed", "error": null, "output": [{}]}),
        ),
        (
            Responses,
            json!({"status": "incomplete", "error": null, "output": []}),
        ),
        (Responses, json!({"status": "queued", "error": null})),
        (Embeddings, json!({"data": [{"embedding": [0.5]}]})),
        (Embeddings, json!({"embedding": [0.5]})),
        (Moderations, json!({"results": [{"flagged": true}]})),
        (Other, json!({})),
        (Other, json!({"ok": true})),
        (Other, json!({"error": false, "ok": 1})),
        (Other, json!({"error": 0})),
        (Other, json!({"error": ""})),
        (Other, json!({"error": {}})),
        (Other, json!({"errors": [1]})),
        (Other, json!({"status": "failed", "id": "x"})),
        (Other, json!([])),
        (Other, json!([[0.5, 0.25], [0.5, 0.25]])),
        (Other, json!([{"index": 0, "score": 0.5}])),
        // A job that failed is the answer to the question how it is.
        (
            Other,
            json!({"object": "fine_tuning.job", "id": "f", "error": {"code": "x", "message": "m"}}),
        ),
        (
            Other,
            json!({"object": "fine_tuning.job", "error": {"code": null, "message": null}}),
        ),
        (
            Other,
            json!({"type": "message", "content": [{"type": "text", "text": "a"}]}),
        ),
        (Other, json!({"created": 1, "data": [{"b64_json": "AA=="}]})),
    ];
    for (step, (endpoint, body)) in table.into_iter().enumerate() {
        assert_eq!(fault(endpoint, &body), None, "step {step}: {body}");
    }
}

#[test]
fn lines_of_earlier_runs_are_judged_with_and_without_their_endpoint() {
    let chat = Some("/v1/chat/completions");
    let table = [
        (chat, 200, "{}", true),
        (None, 200, "{}", true),
        (Some("/v1/files"), 200, "{}", false),
        (None, 200, "null", true),
        (None, 200, "\"upstream error\"", true),
        (None, 200, r#"{"error":{"code":502}}"#, true),
        (None, 200, r#"{"choices":null}"#, true),
        (None, 200, r#"{"choices":[]}"#, true),
        (
            None,
            200,
            r#"{"choices":[{"finish_reason":"error"}]}"#,
            true,
        ),
        (
            None,
            200,
            r#"{"object":"response","status":"failed","output":[]}"#,
            true,
        ),
        (
            None,
            200,
            r#"{"choices":[{"message":{"content":"\ud83d"}}],"x":1e999}"#,
            false,
        ),
        (None, 200, r#"{"ok":true}"#, false),
        (None, 200, r#"{"data":[]}"#, false),
        (chat, 200, r#"{"ok":true}"#, true),
        (chat, 200, r#"{"choices":[{}]}"#, false),
        (chat, 500, r#"{"choices":[{}]}"#, true),
        (chat, 200, "<html>", true),
    ];
    for (step, (url, status, body, expected)) in table.into_iter().enumerate() {
        assert_eq!(
            is_failure(url, status, body),
            expected,
            "step {step}: {body}"
        );
    }
}
