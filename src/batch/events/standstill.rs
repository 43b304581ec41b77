//! Waits that are long enough for a notice, and waits that are too long for a run. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::batch::events::bottleneck::{Bottleneck, Facts};
use crate::batch::events::notice::Notice;

/// A wait for a limit or a pause that gets a notice: an empty quota per hour is full again sooner. This
/// and the next two are checked by `a_debt_and_a_pause_from_elsewhere_are_said_sooner`.
const LONG: Duration = Duration::from_secs(60 * 60);
/// A wait for a debt that gets a notice: more was used than there was.
const LONG_DEBT: Duration = Duration::from_secs(10 * 60);
/// A pause that gets a notice although no response of this run asked for it.
const LONG_ELSEWHERE: Duration = Duration::from_secs(10);
/// A wait for which no run stays: an empty quota per day is full again sooner. Checked by
/// `a_run_ends_when_all_that_is_left_waits_for_more_than_a_day`, as is the next.
const HOPELESS: Duration = Duration::from_secs(24 * 60 * 60);
/// Looks in a row that have to find a run without hope: between two waits one look may find it so.
const LOOKS: u32 = 2;

/// What came of a look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::batch) struct Seen {
    pub(in crate::batch) notices: Vec<Notice>,
    /// Why the run is to end, if it is.
    pub(in crate::batch) end: Option<String>,
}

/// What was said of waits.
#[derive(Debug, Default)]
pub(in crate::batch) struct Standstill {
    /// By model, how much of the wait was left when it was said last.
    said: BTreeMap<String, Duration>,
    hopeless: u32,
}

/// Why something waits, and how long.
struct Waiting {
    wait: Duration,
    /// A wait that is said.
    long: Duration,
    reason: String,
}

impl Standstill {
    /// Looks at a run: what is to be said, each once, and whether it is to end.
    pub(in crate::batch) fn look(&mut self, facts: &Facts) -> Seen {
        let mut seen = Seen::default();
        let mut reasons = Vec::new();
        let mut is_hopeless = true;
        for limiter in &facts.limiters {
            if limiter.snapshot.waiters == 0 {
                is_hopeless &= limiter.waiting == 0;
                continue;
            }
            let Some(waiting) = waiting(limiter.bottleneck()) else {
                is_hopeless = false;
                self.said.remove(&limiter.model);
                continue;
            };
            let notice = self.say(&limiter.model, &waiting);
            seen.notices.extend(notice);
            is_hopeless &= waiting.wait > HOPELESS;
            reasons.push((waiting.wait, waiting.reason));
        }
        for (model, wait, reason) in &facts.resting {
            let waiting = Waiting {
                wait: *wait,
                long: LONG,
                reason: reason.clone(),
            };
            seen.notices.extend(self.say(model, &waiting));
            is_hopeless &= *wait > HOPELESS;
            reasons.push((*wait, reason.clone()));
        }
        let waiters: usize = facts.limiters.iter().map(|it| it.snapshot.waiters).sum();
        // Some requests may still be on their way, and what they bring may end the wait.
        let all_wait = facts.sending <= waiters + facts.resting.len();
        let is_held = facts.is_stopped || facts.has_backpressure || facts.hold.is_some();
        is_hopeless &= !reasons.is_empty() && all_wait && !is_held;
        self.hopeless = match is_hopeless {
            true => self.hopeless + 1,
            false => 0,
        };
        if self.hopeless >= LOOKS {
            // What ends first is what the run would have to wait for.
            let first = reasons.into_iter().min_by_key(|(wait, _)| *wait);
            seen.end = first.map(|(wait, reason)| {
                let days = wait.as_secs_f64() / HOPELESS.as_secs_f64();
                format!("{reason}: {days:.1} days to wait")
            });
        }
        seen
    }

    /// Says a wait that is long, once; again when it has become longer, or has ended and come again.
    fn say(&mut self, model: &str, waiting: &Waiting) -> Option<Notice> {
        if waiting.wait < waiting.long {
            if waiting.wait < waiting.long / 2 {
                self.said.remove(model);
            }
            return None;
        }
        let is_known = |said: &Duration| waiting.wait <= *said + *said / 10 + LONG_ELSEWHERE;
        if self.said.get(model).is_some_and(is_known) {
            return None;
        }
        self.said.insert(model.to_owned(), waiting.wait);
        Some(Notice::LongWait {
            model: model.to_owned(),
            wait: waiting.wait,
            reason: waiting.reason.clone(),
        })
    }
}

