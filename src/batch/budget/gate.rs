//! The gate before the queue: only a request that fits into the budget goes to its limiter.
//!
//! A request takes its hold on the budget before it waits for its turn, and keeps it until its answer
//! is there. So the amount is reserved while the request is in flight, whatever its outcome.

use std::sync::Arc;

use crate::batch::budget::bounds::{Bound, Bounds, Budget, Share, Verdict};
use crate::batch::budget::prices::{Price, Prices, most};
use crate::batch::money::Money;
use crate::batch::wait::{Gate, Look};
use crate::cost::ServiceTier;
use crate::limiter::CancelToken;
use crate::{Error, ErrorKind, Prepared, Usage};

pub(in crate::batch) struct BudgetGate {
    prices: Option<Prices>,
    gate: Arc<Gate<State>>,
}

struct State {
    budget: Budget,
    /// Requests that hold a share.
    claims: u64,
    /// Requests that wait for one.
    waiting: u64,
    /// A request came that will never fit: nothing more goes through.
    closed: bool,
    /// An answer used more than it reserved, and that was said.
    warned: bool,
    /// What was paid besides the answers that stand in the files, in earlier runs too.
    lost: Share,
}

/// Why a request does not go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::batch) enum Refused {
    /// It is the first that does not fit. Requests in flight are finished.
    Bound(Bound),
    /// The run is ending already.
    Ending,
}

impl BudgetGate {
    /// A gate whose waiters go when `stop` is cancelled. Of what earlier runs used, `counted` counts for
    /// the bounds, and `lost` is what their answers do not tell.
    pub(in crate::batch) fn new(
        bounds: &Bounds,
        prices: Option<Prices>,
        (counted, lost): (Share, Share),
        stop: &CancelToken,
    ) -> Arc<Self> {
        let mut budget = Budget::new(bounds);
        budget.spend(counted);
        let state = State {
            lost,
            budget,
            claims: 0,
            waiting: 0,
            closed: false,
            warned: false,
        };
        Arc::new(Self {
            prices,
            gate: Gate::new(state, stop),
        })
    }

    /// Waits until a request fits into what is left.
    ///
    /// The first that never will closes the gate, and waits for all that went through before: so
    /// none of those is called back, and a budget is used as far as it goes. The caller that gets
    /// [`Refused::Bound`] stops the run, for which all others wait then.
    pub(in crate::batch) fn claim(
        self: &Arc<Self>,
        request: &Prepared,
    ) -> Result<BudgetHold, Refused> {
        let model = request.model();
        let price = self.prices.as_ref().and_then(|prices| prices.of(model));
        let (size, tier) = (request.estimate(), request.tier());
        let share = Share {
            tokens: most(size).total(),
            cost: price
                .and_then(|price| price.at_most(size, tier))
                .unwrap_or_default(),
        };
        self.reserve(share)?;
        Ok(BudgetHold {
            gate: Arc::clone(self),
            price,
            tier,
            reserved: share,
            used: Share::default(),
            is_over: false,
        })
    }

    fn reserve(&self, share: Share) -> Result<(), Refused> {
        let gate = &*self.gate;
        let mut state = gate.lock();
        let mut asked = Verdict::Wait;
        state.waiting += 1;
        let goes = gate.wait(0, &mut state, |state| {
            if state.closed {
                // The thread that closed it stops the run: no request asks until then.
                return Look::Wait;
            }
            asked = state.budget.ask(share);
            match asked {
                Verdict::Wait => Look::Wait,
                Verdict::Begin | Verdict::Stop(_) => Look::Pass,
            }
        });
        state.waiting -= 1;
        let first = match asked {
            _ if !goes => return Err(Refused::Ending),
            Verdict::Stop(bound) => bound,
            Verdict::Begin | Verdict::Wait => {
                state.claims += 1;
                return Ok(());
            }
        };
        state.closed = true;
        state.waiting += 1;
        let goes = gate.wait(0, &mut state, |state| match state.claims {
            0 => Look::Pass,
            _ => Look::Wait,
        });
        state.waiting -= 1;
        if !goes {
            return Err(Refused::Ending);
        }
        // Asked again, for what is used in the end.
        match state.budget.ask(share) {
            Verdict::Stop(bound) => Err(Refused::Bound(bound)),
            Verdict::Begin | Verdict::Wait => Err(Refused::Bound(first)),
        }
    }

    /// How many requests wait for what others may give back.
    pub(in crate::batch) fn waiting(&self) -> u64 {
        self.gate.lock().waiting
    }

    /// What was paid so far besides the answers in the files.
    pub(in crate::batch) fn lost(&self) -> Share {
        self.gate.lock().lost
    }

    /// Takes note of an answer that was paid for and gives way to another one.
    pub(in crate::batch) fn replaced(&self, model: &str, usage: Usage, tier: ServiceTier) {
        let price = self.prices.as_ref().and_then(|prices| prices.of(model));
        let cost = price.and_then(|price| price.cost(usage, tier));
        let paid = Share {
            tokens: usage.total(),
            cost: cost.unwrap_or_default(),
        };
        self.lose(paid, false);
    }

