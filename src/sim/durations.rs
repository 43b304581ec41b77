//! Durations as the API writes them: `20ms`, `1.78s`, `6m0s`, `1h2m3.5s`.

use std::time::Duration;

/// Whole milliseconds, rounded up, so that who waits that long has waited long enough.
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
}
