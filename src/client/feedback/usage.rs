//! What an answer says it used.

use serde::Deserialize;
use serde_json::Value;

use crate::cost::Usage;

/// All that is read of an answer that is only passed on.
#[derive(Deserialize)]
struct Stated {
    usage: Option<Used>,
}

#[derive(Deserialize)]
struct Used {
    prompt_tokens: Option<u64>,
    input_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    output_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    input_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
}

/// Checks that an answer is JSON, and returns the usage that it states: in one go if it is as it ought
/// to be, and else by taking it apart.
///
/// # Errors
///
/// When it is no JSON.
pub(in crate::client) fn usage_in(body: &str) -> serde_json::Result<Option<Usage>> {
    // A list would be taken for one field after the other.
    let is_object = body.trim_start().starts_with('{');
    match serde_json::from_str::<Stated>(body) {
        Ok(stated) if is_object => Ok(stated.usage.and_then(Used::sum)),
        _ => serde_json::from_str(body).map(|body| usage(&body)),
    }
}

impl Used {
    fn sum(self) -> Option<Usage> {
        let cached = |details: Option<Details>| details?.cached_tokens;
        let prompts = cached(self.prompt_tokens_details);
        Some(Usage {
            input_tokens: self.prompt_tokens.or(self.input_tokens)?,
            output_tokens: self.completion_tokens.or(self.output_tokens).unwrap_or(0),
            cached_tokens: prompts
                .or_else(|| cached(self.input_tokens_details))
                .unwrap_or(0),
        })
    }
}

/// The usage that an answer states, under the names of any endpoint.
pub(in crate::client) fn usage(body: &Value) -> Option<Usage> {
    read(body.get("usage")?)
}

fn read(usage: &Value) -> Option<Usage> {
    let field = |names: [&str; 2]| names.into_iter().find_map(|name| usage.get(name)?.as_u64());
    let details = ["prompt_tokens_details", "input_tokens_details"];
    let mut details = details.into_iter().filter_map(|name| usage.get(name));
    Some(Usage {
        input_tokens: field(["prompt_tokens", "input_tokens"])?,
        output_tokens: field(["completion_tokens", "output_tokens"]).unwrap_or(0),
        cached_tokens: details
            .find_map(|details| details.get("cached_tokens")?.as_u64())
            .unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn usage_is_read_under_the_names_of_any_endpoint() {
        let used = |input_tokens, output_tokens, cached_tokens| {
            Some(Usage {
                input_tokens,
                output_tokens,
                cached_tokens,
            })
        };
        let table = [
            (
                json!({"prompt_tokens": 3, "completion_tokens": 4}),
                used(3, 4, 0),
            ),
            (
                json!({"input_tokens": 3, "output_tokens": 4}),
                used(3, 4, 0),
            ),
            (
                json!({"prompt_tokens": 3, "total_tokens": 3}),
                used(3, 0, 0),
            ),
            (
                json!({"prompt_tokens": 3, "input_tokens": 7, "completion_tokens": null}),
                used(3, 0, 0),
            ),
            (
                json!({"input_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}),
                used(3, 0, 2),
            ),
            (
                json!({"input_tokens": 3, "input_tokens_details": {"cached_tokens": 2}}),
                used(3, 0, 2),
            ),
            (
                json!({"input_tokens": 3, "other_details": {"cached_tokens": 2}}),
                used(3, 0, 0),
            ),
            // Otherwise than it ought to be.
            (json!({"prompt_tokens": -1}), None),
            (
                json!({"prompt_tokens": -1, "input_tokens": 3}),
                used(3, 0, 0),
            ),
            (
                json!({"prompt_tokens": 3, "completion_tokens": "4"}),
                used(3, 0, 0),
            ),
            (
                json!({"prompt_tokens": 3, "prompt_tokens_details": 7}),
                used(3, 0, 0),
            ),
            (json!({}), None),
            (json!(null), None),
            (json!([3, 4]), None),
            (json!("3"), None),
        ];
        for (step, (stated, expected)) in table.into_iter().enumerate() {
            let body = json!({"id": "x", "usage": stated, "choices": [{"text": "é\n"}]});
            assert_eq!(usage(&body), expected, "step {step}: {body}");
            let passed_on = usage_in(&body.to_string());
            assert_eq!(
                passed_on.unwrap(),
                expected,
                "step {step}, passed on: {body}"
            );
        }
    }

    #[test]
    fn any_json_may_be_passed_on_and_nothing_else() {
        for body in [
            "{}",
            "[{\"prompt_tokens\": 1}]",
            "[{\"usage\": 1}]",
            "\"usage\"",
            " 7 ",
            "null",
            "[3, 4, 5, 6, null, null]",
        ] {
            assert_eq!(usage_in(body).unwrap(), None, "{body}");
        }
        let twice = r#"{"usage": {"prompt_tokens": 3}, "usage": {"prompt_tokens": 4}}"#;
        assert_eq!(usage_in(twice).unwrap().unwrap().input_tokens, 4);
        for body in [
            "",
            "{",
            "{\"usage\": {\"prompt_tokens\": 3}",
            "{} {}",
            "<html>",
            "{'a': 1}",
        ] {
            assert!(usage_in(body).is_err(), "{body}");
        }
    }
}
