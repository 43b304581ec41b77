//! `/v1/messages` as Anthropic has it, whole and streamed.

use serde_json::{Value, json};

use super::super::config::TokenCounter;
use super::super::response::Event;
use super::fields::{Body, count, field, flag, model, required, tokens};
use super::output::{Output, Shape};
use super::tools::{self, Choice, Tool};
use super::{Asked, Form, MOST_PIECES, Refusal, Response};

pub(super) fn read(body: &Body, counter: Option<&TokenCounter>) -> Result<Asked, Refusal> {
    let model = model(body)?;
    let Value::Array(messages) = required(body, "messages")? else {
        return Err(Refusal::invalid("messages", "an array of messages"));
    };
    if messages.is_empty() || !messages.iter().all(Value::is_object) {
        return Err(Refusal::invalid("messages", "an array of messages"));
    }
    let cap = count(body, "max_tokens", u64::MAX)?.ok_or_else(|| Refusal::missing("max_tokens"))?;
    let stream = flag(body, "stream")?;
    let contents = messages.iter().filter_map(|message| message.get("content"));
    let definitions = field(body, "tools").map(|tools| Value::from(tools.to_string()));
    let texts = contents.chain(field(body, "system")).chain(&definitions);
    Ok(Asked {
        shape: shape(body, messages)?,
        prompt_tokens: tokens(counter, texts),
        cap: Some(cap),
        charged: 1,
        choices: 1,
        ..Asked::new(model, Form::Messages { stream })
    })
}

fn shape(body: &Body, messages: &[Value]) -> Result<Shape, Refusal> {
    let list = field(body, "tools").and_then(Value::as_array);
    let tools: Vec<Tool<'_>> = list
        .into_iter()
        .flatten()
        .filter_map(|tool| {
            Some(Tool {
                name: tool.get("name")?.as_str()?,
                schema: tool.get("input_schema"),
            })
        })
        .collect();
    let parts = messages
        .last()
        .and_then(|message| message.get("content")?.as_array());
    let is_result = |part: &Value| part.get("type").is_some_and(|kind| kind == "tool_result");
    let has_result = parts.is_some_and(|parts| parts.iter().any(is_result));
    let wanted = field(body, "tool_choice");
    let kind = wanted.and_then(|choice| choice.get("type")?.as_str());
    let name = wanted.and_then(|choice| choice.get("name")?.as_str());
    let choice = match (wanted, kind, name) {
        (None, ..) | (_, Some("auto"), _) => Choice::Free,
        (_, Some("none"), _) => Choice::Never,
        (_, Some("any"), _) => Choice::Always,
        (_, Some("tool"), Some(name)) => Choice::Named(name),
        _ => {
            let expected = "a type of auto, any, none, or tool with a name";
            return Err(Refusal::invalid("tool_choice", expected));
        }
    };
    if let Some(call) = tools::call(&tools, choice, has_result)? {
        return Ok(call);
    }
    let format = field(body, "output_config").and_then(|config| config.get("format"));
    let format = format.or_else(|| field(body, "output_format"));
    let schema = format.and_then(|format| format.get("schema"));
    Ok(schema.map_or(Shape::Words, |schema| Shape::Json(schema.clone())))
}

pub(super) fn answer(asked: &Asked, id: &str, outputs: &[Output]) -> Response {
    let content: Vec<Value> = outputs.iter().map(|output| block(id, output)).collect();
    let mut body = message(asked, id, output_tokens(outputs));
    body["content"] = content.into();
    body["stop_reason"] = stop_reason(outputs).into();
    Response::json(200, &body)
}

/// The message without content, its blocks in pieces, and its end with the usage.
pub(super) fn stream(asked: &Asked, id: &str, outputs: &[Output]) -> Response {
    let mut events = Vec::new();
    let mut push = |kind: &'static str, mut data: Value| {
        data["type"] = kind.into();
        events.push(Event::named(kind, &data));
    };
    push("message_start", json!({"message": message(asked, id, 1)}));
    for (index, output) in outputs.iter().enumerate() {
        let mut opening = block(id, output);
        let is_call = output.called().is_some();
        if is_call {
            opening["input"] = json!({});
        } else {
            opening["text"] = "".into();
        }
        push(
            "content_block_start",
            json!({"index": index, "content_block": opening}),
        );
        push("ping", json!({}));
        for piece in output.pieces(MOST_PIECES) {
            let delta = if is_call {
                json!({"type": "input_json_delta", "partial_json": piece})
            } else {
                json!({"type": "text_delta", "text": piece})
            };
            push(
                "content_block_delta",
                json!({"index": index, "delta": delta}),
            );
        }
        push("content_block_stop", json!({"index": index}));
    }
    let delta = json!({"stop_reason": stop_reason(outputs), "stop_sequence": null});
    let usage = json!({"output_tokens": output_tokens(outputs)});
    push("message_delta", json!({"delta": delta, "usage": usage}));
    push("message_stop", json!({}));
    Response::named_events(events)
}

fn output_tokens(outputs: &[Output]) -> u64 {
    outputs.iter().map(Output::tokens).sum()
}

fn stop_reason(outputs: &[Output]) -> &'static str {
    match outputs.first() {
        Some(output) if output.cut() => "max_tokens",
        Some(output) if output.called().is_some() => "tool_use",
        _ => "end_turn",
    }
}

/// Arguments that were cut are not JSON any more: of those a whole answer shows an empty object.
fn block(id: &str, output: &Output) -> Value {
    match output.called() {
        Some(name) => json!({
            "type": "tool_use",
            "id": format!("toolu_{id}"),
            "name": name,
            "input": serde_json::from_str(&output.text()).unwrap_or_else(|_| json!({})),
        }),
        None => json!({"type": "text", "text": output.text()}),
    }
}

fn message(asked: &Asked, id: &str, output_tokens: u64) -> Value {
    json!({
        "id": format!("msg_{id}"),
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": {
            "input_tokens": asked.prompt_tokens.saturating_sub(asked.cached),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": asked.cached,
            "output_tokens": output_tokens,
        },
    })
}
