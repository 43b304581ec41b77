//! Numbers, times and sums of money as people write them.
//!
//! What is clear is understood (`60k`, `1h30m`, `$20`), and what could be read in two ways is not (`1,5`).

use std::time::Duration;

use paceline::batch::Money;

/// The longest time that a flag takes.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Units of time, with their nanoseconds.
const TIMES: [(&[&str], u64); 5] = [
    (&["ms"], 1_000_000),
    (&["s", "sec", "secs", "second", "seconds"], 1_000_000_000),
    (
        &["m", "min", "mins", "minute", "minutes"],
        60 * 1_000_000_000,
    ),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600 * 1_000_000_000),
    (&["d", "day", "days"], 86_400 * 1_000_000_000),
];

/// A whole number: `30000`, `30_000`, `30,000`, `30k`, `1.5M`.
pub(super) fn whole(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, power) = match text.char_indices().next_back()? {
        (at, 'k' | 'K') => (&text[..at], 3),
        (at, 'm' | 'M') => (&text[..at], 6),
        _ => (text, 0),
    };
    scaled(&grouped(number.trim_end())?, 10_u64.checked_pow(power)?)
}

/// A time: `30` and `30s` are seconds; `500ms`, `5m`, `2h`, `1d`, `1h30m`.
pub(super) fn time(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if let Some(nanos) = scaled(rest, 1_000_000_000) {
        return Some(Duration::from_nanos(nanos)).filter(|time| *time <= YEAR);
    }
    let mut nanos = 0_u64;
    let mut largest = u64::MAX;
    while !rest.is_empty() {
        let is_number = |char: char| char.is_ascii_digit() || char == '.';
        let (number, after) = rest.split_at(rest.find(|char| !is_number(char))?);
        let after = after.trim_start();
        let end = after.find(|char: char| !char.is_ascii_alphabetic());
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        let unit = unit.to_ascii_lowercase();
        let known = TIMES.iter().find(|(names, _)| names.contains(&&*unit));
        let (_, of) = known.filter(|(_, of)| *of < largest)?; // `5m 2h` is a mistake
        largest = *of;
        nanos = nanos.checked_add(scaled(number, *of)?)?;
        rest = after.trim_start();
    }
    Some(Duration::from_nanos(nanos)).filter(|time| largest < u64::MAX && *time <= YEAR)
}

/// A sum of money, and the currency if it names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) money: Money,
    /// A code such as `USD`.
    pub(crate) currency: Option<String>,
}

/// A sum of money: `20`, `12.50`, `$20`, `20 USD`, `1,000 EUR`.
pub(super) fn amount(text: &str) -> Option<Amount> {
    const SIGNS: [(char, &str); 4] = [('$', "USD"), ('€', "EUR"), ('£', "GBP"), ('¥', "JPY")];
    let text = text.trim();
    let (text, sign) = SIGNS
        .iter()
        .find_map(|(sign, code)| {
            let rest = text.strip_prefix(*sign).or(text.strip_suffix(*sign))?;
            Some((rest.trim(), Some((*code).to_owned())))
        })
        .unwrap_or((text, None));
    let is_letter = |char: char| char.is_ascii_alphabetic();
    let number = text.trim_matches(is_letter);
    let code = text.replace(number, "").to_ascii_uppercase();
    let currency = match (sign, code.as_str()) {
        (sign, "") => sign,
        (None, code) if code.len() == 3 && !number.is_empty() => Some(code.to_owned()),
        _ => return None,
    };
    let money = grouped(number.trim())?.parse().ok()?;
    Some(Amount { money, currency })
}

/// The number without what parts its digits: `_` anywhere between two, and commas before each three.
fn grouped(text: &str) -> Option<String> {
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let is_plain = !whole.contains(',');
    let fits = (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
    let plain = text.replace(['_', ','], "");
    let starts = plain.starts_with(|char: char| char.is_ascii_digit() || char == '.');
    (starts && (is_plain || fits) && !rest.contains(',')).then_some(plain)
}

/// A decimal number times a unit, where that is a whole number.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, digits) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(digits) || whole.len() + digits.len() == 0 {
        return None;
    }
    let digits = digits.trim_end_matches('0');
    let of = 10_u128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    let all: u128 = format!("0{whole}{digits}").parse().ok()?;
    let all = all.checked_mul(u128::from(unit))?;
    (all % of == 0).then_some(())?;
    u64::try_from(all / of).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_thousands() {
        let table = [
            ("0", 0),
            ("30000", 30_000),
            ("30_000", 30_000),
            ("30,000", 30_000),
            (" 1,000,000 ", 1_000_000),
            ("60k", 60_000),
            ("60 K", 60_000),
            ("1.5M", 1_500_000),
            ("0.25k", 250),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, number) in table {
            assert_eq!(whole(text), Some(number), "{text}");
        }
        let unclear = [
            "",
            "k",
            "1,5",
            "1,50k",
            "1.5",
            "1.2345k",
            "-1",
            "+1",
            "1e6",
            "0x10",
            "60kk",
            "60b",
            "1.2.3",
            ",000",
            "1,0000",
            "1,000,00",
            "18446744073709551616",
            "99999999999999999999k",
            "1.5,000k",
            "_",
        ];
        for text in unclear {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn times_have_units() {
        let table = [
            ("0", 0),
            ("30", 30_000),
            ("0.5", 500),
            (".5", 500),
            ("500ms", 500),
            ("30s", 30_000),
            ("30 seconds", 30_000),
            ("5m", 300_000),
            ("5 min", 300_000),
            ("1.5h", 5_400_000),
            ("1h30m", 5_400_000),
            ("1h 30m 15s", 5_415_000),
            ("2H", 7_200_000),
            ("1d", 86_400_000),
            ("365d", 31_536_000_000),
        ];
        for (text, millis) in table {
            assert_eq!(time(text), Some(Duration::from_millis(millis)), "{text}");
        }
        let unclear = [
            "",
            "-1",
            "nan",
            "inf",
            "1e300",
            "soon",
            "5x",
            "h",
            "30m1h",
            "1h1h",
            "1h30",
            "366d",
            "5 m in",
            "1,5",
            "5m-",
            "999999999999999999999",
        ];
        for text in unclear {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn sums_of_money_may_name_their_currency() {
        let table = [
            ("20", "20", None),
            ("12.50", "12.50", None),
            ("$20", "20", Some("USD")),
            ("$ 1,000.50", "1000.50", Some("USD")),
            ("20$", "20", Some("USD")),
            ("20 usd", "20", Some("USD")),
            ("EUR 20", "20", Some("EUR")),
            ("20€", "20", Some("EUR")),
        ];
        for (text, money, currency) in table {
            let expected = Amount {
                money: money.parse().unwrap(),
                currency: currency.map(str::to_owned),
            };
            assert_eq!(amount(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "$",
            "USD",
            "-5",
            "1,5",
            "20 dollars",
            "$20 EUR",
            "2x0",
            "1.2.3",
            "U20D",
        ] {
            assert_eq!(amount(text), None, "{text}");
        }
    }
}