    /// Takes note of what was paid and stands in no answer; `is_new` says that the budget does not know of it.
    fn lose(&self, paid: Share, is_new: bool) {
        let mut state = self.gate.lock();
        state.lost.tokens = state.lost.tokens.saturating_add(paid.tokens);
        state.lost.cost = state.lost.cost.saturating_add(paid.cost);
        if is_new {
            state.budget.spend(paid);
        }
    }

    fn settle(&self, reserved: Share, used: Share) {
        let mut state = self.gate.lock();
        if state.budget.is_passed_by(reserved, used) && !state.warned {
            state.warned = true;
            log::warn!(
                "an answer used {} tokens, and {} were reserved: without an output cap in every \
                 request, a budget can be passed",
                used.tokens,
                reserved.tokens
            );
        }
        state.budget.settle(reserved, used);
        state.claims = state.claims.saturating_sub(1);
        self.gate.notify_all(&state, 0);
    }
}

/// What an answer says of what it used.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::batch) struct Used {
    pub(in crate::batch) usage: Option<Usage>,
    /// The class of service that answered, where it is named.
    pub(in crate::batch) tier: Option<ServiceTier>,
}

/// The part of the budget that a request holds while it is in flight. Dropped, it is given back.
#[must_use = "a hold reserves its amount only as long as it is kept"]
pub(in crate::batch) struct BudgetHold {
    gate: Arc<BudgetGate>,
    price: Option<Price>,
    /// The class of service that was asked for.
    tier: ServiceTier,
    reserved: Share,
    used: Share,
    is_over: bool,
}

impl BudgetHold {
    /// Ends with an answer, and returns what it cost if its model has a price. An answer that does
    /// not say what it used is taken to have used all that it reserved.
    pub(in crate::batch) fn answered(mut self, used: Used) -> Option<Money> {
        let Used { usage, tier } = used;
        // What answered tells more than what was asked for.
        let tier = tier.unwrap_or(self.tier);
        let cost = self.price.and_then(|price| match usage {
            Some(usage) => price.cost(usage, tier),
            None => Some(self.reserved.cost),
        });
        self.used = Share {
            tokens: usage.map_or(self.reserved.tokens, |usage| usage.total()),
            cost: cost.unwrap_or_default(),
        };
        if usage.is_none() {
            self.gate.lose(self.used, false);
        }
        cost
    }

    /// An attempt has ended with an error. What may have been done before its answer was lost is taken
    /// to be paid for, at once and whatever comes after; an answer that is an error is not, unless its status is
    /// one of success.
    pub(in crate::batch) fn tried(&mut self, error: &Error) {
        let may_be_paid = match error {
            Error::Transport { unsent, .. } => !unsent,
            Error::InvalidResponse { .. } => true,
            Error::Api(api) => (200..300).contains(&api.status) && api.kind == ErrorKind::Server,
            _ => false,
        };
        if may_be_paid {
            self.gate.lose(self.reserved, true);
        }
    }
}

impl BudgetHold {
    /// Counts what an answer used, before another request is asked for in its place. The hold still tells what it
    /// cost.
    pub(in crate::batch) fn answered_first(
        &mut self,
        usage: Usage,
        tier: Option<ServiceTier>,
    ) -> Option<Money> {
        let tier = tier.unwrap_or(self.tier);
        let cost = self.price.and_then(|price| price.cost(usage, tier));
        self.used = Share {
            tokens: usage.total(),
            cost: cost.unwrap_or_default(),
        };
        self.give_back();
        cost
    }

    /// Gives back what it holds, but for what is taken to be paid for, before another one is asked for.
    pub(in crate::batch) fn give_back(&mut self) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.gate.settle(self.reserved, self.used);
        }
    }
}

impl Drop for BudgetHold {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use parking_lot::Mutex;

    use super::*;

    fn gate(tokens: u64, stop: &CancelToken) -> Arc<BudgetGate> {
        let bounds = Bounds {
            tokens: Some(tokens),
            ..Bounds::default()
        };
        BudgetGate::new(&bounds, None, Default::default(), stop)
    }

    fn claim(
        gate: &Arc<BudgetGate>,
        tokens: u64,
        stop: &CancelToken,
    ) -> Result<BudgetHold, Refused> {
        let reserved = Share {
            tokens,
            ..Share::default()
        };
        // As the run does.
        gate.reserve(reserved).inspect_err(|refused| {
            if matches!(refused, Refused::Bound(_)) {
                stop.cancel();
            }
        })?;
        Ok(BudgetHold {
            gate: Arc::clone(gate),
            price: None,
            tier: ServiceTier::default(),
            reserved,
            used: Share::default(),
            is_over: false,
        })
    }

    fn usage(tokens: u64) -> Used {
        let usage = Usage {
            input_tokens: tokens,
            ..Usage::default()
        };
        Used {
            usage: Some(usage),
            tier: None,
        }
    }

