//! Learning the limits from the server: what answers say, turned into levels.
//!
//! The server is the truth. It says what its limits are and what is left of them, but of the
//! moment at which it let a request in, which is before the requests that have left since. So
//! each grant remembers when it was made and what had been spent by then ([`SentRequest`] has both);
//! what was left then, and what came in and was spent since, give what is left now. How much of
//! the difference to the level here is taken over, and what it says of the charge and of others on
//! the same account, is the [`filter`]'s part; what a limit is called and how large it is, the
//! [`limit_estimator`]'s; and how fast an unconfirmed burst may go, the [`ramp`]'s.
//!
//! Nothing here locks, waits or reads a clock.

mod entry; //    one limit and the places of its levels
mod filter; //   what an answer changes, as arithmetic
mod history; //  what has been spent, and when
mod limit_estimator; // one limit of the server's
mod period; //   a minute's limit, an hour's or a day's
mod ramp; //     the careful start
mod refusal_backoff; //   refusals after the wait that the server asked for
mod search; //   finds a limit that the server does not report
mod short; //    windows of a second
mod supply; //   buckets that the estimator corrects

#[cfg(all(test, not(paceline_loom)))]
mod tests;

use std::time::Duration;

use crate::cost::Cost;
use crate::limiter::bucket::{Bucket, Tick};
use crate::observation::{LimitStatus, Observation, Outcome, Refusal, Scope};
use crate::quota::{Limits, MAX_AMOUNT, Quota};
use crate::unit::Unit;

pub(in crate::limiter) use history::Spent;
pub(in crate::limiter) use refusal_backoff::RefusalBackoff;

pub(in crate::limiter) use supply::{Adaptive, is_given_back};

use entry::Entry;
use history::History;
use limit_estimator::{LimitEstimator, Moment};
pub(in crate::limiter) use period::MINUTE;
use period::{DAY, Period, is_contradicted};
use ramp::Ramp;
use search::LimitSearch;

/// With how many requests a second a limiter begins that knows of no limit.
const FIRST_REQUESTS: f64 = 50.0;
/// Where a limit of requests has to be looked for after all: what has been sent within this time tells
/// where, and no less than this a second.
const RECENT: Duration = Duration::from_secs(2);
const LEAST_REQUESTS: f64 = 0.5;

/// What a limiter has heard of its limits, and where among its levels they stand.
#[derive(Debug, Clone)]
pub(in crate::limiter) struct Estimator {
    entries: Vec<Entry>,
    history: History,
    jitter: Duration,
    /// What was granted to requests that were refused, and has not been given back.
    refused: Cost,
    /// A limit below a request's cost that one answer has named.
    doubted: Option<(Unit, Scope, u64)>,
    /// How many go by the same limits.
    processes: u64,
}

/// A request that was granted, as its answer is heard.
#[derive(Debug, Clone, Copy)]
pub(in crate::limiter) struct SentRequest {
    pub(in crate::limiter) cost: Cost,
    /// When it was granted.
    pub(in crate::limiter) at: Tick,
    /// What had been spent then, itself included.
    pub(in crate::limiter) spent: Spent,
    /// What others may have spent before it or after it, unseen.
    pub(in crate::limiter) unsure: Cost,
}

/// What comes of an answer for the line.
#[derive(Debug, Clone, Copy)]
pub(in crate::limiter) struct Consequence {
    /// Whether some limit is another one now, or refuses what it did not.
    pub(in crate::limiter) limits_changed: bool,
    /// For how long nothing may be granted.
    pub(in crate::limiter) pause: Duration,
    /// A limit that is neither stated nor reported and has just been found.
    pub(in crate::limiter) found: Option<Quota>,
}

/// What is known of a level beyond its quota, for snapshots.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::limiter) struct Known {
    pub(in crate::limiter) reported: bool,
    pub(in crate::limiter) ratio: Option<f64>,
    pub(in crate::limiter) others: f64,
}

