//! A line that is fed from a store: what is granted has been booked there.
//!
//! Its levels are the store's, as of its last answer, and are for looking at. Only while the store
//! cannot be reached, and its limits are to be divided, are they levels to grant by.

use std::time::Duration;

use super::super::forecast::Forecast;
use super::super::hearing::{MINUTE, period};
use super::super::level::{Level, Tick};
use super::super::shared::{Account, Answer as Heard, OnOutage, Order, Visit, part};
use super::{Answer, Asked, Grant, Queue};
use crate::cost::Cost;
use crate::feedback::{Feedback, Refusal, Verdict};
use crate::quota::{Limits, MAX_AMOUNT, Quota};
use crate::{Error, Result};

impl Queue {
    /// Has the line fed from a store.
    pub(in crate::limiter) fn feed(&mut self, account: Account, now: Tick) {
        self.levels = whole(account.quotas(), now);
        if account.jitter().is_some() {
            self.slots.open_window();
        }
        self.account = Some(Box::new(account));
    }

    /// When the store has to be visited.
    pub(in crate::limiter) fn wish(&mut self, now: Tick) -> Option<Tick> {
        let room = self.slots.free();
        self.account.as_mut()?.wish(room, now)
    }

    /// Whether another may be in flight.
    pub(in crate::limiter) fn has_room(&self) -> bool {
        self.slots.has(1)
    }

    pub(in crate::limiter) fn account(&mut self) -> Option<&mut Account> {
        self.account.as_deref_mut()
    }

    /// Takes a cost from what is booked, if that is what is granted.
    pub(super) fn grant_booked(&mut self, cost: Cost, place: u64, now: Tick) -> Option<Grant> {
        let account = self.account.as_mut()?;
        if !account.is_fed() {
            account.spent(cost);
            return None;
        }
        account.take(cost);
        let spent = account.counted();
        let grant = self.granted(&cost, place, now);
        Some(Grant { spent, ..grant })
    }

    /// Whether a cost is booked, if that is what is granted.
    pub(super) fn is_booked(&self, cost: Cost) -> Option<bool> {
        let account = self.account.as_ref().filter(|account| account.is_fed())?;
        Some(account.covers(cost))
    }

    pub(super) fn check_shared(account: &Account, cost: Cost) -> Result<()> {
        for quota in account.quotas() {
            let amount = cost.amount(quota.unit());
            if amount > quota.amount() && !quota.is_assumed() {
                return Err(quota.too_large(amount));
            }
        }
        match account.outage() {
            Some(OnOutage::Closed) => Err(Error::StoreDown),
            _ => Ok(()),
        }
    }

    /// When a request would be served that joined the line, as far as this process knows: those of
    /// others are left out.
    pub(super) fn predict_booked(&self, asked: Asked, now: Tick) -> Option<Tick> {
        let account = self.account.as_ref().filter(|account| account.is_fed())?;
        let before = self.lanes.before(asked.priority, asked.place);
        let costs = before.map(|waiter| waiter.asked.cost).chain([asked.cost]);
        let start = self.paused_until.max(now);
        Some(match account.due_of_last(costs) {
            Ok(due) => due.max(start),
            Err(unbooked) => {
                let mut ahead = Forecast::new(self.levels.iter(), start);
                let turns = unbooked.into_iter().map(|cost| ahead.pass(cost));
                turns.last().unwrap_or(start)
            }
        })
    }

    /// Begins a visit to the store, if it is time for one.
    pub(in crate::limiter) fn visit(&mut self, now: Tick) -> Option<(Visit, u64)> {
        let account = self.account.as_mut()?;
        account.take_in(now);
        let line = self.lanes.in_order();
        let line = line.map(|waiter| (waiter.asked.cost, now.since(waiter.joined)));
        let visit = account.visit(line, self.lanes.len(), self.slots.free(), now)?;
        Some((visit, self.next_place))
    }

    /// Takes in what the store answered to a visit. `local` turns its times into ticks.
    pub(in crate::limiter) fn heard(
        &mut self,
        (visit, before): &(Visit, u64),
        answer: &Heard,
        local: impl Fn(u64) -> Tick,
    ) {
        let Some(account) = &mut self.account else {
            return;
        };
        let Heard::Heard(heard) = answer else {
            account.forgotten();
            return;
        };
        account.heard(visit, heard, &local);
        let now = local(heard.now);
        let mut levels = whole(account.quotas(), local(heard.time));
        for (level, left) in levels.iter_mut().zip(&heard.levels) {
            level.set_whole(*left);
        }
        let pause = local(heard.paused_until);
        let is_told = !account.has_order(|order| matches!(order, Order::Pause(_)));
        if is_told {
            self.paused_until = pause;
        }
        if pause > now.after(account.horizon()) {
            // What is booked for now would be void by then.
            account.hand_back_all();
        }
        let late = account.answered_at_once(*before);
        self.levels = levels;
        if heard.limits.is_some() {
            self.release_too_large();
        }
        self.serve(now);
        self.release_hopeless(now);
        for place in late {
            if let Some(waiter) = self.lanes.remove(place) {
                self.answer(waiter, Answer::TimedOut);
            }
        }
    }

    /// Answers heads whose deadline comes before their turn, as the store's levels have it.
    fn release_hopeless(&mut self, now: Tick) {
        while let Some(head) = self.lanes.head()
            && let Some(deadline) = head.deadline
        {
            let (place, asked) = (head.place, head.asked);
            let asked = Asked {
                place: Some(place),
                ..asked
            };
            let turn = self.predict_booked(asked, now);
            if turn.is_none_or(|turn| turn <= deadline) {
                return;
            }
            if let Some(waiter) = self.lanes.remove(place) {
                self.answer(waiter, Answer::TimedOut);
            }
        }
    }

