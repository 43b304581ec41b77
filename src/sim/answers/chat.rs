//! `/v1/chat/completions`, whole and streamed.

use serde_json::{Value, json};

use super::super::config::TokenCounter;
use super::fields::{Body, count, field, flag, include_usage, model, required, tokens};
use super::output::{Output, Shape};
use super::tools::{self, Tool};
use super::{Asked, CREATED, Form, MOST_PIECES, Refusal, Response, logprobs, usage};

/// Most choices of one request: `n` in OpenAI's API reference.
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
        Form::ChatStream {
            include_usage: include_usage(body)?,
        }
    } else {
        Form::Chat
    };
    let logprobs = match flag(body, "logprobs")? {
        false => None,
        true => Some(top_logprobs(body)?),
    };
    Ok(Asked {
        shape: shape(body, list)?,
        logprobs,
        prompt_tokens: tokens(counter, shown(list).chain(&definitions(body)))
            .saturating_add(counter.map_or(0, |_| overhead(list))),
        cap,
        charged: choices,
        choices,
        ..Asked::new(model, form)
    })
}

/// A call of a tool where one is due, else JSON where it is asked for, else words.
fn shape(body: &Body, messages: &[Value]) -> Result<Shape, Refusal> {
    let list = field(body, "tools").and_then(Value::as_array);
    let functions: Vec<Tool<'_>> = list
        .into_iter()
        .flatten()
        .filter_map(|tool| {
            let function = tool.get("function")?;
            Some(Tool {
                name: function.get("name")?.as_str()?,
                schema: function.get("parameters"),
            })
        })
        .collect();
    let role = messages.last().and_then(|message| message.get("role"));
    let has_result = role.is_some_and(|role| role == "tool" || role == "function");
    let choice = tools::choice(field(body, "tool_choice"), "/function/name")?;
    if let Some(call) = tools::call(&functions, choice, has_result)? {
        return Ok(call);
    }
    let Some(format) = field(body, "response_format") else {
        return Ok(Shape::Words);
    };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(Shape::Words),
        Some("json_object") => Ok(Shape::Json(Value::Null)),
        Some("json_schema") => {
            let schema = format.pointer("/json_schema/schema");
            Ok(Shape::Json(schema.cloned().unwrap_or_default()))
        }
        _ => Err(Refusal::invalid(
            "response_format",
            "a type of \"text\", \"json_object\" or \"json_schema\"",
        )),
    }
}

/// How many alternatives to show for each token: from 0, which is the default, to 20.
fn top_logprobs(body: &Body) -> Result<u64, Refusal> {
    match field(body, "top_logprobs") {
        None => Ok(0),
        Some(value) => value
            .as_u64()
            .filter(|count| *count <= logprobs::MOST)
            .ok_or_else(|| Refusal::invalid("top_logprobs", "a whole number between 0 and 20")),
    }
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

pub(super) fn answer(asked: &Asked, id: &str, outputs: &[Output]) -> Response {
    let choices: Vec<Value> = outputs
        .iter()
        .enumerate()
        .map(|(index, output)| {
            let mut message = json!({
                "role": "assistant",
                "content": null,
                "refusal": null,
                "annotations": [],
            });
            match output.called() {
                None => message["content"] = output.text().into(),
                Some(name) => {
                    message["tool_calls"] = json!([{
                        "id": call_id(id, index),
                        "type": "function",
                        "function": {"name": name, "arguments": output.text()},
                    }]);
                }
            }
            let tokens = |top| logprobs::of_chat(top, &output.pieces(u64::MAX));
            json!({
                "index": index,
                "message": message,
                "logprobs": asked.logprobs.map_or(Value::Null, tokens),
                "finish_reason": output.finish_reason(),
            })
        })
        .collect();
    let mut body = frame(asked, id, "chat.completion", choices);
    body["usage"] = usage(asked, outputs);
    Response::json(200, &body)
}

/// First a chunk with the role, then the text in pieces, then the reason of the end, for each
/// choice; with `include_usage` a chunk without choices that has the usage.
pub(super) fn stream(asked: &Asked, id: &str, outputs: &[Output], include_usage: bool) -> Response {
    let chunk = |choices: Vec<Value>, usage: Value| {
        let mut chunk = frame(asked, id, "chat.completion.chunk", choices);
        if include_usage {
            chunk["usage"] = usage;
        }
        chunk
    };
    let mut chunks = Vec::new();
    for (index, output) in outputs.iter().enumerate() {
        let mut push = |delta: Value, logprobs: Value, finish_reason: Option<&str>| {
            let choice = json!({
                "index": index,
                "delta": delta,
                "logprobs": logprobs,
                "finish_reason": finish_reason,
            });
            chunks.push(chunk(vec![choice], Value::Null));
        };
        match output.called() {
            None => {
                let opening = json!({"role": "assistant", "content": "", "refusal": null});
                push(opening, Value::Null, None);
                for piece in output.pieces(MOST_PIECES) {
                    let tokens = |top| logprobs::of_chat(top, &[&piece]);
                    let tokens = asked.logprobs.map_or(Value::Null, tokens);
                    push(json!({"content": piece}), tokens, None);
                }
            }
            Some(name) => {
                let call = json!({
                    "index": 0,
                    "id": call_id(id, index),
                    "type": "function",
                    "function": {"name": name, "arguments": ""},
                });
                let opening = json!({"role": "assistant", "content": null, "tool_calls": [call]});
                push(opening, Value::Null, None);
                for piece in output.pieces(MOST_PIECES) {
                    let call = json!({"index": 0, "function": {"arguments": piece}});
                    push(json!({"tool_calls": [call]}), Value::Null, None);
                }
            }
        }
        push(json!({}), Value::Null, Some(output.finish_reason()));
    }
    if include_usage {
        chunks.push(chunk(Vec::new(), usage(asked, outputs)));
    }
    Response::events(chunks)
}

fn call_id(id: &str, index: usize) -> String {
    format!("call_{id}{index}")
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
