//! A quota in the whole steps that the store reckons in.
//!
//! A script's numbers are doubles, exact below 2⁵³. So a level is held in fractions of a unit, as
//! fine as a tick of the store's clock needs: per tick a whole number of them comes in, and one
//! unit is a whole number of them.
//!
//! ```text
//! 30,000 tokens per minute, a tick of 1 µs:  30,000 in 60,000,000 µs = 1 in 2,000
//!                                            one token = 2,000 steps, one µs = 1 step
//! ```
//!
//! Where a full bucket does not fit into 2⁵² steps, the tick is ten times as long, and so on. A
//! period that is no whole number of ticks is rounded up: never more than the limit.

use std::time::Duration;

use crate::Result;
use crate::quota::{Limits, Quota};
use crate::unit::Unit;

/// What a level may be at most, and at least below zero: 2⁵².
const LARGEST: u64 = 1 << 52;
/// Numbers of a quota in the form that the store keeps.
const FIELDS: usize = 10;

/// How a quota is reckoned in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scale {
    /// What comes in each tick.
    rate: u64,
    /// Steps in a unit.
    scale: u64,
    /// Microseconds.
    tick: u64,
}

/// Limits as the store keeps them.
pub(super) fn encode(limits: &[Quota]) -> String {
    let quotas = limits.iter().map(|quota| {
        let Scale { rate, scale, tick } = Scale::of(*quota);
        let numbers: [u64; FIELDS] = [
            quota.unit().index() as u64,
            quota.amount(),
            micros_up(quota.period()),
            quota.burst(),
            quota.start(),
            u64::from(quota.is_provisional()),
            rate,
            scale,
            tick,
            quota.burst().saturating_mul(scale).min(LARGEST),
        ];
        numbers.map(|number| number.to_string()).join(" ")
    });
    quotas.collect::<Vec<_>>().join(" ")
}

/// Limits from what the store keeps. `None` if they are not in our format.
pub(super) fn decode(text: &str) -> Option<Vec<Quota>> {
    let numbers: Vec<u64> = text
        .split_ascii_whitespace()
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    let quotas = numbers.chunks(FIELDS).map(|numbers| {
        let [unit, amount, period, burst, start, provisional, ..] = *numbers else {
            return None;
        };
        let unit = *Unit::ALL.get(usize::try_from(unit).ok()?)?;
        let quota = Quota::new(unit, amount, Duration::from_micros(period)).ok()?;
        let quota = quota.with_burst(burst);
        let quota = match start < quota.burst() {
            true => quota.with_initial(start),
            false => quota,
        };
        Some(match provisional {
            0 => quota,
            _ => quota.provisional(),
        })
    });
    quotas.collect()
}

/// A fingerprint of what is stated of limits: empty, if they are only provisional.
pub(super) fn stated(limits: &Limits) -> String {
    let stated = limits
        .quotas()
        .iter()
        .filter(|quota| !quota.is_provisional());
    encode(&stated.copied().collect::<Vec<_>>())
}

/// Whole microseconds, rounded up, at least one.
pub(super) fn micros_up(duration: Duration) -> u64 {
    let micros = duration.as_nanos().div_ceil(1_000).max(1);
    u64::try_from(micros).unwrap_or(u64::MAX)
}

/// What is left of a quota in whole units, from a level in steps that is `age` microseconds old.
pub(super) fn left(quota: Quota, level: i64, age: i64) -> i64 {
    let Scale { rate, scale, tick } = Scale::of(quota);
    let ticks = u64::try_from(age).unwrap_or(0) / tick;
    let full = i128::from(quota.burst()) * i128::from(scale);
    let level = i128::from(level) + i128::from(ticks) * i128::from(rate);
    let left = level.min(full).div_euclid(i128::from(scale));
    i64::try_from(left).unwrap_or(i64::MIN)
}

