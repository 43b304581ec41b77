//! Prices in TOML. [`Prices::from_toml`](super::Prices::from_toml) shows the form.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, de};

use super::Money;
use super::price::{Price, Rates};
use crate::Result;

/// Prices are per million tokens.
const PER: u128 = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) currency: Option<String>,
    pub(super) dated: Option<String>,
    #[serde(default)]
    pub(super) models: BTreeMap<String, Entry>,
    #[serde(default)]
    pub(super) families: BTreeMap<String, Family>,
}

/// The keys of a price, in two structs: a flattened one would lose the places of mistakes.
macro_rules! forms {
    ($($form:ident { $($first:ident: $type:ty)? })*) => {$(
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $form {
            $(pub(super) $first: $type,)?
            input: PerToken,
            cached_input: Option<PerToken>,
            cache_write: Option<PerToken>,
            output: PerToken,
            batch_input: Option<PerToken>,
            batch_cached_input: Option<PerToken>,
            batch_output: Option<PerToken>,
            flex_input: Option<PerToken>,
            flex_cached_input: Option<PerToken>,
            flex_output: Option<PerToken>,
            priority_input: Option<PerToken>,
            priority_cached_input: Option<PerToken>,
            priority_output: Option<PerToken>,
        }

        impl $form {
            pub(super) fn price(&self) -> Result<Price, String> {
                let standard = Rates {
                    input: self.input.0,
                    cached_input: self.cached_input.unwrap_or(self.input).0,
                    cache_write: self.cache_write.unwrap_or(self.input).0,
                    output: self.output.0,
                };
                let tier = |name, tier| of_tier(name, standard, tier);
                Ok(Price {
                    standard,
                    batch: tier("batch", [self.batch_input, self.batch_cached_input, self.batch_output])?,
                    flex: tier("flex", [self.flex_input, self.flex_cached_input, self.flex_output])?,
                    priority: tier(
                        "priority",
                        [self.priority_input, self.priority_cached_input, self.priority_output],
                    )?,
                })
            }
        }
    )*};
}

forms! {
    Entry {}
    Family { models: Vec<String> }
}

/// The rates of a tier, of its input, cached input and output. What it does not say of the cache is as usual,
/// but for what its input costs.
fn of_tier(
    name: &str,
    standard: Rates,
    [input, cached_input, output]: [Option<PerToken>; 3],
) -> Result<Option<Rates>, String> {
    match (input, output) {
        (None, None) if cached_input.is_none() => Ok(None),
        (Some(PerToken(input)), Some(PerToken(output))) => {
            // Dearer, a tier's cache is taken to be so, too.
            let usual = match input > standard.input {
                true => input,
                false => standard.cached_input.min(input),
            };
            Ok(Some(Rates {
                input,
                cached_input: cached_input.map_or(usual, |it| it.0),
                cache_write: standard.cache_write.max(input),
                output,
            }))
        }
        _ => Err(format!(
            "{name}_input and {name}_output are needed together"
        )),
    }
}

/// A price per million tokens as it is written, in 10⁻¹² parts for one.
#[derive(Clone, Copy)]
pub(super) struct PerToken(pub(super) u64);

impl PerToken {
    pub(super) fn read(text: &str) -> Option<Self> {
        let per_million = text.parse::<Money>().ok().map(Money::trillionths);
        let each = per_million.filter(|price| price.is_multiple_of(PER));
        each.and_then(|price| u64::try_from(price / PER).ok())
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for PerToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl Visitor<'_> for Written {
    type Value = PerToken;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a price per million tokens such as 0.15, with at most six decimals")
    }

    /// By the digits that it prints with, which are those that were written: up to fifteen of
    /// them come through a double unchanged.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<PerToken, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<PerToken, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<PerToken, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<PerToken, E> {
        let invalid = || E::invalid_value(de::Unexpected::Other(text), &self);
        PerToken::read(text).ok_or_else(invalid)
    }
}
