//! A store in memory, in a time of its own: for tests of many processes in one thread.
//!
//! It does what `script.lua` does, by a limiter's own buckets in place of steps, and is no copy of it:
//! where both agree with the limits of one process, as the tests of each hold, they agree.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::super::bucket::{Bucket, Tick};
use super::notes::{KEPT, Noted};
use super::reservations::{Amounts, Counts};
use super::scale;
use super::sync::{Order, StoreReply, SyncReply, SyncRequest};
use crate::quota::Quota;
use crate::unit::Unit;

/// All that a store knows of one limiter. Times are its own, in microseconds.
#[derive(Debug, Default)]
pub(in crate::limiter) struct MemoryStore {
    incarnation: Option<String>,
    horizon: u64,
    epoch: u64,
    quotas: Vec<Quota>,
    levels: Vec<Bucket>,
    time: u64,
    pause: u64,
    booked: Counts,
    moved: Counts,
    /// Since when the first waiter of each process waits that has not been booked for.
    line: BTreeMap<String, u64>,
    noted: u64,
    /// The last notes, with their numbers and authors.
    notes: VecDeque<(u64, String, Noted)>,
    people: BTreeMap<String, Record>,
    /// The process whose estimate the bookings follow, and when it last reported it.
    speaker: Option<(String, u64)>,
}

/// What is known of one process.
#[derive(Debug, Default)]
struct Record {
    turn: u64,
    late: Amounts,
    booked: Amounts,
    /// When it is to come again, and until when it is taken for alive.
    come: u64,
    alive: u64,
}

impl MemoryStore {
    pub(in crate::limiter) fn new(horizon: Duration) -> Self {
        Self {
            horizon: u64::try_from(horizon.as_micros()).unwrap_or(u64::MAX),
            ..Self::default()
        }
    }

    /// Answers a sync.
    pub(in crate::limiter) fn go(&mut self, sync: &SyncRequest, now: u64) -> StoreReply {
        let is_new = self.incarnation.is_none();
        if is_new {
            let Some(joins) = &sync.joins else {
                return StoreReply::Forgotten;
            };
            self.incarnation = Some(format!("{now}-{}", sync.name));
            self.time = now;
            self.hold(scale::decode(&joins.limits).unwrap_or_default());
            if !joins.start_full {
                for level in &mut self.levels {
                    level.set_available(0);
                }
            }
        }
        let incarnation = self.incarnation.clone().unwrap_or_default();
        if incarnation != sync.incarnation && sync.joins.is_none() {
            return StoreReply::Forgotten;
        }
        self.advance(now.max(self.time));
        self.bury(&sync.name, now);
        self.take_in(sync, now);
        let asked = sync.asks.len();
        let dues = self.book(sync, now);
        let come = self.people.get(&sync.name).map_or(0, |record| record.come);
        StoreReply::Synced(Box::new(SyncReply {
            incarnation,
            now,
            epoch: self.epoch,
            time: self.time,
            paused_until: self.pause,
            people: self.people.len().max(1) as u64,
            come: (asked > dues.len() || sync.has_more).then_some(come),
            dues,
            levels: self.levels.iter().map(Bucket::available).collect(),
            booked: self.booked,
            moved: self.moved,
            limits: (self.epoch != sync.epoch).then(|| self.quotas.clone()),
            noted: self.noted,
            notes: self.notes_for(sync),
        }))
    }

    /// What others have observed since the process read any.
    fn notes_for(&self, sync: &SyncRequest) -> Vec<Noted> {
        let is_new = self.incarnation.as_ref() != Some(&sync.incarnation);
        let notes = self
            .notes
            .iter()
            .filter(|(number, author, _)| *author != sync.name && (*number > sync.noted || is_new));
        notes.map(|(.., note)| note.clone()).collect()
    }

    fn advance(&mut self, to: u64) {
        self.time = self.time.max(to);
        for level in &mut self.levels {
            level.refill(Tick(self.time * 1_000));
        }
    }

