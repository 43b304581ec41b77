//! `/v1/moderations`: nothing that was ever simulated is harmful.

use serde_json::{Map, Value, json};

use super::super::config::TokenCounter;
use super::fields::{Body, field, required, tokens};
use super::{Asked, Form, Refusal, Response};

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];
/// What judges where the request names no model, which it need not.
const MODEL: &str = "omni-moderation-latest";

pub(super) fn read(body: &Body, counter: Option<&TokenCounter>) -> Result<Asked, Refusal> {
    let model = match field(body, "model") {
        None => MODEL.to_owned(),
        Some(Value::String(model)) if !model.is_empty() => model.clone(),
        Some(_) => return Err(Refusal::invalid("model", "the name of a model")),
    };
    let input = required(body, "input")?;
    let inputs = match input {
        Value::String(_) => 1,
        // Parts of one input: a text with its images.
        Value::Array(list) if list.first().is_some_and(Value::is_object) => 1,
        Value::Array(list) if !list.is_empty() => list.len(),
        _ => return Err(Refusal::invalid("input", "a string or an array")),
    };
    Ok(Asked {
        prompt_tokens: tokens(counter, [input]),
        ..Asked::new(model, Form::Moderations { inputs })
    })
}

pub(super) fn answer(asked: &Asked, id: &str, inputs: usize) -> Response {
    let of_each = |value: Value| {
        let pairs = CATEGORIES.map(|name| (name.to_owned(), value.clone()));
        Value::Object(Map::from_iter(pairs))
    };
    let result = json!({
        "flagged": false,
        "categories": of_each(false.into()),
        "category_scores": of_each(json!(0.0001)),
        "category_applied_input_types": of_each(json!(["text"])),
    });
    let body = json!({
        "id": format!("modr-{id}"),
        "model": asked.model,
        "results": vec![result; inputs],
    });
    Response::json(200, &body)
}