/// A limit as it is found to be.
#[cfg(feature = "redis")]
#[derive(Debug, Clone, Copy)]
pub(in crate::limiter) struct Found {
    pub(in crate::limiter) quota: Quota,
    /// Whether the server has said it.
    pub(in crate::limiter) is_reported: bool,
    /// Whether the user has stated one of its unit and period.
    pub(in crate::limiter) is_stated: bool,
    /// Whether it has said what is left of it.
    pub(in crate::limiter) is_observed: bool,
    /// Whether refusals have shown it and nothing reported it.
    pub(in crate::limiter) is_found: bool,
    /// Whether there is no such limit after all.
    pub(in crate::limiter) is_void: bool,
    /// The place of its level.
    pub(in crate::limiter) index: usize,
    /// What is left of it for sure, once that is known.
    pub(in crate::limiter) left: Option<f64>,
    /// Whether more can be left than was counted: no smaller limit is stated.
    pub(in crate::limiter) may_raise: bool,
    /// What comes in, in units per second, and the most that can be left.
    pub(in crate::limiter) fills_at: f64,
    pub(in crate::limiter) most: f64,
    /// What the server charges for each unit that is reserved.
    pub(in crate::limiter) ratio: f64,
}

impl Estimator {
    /// Begins with what is stated or provisional, and the levels of that.
    pub(in crate::limiter) fn new(
        limits: &Limits,
        jitter: Duration,
        now: Tick,
    ) -> (Self, Vec<Bucket>) {
        let mut estimator = Self {
            entries: Vec::new(),
            history: History::default(),
            jitter,
            refused: Cost::default(),
            doubted: None,
            processes: 1,
        };
        let mut levels = Vec::new();
        for quota in limits.quotas() {
            let ramp = Ramp::new(quota.is_provisional(), now);
            estimator.add(*quota, Scope::Account, ramp, &mut levels, now);
        }
        let is_guess =
            !limits.quotas().is_empty() && limits.quotas().iter().all(Quota::is_provisional);
        if is_guess {
            // Many small requests are within any limit of tokens.
            estimator.search_requests(FIRST_REQUESTS, &mut levels, now);
        }
        (estimator, levels)
    }

    /// Looks for a limit of requests where none is known. It is not shown before it is found.
    fn search_requests(&mut self, per_second: f64, levels: &mut Vec<Bucket>, now: Tick) {
        let is_of_requests = |entry: &Entry| {
            let is_fast = entry.limit_estimator.is_fast() && !entry.is_removed;
            entry.limit_estimator.unit() == Unit::Requests && is_fast
        };
        if self.entries.iter().any(is_of_requests) {
            return;
        }
        let Some(quota) = minute_of(Unit::Requests, per_second) else {
            return;
        };
        let index = self.add(quota, Scope::Account, Ramp::of_told(), levels, now);
        let entry = &mut self.entries[index];
        entry.is_unseen = true;
        if let Some(search) = &mut entry.search {
            search.begin_at(per_second);
        }
        entry.follow_search(levels);
    }

    fn add(
        &mut self,
        quota: Quota,
        scope: Scope,
        ramp: Ramp,
        levels: &mut Vec<Bucket>,
        now: Tick,
    ) -> usize {
        let mut ramp = ramp;
        ramp.divide(self.processes);
        let limit_estimator =
            LimitEstimator::new(quota, scope, self.jitter, now, self.history.spent);
        levels.push(Bucket::starting(limit_estimator.bucket(), now));
        let level = levels.len() - 1;
        let ramp_level = limit_estimator.is_fast().then(|| {
            let mut level = Bucket::full(limit_estimator.bucket(), now).hidden();
            ramp.apply(&mut level, limit_estimator.bucket());
            levels.push(level);
            levels.len() - 1
        });
        let search = (quota.is_provisional() && ramp_level.is_some()).then(|| {
            let rate = limit_estimator.rate() * ramp.speed();
            LimitSearch::new(rate, now, 0.0)
        });
        let mut entry = Entry {
            limit_estimator,
            ramp,
            level,
            ramp_level,
            search,
            ceiling: None,
            is_removed: false,
            is_unseen: false,
            words: 0,
            silences: 0,
        };
        entry.follow_ceiling(self.jitter, levels, now);
        self.entries.push(entry);
        self.entries.len() - 1
    }

