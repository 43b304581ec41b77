//! Requests for `/v1/messages`: instructions beside the messages, and the provider's own parts.
//!
//! The provider publishes no tokenizer. What is counted here is an estimate, which limiters correct by the
//! usage that responses report.

use serde_json::Value;

use super::chat::{content, for_each_field, part};
use super::tally::Tally;
use super::{media, tools};

/// Instructions, messages, tools, and the schema of an answer.
pub(super) fn messages(tally: &mut Tally<'_>, body: &Value) {
    for_each_field(tally, body, |tally, name, value| {
        match (name, value) {
            ("system", value) => content(tally, value),
            ("messages", Value::Array(messages)) => {
                for one in messages {
                    message(tally, one);
                }
            }
            ("messages", other) => tally.value(other),
            ("tools", value) => tools::definitions(tally, value),
            ("output_config", value) => tools::answer(tally, value.get("format").unwrap_or(value)),
            // Settings of this endpoint.
            (
                "max_tokens" | "thinking" | "stop_sequences" | "top_k" | "container"
                | "inference_geo" | "speed",
                _,
            ) => {}
            _ => return false,
        }
        true
    });
    tally.overhead(tally.profile.message.reply);
}

fn message(tally: &mut Tally<'_>, message: &Value) {
    tally.overhead(tally.profile.message.each);
    let Value::Object(fields) = message else {
        return part(tally, message);
    };
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("content", Value::Array(parts)) => parts.iter().for_each(|one| block(tally, one)),
            (_, value) => tally.value(value),
        }
    }
}

/// A block of a content: text, an image, a document, a call of a tool, or its result.
fn block(tally: &mut Tally<'_>, block: &Value) {
    let Value::Object(fields) = block else {
        return tally.value(block);
    };
    let field = |name: &str| fields.get(name).unwrap_or(&Value::Null);
    match fields.get("type").and_then(Value::as_str) {
        Some("text") => tally.value(field("text")),
        Some("thinking") => tally.value(field("thinking")),
        Some("tool_use" | "server_tool_use") => {
            tally.overhead(tally.profile.message.each);
            tally.value(field("name"));
            tally.json(field("input"));
        }
        Some("tool_result") => {
            tally.overhead(tally.profile.message.each);
            match field("content") {
                Value::Array(parts) => parts.iter().for_each(|one| flat(tally, one)),
                other => tally.value(other),
            }
        }
        _ => flat(tally, block),
    }
}

/// A block without others in it.
fn flat(tally: &mut Tally<'_>, block: &Value) {
    match block {
        Value::Object(fields) => match media::part(tally.profile, fields) {
            Some(tokens) => tally.tokens(tokens),
            None => part(tally, block),
        },
        other => tally.value(other),
    }
}
