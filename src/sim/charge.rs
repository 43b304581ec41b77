//! What a request is charged: its text by characters, as the API estimates, or by a function that
//! counts exactly; and its output cap.

use serde_json::Value;

use super::config::{ChargeRule, Charging, TokenCounter};
use super::fraction::times;

/// Output tokens that a request without a cap is charged.
pub(super) const CAP_UNSET: u64 = 16;
/// Characters that are taken for one token.
const CHARACTERS_A_TOKEN: u64 = 4;

/// What the text of a request amounts to.
#[derive(Clone, Copy, Default)]
pub(super) struct Text<'a> {
    counter: Option<&'a TokenCounter>,
    characters: u64,
    /// Tokens that the counter found, or that the client counted itself: token arrays.
    tokens: u64,
}

impl<'a> Text<'a> {
    /// Counts with this function; without one by characters.
    pub(super) fn new(counter: Option<&'a TokenCounter>) -> Self {
        Self {
            counter,
            ..Self::default()
        }
    }

    /// Counts what a `content`, `prompt` or `input` may be: a string, an array of tokens, or an
    /// array of strings, of token arrays, or of parts with a `text` or a `content` of their own.
    /// Whatever else is there counts nothing.
    pub(super) fn add(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                if let Some(counter) = self.counter {
                    self.tokens = self.tokens.saturating_add(counter(text));
                    return;
                }
                let characters = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
                self.characters = self.characters.saturating_add(characters);
            }
            Value::Number(_) => self.tokens = self.tokens.saturating_add(1),
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            Value::Object(part) => {
                let texts = ["text", "content"]
                    .into_iter()
                    .filter_map(|it| part.get(it));
                // A number here is a wrong field, not a token.
                texts
                    .filter(|it| !it.is_number())
                    .for_each(|it| self.add(it));
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// The count; without a counter the estimate: characters by four, rounded up once for the
    /// whole request.
    pub(super) fn tokens(self) -> u64 {
        self.characters
            .div_ceil(CHARACTERS_A_TOKEN)
            .saturating_add(self.tokens)
    }
}

/// What the rule makes of the prompt, and of the output cap as many times as answers are made.
pub(super) fn charge(charging: &Charging, prompt: u64, cap: Option<u64>, answers: u64) -> u64 {
    let output = cap.unwrap_or(CAP_UNSET).saturating_mul(answers);
    let charge = match charging.rule {
        ChargeRule::Sum | ChargeRule::Usage => prompt.saturating_add(output),
        ChargeRule::Max => prompt.max(output),
        ChargeRule::Answered => prompt,
    };
    times(charge, charging.factor)
}

/// What comes to the charge when the answer is complete, where it counts only then: `used` is the
/// answer and the prompt.
pub(super) fn charge_answer(charging: &Charging, charge: u64, used: u64) -> u64 {
    times(used, charging.factor).saturating_sub(charge)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::SimConfig;
    use super::*;

    #[test]
    fn text_is_counted_wherever_it_may_stand() {
        let table = [
            (json!(""), 0),
            (json!("a"), 1),
            (json!("abcd"), 1),
            (json!("abcde"), 2),
            (json!("äöüß€"), 2), // characters, not bytes
            (json!(["ab", "cd"]), 1),
            (json!(["abcd", "e"]), 2),
            (json!([1, 2, 3]), 3),
            (json!([[1, 2], [3]]), 3),
            (
                json!([{"type": "text", "text": "abcd"}, {"type": "image_url"}]),
                1,
            ),
            (json!([{"role": "user", "content": "abcde"}]), 2),
            (
                json!([{"role": "user", "content": [{"type": "input_text", "text": "abcde"}]}]),
                2,
            ),
            (
                json!({"role": "a long role that counts nothing", "text": 7}),
                0,
            ),
            (json!(null), 0),
            (json!(true), 0),
        ];
        for (step, (value, tokens)) in table.into_iter().enumerate() {
            let mut text = Text::default();
            text.add(&value);
            assert_eq!(text.tokens(), tokens, "step {step}: {value}");
        }
    }

    #[test]
    fn the_cap_counts_for_every_answer() {
        let table = [
            (6, None, 1, 22), // as captured
            (7, Some(512), 1, 519),
            (7, Some(100), 3, 307),
            (7, None, 0, 7), // embeddings
            (1, Some(u64::MAX), 2, u64::MAX),
        ];
        for (step, (prompt, cap, answers, expected)) in table.into_iter().enumerate() {
            let found = charge(&Charging::default(), prompt, cap, answers);
            assert_eq!(found, expected, "step {step}");
        }
    }

    #[test]
    fn the_rule_and_the_factor_decide() {
        use ChargeRule::{Answered, Max, Sum, Usage};
        let table = [
            (Sum, 1.3, 70, 30, 130),
            (Usage, 1.3, 70, 30, 130),
            (Max, 1.0, 70, 30, 70),
            (Max, 1.3, 30, 70, 91),
            (Sum, 1.001, 1, 1, 3), // rounded up
            (Sum, 0.5, 70, 30, 50),
            (Answered, 1.3, 70, 30, 91),
        ];
        for (step, (rule, factor, prompt, cap, expected)) in table.into_iter().enumerate() {
            let config = SimConfig::new().charge_rule(rule).charge_factor(factor);
            let found = charge(&config.charging, prompt, Some(cap), 1);
            assert_eq!(found, expected, "step {step}");
        }
    }

    #[test]
    fn a_counter_is_asked_for_every_text_and_tokens_stay_tokens() {
        let words: TokenCounter = Arc::new(|text: &str| text.split(' ').count() as u64);
        let mut text = Text::new(Some(&words));
        text.add(&json!(["a long text", [1, 2], {"text": "two words"}]));
        assert_eq!(text.tokens(), 7);
    }
}
