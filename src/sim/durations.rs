//! Durations as the API writes them: `20ms`, `1.78s`, `6m0s`, `1h2m3.5s`.

use std::time::Duration;

/// Whole milliseconds, rounded up, so that a client that waits for them has waited long enough.
pub(super) fn millis_up(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Whole seconds, rounded up.
pub(super) fn seconds_up(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// The duration in the style of Go's `Duration.String`, in milliseconds rounded up.
pub(super) fn go_style(duration: Duration) -> String {
    let millis = millis_up(duration);
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    let mut seconds = (millis / 1_000 % 60).to_string();
    if !millis.is_multiple_of(1_000) {
        let fraction = format!(".{:03}", millis % 1_000);
        seconds.push_str(fraction.trim_end_matches('0'));
    }
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// An instant after 1970 in RFC 3339, in whole seconds, rounded up.
pub(super) fn rfc_3339(since_1970: Duration) -> String {
    let seconds = seconds_up(since_1970);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Hinnant's `civil_from_days`, for days from 1970 on: years begin in March, so that the leap
    // day is the last of its year. https://howardhinnant.github.io/date_algorithms.html
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let table = [
            (0, "0s"),
            (1, "1ms"),
            (1_000_000, "1ms"),
            (20_000_000, "20ms"),
            (308_000_000, "308ms"),
            (999_000_001, "1s"),
            (1_780_000_000, "1.78s"),
            (2_192_760_000, "2.193s"),
            (8_640_000_000, "8.64s"),
            (60_000_000_000, "1m0s"),
            (360_000_000_000, "6m0s"),
            (252_172_000_000, "4m12.172s"),
            (3_600_000_000_000, "1h0m0s"),
            (3_723_500_000_000, "1h2m3.5s"),
            (83_909_144_000_000, "23h18m29.144s"),
        ];
        for (step, (nanos, text)) in table.into_iter().enumerate() {
            assert_eq!(go_style(Duration::from_nanos(nanos)), text, "step {step}");
        }
    }

    #[test]
    fn rounding_is_up_and_the_largest_duration_does_not_overflow() {
        assert_eq!(seconds_up(Duration::from_nanos(1)), 1);
        assert_eq!(seconds_up(Duration::from_secs(2)), 2);
        assert_eq!(seconds_up(Duration::MAX), u64::MAX);
        assert_eq!(millis_up(Duration::MAX), u64::MAX);
        assert!(go_style(Duration::MAX).ends_with('s'));
    }

    #[test]
    fn instants_are_written_as_rfc_3339_has_them() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_795_823_999, "2026-11-27T23:59:59Z"),
            (1_798_761_600, "2027-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, expected) in table {
            assert_eq!(rfc_3339(Duration::from_secs(seconds)), expected);
        }
        let fraction = Duration::from_millis(1_500);
        assert_eq!(rfc_3339(fraction), "1970-01-01T00:00:02Z");
    }
}