    /// The user states other limits. What the server has said stands.
    pub(in crate::limiter) fn restate(
        &mut self,
        limits: &Limits,
        levels: &mut Vec<Bucket>,
        now: Tick,
    ) {
        self.advance(levels, now);
        let same = |quota: &Quota, entry: &Entry| {
            let of = entry.limit_estimator.quota();
            entry.limit_estimator.scope == Scope::Account
                && (quota.unit(), quota.period()) == (of.unit(), of.period())
        };
        for entry in &mut self.entries {
            let stated = limits.quotas().iter().find(|quota| same(quota, entry));
            entry.is_removed = stated.is_none() && !entry.limit_estimator.is_reported();
            let level = &mut levels[entry.level];
            level.wake();
            entry.limit_estimator.restate(stated.copied(), level);
            entry.follow_ramp(levels);
            entry.follow_ceiling(self.jitter, levels, now);
        }
        for quota in limits.quotas() {
            if !self.entries.iter().any(|entry| same(quota, entry)) {
                let ramp = Ramp::new(quota.is_provisional(), now);
                self.add(*quota, Scope::Account, ramp, levels, now);
            }
        }
    }

    /// What has been spent in all.
    pub(in crate::limiter) fn spent(&self) -> Spent {
        self.history.spent
    }

    /// `cost` has been taken from the levels.
    pub(in crate::limiter) fn granted(&mut self, cost: Cost, levels: &mut [Bucket], now: Tick) {
        self.history.granted(cost, now);
        let amounts = cost.amounts();
        for entry in &mut self.entries {
            let limit_estimator = &mut entry.limit_estimator;
            let unit = limit_estimator.unit();
            limit_estimator.granted(amounts[unit.index()]);
            let spent = self.history.spent.amount(unit);
            if limit_estimator.is_due(now, spent) {
                let level = &mut levels[entry.level];
                limit_estimator.advance(now, self.history.spent, level);
            }
            if let Some(search) = entry.search_mut() {
                let before = search.rate();
                search.granted(spent as f64, now);
                if search.rate() > before {
                    entry.follow_search(levels);
                }
            }
        }
    }

    /// What was taken for `reserved` has been corrected to `actual`.
    pub(in crate::limiter) fn settled(&mut self, reserved: Cost, actual: Cost) {
        self.history.settled(reserved, actual);
        if reserved.covers(actual) {
            return;
        }
        for entry in &mut self.entries {
            let unit = entry.limit_estimator.unit();
            let more = actual.amount(unit).saturating_sub(reserved.amount(unit));
            entry.limit_estimator.granted(more);
        }
    }

    fn advance(&mut self, levels: &mut [Bucket], now: Tick) {
        for entry in &mut self.entries {
            let level = &mut levels[entry.level];
            entry
                .limit_estimator
                .advance(now, self.history.spent, level);
        }
    }

    /// Hears an answer. A request that was refused must have been given back before, if the answer
    /// says what is left.
    pub(in crate::limiter) fn observe(
        &mut self,
        request: SentRequest,
        observation: &Observation,
        levels: &mut Vec<Bucket>,
        now: Tick,
    ) -> Consequence {
        self.advance(levels, now);
        let amounts = |estimator: &Self| -> Vec<(u64, bool)> {
            let entries = estimator.entries.iter().map(|it| &it.limit_estimator);
            let known = entries.map(|it| (it.quota().amount(), it.is_confirmed()));
            known.collect()
        };
        let before = amounts(self);
        let refusal = match &observation.outcome {
            Outcome::Refused(refusal) => Some(refusal),
            _ => None,
        };
        let charged = match refusal {
            Some(_) => request.spent.without(request.cost),
            None => request.spent,
        };
        let mut spoken_of = Vec::new();
        for report in &observation.limits {
            // A limit of 0 is none, and what is left of it is nothing that counts.
            if report.limit == Some(0) || self.is_doubted(report, request.cost) {
                continue;
            }
            let wait = refusal.and_then(|refusal| refusal.wait);
            if let Some(index) = self.find(report, request.cost, wait, levels, now) {
                self.observe_status(index, report, request, charged, levels);
                spoken_of.push((index, report));
            }
        }
        // It says more of the limit that it is for.
        let for_rate = refusal.filter(|refusal| !refusal.is_for_room);
        let found =
            for_rate.and_then(|it| self.search_refused(it, observation, request, levels, now));
        if let Some(refusal) = for_rate {
            self.add_named(refusal, levels, now);
        }
        let refused = for_rate.and_then(|refusal| self.refused_by(refusal, &spoken_of, levels));
        let told = for_rate.and_then(|it| it.wait).unwrap_or_default();
        let pause = match (for_rate, refused) {
            (Some(refusal), Some(index)) => {
                let then = self.moment(index, request, charged);
                let entry = &mut self.entries[index];
                let reserved = request.cost.amount(entry.limit_estimator.unit());
                let level = &mut levels[entry.level];
                let wait = entry
                    .limit_estimator
                    .observe_refusal(refusal, reserved, then, level);
                wait.max(told)
            }
            _ => told,
        };
        if observation.outcome == Outcome::Admitted {
            for (index, entry) in self.entries.iter().enumerate() {
                let is_said = spoken_of.iter().any(|(of, _)| *of == index);
                let (at, spent) = (request.at, request.spent);
                if !is_said && entry.limit_estimator.is_after_report(at, spent) {
                    // A probe has passed, and its response does not repeat the limit: the next one may go.
                    levels[entry.level].forgive();
                    levels[entry.level].send_probe();
                }
            }
        }
        self.follow(request, observation, levels, now);
        Consequence {
            limits_changed: amounts(self) != before,
            pause,
            found,
        }
    }

