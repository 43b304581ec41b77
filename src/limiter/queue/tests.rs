//! The line against a naive reference, and what of it no public method shows.
//!
//! The reference knows no bucket. It keeps the list of everything that was ever taken or given
//! back, and grants at the first nanosecond at which *no window* of that list passes the limit:
//! the contract itself, computed the slow way.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use proptest::prelude::*;

use std::time::Duration;

use super::super::Priority;
use super::*;
use crate::quota::Quota;
use crate::unit::Unit;

/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

#[derive(Debug, Clone)]
enum Step {
    Arrive {
        tokens: u64,
        patience: Option<u64>,
    },
    Pass {
        nanos: u64,
    },
    /// Settle a grant, the `nth` from the first, to `tokens`.
    Settle {
        nth: usize,
        tokens: u64,
    },
    Pause {
        nanos: u64,
    },
    /// The `nth` in line goes away.
    Leave {
        nth: usize,
    },
}

fn steps(burst: u64) -> impl Strategy<Value = Vec<Step>> {
    let tokens = 0..burst * 3 / 2;
    let step = prop_oneof![
        6 => (tokens.clone(), prop::option::weighted(0.3, 0..20 * SECOND))
            .prop_map(|(tokens, patience)| Step::Arrive { tokens, patience }),
        4 => (0..4 * SECOND).prop_map(|nanos| Step::Pass { nanos }),
        2 => (any::<prop::sample::Index>(), tokens)
            .prop_map(|(nth, tokens)| Step::Settle { nth: nth.index(64), tokens }),
        1 => (0..3 * SECOND).prop_map(|nanos| Step::Pause { nanos }),
        1 => any::<prop::sample::Index>().prop_map(|nth| Step::Leave { nth: nth.index(8) }),
    ];
    prop::collection::vec(step, 1..80)
}

/// What happened to a waiter, and when.
type Log = Vec<(u64, Answer, u64)>;

/// One quota by its definition.
struct Windows {
    unit: Unit,
    burst: i128,
    amount: i128,
    period: i128,
    /// When, and how much: negative was given back.
    taken: Vec<(u64, i128)>,
}

impl Windows {
    fn record(&mut self, now: u64, delta: i128) {
        self.taken.push((now, delta));
    }

    /// The first time from `now` on at which `wanted` more would keep every window within the
    /// limit. One above the burst is treated as the burst.
    fn first_fit(&self, now: u64, wanted: u64) -> u64 {
        let wanted = i128::from(wanted).min(self.burst);
        let mut fit = now;
        let mut sum = 0;
        for (index, (time, delta)) in self.taken.iter().enumerate().rev() {
            // A window that begins right after this event, and one that begins with it.
            let since = if index == self.taken.len() - 1 {
                0
            } else {
                sum
            };
            sum += delta;
            for taken in [since, sum] {
                let over = (taken + wanted - self.burst).max(0) * self.period;
                let nanos = (over + self.amount - 1) / self.amount;
                fit = fit.max(*time + u64::try_from(nanos).unwrap());
            }
        }
        fit
    }
}

struct Reference {
    now: u64,
    quotas: Vec<Windows>,
    waiting: Vec<(u64, Cost, Option<u64>)>,
    paused_until: u64,
    log: Log,
}

impl Reference {
    fn take(&mut self, cost: Cost, sign: i128) {
        for quota in &mut self.quotas {
            quota.record(self.now, sign * i128::from(cost.amount(quota.unit)));
        }
    }

    fn turn(&self, cost: Cost) -> u64 {
        let fits = self.quotas.iter();
        let fits = fits.map(|quota| quota.first_fit(self.now, cost.amount(quota.unit)));
        fits.fold(self.paused_until.max(self.now), u64::max)
    }

    fn run_until(&mut self, target: u64) {
        while let Some(&(head, cost, _)) = self.waiting.first() {
            let turn = self.turn(cost);
            let deadlines = self.waiting.iter().enumerate();
            let deadlines =
                deadlines.filter_map(|(nth, (place, _, at))| Some(((*at)?, *place, nth)));
            let first = deadlines.min().filter(|(at, ..)| *at < turn);
            if turn.min(first.map_or(u64::MAX, |(at, ..)| at)) > target {
                break;
            }
            if let Some((at, place, nth)) = first {
                self.now = self.now.max(at);
                self.waiting.remove(nth);
                self.log.push((place, Answer::TimedOut, self.now));
            } else {
                self.now = turn;
                self.waiting.remove(0);
                self.take(cost, 1);
                let grant = Grant {
                    at: Tick(turn),
                    place: head,
                    in_flight: 0,
                    spent: None,
                };
                self.log.push((head, Answer::Granted(grant), turn));
            }
        }
        self.now = target;
    }
}

/// The line itself, driven as its alarm would drive it.
struct Driven {
    now: u64,
    queue: Queue,
    log: Log,
}

impl Driven {
    fn serve(&mut self) {
        self.queue.serve(Tick(self.now));
        let Some(answered) = self.queue.take_answered() else {
            return;
        };
        let mut answers: Vec<_> = answered
            .iter()
            .map(|(waiter, answer)| (waiter.place, answer.clone(), self.now))
            .collect();
        // At one instant grants and timeouts alternate; the log of the reference tells in which
        // order, this one only what. Sorted, both say the same.
        answers.sort_by_key(|(place, ..)| *place);
        self.log.extend(answers);
    }

