//! What a run may take, and whether one more request fits into it. Pure: no lock, clock or thread.

use std::fmt;
use std::time::Duration;

use crate::batch::money::Money;

/// What a run may take at most. By default there is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::batch) struct Bounds {
    /// Of all runs into this output.
    pub(in crate::batch) tokens: Option<u64>,
    pub(in crate::batch) cost: Option<Money>,
    /// Of this run.
    pub(in crate::batch) tokens_this_run: Option<u64>,
    pub(in crate::batch) cost_this_run: Option<Money>,
    pub(in crate::batch) failures: Option<u64>,
    /// After the run began.
    pub(in crate::batch) deadline: Option<Duration>,
}

impl Bounds {
    /// Whether what earlier runs used counts.
    pub(in crate::batch) fn are_of_all_runs(&self) -> bool {
        self.tokens.is_some() || self.cost.is_some()
    }

    /// The bounds of a run after others that used `earlier`, and what of that counts: nothing where only
    /// this run is bounded.
    pub(in crate::batch) fn after(mut self, earlier: Share) -> (Self, Share) {
        let mut counted = Share::default();
        if self.tokens.is_some() {
            counted.tokens = earlier.tokens;
        }
        if self.cost.is_some() {
            counted.cost = earlier.cost;
        }
        let tokens = self.tokens_this_run.take();
        let tokens = tokens.map(|most| most.saturating_add(counted.tokens));
        self.tokens = self.tokens.into_iter().chain(tokens).min();
        let cost = self.cost_this_run.take();
        let cost = cost.map(|most| most.saturating_add(counted.cost));
        self.cost = self.cost.into_iter().chain(cost).min();
        (self, counted)
    }
}

/// The bound at which a run stopped. Requests in flight are finished and written, and a later run
/// resumes with bounds of its own.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{StopReason, Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// let summary = run.budget_tokens(1_000_000).run()?;
/// if let StopReason::Bound(bound) = summary.ending {
///     println!("stopped at {}", bound.name());
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// [`Run::budget_tokens`](crate::batch::Run::budget_tokens).
    Tokens {
        /// What the run might use.
        budget: u64,
        /// What it used.
        used: u64,
        /// What the next request may take.
        needed: u64,
    },
    /// [`Run::max_cost`](crate::batch::Run::max_cost).
    Cost {
        /// What the run might cost.
        budget: Money,
        /// What it cost.
        used: Money,
        /// What the next request may cost.
        needed: Money,
    },
    /// [`Run::max_failures`](crate::batch::Run::max_failures).
    Failures {
        /// How many stop a run.
        most: u64,
    },
    /// [`Run::deadline`](crate::batch::Run::deadline).
    Deadline {
        /// How long after its beginning.
        after: Duration,
    },
}

impl Bound {
    /// The name of the setting: `budget_tokens`, `max_cost`, `max_failures` or `deadline`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tokens { .. } => "budget_tokens",
            Self::Cost { .. } => "max_cost",
            Self::Failures { .. } => "max_failures",
            Self::Deadline { .. } => "deadline",
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tokens {
                budget,
                used,
                needed,
            } => write!(
                f,
                "a budget of {budget} tokens: {used} are used, and the next request may take {needed}"
            ),
            Self::Cost {
                budget,
                used,
                needed,
            } => write!(
                f,
                "a budget of {budget}: {used} is spent, and the next request may cost {needed}"
            ),
            Self::Failures { most } => write!(f, "{most} failures"),
            Self::Deadline { after } => {
                write!(f, "a deadline after {}", crate::error::human(*after))
            }
        }
    }
}

/// What one request may take, or took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::batch) struct Share {
    pub(in crate::batch) tokens: u64,
    pub(in crate::batch) cost: Money,
}

/// Whether a request may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum Verdict {
    /// Yes, and its share is reserved.
    Begin,
    /// Not now; perhaps when requests in flight have used less than they reserved.
    Wait,
    /// Never: what is used already leaves too little.
    Stop(Bound),
}

/// The budget of a run. The use of answers and the reservations of requests in flight never exceed
/// it together, as long as no request uses more than it reserved.
#[derive(Debug)]
pub(in crate::batch) struct Budget {
    tokens: Purse,
    cost: Purse,
}

impl Budget {
    pub(in crate::batch) fn new(bounds: &Bounds) -> Self {
        Self {
            tokens: Purse::of(bounds.tokens.map(u128::from)),
            cost: Purse::of(bounds.cost.map(Money::trillionths)),
        }
    }

