//! `/v1/embeddings`.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use super::super::config::TokenCounter;
use super::super::draw::{Draw, fingerprint};
use super::fields::{Body, count, field, model, required, tokens};
use super::{Asked, Form, Refusal, Response};

/// Numbers of a vector when the request does not say: few, so that answers stay small.
const DIMENSIONS: u64 = 8;
/// Those of `text-embedding-3-large`, the most of any OpenAI model.
const MOST_DIMENSIONS: u64 = 3_072;
/// Most texts of one request, as in OpenAI's API reference.
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
    let base64 = match field(body, "encoding_format").map(Value::as_str) {
        None | Some(Some("float")) => false,
        Some(Some("base64")) => true,
        Some(_) => {
            let expected = "\"float\" or \"base64\"";
            return Err(Refusal::invalid("encoding_format", expected));
        }
    };
    let fingerprints = inputs
        .iter()
        .map(|input| fingerprint(input.to_string().as_bytes()));
    let form = Form::Embeddings {
        inputs: fingerprints.collect(),
        base64,
        dimensions: count(body, "dimensions", MOST_DIMENSIONS)?.unwrap_or(DIMENSIONS),
    };
    Ok(Asked {
        prompt_tokens: tokens(counter, [input]),
        ..Asked::new(model, form)
    })
}

/// Vectors of length 1. The same text has the same vector, whatever else is in the request.
///
/// In base64 they are 32-bit floats, the smallest byte first. The official clients request this form by
/// default.
pub(super) fn answer(
    asked: &Asked,
    inputs: &[u64],
    dimensions: u64,
    base64: bool,
    seed: u64,
) -> Response {
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector(&mut Draw::new(seed, &input.to_le_bytes()), dimensions);
            let vector = if base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|it| it.to_le_bytes()).collect();
                BASE64_STANDARD.encode(bytes).into()
            } else {
                json!(vector)
            };
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

/// Of 32 bits, as the API has them: so both encodings have the same numbers.
fn vector(draw: &mut Draw, dimensions: u64) -> Vec<f32> {
    let raw: Vec<f64> = (0..dimensions).map(|_| 2.0 * draw.unit() - 1.0).collect();
    let length = raw.iter().map(|it| it * it).sum::<f64>().sqrt();
    // All zeros has no direction; it cannot happen in practice, and must not divide by 0.
    let scale = if length > 0.0 { 1.0 / length } else { 1.0 };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounded to 32 bits, not cut: all are between -1 and 1"
    )]
    raw.into_iter().map(|it| (it * scale) as f32).collect()
}
