//! Times as servers write them: Go's durations, bare seconds, instants. Without floating point,
//! so that `8.64s` is 8,640 ms to the nanosecond; what is finer than that counts as a whole one,
//! because a wait is never made shorter.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// The longest time that is believed. No limit has a longer period; a number of seconds above it is
/// an instant in Unix time, as some gateways send it, and would stop a run for decades.
pub(super) const MAX: Duration = Duration::from_secs(366 * 24 * 3_600);

/// One second in nanoseconds.
const SECOND: u64 = 1_000_000_000;
/// The decimals that are read. Further ones are far below a nanosecond, and would not fit.
const MAX_DECIMALS: usize = 18;

/// A time in any form that headers have: `6m0s`, seconds (`8.64`), or an instant of RFC 3339, of
/// HTTP or in Unix time (seconds or milliseconds), which counts from `now` and asks for no wait
/// once it is past.
///
/// `None` for whatever else there is: negative, not finite, above [`MAX`].
pub(super) fn read(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    seconds(text)
        .or_else(|| go_style(text))
        .or_else(|| until(text, now))
        .or_else(|| until_unix(text, now))
}

/// A bare number of seconds, fractions allowed.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    believable(scaled(text.trim(), SECOND)?)
}

/// A bare number of milliseconds, fractions allowed.
pub(super) fn millis(text: &str) -> Option<Duration> {
    believable(scaled(text.trim(), SECOND / 1_000)?)
}

/// A duration as Go prints it: numbers, each with its unit.
pub(super) fn go_style(text: &str) -> Option<Duration> {
    let is_numeric = |char: char| char.is_ascii_digit() || char == '.';
    let mut rest = text;
    let mut total = Duration::ZERO;
    loop {
        let (number, behind) = split_at(rest, |char| !is_numeric(char));
        let (unit, next) = split_at(behind, is_numeric);
        let part = scaled(number, nanos_per(unit)?)?;
        total = total.checked_add(part)?;
        if next.is_empty() {
            return believable(total);
        }
        rest = next;
    }
}

/// Splits before the first character that is `at`, or at the end.
fn split_at(text: &str, at: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(at).unwrap_or(text.len()))
}

fn nanos_per(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        // The micro sign is in Unicode twice, and Go reads both.
        "us" | "\u{b5}s" | "\u{3bc}s" => SECOND / 1_000_000,
        "ms" => SECOND / 1_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3_600 * SECOND,
        _ => return None,
    })
}

/// A decimal number of units of `unit` nanoseconds each, rounded up to whole nanoseconds. Digits and
/// at most one point: no sign, no exponent, no `inf`.
fn scaled(number: &str, unit: u64) -> Option<Duration> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_empty = whole.is_empty() && decimals.is_empty();
    if is_empty || !are_digits(whole) || !are_digits(decimals) {
        return None;
    }
    let decimals = &decimals[..decimals.len().min(MAX_DECIMALS)];
    // Neither product can overflow: both factors have at most 64 bits.
    let (whole, unit) = (u128::from(digits(whole)?), u128::from(unit));
    let scale = (0..decimals.len()).fold(1, |scale: u128, _| scale * 10);
    let part = (u128::from(digits(decimals)?) * unit).div_ceil(scale);
    let nanos = u64::try_from(whole * unit + part).ok()?;
    Some(Duration::from_nanos(nanos))
}

fn digits(text: &str) -> Option<u64> {
    if text.is_empty() {
        return Some(0);
    }
    text.parse().ok()
}

/// The time from `now` until an instant, zero when it is past.
pub(super) fn until(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(date) = httpdate::parse_http_date(text) {
        return believable(date.duration_since(now).unwrap_or_default());
    }
    let instant: Timestamp = text.parse().ok()?;
    let ahead = instant.duration_since(Timestamp::try_from(now).ok()?);
    believable(ahead.try_into().unwrap_or_default())
}

/// The time from `now` until an instant in Unix time: seconds, or milliseconds where that would be
/// more seconds than there are. None when it was more than a day ago, which is not an instant that a
/// server would name.
pub(super) fn until_unix(text: &str, now: SystemTime) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(86_400);
    let instant = scaled(text, SECOND).or_else(|| scaled(text, SECOND / 1_000))?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let is_near = instant.checked_add(DAY).is_some_and(|it| it > now);
    is_near
        .then(|| instant.saturating_sub(now))
        .and_then(believable)
}

