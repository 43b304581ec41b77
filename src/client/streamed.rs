//! Asking for a stream in a body that is a text already, pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

const STREAM: &str = "stream";

/// The object `text` with `stream` set, and all else as it stands: read into values, its numbers would be
/// rounded. `None` where it is no object.
pub(super) fn with_stream(text: &str) -> Option<String> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let (before, after) = match fields.get(STREAM).map(|value| value.get()) {
        Some("true") => return Some(text.to_owned()),
        Some(value) => {
            // It is a part of the text.
            let at = (value.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
            (text.get(..at)?, text.get(at + value.len()..)?)
        }
        None => {
            let rest = text.trim_start().strip_prefix('{')?;
            let comma = if fields.is_empty() { "" } else { "," };
            return Some(format!("{{\"{STREAM}\":true{comma}{rest}"));
        }
    };
    Some(format!("{before}true{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_is_set_and_nothing_else_changes() {
        let table = [
            ("{}", Some(r#"{"stream":true}"#)),
            (
                r#"{"seed":18446744073709551617,"x":1.10}"#,
                Some(r#"{"stream":true,"seed":18446744073709551617,"x":1.10}"#),
            ),
            (
                r#"{"a":{"stream":false},"stream":false,"b":1}"#,
                Some(r#"{"a":{"stream":false},"stream":true,"b":1}"#),
            ),
            (r#"{"str\u0065am":null}"#, Some(r#"{"str\u0065am":true}"#)),
            (r#" {"stream": true}"#, Some(r#" {"stream": true}"#)),
            ("[1]", None),
            ("{", None),
        ];
        for (text, expected) in table {
            assert_eq!(with_stream(text).as_deref(), expected, "{text}");
        }
    }
}
