//! One limit of the server's: what it says of it, against what is believed here.

#[cfg(test)]
mod tests; // one word of the server's at a time

use std::time::Duration;

use super::filter::{Drift, Filter, Measurement, StateEstimate};
use super::history::Spent;
use super::period::MINUTE;
use super::refusal_backoff::RefusalBackoff;
use super::short::{self, ShortWindows};
use crate::limiter::bucket::{Bucket, Tick};
use crate::observation::{Refusal, Scope};
use crate::quota::{MAX_AMOUNT, Quota};
use crate::unit::Unit;

/// How much the way to the server varies, beyond what reorders requests: a deviation in seconds.
const TIMING: f64 = 0.02;
/// What is not known at first, as deviations: charges up to a third off, neighbours that take a
/// fifth.
const FIRST_EXCESS: f64 = 0.3;
const FIRST_FOREIGN: f64 = 0.2;
/// The charge is known when it is to this deviation.
const KNOWN: f64 = 0.03;
/// The part of the level that is held back because it may not be there, in deviations.
const CAUTION: f64 = 3.0;
/// The most of it, in seconds of the rate, apart from charges that no answer has shown yet.
const MOST_RESERVE: f64 = 0.3;
/// Others are taken to use this fraction of a limit at most, so that no client stops for good.
const MOST_FOREIGN: f64 = 0.95;
/// The time in which half of what refusals alone have taught is forgotten, in seconds.
const FORGETTING: f64 = 20.0;
/// A level that is suddenly higher by this share of the bucket is that of a new window.
const NEW_WINDOW: f64 = 0.2;
/// So much is spent, in seconds of the rate and as a part of what fits into the bucket, and so much time
/// passes before the filter follows: neither changes what is held back by more than a hundredth of a second
/// of the rate, and a grant costs no more than a count. With twice each, the run "windows of 1 s" of seed 16
/// is refused 17 times, above its bound.
const STEP: f64 = 0.01;
const STEP_PART: f64 = 0.01;
const STEP_TIME: u64 = 5_000_000; // 5 ms
/// The least and the most that a server is taken to charge, as a count error.
const EXCESSES: (f64, f64) = (-0.95, 20.0);

/// What is known of one limit of the server's. Pure: the caller passes the time.
///
/// Amounts of the limit's unit are held in seconds of its rate, as [`Filter`] has them.
#[derive(Debug, Clone)]
pub(super) struct LimitEstimator {
    pub(super) scope: Scope,
    /// The limit as the server says it is; until then as it was stated or provisional.
    quota: Quota,
    /// The limit that the user has stated, which the server cannot raise.
    stated: Option<Quota>,
    /// How much may go at once by the user's word, in seconds.
    burst: Option<f64>,
    /// When the newest request was admitted whose answer said what the limit is.
    reported: Option<Tick>,
    /// The request whose response was the first to report the limit, until a second one does.
    said_once: Option<(Tick, Spent)>,
    /// When something happened that no answer to an earlier request can know of: another limit, a
    /// refusal.
    changed: Tick,
    filter: Filter,
    count_error: f64,
    external_use: f64,
    /// How far the filter has come.
    at: Tick,
    spent: Spent,
    /// What has been granted since, and the sum of its squares, in units.
    granted: f64,
    squares: f64,
    /// The units after which the filter follows.
    step: f64,
    /// What had been spent up to the newest request that was heard of.
    heard_of: Option<Spent>,
    /// The newest request whose answer said when all of the limit is left again, and when that is.
    full_at: Option<(Tick, Tick)>,
    pub(super) refusal_backoff: RefusalBackoff,
    short: ShortWindows,
    /// The largest bucket that the server's words are consistent with, in seconds; 0 for none.
    bucket: f64,
    jitter: Duration,
    is_refused: bool,
}

/// When a request was admitted, and what had been spent then by all that the server had charged
/// when it spoke.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Tick,
    pub(super) spent: Spent,
    /// What left around that time beside it, in the limit's unit: it may have arrived in any
    /// order.
    pub(super) near: u64,
}