fn believable(time: Duration) -> Option<Duration> {
    (time <= MAX).then_some(time)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> SystemTime {
        // Sun, 06 Nov 1994 08:48:37 GMT
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_717)
    }

    #[test]
    fn every_form_is_read_exactly() {
        let table = [
            ("20ms", 20_000_000),
            ("1s", SECOND),
            ("8.64s", 8_640_000_000),
            ("1.78s", 1_780_000_000),
            ("6m0s", 360 * SECOND),
            ("4m12.172s", 252_172_000_000),
            ("1h2m3.5s", 3_723_500_000_000),
            ("23h18m29.144s", 83_909_144_000_000),
            ("0s", 0),
            ("15ns", 15),
            ("1.5us", 1_500),
            ("1.5µs", 1_500),
            ("1.5μs", 1_500),
            ("6ms", 6_000_000),
            ("308.4ms", 308_400_000),
            ("1m", 60 * SECOND),
            ("24h", 86_400 * SECOND),
            (".5s", SECOND / 2),
            // Azure's bare seconds
            ("0", 0),
            ("60", 60 * SECOND),
            ("8.64", 8_640_000_000),
            (" 2. ", 2 * SECOND),
            ("000000000000000000000001", SECOND),
            // Finer than a nanosecond is rounded up, unless it is finer than any server means.
            ("0.1ns", 1),
            ("0.0000000011", 2),
            ("0.00000000000000000000000000000001s", 0),
            // instants
            ("1994-11-06T08:49:37Z", 60 * SECOND),
            ("1994-11-06T08:48:37.25Z", SECOND / 4),
            ("1994-11-06T09:49:37+01:00", 60 * SECOND),
            ("1994-11-06T08:48:36Z", 0),
            ("0001-01-01T00:00:00Z", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 60 * SECOND),
            ("Sat, 06 Nov 1993 08:49:37 GMT", 0),
            ("784111777", 60 * SECOND),
            ("784111777.5", 60 * SECOND + SECOND / 2),
            ("784111777500", 60 * SECOND + SECOND / 2),
            ("784111716", 0),
        ];
        for (step, (text, nanos)) in table.into_iter().enumerate() {
            let expected = Some(Duration::from_nanos(nanos));
            assert_eq!(read(text, now()), expected, "step {step}: {text}");
        }
        assert_eq!(millis("308"), Some(Duration::from_millis(308)));
        assert_eq!(millis(" 0.5 "), Some(Duration::from_micros(500)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        let table = [
            "",
            " ",
            ".",
            "s",
            ".s",
            "soon",
            "-1",
            "-1s",
            "+1",
            "1-",
            "1s-2s",
            "1 s",
            "1.2.3",
            "1.2.3s",
            "1e3",
            "nan",
            "NaN",
            "inf",
            "infinity",
            "1d",
            "1S",
            "1m30",
            "0x10",
            "١s",
            "1,000",
            "1994-11-06",
            "1994-11-06T08:49:37",
            "1994-13-06T08:49:37Z",
            // Above a year: an instant in Unix time too far away, and what would overflow.
            "784000000",
            "1764057600",
            "31622401s",
            "9223372036854775807h",
            "99999999999999999999999999",
            "99999999999999999999999999s",
            "18446744073s18446744073s",
            "1996-11-06T08:49:37Z",
            "Wed, 06 Nov 2096 08:49:37 GMT",
            "9999-12-30T00:00:00Z",
        ];
        for (step, text) in table.into_iter().enumerate() {
            assert_eq!(read(text, now()), None, "step {step}: {text}");
            assert_eq!(
                millis(text).filter(|_| !["1764057600", "784000000"].contains(&text)),
                None,
                "step {step}"
            );
        }
        assert_eq!(seconds("31622400"), Some(MAX));
    }

    /// As Go's `Duration.String` prints it.
    fn go(nanos: u64) -> String {
        let decimal = |unit: u64| {
            let decimals = format!("{:09}", nanos % unit * (SECOND / unit));
            let text = format!("{}.{decimals}", nanos / unit);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        match nanos {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => format!("{}µs", decimal(1_000)),
            1_000_000..SECOND => format!("{}ms", decimal(1_000_000)),
            _ => {
                let (hours, minutes) = (nanos / (3_600 * SECOND), nanos / (60 * SECOND) % 60);
                let below = go_seconds(nanos % (60 * SECOND));
                match (hours, minutes) {
                    (0, 0) => below,
                    (0, _) => format!("{minutes}m{below}"),
                    _ => format!("{hours}h{minutes}m{below}"),
                }
            }
        }
    }

    fn go_seconds(nanos: u64) -> String {
        let text = format!("{}.{:09}", nanos / SECOND, nanos % SECOND);
        format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
    }

    #[test]
    fn the_formatter_of_the_next_test_prints_as_go_does() {
        let table = [
            (1_500, "1.5µs"),
            (20_000_000, "20ms"),
            (8_640_000_000, "8.64s"),
            (360 * SECOND, "6m0s"),
            (83_909_144_000_000, "23h18m29.144s"),
            (3_600 * SECOND, "1h0m0s"),
        ];
        for (step, (nanos, text)) in table.into_iter().enumerate() {
            assert_eq!(go(nanos), text, "step {step}");
        }
    }

    proptest! {
        #[test]
        fn whatever_go_prints_is_read_to_the_nanosecond(bits in 0_u32..=55, raw in any::<u64>()) {
            // Of every size alike, so that each unit has its turn.
            let nanos = (raw >> (63 - bits)).min(MAX.as_secs() * SECOND);
            prop_assert_eq!(go_style(&go(nanos)), Some(Duration::from_nanos(nanos)));
        }

        #[test]
        fn no_text_panics_and_no_time_is_unbelievable(
            text in prop_oneof!["\\PC*", "[0-9.hmsnuµ]{0,40}", "[-+0-9:.TZ ]{0,30}"],
            now in 0_u64..u64::MAX / 4,
        ) {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
            prop_assert!(read(&text, now).is_none_or(|time| time <= MAX));
            prop_assert!(millis(&text).is_none_or(|time| time <= MAX));
        }
    }
}
