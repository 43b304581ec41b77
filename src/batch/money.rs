//! Money, exact: integers, so that no sum of a run is off by a rounding.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::{ConfigError, Error, Result};

/// Decimals that are kept: a price per million tokens with six of them is exact for each token.
const DECIMALS: usize = 12;
const ONE: u128 = 10_u128.pow(12);
/// Digits before the point, at most: more money than there is.
const MOST_DIGITS: usize = 18;

/// An amount of money, in whatever currency its prices are in: exact to the 10⁻¹² part of it.
///
/// It prints with at least two decimals, and below 1 with as many as make three digits. It
/// serializes to the number that is nearest.
///
/// ```
/// use paceline::batch::Money;
///
/// let most: Money = "12.50".parse()?;
/// assert_eq!(most.to_string(), "12.50");
/// assert_eq!("0.000123456".parse::<Money>()?.to_string(), "0.000123");
/// assert!("-1".parse::<Money>().is_err());
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(u128);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount in trillionths (10⁻¹²) of the currency's unit.
    #[must_use]
    pub const fn from_trillionths(trillionths: u128) -> Self {
        Self(trillionths)
    }

    /// The amount in 10⁻¹² parts of the currency's unit.
    #[must_use]
    pub const fn trillionths(self) -> u128 {
        self.0
    }

    /// Both together; the largest amount there is when they are more.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The number that is nearest, to be read by programs.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        // Through its digits: they are rounded once.
        self.with_decimals(DECIMALS).parse().unwrap_or(f64::MAX)
    }

    /// Rounded to this number of decimals, halves up.
    fn with_decimals(self, decimals: usize) -> String {
        let dropped = DECIMALS.saturating_sub(decimals);
        let unit = (0..dropped).fold(1_u128, |unit, _| unit * 10);
        let rounded = (self.0.saturating_add(unit / 2) / unit).saturating_mul(unit);
        let digits = format!("{:012}", rounded % ONE);
        let digits = digits.get(..decimals.min(DECIMALS)).unwrap_or_default();
        match digits {
            "" => (rounded / ONE).to_string(),
            digits => format!("{}.{digits}", rounded / ONE),
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(decimals) = f.precision() {
            return f.write_str(&self.with_decimals(decimals));
        }
        let decimals = match self.0.checked_ilog10() {
            Some(zeros) if self.0 < ONE => 14 - zeros as usize, // three digits that say something
            _ => 4,
        };
        let text = self.with_decimals(decimals.min(DECIMALS));
        let (whole, digits) = text.split_once('.').unwrap_or((&text, ""));
        let digits = digits.trim_end_matches('0');
        write!(f, "{whole}.{digits:0<2}")
    }
}

impl FromStr for Money {
    type Err = Error;

    /// Reads digits with a point, such as `12.50`; `_` and `,` may stand between them.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |reason: &str| -> Error {
            let message = format!("amount {text:?}: {reason}");
            ConfigError::new("amount", message).with_value(text).into()
        };
        let plain = text.trim().replace(['_', ','], "");
        let (whole, digits) = plain.split_once('.').unwrap_or((&plain, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(digits) || whole.len() + digits.len() == 0 {
            return Err(wrong("a number such as 12.50 is needed"));
        }
        let digits = digits.trim_end_matches('0');
        if digits.len() > DECIMALS {
            return Err(wrong("at most 12 decimals are kept"));
        }
        if whole.trim_start_matches('0').len() > MOST_DIGITS {
            return Err(wrong("too large"));
        }
        let all = format!("{whole}{digits:0<DECIMALS$}");
        all.parse().map(Self).map_err(|_| wrong("too large"))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_and_said_with_the_digits_that_matter() {
        let table = [
            ("0", "0.00"),
            ("5", "5.00"),
            (".5", "0.50"),
            ("5.", "5.00"),
            ("1_234.5", "1234.50"),
            ("1,234.56789", "1234.5679"),
            ("1.005", "1.005"),
            ("0.123456", "0.123"),
            ("0.01", "0.01"),
            ("0.99996", "1.00"),
            ("0.000000000001", "0.000000000001"),
            ("0.0000123456", "0.0000123"),
            ("0.1000000000000", "0.10"),
        ];
        for (text, said) in table {
            let money: Money = text.parse().unwrap();
            assert_eq!(money.to_string(), said, "{text}");
        }
        let money: Money = "1.005".parse().unwrap();
        assert_eq!(
            format!("{money:.0} {money:.2} {money:.20}"),
            "1 1.01 1.005000000000"
        );
    }

    #[test]
    fn what_is_no_amount_is_refused_with_what_would_be_right() {
        let long = "9".repeat(60);
        let table = [
            ("", "such as 12.50"),
            (".", "such as 12.50"),
            ("-1", "such as 12.50"),
            ("1e3", "such as 12.50"),
            ("1.2.3", "such as 12.50"),
            ("$5", "such as 12.50"),
            ("NaN", "such as 12.50"),
            ("٣", "such as 12.50"),
            ("0.0000000000001", "at most 12 decimals"),
            (&long, "too large"),
        ];
        for (text, word) in table {
            let error = text.parse::<Money>().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
            assert!(error.contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn no_amount_is_too_large_to_be_said() {
        for most in [Money(u128::MAX), Money(u128::MAX - 1)] {
            assert!(most.to_string().contains('.'), "{most:?}");
            assert!(most.as_f64() > 1e26, "{most:?}");
        }
    }

    proptest! {
        #[test]
        fn all_decimals_are_kept(whole in 0..10_u128.pow(18), part in 0..ONE) {
            let money = Money(whole * ONE + part);
            let text = format!("{money:.12}");
            prop_assert_eq!(text.parse::<Money>().unwrap(), money);
        }

        #[test]
        fn what_is_said_is_near(amount in 1..10_u128.pow(24)) {
            let money = Money(amount);
            let said: Money = money.to_string().parse().unwrap();
            // Half of the last of three digits, or half a ten-thousandth.
            let near = if amount < ONE { amount / 199 + 1 } else { ONE / 20_000 };
            prop_assert!(said.0.abs_diff(amount) <= near, "{} for {}", said.0, amount);
        }

        #[test]
        fn no_text_panics(text in "[0-9.,_e-]{0,50}") {
            let _ = text.parse::<Money>();
        }
    }
}
