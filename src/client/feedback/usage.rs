//! What an answer says it used.

use serde_json::Value;

use crate::cost::Usage;

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
    use crate::client::answer;
    use crate::tokens::Endpoint;

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
            let read = answer::read(Endpoint::Chat, body.to_string().into_bytes());
            assert_eq!(
                read.unwrap().usage,
                expected,
                "step {step}, passed on: {body}"
            );
        }
    }
}
