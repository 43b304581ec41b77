//! Messages, items and tools, with the overhead of the chat format.
//!
//! For plain text on the models since gpt-3.5-turbo-0613 the counts are exact. What the provider
//! does not document (tools, calls, schemas) is counted as the text of its JSON, which is
//! somewhat more than the server makes of it.

use serde_json::{Map, Value};

use super::tally::Tally;

/// Tokens that frame one message.
const PER_MESSAGE: u64 = 3;
/// Tokens that a message's name costs besides its text.
const PER_NAME: u64 = 1;
/// Tokens that begin the answer.
const REPLY: u64 = 3;

/// What an image, a sound or a file in a request counts as, in tokens.
///
/// A rough constant: what an image of 1024 × 1024 costs on gpt-4o. The true cost depends on size,
/// detail and model, and comes back with the usage. The bytes themselves are never counted.
pub const MEDIA_TOKENS: u64 = 765;

/// Parts and items that hold something other than text. Their JSON would be a long string of
/// Base64, or a short one that says nothing about the size.
const MEDIA: [&str; 13] = [
    "audio",
    "computer_screenshot",
    "document",
    "file",
    "image",
    "image_file",
    "image_generation_call",
    "image_url",
    "input_audio",
    "input_file",
    "input_image",
    "input_video",
    "video_url",
];

/// A chat request: Σ (3 + role + content + \[name + 1\]) + 3, plus tools and an answer's schema.
pub(super) fn chat(tally: &mut Tally, body: &Value) {
    match body.get("messages") {
        Some(Value::Array(messages)) => {
            for one in messages {
                message(tally, one, &[]);
            }
        }
        Some(other) => tally.value(other),
        None => {}
    }
    for definitions in ["tools", "functions"] {
        tally.field(body, definitions);
    }
    if let Some(format) = body.get("response_format") {
        tally.field(format, "json_schema");
    }
    tally.overhead(REPLY);
}

/// A request in the Responses format. What the server adds from an earlier response, a
/// conversation or a stored prompt cannot be seen from here and is not counted.
pub(super) fn responses(tally: &mut Tally, body: &Value) {
    match body.get("instructions") {
        None | Some(Value::Null) => {}
        Some(instructions) => short_message(tally, "system", instructions),
    }
    match body.get("input") {
        Some(Value::Array(items)) => {
            for item in items {
                // Labels are for the API, not for the model.
                message(tally, item, &["type", "id", "status"]);
            }
        }
        None | Some(Value::Null) => {}
        Some(other) => short_message(tally, "user", other),
    }
    tally.field(body, "tools");
    tally.field(body, "prompt");
    if let Some(format) = body.get("text").and_then(|text| text.get("format")) {
        tally.field(format, "schema");
    }
    tally.overhead(REPLY);
}

/// What a bare string in place of messages stands for: one message with a role.
fn short_message(tally: &mut Tally, role: &str, value: &Value) {
    tally.overhead(PER_MESSAGE);
    tally.text(role);
    content(tally, value);
}

/// A message of a chat, or an item of an input: every field of it but `labels`.
fn message(tally: &mut Tally, message: &Value, labels: &[&str]) {
    tally.overhead(PER_MESSAGE);
    match message {
        Value::Object(fields) if !is_media(fields) => {
            let counted = fields
                .iter()
                .filter(|(name, _)| !labels.contains(&name.as_str()));
            for (name, value) in counted {
                field(tally, name, value);
            }
        }
        other => part(tally, other),
    }
}

fn field(tally: &mut Tally, name: &str, value: &Value) {
    match name {
        "content" | "output" => content(tally, value),
        "name" if !value.is_null() => {
            tally.value(value);
            tally.overhead(PER_NAME);
        }
        // The role, a refusal, tool calls and the id of the call that is answered, and whatever
        // else there is or will be.
        _ => tally.value(value),
    }
}

