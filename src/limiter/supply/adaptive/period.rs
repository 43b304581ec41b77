//! Which period a limit has that a server speaks of: a second, a minute, an hour or a day.
//!
//! The headers do not say. Where a model has a daily limit, its numbers stand in the very headers
//! that otherwise hold those of the minute: limit 10000, remaining 9999, reset 8.64s, which is
//! 86,400 s ÷ 10,000. Taken for a minute's it would be 1,440 times too much. Taken for a day's, a
//! minute's limit would be 1,440 times too little: so numbers have to fit a day, and what fits
//! nothing is a minute's.

use std::time::Duration;

use crate::observation::LimitStatus;

const SECOND: Duration = Duration::from_secs(1);
pub(in crate::limiter) const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// A window or a bucket is whole again within its period and this, rounding included.
const LATE: Duration = Duration::from_secs(2);
/// What resets are rounded by where they are written with fractions, in seconds.
const FINE: f64 = 0.002;
/// What they are rounded by where they are whole seconds.
const COARSE: f64 = 1.0;

/// What the numbers of a report say of its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    /// They fit this one and no other, or are no longer's.
    Fits(Duration),
    /// They fit none, and it is most likely this one: a window, or a bucket smaller than its limit.
    Likely(Duration),
    /// They fit a minute and a day, or there are not enough of them.
    Unclear,
}

impl Period {
    /// A bucket is full again after (limit − remaining) ÷ limit of its period. A window says
    /// nothing but when it ends, which is within its period.
    pub(super) fn of(report: &LimitStatus) -> Self {
        let (Some(limit), Some(reset)) = (report.limit, report.reset) else {
            return Self::Unclear;
        };
        let Some(remaining) = report.remaining else {
            return Self::Likely(shortest_of(reset));
        };
        let used = limit.saturating_sub(remaining) as f64 / limit.max(1) as f64;
        let reset_seconds = reset.as_secs_f64();
        let rounding = match reset.subsec_nanos() == 0 && !reset.is_zero() {
            true => COARSE,
            false => FINE,
        };
        let fits = |period: Duration| {
            let expected = used * period.as_secs_f64();
            // A hundredth for what comes in while an answer is written.
            (reset_seconds - expected).abs() <= rounding + expected / 100.0
        };
        match (fits(MINUTE), fits(HOUR), fits(DAY)) {
            (true, _, true) => Self::Unclear,
            (true, _, false) => Self::Fits(MINUTE),
            (false, _, true) => Self::Fits(DAY),
            // Within a minute it looks like a minute's window.
            (false, true, false) if reset > MINUTE + LATE => Self::Fits(HOUR),
            (false, false, false) if reset <= MINUTE + LATE => Self::Fits(MINUTE),
            (false, _, false) => Self::Likely(shortest_of(reset)),
        }
    }
}

/// The most likely period of the limit that `report` speaks of, or `None` when nothing says which.
#[cfg(test)]
fn period(report: &LimitStatus) -> Option<Duration> {
    match Period::of(report) {
        Period::Fits(period) | Period::Likely(period) => Some(period),
        Period::Unclear => None,
    }
}

/// The period of a limit of which nothing but its end is known. A day is what is left above an
/// hour; below that it could be many things, of which a minute is by far the most common.
fn shortest_of(reset: Duration) -> Duration {
    match reset > HOUR + LATE {
        true => DAY,
        false => MINUTE,
    }
}

/// Whether a refusal that asks for this wait cannot be of a day's limit with these numbers: what
/// comes in meanwhile would not be enough for a request of this cost.
pub(super) fn is_contradicted(report: &LimitStatus, cost: u64, wait: Duration) -> bool {
    let (Some(limit), Some(remaining)) = (report.limit, report.remaining) else {
        return false;
    };
    let comes_in = limit as f64 * (wait + SECOND).as_secs_f64() / DAY.as_secs_f64();
    remaining as f64 + comes_in < cost.min(limit) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Unit;

    #[test]
    fn a_day_is_told_from_a_minute() {
        let table = [
            // limit, remaining, reset in ms, period in s
            (10_000, 9_999, 8_640, Some(86_400)),
            (10_000, 9_999, 9_000, Some(86_400)), // rounded up
            (10_000, 9_999, 6, Some(60)),
            (500, 499, 120, Some(60)),
            (500, 0, 60_000, Some(60)),
            (200, 100, 43_200_000, Some(86_400)),
            (30_000, 29_110, 1_780, Some(60)),
            (150_000_000, 149_999_995, 0, Some(60)), // rounded down
            (30_000, 400, 200, Some(60)),            // a bucket of a second
            (30_000, 29_000, 41_000, Some(60)),      // a window
            (30_000, 0, 62_000, Some(60)),           // as late as a minute may be whole
            (30_000, 0, 62_001, Some(60)),           // none that it fits
            (150_000, 0, 360_000, Some(60)),
            (150_000, 0, 3_600_000, Some(3_600)),
            (600, 300, 1_800_000, Some(3_600)),
            (10_000, 9_000, 30_000_000, Some(86_400)), // a day's window
            (10_000, 10_000, 0, None),                 // nothing used: either
        ];
        for (step, (limit, remaining, reset, seconds)) in table.into_iter().enumerate() {
            let mut report = LimitStatus::of(Unit::Requests);
            report.limit = Some(limit);
            report.remaining = Some(remaining);
            report.reset = Some(Duration::from_millis(reset));
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(period(&report), expected, "step {step}: {report:?}");
        }
    }

    #[test]
    fn half_a_report_says_nothing_of_its_period() {
        let mut report = LimitStatus::of(Unit::Requests);
        assert_eq!(period(&report), None);
        report.limit = Some(10_000);
        report.remaining = Some(9_999);
        assert_eq!(period(&report), None);
        report.remaining = None;
        report.reset = Some(Duration::from_secs(3_000));
        assert_eq!(period(&report), Some(MINUTE));
        report.reset = Some(Duration::from_secs(3_603));
        assert_eq!(period(&report), Some(DAY));
    }

    #[test]
    fn a_short_wait_is_none_of_a_day_s_limit() {
        let mut report = LimitStatus::of(Unit::Tokens);
        (report.limit, report.remaining) = (Some(150_000), Some(0));
        assert!(is_contradicted(&report, 30, Duration::from_secs(1)));
        assert!(!is_contradicted(&report, 30, Duration::from_secs(20)));
        (report.limit, report.remaining) = (Some(10_000), Some(0));
        assert!(!is_contradicted(&report, 1, Duration::from_secs(9)));
        report.remaining = Some(1);
        assert!(!is_contradicted(&report, 1, Duration::ZERO));
    }
}