    fn used_up(used: u64, needed: u64) -> Refused {
        Refused::Bound(Bound::Tokens {
            budget: 100,
            used,
            needed,
        })
    }

    /// Waits until a thread has checked and sleeps: under the lock, no thread is between the two.
    fn wait_for_sleeper(gate: &BudgetGate, has_looked: &mpsc::Receiver<()>) {
        has_looked.recv().unwrap();
        drop(gate.gate.lock());
    }

    #[test]
    fn who_waits_goes_when_others_give_back_and_what_never_fits_waits_for_them() {
        let stop = CancelToken::new();
        let gate = gate(100, &stop);
        let [first, second] = [60, 40].map(|tokens| claim(&gate, tokens, &stop).unwrap());
        let (tell, has_come) = mpsc::channel();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                tell.send(()).unwrap();
                claim(&gate, 70, &stop).map(|claim| claim.answered(usage(70)))
            });
            wait_for_sleeper(&gate, &has_come);
            first.answered(usage(20)); // 80 less 40 that are reserved: not enough yet
            second.answered(usage(10));
            assert_eq!(waiting.join().unwrap(), Ok(None));
        });
        // 100 are used: whatever comes now is the first that does not fit.
        assert_eq!(claim(&gate, 1, &stop).err(), Some(used_up(100, 1)));
        assert_eq!(claim(&gate, 0, &stop).err(), Some(Refused::Ending));
    }

    #[test]
    fn the_first_that_never_fits_calls_back_none_that_went_before() {
        let stop = CancelToken::new();
        let gate = gate(100, &stop);
        let under_way = claim(&gate, 90, &stop).unwrap();
        thread::scope(|scope| {
            let too_large = scope.spawn(|| claim(&gate, 101, &stop).err());
            // It has closed the gate, whatever comes first here: nothing fits beside it.
            loop {
                let state = gate.gate.lock();
                if state.closed {
                    break;
                }
                drop(state);
                thread::yield_now();
            }
            let fits = scope.spawn(|| claim(&gate, 1, &stop).err());
            assert!(!too_large.is_finished() && !fits.is_finished());
            under_way.answered(usage(33));
            assert_eq!(too_large.join().unwrap(), Some(used_up(33, 101)));
            assert_eq!(fits.join().unwrap(), Some(Refused::Ending));
        });
    }

    #[test]
    fn a_run_that_is_stopped_lets_everyone_go() {
        let stop = CancelToken::new();
        let gate = gate(100, &stop);
        let under_way = claim(&gate, 100, &stop).unwrap();
        let (tell, has_come) = mpsc::channel();
        thread::scope(|scope| {
            let waiting = [50, 101].map(|tokens| {
                let (gate, stop, tell) = (&gate, &stop, tell.clone());
                scope.spawn(move || {
                    tell.send(()).unwrap();
                    claim(gate, tokens, stop).err()
                })
            });
            wait_for_sleeper(&gate, &has_come);
            wait_for_sleeper(&gate, &has_come);
            stop.cancel();
            for waiting in waiting {
                assert_eq!(waiting.join().unwrap(), Some(Refused::Ending));
            }
        });
        drop(under_way);
        assert_eq!(claim(&gate, 1, &stop).err(), Some(Refused::Ending));
    }

    #[test]
    fn what_became_of_a_request_decides_what_it_used() {
        let error = |unsent| Error::Transport {
            url: String::new(),
            kind: crate::TransportKind::Other,
            message: String::new(),
            unsent,
            source: None,
        };
        let lost = Error::InvalidResponse {
            url: String::new(),
            message: String::new(),
        };
        type End = fn(BudgetHold, &Error);
        let tried: End = |mut claim, error| claim.tried(error);
        let then_cancelled: End = |mut claim, error| {
            claim.tried(error);
            claim.tried(&Error::Cancelled);
        };
        let ends: [(End, Error, u64); 7] = [
            (|claim, _| drop(claim), Error::Cancelled, 0),
            (tried, error(true), 0),
            (tried, error(false), 10),
            (tried, lost, 10),
            (then_cancelled, error(false), 10),
            (
                |claim, _| _ = claim.answered(Used::default()),
                Error::Cancelled,
                10,
            ),
            (|claim, _| _ = claim.answered(usage(4)), Error::Cancelled, 4),
        ];
        for (step, (end, error, used)) in ends.into_iter().enumerate() {
            let stop = CancelToken::new();
            let gate = gate(100, &stop);
            end(claim(&gate, 10, &stop).unwrap(), &error);
            let refused = claim(&gate, 101, &stop).err();
            assert_eq!(refused, Some(used_up(used, 101)), "step {step}");
        }
    }

    #[test]
    fn many_threads_never_pass_the_budget_and_use_all_of_it() {
        let stop = CancelToken::new();
        let gate = gate(1_000, &stop);
        let used = Mutex::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while let Ok(claim) = claim(&gate, 10, &stop) {
                        claim.answered(usage(7));
                        *used.lock() += 7;
                    }
                });
            }
        });
        // One more would fit only if it used less than it may.
        assert_eq!(used.into_inner(), 994);
    }
}
