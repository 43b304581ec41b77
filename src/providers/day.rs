//! When a provider's day ends: limits of a day that begin anew at a midnight, wherever the program runs.

use std::time::{Duration, SystemTime};

use super::file::DayEnd;

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// The time from `now` until limits of a day begin anew.
pub(super) fn until(end: DayEnd, now: SystemTime) -> Duration {
    let Ok(now) = now.duration_since(SystemTime::UNIX_EPOCH) else {
        return Duration::from_secs(DAY);
    };
    let shift = match end {
        DayEnd::MidnightUtc => 0,
        DayEnd::MidnightPacific => pacific_offset(now.as_secs()),
    };
    let local = now + Duration::from_secs(DAY - shift);
    let into = Duration::new(local.as_secs() % DAY, local.subsec_nanos());
    let left = Duration::from_secs(DAY) - into;
    // The clock changes at 2 in the night: where it has another offset at that midnight, by an hour.
    let then = match end {
        DayEnd::MidnightUtc => shift,
        DayEnd::MidnightPacific => pacific_offset((now + left).as_secs()),
    };
    left + Duration::from_secs(then) - Duration::from_secs(shift)
}

/// How far the Pacific coast of the United States is behind UTC, in seconds: 7 h from the second Sunday of
/// March to the first Sunday of November, 2 in the night each (Energy Policy Act of 2005), 8 h otherwise.
fn pacific_offset(unix: u64) -> u64 {
    let year = year_of(unix / DAY);
    let march = first_sunday(days_before(year, 3)) + 7;
    let november = first_sunday(days_before(year, 11));
    let begin = march * DAY + 2 * HOUR + 8 * HOUR;
    let end = november * DAY + 2 * HOUR + 7 * HOUR;
    match (begin..end).contains(&unix) {
        true => 7 * HOUR,
        false => 8 * HOUR,
    }
}

/// The first Sunday at or after a day since 1970-01-01, which was a Thursday.
fn first_sunday(day: u64) -> u64 {
    day + (7 - (day + 4) % 7) % 7
}

fn year_of(day: u64) -> u64 {
    // A year has at most 366 days, so this is at most the year, and little less.
    let mut year = 1970 + day / 366;
    while days_before(year + 1, 1) <= day {
        year += 1;
    }
    year
}

/// Days from 1970-01-01 to the first of a month.
fn days_before(year: u64, month: u64) -> u64 {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let index = usize::try_from(month.saturating_sub(1)).unwrap_or(0);
    let in_year = BEFORE.get(index).copied().unwrap_or(0) + u64::from(is_leap && month > 2);
    (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969) + in_year
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_there() {
        let table = [
            // now, until the end in hours, what it is
            (1_795_593_600, 24.0, "2026-11-25T08:00:00Z, midnight itself"),
            (1_795_593_600 + 3_600, 23.0, "an hour later"),
            (
                1_784_534_400,
                23.0,
                "2026-07-20T08:00:00Z, an hour past midnight in summer",
            ),
            // 2026-03-08T08:00Z: this day has 23 hours, and 2026-11-01T07:00Z one of 25.
            (1_772_956_800, 23.0, "2026-03-08T08:00:00Z"),
            (1_793_516_400, 25.0, "2026-11-01T07:00:00Z"),
        ];
        for (now, hours, what) in table {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
            let left = until(DayEnd::MidnightPacific, now);
            assert_eq!(left, Duration::from_secs_f64(hours * 3_600.0), "{what}");
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_593_600);
        assert_eq!(
            until(DayEnd::MidnightUtc, now),
            Duration::from_secs(16 * 3_600)
        );
    }
}
