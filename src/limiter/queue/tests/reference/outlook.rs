//! How a line stands by its definition, and when whose turn will come.

use super::*;
use crate::LimitOrigin;
use crate::limiter::failure::Failure;

impl Reference {
    /// All waiters in the order of their turns, and when those come if no waiter comes or goes, the
    /// places in flight aside.
    pub(in super::super) fn turns(&self) -> Vec<(u64, u64)> {
        let mut ahead = self.ahead();
        ahead.most_in_flight = None;
        for one in &mut ahead.waiting {
            one.deadline = None;
        }
        let mut turns = Vec::new();
        while let Some(head) = ahead.head() {
            ahead.now = ahead.turn(head.cost);
            turns.push((head.place, ahead.now));
            ahead.count_in_row(head);
            ahead.grant(head.cost, head.place);
            ahead.answer(head, Answer::Failed(Failure::Closed));
        }
        turns
    }

    /// When the turn of a request that joined now would come.
    pub(in super::super) fn forecast(&self, asked: Asked) -> u64 {
        let one = Waiting {
            place: asked.place.unwrap_or(self.next_place),
            cost: asked.cost,
            priority: asked.priority,
            deadline: None,
            joined: self.now,
        };
        let turns = self.with(one).turns();
        turns
            .iter()
            .find(|(place, _)| *place == one.place)
            .unwrap()
            .1
    }

    pub(in super::super) fn snapshot(&self) -> Snapshot {
        let wait = |until: u64| (until != u64::MAX).then(|| Duration::from_nanos(until - self.now));
        let head = self.head().map(|head| head.cost);
        let has_place = self.most_in_flight.is_none_or(|most| self.in_flight < most);
        let binding = head.filter(|_| has_place).and_then(|cost| {
            let fit = |quota: &&Windows| quota.first_fit(self.now, cost.amount(quota.quota.unit()));
            Some(self.quotas.iter().max_by_key(fit)?.quota)
        });
        let quotas = self.quotas.iter().map(|quota| QuotaSnapshot {
            origin: LimitOrigin::of(quota.quota, false),
            quota: quota.quota,
            level: quota.left(self.now),
            granted: self.granted.amount(quota.quota.unit()),
            reported: false,
            count_ratio: None,
            others: 0.0,
        });
        let batch = self
            .waiting
            .iter()
            .filter(|one| one.priority == Priority::Batch);
        Snapshot {
            quotas: quotas.collect(),
            in_flight: self.in_flight,
            max_in_flight: self.most_in_flight,
            window: None,
            waiters: self.waiting.len(),
            batch_waiters: batch.count(),
            head_cost: head,
            head_due: head.and_then(|cost| wait(self.turn(cost))),
            binding,
            counters: self.counters,
            paused_for: Duration::from_nanos(self.paused_until.saturating_sub(self.now)),
            closed: self.closed,
            #[cfg(feature = "redis")]
            store: None,
        }
    }

    pub(in super::super) fn waiters(&self) -> Vec<Waiter> {
        let since = |until: u64| Duration::from_nanos(until.saturating_sub(self.now));
        let seen = |(place, turn): (u64, u64)| {
            let one = self.waiting.iter().find(|one| one.place == place).unwrap();
            Waiter {
                thread: std::thread::current().name().map(str::to_owned),
                cost: one.cost,
                priority: one.priority,
                waited: Duration::from_nanos(self.now - one.joined),
                due: (turn != u64::MAX).then(|| since(turn)),
                deadline: one.deadline.map(since),
            }
        };
        self.turns().into_iter().map(seen).collect()
    }
}
