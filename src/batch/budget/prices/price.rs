//! The price of one model's tokens, by class of service.

use super::Money;
use crate::Usage;
use crate::cost::ServiceTier;
use crate::tokens::Estimate;

/// The price of one model's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) struct Price {
    pub(super) standard: Rates,
    pub(super) batch: Option<Rates>,
    pub(super) flex: Option<Rates>,
    pub(super) priority: Option<Rates>,
}

/// What tokens cost in one class of service, in 10⁻¹² parts of the currency for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rates {
    pub(super) input: u64,
    pub(super) cached_input: u64,
    pub(super) cache_write: u64,
    pub(super) output: u64,
}

impl Price {
    /// The rates of a tier. A cheaper one without rates of its own costs what the usual one does at most; of a
    /// dearer one nothing is known.
    fn rates(self, tier: ServiceTier) -> Option<Rates> {
        match tier {
            ServiceTier::Standard => Some(self.standard),
            ServiceTier::Flex => self.flex.or(Some(self.standard)),
            ServiceTier::Batch => self.batch.or(Some(self.standard)),
            ServiceTier::Priority => self.priority,
        }
    }

    /// What a request cost. `None` where the tier has no price.
    pub(in crate::batch) fn cost(self, usage: Usage, tier: ServiceTier) -> Option<Money> {
        let rates = self.rates(tier)?;
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let written = usage.cache_write_tokens.min(usage.input_tokens - cached);
        Some(sum([
            (usage.input_tokens - cached - written, rates.input),
            (cached, rates.cached_input),
            (written, rates.cache_write),
            (usage.output_tokens, rates.output),
        ]))
    }

    /// What a request can cost at most: its prompt is of the dearest kind, and its answer as long as its cap.
    pub(in crate::batch) fn at_most(self, size: Estimate, tier: ServiceTier) -> Option<Money> {
        let rates = self.rates(tier)?;
        let Usage {
            input_tokens,
            output_tokens,
            ..
        } = most(size);
        let input = rates.input.max(rates.cached_input).max(rates.cache_write);
        Some(sum([(input_tokens, input), (output_tokens, rates.output)]))
    }
}

fn sum(parts: impl IntoIterator<Item = (u64, u64)>) -> Money {
    let costs = parts
        .into_iter()
        .map(|(tokens, price)| u128::from(tokens) * u128::from(price));
    Money::from_trillionths(costs.fold(0, u128::saturating_add))
}

/// What a request can use at most. What is reserved of a limit may be less: that follows the
/// server's way of charging, and this is what is paid.
pub(in crate::batch) fn most(size: Estimate) -> Usage {
    Usage {
        input_tokens: size.prompt.max(size.tokens),
        output_tokens: size.output,
        ..Usage::default()
    }
}
