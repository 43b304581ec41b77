//! Bodies of every provider and endpoint, and whatever else a server may send.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use proptest::prelude::*;
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
fn usage_is_read_under_the_names_of_any_endpoint() {
    let used = |input_tokens, output_tokens, cached_tokens| {
        Some(Usage {
            input_tokens,
            output_tokens,
            cached_tokens,
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

#[test]
fn what_is_not_quite_json_is_repaired_and_says_so() {
    use Repair::{ByteOrderMark, ControlCharacter, Escape, InvalidUtf8, NotANumber};
    let table: [(&[u8], &str, &[Repair]); 12] = [
        (b"\xef\xbb\xbf{\"a\": 1}", "{\"a\": 1}", &[ByteOrderMark]),
        (
            b"{\"a\": \"caf\xe9\"}",
            "{\"a\": \"caf\u{fffd}\"}",
            &[InvalidUtf8],
        ),
        (b"{\"a\": NaN}", "{\"a\": null}", &[NotANumber]),
        (
            b"{\"a\": [-Infinity, Infinity,nan , -inf,-nan]}",
            "{\"a\": [null, null,null , null,null]}",
            &[NotANumber],
        ),
        (b"{\"NaN\": \"Infinity\"}", "{\"NaN\": \"Infinity\"}", &[]),
        (
            b"{\"a\": \"x\ny\"}",
            "{\"a\": \"x\\u000ay\"}",
            &[ControlCharacter],
        ),
        (b"{\"a\ty\": 1}", "{\"a\\u0009y\": 1}", &[ControlCharacter]),
        (b"{\"a\": \"\\d+\"}", "{\"a\": \"\\\\d+\"}", &[Escape]),
        (b"{\"a\": \"\\u12g4\"}", "{\"a\": \"\\\\u12g4\"}", &[Escape]),
        (b"\n\n \r\n{\"a\": 1}\n", "\n\n \r\n{\"a\": 1}\n", &[]),
        (
            b"{\"a\": 1e999, \"b\": \"\\ud83d\"}",
            "{\"a\": 1e999, \"b\": \"\\ud83d\"}",
            &[],
        ),
        (
            b"\xef\xbb\xbf{\"a\": NaN, \"b\": \"\xff\"}",
            "{\"a\": null, \"b\": \"\u{fffd}\"}",
            &[ByteOrderMark, InvalidUtf8, NotANumber],
        ),
    ];
    for (step, (bytes, expected, repaired)) in table.into_iter().enumerate() {
        let body = read(Other, bytes.to_vec()).unwrap();
        assert_eq!(body.text, expected, "step {step}");
        assert_eq!(body.repaired, repaired, "step {step}");
        assert!(value(&body.text).is_ok(), "step {step}");
    }
}

#[test]
fn what_breaks_off_is_told_from_what_is_something_else() {
    let whole = r#"{"a": [1, -2.5e+3, true, false, null, "\u00e9\n", NaN, -Infinity], "choices": [{"message": {"content": "x"}}]}"#;
    for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
        let begun = &whole[..end];
        assert_eq!(
            read_text(Other, begun),
            Err(Unreadable::EndsEarly(begun.to_owned())),
            "{begun}"
        );
    }
    for text in [
        "<html>",
        "upstream error",
        "Internal Server Error",
        "Not found",
        "no healthy upstream",
        "data: {\"choices\": []}\n\n",
        "{} {}",
        "{'a': 1}",
        "{\"a\": 1,}",
        "[1, 2",
        "[1 2]",
        "{\"a\" 1}",
        "{\"a\": 01}",
        "{\"a\": +1}",
        "{\"a\": nope}",
        "]",
        "{]",
    ] {
        let is_begun = text == "[1, 2";
        let read = read_text(Other, text);
        assert_eq!(
            matches!(read, Err(Unreadable::NotJson(_))),
            !is_begun,
            "{text}: {read:?}"
        );
    }
}

#[test]
fn depth_is_no_matter() {
    for depth in [1, 63, 64, 65, 127, 128, 129, 200, 1_000, 1_000_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let body = read_text(Other, &format!("{{\"choices\": [{{}}], \"x\": {deep}}}"));
            assert_eq!(body.unwrap().fault, None, "{depth}");
            let mixed = format!("{}[1}}{}", "[".repeat(depth), "]".repeat(depth));
            assert!(
                matches!(read_text(Other, &mixed), Err(Unreadable::NotJson(_))),
                "{depth}"
            );
            assert_eq!(value(&deep).is_ok(), depth <= 200, "{depth}");
        }
    }
}

#[test]
fn what_serde_refuses_becomes_a_value() {
    let read = value(r#"{"a": "x\ud83dy", "b": "\ud83d\ude00", "c": "\ude00\ud83d", "d": "é"}"#);
    let expected = json!({"a": "x\u{fffd}y", "b": "😀", "c": "\u{fffd}\u{fffd}", "d": "é"});
    assert_eq!(read.unwrap(), expected);
    assert_eq!(value("[1, 2.5]").unwrap(), json!([1, 2.5]));
    assert!(value("[1e999, -1E+400]").unwrap().is_array());
    assert!(value("[1").is_err());
}

/// JSON of every kind, and what is only nearly some.
fn any_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| Value::from(number).to_string()),
        "\\PC{0,12}".prop_map(|text| Value::from(text).to_string()),
        Just("\"\\ud83d\\ude00\\/\"".to_owned()),
        Just("1E+2".to_owned()),
    ];
    let json = leaf.prop_recursive(5, 40, 6, |inner| {
        let name = prop_oneof![
            Just("choices".to_owned()),
            Just("error".to_owned()),
            Just("output".to_owned()),
            Just("content".to_owned()),
            Just("message".to_owned()),
            Just("usage".to_owned()),
            "[a-z]{0,3}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|items| format!("[ {}]", items.join(" ,"))),
            prop::collection::vec((name, inner), 0..6).prop_map(|fields| {
                let fields = fields
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":\n{value}"));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }),
        ]
    });
    let broken = (json.clone(), any::<prop::sample::Index>(), "\\PC{0,2}").prop_map(
        |(mut text, at, with)| {
            let mut at = at.index(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            text.insert_str(at, &with);
            text
        },
    );
    prop_oneof![json, broken]
}

proptest! {
    #[test]
    fn what_serde_takes_is_taken_and_what_is_passed_on_is_json(text in any_text()) {
        let serde = serde_json::from_str::<Value>(&text);
        match (serde, read_text(Chat, &text)) {
            (Ok(json), Ok(body)) => {
                prop_assert_eq!(&body.text, &text);
                prop_assert_eq!(value(&text).unwrap(), json);
            }
            (Ok(_), Err(error)) => prop_assert!(false, "{error:?}"),
            (Err(error), Err(Unreadable::EndsEarly(_))) => prop_assert!(error.is_eof(), "{error}"),
            (Err(_), Err(Unreadable::NotJson(_))) => {}
            (Err(_), Ok(body)) => {
                let is_strange = value(&text).is_ok();
                prop_assert!(is_strange || !body.repaired.is_empty(), "{text}");
                prop_assert!(value(&body.text).is_ok(), "{}", body.text);
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = read(Chat, bytes);
    }
}
