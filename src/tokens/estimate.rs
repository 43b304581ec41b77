//! Prompt and output of a whole request, by endpoint.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chat::{chat, responses};
use super::input::{characters_of_strings, inputs};
use super::output::output;
use super::tally::{CHARACTERS_PER_TOKEN, Tally};
use super::{Encoding, Endpoint};

/// Which measure of a prompt is reserved.
///
/// The server admits a request by an estimate from its characters and bills its tokens. In
/// English prose the two are close; in code, in numbers and in most other languages the tokens
/// are more, in runs of spaces the characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PromptRule {
    /// The tokens: what is billed.
    Tokens,
    /// A quarter of the characters, rounded up: what is estimated.
    Characters,
    /// The larger of the two. The default, and the safe choice.
    #[default]
    Larger,
}

impl PromptRule {
    /// What a prompt with so many tokens and characters counts as, in tokens.
    ///
    /// ```
    /// use paceline::tokens::PromptRule;
    ///
    /// assert_eq!(PromptRule::Tokens.prompt(10, 61), 10);
    /// assert_eq!(PromptRule::Characters.prompt(10, 61), 16);
    /// assert_eq!(PromptRule::Larger.prompt(10, 61), 16);
    /// ```
    #[must_use]
    pub const fn prompt(self, tokens: u64, characters: u64) -> u64 {
        let estimated = characters.div_ceil(CHARACTERS_PER_TOKEN);
        match self {
            Self::Tokens => tokens,
            Self::Characters => estimated,
            Self::Larger if estimated > tokens => estimated,
            Self::Larger => tokens,
        }
    }
}

/// How large a request is, as far as that can be known before it is sent.
///
/// [`prompt`](Estimate::prompt) and [`output`](Estimate::output) are what
/// [`Charge::reserve`](crate::Charge::reserve) takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// Tokens of the prompt in the model's encoding, with the overhead of the chat format.
    pub tokens: u64,
    /// Characters of the prompt. Images and ready-made tokens count as four for each token.
    pub characters: u64,
    /// What the prompt counts as by the [`PromptRule`], in tokens.
    pub prompt: u64,
    /// The most tokens of all answers together: the output cap times the number of answers.
    pub output: u64,
}

