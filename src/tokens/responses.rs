//! Requests in the Responses format.

use serde_json::Value;

use super::chat::{content, for_each_field, message};
use super::tally::Tally;
use super::tools;

/// Labels of items are for the API, not for the model.
const LABELS: [&str; 3] = ["type", "id", "status"];

/// A request in the Responses format. What the server adds from an earlier response, a
/// conversation or a stored prompt cannot be seen from here and is not counted.
pub(super) fn responses(tally: &mut Tally<'_>, body: &Value) {
    for_each_field(tally, body, |tally, name, value| {
        match (name, value) {
            ("instructions" | "input", Value::Null) => {}
            ("instructions", value) => short_message(tally, "system", value),
            ("input", Value::Array(items)) => {
                for item in items {
                    message(tally, item, &LABELS);
                }
            }
            ("input", value) => short_message(tally, "user", value),
            ("tools", value) => tools::definitions(tally, value),
            ("prompt", value) => tally.value(value),
            ("text", Value::Object(fields)) => {
                if let Some(format) = fields.get("format") {
                    tools::answer(tally, format);
                }
            }
            _ => return false,
        }
        true
    });
    tally.overhead(tally.profile.message.reply);
}

/// What a bare string in place of messages stands for: one message with a role.
fn short_message(tally: &mut Tally<'_>, role: &str, value: &Value) {
    tally.overhead(tally.profile.message.each);
    tally.text(role);
    content(tally, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::chat::chat;
    use crate::tokens::tests::{gpt_4o, tokens_of};
    use serde_json::json;

    #[test]
    fn responses_count_like_the_chat_that_says_the_same() {
        let same_chat = json!({ "messages": [
            { "role": "system", "content": "be brief" },
            { "role": "user", "content": "hello world" },
        ]});
        let expected = tokens_of(chat, &same_chat);
        let bodies = [
            json!({ "instructions": "be brief", "input": "hello world" }),
            json!({ "instructions": "be brief", "input": [{ "role": "user", "content": "hello world" }] }),
            json!({ "input": [
                { "type": "message", "role": "system", "content": [{ "type": "input_text", "text": "be brief" }] },
                { "type": "message", "role": "user", "content": "hello world", "id": "msg_1", "status": "completed" },
            ]}),
            json!({ "input": "hello world", "instructions": "be brief", "text": { "format": { "type": "text" } } }),
        ];
        for (step, body) in bodies.into_iter().enumerate() {
            assert_eq!(tokens_of(responses, &body), expected, "step {step}: {body}");
        }
    }

    #[test]
    fn items_that_are_no_messages_are_counted_too() {
        let profile = gpt_4o();
        let count = |text: &str| profile.encoding.count(text);
        let frame = 6; // of the item and of the answer
        let image = 85 + 8 * 170; // of a size that is not known
        let items = [
            (
                json!({ "type": "function_call_output", "output": [{ "type": "input_image" }] }),
                frame + image,
            ),
            (
                json!({ "type": "image_generation_call", "result": "AAAA" }),
                frame + image,
            ),
            (
                json!({ "type": "computer_call_output", "call_id": "c", "output": { "type": "computer_screenshot" } }),
                frame + image + count("c"),
            ),
            (
                json!({ "type": "function_call", "name": "f", "arguments": "{}" }),
                frame + count("f") + 1 + count("{}"),
            ),
            (
                json!({ "type": "reasoning", "id": "rs_1", "encrypted_content": "A".repeat(400), "summary": [
                    { "type": "summary_text", "text": "hello world" },
                ]}),
                frame + 100 + count("hello world"),
            ),
            (json!("hello"), frame + count("hello")),
            (json!(null), frame),
        ];
        for (step, (item, expected)) in items.into_iter().enumerate() {
            let found = tokens_of(responses, &json!({ "input": [item] }));
            assert_eq!(found, expected, "step {step}: {item}");
        }
    }
}
