//! Prompt and output of a whole request, by endpoint.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Endpoint;
use super::chat::chat;
use super::input::prompts;
use super::messages::messages;
use super::models::Profile;
use super::output::output;
use super::responses::responses;
use super::tally::{CHARACTERS_PER_TOKEN, Tally};

/// Which measure of a prompt is reserved.
///
/// The server admits a request by an estimate from its characters and bills its tokens. In
/// English prose the two are close; in code, in numbers and in most other languages the tokens
/// are more, in runs of spaces the characters.
///
/// ```
/// use paceline::RateLimitedClient;
/// use paceline::tokens::PromptRule;
///
/// let builder = RateLimitedClient::builder().prompt_rule(PromptRule::Larger);
/// # let _ = builder;
/// ```
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
    /// What a prompt of this many tokens and characters counts as, in tokens.
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
/// [`Accounting::reserve`](crate::Accounting::reserve) takes.
///
/// ```no_run
/// let client = paceline::RateLimitedClient::new()?;
/// let request = client.prepare_chat("Name the largest moon of Saturn.")?;
/// let size = request.estimate();
/// println!("{} tokens of prompt, at most {} of answer", size.prompt, size.output);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
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
/// | chat | `messages`, `tools`, `functions`, an answer's schema, a `prediction` | `max_completion_tokens`, else `max_tokens`; times `n` |
/// | responses | `instructions`, `input`, `tools`, `prompt`, an answer's schema | `max_output_tokens` |
/// | messages | `system`, `messages`, `tools`, an answer's schema | `max_tokens` |
/// | completions | `prompt`, `suffix` | `max_tokens` times the larger of `n` and `best_of`, for each prompt |
/// | embeddings, moderations | `input` | none |
/// | other | characters of all strings ÷ 4 | any of these caps; times `n` |
///
/// Settings such as a temperature count nothing, and any other field what the characters of its strings
/// come to. Without a cap the output is `default_output_cap`.
///
/// Of an image in a `data:` URL the size is read from its first bytes, without decoding it; one at an
/// address counts as the largest that there can be. A sound counts by its length, as its header has it
/// or as its bytes suggest, and a file by its bytes. How much that comes to is up to the model, and
/// so to the [`Profile`].
///
/// Takes time in proportion to the length of the body, whatever is in it and however deep. For many
/// bodies there is [`estimate_all`](super::estimate_all).
///
/// ```
/// use paceline::tokens::{Endpoint, ModelTable, PromptRule, estimate};
/// use serde_json::json;
///
/// let body = json!({ "model": "text-embedding-3-small", "input": ["hello world", "goodbye"] });
/// let profile = ModelTable::global().profile("text-embedding-3-small");
/// let path = Endpoint::from_path("/v1/embeddings");
/// let estimate = estimate(path, &body, &profile, PromptRule::Tokens, 1_000);
/// assert_eq!((estimate.characters, estimate.output), (18, 0));
/// ```
#[must_use]
pub fn estimate(
    endpoint: Endpoint,
    body: &Value,
    profile: &Profile,
    rule: PromptRule,
    default_output_cap: u64,
) -> Estimate {
    let mut tally = Tally::new(profile);
    let mut many = 1;
    match endpoint {
        Endpoint::Chat => chat(&mut tally, body),
        Endpoint::Responses => responses(&mut tally, body),
        Endpoint::Messages => messages(&mut tally, body),
        Endpoint::Completions => many = prompts(&mut tally, body, "prompt"),
        Endpoint::Embeddings | Endpoint::Moderations => {
            prompts(&mut tally, body, "input");
        }
        Endpoint::Other => tally.unknown(body),
    }
    Estimate {
        tokens: tally.tokens,
        characters: tally.characters,
        prompt: rule.prompt(tally.tokens, tally.characters),
        output: output(endpoint, body, many, default_output_cap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::tests::any_json;
    use crate::tokens::{Encoding, ModelTable};
    use proptest::prelude::*;
    use serde_json::json;

    const ENCODING: Encoding = Encoding::Cl100kBase;

    fn of(endpoint: Endpoint, body: &Value) -> Estimate {
        let profile = ModelTable::default().profile("never-heard-of");
        estimate(endpoint, body, &profile, PromptRule::Larger, 100)
    }

    #[test]
    fn every_endpoint_counts_its_own_fields() {
        use Endpoint::{Chat, Completions, Embeddings, Messages, Moderations, Other, Responses};
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
            (
                Messages,
                json!({
                    "system": "hello world", "max_tokens": 7, "thinking": {"type": "enabled"},
                    "messages": [{ "role": "user", "content": [{ "type": "text", "text": "hello world", "cache_control": {} }] }],
                }),
                3 + user + 2 * hello + 3,
                26,
                7,
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
            (
                Other,
                json!({ "a": "éé", "b": [{ "c": "😀" }, 1, null], "d": { "e": ["x", "yz"] } }),
                2,
                6,
                100,
            ),
            (
                Other,
                json!({ "image": "data:image/png;base64,AAAA" }),
                1_445,
                5_780,
                100,
            ),
            (
                Other,
                json!({ "a": [{ "type": "image", "source": { "data": "AAAA" } }] }),
                1_445,
                5_780,
                100,
            ),
            (
                Completions,
                json!({ "prompt": "hello world", "new": "12345678" }),
                hello + 2,
                19,
                100,
            ),
            (
                Moderations,
                json!({ "input": [{ "type": "image_url" }, { "type": "text", "text": "hello world" }] }),
                1_445 + hello,
                5_791,
                0,
            ),
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
            let profile = ModelTable::default().profile("never-heard-of");
            let by = |rule| estimate(Endpoint::Embeddings, &body, &profile, rule, 0);
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

    /// `paceline` does not know how deep a value is that a program has made. Such a value cannot be dropped
    /// in one go either.
    #[test]
    fn how_deep_a_body_is_nested_is_all_the_same() {
        const DEPTH: usize = 20_000;
        // By hand: `json!` itself goes down step by step.
        let object = |name: &str, rest: Value, inner: Value| {
            let mut fields = rest.as_object().cloned().unwrap_or_default();
            fields.insert(name.to_owned(), inner);
            Value::Object(fields)
        };
        let wraps: [&dyn Fn(Value) -> Value; 4] = [
            &|inner| Value::Array(vec![inner]),
            &|inner| object("a", json!({}), inner),
            &|inner| object("properties", json!({}), object("a", json!({}), inner)),
            &|inner| object("items", json!({ "type": "array", "anyOf": [5] }), inner),
        ];
        for (step, wrap) in wraps.into_iter().enumerate() {
            let mut deep = (0..DEPTH).fold(json!("hello world"), |inner, _| wrap(inner));
            for place in [
                "/messages/0/content/0",
                "/messages/0/new",
                "/tools/0/parameters",
                "/new",
                "/input",
                "/input/0",
                "/prompt",
                "/response_format/json_schema",
            ] {
                let mut body = json!({
                    "messages": [{ "content": [null], "new": null }],
                    "tools": [{ "name": "f", "parameters": null }],
                    "response_format": { "json_schema": null },
                    "new": null, "input": [null], "prompt": null,
                });
                let slot = body.pointer_mut(place).unwrap();
                std::mem::swap(slot, &mut deep);
                for path in PATHS {
                    let got = of(Endpoint::from_path(path), &body);
                    assert!(got.prompt >= 1, "step {step}: {place} {path}");
                }
                std::mem::swap(body.pointer_mut(place).unwrap(), &mut deep);
            }
            // Level by level: one drop of it all would overflow the stack.
            let mut left = vec![deep];
            while let Some(value) = left.pop() {
                match value {
                    Value::Array(list) => left.extend(list),
                    Value::Object(fields) => left.extend(fields.into_iter().map(|it| it.1)),
                    _ => {}
                }
            }
        }
    }

    const PATHS: [&str; 7] = [
        "chat/completions",
        "messages",
        "responses",
        "completions",
        "embeddings",
        "moderations",
        "other",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_body_is_estimated_without_a_panic(body in any_json(), cap in any::<u64>()) {
            for (path, model) in PATHS.into_iter().zip(["gpt-4o", "claude-opus-5", "gpt-5.6", "gpt-4", "x", "o3", "o4-mini"]) {
                let endpoint = Endpoint::from_path(path);
                let profile = ModelTable::default().profile(model);
                let got = estimate(endpoint, &body, &profile, PromptRule::Larger, cap);
                prop_assert!(got.prompt >= got.tokens && got.prompt >= got.characters.div_ceil(4));
            }
        }
    }
}
