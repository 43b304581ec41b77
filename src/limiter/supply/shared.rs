//! Amounts that a store books for this process, of limits that it shares with others.
//!
//! Two have to agree to each grant. The store has booked it: so all processes together stay within the
//! limits, and no request overtakes. And where a server is followed, the estimator covers it: the very one of
//! an adaptive limiter, except that what it takes for spent is what the store has counted for *all*
//! processes. Each grant has its place in those counts, so every process reckons with the same bucket, and
//! what one of them observes of the server holds for the spending of all.
//!
//! The store is asked for no more than the estimator lets go soon: what is booked and not used in time
//! is void. What the estimator finds the limits to be goes to the store, and so to all.

mod others; // what they have spent, and when that was known

use std::time::Duration;

use super::super::bucket::{Bucket, Tick};
use super::super::shared::{
    Account, Left, Note, OnStoreOutage, Order, SyncReply, SyncRequest, part,
};
use super::adaptive::{Adaptive, Found, is_given_back};
use super::buckets::Buckets;
use super::forecast::Forecast;
use super::{Effect, GrantObservation};
use crate::cost::Cost;
use crate::limiter::supply::adaptive::{MINUTE, Spent};
use crate::observation::{Outcome, Refusal};
use crate::quota::{Limits, Quota};
use crate::unit::Unit;
use crate::{AcquireError, Result};
use others::Others;

/// What a store books, and an estimator where a server is followed.
#[derive(Debug)]
pub(in crate::limiter) struct Shared {
    pub(in crate::limiter) account: Account,
    /// The store's buckets as of its last answer, for looking at. While the store is out of reach and
    /// its limits are divided, they are this process's part, to grant by.
    buckets: Buckets,
    pub(super) pace: Option<Box<Adaptive>>,
    /// What the store had counted when the estimator last advanced.
    counted: Option<Spent>,
    others: Others,
    /// What has come in beyond the burst of each of the estimator's buckets since then. Where others have
    /// spent meanwhile the bucket was not as full, and it has come in after all.
    spilled: Vec<f64>,
    /// Which of those buckets the store keeps: syncs report what is left of them.
    kept: Vec<bool>,
    /// Whether an answer has been observed since the last report to the store.
    has_news: bool,
    /// Whether a refusal has.
    was_refused: bool,
    /// Its part of the limits, kept until the store has answered: one that comes back and refuses is
    /// away again at once, which is no new beginning.
    part: Option<Buckets>,
    /// Guesses of this process, which better ones may replace: what the store holds besides has been said
    /// by the server or a user.
    guesses: Vec<Quota>,
}

impl Shared {
    pub(in crate::limiter) fn new(
        account: Account,
        pace: Option<Box<Adaptive>>,
        now: Tick,
    ) -> Self {
        let guesses = account
            .quotas()
            .iter()
            .filter(|quota| quota.is_provisional());
        Self {
            guesses: guesses.copied().collect(),
            part: None,
            buckets: whole(account.quotas(), now),
            account,
            pace,
            counted: None,
            others: Others::default(),
            spilled: Vec::new(),
            kept: Vec::new(),
            has_news: false,
            was_refused: false,
        }
    }

    pub(super) fn is_adaptive(&self) -> bool {
        self.pace.is_some()
    }

    pub(super) fn shown(&self) -> &Buckets {
        self.pace
            .as_ref()
            .map_or(&self.buckets, |pace| &pace.buckets)
    }

    pub(super) fn advance(&mut self, now: Tick) {
        self.account.take_in(now);
        self.buckets.refill(now);
        if let Some(pace) = &mut self.pace {
            self.spilled.resize(pace.buckets.0.len(), 0.0);
            for (spilled, level) in self.spilled.iter_mut().zip(&mut pace.buckets.0) {
                *spilled += level.spills(now);
                level.refill(now);
            }
        }
        self.follow_counts(now);
    }

    /// Tells the estimator what others have spent, and what has come back.
    fn follow_counts(&mut self, now: Tick) {
        let Some(pace) = &mut self.pace else { return };
        let counted = self.account.counted();
        if let (Some(before), Some(after)) = (self.counted, counted)
            && before != after
        {
            let (taken, given) = after.against(before);
            self.others.spend(taken);
            if given != Cost::default() {
                pace.settle(given, Cost::default());
                pace.advance(now);
            }
            if taken != Cost::default() {
                pace.count(taken, now);
            }
            for (spilled, level) in self.spilled.iter_mut().zip(&mut pace.buckets.0) {
                let spent = taken.amount(level.unit()) as f64;
                if !level.is_hidden() {
                    level.shift(spilled.min(spent));
                }
                *spilled = 0.0;
            }
        }
        self.counted = counted;
        self.others.know_up_to(self.account.counted_to());
    }

