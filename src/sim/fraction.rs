//! Fractions as whole parts per million, so that what is multiplied by them stays exact.

/// The parts of 1.
pub(super) const WHOLE: u64 = 1_000_000;

/// The nearest number of parts; 0 for negative fractions and for no number.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast rounds to the bounds of u64, and no number to 0, as it should"
)]
pub(super) fn parts(fraction: f64) -> u64 {
    (fraction * WHOLE as f64).round() as u64
}

/// `parts` millionths of `amount`, rounded up.
pub(super) fn times(amount: u64, parts: u64) -> u64 {
    let product = u128::from(amount) * u128::from(parts);
    u64::try_from(product.div_ceil(u128::from(WHOLE))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_taken_to_the_millionth() {
        let table = [
            (1.3, 1_300_000),
            (0.1, 100_000),
            (0.000_000_4, 0),
            (-1.0, 0),
            (f64::NAN, 0),
            (f64::NEG_INFINITY, 0),
            (f64::INFINITY, u64::MAX),
        ];
        for (step, (fraction, expected)) in table.into_iter().enumerate() {
            assert_eq!(parts(fraction), expected, "step {step}");
        }
    }

    #[test]
    fn products_are_exact_and_rounded_up() {
        let table = [
            (10, 1.3, 13),
            (1_000, 1.1, 1_100),
            (1, 1.3, 2),
            (7, 0.0, 0),
            (u64::MAX, 2.0, u64::MAX),
        ];
        for (step, (amount, fraction, expected)) in table.into_iter().enumerate() {
            assert_eq!(times(amount, parts(fraction)), expected, "step {step}");
        }
    }
}
