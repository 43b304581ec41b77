//! Limits that are known without asking: the defaults, and the provider's published tiers.
//!
//! They are a starting point. An account can have other limits, and the server's word counts.

use std::fmt;
use std::str::FromStr;

use crate::{ConfigError, Error, Result};

/// When the tier table was read from the provider's pages, as `YYYY-MM`.
pub const PRESETS_DATED: &str = "2026-10";

/// Tokens per minute of a model that no table names.
pub(super) const UNKNOWN_MODEL_TPM: u64 = 800_000;

/// Tokens per minute by default, when no tier is chosen.
pub(super) const DEFAULT_TPM: [(&str, u64); 3] = [
    ("gpt-4.1", 30_000),
    ("gpt-4o-mini", 200_000),
    ("gpt-4o", 150_000),
];

/// An account's usage tier, as the provider's settings page names it.
///
/// ```
/// use paceline::{LimitTable, Tier};
///
/// let table = LimitTable::for_tier("tier-2".parse::<Tier>()?);
/// let limits = table.limits_for("gpt-4o-2024-08-06");
/// assert_eq!(limits.to_string(), "5000 requests per minute, 450000 tokens per minute");
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Tier {
    /// Tier 1.
    One,
    /// Tier 2.
    Two,
    /// Tier 3.
    Three,
    /// Tier 4.
    Four,
    /// Tier 5.
    Five,
}

impl Tier {
    const ALL: [Self; 5] = [Self::One, Self::Two, Self::Three, Self::Four, Self::Five];

    const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tier-{}", self.index() + 1)
    }
}

impl FromStr for Tier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.to_string() == text)
            .ok_or_else(|| {
                let message = format!("preset {text:?}: the presets are tier-1 to tier-5");
                ConfigError::new("preset", message).with_value(text).into()
            })
    }
}

/// One row of the published table: models with the same limits, each with its own bucket.
struct Row {
    models: &'static [&'static str],
    /// Requests and tokens per minute, tier 1 to tier 5.
    tiers: [(u64, u64); 5],
}

const K: u64 = 1_000;
const M: u64 = 1_000_000;

/// Published limits, dated [`PRESETS_DATED`]. A daily limit on requests (10,000 in tier 1 of the
/// small models) is left out: it does not pace a run.
const TIERS: [Row; 6] = [
    Row {
        models: &["gpt-4o", "gpt-4.1", "o3", "gpt-5-pro", "o3-pro"],
        tiers: [
            (500, 30 * K),
            (5 * K, 450 * K),
            (5 * K, 800 * K),
            (10 * K, 2 * M),
            (10 * K, 30 * M),
        ],
    },
    Row {
        models: &["gpt-4o-mini", "gpt-4.1-mini", "gpt-4.1-nano"],
        tiers: [
            (500, 200 * K),
            (5 * K, 2 * M),
            (5 * K, 4 * M),
            (10 * K, 10 * M),
            (30 * K, 150 * M),
        ],
    },
    Row {
        models: &["gpt-5-mini"],
        tiers: [
            (500, 500 * K),
            (5 * K, 2 * M),
            (5 * K, 4 * M),
            (10 * K, 10 * M),
            (30 * K, 180 * M),
        ],
    },
    Row {
        models: &["gpt-5.2-codex", "gpt-5.4", "gpt-5.5"],
        tiers: [
            (500, 500 * K),
            (5 * K, M),
            (5 * K, 2 * M),
            (10 * K, 4 * M),
            (15 * K, 40 * M),
        ],
    },
    Row {
        models: &["o4-mini"],
        tiers: [
            (K, 100 * K),
            (2 * K, 2 * M),
            (5 * K, 4 * M),
            (10 * K, 10 * M),
            (30 * K, 150 * M),
        ],
    },
    Row {
        models: &["text-embedding-3-small", "text-embedding-3-large"],
        tiers: [
            (3 * K, M),
            (5 * K, M),
            (5 * K, 5 * M),
            (10 * K, 5 * M),
            (10 * K, 10 * M),
        ],
    },
];

/// Every model of the published table with its requests and tokens per minute in `tier`.
pub(super) fn tier_limits(tier: Tier) -> impl Iterator<Item = (&'static str, u64, u64)> {
    TIERS.iter().flat_map(move |row| {
        let (requests, tokens) = row.tiers[tier.index()];
        row.models
            .iter()
            .map(move |model| (*model, requests, tokens))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_named_as_they_print() {
        for tier in Tier::ALL {
            assert_eq!(tier.to_string().parse::<Tier>().unwrap(), tier);
        }
        let error = "tier-6".parse::<Tier>().unwrap_err();
        assert!(error.to_string().contains("tier-1 to tier-5"), "{error}");
    }

    #[test]
    fn a_higher_tier_never_grants_less() {
        for row in &TIERS {
            for (lower, higher) in row.tiers.iter().zip(&row.tiers[1..]) {
                assert!(
                    lower.0 <= higher.0 && lower.1 <= higher.1,
                    "{:?}",
                    row.models
                );
            }
        }
    }
}
