//! Chance that a seed and a request decide, and thread timing does not.

use std::f64::consts::TAU;
use std::time::Duration;

/// A stream of draws, the same for the same seed and the same bytes (splitmix64 over FNV-1a).
#[derive(Debug, Clone)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64, bytes: &[u8]) -> Self {
        let mut draw = Self(seed);
        // Through the mixer once, so that neighbouring seeds have nothing in common.
        let seed = draw.next();
        Self(seed ^ fingerprint(bytes))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A whole number between `low` and `high`, both included; `low` when they are crossed.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        let span = u128::from(high.saturating_sub(low)) + 1;
        let offset = (u128::from(self.next()) * span) >> 64;
        low.saturating_add(u64::try_from(offset).unwrap_or(0))
    }

    /// Uniform between 0 (included) and 1 (excluded).
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Lognormal with this mean, whatever the spread (the sigma of its logarithm).
    pub(super) fn lognormal(&mut self, mean: Duration, sigma: f64) -> Duration {
        if mean.is_zero() || sigma <= 0.0 || !sigma.is_finite() {
            return mean;
        }
        // Box and Muller's transform; 1 − u keeps 0 out of the logarithm.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (TAU * self.unit()).cos();
        // The mean of exp(sigma · normal) is exp(sigma² / 2).
        let factor = (sigma * normal - sigma * sigma / 2.0).exp();
        Duration::try_from_secs_f64(mean.as_secs_f64() * factor).unwrap_or(Duration::MAX)
    }
}

/// FNV-1a, 64 bits.
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_bytes_draw_the_same_and_others_do_not() {
        let draws = |seed, bytes: &[u8]| {
            let mut draw = Draw::new(seed, bytes);
            [draw.next(), draw.next(), draw.next()]
        };
        assert_eq!(draws(1, b"a"), draws(1, b"a"));
        assert_ne!(draws(1, b"a"), draws(2, b"a"));
        assert_ne!(draws(1, b"a"), draws(1, b"b"));
    }

    #[test]
    fn draws_stay_within_their_bounds_and_reach_both_ends() {
        let mut draw = Draw::new(7, b"");
        let drawn: Vec<u64> = (0..1_000).map(|_| draw.between(3, 5)).collect();
        assert!(drawn.iter().all(|value| (3..=5).contains(value)));
        assert!([3, 4, 5].iter().all(|value| drawn.contains(value)));
        assert_eq!(draw.between(9, 9), 9);
        assert_eq!(draw.between(9, 2), 9);
        draw.between(0, u64::MAX);
    }

    #[test]
    fn the_spread_keeps_the_mean() {
        let mean = Duration::from_secs(1);
        for sigma in [0.25, 0.5, 1.0] {
            let mut draw = Draw::new(11, b"latency");
            let total: f64 = (0..20_000)
                .map(|_| draw.lognormal(mean, sigma).as_secs_f64())
                .sum();
            let found = total / 20_000.0;
            assert!((found - 1.0).abs() < 0.05, "sigma {sigma}: mean {found}");
        }
    }

    #[test]
    fn a_spread_that_makes_no_sense_is_none() {
        let mean = Duration::from_secs(1);
        let mut draw = Draw::new(11, b"");
        for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(draw.lognormal(mean, sigma), mean, "sigma {sigma}");
        }
        draw.lognormal(Duration::MAX, 1e300);
    }
}