    /// A visit was not answered, and will be repeated.
    pub(in crate::limiter) fn unanswered(&mut self) {
        if let Some(account) = &mut self.account {
            account.unanswered();
        }
    }

    /// The store cannot be reached.
    pub(in crate::limiter) fn cut(&mut self, rule: OnOutage, now: Tick) {
        let Some(account) = &mut self.account else {
            return;
        };
        let is_new = account.outage().is_none();
        account.cut(rule, now);
        let late = account.answered_at_once(u64::MAX);
        match rule {
            OnOutage::Closed => self.answer_where(|_| Some(Answer::StoreDown)),
            OnOutage::Share if is_new => {
                let people = account.people();
                let parts = account.quotas().iter();
                let parts = parts.filter_map(|quota| part(*quota, people).ok());
                self.levels = parts.map(|quota| Level::starting(quota, now)).collect();
            }
            OnOutage::Share | OnOutage::Lease => {}
        }
        for place in late {
            if let Some(waiter) = self.lanes.remove(place) {
                self.answer(waiter, Answer::TimedOut);
            }
        }
    }

    /// The store can be reached again.
    pub(in crate::limiter) fn back(&mut self, now: Tick) {
        if let Some(account) = &mut self.account {
            account.back(now);
            self.levels = whole(account.quotas(), now);
            if account.jitter().is_some() {
                self.slots.open_window();
            }
        }
    }

    /// Tells the store of something that changes for all.
    pub(super) fn order(&mut self, order: Order) {
        if let Some(account) = &mut self.account {
            account.order(order);
        }
    }

    /// Has other limits held by all.
    pub(super) fn order_limits(&mut self, limits: &Limits) {
        self.order(Order::Hold(limits.quotas().to_vec(), 0));
    }

    /// A refusal says what is left: what was asked for will have come in after the wait. Others have
    /// taken the rest, so no more than that is left here, or the next would be refused as well.
    fn believe(&mut self, refusal: &Refusal, cost: Cost, wait: Duration) {
        let Some(unit) = refusal.unit else { return };
        let period = refusal.period.unwrap_or(MINUTE);
        let mut levels = self.levels.iter();
        let Some(quota) = levels.find(|level| level.is_of(unit, period)) else {
            return;
        };
        let quota = quota.quota();
        let asked = refusal.requested.unwrap_or(cost.amount(unit));
        let asked = i64::try_from(asked).unwrap_or(i64::MAX);
        let comes = i64::try_from(quota.amount_in(wait)).unwrap_or(i64::MAX);
        let left = asked.saturating_sub(comes);
        self.order(Order::Most(unit, quota.period(), left));
    }

    /// Hears what an answer says: a refusal holds back all who share the limiter, and a limit
    /// that the server names holds for all, as does what it says is left. Returns what stays charged.
    pub(super) fn hear_shared(
        &mut self,
        grant: &Grant,
        cost: Cost,
        feedback: &Feedback,
        now: Tick,
    ) -> Cost {
        let mut charged = cost;
        if let Verdict::Refused(refusal) = &feedback.verdict
            && let Some(wait) = refusal.wait
        {
            charged = Cost::default();
            self.settle(cost, charged, now);
            if !wait.is_zero() {
                self.pause_all_until(now.after(wait), now);
                self.believe(refusal, cost, wait);
            }
        }
        let Some(account) = &mut self.account else {
            return charged;
        };
        if let Some(jitter) = account.jitter()
            && !account.has_order(|order| matches!(order, Order::Hold(..)))
            && let Some(quotas) = told(account, feedback, jitter)
        {
            let epoch = account.epoch();
            account.order(Order::Hold(quotas, epoch));
        }
        if let (Verdict::Admitted, Some(counted)) = (&feedback.verdict, &grant.spent) {
            account.hear_left(grant.at, **counted, &feedback.reports);
        }
        charged
    }
}

/// Levels of these quotas, full.
fn whole(quotas: &[Quota], at: Tick) -> Vec<Level> {
    quotas.iter().map(|quota| Level::full(*quota, at)).collect()
}

/// The limits as an answer says that they are, if it says that they are others: a guess gives way,
/// and what this process was told is a ceiling.
fn told(account: &Account, feedback: &Feedback, jitter: Duration) -> Option<Vec<Quota>> {
    let mut quotas = account.quotas().to_vec();
    let same = |quota: &Quota, other: &Quota| {
        (quota.unit(), quota.period()) == (other.unit(), other.period())
    };
    for report in &feedback.reports {
        let Some(limit) = report.limit else { continue };
        let period = period(report).unwrap_or(MINUTE);
        let Ok(told) = Quota::new(report.unit, limit.min(MAX_AMOUNT), period) else {
            continue;
        };
        let ceiling = account.own().iter().find(|own| same(own, &told));
        let ceiling = ceiling.filter(|own| !own.is_assumed());
        let told = match ceiling {
            Some(own) if own.amount() <= told.amount() => *own,
            Some(_) => told.allow_jitter(jitter),
            None => told.allow_jitter(jitter).assumed(),
        };
        if let Some(quota) = quotas.iter_mut().find(|quota| same(quota, &told))
            && quota.amount() != told.amount()
        {
            *quota = told;
        }
    }
    (quotas != account.quotas()).then_some(quotas)
}
