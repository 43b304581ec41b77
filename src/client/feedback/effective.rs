//! The status that an error inside a success stands for.

use serde_json::Value;

/// Words that mean a status. Of OpenAI's responses, of Anthropic's and of Google's errors.
const WORDS: [(&str, u16); 37] = [
    ("invalid_request_error", 400),
    ("invalid_prompt", 400),
    ("invalid_image", 400),
    ("invalid_image_format", 400),
    ("invalid_base64_image", 400),
    ("invalid_image_url", 400),
    ("invalid_image_mode", 400),
    ("image_too_large", 400),
    ("image_too_small", 400),
    ("image_parse_error", 400),
    ("image_content_policy_violation", 400),
    ("image_file_too_large", 400),
    ("unsupported_image_media_type", 400),
    ("empty_image_file", 400),
    ("image_file_not_found", 400),
    ("context_length_exceeded", 400),
    ("content_policy_violation", 400),
    ("INVALID_ARGUMENT", 400),
    ("FAILED_PRECONDITION", 400),
    ("authentication_error", 401),
    ("invalid_api_key", 401),
    ("UNAUTHENTICATED", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("PERMISSION_DENIED", 403),
    ("not_found_error", 404),
    ("model_not_found", 404),
    ("NOT_FOUND", 404),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("rate_limit_exceeded", 429),
    ("insufficient_quota", 429),
    ("RESOURCE_EXHAUSTED", 429),
    ("UNAVAILABLE", 503),
    ("timeout_error", 504),
    ("DEADLINE_EXCEEDED", 504),
    ("overloaded_error", 529),
];

/// The status that an error stands for: the number that it names, or what its words mean.
pub(super) fn status(error: &Value) -> Option<u16> {
    let field = |name: &str| error.get(name);
    let numbers = ["code", "status", "status_code"].into_iter();
    let words = ["code", "type", "status"].into_iter();
    numbers
        .filter_map(field)
        .find_map(number)
        .or_else(|| words.filter_map(field).find_map(|it| of_word(it.as_str()?)))
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

pub(super) fn of_word(word: &str) -> Option<u16> {
    let known = WORDS.into_iter().find(|(known, _)| *known == word);
    known.map(|(_, status)| status)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        for (step, (error, expected)) in table.into_iter().enumerate() {
            assert_eq!(status(&error), expected, "step {step}: {error}");
        }
    }
}
