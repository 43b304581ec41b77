//! Where a run stands, in numbers.

use crate::batch::money::Money;

/// Where a run stands. Its numbers are read one by one, so while requests are in flight they may
/// be of slightly different moments.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// let watch = run.watch(); // for another thread
/// run.run()?;
/// let progress = watch.progress();
/// println!("{} of {:?} lines", progress.done(), progress.total);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// Lines of the input, if that is known.
    pub total: Option<u64>,
    /// Lines that an earlier run has finished.
    pub resumed: u64,
    /// Requests with a result.
    pub succeeded: u64,
    /// Requests and lines that failed.
    pub failed: u64,
    /// Answers, of those with a result, that were cut off at their output cap.
    pub cut_off: u64,
    /// Answers in which the model or a filter refused.
    pub refused: u64,
    /// Answers with nothing in them.
    pub empty: u64,
    /// Requests in flight now, waits between attempts included.
    pub in_flight: u64,
    /// The most requests that were in flight at once.
    pub max_in_flight: u64,
    /// Tries after the first.
    pub retries: u64,
    /// 429 answers that asked to wait.
    pub rate_limited: u64,
    /// Tokens that admitted requests reserved.
    pub tokens_reserved: u64,
    /// Tokens that answers say were used.
    pub tokens_used: u64,
    /// What answers cost. `None` without [prices](crate::batch::Run::prices).
    pub cost: Option<Money>,
    /// Answers whose model has no price, or that do not say what they used: their cost is left
    /// out. 0 without prices.
    pub unpriced: u64,
}

impl Progress {
    /// Lines that need nothing more.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.resumed + self.succeeded + self.failed
    }

    /// Tokens that the run will have used at its end, if the rest takes as many a line as the
    /// lines so far. `None` as long as nothing can be said.
    #[must_use]
    pub fn expected_tokens(&self) -> Option<u64> {
        let tokens = self.at_the_end(self.tokens_used.into())?;
        Some(u64::try_from(tokens).unwrap_or(u64::MAX))
    }

    /// What the run will have cost at its end, by the same rule.
    #[must_use]
    pub fn expected_cost(&self) -> Option<Money> {
        let cost = self.at_the_end(self.cost?.trillionths())?;
        Some(Money::from_trillionths(cost))
    }

    fn at_the_end(&self, so_far: u128) -> Option<u128> {
        let finished = u128::from(self.succeeded + self.failed);
        let remaining = u128::from(self.total?.saturating_sub(self.done()));
        let rest = so_far.saturating_mul(remaining).checked_div(finished)?;
        Some(so_far.saturating_add(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_expected_to_take_as_much_a_line_as_what_is_done() {
        let mut progress = Progress {
            total: Some(100),
            resumed: 40,
            tokens_used: 150,
            cost: Some(Money::from_trillionths(70)),
            ..Progress::default()
        };
        assert_eq!(progress.expected_tokens(), None);
        (progress.succeeded, progress.failed) = (8, 2);
        assert_eq!(progress.expected_tokens(), Some(150 + 15 * 50));
        assert_eq!(
            progress.expected_cost(),
            Some(Money::from_trillionths(70 + 7 * 50))
        );
        progress.cost = None;
        assert_eq!(progress.expected_cost(), None);
        progress.tokens_used = u64::MAX;
        assert_eq!(progress.expected_tokens(), Some(u64::MAX));
        progress.total = None;
        assert_eq!(progress.expected_tokens(), None);
    }
}
