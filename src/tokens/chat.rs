//! Messages and their parts, with the overhead of the chat format.
//!
//! For plain text on the models since gpt-3.5-turbo-0613 the counts are exact. What the provider
//! does not document (calls, answers' schemas) is counted as the text of its fields, which is somewhat
//! more than the server makes of it.

use serde_json::Value;

use super::media;
use super::tally::{CHARACTERS_PER_TOKEN, Tally};
use super::tools;

/// A chat request: Σ (3 + role + content + \[name + 1\]) + 3, plus tools and an answer's schema.
pub(super) fn chat(tally: &mut Tally<'_>, body: &Value) {
    for_each_field(tally, body, |tally, name, value| {
        match (name, value) {
            ("messages", Value::Array(messages)) => {
                for one in messages {
                    message(tally, one, &[]);
                }
            }
            ("messages", other) => tally.value(other),
            ("tools" | "functions", value) => tools::definitions(tally, value),
            ("response_format", value) => tools::answer(tally, value),
            // What the answer is expected to be; it is billed whether it is or not.
            ("prediction", Value::Object(fields)) => {
                if let Some(expected) = fields.get("content") {
                    content(tally, expected);
                }
            }
            _ => return false,
        }
        true
    });
    tally.overhead(tally.profile.message.reply);
}

/// Shows `count` each field of a body. One that it does not know (it says `false`) is counted as
/// what it may be, unless it is a setting, which the model does not see.
pub(super) fn for_each_field(
    tally: &mut Tally<'_>,
    body: &Value,
    mut count: impl FnMut(&mut Tally<'_>, &str, &Value) -> bool,
) {
    let Value::Object(fields) = body else {
        return tally.unknown(body);
    };
    for (name, value) in fields {
        let is_word = matches!(name.as_str(), "tool_choice" | "function_call") && value.is_string();
        if !count(tally, name, value) && !is_word && !is_setting(name) {
            tally.unknown(value);
        }
    }
}

/// Fields of a body, of any endpoint, that the model is not shown.
fn is_setting(name: &str) -> bool {
    matches!(
        name,
        "model"
            | "audio"
            | "background"
            | "best_of"
            | "conversation"
            | "dimensions"
            | "echo"
            | "encoding_format"
            | "frequency_penalty"
            | "include"
            | "logit_bias"
            | "logprobs"
            | "max_completion_tokens"
            | "max_output_tokens"
            | "max_tokens"
            | "max_tool_calls"
            | "metadata"
            | "modalities"
            | "n"
            | "parallel_tool_calls"
            | "presence_penalty"
            | "previous_response_id"
            | "prompt_cache_key"
            | "prompt_cache_retention"
            | "reasoning"
            | "reasoning_effort"
            | "safety_identifier"
            | "seed"
            | "service_tier"
            | "stop"
            | "store"
            | "stream"
            | "stream_options"
            | "temperature"
            | "top_logprobs"
            | "top_p"
            | "truncation"
            | "user"
            | "verbosity"
    )
}

/// A message of a chat, or an item of an input: every field of it but `labels`.
pub(super) fn message(tally: &mut Tally<'_>, message: &Value, labels: &[&str]) {
    tally.overhead(tally.profile.message.each);
    let Value::Object(fields) = message else {
        return part(tally, message);
    };
    if let Some(tokens) = media::part(tally.profile, fields) {
        return tally.tokens(tokens);
    }
    for (name, value) in fields {
        if !labels.contains(&name.as_str()) {
            field(tally, name, value);
        }
    }
}

fn field(tally: &mut Tally<'_>, name: &str, value: &Value) {
    match (name, value) {
        ("content" | "output" | "summary", value) => content(tally, value),
        ("name", value) if !value.is_null() => {
            tally.value(value);
            tally.overhead(tally.profile.message.name);
        }
        ("tool_calls", Value::Array(calls)) => calls.iter().for_each(|one| call(tally, one)),
        ("function_call", Value::Object(_)) => call(tally, value),
        // What the model has said before: only its number is sent.
        ("audio", Value::Object(_)) => tally.tokens(tally.profile.audio.unknown.into()),
        // Reasoning that only the server can read, in Base64.
        ("encrypted_content", Value::String(text)) => {
            tally.tokens((text.len() as u64).div_ceil(CHARACTERS_PER_TOKEN));
        }
        // The role, a refusal, the id of the call that is answered, arguments, and whatever else there
        // is or will be.
        (_, value) => tally.value(value),
    }
}

/// A call of a tool: what stands in it, a level down too, framed as a message is.
fn call(tally: &mut Tally<'_>, call: &Value) {
    tally.overhead(tally.profile.message.each);
    let Value::Object(fields) = call else {
        return tally.value(call);
    };
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("type" | "index", _) => {}
            ("function" | "custom", Value::Object(inner)) => {
                inner.values().for_each(|value| tally.value(value));
            }
            (_, value) => tally.value(value),
        }
    }
}

/// A string, or a list of parts.
pub(super) fn content(tally: &mut Tally<'_>, value: &Value) {
    match value {
        Value::Array(parts) => {
            for one in parts {
                part(tally, one);
            }
        }
        other => part(tally, other),
    }
}

/// One part of a content: the text of a text or a refusal, an image, a sound or a file, and the JSON of a
/// part that is not known.
pub(super) fn part(tally: &mut Tally<'_>, value: &Value) {
    let Value::Object(fields) = value else {
        return tally.value(value);
    };
    let kind = fields.get("type").and_then(Value::as_str);
    let text = match kind {
        Some("text" | "input_text" | "output_text" | "summary_text" | "reasoning_text") => {
            fields.get("text")
        }
        Some("refusal") => fields.get("refusal"),
        _ => None,
    };
    match text {
        Some(text) => tally.value(text),
        None => match media::part(tally.profile, fields) {
            Some(tokens) => tally.tokens(tokens),
            None => tally.json(value),
        },
    }
}

#[cfg(test)]
mod tests;