    /// The estimator gets what is counted from here on.
    fn count_from_here(&mut self) {
        self.counted = self.account.counted();
    }

    pub(super) fn covers(&self, cost: Cost) -> bool {
        let is_booked = match self.account.is_fed() {
            true => self.account.covers(cost),
            false => self.buckets.covers(cost),
        };
        let mut own = self.own();
        is_booked && own.all(|level| level.covers(cost.amount(level.unit())))
    }

    /// The estimator's buckets that the store does not keep.
    fn own(&self) -> impl Iterator<Item = &Bucket> {
        let levels = self.pace.iter().flat_map(|pace| &pace.buckets.0);
        let levels = levels.enumerate();
        let is_kept = |index: &usize| self.kept.get(*index).copied().unwrap_or_default();
        // While it is out of reach it keeps nothing.
        let is_fed = self.account.is_fed();
        let own = levels.filter(move |(index, _)| !(is_fed && is_kept(index)));
        own.map(|(_, level)| level)
    }

    pub(super) fn due(&self, cost: Cost) -> Tick {
        let booked = match self.account.is_fed() {
            true => self.account.due(cost),
            false => self.buckets.due(cost),
        };
        let own = self.own();
        own.fold(booked, |due, level| {
            due.max(level.due(cost.amount(level.unit())))
        })
    }

    pub(super) fn take(&mut self, cost: Cost, now: Tick) {
        self.follow_counts(now);
        match self.account.is_fed() {
            true => self.account.take(cost),
            false => {
                self.buckets.take(cost);
                self.account.spent(cost);
            }
        }
        // The estimator counts this one itself.
        self.count_from_here();
        if let Some(pace) = &mut self.pace {
            pace.take(cost, now);
        }
    }

    pub(super) fn spent(&self) -> Option<Spent> {
        self.pace.as_ref().map(|pace| pace.spent())
    }

    pub(super) fn settle(&mut self, reserved: Cost, actual: Cost, now: Tick) {
        self.account.settle(reserved, actual);
        if !self.account.is_fed() {
            self.buckets.settle(reserved, actual);
        }
        match (&mut self.pace, self.counted) {
            (Some(pace), None) => {
                pace.settle(reserved, actual);
                pace.advance(now);
            }
            _ => self.follow_counts(now),
        }
    }

    /// Whether a refused request is given back.
    pub(super) fn is_given_back(&self, seen: &GrantObservation<'_>) -> bool {
        let has_wait = |refusal: &Refusal| refusal.wait.is_some();
        match &seen.observation.outcome {
            Outcome::Refused(refusal) if !self.is_adaptive() => has_wait(refusal),
            _ => is_given_back(seen),
        }
    }

    pub(super) fn observe(&mut self, seen: &GrantObservation<'_>, now: Tick) -> Effect {
        let Some(pace) = &mut self.pace else {
            return Effect::default();
        };
        let here = pace.spent();
        let unsure = match self.account.is_fed() && self.account.present() > 1 {
            true => self.others.unsure_at(seen.at),
            false => Cost::default(),
        };
        let observed = pace.observe_unsure(seen, unsure, now);
        let is_refused = matches!(seen.observation.outcome, Outcome::Refused(_));
        self.was_refused |= is_refused;
        self.has_news |= seen.observation.outcome != Outcome::Unknown;
        // How many a process has in flight is its own affair. A count that is not sure would teach others
        // a wrong one, but each has to know of a refusal.
        let is_for_room =
            matches!(seen.observation.outcome, Outcome::Refused(it) if it.is_for_room);
        let is_for_all = !is_for_room && (is_refused || unsure == Cost::default());
        if let (Some(spent), Some(counted), true) = (seen.spent, self.counted, is_for_all) {
            let note = Note {
                cost: seen.cost,
                counted: spent.moved(here, counted).amounts(),
                observation: seen.observation.clone(),
            };
            self.account.pass_on(note, seen.at, is_refused);
        }
        self.has_observed(now);
        observed
    }

    /// Observes what others have: when their requests were granted, and their notes.
    fn read(&mut self, notes: Vec<(Tick, Note)>, now: Tick) {
        let (Some(pace), Some(counted)) = (&mut self.pace, self.counted) else {
            return;
        };
        if notes.is_empty() {
            return;
        }
        for (at, note) in notes {
            let spent = Spent::of(note.counted).moved(counted, pace.spent());
            let seen = GrantObservation {
                cost: note.cost,
                at,
                spent: Some(&spent),
                observation: &note.observation,
            };
            // Its author has reported a pause to the store.
            let _ = pace.observe(&seen, now);
        }
        self.has_news = true;
        self.has_observed(now);
    }

