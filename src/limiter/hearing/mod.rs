//! Learning the limits from the server: what answers say, turned into levels.
//!
//! The server is the truth. It says what its limits are and what is left of them, but of the
//! moment at which it let a request in, which is before the requests that have left since. So
//! each grant remembers when it was made and what had been spent by then ([`Heard`] is told both);
//! what was left then, and what came in and was spent since, give what is left now. How much of
//! the difference to the level here is taken over, and what it says of the charge and of others on
//! the same account, is the [`filter`]'s part; what a limit is called and how large it is, the
//! [`observer`]'s; and how fast a burst may go that nobody has confirmed, the [`ramp`]'s.
//!
//! Nothing here locks, waits or reads a clock.

mod filter; //   what an answer changes, as arithmetic
mod history; //  what has been spent, and when
mod observer; // one limit of the server's
mod outage; //   refusals in spite of waiting as told
mod period; //   a minute's limit or a day's
mod ramp; //     the careful start

#[cfg(all(test, not(paceline_loom)))]
mod tests;

use std::time::Duration;

use super::level::{Level, Tick};
use crate::cost::Cost;
use crate::feedback::{Feedback, Refusal, Report, Scope, Verdict};
use crate::quota::{Limits, Quota};

pub(super) use history::Spent;

use history::History;
use observer::{Moment, Observer};
use period::{MINUTE, period};
use ramp::Ramp;

/// What a limiter has heard of its limits, and where among its levels they stand.
#[derive(Debug, Clone)]
pub(super) struct Hearing {
    entries: Vec<Entry>,
    history: History,
    jitter: Duration,
}

/// One limit, with the places of its levels.
#[derive(Debug, Clone)]
struct Entry {
    observer: Observer,
    ramp: Ramp,
    /// What is left of it.
    level: usize,
    /// What its ramp lets go.
    ramp_level: Option<usize>,
    /// What is left of the user's limit, where the server's is larger.
    ceiling: Option<usize>,
}

/// A request that was granted, as its answer is heard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    pub(super) cost: Cost,
    /// When it was granted.
    pub(super) at: Tick,
    /// What had been spent then, itself included.
    pub(super) spent: Spent,
}

/// What comes of an answer for the line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Consequence {
    /// Whether some limit is another one now.
    pub(super) limits_changed: bool,
    /// For how long nobody may be granted anything.
    pub(super) pause: Duration,
}

/// What is known of a level beyond its quota, for snapshots.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    pub(super) told: bool,
    pub(super) ratio: Option<f64>,
    pub(super) others: f64,
}

impl Hearing {
    /// Begins with what is stated or assumed, and the levels of that.
    pub(super) fn new(limits: &Limits, jitter: Duration, now: Tick) -> (Self, Vec<Level>) {
        let mut hearing = Self {
            entries: Vec::new(),
            history: History::default(),
            jitter,
        };
        let mut levels = Vec::new();
        for quota in limits.quotas() {
            hearing.add(*quota, Scope::Account, &mut levels, now);
        }
        (hearing, levels)
    }

    fn add(&mut self, quota: Quota, scope: Scope, levels: &mut Vec<Level>, now: Tick) -> usize {
        let observer = Observer::new(quota, scope, self.jitter, now, self.history.spent);
        let ramp = Ramp::new(quota.is_assumed(), now);
        levels.push(Level::full(observer.bucket(), now));
        let level = levels.len() - 1;
        let ramp_level = observer.is_fast().then(|| {
            let mut level = Level::full(observer.bucket(), now).hidden();
            ramp.apply(&mut level, observer.bucket());
            levels.push(level);
            levels.len() - 1
        });
        self.entries.push(Entry {
            observer,
            ramp,
            level,
            ramp_level,
            ceiling: None,
        });
        self.entries.len() - 1
    }

    /// The user states other limits. What the server has said stands.
    pub(super) fn restate(&mut self, limits: &Limits, levels: &mut Vec<Level>, now: Tick) {
        self.advance(levels, now);
        let same = |quota: &Quota, entry: &Entry| {
            let of = entry.observer.quota();
            entry.observer.scope == Scope::Account
                && (quota.unit(), quota.period()) == (of.unit(), of.period())
        };
        for entry in &mut self.entries {
            let stated = limits.quotas().iter().find(|quota| same(quota, entry));
            let level = &mut levels[entry.level];
            entry.observer.restate(stated.copied(), level);
            if stated.is_none() && !entry.observer.is_told() {
                level.open();
            }
        }
        for quota in limits.quotas() {
            if !self.entries.iter().any(|entry| same(quota, entry)) {
                self.add(*quota, Scope::Account, levels, now);
            }
        }
    }

    /// `cost` has been taken from the levels. Returns what has been spent in all.
    pub(super) fn granted(&mut self, cost: Cost, levels: &mut [Level], now: Tick) -> Spent {
        self.history.granted(cost, now);
        self.advance(levels, now);
        self.history.spent
    }

    /// What was taken for `reserved` has been corrected to `actual`.
    pub(super) fn settled(
        &mut self,
        reserved: Cost,
        actual: Cost,
        levels: &mut [Level],
        now: Tick,
    ) {
        self.history.settled(reserved, actual);
        self.advance(levels, now);
    }

    fn advance(&mut self, levels: &mut [Level], now: Tick) {
        for entry in &mut self.entries {
            let level = &mut levels[entry.level];
            entry.observer.advance(now, self.history.spent, level);
        }
    }