impl LimitEstimator {
    pub(super) fn new(
        quota: Quota,
        scope: Scope,
        jitter: Duration,
        at: Tick,
        spent: Spent,
    ) -> Self {
        let count_error = match quota.unit() {
            Unit::Requests | Unit::Custom(_) => 0.0, // one is one
            _ => FIRST_EXCESS,
        };
        let whole = quota.period().as_secs_f64();
        Self {
            scope,
            stated: (!quota.is_provisional()).then_some(quota),
            burst: Some(burst_seconds(quota)),
            reported: None,
            said_once: None,
            changed: Tick::default(),
            filter: Filter::new(StateEstimate {
                level: whole,
                count_error,
                external_use: FIRST_FOREIGN,
            }),
            count_error: 0.0,
            external_use: 0.0,
            at,
            spent,
            granted: 0.0,
            squares: 0.0,
            step: 0.0,
            heard_of: None,
            full_at: None,
            refusal_backoff: RefusalBackoff::default(),
            short: ShortWindows::default(),
            bucket: 0.0,
            jitter,
            is_refused: false,
            quota,
        }
    }

    pub(super) fn unit(&self) -> Unit {
        self.quota.unit()
    }

    pub(super) fn quota(&self) -> Quota {
        self.quota
    }

    pub(super) fn is_reported(&self) -> bool {
        self.reported.is_some()
    }

    /// Whether a second response, or the user, has named the limit: then it refuses what is above it.
    pub(super) fn is_confirmed(&self) -> bool {
        self.said_once.is_none()
    }

    /// Whether a request left after the one whose response alone has reported the limit.
    pub(super) fn is_after_report(&self, at: Tick, spent: Spent) -> bool {
        self.said_once
            .is_some_and(|said| said != (at, spent) && at >= said.0)
    }

    /// Whether the server has said what is left.
    pub(super) fn is_observed(&self) -> bool {
        self.heard_of.is_some()
    }

    /// Whether a refusal has said when there would be enough.
    #[cfg(feature = "redis")]
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Whether a careful start makes sense: a second of a daily limit's rate admits no request.
    pub(super) fn is_fast(&self) -> bool {
        self.quota.period() <= MINUTE
    }

    /// The limit that the user has stated.
    pub(super) fn stated(&self) -> Option<Quota> {
        self.stated
    }

    /// Whether what the user has stated is what holds, and not the server's limit: that is larger,
    /// or it is not known how large it is while the level follows what the server says remains.
    pub(super) fn is_capped(&self) -> bool {
        self.stated.is_some_and(|stated| match self.reported {
            Some(_) => stated.amount() < self.quota.amount(),
            None => self.is_observed(),
        })
    }

    /// What the server charges for each unit that is reserved, once that is known.
    pub(super) fn known_ratio(&self) -> Option<f64> {
        self.is_charge_known().then_some(1.0 + self.count_error)
    }

    /// What the server is taken to charge for each unit that is reserved.
    pub(super) fn ratio(&self) -> f64 {
        1.0 + self.count_error
    }

    /// The share of the limit that others are taken to use.
    pub(super) fn external_use(&self) -> f64 {
        self.external_use
    }

    fn is_charge_known(&self) -> bool {
        self.is_observed() && self.filter.excess_deviation() < KNOWN
    }

    /// The quota of its level: as much as the server's bucket and the user let through at once,
    /// less the jitter's part.
    pub(super) fn bucket(&self) -> Quota {
        let burst = Duration::from_secs_f64(self.bucket_seconds());
        self.quota
            .with_burst_duration(burst)
            .allow_jitter(self.jitter)
    }

    fn bucket_seconds(&self) -> f64 {
        if self.short.is_on() {
            return short::AT_ONCE;
        }
        let whole = self.quota.period().as_secs_f64();
        let seen = match self.bucket {
            0.0 => whole,
            seen => seen.min(whole),
        };
        seen.min(self.burst.unwrap_or(whole))
    }

    /// This many units have been granted, or used beyond what was granted. The filter follows in steps.
    #[inline]
    pub(super) fn granted(&mut self, amount: u64) {
        let amount = amount as f64;
        self.granted += amount;
        self.squares += amount * amount;
    }