    /// Whether the limits are stated by the user or reported by the server.
    pub(in crate::limiter) fn is_trusted(&self) -> bool {
        self.pace.as_ref().is_some_and(|pace| pace.is_trusted())
    }

    fn has_observed(&mut self, now: Tick) {
        let Some(pace) = &self.pace else { return };
        self.kept = vec![false; pace.buckets.0.len()];
        for found in pace.found().iter().filter(|found| found.left.is_some()) {
            self.kept[found.index] = true;
        }
        self.share_limits(now);
        self.follow_server();
    }

    /// While the store is out of reach, its part of what the server says is left goes at once: without a
    /// store nothing shows that the bucket is not full. Where the server does not say it, the parts of
    /// others would be granted on a guess. Of a limit that is stated all together stay under it, so each
    /// keeps to its part: going by responses cost 5 to 11 refusals of 600 requests in seven seconds.
    fn follow_server(&mut self) {
        let (Some(pace), Some(OnStoreOutage::Divide)) = (&self.pace, self.account.outage()) else {
            return;
        };
        let people = self.account.people() as f64;
        let is_said = |found: &&Found| {
            let is_known = found.is_observed && !found.is_stated;
            found.may_raise && (is_known || people <= 1.0)
        };
        for found in pace.found().iter().filter(is_said) {
            let Some(left) = found.left else { continue };
            let part = whole_units(left / found.ratio / people);
            let (unit, period) = (found.quota.unit(), found.quota.period());
            let levels = self.buckets.0.iter_mut();
            for level in levels.filter(|level| level.is_of(unit, period)) {
                level.set_available(part.max(level.available()));
            }
        }
    }

    /// Has all hold what the limits are found to be.
    fn share_limits(&mut self, now: Tick) {
        let Some(pace) = &self.pace else { return };
        let is_on_its_way = self
            .account
            .has_order(|order| matches!(order, Order::Hold(..)));
        if is_on_its_way && self.account.outage().is_none() {
            return;
        }
        let mut quotas = self.account.quotas().to_vec();
        for found in pace.found() {
            let is_same = |quota: &Quota| {
                (quota.unit(), quota.period()) == (found.quota.unit(), found.quota.period())
            };
            match quotas.iter().position(is_same) {
                Some(index) if found.is_void => drop(quotas.remove(index)),
                Some(index) => {
                    let quota = &mut quotas[index];
                    let is_other = match found.is_reported {
                        true => found.quota.amount() != quota.amount(),
                        // A guess that was too low.
                        false => {
                            found.quota.amount() > quota.amount() && self.guesses.contains(quota)
                        }
                    };
                    if is_other && !found.is_reported {
                        self.guesses.push(found.quota);
                    }
                    if is_other {
                        *quota = found.quota;
                    }
                }
                None if found.is_reported || found.is_found => quotas.push(found.quota),
                None => {}
            }
        }
        if quotas == self.account.quotas() {
            return;
        }
        self.account.hold(quotas.clone());
        if self.account.outage() == Some(OnStoreOutage::Divide) {
            self.buckets.replace(&self.parts(&quotas), now);
            for level in &mut self.buckets.0 {
                level.forgive(); // it began empty, which is no use of it
            }
            self.account.set_quotas(quotas);
        }
    }

    /// A refusal holds back all processes that share the limiter. It says what is left, too: what was
    /// asked for will have come in after the wait. Others have taken the rest, so the store gets that as
    /// an upper bound, or the server would refuse the next as well.
    pub(super) fn hold_back(&mut self, seen: &GrantObservation<'_>, pause: Duration, now: Tick) {
        let Outcome::Refused(refusal) = &seen.observation.outcome else {
            return;
        };
        if !pause.is_zero() {
            self.paused(now.after(pause));
            if let Some(wait) = refusal.wait {
                self.believe(refusal, seen.cost, wait);
            }
        }
    }

    fn believe(&mut self, refusal: &Refusal, cost: Cost, wait: Duration) {
        let Some(unit) = refusal.unit else { return };
        let period = refusal.period.unwrap_or(MINUTE);
        let mut quotas = self.account.quotas().iter();
        let is_meant = |quota: &&Quota| (quota.unit(), quota.period()) == (unit, period);
        let Some(quota) = quotas.find(is_meant).copied() else {
            return;
        };
        let asked = refusal.requested.unwrap_or(cost.amount(unit));
        let asked = i64::try_from(asked).unwrap_or(i64::MAX);
        let comes = i64::try_from(quota.amount_in(wait)).unwrap_or(i64::MAX);
        let left = asked.saturating_sub(comes);
        self.account.order(Order::Most(unit, period, left));
    }

