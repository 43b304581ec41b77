//! Reading fields of a request's body. Null is the same as absent, as the API has it.

use serde_json::{Map, Value};

use super::super::charge::Text;
use super::super::config::TokenCounter;
use super::Refusal;

pub(super) type Body = Map<String, Value>;

/// A field that is there and not null.
pub(super) fn field<'a>(body: &'a Body, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}

/// The field, or the refusal that says it is missing.
pub(super) fn required<'a>(body: &'a Body, name: &str) -> Result<&'a Value, Refusal> {
    field(body, name).ok_or_else(|| Refusal::missing(name))
}

pub(super) fn model(body: &Body) -> Result<String, Refusal> {
    match required(body, "model")? {
        Value::String(model) if !model.is_empty() => Ok(model.clone()),
        _ => Err(Refusal::invalid("model", "the name of a model")),
    }
}

/// A whole number between 1 and `most`.
pub(super) fn count(body: &Body, name: &str, most: u64) -> Result<Option<u64>, Refusal> {
    let Some(value) = field(body, name) else {
        return Ok(None);
    };
    match value.as_u64() {
        Some(count) if (1..=most).contains(&count) => Ok(Some(count)),
        _ if most == u64::MAX => Err(Refusal::invalid(name, "a whole number above 0")),
        _ => {
            let expected = format!("a whole number between 1 and {most}");
            Err(Refusal::invalid(name, &expected))
        }
    }
}

pub(super) fn flag(body: &Body, name: &str) -> Result<bool, Refusal> {
    match field(body, name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Refusal::invalid(name, "true or false")),
    }
}

/// Whether a stream is to end with its usage.
pub(super) fn include_usage(body: &Body) -> Result<bool, Refusal> {
    match field(body, "stream_options") {
        None => Ok(false),
        Some(Value::Object(options)) => flag(options, "include_usage"),
        Some(_) => Err(Refusal::invalid("stream_options", "an object")),
    }
}

/// The tokens of some values together.
pub(super) fn tokens<'a>(
    counter: Option<&TokenCounter>,
    values: impl IntoIterator<Item = &'a Value>,
) -> u64 {
    let mut text = Text::new(counter);
    values.into_iter().for_each(|value| text.add(value));
    text.tokens()
}
