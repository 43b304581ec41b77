//! Numbers as people read them.

use std::time::Duration;

use paceline::Quota;
use paceline::batch::Money;

/// Thousands apart: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    apart(&number.to_string())
}

/// Thousands apart: `1,234.56`.
pub(crate) fn money(money: Money) -> String {
    let text = money.to_string();
    match text.split_once('.') {
        Some((whole, digits)) => format!("{}.{digits}", apart(whole)),
        None => apart(&text),
    }
}

fn apart(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Whole percents, rounded down: 100 is all of it.
pub(crate) fn percent(part: u64, whole: u64) -> u64 {
    let percent = u128::from(part) * 100 / u128::from(whole.max(1));
    u64::try_from(percent).unwrap_or(u64::MAX)
}

/// `30,000 tokens per minute`.
pub(crate) fn quota(quota: Quota) -> String {
    let text = quota.to_string();
    let what = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    format!("{}{what}", grouped(quota.amount()))
}

/// `4.2 s`, `3 min 05 s`, `2 h 03 min`.
pub(crate) fn lasting(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else if seconds < 3_600 {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    } else {
        format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        for (amount, text) in [
            ("0", "0.00"),
            ("1234567.5", "1,234,567.50"),
            ("0.00012", "0.00012"),
        ] {
            assert_eq!(money(amount.parse().unwrap()), text);
        }
    }

    #[test]
    fn percents_are_whole() {
        for (part, whole, expected) in [(0, 7, 0), (299, 300, 99), (3, 2, 150), (1, 0, 100)] {
            assert_eq!(percent(part, whole), expected, "{part} of {whole}");
        }
        assert_eq!(percent(u64::MAX, 1), u64::MAX);
    }

    #[test]
    fn a_quota_is_said_with_thousands_apart() {
        let tokens = Quota::per_minute(paceline::Unit::Tokens, 30_000).unwrap();
        assert_eq!(quota(tokens), "30,000 tokens per minute");
    }

    #[test]
    fn durations_are_said_in_the_unit_that_fits() {
        let table = [
            (4_200, "4.2 s"),
            (185_000, "3 min 05 s"),
            (7_400_000, "2 h 03 min"),
        ];
        for (millis, text) in table {
            assert_eq!(lasting(Duration::from_millis(millis)), text);
        }
    }
}