    /// Whether a request that was refused is given back: only where it is known what is left instead,
    /// or what there is room for. Else a refund would invite the next refusal.
    pub(in crate::limiter) fn gives_back(refusal: &Refusal, observation: &Observation) -> bool {
        refusal.wait.is_some() || refusal.is_for_room || !observation.limits.is_empty()
    }

    /// A refusal for a rate shows where an unreported limit is. Returns the limit when it is known well
    /// enough for its first event.
    fn search_refused(
        &mut self,
        refusal: &Refusal,
        observation: &Observation,
        request: SentRequest,
        levels: &mut Vec<Bucket>,
        now: Tick,
    ) -> Option<Quota> {
        let let_in = request.spent.without(request.cost).without(self.refused);
        if !Self::gives_back(refusal, observation) {
            self.refused = self.refused.saturating_add(request.cost);
            let is_of_requests = refusal.unit.is_none_or(|unit| unit == Unit::Requests);
            if refusal.limit.is_none() && is_of_requests {
                let recent = self.history.since(now, RECENT).requests as f64;
                let rate = (recent / RECENT.as_secs_f64()).max(LEAST_REQUESTS);
                self.search_requests(rate, levels, now);
            }
        }
        let mut found = None;
        for entry in &mut self.entries {
            let unit = entry.limit_estimator.unit();
            let is_meant = refusal.unit.is_none_or(|refused| refused == unit);
            let Some(search) = entry.search_mut().filter(|_| is_meant) else {
                continue;
            };
            let (let_in, size) = (let_in.amount(unit) as f64, request.cost.amount(unit) as f64);
            let is_news = search.refused(request.at, let_in, size, now);
            entry.follow_found(levels);
            if is_news {
                found = found.or(Some(entry.limit_estimator.quota()));
            }
        }
        found
    }

    /// A refusal names a limit of its own: of a unit and a period that are not known yet, it is added; one
    /// that was being looked for is there after all.
    fn add_named(&mut self, refusal: &Refusal, levels: &mut Vec<Bucket>, now: Tick) {
        let (Some(unit), Some(period), Some(limit)) = (refusal.unit, refusal.period, refusal.limit)
        else {
            return;
        };
        let is_it = |entry: &&mut Entry| {
            let quota = entry.limit_estimator.quota();
            (quota.unit(), quota.period()) == (unit, period)
        };
        if let Some(entry) = self.entries.iter_mut().find(is_it) {
            entry.wake(levels);
        } else if let Ok(quota) = Quota::new(unit, limit.min(MAX_AMOUNT), period) {
            let (scope, ramp) = (Scope::Account, Ramp::of_told());
            self.add(quota.provisional(), scope, ramp, levels, now);
        }
    }

