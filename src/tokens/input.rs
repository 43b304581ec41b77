//! Plain inputs: strings, lists of strings, ready-made tokens.

use serde_json::Value;

use super::chat::{MEDIA_TOKENS, part};
use super::tally::{CHARACTERS_PER_TOKEN, Tally, characters};

/// Counts the `input` of embeddings and moderations or the `prompt` of completions, and says how
/// many inputs it holds, at least 1: a string, a list of strings or of parts, a list of tokens,
/// or a list of lists of tokens.
pub(super) fn inputs(tally: &mut Tally, input: Option<&Value>) -> u64 {
    match input {
        Some(Value::Array(list)) => {
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
        Some(other) => {
            tally.value(other);
            1
        }
        None => 1,
    }
}

/// A number is a token that the caller has made already.
fn element(tally: &mut Tally, value: &Value) {
    if value.is_number() {
        tally.tokens(1);
    } else {
        part(tally, value);
    }
}

/// The characters of all strings of a body, without the names of its fields. Media that stand in
/// a `data:` URL count as [`MEDIA_TOKENS`], like everywhere else.
pub(super) fn characters_of_strings(body: &Value) -> u64 {
    let mut sum: u64 = 0;
    // A list of what is left to visit, and no recursion: how deep a body is nested is up to the
    // caller, and the stack is not.
    let mut left = vec![body];
    while let Some(value) = left.pop() {
        match value {
            Value::String(text) if text.starts_with("data:") => {
                sum = sum.saturating_add(MEDIA_TOKENS * CHARACTERS_PER_TOKEN);
            }
            Value::String(text) => sum = sum.saturating_add(characters(text)),
            Value::Array(list) => left.extend(list),
            Value::Object(fields) => left.extend(fields.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Encoding;
    use serde_json::json;

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
            (
                json!([{ "type": "image_url" }]),
                1,
                MEDIA_TOKENS,
                4 * MEDIA_TOKENS,
            ),
            (json!([1, "hello world"]), 2, 1 + hello, 15),
            (json!([]), 1, 0, 0),
            (json!(null), 1, 0, 0),
            (json!(true), 1, 1, 4),
        ];
        for (step, (input, many, tokens, characters)) in table.into_iter().enumerate() {
            let mut tally = Tally::new(Encoding::Cl100kBase);
            assert_eq!(
                inputs(&mut tally, Some(&input)),
                many,
                "step {step}: {input}"
            );
            assert_eq!(tally.tokens, tokens, "step {step}: tokens of {input}");
            assert_eq!(
                tally.characters, characters,
                "step {step}: characters of {input}"
            );
        }
        let mut tally = Tally::new(Encoding::Cl100kBase);
        assert_eq!(inputs(&mut tally, None), 1);
        assert_eq!(tally.tokens, 0);
    }

    #[test]
    fn all_strings_of_a_body_are_added_up_however_deep() {
        let body = json!({ "a": "éé", "b": [{ "c": "😀" }, 1, null], "d": { "e": ["x", "yz"] } });
        assert_eq!(characters_of_strings(&body), 6);
        let image = json!({ "image": "data:image/png;base64,AAAA" });
        assert_eq!(characters_of_strings(&image), 4 * MEDIA_TOKENS);

        let deep = (0..1_000).fold(json!("x"), |inner, _| json!([inner, "y"]));
        assert_eq!(characters_of_strings(&deep), 1_001);
    }
}