    /// Whether the filter has to follow, when this much of its unit has been spent in all.
    #[inline]
    pub(super) fn is_due(&self, now: Tick, spent: i64) -> bool {
        let more = spent.saturating_sub(self.spent.amount(self.unit()));
        more as f64 >= self.step || now.0.saturating_sub(self.at.0) >= STEP_TIME
    }

    /// Advances to `now`, and lets the level grant what is sure to be there.
    pub(super) fn advance(&mut self, now: Tick, spent: Spent, level: &mut Bucket) {
        let rate = self.rate();
        let more = std::mem::take(&mut self.granted) / rate;
        let squares = std::mem::take(&mut self.squares) / (rate * rate);
        self.step = STEP.min(STEP_PART * self.bucket_seconds()) * rate;
        let time = now.since(self.at).as_secs_f64();
        let drift = Drift::of(self.unit());
        self.filter.advance(more, squares, time, drift);
        (self.at, self.spent) = (self.at.max(now), spent);
        self.forget_external_use(level);
        if !self.is_observed() && self.external_use != 0.0 {
            // Where only refusals speak, no answer would show that it has got better.
            self.external_use *= 0.5_f64.powf(time / FORGETTING);
            self.set_rate(level);
        }
        self.set_reserve(level);
    }

    /// Hears that the limit is `limit` per its period, and that `left` was left of it, if that was
    /// said. Answers may come in any order: an older one cannot take back what a newer one said.
    pub(super) fn observe_limit(
        &mut self,
        limit: u64,
        left: Option<f64>,
        then: Moment,
        level: &mut Bucket,
    ) {
        let limit = limit.min(MAX_AMOUNT); // some say the largest number there is for none
        let request = Some((then.at, then.spent));
        if self.said_once.is_some() && self.said_once != request && self.quota.amount() == limit {
            self.said_once = None;
            level.confirm();
        }
        if self.reported.is_some_and(|told| told > then.at) {
            return;
        }
        self.reported = Some(then.at);
        let Ok(quota) = Quota::new(self.unit(), limit, self.quota.period()) else {
            return; // of 0 it says nothing
        };
        if self.quota.amount() == limit && !self.quota.is_provisional() {
            return;
        }
        let is_stated = self.stated.is_some_and(|stated| stated.amount() == limit);
        self.said_once = request.filter(|_| !is_stated);
        match self.is_confirmed() {
            true => level.confirm(),
            false => level.send_probe(),
        }
        self.quota = quota;
        self.changed = then.at;
        self.bucket = 0.0;
        self.external_use = 0.0;
        self.refusal_backoff.forget();
        self.short.forget();
        level.resize(self.bucket());
        if let Some(left) = left {
            // From here on the filter takes it: what is left is all that is known.
            level.set_units(self.left_now(left, then));
            self.filter
                .set_level(self.quota.period().as_secs_f64() / 100.0);
        }
        self.set_rate(level);
        self.set_reserve(level);
    }

    /// The user states another limit, or none.
    pub(super) fn restate(&mut self, stated: Option<Quota>, level: &mut Bucket) {
        self.stated = stated.filter(|quota| !quota.is_provisional());
        self.burst = stated.map(burst_seconds);
        if let Some(quota) = stated.filter(|_| !self.is_reported()) {
            self.quota = quota;
        }
        level.resize(self.bucket());
        self.set_rate(level);
    }

    /// Hears that the server's bucket seems to be of this size, in units. The largest counts: a
    /// window seems to be of any size, and of its limit or more at its beginning. `is_exact` says that
    /// something remained, and that the time until it is full was not rounded to seconds.
    pub(super) fn observe_bucket(
        &mut self,
        units: f64,
        is_exact: bool,
        then: Moment,
        level: &mut Bucket,
    ) {
        if then.at < self.changed {
            return;
        }
        let before = self.bucket();
        let seconds = self.seconds(units);
        self.bucket = self.bucket.max(seconds);
        if is_exact && self.short.seems(seconds, self.at) {
            self.spread_evenly(level);
        }
        let bucket = self.bucket();
        if bucket != before {
            level.pace(bucket, 1.0);
            self.set_rate(level);
        }
    }