    fn hold(&mut self, quotas: Vec<Quota>) {
        let mut buckets = super::super::supply::Buckets(std::mem::take(&mut self.levels));
        buckets.replace(&quotas, Tick(self.time * 1_000));
        self.levels = buckets.0;
        for level in &mut self.levels {
            level.set_available(level.available().max(0));
        }
        self.quotas = quotas;
        self.epoch += 1;
    }

    fn give(&mut self, amounts: Amounts) {
        count(&mut self.moved, amounts, -1);
        for level in &mut self.levels {
            level.give(amounts[level.unit().index()]);
        }
    }

    fn take(&mut self, amounts: Amounts) {
        for level in &mut self.levels {
            level.take(amounts[level.unit().index()]);
        }
    }

    /// What dead processes had booked and cannot have used comes back.
    fn bury(&mut self, me: &str, now: u64) {
        let is_dead = |(name, record): (&String, &Record)| {
            (name != me && record.alive < now).then(|| name.clone())
        };
        let dead: Vec<String> = self.people.iter().filter_map(is_dead).collect();
        for name in dead {
            self.line.remove(&name);
            if let Some(record) = self.people.remove(&name) {
                self.give(record.late);
            }
        }
    }

    /// Applies the report of a process once, even if the process repeats it.
    fn take_in(&mut self, sync: &SyncRequest, now: u64) {
        let record = self.people.entry(sync.name.clone()).or_default();
        let is_repeated = record.turn == sync.turn;
        let unknown = record.booked;
        if is_repeated {
            return self.give(unknown);
        }
        count(&mut self.moved, sync.told.taken, 1);
        self.take(sync.told.taken);
        self.give(sync.told.given);
        for order in &sync.told.orders {
            self.follow(order, sync, now);
        }
    }

    fn follow(&mut self, order: &Order, sync: &SyncRequest, now: u64) {
        let at = sync.at;
        match order {
            Order::Pause(until) => {
                let length = u64::try_from(until.since(at).as_micros()).unwrap_or(u64::MAX);
                self.pause = self.pause.max(now + length);
            }
            Order::Resume => self.pause = 0,
            Order::Hold(quotas, epoch) if [0, self.epoch].contains(epoch) => {
                self.hold(quotas.clone());
            }
            Order::Hold(..) => {}
            Order::SetLevel(unit, period, left) => self.set(*unit, *period, |_| *left),
            Order::Most(unit, period, left) => {
                self.set(*unit, *period, |level| level.available().min(*left));
            }
            Order::Left(left) => {
                let other = self.speaker.iter().find(|(name, _)| *name != sync.name);
                let speaks = other.is_none_or(|(_, spoke)| now > spoke + self.horizon);
                if speaks {
                    self.speaker = Some((sync.name.clone(), now));
                }
                let index = left.unit.index();
                let spent = self.booked[index] + self.moved[index] - left.counted;
                let highest = if left.may_raise { 20.0 } else { 1.0 };
                let pace = |quota: Quota| {
                    let pace = left.comes_in as f64 / 1e3 / quota.amount() as f64;
                    pace.clamp(0.01, highest)
                };
                let ahead = Duration::from_micros(self.time - now);
                for level in &mut self.levels {
                    if level.is_of(left.unit, left.period) && speaks {
                        let most = u64::try_from(left.most).unwrap_or(0).max(1);
                        let quota = level.quota();
                        let whole = self
                            .quotas
                            .iter()
                            .find(|whole| level.is_of(whole.unit(), whole.period()));
                        let burst = whole.map_or(quota.burst(), Quota::burst);
                        level.pace(quota.with_burst(most.min(burst)), 1.0);
                        level.fill_at(quota.amount() as f64 * pace(quota));
                    }
                }
                self.set(left.unit, left.period, |level| {
                    let quota = level.quota();
                    let came = quota.amount_in(ahead.mul_f64(pace(quota))).cast_signed();
                    let is_left = left.left - spent + came;
                    match (speaks, left.may_raise, left.is_refused) {
                        (true, true, _) => is_left,
                        (true, false, _) | (false, _, true) => is_left.min(level.available()),
                        (false, _, false) => level.available(),
                    }
                });
            }
            Order::Note(note) => {
                self.noted += 1;
                let age = u64::try_from(at.since(note.at).as_micros()).unwrap_or(u64::MAX);
                let note = Noted {
                    at: now.saturating_sub(age),
                    text: note.text.clone(),
                };
                self.notes.push_back((self.noted, sync.name.clone(), note));
                if self.notes.len() > KEPT {
                    self.notes.pop_front();
                }
            }
            Order::Quiesce => self.advance(self.time.max(now + self.horizon)),
        }
    }

