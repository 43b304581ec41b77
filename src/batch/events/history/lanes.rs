//! What each limiter granted when, what its limits were, and which of them held requests up.

use std::time::Duration;

use super::timeline::{Bucket, Timeline};
use crate::limiter::{LimitOrigin, QuotaSnapshot, RateLimiter, Snapshot};
use crate::{Cost, Unit};

/// Limiters that are recorded separately, at most. The grants of later ones are counted together.
const MOST: usize = 8;
/// Limits of a limiter that are followed, at most: one for each bit of [`Grants::held_by`] but the last.
const LIMITS: usize = 7;
/// The last bit: a request waited for something else, such as a pause.
const HELD_OTHERWISE: u8 = 1 << LIMITS;
/// Changes of a limit that are kept, at most; a further one replaces the last. It bounds memory.
const CHANGES: usize = 64;

/// What was granted in a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::batch) struct Grants {
    /// By unit.
    amounts: [u64; Unit::COUNT],
    /// What requests waited for: a bit for each of [`Lane::limits`], and the last one.
    held_by: u8,
}

impl Grants {
    pub(in crate::batch) fn amount(&self, unit: Unit) -> u64 {
        self.amounts[unit.index()]
    }

    /// Whether a request waited for this limit.
    pub(in crate::batch) fn held_by(&self, limit: usize) -> bool {
        self.held_by & bit(limit) > 0
    }

    /// Whether a request waited for something that is no limit: a pause, or a careful start.
    pub(in crate::batch) fn held_otherwise(&self) -> bool {
        self.held_by & HELD_OTHERWISE > 0
    }

    fn add(&mut self, amounts: [u64; Unit::COUNT]) {
        for (sum, amount) in self.amounts.iter_mut().zip(amounts) {
            *sum = sum.saturating_add(amount);
        }
    }
}

impl Bucket for Grants {
    fn merge(&mut self, later: Self) {
        self.add(later.amounts);
        self.held_by |= later.held_by;
    }
}

fn bit(limit: usize) -> u8 {
    u32::try_from(limit).map_or(0, |limit| 1_u8.checked_shl(limit).unwrap_or(0))
}

/// A limit of a lane, as it was over time.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::batch) struct Limit {
    pub(in crate::batch) unit: Unit,
    pub(in crate::batch) period: Duration,
    /// The amount a period, from each of these times on. Never empty; the first one held before, too.
    pub(in crate::batch) amounts: Vec<(Duration, u64)>,
    /// What the server charges for each unit that is reserved, as far as it has shown.
    pub(in crate::batch) count_ratio: f64,
    /// The share of it that others on the account seem to use, 0 to 1.
    pub(in crate::batch) others: f64,
    /// Whether the server has said what it is.
    pub(in crate::batch) reported: bool,
    /// Whether it is a guess, not confirmed by the server.
    pub(in crate::batch) is_guess: bool,
}

/// One limiter, or all those that are recorded together.
#[derive(Debug, Clone, Default)]
pub(in crate::batch) struct Lane {
    /// The model, or the family of models that share the limiter.
    pub(in crate::batch) name: String,
    pub(in crate::batch) grants: Timeline<Grants>,
    pub(in crate::batch) limits: Vec<Limit>,
    /// `None` for the limiters that are recorded together.
    pub(super) limiter: Option<RateLimiter>,
    /// The limits by the last look are good until then.
    looked_until: Duration,
    /// What holds requests up, by the last look after a wait, is good until then.
    held_until: Duration,
    /// The bits of what holds requests up.
    held_by: u8,
}

/// The lanes of a run.
#[derive(Debug, Clone, Default)]
pub(in crate::batch) struct Lanes {
    lanes: Vec<Lane>,
}

impl Lanes {
    /// The number of a limiter's lane, which gets its name now if it is new.
    pub(in crate::batch) fn find(
        &mut self,
        limiter: &RateLimiter,
        name: impl FnOnce() -> String,
    ) -> usize {
        let is_its = |lane: &Lane| lane.limiter.as_ref().is_some_and(|it| it.is_same(limiter));
        if let Some(index) = self.lanes.iter().position(is_its) {
            return index;
        }
        let index = self.lanes.len().min(MOST);
        if index == self.lanes.len() {
            let told_apart = index < MOST;
            self.lanes.push(Lane {
                name: told_apart.then(name).unwrap_or_default(),
                limiter: told_apart.then(|| limiter.clone()),
                ..Lane::default()
            });
        }
        index
    }

    pub(in crate::batch) fn lane(&mut self, index: usize) -> Option<&mut Lane> {
        self.lanes.get_mut(index)
    }

    pub(super) fn all_mut(&mut self) -> &mut [Lane] {
        &mut self.lanes
    }