    /// Observes that all of the limit is left again after `reset`, if nothing is spent.
    pub(super) fn observe_reset(&mut self, reset: Duration, then: Moment) {
        if self.full_at.is_none_or(|(of, _)| of <= then.at) {
            self.full_at = Some((then.at, self.at.after(reset)));
        }
    }

    /// Forgets what others use when all requests have been answered and the limit is to be whole again since
    /// then: it may have been a window, which nothing came into before its end. A client that takes others to
    /// use nearly all of a limit sends too little to find that out.
    fn forget_external_use(&mut self, level: &mut Bucket) {
        let is_whole = self.full_at.is_some_and(|(_, at)| at <= self.at);
        let is_all_heard_of = || {
            let heard_of = self.heard_of;
            heard_of.is_some_and(|it| self.spent.since(it, self.unit()) <= 0.0)
        };
        if self.external_use > 0.0 && is_whole && is_all_heard_of() {
            self.full_at = None;
            self.external_use = 0.0;
            self.filter.forget_foreign();
            self.set_rate(level);
        }
    }

    /// Hears that `units` were left when the server had spoken of the request of `then`: it tells
    /// how its limits stand.
    pub(super) fn observe_left(&mut self, units: f64, then: Moment, level: &mut Bucket) {
        self.heard_of = match self.heard_of {
            Some(spent) if spent.since(then.spent, self.unit()) >= 0.0 => Some(spent),
            _ => Some(then.spent),
        };
        if !self.is_reported() && self.quota.is_provisional() && units > self.quota.amount() as f64
        {
            self.raise(units, level);
        }
        if !self.short.is_on() {
            self.correct(units, then, level);
        }
    }

    /// Observes that a request for which `reserved` had been taken was refused, and returns how long
    /// all requests have to wait at least.
    pub(super) fn observe_refusal(
        &mut self,
        refusal: &Refusal,
        reserved: u64,
        then: Moment,
        level: &mut Bucket,
    ) -> Duration {
        let in_vain = self.refusal_backoff.refused(then.at, self.at);
        if then.at >= self.changed && self.short.refused(self.bucket, self.at) {
            self.spread_evenly(level);
        }
        // Without a period it may speak of another limit of the unit.
        if let Some(limit) = refusal.limit.filter(|_| refusal.period.is_some()) {
            self.observe_limit(limit, None, then, level);
        }
        let Some(told) = refusal.wait.filter(|_| then.at >= self.changed) else {
            return in_vain;
        };
        let wait = told.max(in_vain);
        self.is_refused = true;
        if self.short.is_on() {
            return wait; // then the next window begins, and what is left of this one does not matter
        }
        let asked = match refusal.requested {
            Some(requested) => requested as f64,
            None => reserved as f64 * self.ratio(),
        };
        // After the wait it is to fit, so that is what has to come in until then: at the rate at
        // which it comes in here, or a window's end would find the level far below.
        let left = asked - wait.as_secs_f64() * self.rate() * (1.0 - self.external_use);
        self.correct(left, then, level);
        // No noise makes a refusal: what it says is the most that there can be.
        level.set_units(level.units().min(self.left_now(left, then)));
        self.changed = then.at;
        wait
    }

    /// Begins or ends to spread requests over short windows. What seemed to be others and charges was
    /// the window.
    fn spread_evenly(&mut self, level: &mut Bucket) {
        (self.external_use, self.count_error) = (0.0, 0.0);
        self.filter.forget_foreign();
        level.pace(self.bucket(), 1.0);
        self.set_rate(level);
    }

