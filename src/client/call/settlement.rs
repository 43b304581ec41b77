//! What is left to do when a response is there: its request is settled with what it used.

use std::sync::Arc;
use std::time::Duration;

use crate::client::learned::Sizes;
use crate::client::transport::Answer;
use crate::cost::{Accounting, Cost, Usage};
use crate::limiter::Permit;
use crate::observation::Observation;

/// A request whose answer has begun to arrive.
pub(in crate::client) struct Sent {
    pub(in crate::client) status: u16,
    pub(in crate::client) request_id: Option<String>,
    pub(in crate::client) attempts: u32,
    pub(in crate::client) waited: Duration,
    pub(in crate::client) settlement: Settlement,
    pub(in crate::client) answer: Answer,
}

/// A permit that still has to hear what its request used. Dropped, it keeps its charge.
#[derive(Debug)]
pub(in crate::client) struct Settlement {
    pub(super) permit: Permit<'static>,
    pub(super) accounting: Accounting,
    /// Whether cached tokens do not count against limits.
    pub(super) cached_is_free: bool,
    /// The tokens of the prompt, as they were counted.
    pub(super) prompt: u64,
    /// The most tokens of the answer.
    pub(super) cap: u64,
    pub(super) sizes: Option<Arc<Sizes>>,
}

impl Settlement {
    /// Tells the limiter what came after the head.
    pub(in crate::client) fn observe(&mut self, feedback: &Observation) {
        self.permit.observe(feedback);
    }

    /// The usage, unless a request of this size cannot have had it: a number that has wrapped, say.
    pub(in crate::client) fn believed(&self, usage: Option<Usage>) -> Option<Usage> {
        let usage = usage?;
        if is_plausible(usage, self.prompt, self.cap) {
            return Some(usage);
        }
        log::warn!(
            "the server says that a request used {} tokens, of a prompt of about {} and at most {} of \
             output: that is not believed, and what was reserved stays charged",
            usage.total(),
            self.prompt,
            self.cap
        );
        None
    }

    /// The usage of an answer of which only the number of its pieces is known: about a token each.
    #[cfg(feature = "gateway")]
    pub(super) fn usage_of_length(&self, pieces: u64) -> Usage {
        Usage {
            input_tokens: self.prompt,
            output_tokens: pieces,
            ..Usage::default()
        }
    }

    /// Settles with the usage if it is known, and returns what the request cost in the end.
    pub(in crate::client) fn settle(self, usage: Option<Usage>) -> Cost {
        let reserved = self.permit.cost();
        let Some(usage) = self.believed(usage) else {
            return reserved;
        };
        if let Some(sizes) = &self.sizes {
            sizes.answered(usage.output_tokens, self.cap);
        }
        let counted = Usage {
            input_tokens: match self.cached_is_free {
                true => usage.input_tokens.saturating_sub(usage.cached_tokens),
                false => usage.input_tokens,
            },
            ..usage
        };
        let actual = self.accounting.settle(reserved, counted);
        self.permit.settle(actual);
        actual
    }
}

/// How many times as much a request can use as was counted: parts of a prompt that are counted from
/// outside, and caps that count each of several answers.
const FAR: u64 = 16;
/// What it can use besides: what a server adds by itself, such as files, earlier turns and what
/// tools bring, up to the largest context of any model.
const MOST_INPUT: u64 = 2_000_000;
/// Reasoning that no cap holds.
const MOST_OUTPUT: u64 = 500_000;

fn is_plausible(usage: Usage, prompt: u64, cap: u64) -> bool {
    usage.input_tokens <= prompt.saturating_mul(FAR).saturating_add(MOST_INPUT)
        && usage.output_tokens <= cap.saturating_mul(FAR).saturating_add(MOST_OUTPUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_far_beyond_prompt_and_cap_is_not_believed() {
        let used = |input_tokens, output_tokens| Usage {
            input_tokens,
            output_tokens,
            ..Usage::default()
        };
        let table = [
            (used(10, 5), true),
            (used(200_000, 128_000), true), // files and reasoning
            (used(u64::from(u32::MAX), 5), false),
            (used(10, u64::from(u32::MAX)), false),
            (used(u64::MAX, u64::MAX), false),
        ];
        for (usage, expected) in table {
            assert_eq!(is_plausible(usage, 10, 16), expected, "{usage:?}");
        }
        assert!(is_plausible(used(30_000_000, 0), 2_000_000, 0));
        assert!(is_plausible(used(u64::MAX, u64::MAX), u64::MAX, u64::MAX));
    }
}