    fn observe_status(
        &mut self,
        index: usize,
        report: &LimitStatus,
        request: SentRequest,
        charged: Spent,
        levels: &mut [Bucket],
    ) {
        let then = self.moment(index, request, charged);
        let entry = &mut self.entries[index];
        entry.spoken_of();
        entry.wake(levels);
        let (limit_estimator, level) = (&mut entry.limit_estimator, &mut levels[entry.level]);
        let left = report.remaining.map(|left| left as f64);
        if let Some(limit) = report.limit {
            limit_estimator.observe_limit(limit, left, then, level);
        }
        let Some(left) = left else { return };
        if let Some(reset) = report.reset {
            let bucket = left + reset.as_secs_f64() * limit_estimator.rate();
            let is_exact = reset.subsec_nanos() != 0 && left > 0.0;
            limit_estimator.observe_bucket(bucket, is_exact, then, level);
            limit_estimator.observe_reset(reset, then);
        }
        limit_estimator.observe_left(left, then, level);
    }

    /// The place of the limit that a refusal is for: the one of the amount that it names, else the
    /// one of which least remains.
    fn refused_by(
        &self,
        refusal: &Refusal,
        spoken_of: &[(usize, &LimitStatus)],
        levels: &[Bucket],
    ) -> Option<usize> {
        let fits = |entry: &Entry| {
            let quota = entry.limit_estimator.quota();
            !entry.is_removed
                && refusal.unit.is_none_or(|unit| unit == quota.unit())
                && refusal.period.is_none_or(|period| period == quota.period())
        };
        let candidates = || {
            let entries = self.entries.iter().enumerate();
            entries.filter(move |(_, entry)| fits(entry))
        };
        let is_named = |entry: &Entry| {
            entry.limit_estimator.is_reported()
                && refusal.limit == Some(entry.limit_estimator.quota().amount())
        };
        if let Some((index, _)) = candidates().find(|(_, entry)| is_named(entry)) {
            return Some(index);
        }
        // In seconds of its rate, by what was just said or else by what is believed.
        let left = |index: usize, entry: &Entry| {
            let mut said = spoken_of.iter().filter(|(of, _)| *of == index);
            let said = said.find_map(|(_, report)| report.remaining);
            let units = said.map_or_else(|| levels[entry.level].units(), |left| left as f64);
            units / entry.limit_estimator.rate()
        };
        let least = candidates()
            .map(|(index, entry)| (index, left(index, entry)))
            .min_by(|(_, a), (_, b)| a.total_cmp(b));
        least.map(|(index, _)| index)
    }

    /// Lets the ramps and the ceilings follow what was heard.
    fn follow(
        &mut self,
        request: SentRequest,
        observation: &Observation,
        levels: &mut Vec<Bucket>,
        now: Tick,
    ) {
        let is_any_told = self
            .entries
            .iter()
            .any(|entry| entry.limit_estimator.is_reported());
        for entry in &mut self.entries {
            // What a server reports is taken to be all that it limits, until it refuses more.
            entry.is_removed |= entry.is_unseen && is_any_told;
            if observation.outcome == Outcome::Admitted && observation.limits.is_empty() {
                entry.silent();
                let guess = entry.limit_estimator.rate();
                if let Some(search) = entry.search_mut() {
                    search.admitted(guess);
                }
            }
            let limit_estimator = &mut entry.limit_estimator;
            let has_passed = match observation.outcome {
                Outcome::Admitted => {
                    limit_estimator.refusal_backoff.admitted(request.at);
                    true
                }
                Outcome::Refused(refusal) => {
                    let is_meant = refusal
                        .unit
                        .is_none_or(|unit| unit == limit_estimator.unit());
                    if is_meant && !refusal.is_for_room {
                        entry.ramp.refused(now);
                    }
                    false
                }
                Outcome::Overloaded => {
                    entry.ramp.overloaded(request.at, now);
                    false
                }
                // Whatever went wrong: it says how the limits stand.
                Outcome::Unknown => !observation.limits.is_empty(),
            };
            if has_passed
                && entry.ramp.passed(request.at, limit_estimator.is_observed())
                && let Some(index) = entry.ramp_level
            {
                // A request larger than what may go at once has left a debt there, which was to be
                // paid at the speed of before.
                levels[index].forgive();
            }
            entry.follow_ramp(levels);
            entry.follow_search(levels);
            entry.follow_ceiling(self.jitter, levels, now);
        }
    }

