//! What a request asks for, what it used, and what the server is taken to charge for it.

use crate::unit::Unit;

/// What one request reserves, in every unit that a quota may limit.
///
/// Most callers want [`Cost::tokens`] or [`Cost::sized`]; a limiter looks only at the units that
/// it has quotas for.
///
/// ```
/// use paceline::{Cost, Unit};
///
/// let cost = Cost::sized(250, 1_000); // 250 tokens of prompt, at most 1,000 of answer
/// assert_eq!(cost.amount(Unit::Tokens), 1_250);
/// assert_eq!(cost.amount(Unit::Requests), 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Cost {
    /// Requests; 1 for anything that is sent.
    pub requests: u64,
    /// Tokens counted together, as a tokens-per-minute limit counts them.
    pub tokens: u64,
    /// Tokens of the prompt alone.
    pub input_tokens: u64,
    /// Tokens of the answer alone.
    pub output_tokens: u64,
    /// Amount of a [unit of one's own](Unit::Custom).
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "is_zero"))]
    pub custom: u64,
}

#[cfg(feature = "serde")]
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(amount: &u64) -> bool {
    *amount == 0
}

impl Cost {
    /// One request of `tokens` tokens. All of them count as input.
    #[must_use]
    pub const fn tokens(tokens: u64) -> Self {
        Self {
            requests: 1,
            tokens,
            input_tokens: tokens,
            output_tokens: 0,
            custom: 0,
        }
    }

    /// One request with `input` prompt tokens and at most `output` answer tokens, which a limit
    /// on tokens counts as their sum.
    #[must_use]
    pub const fn sized(input: u64, output: u64) -> Self {
        Self {
            requests: 1,
            tokens: input.saturating_add(output),
            input_tokens: input,
            output_tokens: output,
            custom: 0,
        }
    }

    /// Whether it is no less than another in any unit.
    pub(crate) const fn covers(self, other: Self) -> bool {
        self.requests >= other.requests
            && self.tokens >= other.tokens
            && self.input_tokens >= other.input_tokens
            && self.output_tokens >= other.output_tokens
            && self.custom >= other.custom
    }

    /// The same for this many requests, such as a batch that is sent as one; 0 for what no limit on requests
    /// counts.
    ///
    /// ```
    /// use paceline::Cost;
    ///
    /// assert_eq!(Cost::tokens(500).with_requests(20).requests, 20);
    /// ```
    #[must_use]
    pub const fn with_requests(mut self, requests: u64) -> Self {
        self.requests = requests;
        self
    }

    /// The same with an amount of a [unit of one's own](Unit::Custom).
    ///
    /// ```
    /// use paceline::Cost;
    ///
    /// assert_eq!(Cost::tokens(500).with_custom(4).custom, 4);
    /// ```
    #[must_use]
    pub const fn with_custom(mut self, amount: u64) -> Self {
        self.custom = amount;
        self
    }

    pub(crate) const fn saturating_add(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            tokens: self.tokens.saturating_add(other.tokens),
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            custom: self.custom.saturating_add(other.custom),
        }
    }

    /// The amount in one unit.
    #[must_use]
    #[inline]
    pub const fn amount(&self, unit: Unit) -> u64 {
        self.amounts()[unit.index()]
    }

    /// The amounts by unit.
    pub(crate) const fn amounts(&self) -> [u64; Unit::COUNT] {
        let mut amounts = [0; Unit::COUNT];
        amounts[Unit::Requests.index()] = self.requests;
        amounts[Unit::Tokens.index()] = self.tokens;
        amounts[Unit::InputTokens.index()] = self.input_tokens;
        amounts[Unit::OutputTokens.index()] = self.output_tokens;
        amounts[Unit::Custom("").index()] = self.custom;
        amounts
    }

    /// The cost of these amounts by unit.
    #[cfg(feature = "redis")]
    pub(crate) const fn of(amounts: [u64; Unit::COUNT]) -> Self {
        let [requests, tokens, input_tokens, output_tokens, custom] = amounts;
        Self {
            requests,
            tokens,
            input_tokens,
            output_tokens,
            custom,
        }
    }
}

