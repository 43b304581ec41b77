//! How answers ended, and what they used.

use serde_json::{Value, json};

use super::*;
use crate::cost::Usage;

#[test]
fn how_an_answer_ended_is_read_in_the_words_of_any_provider() {
    use Completion::{Complete, CutOff, Empty, Refused};
    let says = |reason: &str, content: &str| {
        chat(&json!({"finish_reason": reason, "message": {"content": content, "refusal": null}}))
    };
    let message = |message: Value| chat(&json!({"finish_reason": "stop", "message": message}));
    let claude = |reason: &str, content: Value| json!({"type": "message", "stop_reason": reason, "content": content});
    let response = |status: &str, reason: Value, output: Value| {
        json!({"object": "response", "status": status, "error": null, "output": output,
            "incomplete_details": reason})
    };
    let part = |kind: &str, text: &str| json!([{"type": kind, "text": text}]);
    let item = |parts: Value| json!([{"type": "reasoning", "summary": []}, {"type": "message", "content": parts}]);
    let table = [
        (Chat, says("stop", "a"), Complete),
        (Chat, says("length", "a"), CutOff),
        (Chat, says("length", ""), CutOff),
        (Chat, says("content_filter", ""), Refused),
        (Chat, says("stop", ""), Empty),
        (Chat, says("stop", " \n\t"), Empty),
        (Chat, message(json!({"content": null})), Empty),
        (
            Chat,
            message(json!({"content": null, "reasoning_content": "hm"})),
            Empty,
        ),
        (
            Chat,
            message(json!({"content": null, "tool_calls": [{"id": "c"}]})),
            Complete,
        ),
        (
            Chat,
            message(json!({"content": null, "tool_calls": []})),
            Empty,
        ),
        (
            Chat,
            message(json!({"content": null, "function_call": {"name": "f"}})),
            Complete,
        ),
        (
            Chat,
            message(json!({"content": null, "audio": {"id": "a"}})),
            Complete,
        ),
        (
            Chat,
            message(json!({"content": "", "images": [{"image_url": {}}]})),
            Complete,
        ),
        (
            Chat,
            message(json!({"content": null, "refusal": "I cannot"})),
            Refused,
        ),
        (
            Chat,
            message(json!({"content": part("text", "a")})),
            Complete,
        ),
        (
            Chat,
            message(json!({"content": part("thinking", "a")})),
            Empty,
        ),
        (
            Chat,
            message(json!({"content": part("refusal", "no")})),
            Refused,
        ),
        (
            Chat,
            json!({"choices": [
                {"message": {"content": "a"}, "finish_reason": "stop"},
                {"message": {"content": ""}, "finish_reason": "length"},
            ]}),
            CutOff,
        ),
        (
            Chat,
            json!({"choices": [{"message": {"content": ""}}, {"message": {"content": "b"}}]}),
            Complete,
        ),
        (
            Completions,
            json!({"choices": [{"text": "a", "finish_reason": "stop"}]}),
            Complete,
        ),
        (
            Completions,
            json!({"choices": [{"text": "", "finish_reason": "stop"}]}),
            Empty,
        ),
        (
            Responses,
            response("completed", json!(null), item(part("output_text", "a"))),
            Complete,
        ),
        (
            Responses,
            response("completed", json!(null), item(part("output_text", ""))),
            Empty,
        ),
        (
            Responses,
            response("completed", json!(null), json!([])),
            Empty,
        ),
        (
            Responses,
            response(
                "completed",
                json!(null),
                json!([{"type": "reasoning", "content": part("reasoning_text", "a")}]),
            ),
            Empty,
        ),
        (
            Responses,
            response(
                "completed",
                json!(null),
                json!([{"type": "function_call", "name": "f"}]),
            ),
            Complete,
        ),
        (
            Responses,
            response(
                "completed",
                json!(null),
                item(json!([{"type": "refusal", "refusal": "no"}])),
            ),
            Refused,
        ),
        (
            Responses,
            response(
                "incomplete",
                json!({"reason": "max_output_tokens"}),
                json!([]),
            ),
            CutOff,
        ),
        (
            Responses,
            response("incomplete", json!({"reason": "content_filter"}), json!([])),
            Refused,
        ),
        (
            Responses,
            response("in_progress", json!(null), json!([])),
            Complete,
        ),
        (Other, claude("end_turn", part("text", "a")), Complete),
        (
            Other,
            claude("tool_use", json!([{"type": "tool_use", "name": "f"}])),
            Complete,
        ),
        (Other, claude("max_tokens", part("text", "a")), CutOff),
        (Other, claude("refusal", json!([])), Refused),
        (Other, claude("end_turn", json!([])), Empty),
        (
            Other,
            json!({"message": {"content": "a"}, "done_reason": "length"}),
            CutOff,
        ),
        (
            Other,
            json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "MAX_TOKENS"}]}),
            CutOff,
        ),
        (
            Other,
            json!({"candidates": [{"finishReason": "SAFETY"}]}),
            Refused,
        ),
        (Other, json!({"ok": true}), Complete),
        (
            Embeddings,
            json!({"data": [{"embedding": [0.5]}]}),
            Complete,
        ),
        (
            Moderations,
            json!({"results": [{"flagged": true}]}),
            Complete,
        ),
    ];
    for (step, (endpoint, body, expected)) in table.into_iter().enumerate() {
        assert_eq!(completion(endpoint, &body), expected, "step {step}: {body}");
        assert_eq!(
            completion_of(&body.to_string()),
            expected,
            "step {step}: {body}"
        );
    }
}

