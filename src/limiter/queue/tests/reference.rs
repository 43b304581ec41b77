//! The queue by its definition: which waiter is first, and the first nanosecond at which it fits.

mod outlook; // how it stands, and when whose turn will come

use super::windows::Windows;
use super::*;
use crate::limiter::failure::Failure;

/// A waiter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) place: u64,
    cost: Cost,
    priority: Priority,
    pub(super) deadline: Option<u64>,
    joined: u64,
}

/// What the line should be. It keeps no level and no order: it looks for each anew.
pub(super) struct Reference {
    pub(super) now: u64,
    quotas: Vec<Windows>,
    most_in_flight: Option<u64>,
    in_flight: u64,
    rules: Rules,
    pub(super) waiting: Vec<Waiting>,
    next_place: u64,
    /// How many interactive requests were granted in a row while batch work waited.
    in_a_row: u32,
    paused_until: u64,
    closed: bool,
    counters: Counters,
    granted: Cost,
    pub(super) log: Vec<Told>,
}

impl Reference {
    pub(super) fn new(limits: &Limits, rules: Rules) -> Self {
        let quotas = limits.quotas().iter();
        Self {
            now: 0,
            quotas: quotas.map(|quota| Windows::starting(*quota, 0)).collect(),
            most_in_flight: limits.in_flight(),
            in_flight: 0,
            rules,
            waiting: Vec::new(),
            next_place: 0,
            in_a_row: 0,
            paused_until: 0,
            closed: false,
            counters: Counters::default(),
            granted: Cost::default(),
            log: Vec::new(),
        }
    }

    /// The first time at which a cost fits, and is let in, if nothing else comes before it.
    fn turn(&self, cost: Cost) -> u64 {
        if self
            .most_in_flight
            .is_some_and(|most| self.in_flight >= most)
        {
            return u64::MAX;
        }
        let fits = self.quotas.iter();
        let fits = fits.map(|quota| quota.first_fit(self.now, cost.amount(quota.quota.unit())));
        fits.fold(self.paused_until.max(self.now), u64::max)
    }

    fn too_large(&self, cost: Cost) -> Option<Quota> {
        let mut quotas = self.quotas.iter().map(|quota| quota.quota);
        let is_too_large =
            |quota: &Quota| !quota.is_provisional() && cost.amount(quota.unit()) > quota.amount();
        quotas.find(is_too_large)
    }

    /// Those of one priority come in the order of their places. After three interactive ones in a
    /// row it is the turn of batch work.
    fn head(&self) -> Option<Waiting> {
        let first = |priority| {
            let lane = self.waiting.iter().filter(|one| one.priority == priority);
            lane.min_by_key(|one| one.place).copied()
        };
        match (first(Priority::Interactive), first(Priority::Batch)) {
            (Some(_), Some(batch)) if self.in_a_row >= 3 => Some(batch),
            (interactive, batch) => interactive.or(batch),
        }
    }

    /// Serves the line up to a time.
    pub(super) fn run_until(&mut self, target: u64) {
        while let Some(head) = self.head() {
            let turn = self.turn(head.cost);
            let with_deadlines = self.waiting.iter().filter(|one| one.deadline.is_some());
            let first = with_deadlines.min_by_key(|one| (one.deadline, one.place));
            // On a tie the grant wins, and late waiters are looked at now.
            let late = first
                .copied()
                .filter(|one| one.deadline < Some(turn) && self.now < turn);
            let next = late.map_or(turn, |one| one.deadline.unwrap().max(self.now));
            if next > target || next == u64::MAX {
                break;
            }
            self.now = next;
            match late {
                Some(late) => {
                    self.counters.timed_out += 1;
                    self.answer(late, Answer::TimedOut);
                }
                None => {
                    self.count_in_row(head);
                    self.counters.waited += 1;
                    let waited = Duration::from_nanos(turn - head.joined);
                    self.counters.total_wait += waited;
                    self.counters.longest_wait = self.counters.longest_wait.max(waited);
                    let grant = self.grant(head.cost, head.place);
                    self.answer(head, Answer::Granted(grant));
                }
            }
        }
        self.now = self.now.max(target);
    }