    fn correct(&mut self, units: f64, then: Moment, level: &mut Bucket) {
        if then.at < self.changed {
            return;
        }
        let near = self.seconds(then.near as f64);
        let rounding = self.seconds(1.0); // it is said in whole units
        let error = self.left_now(units, then) - level.units();
        let whole = self.seconds(units) - self.held_back();
        // What the server has beyond our own bucket does not matter.
        if error > 0.0 && whole >= self.seconds(level.capacity()) {
            return self.set_reserve(level);
        }
        if self.seconds(error) > NEW_WINDOW * self.bucket_seconds() {
            // Nothing came in within the last one, which looked like others taking it.
            self.external_use = 0.0;
            self.filter.forget_foreign();
        }
        let time = self.at.since(then.at).as_secs_f64();
        // A bucket that may have been full since then has forgotten what was before.
        let forgotten = (time - self.bucket_seconds()).max(0.0);
        let change = self.filter.correct(Measurement {
            error: self.seconds(error),
            spent: self.seconds(self.spent.since(then.spent, self.unit())),
            time,
            noise: TIMING * TIMING
                + near * near / 6.0
                + rounding * rounding / 12.0
                + forgotten * forgotten,
        });
        level.shift(change.level * self.rate());
        if self.is_observed() {
            // A refusal alone does not show what was charged.
            self.count_error =
                (self.count_error + change.count_error).clamp(EXCESSES.0, EXCESSES.1);
        }
        // Where it is said what is granted, no more is.
        let is_certain = self.is_reported() || self.stated.is_some();
        let least = if is_certain { 0.0 } else { -0.5 };
        self.external_use = (self.external_use + change.external_use).clamp(least, MOST_FOREIGN);
        self.set_rate(level);
        self.set_reserve(level);
    }

    /// Takes the limit to be this many units per second, and says nothing of what is used.
    pub(super) fn guess(&mut self, per_second: f64, level: &mut Bucket) {
        let before = self.quota.amount();
        self.raise(per_second * self.quota.period().as_secs_f64(), level);
        if self.quota.amount() != before {
            self.set_rate(level);
        }
    }

    /// Lets so much go at once from now on, in seconds of the rate.
    pub(super) fn keep_burst(&mut self, seconds: f64) {
        self.burst = Some(seconds);
    }

    /// A guess that is below what the server says is left is too low.
    fn raise(&mut self, units: f64, level: &mut Bucket) {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates"
        )]
        let quota = Quota::new(self.unit(), units as u64, self.quota.period());
        if let Ok(quota) = quota {
            self.quota = quota.provisional();
            level.resize(self.bucket());
        }
    }

    /// What is left now if `units` were left then: what came in since, less what was spent since
    /// at what it is believed to be charged. Less the jitter's part, too: requests that leave
    /// evenly do not arrive evenly, see [`Quota::allow_jitter`].
    fn left_now(&self, units: f64, then: Moment) -> f64 {
        let time = self.at.since(then.at).as_secs_f64() * (1.0 - self.external_use);
        let spent = self.spent.since(then.spent, self.unit());
        units + (time - self.held_back()) * self.rate() - spent * self.ratio()
    }

    /// What is held back of the bucket for jitter, in seconds.
    fn held_back(&self) -> f64 {
        let bucket = self.bucket_seconds();
        self.jitter.as_secs_f64().min(bucket / 2.0)
    }

    fn set_rate(&self, level: &mut Bucket) {
        let used = if self.short.is_on() { short::USED } else { 1.0 };
        level.fill_at(self.quota.amount() as f64 * (1.0 - self.external_use) * used);
    }

    fn set_reserve(&self, level: &mut Bucket) {
        if self.short.is_on() {
            return level.charge(self.ratio(), 0.0);
        }
        let reserve = match self.heard_of {
            Some(heard_of) => {
                let unseen = self
                    .seconds(self.spent.since(heard_of, self.unit()))
                    .max(0.0);
                let most = CAUTION * (self.filter.excess_deviation() + 0.05) * unseen;
                (CAUTION * self.filter.level_deviation()).min(most + MOST_RESERVE)
            }
            None => 0.0, // the ramp is what makes it careful
        };
        let kept = self.refusal_backoff.kept(self.at);
        level.charge(self.ratio(), (reserve + kept) * self.rate());
    }

    /// Units per second.
    pub(super) fn rate(&self) -> f64 {
        self.quota.amount() as f64 / self.quota.period().as_secs_f64()
    }

    fn seconds(&self, units: f64) -> f64 {
        units / self.rate()
    }
}

/// A quota's burst, in seconds of its rate.
fn burst_seconds(quota: Quota) -> f64 {
    quota.burst() as f64 / quota.amount() as f64 * quota.period().as_secs_f64()
}