/// A string, or a list of parts.
fn content(tally: &mut Tally, value: &Value) {
    match value {
        Value::Array(parts) => {
            for one in parts {
                part(tally, one);
            }
        }
        other => part(tally, other),
    }
}

/// One part of a content: the text of a text or a refusal, [`MEDIA_TOKENS`] for what is no text,
/// and the JSON of a part that is not known.
pub(super) fn part(tally: &mut Tally, value: &Value) {
    let Value::Object(fields) = value else {
        return tally.value(value);
    };
    if is_media(fields) {
        return tally.tokens(MEDIA_TOKENS);
    }
    let text = match kind(fields) {
        Some("text" | "input_text" | "output_text") => fields.get("text"),
        Some("refusal") => fields.get("refusal"),
        _ => None,
    };
    tally.value(text.unwrap_or(value));
}

fn is_media(fields: &Map<String, Value>) -> bool {
    kind(fields).is_some_and(|kind| MEDIA.contains(&kind))
}

fn kind(fields: &Map<String, Value>) -> Option<&str> {
    fields.get("type").and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Encoding;
    use serde_json::json;

    const ENCODING: Encoding = Encoding::O200kBase;

    fn counted(count: fn(&mut Tally, &Value), encoding: Encoding, body: &Value) -> Tally {
        let mut tally = Tally::new(encoding);
        count(&mut tally, body);
        tally
    }

    /// What `content` adds to a message, beyond the message with an empty one.
    fn content_tokens(value: Value) -> u64 {
        let tokens = |content: Value| {
            let body = json!({ "messages": [{ "role": "user", "content": content }] });
            counted(chat, ENCODING, &body).tokens
        };
        tokens(value) - tokens(json!(""))
    }

    /// The worked example of the OpenAI Cookbook, "How to count tokens with tiktoken", section
    /// "Counting tokens for chat completions API calls", with the counts that the API answered.
    #[test]
    fn the_cookbook_example_is_counted_as_the_api_counts_it() {
        let body = json!({ "messages": [
            { "role": "system", "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English." },
            { "role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth." },
            { "role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue." },
            { "role": "system", "name": "example_user", "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage." },
            { "role": "system", "name": "example_assistant", "content": "Let's talk later when we're less busy about how to do better." },
            { "role": "user", "content": "This late pivot means we don't have time to boil the ocean for the client deliverable." },
        ]});
        let table = [
            ("gpt-4o", 124),
            ("gpt-4o-mini", 124),
            ("gpt-4-0613", 129),
            ("gpt-3.5-turbo-0613", 129),
        ];
        for (step, (model, tokens)) in table.into_iter().enumerate() {
            let tally = counted(chat, Encoding::for_model(model), &body);
            assert_eq!(tally.tokens, tokens, "step {step}: {model}");
        }
    }

    #[test]
    fn contents_of_every_shape_are_counted() {
        let hello = ENCODING.count("hello world");
        let unknown = json!({ "type": "new", "thought": "hello world" });
        let odd = json!({ "a": [1, 2] });
        let table = [
            (json!("hello world"), hello),
            (json!(null), 0),
            (json!([]), 0),
            (json!([{ "type": "text", "text": "hello world" }]), hello),
            (
                json!([{ "type": "input_text", "text": "hello world" }, "hello world"]),
                2 * hello,
            ),
            (
                json!([{ "type": "refusal", "refusal": "hello world" }]),
                hello,
            ),
            (
                json!([{ "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } }]),
                MEDIA_TOKENS,
            ),
            (
                json!([{ "type": "input_audio", "input_audio": { "data": "AAAA" } }]),
                MEDIA_TOKENS,
            ),
            (json!([unknown]), ENCODING.count(&unknown.to_string())),
            (
                json!([{ "type": "text", "text": 12 }]),
                ENCODING.count("12"),
            ),
            (
                json!([{ "type": "text" }]),
                ENCODING.count(r#"{"type":"text"}"#),
            ),
            (json!([{ "type": 1 }]), ENCODING.count(r#"{"type":1}"#)),
            (json!(7), ENCODING.count("7")),
            (odd.clone(), ENCODING.count(&odd.to_string())),
        ];
        for (step, (content, tokens)) in table.into_iter().enumerate() {
            assert_eq!(
                content_tokens(content.clone()),
                tokens,
                "step {step}: {content}"
            );
        }
    }

    #[test]
    fn no_field_of_a_message_and_no_definition_is_skipped() {
        let plain = json!({ "messages": [{ "role": "user", "content": "hello" }] });
        let base = counted(chat, ENCODING, &plain).tokens;
        let json_of = |value: &Value| ENCODING.count(&value.to_string());

        let calls = json!([{ "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } }]);
        let fields = [
            ("tool_calls", calls.clone(), json_of(&calls)),
            ("tool_calls", json!(null), 0),
            ("refusal", json!("I will not"), ENCODING.count("I will not")),
            ("tool_call_id", json!("call_1"), ENCODING.count("call_1")),
            ("name", json!("bob"), ENCODING.count("bob") + 1),
            ("name", json!(null), 0),
            ("type", json!("odd"), ENCODING.count("odd")),
        ];
        for (step, (name, value, tokens)) in fields.into_iter().enumerate() {
            let mut body = plain.clone();
            body["messages"][0][name] = value;
            let more = counted(chat, ENCODING, &body).tokens - base;
            assert_eq!(more, tokens, "step {step}: field {name}");
        }

        let schema = json!({ "name": "s", "schema": { "type": "object" } });
        let definitions = [
            ("tools", calls.clone(), json_of(&calls)),
            ("functions", calls.clone(), json_of(&calls)),
            (
                "response_format",
                json!({ "json_schema": schema }),
                json_of(&schema),
            ),
            ("response_format", json!("text"), 0),
        ];
        for (step, (name, value, tokens)) in definitions.into_iter().enumerate() {
            let mut body = plain.clone();
            body[name] = value;
            let more = counted(chat, ENCODING, &body).tokens - base;
            assert_eq!(more, tokens, "step {step}: {name}");
        }
    }

    #[test]
    fn responses_count_like_the_chat_that_says_the_same() {
        let same_chat = json!({ "messages": [
            { "role": "system", "content": "be brief" },
            { "role": "user", "content": "hello world" },
        ]});
        let expected = counted(chat, ENCODING, &same_chat).tokens;
        let bodies = [
            json!({ "instructions": "be brief", "input": "hello world" }),
            json!({ "instructions": "be brief", "input": [{ "role": "user", "content": "hello world" }] }),
            json!({ "input": [
                { "type": "message", "role": "system", "content": [{ "type": "input_text", "text": "be brief" }] },
                { "type": "message", "role": "user", "content": "hello world", "id": "msg_1", "status": "completed" },
            ]}),
        ];
        for (step, body) in bodies.into_iter().enumerate() {
            let tally = counted(responses, ENCODING, &body);
            assert_eq!(tally.tokens, expected, "step {step}: {body}");
        }
    }

    #[test]
    fn items_that_are_no_messages_are_counted_too() {
        let tokens = |item: Value| counted(responses, ENCODING, &json!({ "input": [item] })).tokens;
        let frame = PER_MESSAGE + REPLY;
        let output =
            json!({ "type": "function_call_output", "output": [{ "type": "input_image" }] });
        let items = [
            (output, frame + MEDIA_TOKENS),
            (
                json!({ "type": "image_generation_call", "result": "AAAA" }),
                frame + MEDIA_TOKENS,
            ),
            (
                json!({ "type": "function_call", "arguments": "{}" }),
                frame + ENCODING.count("{}"),
            ),
            (json!("hello"), frame + ENCODING.count("hello")),
            (json!(null), frame),
        ];
        for (step, (item, expected)) in items.into_iter().enumerate() {
            assert_eq!(tokens(item.clone()), expected, "step {step}: {item}");
        }
    }
}