    /// Those that are recorded separately, in order of appearance.
    pub(in crate::batch) fn told_apart(&self) -> &[Lane] {
        &self.lanes[..self.lanes.len().min(MOST)]
    }

    /// All.
    #[cfg(test)]
    pub(super) fn all(&self) -> &[Lane] {
        &self.lanes
    }
}

impl Lane {
    /// Counts a grant. True when it is time to [look](Lane::look) at the limiter.
    pub(super) fn granted(&mut self, at: Duration, cost: Cost, waited: Duration) -> bool {
        self.grants.at(at).add(cost.amounts());
        let has_waited = !waited.is_zero();
        let stale = at >= self.looked_until || (has_waited && at >= self.held_until);
        if has_waited && at < self.held_until {
            self.mark_held(at, waited);
        }
        stale && self.limiter.is_some()
    }

    /// Counts a grant of a time that may be gone.
    pub(super) fn granted_before(&mut self, at: Duration, cost: Cost) {
        self.grants.at(at).add(cost.amounts());
    }

    /// Takes over what the limits are, as they stand after a grant, and which one had held it up.
    pub(in crate::batch) fn look(
        &mut self,
        at: Duration,
        snapshot: &Snapshot,
        cost: Cost,
        waited: Duration,
    ) {
        for quota in &snapshot.quotas {
            // Stated beside what the server says, both hold, so the smaller one counts.
            let (unit, period) = (quota.quota.unit(), quota.quota.period());
            let alike = snapshot.quotas.iter().map(|it| it.quota);
            let alike = alike.filter(|it| it.unit() == unit && it.period() == period);
            let amount = alike.map(|it| it.amount()).min();
            self.note(at, quota, amount.unwrap_or(quota.quota.amount()));
        }
        let until = at.saturating_add(self.grants.width());
        self.looked_until = until;
        if !waited.is_zero() {
            self.held_until = until;
            self.held_by = self.binding(snapshot, cost, waited);
            self.mark_held(at, waited);
        }
    }

    /// A request waited until `at`.
    fn mark_held(&mut self, at: Duration, waited: Duration) {
        for bucket in self.grants.between(at.saturating_sub(waited), at) {
            bucket.held_by |= self.held_by;
        }
    }

    fn note(&mut self, at: Duration, quota: &QuotaSnapshot, amount: u64) {
        let (unit, period) = (quota.quota.unit(), quota.quota.period());
        let limit = match self.position(unit, period) {
            Some(index) => &mut self.limits[index],
            None if self.limits.len() < LIMITS => {
                self.limits.push(Limit {
                    unit,
                    period,
                    amounts: vec![(at, amount)],
                    count_ratio: 1.0,
                    others: 0.0,
                    reported: false,
                    is_guess: false,
                });
                let last = self.limits.len() - 1;
                &mut self.limits[last]
            }
            None => return,
        };
        limit.count_ratio = quota.count_ratio.unwrap_or(limit.count_ratio);
        limit.others = quota.others;
        limit.reported |= quota.reported;
        limit.is_guess = quota.origin == LimitOrigin::Provisional;
        let is_full = limit.amounts.len() == CHANGES;
        match limit.amounts.last_mut() {
            Some((_, last)) if *last == amount => {}
            Some(last) if is_full => *last = (at, amount),
            _ => limit.amounts.push((at, amount)),
        }
    }

    fn position(&self, unit: Unit, period: Duration) -> Option<usize> {
        let is_it = |limit: &Limit| limit.unit == unit && limit.period == period;
        self.limits.iter().position(is_it)
    }