    fn count_in_row(&mut self, granted: Waiting) {
        let mut others = self.waiting.iter().filter(|one| one.place != granted.place);
        let batch_waits = others.any(|one| one.priority == Priority::Batch);
        self.in_a_row = match granted.priority {
            Priority::Interactive if batch_waits => self.in_a_row + 1,
            _ => 0,
        };
    }

    fn grant(&mut self, cost: Cost, place: u64) -> Grant {
        self.take(cost, 1);
        self.in_flight += u64::from(self.most_in_flight.is_some());
        self.counters.grants += 1;
        self.granted = self.granted.saturating_add(cost);
        Grant {
            at: Tick(self.now),
            place,
            in_flight: u64::from(self.most_in_flight.is_some()),
            landing: Landing::Unknown,
            spent: None,
        }
    }

    fn take(&mut self, cost: Cost, sign: i128) {
        for quota in &mut self.quotas {
            quota.record(self.now, sign * i128::from(cost.amount(quota.quota.unit())));
        }
    }

    fn answer(&mut self, one: Waiting, answer: Answer) {
        self.waiting.retain(|other| other.place != one.place);
        let is_batch = |one: &Waiting| one.priority == Priority::Batch;
        if !self.waiting.iter().any(is_batch) {
            self.in_a_row = 0;
        }
        self.log.push(Told {
            place: one.place,
            cost: one.cost,
            priority: one.priority,
            answer,
            at: self.now,
            overtaken: false,
        });
    }

    /// A request comes, and joins the queue if it has to wait and `joins`.
    pub(super) fn come(&mut self, coming: Coming) -> Outcome {
        if self.closed {
            return Outcome::Closed;
        }
        self.run_until(self.now);
        let Asked {
            cost,
            priority,
            place: kept,
        } = coming.asked;
        if let Some(quota) = self.too_large(cost) {
            return Outcome::TooLarge(quota.unit(), quota.amount(), quota.period());
        }
        let one = Waiting {
            place: kept.unwrap_or(self.next_place),
            cost,
            priority,
            deadline: coming.deadline,
            joined: self.now,
        };
        if self.turn(cost) == self.now {
            let is_next = self.with(one).head().unwrap().place == one.place;
            let overtaken = !is_next && self.rules.bypass && self.may_pass(cost);
            if is_next || overtaken {
                if is_next {
                    self.count_in_row(one);
                }
                self.counters.overtaken += u64::from(overtaken);
                self.next_place += u64::from(kept.is_none());
                let grant = self.grant(cost, one.place);
                self.answer(one, Answer::Granted(grant));
                self.log.last_mut().unwrap().overtaken = overtaken;
                self.run_until(self.now);
                return Outcome::Granted;
            }
        }
        if coming.only_tries {
            return Outcome::WouldBlock;
        }
        if coming.asks_first
            && coming
                .deadline
                .is_some_and(|at| self.forecast(coming.asked) > at)
        {
            self.counters.rejected += 1;
            return Outcome::Hopeless;
        }
        let most = self.rules.max_waiters.unwrap_or(usize::MAX);
        if kept.is_none() && self.waiting.len() >= most {
            self.counters.queue_full += 1;
            return Outcome::QueueFull;
        }
        self.next_place += u64::from(kept.is_none());
        self.waiting.push(one);
        if !coming.alarm_is_late || coming.is_over {
            self.run_until(self.now);
        }
        Outcome::Waits(one.place)
    }

    /// The same line to be played on, without its past answers.
    fn ahead(&self) -> Self {
        Self {
            quotas: self.quotas.clone(),
            waiting: self.waiting.clone(),
            log: Vec::new(),
            ..*self
        }
    }

