//! Plain inputs: strings, lists of strings, ready-made tokens.

use serde_json::Value;

use super::chat::{for_each_field, part};
use super::tally::Tally;

/// Embeddings, moderations or completions, whose prompt is the field `of`. Says how many inputs it
/// holds, at least 1.
pub(super) fn prompts(tally: &mut Tally<'_>, body: &Value, of: &str) -> u64 {
    let mut many = 1;
    for_each_field(tally, body, |tally, name, value| {
        match name {
            _ if name == of => many = inputs(tally, value).max(1),
            "suffix" => tally.value(value),
            _ => return false,
        }
        true
    });
    many
}

/// Counts the `input` of embeddings and moderations or the `prompt` of completions, and says how
/// many inputs it holds: a string, a list of strings or of parts, a list of tokens,
/// or a list of lists of tokens.
fn inputs(tally: &mut Tally<'_>, input: &Value) -> u64 {
    match input {
        Value::Array(list) => {
            for one in list {
                match one {
                    Value::Array(tokens) => tokens.iter().for_each(|token| element(tally, token)),
                    other => element(tally, other),
                }
            }
            if list.iter().all(Value::is_number) {
                return 1;
            }
            list.len() as u64
        }
        other => {
            part(tally, other);
            1
        }
    }
}

/// A number is a token that the caller has made already.
fn element(tally: &mut Tally<'_>, value: &Value) {
    if value.is_number() {
        tally.tokens(1);
    } else {
        part(tally, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{Encoding, ModelTable};
    use serde_json::json;

    /// Of unknown size: the base and 4 × 2 tiles of 512 pixels, for a side of 2,048 and a short side of 768.
    const IMAGE: u64 = 85 + 8 * 170;

    #[test]
    fn inputs_of_every_shape_are_counted() {
        let hello = Encoding::Cl100kBase.count("hello world");
        // input, how many, tokens, characters
        let table = [
            (json!("hello world"), 1, hello, 11),
            (json!(["hello world", "hello world"]), 2, 2 * hello, 22),
            (json!([1, 2, 3]), 1, 3, 12),
            (json!([[1, 2], [3]]), 2, 3, 12),
            (json!([["hello world"]]), 1, hello, 11),
            (
                json!([{ "type": "text", "text": "hello world" }]),
                1,
                hello,
                11,
            ),
            (json!([{ "type": "image_url" }]), 1, IMAGE, 4 * IMAGE),
            (json!({ "type": "image_url" }), 1, IMAGE, 4 * IMAGE),
            (json!([1, "hello world"]), 2, 1 + hello, 15),
            (json!([]), 1, 0, 0),
            (json!(null), 1, 0, 0),
            (json!(true), 1, 1, 4),
        ];
        let profile = ModelTable::default().profile("text-embedding-3-small");
        for (step, (input, many, tokens, characters)) in table.into_iter().enumerate() {
            let mut tally = Tally::new(&profile);
            let body = json!({ "input": input, "dimensions": 5 });
            assert_eq!(
                prompts(&mut tally, &body, "input"),
                many,
                "step {step}: {input}"
            );
            assert_eq!(tally.tokens, tokens, "step {step}: tokens of {input}");
            assert_eq!(
                tally.characters, characters,
                "step {step}: characters of {input}"
            );
        }
        let mut tally = Tally::new(&profile);
        assert_eq!(prompts(&mut tally, &json!({}), "input"), 1);
        assert_eq!(tally.tokens, 0);
    }
}
