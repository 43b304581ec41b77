//! What has been used of a model's limits, and whether a request fits all of them.

mod account; //   one limit: changes, neighbour, list
mod meter; //     the arithmetic of one limit
mod neighbour; // another user of the account

use std::time::Duration;

pub(super) use account::Account;
pub(super) use meter::Standing;

/// What a limit counts.
///
/// ```
/// use paceline::sim::{Counted, SimConfig, Simulator};
///
/// let simulator = Simulator::start(SimConfig::new())?;
/// let violations = simulator.report().violations();
/// assert!(violations.iter().all(|it| it.counted != Counted::Tokens));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Counted {
    /// Requests a minute, whatever their size.
    Requests,
    /// Tokens a minute, input and output together.
    Tokens,
    /// Requests a day.
    DailyRequests,
    /// Tokens a day.
    DailyTokens,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Admitted,
    /// It does not fit now.
    Refused {
        by: Counted,
        standing: Standing,
        requested: u64,
        /// Until it fits, if no other request takes from the limit.
        wait: Duration,
    },
    /// It is above the limit by itself.
    TooLarge {
        by: Counted,
        limit: u64,
        requested: u64,
    },
}

/// How the limits on requests and on tokens stand, as the headers report them.
pub(super) type Standings = [(Counted, Option<Standing>); 2];

/// The limits of one model together.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    /// Tokens before requests: of two limits with the same wait, the first speaks.
    pub(super) accounts: Vec<Account>,
    pub(super) refusals_cost_requests: bool,
}

impl Ledger {
    /// Admits one request of `tokens` at `now` (nanoseconds, never going back), or says why not.
    /// A request that is not admitted takes nothing, unless refusals cost requests.
    pub(super) fn admit(&mut self, tokens: u64, now: u64) -> Verdict {
        for account in &mut self.accounts {
            account.advance(now);
        }
        let mut verdict = self.judge(tokens, now);
        if verdict == Verdict::Admitted {
            for account in &mut self.accounts {
                account.take(account.asked(tokens), now);
            }
        } else if self.refusals_cost_requests {
            for account in &mut self.accounts {
                account.take_for_refusal(now);
            }
            // Judged again, so that the wait it names is the one after that.
            verdict = self.judge(tokens, now);
        }
        verdict
    }

    fn judge(&self, tokens: u64, now: u64) -> Verdict {
        let mut refusal: Option<(u64, Verdict)> = None;
        for account in &self.accounts {
            let (by, requested) = (account.counted, account.asked(tokens));
            let Some(meter) = &account.meter else {
                continue;
            };
            if requested > meter.limit {
                let limit = meter.limit;
                return Verdict::TooLarge {
                    by,
                    limit,
                    requested,
                };
            }
            let wait = meter.wait(requested, now);
            // Of the limits that do not fit, the one with the longest wait speaks.
            if wait > refusal.map_or(0, |(longest, _)| longest) {
                let verdict = Verdict::Refused {
                    by,
                    standing: meter.standing(now),
                    requested,
                    wait: Duration::from_nanos(wait),
                };
                refusal = Some((wait, verdict));
            }
        }
        refusal.map_or(Verdict::Admitted, |(_, verdict)| verdict)
    }

    /// Gives back tokens that a request admitted at `taken_at` did not use.
    pub(super) fn give_back(&mut self, tokens: u64, taken_at: u64, now: u64) {
        for account in &mut self.accounts {
            if matches!(account.counted, Counted::Tokens | Counted::DailyTokens) {
                account.advance(now);
                account.give_back(tokens, taken_at, now);
            }
        }
    }

    /// Takes the tokens of an answer, whether there is room or not.
    pub(super) fn take_answer(&mut self, tokens: u64, now: u64) {
        for account in &mut self.accounts {
            if matches!(account.counted, Counted::Tokens | Counted::DailyTokens) {
                account.advance(now);
                account.take_answer(tokens, now);
            }
        }
    }

    /// How the limits stand at `now`, where there are any. A daily limit speaks in place of the
    /// one a minute, as it does in the API's headers.
    pub(super) fn standings(&self, now: u64) -> Standings {
        let of = |counted| {
            let mut accounts = self.accounts.iter();
            accounts
                .find(|account| account.counted == counted)
                .and_then(|account| account.standing(now))
        };
        [
            (Counted::Requests, Counted::DailyRequests),
            (Counted::Tokens, Counted::DailyTokens),
        ]
        .map(|(minutely, daily)| (minutely, of(daily).or_else(|| of(minutely))))
    }
}

#[cfg(test)]
mod tests;