    /// Takes note of what was used without a reservation.
    pub(in crate::batch) fn spend(&mut self, used: Share) {
        self.settle(Share::default(), used);
    }

    /// Decides whether a request may begin that takes `share` at most, and reserves that if so.
    pub(in crate::batch) fn ask(&mut self, share: Share) -> Verdict {
        let (tokens, cost) = (u128::from(share.tokens), share.cost.trillionths());
        if self.tokens.is_short_of(tokens) {
            return Verdict::Stop(Bound::Tokens {
                budget: narrow(self.tokens.most),
                used: narrow(self.tokens.used),
                needed: share.tokens,
            });
        }
        if self.cost.is_short_of(cost) {
            return Verdict::Stop(Bound::Cost {
                budget: Money::from_trillionths(self.cost.most),
                used: Money::from_trillionths(self.cost.used),
                needed: share.cost,
            });
        }
        if !(self.tokens.has(tokens) && self.cost.has(cost)) {
            return Verdict::Wait;
        }
        self.tokens.reserve(tokens);
        self.cost.reserve(cost);
        Verdict::Begin
    }

    /// Takes note of what a request used in place of what it reserved.
    pub(in crate::batch) fn settle(&mut self, reserved: Share, used: Share) {
        self.tokens
            .settle(reserved.tokens.into(), used.tokens.into());
        self.cost
            .settle(reserved.cost.trillionths(), used.cost.trillionths());
    }

    /// True when an answer that used more than it reserved can pass a bound.
    pub(in crate::batch) fn is_passed_by(&self, reserved: Share, used: Share) -> bool {
        (self.tokens.is_bound() && used.tokens > reserved.tokens)
            || (self.cost.is_bound() && used.cost > reserved.cost)
    }
}

fn narrow(tokens: u128) -> u64 {
    u64::try_from(tokens).unwrap_or(u64::MAX)
}

/// One thing of which there is so much.
#[derive(Debug)]
struct Purse {
    /// Without a bound there is more than can be counted, and nothing is.
    most: u128,
    used: u128,
    reserved: u128,
}

impl Purse {
    fn of(most: Option<u128>) -> Self {
        Self {
            most: most.unwrap_or(u128::MAX),
            used: 0,
            reserved: 0,
        }
    }

    fn is_bound(&self) -> bool {
        self.most < u128::MAX
    }

    /// True when even all that is reserved would not do.
    fn is_short_of(&self, share: u128) -> bool {
        self.is_bound() && share > self.most.saturating_sub(self.used)
    }

    fn has(&self, share: u128) -> bool {
        let left = self.most.saturating_sub(self.used);
        !self.is_bound() || share <= left.saturating_sub(self.reserved)
    }

    fn reserve(&mut self, share: u128) {
        if self.is_bound() {
            self.reserved += share; // it fits into the bound, so it does not overflow
        }
    }