/// What a request turned out to use, as its answer says.
///
/// ```
/// use paceline::Usage;
///
/// let used = Usage::new(1_200, 300).with_cached(1_024).with_reasoning(128);
/// assert_eq!(used.total(), 1_500);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Tokens of the answer, reasoning included.
    pub output_tokens: u64,
    /// Those of the prompt's tokens that the server had read before. They may cost less, and count against
    /// a limit like the others, unless the provider says otherwise.
    pub cached_tokens: u64,
    /// Those of the prompt's tokens that the server keeps for later requests. They may cost more.
    pub cache_write_tokens: u64,
    /// Those of the answer's tokens with which the model thought, where it says so.
    pub reasoning_tokens: u64,
}

/// The class of service in which a request was answered, which its price depends on.
///
/// ```
/// use paceline::ServiceTier;
///
/// assert_eq!(ServiceTier::from_name("flex"), Some(ServiceTier::Flex));
/// assert_eq!(ServiceTier::from_name("auto"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ServiceTier {
    /// The usual one.
    #[default]
    Standard,
    /// Cheaper, and refused while there is no room.
    Flex,
    /// Cheaper, within a day.
    Batch,
    /// Dearer, and ahead of the others.
    Priority,
}

impl ServiceTier {
    /// The tier that a request's or a response's `service_tier` names; `None` for one that names none, such as
    /// `auto`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "default" | "standard" | "on_demand" | "standard_only" | "scale" => Self::Standard,
            "flex" => Self::Flex,
            "batch" => Self::Batch,
            "priority" => Self::Priority,
            _ => return None,
        })
    }
}

impl Usage {
    /// The usage of a request whose prompt and answer had this many tokens.
    #[must_use]
    pub const fn new(input_tokens: u64, output_tokens: u64) -> Self {
        Self {
            input_tokens,
            output_tokens,
            cached_tokens: 0,
            cache_write_tokens: 0,
            reasoning_tokens: 0,
        }
    }

    /// The same with this many cached tokens in the prompt.
    #[must_use]
    pub const fn with_cached(mut self, tokens: u64) -> Self {
        self.cached_tokens = tokens;
        self
    }

    /// The same with this many tokens of the prompt written to a cache.
    #[must_use]
    pub const fn with_cache_writes(mut self, tokens: u64) -> Self {
        self.cache_write_tokens = tokens;
        self
    }

    /// The same with this many reasoning tokens in the answer.
    #[must_use]
    pub const fn with_reasoning(mut self, tokens: u64) -> Self {
        self.reasoning_tokens = tokens;
        self
    }

    /// Input and output together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

/// How the server is taken to charge a request against a limit on tokens.
///
/// Providers differ and documents disagree with captured headers, so it is a setting. The wrong
/// choice costs time ([`PromptPlusCap`](Accounting::PromptPlusCap) where the server gives unused output back) or
/// refusals ([`Actual`](Accounting::Actual) where it does not).
///
/// ```
/// use paceline::Accounting;
///
/// assert_eq!(Accounting::PromptPlusCap.reserve(250, 1_000).tokens, 1_250);
/// assert_eq!(Accounting::Larger.reserve(250, 1_000).tokens, 1_000);
/// assert_eq!(Accounting::PromptOnly.reserve(250, 1_000).tokens, 250);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Accounting {
    /// Prompt plus output cap, for good: nothing comes back when the answer is short. What
    /// OpenAI's headers show. The default, and the safe choice.
    #[default]
    PromptPlusCap,
    /// The larger of prompt and output cap, for good. What OpenAI's guide says.
    Larger,
    /// Prompt plus output cap when the request is admitted; what the answer did not use comes
    /// back with it. An adaptive limiter takes it that the server gives it back then, too.
    Actual,
    /// The prompt alone.
    PromptOnly,
    /// The prompt when the request is admitted, and what the answer used when it is there; its cap does not
    /// count. What Anthropic's documentation says. A limit of output tokens alone reserves the cap, and what
    /// the answer did not use comes back.
    AsUsed,
}

