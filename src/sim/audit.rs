//! The second opinion: from the list of what was taken alone, was any window too full?

use std::time::Duration;

use super::rule::{Entry, Kind, Rule};

/// The window that is fuller than its limit allows by most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Excess {
    /// Above what is allowed, rounded up.
    pub(super) amount: u64,
    pub(super) from: Duration,
    pub(super) until: Duration,
}

/// Looks at every window that ends when something was taken, for the one that holds most above
/// what its limit allows. None when none is above.
pub(super) fn largest_excess(rule: &Rule, log: &[Entry]) -> Option<Excess> {
    let admitted = log.iter().filter(|entry| entry.kind == Kind::Admitted);
    let mut audit = Audit {
        rule,
        step: 0,
        largest: admitted.map(|entry| entry.amount).max().unwrap_or(0),
        leaked: 0,
        at: 0,
        sum: 0,
        lowest: None,
        window: 0,
        worst: None,
    };
    for entry in log {
        audit.move_to(entry.at);
        audit.add(*entry);
    }
    let (over, from, until) = audit.worst?;
    let amount = u128::try_from(over)
        .unwrap_or(0)
        .div_ceil(u128::from(rule.period.max(1)));
    Some(Excess {
        amount: u64::try_from(amount).unwrap_or(u64::MAX),
        from: Duration::from_nanos(from),
        until: Duration::from_nanos(until),
    })
}

/// The ledger simulates a leak; this does not. With P the amount up to and including an entry and
/// L all that could have leaked by then, window i..j is above its burst by
/// [P(j) − L(j)] − [P(i − 1) − L(i)] − burst, and one pass that remembers the smallest second
/// bracket finds the largest. Amounts are multiplied by the period's nanoseconds.
struct Audit<'a> {
    rule: &'a Rule,
    step: usize,
    /// A charge above the burst is admitted when nothing is used, and then stands in its place.
    largest: u64,
    leaked: i128,
    at: u64,
    sum: i128,
    lowest: Option<(i128, u64)>,
    /// Which of the fixed windows `sum` is of.
    window: u64,
    worst: Option<(i128, u64, u64)>,
}

impl Audit<'_> {
    /// Through all changes of the limit up to `at`.
    fn move_to(&mut self, at: u64) {
        while let Some((from, limit)) = self.rule.steps.get(self.step + 1) {
            if *from > at {
                break;
            }
            self.leak_until(*from);
            if self.limit().is_none() || limit.is_none() {
                // What passed without a limit is not part of any window.
                (self.sum, self.lowest) = (0, None);
            }
            self.step += 1;
        }
        self.leak_until(at);
        let span = self.rule.span.max(1);
        if self.rule.windows && at / span != self.window {
            self.window = at / span;
            self.sum = 0;
        }
    }

    fn leak_until(&mut self, at: u64) {
        let time = u128::from(at.saturating_sub(self.at));
        let amount = u128::from(self.limit().unwrap_or(0)).saturating_mul(time);
        self.leaked = self.leaked.saturating_add(signed(amount));
        self.at = self.at.max(at);
    }

    fn limit(&self) -> Option<u64> {
        self.rule.steps.get(self.step).and_then(|(_, limit)| *limit)
    }

    fn add(&mut self, entry: Entry) {
        let Some(limit) = self.limit() else { return };
        let period = u128::from(self.rule.period);
        let before = self.sum.saturating_sub(self.leaked);
        if self.lowest.is_none_or(|(value, _)| before < value) {
            self.lowest = Some((before, entry.at));
        }
        let amount = signed(u128::from(entry.amount).saturating_mul(period));
        self.sum = match entry.kind {
            Kind::Admitted | Kind::Neighbour | Kind::Answered => self.sum.saturating_add(amount),
            Kind::GivenBack => self.sum.saturating_sub(amount),
        };
        let (held, from) = if self.rule.windows {
            (self.sum, self.window.saturating_mul(self.rule.span))
        } else {
            let (lowest, from) = self.lowest.unwrap_or((before, entry.at));
            let after = self.sum.saturating_sub(self.leaked);
            (after.saturating_sub(lowest), from)
        };
        let within = u128::from(limit) * u128::from(self.rule.span) / period.max(1);
        let allowed = within.max(1).max(u128::from(self.largest));
        let over = held.saturating_sub(signed(allowed.saturating_mul(period)));
        // The answer's tokens pass no admission check; the next admission is judged with them counted.
        let judged = matches!(entry.kind, Kind::Admitted | Kind::Neighbour);
        if judged && over > 0 && self.worst.is_none_or(|(most, ..)| over > most) {
            self.worst = Some((over, from, entry.at));
        }
    }
}