    /// Hears an answer. A request that was refused must have been given back before.
    pub(super) fn hear(
        &mut self,
        request: Heard,
        feedback: &Feedback,
        levels: &mut Vec<Level>,
        now: Tick,
    ) -> Consequence {
        self.advance(levels, now);
        let amounts = |hearing: &Self| -> Vec<u64> {
            let quotas = hearing.entries.iter().map(|entry| entry.observer.quota());
            quotas.map(|quota| quota.amount()).collect()
        };
        let before = amounts(self);
        let refusal = match &feedback.verdict {
            Verdict::Refused(refusal) => Some(refusal),
            _ => None,
        };
        let charged = match refusal {
            Some(_) => request.spent.without(request.cost),
            None => request.spent,
        };
        for report in &feedback.reports {
            let Some(index) = self.find(report, levels, now) else {
                continue;
            };
            let then = self.moment(index, request, charged);
            let entry = &mut self.entries[index];
            let level = &mut levels[entry.level];
            let left = report.remaining.map(|left| left as f64);
            if let Some(limit) = report.limit {
                entry.observer.hear_limit(limit, left, then, level);
            }
            if let (Some(left), Some(reset)) = (left, report.reset) {
                let bucket = left + reset.as_secs_f64() * entry.observer.rate();
                entry.observer.hear_bucket(bucket, then, level);
            }
            // A refusal says more of the limit that it is for.
            let refused = refusal
                .is_some_and(|refusal| refusal.wait.is_some() && refusal.unit == Some(report.unit));
            if let Some(left) = left.filter(|_| !refused) {
                entry.observer.hear_left(left, then, level);
            }
        }
        let pause = match refusal {
            Some(refusal) => self.hear_refusal(request, charged, refusal, levels),
            None => Duration::ZERO,
        };
        self.follow(request, feedback.verdict, levels, now);
        Consequence {
            limits_changed: amounts(self) != before,
            pause,
        }
    }

    /// Returns for how long everyone has to wait at least.
    fn hear_refusal(
        &mut self,
        request: Heard,
        charged: Spent,
        refusal: &Refusal,
        levels: &mut [Level],
    ) -> Duration {
        let told = refusal.wait.unwrap_or_default();
        let Some(unit) = refusal.unit else {
            return told;
        };
        let spoken_of = |entry: &Entry| {
            let quota = entry.observer.quota();
            quota.unit() == unit && refusal.period.is_none_or(|period| period == quota.period())
        };
        let Some(index) = self.entries.iter().position(spoken_of) else {
            return told;
        };
        let then = self.moment(index, request, charged);
        let entry = &mut self.entries[index];
        let level = &mut levels[entry.level];
        let reserved = request.cost.amount(unit);
        entry
            .observer
            .hear_refusal(refusal, reserved, then, level)
            .max(told)
    }

    /// Lets the ramps and the ceilings follow what was heard.
    fn follow(&mut self, request: Heard, verdict: Verdict, levels: &mut Vec<Level>, now: Tick) {
        for entry in &mut self.entries {
            let observer = &mut entry.observer;
            match verdict {
                Verdict::Admitted => {
                    observer.outage.admitted(request.at);
                    entry.ramp.succeeded(request.at, observer.is_heard());
                }
                Verdict::Refused(refusal) => {
                    if refusal.unit.is_none_or(|unit| unit == observer.unit()) {
                        entry.ramp.refused(now);
                    }
                }
                Verdict::Overloaded => entry.ramp.overloaded(now),
                Verdict::Unknown => {}
            }
            if let Some(index) = entry.ramp_level {
                entry.ramp.apply(&mut levels[index], observer.bucket());
            }
            match (observer.ceiling(), entry.ceiling) {
                (Some(stated), None) => {
                    let mut level = Level::full(stated.allow_jitter(self.jitter), now);
                    // What is used of the server's limit is used of the user's.
                    let of_server = &levels[entry.level];
                    let used = of_server.capacity() - of_server.units();
                    level.shift(-used);
                    levels.push(level);
                    entry.ceiling = Some(levels.len() - 1);
                }
                (None, Some(index)) => levels[index].open(),
                _ => {}
            }
            if let Some(index) = entry.ceiling {
                levels[index].charge(observer.ratio(), 0.0);
            }
        }
    }

    /// The place of the limit that a report speaks of; a new one if it is of none that is known.
    fn find(&mut self, report: &Report, levels: &mut Vec<Level>, now: Tick) -> Option<usize> {
        let same = |entry: &Entry| {
            entry.observer.unit() == report.unit && entry.observer.scope == report.scope
        };
        let of_amount = |limit: u64| {
            let known = |entry: &&Entry| {
                same(entry) && entry.observer.is_told() && entry.observer.quota().amount() == limit
            };
            self.entries.iter().find(known)
        };
        let known = report.limit.and_then(of_amount);
        let period = period(report)
            .or_else(|| known.map(|entry| entry.observer.quota().period()))
            .or_else(|| report.reset.is_none().then_some(MINUTE))?;
        let of_period = |entry: &Entry| same(entry) && entry.observer.quota().period() == period;
        if let Some(index) = self.entries.iter().position(of_period) {
            return Some(index);
        }
        let quota = Quota::new(report.unit, report.limit?, period).ok()?;
        Some(self.add(quota.assumed(), report.scope, levels, now))
    }

    fn moment(&self, index: usize, request: Heard, spent: Spent) -> Moment {
        let unit = self.entries[index].observer.unit();
        let near = self.history.around(request.at).amount(unit);
        Moment {
            at: request.at,
            spent,
            near: near.saturating_sub(request.cost.amount(unit)),
        }
    }

    /// What is known of the level at `index`.
    pub(super) fn known(&self, index: usize) -> Known {
        let entry = self.entries.iter().find(|entry| entry.level == index);
        entry.map_or_else(Known::default, |Entry { observer, .. }| Known {
            told: observer.is_told(),
            ratio: observer.known_ratio(),
            others: observer.foreign().max(0.0),
        })
    }
}