#[test]
fn reasoning_is_read_from_the_details_of_an_answer() {
    let of = |details: &str| {
        let body = json!({
            "choices": [{"message": {"content": "a"}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 9, (details): {"reasoning_tokens": 5, "x": [1]}},
        });
        let body = read(Chat, body.to_string().into_bytes()).unwrap();
        body.usage.unwrap().reasoning_tokens
    };
    let found = [
        "completion_tokens_details",
        "output_tokens_details",
        "details",
    ]
    .map(of);
    assert_eq!(found, [5, 5, 0]);
}

#[test]
fn usage_is_read_under_the_names_of_any_endpoint() {
    let used = |input_tokens, output_tokens, cached_tokens| {
        Some(Usage {
            input_tokens,
            output_tokens,
            cached_tokens,
            ..Usage::default()
        })
    };
    let table = [
        (
            json!({"prompt_tokens": 3, "completion_tokens": 4}),
            used(3, 4, 0),
        ),
        (
            json!({"input_tokens": 3, "output_tokens": 4}),
            used(3, 4, 0),
        ),
        (
            json!({"prompt_tokens": 3, "total_tokens": 3}),
            used(3, 0, 0),
        ),
        (
            json!({"prompt_tokens": 3, "input_tokens": 7, "completion_tokens": null}),
            used(3, 0, 0),
        ),
        (
            json!({"input_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}),
            used(3, 0, 2),
        ),
        (
            json!({"input_tokens": 3, "input_tokens_details": {"cached_tokens": 2}}),
            used(3, 0, 2),
        ),
        (
            json!({"input_tokens": 3, "other_details": {"cached_tokens": 2}}),
            used(3, 0, 0),
        ),
        // Otherwise than it ought to be.
        (json!({"prompt_tokens": -1}), None),
        (
            json!({"prompt_tokens": -1, "input_tokens": 3}),
            used(3, 0, 0),
        ),
        (
            json!({"prompt_tokens": 3, "completion_tokens": "4"}),
            used(3, 0, 0),
        ),
        (
            json!({"prompt_tokens": 3, "prompt_tokens_details": 7}),
            used(3, 0, 0),
        ),
        (json!({}), None),
        (json!(null), None),
        (json!([3, 4]), None),
        (json!("3"), None),
    ];
    for (step, (stated, expected)) in table.into_iter().enumerate() {
        let body = json!({"id": "x", "usage": stated, "choices": [{"text": "é\n"}]});
        let read = read_text(Chat, &body.to_string());
        assert_eq!(
            read.unwrap().usage,
            expected,
            "step {step}, passed on: {body}"
        );
    }
}
