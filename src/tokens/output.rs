//! Output caps, and how often they apply.

use serde_json::Value;

use super::Endpoint;

/// The most tokens that a request may get as its answer: its cap, or `default` when it has none,
/// as often as it asks for answers. `prompts` is how many prompts a completion has.
///
/// A cap or a number that is negative, a fraction or no number counts as missing: the server
/// will refuse it, and refusing is its business.
pub(super) fn output(endpoint: Endpoint, body: &Value, prompts: u64, default: u64) -> u64 {
    let (caps, answers): (&[&str], u64) = match endpoint {
        Endpoint::Embeddings | Endpoint::Moderations => return 0,
        Endpoint::Chat => (&["max_completion_tokens", "max_tokens"], times(body, "n")),
        Endpoint::Responses => (&["max_output_tokens"], 1),
        Endpoint::Messages => (&["max_tokens"], 1),
        Endpoint::Completions => {
            let best = times(body, "n").max(times(body, "best_of"));
            (&["max_tokens"], best.saturating_mul(prompts))
        }
        Endpoint::Other => (
            &["max_completion_tokens", "max_output_tokens", "max_tokens"],
            times(body, "n"),
        ),
    };
    let cap = caps.iter().find_map(|name| body.get(name)?.as_u64());
    cap.unwrap_or(default).saturating_mul(answers)
}

fn times(body: &Value, name: &str) -> u64 {
    let number = body.get(name).and_then(Value::as_u64);
    number.unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn caps_are_taken_as_often_as_they_apply() {
        use Endpoint::{Chat, Completions, Embeddings, Moderations, Other, Responses};
        let table = [
            (Chat, json!({}), 100),
            (
                Chat,
                json!({ "max_completion_tokens": 7, "max_tokens": 9 }),
                7,
            ),
            (Chat, json!({ "max_tokens": 9 }), 9),
            (
                Chat,
                json!({ "max_completion_tokens": null, "max_tokens": 9 }),
                9,
            ),
            (
                Chat,
                json!({ "max_completion_tokens": -1, "max_tokens": 9 }),
                9,
            ),
            (Chat, json!({ "max_completion_tokens": 1e300 }), 100),
            (Chat, json!({ "max_completion_tokens": "7" }), 100),
            (Chat, json!({ "max_tokens": 0 }), 0),
            (Chat, json!({ "max_tokens": 9, "n": 3 }), 27),
            (Chat, json!({ "max_tokens": 9, "n": 0 }), 9),
            (Chat, json!({ "max_tokens": 9, "n": -2 }), 9),
            (
                Chat,
                json!({ "max_tokens": u64::MAX, "n": u64::MAX }),
                u64::MAX,
            ),
            (Chat, json!({ "n": 2, "best_of": 5 }), 200),
            (Chat, json!([1]), 100),
            (Chat, json!(null), 100),
            (
                Responses,
                json!({ "max_output_tokens": 8, "max_tokens": 9, "n": 2 }),
                8,
            ),
            (Responses, json!({ "max_tokens": 9 }), 100),
            (
                Completions,
                json!({ "max_tokens": 9, "n": 2, "best_of": 3 }),
                54,
            ),
            (Completions, json!({ "max_tokens": 9, "n": 3 }), 54),
            (Embeddings, json!({ "max_tokens": 9 }), 0),
            (Moderations, json!({ "max_tokens": 9 }), 0),
            (Other, json!({ "max_tokens": 9 }), 9),
            (Other, json!({ "max_output_tokens": 8, "n": 2 }), 16),
            (Other, json!({}), 100),
        ];
        for (step, (endpoint, body, expected)) in table.into_iter().enumerate() {
            let got = output(endpoint, &body, 2, 100);
            assert_eq!(got, expected, "step {step}: {endpoint:?} {body}");
        }
    }
}