/// A part of a quota: the limit of one of `people` processes while no store keeps the whole. A cost
/// above it passes at a full bucket.
pub(in crate::limiter) fn part(quota: Quota, people: u64) -> Result<Quota> {
    let people = people.max(1);
    let amount = (quota.amount() / people).max(1);
    let part = Quota::new(quota.unit(), amount, quota.period())?;
    let burst = (quota.burst() / people).max(1);
    Ok(part.with_burst(burst).with_initial(0).provisional())
}

impl Scale {
    fn of(quota: Quota) -> Self {
        let period = micros_up(quota.period());
        let most = quota.amount().max(quota.burst());
        let mut tick = 1;
        loop {
            let ticks = period.div_ceil(tick);
            let divisor = common(quota.amount(), ticks);
            let (rate, scale) = (quota.amount() / divisor, ticks / divisor);
            let fits = most.checked_mul(scale).is_some_and(|full| full <= LARGEST);
            if fits || tick >= period {
                return Self { rate, scale, tick };
            }
            tick = tick.saturating_mul(10);
        }
    }
}

/// The greatest common divisor.
fn common(a: u64, b: u64) -> u64 {
    match b {
        0 => a.max(1),
        b => common(b, a % b),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quota::{MAX_AMOUNT, MAX_PERIOD};

    #[test]
    fn the_scale_is_as_fine_as_it_can_be() {
        let scale = |amount, seconds, burst| {
            let quota = Quota::new(Unit::Tokens, amount, Duration::from_secs(seconds)).unwrap();
            let Scale { rate, scale, tick } = Scale::of(quota.with_burst(burst));
            (rate, scale, tick)
        };
        assert_eq!(scale(30_000, 60, 30_000), (1, 2_000, 1));
        assert_eq!(scale(500, 60, 500), (1, 120_000, 1));
        assert_eq!(scale(1_000_001, 60, 1_000_001), (1_000_001, 60_000_000, 1));
        assert_eq!(scale(999_999_937, 86_400, 999_999_937).2, 100_000);
    }

    proptest! {
        /// Never faster than the quota, hardly slower, and in numbers that a double holds.
        #[test]
        fn no_rate_is_above_the_quotas(
            amount in 1..=MAX_AMOUNT,
            nanos in 1..=MAX_PERIOD.as_secs() * 1_000_000_000,
            burst in 1..=MAX_AMOUNT,
        ) {
            let quota = Quota::new(Unit::Tokens, amount, Duration::from_nanos(nanos)).unwrap();
            let Scale { rate, scale, tick } = Scale::of(quota.with_burst(burst));
            let ours = u128::from(rate) * u128::from(nanos);
            let its = u128::from(amount) * 1_000 * u128::from(scale) * u128::from(tick);
            prop_assert!(ours <= its, "{} steps of {} a tick of {} µs", rate, scale, tick);
            prop_assert!(scale == 1 || amount.max(burst) <= LARGEST / scale);
        }

        #[test]
        fn what_is_kept_is_what_was_meant(
            amount in 1..=MAX_AMOUNT,
            micros in 1..=1_000_000_000_u64,
            burst in 1..=MAX_AMOUNT,
            is_provisional: bool,
        ) {
            let quota = Quota::new(Unit::OutputTokens, amount, Duration::from_micros(micros)).unwrap();
            let quota = quota.with_burst(burst).with_initial(burst / 2);
            let quota = if is_provisional { quota.provisional() } else { quota };
            prop_assert_eq!(decode(&encode(&[quota, quota])), Some(vec![quota, quota]));
        }
    }

    #[test]
    fn what_is_none_of_ours_is_none() {
        for text in ["1 2", "9 1 1 1 1 0 1 1 1 1", "1 0 1 1 1 0 1 1 1 1", "1 x"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn parts_are_no_more_than_the_whole_and_never_nothing() {
        let quota = Quota::per_minute(Unit::Requests, 10).unwrap().with_burst(5);
        let show = |people| {
            let part = part(quota, people).unwrap();
            (part.amount(), part.burst(), part.start())
        };
        assert_eq!([0, 3, 100].map(show), [(10, 5, 0), (3, 1, 0), (1, 1, 0)]);
    }
}