    pub(super) fn too_small(&self, cost: Cost) -> Option<Quota> {
        let is_doubtful = |quota: &Quota| {
            let levels = self.pace.iter().flat_map(|pace| &pace.buckets.0);
            let mut same = levels.filter(|level| level.is_of(quota.unit(), quota.period()));
            quota.is_provisional() || same.any(Bucket::is_unconfirmed)
        };
        let never =
            |quota: &&Quota| cost.amount(quota.unit()) > quota.amount() && !is_doubtful(quota);
        let by_store = self.account.quotas().iter().find(never).copied();
        by_store.or_else(|| self.pace.as_ref()?.buckets.too_small(cost))
    }

    pub(super) fn check_store(&self) -> Result<(), AcquireError> {
        match self.account.outage() {
            Some(OnStoreOutage::Fail) => Err(AcquireError::StoreDown),
            _ => Ok(()),
        }
    }

    /// When the last of these is served, as far as this process knows: those of others are left out.
    /// `ahead` is how what is shown continues.
    pub(super) fn turn(
        &self,
        costs: impl Iterator<Item = Cost>,
        mut ahead: Forecast,
        start: Tick,
    ) -> Tick {
        let costs: Vec<Cost> = costs.collect();
        let pass = |mut ahead: Forecast, costs: &[Cost]| {
            let turns = costs.iter().map(|cost| ahead.pass(*cost));
            turns.last().unwrap_or(start)
        };
        let unbooked = match self.account.is_fed() {
            true => match self.account.due_of_last(costs.iter().copied()) {
                Ok(due) => Err(due.max(start)),
                Err(unbooked) => Ok(unbooked),
            },
            false => Ok(costs.clone()),
        };
        let booked = match unbooked {
            Err(due) => due,
            Ok(costs) => pass(self.buckets.forecast(start), &costs),
        };
        match self.is_adaptive() {
            true => {
                let turns = costs.iter().map(|cost| ahead.pass(*cost));
                turns.last().unwrap_or(start).max(booked)
            }
            false => booked,
        }
    }

    pub(super) fn set_limits(&mut self, limits: &Limits, now: Tick) {
        self.account.order(Order::Hold(limits.quotas().to_vec(), 0));
        if let Some(pace) = &mut self.pace {
            pace.restate(limits, now);
        }
    }

    pub(super) fn set_left(&mut self, unit: Unit, period: Duration, left: i64) -> bool {
        self.account.order(Order::SetLevel(unit, period, left));
        let is_here = self.buckets.set_left(unit, period, left);
        let mut pace = self.pace.iter_mut();
        is_here | pace.any(|pace| pace.set_left(unit, period, left))
    }

    pub(super) fn paused(&mut self, until: Tick) {
        self.account.order(Order::Pause(until));
    }

    pub(super) fn resumed(&mut self) {
        self.account.order(Order::Resume);
    }

    // Visits to the store.

    /// Begins a sync, if it is time for one: for the waiters in their order, and for how long each has
    /// waited.
    pub(in crate::limiter) fn sync(
        &mut self,
        line: Vec<(Cost, Duration)>,
        waiters: usize,
        room: usize,
        now: Tick,
    ) -> Option<SyncRequest> {
        self.advance(now);
        // Together they ask for what goes within half a horizon.
        let people = u32::try_from(self.account.people()).unwrap_or(u32::MAX);
        let reach = self.account.horizon() / 2 / people.clamp(1, 8);
        // A pause is the store's to reckon with: it may end before its time.
        let mut ahead = Forecast::new(self.own(), now);
        let mut held = None;
        let line = line.into_iter().map_while(|(cost, waited)| {
            let due = ahead.pass(cost);
            // The part of the wait that is left when it comes within reach.
            let beyond = due.since(now).saturating_sub(reach);
            held = (!beyond.is_zero()).then(|| now.after(beyond));
            held.is_none().then_some((cost, waited))
        });
        let line: Vec<_> = line.collect();
        let line = line.into_iter();
        self.look_again(now);
        let known = self.known();
        let sync = self.account.sync(line, waiters, room, held, known, now);
        self.has_news &= sync.is_none();
        self.was_refused &= sync.is_none();
        sync
    }