    /// Whether a report names a limit below the very request that it answers, for the first time: one
    /// report does not make everything impossible. One above it that is below the requests of others lets
    /// those pass as probes until a second response reports it.
    fn is_doubted(&mut self, report: &LimitStatus, cost: Cost) -> bool {
        let Some(limit) = report.limit.filter(|it| *it < cost.amount(report.unit)) else {
            return false;
        };
        let is_said = |entry: &Entry| {
            let of = (entry.limit_estimator.unit(), entry.limit_estimator.scope);
            let is_it = of == (report.unit, report.scope) && entry.limit_estimator.is_reported();
            is_it && entry.limit_estimator.quota().amount() == limit
        };
        let word = (report.unit, report.scope, limit);
        let is_new = self.doubted != Some(word) && !self.entries.iter().any(is_said);
        self.doubted = Some(word);
        is_new
    }

    /// The place of the limit that a report speaks of; a new one if it is of none that is known.
    /// The answer was to a request of this cost, and asked to wait if it was refused.
    fn find(
        &mut self,
        report: &LimitStatus,
        cost: Cost,
        wait: Option<Duration>,
        levels: &mut Vec<Bucket>,
        now: Tick,
    ) -> Option<usize> {
        let same = |entry: &Entry| {
            entry.limit_estimator.unit() == report.unit
                && entry.limit_estimator.scope == report.scope
        };
        let of_amount = |limit: u64| {
            let known = |entry: &&Entry| {
                let is_named = entry.limit_estimator.is_reported() && !entry.is_removed;
                same(entry) && is_named && entry.limit_estimator.quota().amount() == limit
            };
            let found = self.entries.iter().find(known);
            found.map(|entry| entry.limit_estimator.quota().period())
        };
        let known = report.limit.and_then(of_amount);
        let mut seen = match report.period {
            Some(period) => Period::Likely(period),
            None => Period::of(report),
        };
        let is_day = matches!(seen, Period::Fits(DAY) | Period::Likely(DAY));
        let is_short = |wait| is_contradicted(report, cost.amount(report.unit), wait);
        if report.period.is_none() && is_day && known != Some(DAY) && wait.is_some_and(is_short) {
            seen = Period::Likely(MINUTE);
        }
        if let (Period::Fits(seen), Some(limit)) = (seen, report.limit) {
            // It was taken for one of another period, by numbers that fitted both.
            for entry in &mut self.entries {
                let quota = entry.limit_estimator.quota();
                let is_mistaken = entry.limit_estimator.unit() == report.unit
                    && entry.limit_estimator.scope == report.scope
                    && entry.limit_estimator.is_reported()
                    && entry.limit_estimator.stated().is_none()
                    && quota.amount() == limit
                    && quota.period() != seen;
                if is_mistaken {
                    entry.is_removed = true;
                }
            }
        }
        let is_partial = report.reset.is_none() || report.limit.is_none();
        let period = match seen {
            _ if report.period.is_some() => report.period,
            Period::Fits(period) => Some(period),
            Period::Likely(period) => known.or(Some(period)),
            Period::Unclear => known.or_else(|| is_partial.then_some(MINUTE)),
        }?;
        let of_period =
            |entry: &Entry| same(entry) && entry.limit_estimator.quota().period() == period;
        if let Some(index) = self.entries.iter().position(of_period) {
            return Some(index);
        }
        let limit = report.limit?.min(MAX_AMOUNT);
        let quota = Quota::new(report.unit, limit, period).ok()?;
        Some(self.add(
            quota.provisional(),
            report.scope,
            Ramp::of_told(),
            levels,
            now,
        ))
    }

    /// Whether the limits are stated by the user or reported by the server.
    pub(in crate::limiter) fn is_trusted(&self) -> bool {
        let known = |entry: &Entry| {
            entry.limit_estimator.is_reported() || entry.limit_estimator.stated().is_some()
        };
        self.entries.iter().any(known)
    }

    fn moment(&self, index: usize, request: SentRequest, spent: Spent) -> Moment {
        let unit = self.entries[index].limit_estimator.unit();
        let near = self.history.around(request.at).amount(unit);
        Moment {
            at: request.at,
            spent,
            near: near
                .saturating_sub(request.cost.amount(unit))
                .saturating_add(request.unsure.amount(unit)),
        }
    }

    /// `processes` processes follow the same limits, each at its part of a careful start.
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn divide(&mut self, processes: u64, levels: &mut [Bucket]) {
        if self.processes == processes {
            return;
        }
        self.processes = processes;
        for entry in &mut self.entries {
            entry.ramp.divide(processes);
            entry.follow_ramp(levels);
            entry.follow_search(levels);
        }
    }