    fn with(&self, one: Waiting) -> Self {
        let mut with = self.ahead();
        with.waiting.push(one);
        with
    }

    /// Whether the head's turn stays when it is, if `cost` is granted now.
    fn may_pass(&self, cost: Cost) -> bool {
        let head = self.head().unwrap().cost;
        let mut after = self.ahead();
        after.grant(cost, u64::MAX);
        after.turn(head) == self.turn(head)
    }

    /// A permit ends, or gives something back.
    pub(super) fn settle(&mut self, reserved: Cost, actual: Cost, lands: bool) {
        self.in_flight -= u64::from(lands);
        for quota in &mut self.quotas {
            let unit = quota.quota.unit();
            let more = i128::from(actual.amount(unit)) - i128::from(reserved.amount(unit));
            quota.record(self.now, more);
        }
        self.run_until(self.now);
    }

    pub(super) fn pause_until(&mut self, until: u64) {
        self.paused_until = self.paused_until.max(until);
        self.run_until(self.now);
    }

    pub(super) fn resume(&mut self) {
        self.paused_until = 0;
        self.run_until(self.now);
    }

    /// What is used stays used.
    pub(super) fn set_limits(&mut self, limits: &Limits) {
        self.most_in_flight = limits.in_flight();
        let old = std::mem::take(&mut self.quotas);
        for (index, quota) in limits.quotas().iter().enumerate() {
            let new = self.successor(&old, limits.quotas(), index);
            self.quotas
                .push(new.unwrap_or_else(|| Windows::starting(*quota, self.now)));
        }
        self.answer_where(|this, one| this.too_large(one.cost).map(Answer::TooLarge));
        self.run_until(self.now);
    }

    /// The first of a kind follows the first, and the second the second. One without a
    /// predecessor follows the first of its kind, or of those of its unit that end the one of the
    /// most similar period, as far as that was used up.
    fn successor(&self, old: &[Windows], new: &[Quota], index: usize) -> Option<Windows> {
        let kind = |quota: &Quota| (quota.unit(), quota.period());
        let quota = new[index];
        let same = old.iter().filter(|old| kind(&old.quota) == kind(&quota));
        let same: Vec<_> = same.collect();
        let nth = new[..index].iter().filter(|new| kind(new) == kind(&quota));
        if let Some(own) = same.get(nth.count()).or(same.first()) {
            return Some(own.resized(quota, self.now));
        }
        let ends = |old: &&Windows| !new.iter().any(|new| kind(new) == kind(&old.quota));
        let of_unit = old.iter().filter(|old| old.quota.unit() == quota.unit());
        let nearest = of_unit.filter(ends).min_by_key(|old| {
            let (from, to) = (old.quota.period(), quota.period());
            from.max(to) - from.min(to)
        });
        Some(nearest?.resized(quota, self.now).forgiven(self.now))
    }

    pub(super) fn set_level(&mut self, unit: Unit, period: Duration, left: i64) -> bool {
        let mut is_found = false;
        for quota in &mut self.quotas {
            if quota.is_of(unit, period) {
                quota.set_left(left, self.now);
                is_found = true;
            }
        }
        self.run_until(self.now);
        is_found
    }

    pub(super) fn leave(&mut self, place: u64) {
        self.answer_where(|_, one| (one.place == place).then_some(Answer::Cancelled));
        self.counters.cancelled += 1;
        self.run_until(self.now);
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.answer_where(|_, _| Some(Answer::Failed(Failure::Closed)));
    }

    /// The interactive first.
    fn answer_where(&mut self, answer: impl Fn(&Self, &Waiting) -> Option<Answer>) {
        let mut all = self.waiting.clone();
        all.sort_by_key(|one| (one.priority == Priority::Batch, one.place));
        for one in all {
            if let Some(answer) = answer(self, &one) {
                self.answer(one, answer);
            }
        }
    }
}
