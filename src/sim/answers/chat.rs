//! `/v1/chat/completions`, whole and streamed.

use serde_json::{Value, json};

use super::super::config::TokenCounter;
use super::fields::{Body, count, field, flag, model, required, tokens};
use super::{Asked, CREATED, Form, Refusal, Response, Words, usage};

/// Most pieces that a streamed choice comes in.
const MOST_PIECES: u64 = 64;
/// Most choices of one request.
const MOST_CHOICES: u64 = 128;

pub(super) fn read(body: &Body, counter: Option<&TokenCounter>) -> Result<Asked, Refusal> {
    let model = model(body)?;
    let messages = required(body, "messages")?;
    let Value::Array(list) = messages else {
        return Err(Refusal::invalid("messages", "an array of messages"));
    };
    if list.is_empty() || !list.iter().all(Value::is_object) {
        return Err(Refusal::invalid("messages", "an array of messages"));
    }
    let cap = match count(body, "max_completion_tokens", u64::MAX)? {
        None => count(body, "max_tokens", u64::MAX)?,
        cap => cap,
    };
    let choices = count(body, "n", MOST_CHOICES)?.unwrap_or(1);
    let form = if flag(body, "stream")? {
        let include_usage = match field(body, "stream_options") {
            None => false,
            Some(Value::Object(options)) => flag(options, "include_usage")?,
            Some(_) => return Err(Refusal::invalid("stream_options", "an object")),
        };
        Form::ChatStream { include_usage }
    } else {
        Form::Chat
    };
    Ok(Asked {
        model,
        prompt_tokens: tokens(counter, shown(list).chain(&definitions(body)))
            .saturating_add(counter.map_or(0, |_| overhead(list))),
        cap,
        charged: choices,
        choices,
        length: None,
        form,
    })
}

/// What the chat format adds to the texts: for each message, for each name, for the answer.
fn overhead(messages: &[Value]) -> u64 {
    let named = |message: &Value| u64::from(message.get("name").is_some_and(|it| !it.is_null()));
    let each = messages.iter().map(|message| 3 + named(message));
    each.sum::<u64>() + 3
}

/// What the model is shown of messages.
fn shown(messages: &[Value]) -> impl Iterator<Item = &Value> {
    let fields = |message| ["role", "name", "content"].map(|name| Value::get(message, name));
    messages.iter().flat_map(fields).flatten()
}

/// What the model is shown beside them: tools and the answer's schema, as the text that they are.
fn definitions(body: &Body) -> Vec<Value> {
    let schema = body
        .get("response_format")
        .and_then(|format| format.get("json_schema"));
    let tools = ["tools", "functions"].map(|name| body.get(name));
    let definitions = tools.into_iter().chain([schema]).flatten();
    definitions
        .map(|definition| definition.to_string().into())
        .collect()
}

pub(super) fn answer(asked: &Asked, id: &str, words: &[Words]) -> Response {
    let choices: Vec<Value> = words
        .iter()
        .enumerate()
        .map(|(index, words)| {
            json!({
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": words.text(),
                    "refusal": null,
                    "annotations": [],
                },
                "logprobs": null,
                "finish_reason": words.finish_reason(),
            })
        })
        .collect();
    let mut body = frame(asked, id, "chat.completion", choices);
    body["usage"] = usage(asked, words);
    Response::json(200, &body)
}

/// First a chunk with the role, then the text in pieces, then the reason of the end, for each
/// choice; with `include_usage` a chunk without choices that has the usage.
pub(super) fn stream(asked: &Asked, id: &str, words: &[Words], include_usage: bool) -> Response {
    let chunk = |choices: Vec<Value>, usage: Value| {
        let mut chunk = frame(asked, id, "chat.completion.chunk", choices);
        if include_usage {
            chunk["usage"] = usage;
        }
        chunk
    };
    let mut chunks = Vec::new();
    for (index, words) in words.iter().enumerate() {
        let mut push = |delta: Value, finish_reason: Option<&str>| {
            let choice = json!({
                "index": index,
                "delta": delta,
                "logprobs": null,
                "finish_reason": finish_reason,
            });
            chunks.push(chunk(vec![choice], Value::Null));
        };
        let opening = json!({"role": "assistant", "content": "", "refusal": null});
        push(opening, None);
        for piece in words.pieces(MOST_PIECES) {
            push(json!({"content": piece}), None);
        }
        push(json!({}), Some(words.finish_reason()));
    }
    if include_usage {
        chunks.push(chunk(Vec::new(), usage(asked, words)));
    }
    Response::events(chunks)
}

fn frame(asked: &Asked, id: &str, object: &str, choices: Vec<Value>) -> Value {
    let mut frame = json!({
        "id": format!("chatcmpl-{id}"),
        "object": object,
        "created": CREATED,
        "model": asked.model,
        "service_tier": "default",
        "system_fingerprint": "fp_sim",
    });
    frame["choices"] = Value::Array(choices);
    frame
}
