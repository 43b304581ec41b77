//! Numbers and times as people read them.

use std::time::{Duration, SystemTime};

/// Keeps a number and its unit on one line.
const NBSP: char = '\u{a0}';

/// Thousands apart: `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A binding limit as the summary has it, with thousands apart: `gpt-4.1: 30,000 tokens per minute`.
pub(super) fn binding(text: &str) -> String {
    let parts = text.rsplit_once(": ").and_then(|(model, limit)| {
        let (amount, what) = limit.split_once(' ')?;
        Some(format!("{model}: {} {what}", grouped(amount.parse().ok()?)))
    });
    parts.unwrap_or_else(|| text.to_owned())
}

/// A number of things: `1 request`, `2 requests`.
pub(super) fn counted(number: u64, thing: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{}{NBSP}{thing}{end}", grouped(number))
}

/// Short, for an axis: `0`, `250`, `2.5k`, `30k`, `1.2M`.
pub(super) fn short(number: f64) -> String {
    let units = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")];
    let unit = units.into_iter().find(|(size, _)| number >= *size);
    let (size, name) = unit.unwrap_or((1.0, ""));
    format!("{}{name}", trimmed(number / size, 2))
}

/// At most `decimals` decimals, without zeros at the end.
pub(super) fn trimmed(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// `99.1 %`. What is not everything is never said to be 100 %, nor what is something 0 %.
pub(super) fn percent(share: f64) -> String {
    let share = share.clamp(0.0, 1.0);
    let percent = share * 100.0;
    let text = trimmed(percent, 1);
    match text.as_str() {
        "100" if share < 1.0 => format!("99.9{NBSP}%"),
        "0" if share > 0.0 => format!("<{NBSP}0.1{NBSP}%"),
        _ => format!("{text}{NBSP}%"),
    }
}

/// `0 s`, `340 µs`, `12 ms`, `4.2 s`, `3 min 05 s`, `2 h 03 min`, `3 d 04 h`.
pub(super) fn lasting(duration: Duration) -> String {
    let (seconds, micros) = (duration.as_secs(), duration.as_micros());
    match seconds {
        0 if duration.is_zero() => format!("0{NBSP}s"),
        0 if micros == 0 => format!("<{NBSP}1{NBSP}µs"),
        0 if micros < 1_000 => format!("{micros}{NBSP}µs"),
        0 if micros < 10_000 => format!("{:.1}{NBSP}ms", duration.as_secs_f64() * 1e3),
        0 => format!("{}{NBSP}ms", duration.as_millis()),
        1..=9 => format!("{}{NBSP}s", trimmed(duration.as_secs_f64(), 2)),
        10..=59 => format!("{}{NBSP}s", trimmed(duration.as_secs_f64(), 1)),
        60..=3_599 => format!("{}{NBSP}min{NBSP}{:02}{NBSP}s", seconds / 60, seconds % 60),
        3_600..=86_399 => {
            let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
            format!("{hours}{NBSP}h{NBSP}{minutes:02}{NBSP}min")
        }
        _ => {
            let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
            format!("{days}{NBSP}d{NBSP}{hours:02}{NBSP}h")
        }
    }
}

/// A moment of a run, for what is shown of a point: `0:07.5`, `3:05`, `2:03:00`.
pub(super) fn moment(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let (hours, minutes) = (whole.as_secs() / 3_600, whole.as_secs() / 60 % 60);
    let rest = whole.as_secs_f64() % 60.0;
    match hours {
        0 if minutes < 10 => format!("{minutes}:{rest:04.1}"),
        0 => format!("{minutes}:{:02}", whole.as_secs() % 60),
        _ => format!("{hours}:{minutes:02}:{:02}", whole.as_secs() % 60),
    }
}

/// A period as it stands behind "a": `second`, `minute`, `day`.
pub(super) fn period(period: Duration) -> String {
    match (period.as_secs(), period.subsec_nanos()) {
        (1, 0) => "second".to_owned(),
        (60, 0) => "minute".to_owned(),
        (3_600, 0) => "hour".to_owned(),
        (86_400, 0) => "day".to_owned(),
        _ => lasting(period),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 UTC`.
pub(super) fn date(at: SystemTime) -> String {
    // Years that the format does not have would panic.
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    let at = at.clamp(SystemTime::UNIX_EPOCH, last);
    httpdate::fmt_http_date(at).replace("GMT", "UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_noise() {
        let table = [
            (0.0, "0"),
            (7.0, "7"),
            (0.25, "0.25"),
            (999.0, "999"),
            (1_000.0, "1k"),
            (2_500.0, "2.5k"),
            (30_000.000_000_1, "30k"),
            (1_250_000.0, "1.25M"),
            (1e9, "1B"),
            (3e12, "3T"),
        ];
        for (number, text) in table {
            assert_eq!(short(number), text);
        }
        assert_eq!(grouped(1_234_567), "1,234,567");
        let limit = binding("ft: m-30000: 30000 tokens per minute");
        assert_eq!(limit, "ft: m-30000: 30,000 tokens per minute");
        assert_eq!(binding("m: many tokens"), "m: many tokens");
        assert_eq!(counted(1, "request"), "1\u{a0}request");
        assert_eq!(counted(0, "request"), "0\u{a0}requests");
    }

    #[test]
    fn shares_are_not_rounded_to_all_or_nothing() {
        let table = [
            (0.0, "0 %"),
            (0.000_1, "< 0.1 %"),
            (0.5, "50 %"),
            (0.991, "99.1 %"),
            (0.999_9, "99.9 %"),
            (1.0, "100 %"),
            (f64::NAN, "NaN %"),
        ];
        for (share, text) in table {
            assert_eq!(percent(share).replace(NBSP, " "), text);
        }
    }

    #[test]
    fn times_are_said_in_the_unit_that_fits() {
        let table = [
            (0, "0 s"),
            (1, "< 1 µs"),
            (340_000, "340 µs"),
            (1_200_000, "1.2 ms"),
            (12_900_000, "12 ms"),
            (1_240_000_000, "1.24 s"),
            (4_000_000_000, "4 s"),
            (59_900_000_000, "59.9 s"),
            (59_999_000_000, "60 s"),
            (185_000_000_000, "3 min 05 s"),
            (7_380_000_000_000, "2 h 03 min"),
            (274_000_000_000_000, "3 d 04 h"),
        ];
        for (nanos, text) in table {
            let said = lasting(Duration::from_nanos(nanos));
            assert_eq!(said.replace(NBSP, " "), text);
        }
        for (seconds, text) in [(7.5, "0:07.5"), (725.0, "12:05"), (7_380.0, "2:03:00")] {
            assert_eq!(moment(seconds), text);
        }
    }

    #[test]
    fn every_moment_has_a_date() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(date(at(784_111_777)), "Sun, 06 Nov 1994 08:49:37 UTC");
        assert!(date(at(1 << 40)).contains("9999"));
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert!(date(before).contains("1970"));
    }
}