/// What a limiter's first waiter waits for, where that is a matter of time.
fn waiting(bottleneck: Bottleneck) -> Option<Waiting> {
    Some(match bottleneck {
        Bottleneck::Pause {
            left,
            reason: Some(reason),
            ..
        } => Waiting {
            wait: left,
            long: LONG,
            reason,
        },
        Bottleneck::Pause {
            left,
            reason: None,
            model,
        } => Waiting {
            wait: left,
            long: LONG_ELSEWHERE,
            reason: format!("a pause of {model} that another process asked for"),
        },
        Bottleneck::Limit {
            model,
            quota,
            wait,
            debt: 0,
            ..
        } => Waiting {
            wait,
            long: LONG,
            reason: format!("limit of {model}, {quota}"),
        },
        Bottleneck::Limit {
            model,
            quota,
            wait,
            debt,
            ..
        } => Waiting {
            wait,
            long: LONG_DEBT,
            reason: format!(
                "limit of {model}, {quota}, of which {debt} more were used than there were"
            ),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::events::bottleneck::LimiterFacts;
    use crate::limiter::{RateLimiter, Snapshot};
    use crate::{Limits, Unit};

    const MINUTE: Duration = Duration::from_secs(60);

    /// A limiter that pauses for `wait`, with one waiter.
    fn paused(model: &str, wait: Duration, reason: Option<&str>) -> LimiterFacts {
        let snapshot = Snapshot {
            waiters: 1,
            paused_for: wait,
            ..empty()
        };
        facts_of(model, snapshot, reason)
    }

    fn facts_of(model: &str, snapshot: Snapshot, reason: Option<&str>) -> LimiterFacts {
        LimiterFacts {
            model: model.to_owned(),
            waiting: 5,
            snapshot,
            pause: reason.map(str::to_owned),
        }
    }

    fn empty() -> Snapshot {
        let limits = Limits::builder().requests_per_minute(60).build().unwrap();
        RateLimiter::new(limits).snapshot()
    }

    /// One whose first waiter waits for a level of tokens.
    fn in_debt(level: i64, wait: Duration) -> LimiterFacts {
        let limits = Limits::tokens_per_minute(1_000).unwrap();
        let limiter = RateLimiter::new(limits);
        let mut snapshot = limiter.snapshot();
        snapshot.waiters = 1;
        snapshot.head_due = Some(wait);
        snapshot.head_cost = Some(crate::Cost::tokens(10));
        snapshot.binding = Some(snapshot.quotas[0].quota);
        assert_eq!(snapshot.quotas[0].quota.unit(), Unit::Tokens);
        snapshot.quotas[0].level = level;
        facts_of("m", snapshot, None)
    }

    fn facts(limiters: Vec<LimiterFacts>) -> Facts {
        Facts {
            limiters,
            ..Facts::default()
        }
    }

    fn said(seen: &Seen) -> Vec<(&str, Duration)> {
        let waits = seen.notices.iter().filter_map(|notice| match notice {
            Notice::LongWait { model, wait, .. } => Some((model.as_str(), *wait)),
            _ => None,
        });
        waits.collect()
    }

    #[test]
    fn a_long_wait_is_said_once_and_again_when_it_grows_or_comes_again() {
        let table = [
            (59, 0),
            (61, 1),
            (60, 0),
            (61, 0),  // to within a tenth it is the same
            (300, 1), // another one asked for more
            (120, 0),
            (20, 0), // it is over
            (61, 1),
        ];
        let mut standstill = Standstill::default();
        for (step, (minutes, count)) in table.into_iter().enumerate() {
            let limiters = vec![paused("m", MINUTE * minutes, Some("rate limit of m (429)"))];
            let seen = standstill.look(&facts(limiters));
            assert_eq!(said(&seen).len(), count, "step {step}");
            assert_eq!(seen.end, None, "step {step}");
        }
    }

    #[test]
    fn a_debt_and_a_pause_from_elsewhere_are_said_sooner() {
        let table = [
            (in_debt(-1_000, MINUTE * 11), 1),
            (in_debt(-1_000, MINUTE * 9), 0),
            (in_debt(0, MINUTE * 11), 0),
            (in_debt(0, MINUTE * 61), 1),
            (paused("m", MINUTE, None), 1),
            (paused("m", MINUTE, Some("rate limit")), 0),
            (paused("m", MINUTE / 10, None), 0),
        ];
        for (step, (limiter, count)) in table.into_iter().enumerate() {
            let seen = Standstill::default().look(&facts(vec![limiter]));
            assert_eq!(said(&seen).len(), count, "step {step}");
        }
    }

    #[test]
    fn a_run_ends_when_all_that_is_left_waits_for_more_than_a_day() {
        let day = MINUTE * 60 * 24;
        let two_days = || paused("a", day * 2, Some("rate limit of a (429)"));
        let mut standstill = Standstill::default();
        assert_eq!(standstill.look(&facts(vec![two_days()])).end, None);
        let end = standstill.look(&facts(vec![two_days()])).end.unwrap();
        assert_eq!(end, "rate limit of a (429): 2.0 days to wait");

        let others = [
            facts(vec![two_days(), paused("b", day / 2, Some("x"))]),
            facts(vec![two_days(), in_debt(5, Duration::ZERO)]),
            facts(vec![two_days(), facts_of("b", empty(), None)]), // not begun
            Facts {
                sending: 2, // one of them is on its way
                ..facts(vec![two_days()])
            },
            Facts {
                has_backpressure: true,
                ..facts(vec![two_days()])
            },
            facts(vec![]),
        ];
        for (step, facts) in others.into_iter().enumerate() {
            let mut standstill = Standstill::default();
            for _ in 0..5 {
                assert_eq!(standstill.look(&facts).end, None, "step {step}");
            }
        }
        // One that rests between two attempts does not wait for its limiter.
        let resting = Facts {
            sending: 1,
            resting: vec![("a".to_owned(), day * 300, "500".to_owned())],
            ..Facts::default()
        };
        let mut standstill = Standstill::default();
        assert_eq!(said(&standstill.look(&resting)), [("a", day * 300)]);
        assert_eq!(
            standstill.look(&resting).end.unwrap(),
            "500: 300.0 days to wait"
        );
    }
}
