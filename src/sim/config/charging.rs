//! What a request is charged.

use std::fmt;
use std::sync::Arc;

use super::super::fraction::{WHOLE, parts};
use super::SimConfig;

/// Counts the tokens of a text.
pub type TokenCounter = Arc<dyn Fn(&str) -> u64 + Send + Sync>;

/// How a request's prompt and its output cap (16 when it has none), once for each answer, become
/// its charge.
///
/// ```
/// use paceline::sim::{ChargeRule, SimConfig};
///
/// let config = SimConfig::new().charge_rule(ChargeRule::Usage);
/// # let _ = config;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ChargeRule {
    /// Both together. The default.
    #[default]
    Sum,
    /// The larger of the two.
    Max,
    /// Both together at admission. What the answer did not use is given back when it is complete:
    /// after the latency, and just before it is sent. In
    /// [fixed windows](SimConfig::fixed_windows) only while the window is still the same.
    Usage,
    /// The prompt at admission, and the answer's tokens when it is complete: just before it is sent,
    /// and whether they fit or not. What does not is a debt, which has to leak away before anything
    /// else is admitted. The cap counts for nothing, as with Anthropic, and with gateways that count
    /// what answers say they used. (Anthropic counts tokens while they are made; here all come at the
    /// end, which makes the debt as large as it can be.)
    Answered,
}

#[derive(Clone)]
pub(in crate::sim) struct Charging {
    pub(in crate::sim) rule: ChargeRule,
    pub(in crate::sim) counter: Option<TokenCounter>,
    /// In parts per million.
    pub(in crate::sim) factor: u64,
}

impl Default for Charging {
    fn default() -> Self {
        Self {
            rule: ChargeRule::default(),
            counter: None,
            factor: WHOLE,
        }
    }
}

impl fmt::Debug for Charging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            counter,
            factor,
        } = self;
        f.debug_struct("Charging")
            .field("rule", rule)
            .field("counter", &counter.as_ref().map(|_| "…"))
            .field("factor", factor)
            .finish()
    }
}

/// What a request is charged.
impl SimConfig {
    /// Sets how prompt and output cap become a charge. Default: [`ChargeRule::Sum`].
    #[must_use]
    pub fn charge_rule(mut self, rule: ChargeRule) -> Self {
        self.charging.rule = rule;
        self
    }

    /// Counts prompts exactly: the tokens of each text by this function, for chat also 3 for each
    /// message, 1 for each name, and 3 for the answer's beginning. The answer's usage reports the
    /// same. The simulator has no tokenizer of its own, so that it does not share its faults with
    /// what it judges. Default: an estimate, the number of characters divided by 4 and rounded up.
    #[must_use]
    pub fn token_counter(mut self, counter: TokenCounter) -> Self {
        self.charging.counter = Some(counter);
        self
    }

    /// Multiplies every charge, rounded up: with 1.3 the server counts three tenths more than the
    /// request has. The factor is rounded to the millionth; negative values and NaN are 0.
    /// Default: 1.
    #[must_use]
    pub fn charge_factor(mut self, factor: f64) -> Self {
        self.charging.factor = parts(factor);
        self
    }
}