/// Estimates a request from its body. Never fails: what is not understood is counted as the text
/// that it is sent as.
///
/// | endpoint | prompt | output |
/// |---|---|---|
/// | chat | `messages`, `tools`, `functions`, an answer's schema | `max_completion_tokens`, else `max_tokens`; times `n` |
/// | responses | `instructions`, `input`, `tools`, `prompt`, an answer's schema | `max_output_tokens` |
/// | completions | `prompt`, `suffix` | `max_tokens` times the larger of `n` and `best_of`, for each prompt |
/// | embeddings, moderations | `input` | none |
/// | other | characters of all strings ÷ 4 | any of these caps; times `n` |
///
/// Without a cap the output is `default_output_cap`. Images, sounds and files count as
/// [`MEDIA_TOKENS`](crate::tokens::MEDIA_TOKENS) each.
///
/// ```
/// use paceline::tokens::{Encoding, Endpoint, PromptRule, estimate};
/// use serde_json::json;
///
/// let body = json!({ "model": "text-embedding-3-small", "input": ["hello world", "goodbye"] });
/// let encoding = Encoding::for_model("text-embedding-3-small");
/// let path = Endpoint::from_path("/v1/embeddings");
/// let estimate = estimate(path, &body, encoding, PromptRule::Tokens, 1_000);
/// assert_eq!((estimate.characters, estimate.output), (18, 0));
/// ```
#[must_use]
pub fn estimate(
    endpoint: Endpoint,
    body: &Value,
    encoding: Encoding,
    rule: PromptRule,
    default_output_cap: u64,
) -> Estimate {
    let mut tally = Tally::new(encoding);
    let mut prompts = 1;
    match endpoint {
        Endpoint::Chat => chat(&mut tally, body),
        Endpoint::Responses => responses(&mut tally, body),
        Endpoint::Completions => {
            prompts = inputs(&mut tally, body.get("prompt"));
            tally.field(body, "suffix");
        }
        Endpoint::Embeddings | Endpoint::Moderations => {
            inputs(&mut tally, body.get("input"));
        }
        Endpoint::Other => {
            tally.characters = characters_of_strings(body);
            tally.tokens = tally.characters.div_ceil(CHARACTERS_PER_TOKEN);
        }
    }
    Estimate {
        tokens: tally.tokens,
        characters: tally.characters,
        prompt: rule.prompt(tally.tokens, tally.characters),
        output: output(endpoint, body, prompts, default_output_cap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const ENCODING: Encoding = Encoding::Cl100kBase;

    fn of(endpoint: Endpoint, body: &Value) -> Estimate {
        estimate(endpoint, body, ENCODING, PromptRule::Larger, 100)
    }

    #[test]
    fn every_endpoint_counts_its_own_fields() {
        use Endpoint::{Chat, Completions, Embeddings, Moderations, Other, Responses};
        let hello = ENCODING.count("hello world");
        let user = ENCODING.count("user");
        let message = json!({ "role": "user", "content": "hello world" });
        // endpoint, body, tokens, characters, output
        let table = [
            (
                Chat,
                json!({ "messages": [message] }),
                3 + user + hello + 3,
                15,
                100,
            ),
            (Chat, json!({}), 3, 0, 100),
            (
                Chat,
                json!({ "messages": "hello world" }),
                hello + 3,
                11,
                100,
            ),
            (
                Chat,
                json!({ "messages": ["hello world", null] }),
                6 + hello + 3,
                11,
                100,
            ),
            (
                Responses,
                json!({ "input": "hello world" }),
                3 + user + hello + 3,
                15,
                100,
            ),
            (
                Completions,
                json!({ "prompt": "hello world" }),
                hello,
                11,
                100,
            ),
            (
                Completions,
                json!({ "prompt": ["hello world", "hello world"] }),
                2 * hello,
                22,
                200,
            ),
            (
                Completions,
                json!({ "prompt": [1, 2, 3], "suffix": "hello world" }),
                3 + hello,
                23,
                100,
            ),
            (Embeddings, json!({ "input": "hello world" }), hello, 11, 0),
            (
                Moderations,
                json!({ "input": ["hello world"] }),
                hello,
                11,
                0,
            ),
            (Other, json!({ "q": "hello world" }), 3, 11, 100),
            (Other, json!(null), 0, 0, 100),
        ];
        for (step, (endpoint, body, tokens, characters, output)) in table.into_iter().enumerate() {
            let got = of(endpoint, &body);
            assert_eq!(got.tokens, tokens, "step {step}: tokens of {body}");
            assert_eq!(
                got.characters, characters,
                "step {step}: characters of {body}"
            );
            assert_eq!(got.output, output, "step {step}: output of {body}");
        }
    }

    #[test]
    fn the_rule_decides_what_the_prompt_counts_as() {
        let spaces = json!({ "input": " ".repeat(400) });
        let numbers = json!({ "input": "1 2 3 4 5 6 7 8 9" });
        for (step, body) in [spaces, numbers].into_iter().enumerate() {
            let by = |rule| estimate(Endpoint::Embeddings, &body, ENCODING, rule, 0);
            let tokens = by(PromptRule::Tokens);
            assert_eq!(tokens.prompt, tokens.tokens, "step {step}");
            let characters = by(PromptRule::Characters);
            assert_eq!(
                characters.prompt,
                characters.characters.div_ceil(4),
                "step {step}"
            );
            assert_ne!(
                tokens.prompt, characters.prompt,
                "step {step}: both rules agree"
            );
            let larger = by(PromptRule::default()).prompt;
            assert_eq!(larger, tokens.prompt.max(characters.prompt), "step {step}");
        }
    }

    /// Any JSON, in fields that mean something.
    fn bodies() -> impl Strategy<Value = Value> {
        let names = "messages content role name type text input prompt suffix instructions tools \
            tool_calls response_format json_schema format max_tokens max_completion_tokens \
            max_output_tokens n best_of output refusal image_url";
        let names: Vec<&str> = names.split_whitespace().collect();
        let name = prop::sample::select(names);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
            name.clone().prop_map(Value::from),
        ];
        let fields = move |value: BoxedStrategy<Value>| {
            prop::collection::vec((name.clone(), value), 0..6)
                .prop_map(|fields| fields.into_iter().collect::<Value>())
        };
        let nested = fields.clone();
        let any_value = leaf.prop_recursive(5, 40, 6, move |inner| {
            let list = prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from);
            prop_oneof![list, nested(inner.boxed())]
        });
        prop_oneof![9 => fields(any_value.clone().boxed()), 1 => any_value]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_body_is_estimated_without_a_panic(body in bodies(), cap in any::<u64>()) {
            for path in ["chat/completions", "responses", "completions", "embeddings", "moderations", "other"] {
                let endpoint = Endpoint::from_path(path);
                let got = estimate(endpoint, &body, ENCODING, PromptRule::Larger, cap);
                prop_assert!(got.prompt >= got.tokens && got.prompt >= got.characters.div_ceil(4));
            }
        }
    }
}
