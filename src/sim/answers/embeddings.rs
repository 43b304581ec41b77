//! `/v1/embeddings`.

use serde_json::{Value, json};

use super::super::config::TokenCounter;
use super::super::draw::{Draw, fingerprint};
use super::fields::{Body, count, field, model, required, tokens};
use super::{Asked, Form, Refusal, Response};

/// Numbers of a vector when the request does not say: few, so that answers stay small.
const DIMENSIONS: u64 = 8;
const MOST_DIMENSIONS: u64 = 3_072;
const MOST_INPUTS: usize = 2_048;

pub(super) fn read(body: &Body, counter: Option<&TokenCounter>) -> Result<Asked, Refusal> {
    let model = model(body)?;
    let input = required(body, "input")?;
    let inputs = match input {
        Value::String(_) => vec![input],
        Value::Array(list) if list.first().is_some_and(Value::is_number) => vec![input],
        Value::Array(list) => list.iter().collect(),
        _ => Vec::new(),
    };
    if inputs.is_empty() || inputs.len() > MOST_INPUTS {
        let expected = "a string, an array of tokens, or 1 to 2048 of them";
        return Err(Refusal::invalid("input", expected));
    }
    if field(body, "encoding_format").is_some_and(|format| format != "float") {
        return Err(Refusal::invalid("encoding_format", "\"float\""));
    }
    let fingerprints = inputs
        .iter()
        .map(|input| fingerprint(input.to_string().as_bytes()));
    let form = Form::Embeddings {
        inputs: fingerprints.collect(),
        dimensions: count(body, "dimensions", MOST_DIMENSIONS)?.unwrap_or(DIMENSIONS),
    };
    Ok(Asked {
        model,
        prompt_tokens: tokens(counter, [input]),
        cap: None,
        charged: 0,
        choices: 0,
        length: None,
        form,
    })
}

/// Vectors of length 1. The same text has the same vector, whatever else is in the request.
pub(super) fn answer(asked: &Asked, inputs: &[u64], dimensions: u64, seed: u64) -> Response {
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector(&mut Draw::new(seed, &input.to_le_bytes()), dimensions);
            json!({"object": "embedding", "index": index, "embedding": vector})
        })
        .collect();
    let body = json!({
        "object": "list",
        "data": data,
        "model": asked.model,
        "usage": {"prompt_tokens": asked.prompt_tokens, "total_tokens": asked.prompt_tokens},
    });
    Response::json(200, &body)
}

fn vector(draw: &mut Draw, dimensions: u64) -> Vec<f64> {
    let raw: Vec<f64> = (0..dimensions).map(|_| 2.0 * draw.unit() - 1.0).collect();
    let length = raw.iter().map(|it| it * it).sum::<f64>().sqrt();
    // All zeros has no direction; it cannot happen in practice, and must not divide by 0.
    let scale = if length > 0.0 { 1.0 / length } else { 1.0 };
    raw.into_iter().map(|it| it * scale).collect()
}
