//! One limit through its whole life: its changes, its neighbour, and the list of what was taken.

use super::super::config::NeighbourRule;
use super::super::rule::{Entry, Kind, Rule};
use super::Counted;
use super::meter::{Meter, Standing};
use super::neighbour::Neighbour;

#[derive(Debug, Clone)]
pub(in crate::sim) struct Account {
    pub(in crate::sim) counted: Counted,
    pub(in crate::sim) rule: Rule,
    /// Steps of the rule that have come.
    come: usize,
    /// Since when there is a limit, if there is one.
    since: u64,
    /// None while there is no limit.
    pub(super) meter: Option<Meter>,
    neighbour: Option<Neighbour>,
    /// In the order of their time.
    pub(in crate::sim) log: Vec<Entry>,
    /// The most that answers have taken above the capacity.
    pub(in crate::sim) most_debt: u64,
}

impl Account {
    pub(in crate::sim) fn new(
        counted: Counted,
        rule: Rule,
        neighbour: Option<NeighbourRule>,
    ) -> Self {
        let mut account = Self {
            counted,
            rule,
            come: 0,
            since: 0,
            meter: None,
            neighbour: neighbour.map(Neighbour::new),
            log: Vec::new(),
            most_debt: 0,
        };
        account.advance(0);
        account
    }

    /// Lives through everything up to `now`: each change of the limit and each charge of the
    /// neighbour, one after the other.
    pub(super) fn advance(&mut self, now: u64) {
        loop {
            let change = self.rule.steps.get(self.come).copied();
            let change = change.filter(|(from, _)| *from <= now);
            let due = self.neighbour.as_ref().map(|it| it.next);
            let due = due.filter(|at| *at <= now && *at < u64::MAX);
            match (change, due) {
                // What is taken at the time of a change falls under the new limit.
                (Some((from, limit)), due) if due.is_none_or(|at| from <= at) => {
                    self.change(limit, from);
                }
                (_, Some(at)) => self.charge_neighbour(at),
                _ => break,
            }
        }
        self.settle_neighbour(now);
    }

    fn change(&mut self, limit: Option<u64>, from: u64) {
        self.come += 1;
        match (&mut self.meter, limit) {
            (Some(meter), Some(limit)) => meter.change(limit, from),
            (meter, limit) => {
                self.since = from;
                *meter = limit.map(|limit| Meter::new(&self.rule, limit, from));
            }
        }
    }

    fn charge_neighbour(&mut self, at: u64) {
        if let Some(neighbour) = &mut self.neighbour {
            let limit = self.meter.as_ref().map_or(0, |meter| meter.limit);
            neighbour.fall_due(limit, self.rule.period);
        }
        self.settle_neighbour(at);
    }

    /// The neighbour takes what is owed and fits.
    fn settle_neighbour(&mut self, now: u64) {
        let (Some(neighbour), Some(meter)) = (&mut self.neighbour, &mut self.meter) else {
            return;
        };
        let amount = neighbour.owed.min(meter.room(now));
        if amount > 0 {
            neighbour.owed -= amount;
            meter.take(amount, now);
            self.log.push(Entry {
                at: now,
                amount,
                kind: Kind::Neighbour,
            });
        }
    }

    /// What one more request of `tokens` asks of it.
    pub(super) fn asked(&self, tokens: u64) -> u64 {
        match self.counted {
            Counted::Requests | Counted::DailyRequests => 1,
            Counted::Tokens | Counted::DailyTokens => tokens,
        }
    }

    /// Takes the charge of an admitted request, and writes it down.
    pub(super) fn take(&mut self, amount: u64, now: u64) {
        if let Some(meter) = &mut self.meter {
            meter.take(amount, now);
            self.log.push(Entry {
                at: now,
                amount,
                kind: Kind::Admitted,
            });
        }
    }

    /// Takes a request that was refused from a limit on requests, if there is room. It is not
    /// written down: the audit judges what was admitted, and this only admits less.
    pub(super) fn take_for_refusal(&mut self, now: u64) {
        let counts = matches!(self.counted, Counted::Requests | Counted::DailyRequests);
        if let (true, Some(meter)) = (counts, &mut self.meter) {
            meter.take_within(1, now);
        }
    }

    /// Gives back what an admitted request of `taken_at` did not use.
    pub(super) fn give_back(&mut self, amount: u64, taken_at: u64, now: u64) {
        let Some(meter) = &mut self.meter else {
            return;
        };
        // What was taken before the limit existed was never charged to it.
        if taken_at >= self.since && meter.give_back(amount, taken_at, now) {
            self.log.push(Entry {
                at: now,
                amount,
                kind: Kind::GivenBack,
            });
        }
    }

    /// Takes what an answer came to, whether there is room or not.
    pub(super) fn take_answer(&mut self, amount: u64, now: u64) {
        if let Some(meter) = &mut self.meter {
            meter.take(amount, now);
            self.most_debt = self.most_debt.max(meter.debt(now));
            self.log.push(Entry {
                at: now,
                amount,
                kind: Kind::Answered,
            });
        }
    }

    pub(super) fn standing(&self, now: u64) -> Option<Standing> {
        self.meter.as_ref().map(|meter| meter.standing(now))
    }
}