    /// The bit of the limit that held up what was just granted: of those that had not enough when
    /// the wait began, the one of which least is left, in time. The last bit if something else held it
    /// up.
    #[allow(clippy::cast_precision_loss, reason = "to compare")]
    fn binding(&self, snapshot: &Snapshot, cost: Cost, waited: Duration) -> u8 {
        let left = |it: &&QuotaSnapshot| {
            let rate = it.quota.amount() as f64 / it.quota.period().as_secs_f64();
            it.level as f64 / rate.max(f64::MIN_POSITIVE)
        };
        // What had enough has got more since, until it was full.
        let was_short = |it: &&QuotaSnapshot| {
            let whole = it
                .level
                .saturating_add_unsigned(cost.amount(it.quota.unit()));
            whole < it.quota.burst().cast_signed() && left(it) < waited.as_secs_f64()
        };
        let short = snapshot.quotas.iter().filter(was_short);
        let tightest = short.min_by(|a, b| left(a).total_cmp(&left(b)));
        let position = |it: &QuotaSnapshot| self.position(it.quota.unit(), it.quota.period());
        tightest.and_then(position).map_or(HELD_OTHERWISE, bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AcquireOptions, Limits, ManualClock};

    const SECOND: Duration = Duration::from_secs(1);

    fn limiter(clock: &ManualClock) -> RateLimiter {
        let limits = Limits::builder()
            .requests_per_minute(600)
            .tokens_per_minute(6_000);
        RateLimiter::builder(limits.build().unwrap())
            .clock(clock)
            .build()
    }

    #[test]
    fn limiters_beyond_the_bound_share_a_lane_without_a_name() {
        let clock = ManualClock::new();
        let limiters: Vec<_> = (0..MOST + 3).map(|_| limiter(&clock)).collect();
        let mut lanes = Lanes::default();
        for _ in 0..2 {
            for (number, limiter) in limiters.iter().enumerate() {
                let found = lanes.find(limiter, || format!("m{number}"));
                assert_eq!(found, number.min(MOST));
            }
        }
        let names: Vec<_> = lanes.told_apart().iter().map(|lane| &*lane.name).collect();
        assert_eq!(names, ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7"]);
        assert_eq!(lanes.all().len(), MOST + 1);
        assert_eq!(lanes.all()[MOST].name, "");
    }

    #[test]
    fn a_limit_is_followed_through_its_changes() {
        let clock = ManualClock::new();
        let limiter = limiter(&clock);
        let mut lane = Lane::default();
        let cost = Cost::tokens(10);
        let amounts = [6_000, 6_000, 9_000, 6_000];
        for (second, amount) in (0..).zip(amounts) {
            limiter.set_limits(&Limits::tokens_per_minute(amount).unwrap());
            lane.look(second * SECOND, &limiter.snapshot(), cost, Duration::ZERO);
        }
        let expected = [(0, 6_000), (2, 9_000), (3, 6_000)];
        let expected = expected.map(|(second, amount)| (second * SECOND, amount));
        assert_eq!(lane.limits.len(), 1);
        assert_eq!(lane.limits[0].amounts, expected);
        for second in 4..1_000 {
            let limits = Limits::tokens_per_minute(6_000 + u64::from(second));
            limiter.set_limits(&limits.unwrap());
            lane.look(second * SECOND, &limiter.snapshot(), cost, Duration::ZERO);
        }
        assert_eq!(lane.limits[0].amounts.len(), CHANGES);
        assert_eq!(lane.limits[0].amounts.last(), Some(&(999 * SECOND, 6_999)));
    }

    #[test]
    fn the_limit_that_held_a_request_up_is_the_one_that_is_used_up() {
        let clock = ManualClock::new();
        let cost = Cost::tokens(1_000);
        let other = Cost::tokens(1);
        let at = Duration::from_millis(100_200);
        // What empties the bucket, what then waits, how long, and for which limit.
        let table = [(6, cost, 10_000, 1), (600, other, 100, 0)];
        for (step, (count, cost, millis, index)) in table.into_iter().enumerate() {
            let limiter = limiter(&clock);
            for _ in 0..count {
                drop(limiter.acquire(cost).unwrap());
            }
            let waited = std::thread::scope(|scope| {
                let waiting = scope.spawn(|| {
                    limiter
                        .acquire_with(cost, AcquireOptions::new())
                        .unwrap()
                        .waited()
                });
                while limiter.snapshot().waiters == 0 {
                    std::thread::yield_now();
                }
                clock.advance(Duration::from_millis(millis));
                waiting.join().unwrap()
            });
            let mut lane = Lane {
                limiter: Some(limiter.clone()),
                ..Lane::default()
            };
            assert!(lane.granted(at, cost, waited), "step {step}");
            lane.look(at, &limiter.snapshot(), cost, waited);
            // Not again in the same bucket.
            assert!(!lane.granted(at, cost, waited), "step {step}");
            let buckets = lane.grants.buckets();
            let held = |index| buckets.iter().filter(|it| it.held_by(index)).count();
            assert_eq!(held(1 - index), 0, "step {step}");
            // Of a quarter of a second each.
            assert_eq!(held(index) as u64, millis / 250 + 1, "step {step}");
            assert!(buckets.last().unwrap().held_by(index), "step {step}");
            assert!(!buckets[0].held_by(index), "step {step}");
        }
    }

    #[test]
    fn a_request_that_a_pause_held_up_waited_for_no_limit() {
        let clock = ManualClock::new();
        let limiter = limiter(&clock);
        let cost = Cost::tokens(1_000);
        // At a full bucket, and at one that has been half empty for the whole pause.
        for taken in [1, 3] {
            for _ in 0..taken {
                drop(limiter.acquire(cost).unwrap());
            }
            let mut lane = Lane::default();
            lane.look(SECOND, &limiter.snapshot(), cost, SECOND);
            assert_eq!(lane.limits.len(), 2);
            for bucket in lane.grants.buckets() {
                assert!(bucket.held_otherwise());
                assert!(!bucket.held_by(0) && !bucket.held_by(1));
            }
        }
    }
}