    /// Lets time pass, waking only when an alarm was asked for: a lost alarm would show.
    fn run_until(&mut self, target: u64) {
        loop {
            self.queue.alarm_needed();
            let Some(alarm) = self.queue.alarm.filter(|alarm| alarm.0 <= target) else {
                break;
            };
            self.now = self.now.max(alarm.0);
            self.queue.alarm = None;
            self.serve();
        }
        self.now = target;
        assert!(
            !self.queue.head_is_covered() || self.queue.paused_until.0 > target || {
                self.queue.bring_up_to(Tick(target));
                !self.queue.head_is_covered()
            }
        );
    }
}

fn asked(cost: Cost) -> Asked {
    Asked {
        cost,
        priority: Priority::Interactive,
        place: None,
    }
}

fn limits(tokens: u64, burst: u64, requests: u64) -> Limits {
    let second = Duration::from_secs(1);
    let tokens = Quota::new(Unit::Tokens, tokens, second)
        .unwrap()
        .burst_of(burst);
    let requests = Quota::new(Unit::Requests, requests, second).unwrap();
    Limits::builder()
        .quota(tokens)
        .quota(requests)
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn grants_are_those_of_the_definition(
        amount in 90..2_000u64,
        requests in 1..6u64,
        steps in steps(60),
    ) {
        let limits = limits(amount, 60, requests);
        let mut line = Driven {
            now: 0,
            queue: Queue::new(&limits, Rules::default(), Tick(0)),
            log: Vec::new(),
        };
        let quotas = limits.quotas().iter().map(|quota| Windows {
            unit: quota.unit(),
            burst: i128::from(quota.burst()),
            amount: i128::from(quota.amount()),
            period: i128::from(SECOND),
            taken: Vec::new(),
        });
        let mut reference = Reference {
            now: 0,
            quotas: quotas.collect(),
            waiting: Vec::new(),
            paused_until: 0,
            log: Vec::new(),
        };
        let mut granted: Vec<Cost> = Vec::new();
        let mut costs: Vec<Cost> = Vec::new();

        for (index, step) in steps.into_iter().enumerate() {
            let now = line.now;
            match step {
                Step::Arrive { tokens, patience } => {
                    let cost = Cost::tokens(tokens);
                    let deadline = patience.map(|nanos| now + nanos);
                    let place = line.queue.next_place;
                    let alone = line.queue.lanes.is_empty();
                    let predicted = line.queue.predict(asked(cost), Tick(now));
                    if alone {
                        prop_assert_eq!(predicted.0, reference.turn(cost), "step {}", index);
                    }
                    let joined = line.queue.join(asked(cost), deadline.map(Tick), None, Tick(now));
                    prop_assert!(joined.is_ok());
                    line.serve();
                    costs.push(cost);
                    reference.waiting.push((place, cost, deadline));
                }
                Step::Pass { nanos } => line.run_until(now + nanos),
                Step::Settle { nth, tokens } if !granted.is_empty() => {
                    let nth = nth % granted.len();
                    let actual = Cost { requests: 1, ..Cost::tokens(tokens) };
                    line.queue.bring_up_to(Tick(now));
                    line.queue.settle(granted[nth], actual, Tick(now));
                    line.serve();
                    for quota in &mut reference.quotas {
                        let had = i128::from(granted[nth].amount(quota.unit));
                        let has = i128::from(actual.amount(quota.unit));
                        quota.record(now, has - had);
                    }
                    granted[nth] = actual;
                }
                Step::Settle { .. } => {}
                Step::Pause { nanos } => {
                    line.queue.paused_until = line.queue.paused_until.max(Tick(now + nanos));
                    reference.paused_until = reference.paused_until.max(now + nanos);
                }
                Step::Leave { nth } => {
                    if let Some((place, ..)) = reference.waiting.get(nth).copied() {
                        line.queue.answer_where(|w| (w.place == place).then_some(Answer::Cancelled));
                        line.serve();
                        reference.waiting.remove(nth);
                        reference.log.push((place, Answer::Cancelled, now));
                    }
                }
            }
            reference.run_until(line.now);
            let sorted = |log: &Log| {
                let mut log = log.clone();
                log.sort_by_key(|(place, ..)| *place);
                log
            };
            prop_assert_eq!(sorted(&line.log), sorted(&reference.log), "step {}", index);
            let grants = line.log.iter().filter(|(_, answer, _)| matches!(answer, Answer::Granted(_)));
            let places: Vec<_> = grants.map(|(place, ..)| *place).collect();
            prop_assert!(places.is_sorted(), "overtaken: {:?}", places);
            granted.extend(places.iter().skip(granted.len()).map(|p| costs[usize::try_from(*p).unwrap()]));
        }
    }
}

#[test]
fn an_alarm_is_set_only_when_it_is_earlier_than_the_one_that_is_set() {
    let mut queue = Queue::new(&limits(1_000, 1_000, 1_000), Rules::default(), Tick(0));
    assert_eq!(queue.alarm_needed(), None, "nobody waits");
    let place = queue.new_place();
    queue.grant(Cost::tokens(1_000), place, Tick(0));
    queue
        .join(asked(Cost::tokens(500)), None, None, Tick(0))
        .unwrap();
    assert_eq!(queue.alarm_needed(), Some(Tick(SECOND / 2)));
    queue
        .join(asked(Cost::tokens(1)), None, None, Tick(0))
        .unwrap();
    assert_eq!(queue.alarm_needed(), None, "the head's will do");
    queue
        .join(
            asked(Cost::tokens(1)),
            Some(Tick(SECOND / 4)),
            None,
            Tick(0),
        )
        .unwrap();
    assert_eq!(
        queue.alarm_needed(),
        Some(Tick(SECOND / 4)),
        "a deadline comes before it"
    );
    queue.settle(Cost::default(), Cost::tokens(100), Tick(0));
    assert_eq!(
        queue.alarm_needed(),
        None,
        "one that is too early is set again when it rings"
    );
}