    fn settle(&mut self, reserved: u128, used: u128) {
        if self.is_bound() {
            self.reserved = self.reserved.saturating_sub(reserved);
            self.used = self.used.saturating_add(used);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn share(tokens: u64, cost: u128) -> Share {
        Share {
            tokens,
            cost: Money::from_trillionths(cost),
        }
    }

    fn budget(tokens: impl Into<Option<u64>>, cost: impl Into<Option<u128>>) -> Budget {
        Budget::new(&Bounds {
            tokens: tokens.into(),
            cost: cost.into().map(Money::from_trillionths),
            ..Bounds::default()
        })
    }

    #[test]
    fn a_request_begins_waits_or_ends_the_run() {
        let mut budget = budget(100, 1_000);
        assert_eq!(budget.ask(share(60, 600)), Verdict::Begin);
        assert_eq!(budget.ask(share(50, 1)), Verdict::Wait);
        assert_eq!(budget.ask(share(1, 500)), Verdict::Wait);
        assert_eq!(budget.ask(share(40, 400)), Verdict::Begin);
        assert_eq!(budget.ask(share(1, 0)), Verdict::Wait);
        assert_eq!(budget.ask(share(0, 0)), Verdict::Begin);
        let too_large = Bound::Tokens {
            budget: 100,
            used: 0,
            needed: 101,
        };
        assert_eq!(budget.ask(share(101, 0)), Verdict::Stop(too_large));
        budget.settle(share(60, 600), share(10, 990));
        budget.settle(share(40, 400), share(0, 0));
        let spent = Bound::Cost {
            budget: Money::from_trillionths(1_000),
            used: Money::from_trillionths(990),
            needed: Money::from_trillionths(11),
        };
        assert_eq!(budget.ask(share(90, 11)), Verdict::Stop(spent));
        assert_eq!(budget.ask(share(90, 10)), Verdict::Begin);
    }

    #[test]
    fn earlier_runs_count_for_the_bounds_of_all_runs() {
        let money = Money::from_trillionths;
        let bounds = |tokens, this_run: Option<u64>| Bounds {
            tokens,
            tokens_this_run: this_run,
            cost: tokens.map(|it| money(u128::from(it))),
            cost_this_run: this_run.map(|it| money(u128::from(it))),
            ..Bounds::default()
        };
        for (all, this_run, most, counted) in [
            (None, None, None, 0),
            (None, Some(50), Some(50), 0),
            (Some(100), None, Some(100), 70),
            (Some(100), Some(50), Some(100), 70),
            (Some(100), Some(20), Some(90), 70),
        ] {
            let (found, used) = bounds(all, this_run).after(share(70, 70));
            assert_eq!((found.tokens, used.tokens), (most, counted));
            let cost = most.map(|it| money(u128::from(it)));
            assert_eq!((found.cost, used.cost), (cost, money(u128::from(counted))));
        }
        let mut budget = budget(100, None);
        budget.spend(share(70, 0));
        assert_eq!(budget.ask(share(30, 0)), Verdict::Begin);
        assert_eq!(budget.ask(share(1, 0)), Verdict::Wait);
    }

    #[test]
    fn without_a_bound_everything_fits() {
        let mut budget = budget(None, None);
        let all = share(u64::MAX, u128::MAX);
        for _ in 0..3 {
            assert_eq!(budget.ask(all), Verdict::Begin);
            budget.settle(all, all);
            assert!(!budget.is_passed_by(share(0, 0), all));
        }
    }

    #[test]
    fn what_used_more_than_it_reserved_is_counted_and_told() {
        let mut budget = budget(100, None);
        assert_eq!(budget.ask(share(50, 0)), Verdict::Begin);
        assert!(budget.is_passed_by(share(50, 0), share(51, 0)));
        assert!(!budget.is_passed_by(share(50, 0), share(50, 9)));
        budget.settle(share(50, 0), share(150, 0));
        assert!(matches!(budget.ask(share(1, 0)), Verdict::Stop(_)));
    }

    proptest! {
        /// Requests come and go in any order: what is used and what is reserved never passes the
        /// budget, no request waits while none is in flight, and none is refused that could still fit.
        #[test]
        fn a_budget_is_never_passed_and_used_as_far_as_it_goes(
            most in prop::array::uniform2(0..400_u64),
            steps in prop::collection::vec(
                (any::<bool>(), 0..100_u64, 0..100_u64, 0.0..=1.0, any::<prop::sample::Index>()),
                0..200,
            ),
        ) {
            let mut budget = budget(most[0], u128::from(most[1]));
            let mut under_way: Vec<Share> = Vec::new();
            let mut used = [0, 0];
            for (comes, tokens, cost, part, which) in steps {
                let wanted = share(tokens, cost.into());
                let held = |under_way: &[Share]| {
                    let tokens: u64 = under_way.iter().map(|share| share.tokens).sum();
                    let cost: u128 = under_way.iter().map(|share| share.cost.trillionths()).sum();
                    [tokens, u64::try_from(cost).unwrap()]
                };
                if comes {
                    let fits = |held: [u64; 2]| {
                        used[0] + held[0] + tokens <= most[0] && used[1] + held[1] + cost <= most[1]
                    };
                    match budget.ask(wanted) {
                        Verdict::Begin => {
                            prop_assert!(fits(held(&under_way)));
                            under_way.push(wanted);
                        }
                        Verdict::Wait => {
                            prop_assert!(!under_way.is_empty());
                            prop_assert!(!fits(held(&under_way)) && fits([0, 0]));
                        }
                        Verdict::Stop(_) => prop_assert!(!fits([0, 0])),
                    }
                } else if !under_way.is_empty() {
                    let reserved = under_way.swap_remove(which.index(under_way.len()));
                    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "any share will do")]
                    let part = |of: u64| ((of as f64 * part) as u64).min(of);
                    let cost = part(u64::try_from(reserved.cost.trillionths()).unwrap());
                    let settled = share(part(reserved.tokens), cost.into());
                    budget.settle(reserved, settled);
                    used[0] += settled.tokens;
                    used[1] += cost;
                }
                let held = held(&under_way);
                prop_assert!(used[0] + held[0] <= most[0] && used[1] + held[1] <= most[1]);
            }
        }
    }
}
