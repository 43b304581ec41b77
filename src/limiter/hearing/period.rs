//! Whether a limit that a server speaks of is one a minute or one a day.
//!
//! The headers do not say. Where a model has a daily limit, its numbers stand in the very headers
//! that otherwise hold those of the minute: limit 10000, remaining 9999, reset 8.64s, which is
//! 86,400 s ÷ 10,000. Taken for a minute's it would be 1,440 times too much.

use std::time::Duration;

use crate::feedback::Report;

pub(in crate::limiter) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// A window or a bucket of a minute is whole again within this time, rounding included.
const LONGEST_MINUTE: Duration = Duration::from_secs(62);
/// What resets are rounded by where they are written with fractions, in seconds.
const FINE: f64 = 0.002;
/// What they are rounded by where they are whole seconds.
const COARSE: f64 = 1.0;

/// The period of the limit that `report` speaks of, or `None` when it may be either.
///
/// A bucket of either kind is full again after (limit − remaining) ÷ limit of its period.
pub(in crate::limiter) fn period(report: &Report) -> Option<Duration> {
    let (limit, reset) = (report.limit?, report.reset?);
    if reset > LONGEST_MINUTE {
        return Some(DAY);
    }
    let used = limit.saturating_sub(report.remaining?) as f64 / limit.max(1) as f64;
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
    match (fits(MINUTE), fits(DAY)) {
        (true, true) => None,
        (false, true) => Some(DAY),
        // With neither it is a window, or a bucket smaller than its limit.
        _ => Some(MINUTE),
    }
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
            (30_000, 0, 62_001, Some(86_400)),
            (10_000, 10_000, 0, None), // nothing used: either
        ];
        for (step, (limit, remaining, reset, seconds)) in table.into_iter().enumerate() {
            let mut report = Report::of(Unit::Requests);
            report.limit = Some(limit);
            report.remaining = Some(remaining);
            report.reset = Some(Duration::from_millis(reset));
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(period(&report), expected, "step {step}: {report:?}");
        }
    }

    #[test]
    fn half_a_report_says_nothing_of_its_period() {
        let mut report = Report::of(Unit::Requests);
        assert_eq!(period(&report), None);
        report.limit = Some(10_000);
        report.remaining = Some(9_999);
        assert_eq!(period(&report), None);
        report.remaining = None;
        report.reset = Some(Duration::from_secs(3_000));
        assert_eq!(period(&report), Some(DAY));
    }
}
