//! What has been used of a limit, and whether a request fits. Pure: it is told the time.
//!
//! The API's own way of putting it is "Limit L, Used U, Requested R": what is used leaks away at
//! L a minute, and a request fits when used and requested together are within the capacity.
//! Everything is counted in token·minutes-in-nanoseconds, so that one nanosecond leaks exactly L
//! of them and nothing is ever rounded but what is shown.

use std::time::Duration;

/// What one token weighs: the nanoseconds in a minute.
const MINUTE: u128 = 60_000_000_000;

/// One limit of one model.
#[derive(Debug, Clone)]
pub(super) struct Account {
    limit: u64,
    capacity: u64,
    /// In token·nanoseconds, as it was at `at`.
    used: u128,
    at: u64,
}

impl Account {
    /// `limit` a minute, with a capacity of what comes in within `burst`: rounded down, but at
    /// least 1.
    pub(super) fn new(limit: u64, burst: Duration) -> Self {
        let burst = burst.as_nanos().min(u128::from(u64::MAX));
        let capacity = u64::try_from(u128::from(limit) * burst / MINUTE).unwrap_or(u64::MAX);
        Self {
            limit,
            capacity: capacity.max(1),
            used: 0,
            at: 0,
        }
    }

    fn used_at(&self, now: u64) -> u128 {
        let leaked = u128::from(now.saturating_sub(self.at)) * u128::from(self.limit);
        self.used.saturating_sub(leaked)
    }

    /// Nanoseconds until `amount` fits, rounded up; 0 when it fits now. An amount above the
    /// capacity fits when nothing is used.
    pub(super) fn wait(&self, amount: u64, now: u64) -> u64 {
        let room = u128::from(self.capacity.saturating_sub(amount)) * MINUTE;
        let excess = self.used_at(now).saturating_sub(room);
        self.time_to_leak(excess)
    }

    fn time_to_leak(&self, used: u128) -> u64 {
        u64::try_from(used.div_ceil(u128::from(self.limit.max(1)))).unwrap_or(u64::MAX)
    }

    fn take(&mut self, amount: u64, now: u64) {
        self.used = self.used_at(now) + u128::from(amount) * MINUTE;
        self.at = self.at.max(now);
    }

    fn standing(&self, now: u64) -> Standing {
        let used = self.used_at(now);
        let capacity = u128::from(self.capacity) * MINUTE;
        let remaining = capacity.saturating_sub(used) / MINUTE;
        // As if the capacity were the limit, so that the message's numbers explain its wait:
        // (used + requested − limit) · 60 / limit.
        let shown = (used.div_ceil(MINUTE) + u128::from(self.limit))
            .saturating_sub(u128::from(self.capacity));
        Standing {
            limit: self.limit,
            used: u64::try_from(shown).unwrap_or(u64::MAX),
            remaining: u64::try_from(remaining).unwrap_or(u64::MAX),
            reset: Duration::from_nanos(self.time_to_leak(used)),
        }
    }
}

/// What the headers and messages say about one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) limit: u64,
    /// Rounded up.
    pub(super) used: u64,
    /// Rounded down, and 0 while there is a debt.
    pub(super) remaining: u64,
    /// Until nothing is used.
    pub(super) reset: Duration,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Counted {
    /// Requests, whatever their size.
    Requests,
    /// Tokens, input and output together.
    Tokens,
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
        /// Until it fits, if nobody else comes.
        wait: Duration,
    },
    /// It is above the limit by itself.
    TooLarge {
        by: Counted,
        limit: u64,
        requested: u64,
    },
}

/// The limits of one model together.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    pub(super) requests: Option<Account>,
    pub(super) tokens: Option<Account>,
}

impl Ledger {
    /// Admits one request of `tokens` at `now` (nanoseconds, never going back), or says why not.
    /// A request that is not admitted takes nothing from either limit.
    pub(super) fn admit(&mut self, tokens: u64, now: u64) -> Verdict {
        let asked = [
            (Counted::Tokens, &mut self.tokens, tokens),
            (Counted::Requests, &mut self.requests, 1),
        ]
        .map(|(by, account, amount)| (by, account.as_mut(), amount));

        let mut refusal: Option<(u64, Verdict)> = None;
        for (by, account, requested) in &asked {
            let (by, requested) = (*by, *requested);
            let Some(account) = account else { continue };
            if requested > account.limit {
                let limit = account.limit;
                return Verdict::TooLarge {
                    by,
                    limit,
                    requested,
                };
            }
            let wait = account.wait(requested, now);
            // Of two limits that do not fit, the one with the longer wait speaks.
            if wait > refusal.map_or(0, |(longest, _)| longest) {
                let verdict = Verdict::Refused {
                    by,
                    standing: account.standing(now),
                    requested,
                    wait: Duration::from_nanos(wait),
                };
                refusal = Some((wait, verdict));
            }
        }
        if let Some((_, verdict)) = refusal {
            return verdict;
        }
        for (_, account, amount) in asked {
            if let Some(account) = account {
                account.take(amount, now);
            }
        }
        Verdict::Admitted
    }

    /// How each limit stands at `now`, where there is one.
    pub(super) fn standings(&self, now: u64) -> [(Counted, Option<Standing>); 2] {
        let standing = |account: &Option<Account>| account.as_ref().map(|it| it.standing(now));
        [
            (Counted::Requests, standing(&self.requests)),
            (Counted::Tokens, standing(&self.tokens)),
        ]
    }
}

#[cfg(test)]
mod tests;
