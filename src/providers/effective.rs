//! The status that an error inside a success stands for.

use serde_json::Value;

use super::dialect::Words;

/// The status that an error stands for: the number that it names, or what its words mean.
pub(super) fn status(error: &Value, known: &Words) -> Option<u16> {
    let field = |name: &str| error.get(name);
    let numbers = ["code", "status", "status_code"].into_iter();
    let words = ["code", "type", "status"].into_iter();
    numbers.filter_map(field).find_map(number).or_else(|| {
        words
            .filter_map(field)
            .find_map(|it| known.status_of(it.as_str()?))
    })
}

/// A number, or its digits, that is the status of an error.
fn number(value: &Value) -> Option<u16> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64(),
    };
    let status = number.and_then(|number: u64| u16::try_from(number).ok());
    status.filter(|status| (400..600).contains(status))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::providers::ProviderTable;

    #[test]
    fn an_error_stands_for_the_status_that_it_names() {
        let table = [
            (json!({"code": 502}), Some(502)),
            (json!({"code": "429", "type": "None"}), Some(429)),
            (json!({"code": 429.0}), None),
            (json!({"status": 503, "code": "x"}), Some(503)),
            (json!({"status_code": 401}), Some(401)),
            (json!({"code": "rate_limit_exceeded"}), Some(429)),
            (json!({"code": null, "type": "overloaded_error"}), Some(529)),
            (
                json!({"code": 8, "status": "RESOURCE_EXHAUSTED"}),
                Some(429),
            ),
            (json!({"code": "server_error"}), None),
            (json!({"code": 200}), None),
            (json!({"code": 0}), None),
            (json!({"code": 600}), None),
            (json!({"code": -429}), None),
            (json!({"code": u64::MAX}), None),
            (json!({"code": ""}), None),
            (json!("429"), None),
            (json!(null), None),
        ];
        let known = &ProviderTable::global().any().words;
        for (step, (error, expected)) in table.into_iter().enumerate() {
            assert_eq!(status(&error, known), expected, "step {step}: {error}");
        }
    }
}