impl Accounting {
    /// What a request with `input` prompt tokens and an output cap of `output` reserves.
    ///
    /// ```
    /// use paceline::Accounting;
    ///
    /// assert_eq!(Accounting::PromptPlusCap.reserve(250, 1_000).tokens, 1_250);
    /// assert_eq!(Accounting::Larger.reserve(250, 1_000).tokens, 1_000);
    /// assert_eq!(Accounting::PromptOnly.reserve(250, 1_000).tokens, 250);
    /// ```
    #[must_use]
    pub const fn reserve(self, input: u64, output: u64) -> Cost {
        let mut cost = Cost::sized(input, output);
        cost.tokens = match self {
            Self::PromptPlusCap | Self::Actual => cost.tokens,
            Self::Larger if output > input => output,
            Self::Larger | Self::PromptOnly | Self::AsUsed => input,
        };
        cost
    }

    /// What a request finally costs, once its usage is known.
    ///
    /// Under [`PromptPlusCap`](Accounting::PromptPlusCap), [`Larger`](Accounting::Larger) and [`PromptOnly`](Accounting::PromptOnly) a short
    /// answer gives nothing back, but usage above the reservation is charged: the estimate was
    /// too low. Under [`Actual`](Accounting::Actual) and [`AsUsed`](Accounting::AsUsed) the cost is the usage, up
    /// or down.
    ///
    /// ```
    /// use paceline::{Accounting, Usage};
    ///
    /// let reserved = Accounting::PromptPlusCap.reserve(250, 1_000);
    /// let used = Usage::new(240, 60);
    /// assert_eq!(Accounting::PromptPlusCap.settle(reserved, used).tokens, 1_250);
    /// assert_eq!(Accounting::Actual.settle(reserved, used).tokens, 300);
    /// ```
    #[must_use]
    pub fn settle(self, reserved: Cost, usage: Usage) -> Cost {
        let used = self.reserve(usage.input_tokens, usage.output_tokens);
        match self {
            Self::Actual => Cost {
                requests: reserved.requests,
                custom: reserved.custom,
                ..used
            },
            Self::AsUsed => Cost {
                requests: reserved.requests,
                tokens: usage.total(),
                custom: reserved.custom,
                ..used
            },
            Self::PromptPlusCap | Self::Larger | Self::PromptOnly => Cost {
                requests: reserved.requests,
                tokens: reserved.tokens.max(used.tokens),
                input_tokens: reserved.input_tokens.max(used.input_tokens),
                output_tokens: reserved.output_tokens.max(used.output_tokens),
                custom: reserved.custom,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_saturate_instead_of_wrapping() {
        assert_eq!(Cost::sized(u64::MAX, 1).tokens, u64::MAX);
        let usage = Usage {
            input_tokens: u64::MAX,
            output_tokens: u64::MAX,
            ..Usage::default()
        };
        assert_eq!(usage.total(), u64::MAX);
    }

    #[test]
    fn only_usage_gives_back_and_every_rule_charges_what_was_underestimated() {
        let more = Usage {
            input_tokens: 400,
            output_tokens: 1_200,
            ..Usage::default()
        };
        let less = Usage {
            input_tokens: 100,
            output_tokens: 10,
            ..Usage::default()
        };
        // rule, reserved, settled with less, settled with more
        let table = [
            (Accounting::PromptPlusCap, 1_250, 1_250, 1_600),
            (Accounting::Larger, 1_000, 1_000, 1_200),
            (Accounting::Actual, 1_250, 110, 1_600),
            (Accounting::PromptOnly, 250, 250, 400),
            (Accounting::AsUsed, 250, 110, 1_600),
        ];
        for (step, (rule, reserved, with_less, with_more)) in table.into_iter().enumerate() {
            let cost = rule.reserve(250, 1_000);
            assert_eq!(cost.tokens, reserved, "step {step}: {rule:?} reserves");
            let down = rule.settle(cost, less);
            assert_eq!(down.tokens, with_less, "step {step}: {rule:?} with less");
            let up = rule.settle(cost, more);
            assert_eq!(up.tokens, with_more, "step {step}: {rule:?} with more");
            assert_eq!(up.requests, 1, "step {step}: a request stays a request");
        }
    }
}