    fn set(&mut self, unit: Unit, period: Duration, to: impl Fn(&Bucket) -> i64) {
        for level in &mut self.levels {
            if level.is_of(unit, period) {
                level.set_available(to(level));
            }
        }
    }

    /// Books for the waiters of a sync, as far as it is their turn, and returns when they are due.
    fn book(&mut self, sync: &SyncRequest, now: u64) -> Vec<u64> {
        let since = |nth: usize| {
            let waited = sync.asks[nth].waited.as_micros();
            now.saturating_sub(u64::try_from(waited).unwrap_or(u64::MAX))
        };
        let (mut is_allowed, mut come) = (true, now);
        if !sync.asks.is_empty() {
            self.line.insert(sync.name.clone(), since(0));
            let first = self.line.iter().min_by_key(|(_, since)| **since);
            if let Some((name, oldest)) = first.map(|(name, oldest)| (name.clone(), *oldest))
                && since(0) > oldest + self.horizon / 2
            {
                let other = self.people.get(&name).map_or(0, |record| record.come);
                match now <= other + self.horizon / 2 {
                    true => {
                        is_allowed = false;
                        come = other.max(now) + self.horizon / 32;
                    }
                    // It should have come, and has not.
                    false => drop(self.line.remove(&name)),
                }
            }
        }
        let people = self.people.len().max(1) as u64;
        let is_new = self.people.get(&sync.name).is_none_or(|it| it.turn == 0);
        let slice = match is_new {
            true => (self.horizon / (4 * people)).min(self.horizon / 64),
            false => self.horizon / (4 * people),
        };
        let begins = self.time.max(now);
        let (mut dues, mut booked, mut late) = (Vec::new(), Amounts::default(), sync.late);
        for ask in sync.asks.iter().take_while(|_| is_allowed) {
            let levels = self.levels.iter();
            let due = levels.map(|level| level.due(ask.amounts[level.unit().index()]));
            let due = due.fold(Tick(0), Tick::max).0.div_ceil(1_000);
            let due = due.max(self.time).max(now).max(self.pause);
            if due > now + self.horizon {
                come = due - 3 * self.horizon / 4;
                break;
            }
            if !dues.is_empty() && due > now && due > begins + slice {
                come = self.time.saturating_sub(self.horizon / 2);
                break;
            }
            self.advance(due);
            self.take(ask.amounts);
            count(&mut self.booked, ask.amounts, 1);
            for unit in 0..Unit::COUNT {
                booked[unit] += ask.amounts[unit];
                if due > now + self.horizon / 2 {
                    late[unit] += ask.amounts[unit];
                }
            }
            dues.push(due);
        }
        match dues.len() {
            all if all == sync.asks.len() => drop(self.line.remove(&sync.name)),
            some => drop(self.line.insert(sync.name.clone(), since(some))),
        }
        let record = Record {
            turn: sync.turn,
            late,
            booked,
            come: come.clamp(now, now + self.horizon),
            alive: now + 3 * self.horizon,
        };
        self.people.insert(sync.name.clone(), record);
        dues
    }
}

fn count(counts: &mut Counts, amounts: Amounts, sign: i64) {
    for (count, amount) in counts.iter_mut().zip(amounts) {
        *count += sign * i64::try_from(amount).unwrap_or(i64::MAX);
    }
}