    /// Takes limits that other processes have observed as the newest report, and adds those that it lacks.
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn adopt(
        &mut self,
        quotas: &[Quota],
        levels: &mut Vec<Bucket>,
        now: Tick,
    ) {
        self.advance(levels, now);
        for quota in quotas.iter().filter(|quota| !quota.is_provisional()) {
            let is_same = |entry: &Entry| {
                let of = entry.limit_estimator.quota();
                entry.limit_estimator.scope == Scope::Account
                    && (quota.unit(), quota.period()) == (of.unit(), of.period())
            };
            let index = self.entries.iter().position(is_same).unwrap_or_else(|| {
                let (scope, ramp) = (Scope::Account, Ramp::of_told());
                self.add(quota.provisional(), scope, ramp, levels, now)
            });
            let then = Moment {
                at: now,
                spent: self.history.spent,
                near: 0,
            };
            let entry = &mut self.entries[index];
            let held = match entry.limit_estimator.stated() {
                Some(stated) => stated.amount().min(entry.limit_estimator.quota().amount()),
                None => entry.limit_estimator.quota().amount(),
            };
            if entry.limit_estimator.is_reported() && held == quota.amount() {
                continue;
            }
            entry.spoken_of();
            entry.wake(levels);
            let level = &mut levels[entry.level];
            entry
                .limit_estimator
                .observe_limit(quota.amount(), None, then, level);
            entry.follow_ramp(levels);
        }
    }

    /// What the limits are found to be.
    #[cfg(feature = "redis")]
    pub(in crate::limiter) fn found(&self, levels: &[Bucket]) -> Vec<Found> {
        let entries = self.entries.iter();
        let entries = entries.filter(|entry| entry.limit_estimator.scope == Scope::Account);
        let found = entries.map(|entry| {
            let quota = entry.limit_estimator.quota();
            let quota = match entry.limit_estimator.stated() {
                Some(stated) if stated.amount() <= quota.amount() => stated,
                _ if entry.limit_estimator.is_reported() => quota,
                _ => quota.provisional(),
            };
            Found {
                quota: quota.allow_jitter(self.jitter),
                is_reported: entry.limit_estimator.is_reported(),
                is_stated: entry.limit_estimator.stated().is_some(),
                is_observed: entry.limit_estimator.is_observed(),
                is_void: entry.is_removed,
                index: entry.level,
                left: left(entry, &levels[entry.level]),
                is_found: entry.is_found(),
                may_raise: !entry.limit_estimator.is_capped()
                    && (entry.limit_estimator.is_reported()
                        || entry.limit_estimator.stated().is_none()),
                fills_at: levels[entry.level].fills_at(),
                most: levels[entry.level].capacity(),
                ratio: match entry.limit_estimator.known_ratio() {
                    Some(ratio) => ratio,
                    None => entry.limit_estimator.ratio().max(1.0),
                },
            }
        });
        found.collect()
    }

    /// What is known of the level at `index`.
    pub(in crate::limiter) fn known(&self, index: usize) -> Known {
        let entry = self.entries.iter().find(|entry| entry.level == index);
        entry.map_or_else(
            Known::default,
            |Entry {
                 limit_estimator, ..
             }| Known {
                reported: limit_estimator.is_reported(),
                ratio: limit_estimator.known_ratio(),
                others: limit_estimator.external_use().max(0.0),
            },
        )
    }
}

/// A guess of `per_second` units a second, as a quota of a minute.
fn minute_of(unit: Unit, per_second: f64) -> Option<Quota> {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates"
    )]
    let amount = (per_second * MINUTE.as_secs_f64()).round() as u64;
    let quota = Quota::new(unit, amount.clamp(1, MAX_AMOUNT), MINUTE);
    quota.ok().map(Quota::provisional)
}

#[cfg(feature = "redis")]
fn left(entry: &Entry, level: &Bucket) -> Option<f64> {
    let is_known = entry.limit_estimator.is_observed()
        || entry.limit_estimator.is_refused()
        || entry.is_found();
    (is_known && !entry.is_removed && !entry.is_unseen)
        .then(|| level.units() - level.reserve().min(level.capacity() / 2.0))
}
