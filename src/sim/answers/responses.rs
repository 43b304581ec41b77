//! `/v1/responses`, whole and streamed.

use serde_json::{Value, json};

use super::super::config::TokenCounter;
use super::super::response::Event;
use super::fields::{Body, count, field, flag, model, required, tokens};
use super::output::{Output, Shape};
use super::tools::{self, Tool};
use super::{Asked, CREATED, Form, MOST_PIECES, Refusal, Response};

pub(super) fn read(body: &Body, counter: Option<&TokenCounter>) -> Result<Asked, Refusal> {
    let model = model(body)?;
    let input = required(body, "input")?;
    if !input.is_string() && !input.is_array() {
        return Err(Refusal::invalid("input", "a string or an array"));
    }
    let form = if flag(body, "stream")? {
        Form::ResponsesStream
    } else {
        Form::Responses
    };
    let texts = [Some(input), field(body, "instructions")];
    Ok(Asked {
        shape: shape(body, input)?,
        prompt_tokens: tokens(counter, texts.into_iter().flatten()),
        cap: count(body, "max_output_tokens", u64::MAX)?,
        charged: 1,
        choices: 1,
        ..Asked::new(model, form)
    })
}

fn shape(body: &Body, input: &Value) -> Result<Shape, Refusal> {
    let list = field(body, "tools").and_then(Value::as_array);
    let functions: Vec<Tool<'_>> = list
        .into_iter()
        .flatten()
        .filter(|tool| tool.get("type").is_some_and(|kind| kind == "function"))
        .filter_map(|tool| {
            Some(Tool {
                name: tool.get("name")?.as_str()?,
                schema: tool.get("parameters"),
            })
        })
        .collect();
    let last = input.as_array().and_then(|items| items.last());
    let kind = last.and_then(|item| item.get("type"));
    let has_result = kind.is_some_and(|kind| kind == "function_call_output");
    let choice = tools::choice(field(body, "tool_choice"), "/name")?;
    if let Some(call) = tools::call(&functions, choice, has_result)? {
        return Ok(call);
    }
    let format = field(body, "text").and_then(|text| text.get("format"));
    let Some(format) = format.filter(|format| !format.is_null()) else {
        return Ok(Shape::Words);
    };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(Shape::Words),
        Some("json_object") => Ok(Shape::Json(Value::Null)),
        Some("json_schema") => {
            let schema = format.get("schema").cloned();
            Ok(Shape::Json(schema.unwrap_or_default()))
        }
        _ => Err(Refusal::invalid(
            "text.format",
            "a type of \"text\", \"json_object\" or \"json_schema\"",
        )),
    }
}

pub(super) fn answer(asked: &Asked, id: &str, outputs: &[Output]) -> Response {
    let items: Vec<Value> = outputs.iter().map(|output| item(id, output)).collect();
    Response::json(200, &response(asked, id, outputs, ended(outputs), &items))
}

/// The events of one answer: it begins, its one item begins, comes in pieces and ends, it ends.
pub(super) fn stream(asked: &Asked, id: &str, outputs: &[Output]) -> Response {
    let mut events = Vec::new();
    let mut push = |kind: &'static str, mut data: Value| {
        data["type"] = kind.into();
        data["sequence_number"] = events.len().into();
        events.push(Event::named(kind, &data));
    };
    let mut begun = response(asked, id, &[], "in_progress", &[]);
    begun["usage"] = Value::Null;
    push("response.created", json!({"response": begun}));
    push("response.in_progress", json!({"response": begun}));
    for (index, output) in outputs.iter().enumerate() {
        let done = item(id, output);
        let item_id = done["id"].clone();
        let mut opening = done.clone();
        opening["status"] = "in_progress".into();
        let of_item = json!({"item_id": item_id, "output_index": index});
        let with = |fields: Value| {
            let mut data = of_item.clone();
            if let (Value::Object(data), Value::Object(fields)) = (&mut data, fields) {
                data.extend(fields);
            }
            data
        };
        if output.called().is_some() {
            opening["arguments"] = "".into();
            push(
                "response.output_item.added",
                json!({"output_index": index, "item": opening}),
            );
            for piece in output.pieces(MOST_PIECES) {
                let kind = "response.function_call_arguments.delta";
                push(kind, with(json!({"delta": piece})));
            }
            let whole = json!({"arguments": output.text(), "name": output.called()});
            push("response.function_call_arguments.done", with(whole));
        } else {
            opening["content"] = json!([]);
            push(
                "response.output_item.added",
                json!({"output_index": index, "item": opening}),
            );
            let part = part("");
            let fields = json!({"content_index": 0, "part": part});
            push("response.content_part.added", with(fields));
            for piece in output.pieces(MOST_PIECES) {
                let fields = json!({"content_index": 0, "delta": piece, "logprobs": []});
                push("response.output_text.delta", with(fields));
            }
            let fields = json!({"content_index": 0, "text": output.text(), "logprobs": []});
            push("response.output_text.done", with(fields));
            let fields = json!({"content_index": 0, "part": done["content"][0]});
            push("response.content_part.done", with(fields));
        }
        push(
            "response.output_item.done",
            json!({"output_index": index, "item": done}),
        );
    }
    let status = ended(outputs);
    let items: Vec<Value> = outputs.iter().map(|output| item(id, output)).collect();
    let whole = response(asked, id, outputs, status, &items);
    let kind = match status {
        "incomplete" => "response.incomplete",
        _ => "response.completed",
    };
    push(kind, json!({"response": whole}));
    Response::named_events(events)
}

fn ended(outputs: &[Output]) -> &'static str {
    if outputs.iter().any(Output::cut) {
        "incomplete"
    } else {
        "completed"
    }
}

/// A message, or a call.
fn item(id: &str, output: &Output) -> Value {
    let status = ended(std::slice::from_ref(output));
    match output.called() {
        Some(name) => json!({
            "type": "function_call",
            "id": format!("fc_{id}"),
            "call_id": format!("call_{id}"),
            "status": status,
            "name": name,
            "arguments": output.text(),
        }),
        None => json!({
            "type": "message",
            "id": format!("msg_{id}"),
            "status": status,
            "role": "assistant",
            "content": [part(&output.text())],
        }),
    }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn response(asked: &Asked, id: &str, outputs: &[Output], status: &str, items: &[Value]) -> Value {
    let output_tokens: u64 = outputs.iter().map(Output::tokens).sum();
    let details = match status {
        "incomplete" => json!({"reason": "max_output_tokens"}),
        _ => Value::Null,
    };
    json!({
        "id": format!("resp_{id}"),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": null,
        "incomplete_details": details,
        "instructions": null,
        "max_output_tokens": asked.cap,
        "metadata": {},
        "model": asked.model,
        "output": items,
        "parallel_tool_calls": true,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": asked.prompt_tokens,
            "input_tokens_details": {"cached_tokens": asked.cached},
            "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": asked.prompt_tokens.saturating_add(output_tokens),
        },
    })
}