fn signed(value: u128) -> i128 {
    i128::try_from(value).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::rule::MINUTE;
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rule(limit: u64, span: u64) -> Rule {
        Rule {
            steps: vec![(0, Some(limit))],
            period: MINUTE,
            span,
            windows: false,
        }
    }

    fn log(charges: &[(u64, u64)]) -> Vec<Entry> {
        let entry = |(at, amount): &(u64, u64)| Entry {
            at: *at,
            amount: *amount,
            kind: Kind::Admitted,
        };
        charges.iter().map(entry).collect()
    }

    fn excess(limit: u64, burst: u64, charges: &[(u64, u64)]) -> Option<u64> {
        largest_excess(&rule(limit, burst * SECOND), &log(charges)).map(|it| it.amount)
    }

    #[test]
    fn windows_are_judged_by_hand_made_examples() {
        // limit a minute, burst in seconds, (seconds, charge)…, the largest excess
        let table: [(_, _, &[(u64, u64)], _); 9] = [
            (60, 60, &[], None),
            (60, 60, &[(0, 60)], None),
            (60, 60, &[(0, 60), (0, 1)], Some(1)),
            (60, 60, &[(0, 60), (1, 1)], None),
            (60, 60, &[(0, 60), (1, 2)], Some(1)),
            (60, 1, &[(0, 1), (1, 1), (2, 1)], None),
            (60, 1, &[(0, 1), (1, 1), (1, 1)], Some(1)),
            // A long quiet time earns nothing beyond the burst.
            (60, 10, &[(0, 1), (1_000, 10), (1_000, 5)], Some(5)),
            // 30 is above the burst of 10 and takes its place; the debt is 30 s long.
            (60, 10, &[(0, 30), (29, 10), (29, 20)], Some(1)),
        ];
        for (step, (limit, burst, charges, expected)) in table.into_iter().enumerate() {
            let charges: Vec<_> = charges.iter().map(|(at, n)| (at * SECOND, *n)).collect();
            assert_eq!(excess(limit, burst, &charges), expected, "step {step}");
        }
    }

    #[test]
    fn a_nanosecond_too_early_is_found_and_rounded_up() {
        assert_eq!(excess(60, 60, &[(0, 60), (SECOND - 1, 1)]), Some(1));
        assert_eq!(excess(60, 60, &[(0, 60), (SECOND, 1)]), None);
    }

    #[test]
    fn the_window_is_named() {
        let charges = [(0, 1), (5 * SECOND, 60), (6 * SECOND, 9)];
        let found = largest_excess(&rule(60, MINUTE), &log(&charges)).unwrap();
        assert_eq!(found.from, Duration::from_secs(5));
        assert_eq!(found.until, Duration::from_secs(6));
        assert_eq!(found.amount, 8);
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let charges = [(0, u64::MAX), (u64::MAX, u64::MAX)];
        largest_excess(&rule(u64::MAX, u64::MAX), &log(&charges));
        largest_excess(&rule(0, 0), &log(&charges));
    }

    #[test]
    fn fixed_windows_are_counted_one_by_one() {
        // 60 a minute in windows of 10 s: 10 in each
        let table: [(&[(u64, u64)], _); 5] = [
            (&[(0, 5), (9, 5), (10, 10), (19, 0)], None),
            (&[(0, 5), (9, 6)], Some(1)),
            (&[(9, 10), (10, 10), (11, 3)], Some(3)),
            (&[(0, 10), (10, 10), (20, 10), (29, 2)], Some(2)),
            (&[(0, 30), (10, 30)], None), // above what a window holds, each in one of its own
        ];
        for (step, (charges, expected)) in table.into_iter().enumerate() {
            let charges: Vec<_> = charges.iter().map(|(at, n)| (at * SECOND, *n)).collect();
            let rule = Rule {
                windows: true,
                ..rule(60, 10 * SECOND)
            };
            let found = largest_excess(&rule, &log(&charges));
            assert_eq!(found.map(|it| it.amount), expected, "step {step}");
        }
    }

    #[test]
    fn each_time_is_judged_by_its_own_limit() {
        // 60 a minute, from 10 s on 600, from 20 s on none, from 30 s on 60; burst 1 s
        let rule = Rule {
            steps: vec![(0, Some(60)), (10, Some(600)), (20, None), (30, Some(60))]
                .into_iter()
                .map(|(at, limit)| (at * SECOND, limit))
                .collect(),
            ..rule(0, SECOND)
        };
        let table: [(&[(u64, u64)], _); 6] = [
            (&[(0, 1), (1, 1), (10, 1)], None),
            (&[(0, 1), (0, 1)], Some(1)),
            // What leaks between 9 s and 10 s is all of the first.
            (&[(9, 1), (10, 10)], None),
            (&[(10, 10), (11, 10), (11, 1)], Some(1)),
            (&[(20, 1), (20, 10), (29, 10), (30, 10)], None),
            (&[(30, 1), (30, 1)], Some(1)),
        ];
        for (step, (charges, expected)) in table.into_iter().enumerate() {
            let charges: Vec<_> = charges.iter().map(|(at, n)| (at * SECOND, *n)).collect();
            let found = largest_excess(&rule, &log(&charges));
            assert_eq!(found.map(|it| it.amount), expected, "step {step}");
        }
    }

    fn entry(at: u64, amount: u64, kind: Kind) -> Entry {
        Entry {
            at: at * SECOND,
            amount,
            kind,
        }
    }

    #[test]
    fn the_neighbour_counts_and_what_is_given_back_does_not() {
        let log = [
            entry(0, 40, Kind::Admitted),
            entry(0, 20, Kind::Neighbour),
            entry(0, 30, Kind::GivenBack),
            entry(0, 30, Kind::Admitted),
            entry(1, 3, Kind::Neighbour),
        ];
        for (length, expected) in [(1, None), (2, None), (3, None), (4, None), (5, Some(2))] {
            let found = largest_excess(&rule(60, MINUTE), &log[..length]);
            assert_eq!(found.map(|it| it.amount), expected, "first {length}");
        }
    }

    #[test]
    fn an_answer_may_leave_a_debt_and_what_is_let_in_before_that_is_paid_may_not() {
        let log = [
            entry(0, 40, Kind::Admitted),
            entry(1, 50, Kind::Answered), // 29 too much
            entry(31, 1, Kind::Admitted), // 30 s later there is room for one
            entry(31, 1, Kind::Admitted),
        ];
        for (length, expected) in [(1, None), (2, None), (3, None), (4, Some(1))] {
            let found = largest_excess(&rule(60, MINUTE), &log[..length]);
            assert_eq!(found.map(|it| it.amount), expected, "first {length}");
        }
    }
}
