//! What an answer says it used.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::cost::Usage;

/// All that is read of an answer that is only passed on.
#[derive(Deserialize)]
struct Stated {
    usage: Option<Value>,
}

/// The usage that an answer states. For JSON that is no object it is none.
pub(in crate::client) fn usage_in(body: &RawValue) -> Option<Usage> {
    let stated: Stated = serde_json::from_str(body.get()).ok()?;
    read(&stated.usage?)
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
        let chat = json!({"usage": {"prompt_tokens": 3, "completion_tokens": 4}});
        let responses = json!({"usage": {"input_tokens": 3, "output_tokens": 4}});
        let embeddings = json!({"usage": {"prompt_tokens": 3, "total_tokens": 3}});
        let outputs = [&chat, &responses, &embeddings].map(|b| usage(b).unwrap().output_tokens);
        assert_eq!(outputs, [4, 4, 0]);
        let raw = |body: &Value| RawValue::from_string(body.to_string()).unwrap();
        for body in [&chat, &responses, &embeddings] {
            assert_eq!(usage_in(&raw(body)), usage(body), "{body}");
        }
        for none in [json!([chat]), json!("usage"), json!(7)] {
            assert_eq!(usage_in(&raw(&none)), None, "{none}");
        }
        let cached =
            |details: &str| json!({"usage": {"input_tokens": 3, details: {"cached_tokens": 2}}});
        for details in ["prompt_tokens_details", "input_tokens_details"] {
            assert_eq!(
                usage(&cached(details)).unwrap().cached_tokens,
                2,
                "{details}"
            );
        }
        assert_eq!(usage(&cached("other")).unwrap().cached_tokens, 0);
        for none in [
            json!({}),
            json!({"usage": null}),
            json!({"usage": {"prompt_tokens": -1}}),
        ] {
            assert_eq!(usage(&none), None, "{none}");
        }
    }
}