    /// What time alone has shown is news, too: the store would go by the slower rate for as long as no
    /// request is sent.
    fn look_again(&mut self, now: Tick) {
        let Some(pace) = &mut self.pace else { return };
        let rates =
            |pace: &Adaptive| -> Vec<f64> { pace.buckets.0.iter().map(Bucket::fills_at).collect() };
        let before = rates(pace);
        pace.advance(now);
        let mut pairs = rates(pace).into_iter().zip(before);
        self.has_news |= pairs.any(|(after, before)| after > before);
    }

    /// What the estimator takes to be left, for the store to book by: it counts what is reserved, where
    /// the server may charge more, and others use it, too. Each answer is reported once, so that the
    /// newest observation holds.
    fn known(&self) -> Vec<Order> {
        let (true, Some(pace), Some(counted)) = (self.has_news, &self.pace, self.counted) else {
            return Vec::new();
        };
        let known = pace.found().into_iter().filter_map(|found| {
            let (unit, period) = (found.quota.unit(), found.quota.period());
            let spilled = self.spilled.get(found.index).copied().unwrap_or_default();
            let left = whole_units((found.left? + spilled) / found.ratio);
            // In our count.
            let comes_in = found.fills_at * period.as_secs_f64() / found.ratio;
            Some(Order::Left(Left {
                unit,
                period,
                left,
                counted: counted.amount(unit),
                may_raise: found.may_raise,
                is_refused: self.was_refused,
                comes_in: whole_units(comes_in * 1e3),
                most: whole_units(found.most / found.ratio),
            }))
        });
        known.collect()
    }

    /// Takes in what the store answered. Returns when a pause ends, unless this process has still to
    /// tell of one.
    pub(in crate::limiter) fn heard(
        &mut self,
        sync: &SyncRequest,
        heard: &SyncReply,
        local: impl Fn(u64) -> Tick,
    ) -> Option<Tick> {
        self.account.heard(sync, heard, &local);
        self.part = None;
        if let Some(pace) = &mut self.pace {
            pace.divide(self.account.present());
            if let Some(quotas) = &heard.limits {
                pace.adopt(quotas, local(heard.now));
            }
        }
        self.advance(local(heard.now));
        let notes = heard.notes.iter();
        let notes = notes.filter_map(|note| Some((local(note.at), Note::decode(&note.text)?)));
        self.read(notes.collect(), local(heard.now));
        let mut buckets = whole(self.account.quotas(), local(heard.time));
        for (level, left) in buckets.0.iter_mut().zip(&heard.levels) {
            level.set_available(*left);
        }
        self.buckets = buckets;
        let pause = local(heard.paused_until);
        if pause > local(heard.now).after(self.account.horizon()) {
            // What is booked for now would be void by then.
            self.account.hand_back_all();
        }
        let is_reported = !self
            .account
            .has_order(|order| matches!(order, Order::Pause(_)));
        is_reported.then_some(pause)
    }

    /// The store has lost what it was sent and had booked.
    pub(in crate::limiter) fn forgotten(&mut self) {
        self.account.forgotten();
        self.count_from_here();
    }

    /// The store cannot be reached.
    pub(in crate::limiter) fn cut(&mut self, rule: OnStoreOutage, now: Tick) {
        let is_new = self.account.outage().is_none();
        self.account.cut(rule, now);
        self.count_from_here();
        if is_new && rule == OnStoreOutage::Divide {
            self.buckets = match self.part.take() {
                Some(part) => part,
                None => Buckets::starting(&self.parts(self.account.quotas()), now),
            };
            self.buckets.refill(now);
        }
    }

    /// The store can be reached again.
    pub(in crate::limiter) fn back(&mut self, now: Tick) {
        let is_divided = self.account.outage() == Some(OnStoreOutage::Divide);
        self.account.back(now);
        self.count_from_here();
        let whole = whole(self.account.quotas(), now);
        let before = std::mem::replace(&mut self.buckets, whole);
        self.part = is_divided.then_some(before);
    }

    /// This process's part of limits that no store keeps as a whole.
    fn parts(&self, quotas: &[Quota]) -> Vec<Quota> {
        let people = self.account.people();
        let parts = quotas.iter().filter_map(|quota| part(*quota, people).ok());
        parts.collect()
    }
}

#[allow(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn whole_units(units: f64) -> i64 {
    units.floor() as i64
}

/// Full buckets of these quotas.
fn whole(quotas: &[Quota], at: Tick) -> Buckets {
    Buckets(
        quotas
            .iter()
            .map(|quota| Bucket::full(*quota, at))
            .collect(),
    )
}
