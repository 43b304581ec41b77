//! What tokens cost, by model. None are built in: they would be out of date.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, de};

use super::money::Money;
use crate::quota::{base_model, from_toml};
use crate::tokens::Estimate;
use crate::{Error, Result, Usage};

const DEFAULT_CURRENCY: &str = "USD";
/// Characters of a currency's name, at most.
const LONGEST_CURRENCY: usize = 8;
/// Prices are per million tokens.
const PER: u128 = 1_000_000;

/// What the tokens of each model cost.
///
/// A name is looked up as it stands, then as its [`base_model`], as a
/// [`LimitTable`](crate::LimitTable) does; but a fine-tune, which costs more than the model that it
/// comes from, has only a price of its own: as it stands, or for all that come from one model as
/// `ft:` and that model. There is no price for what the file does not name.
///
/// ```
/// use paceline::Usage;
/// use paceline::batch::Prices;
///
/// let prices = Prices::from_toml(r#"
///     currency = "EUR"             # default: "USD"
///
///     [models."gpt-4o-mini"]       # all per million tokens, with at most six decimals
///     input = 0.15
///     cached_input = 0.075         # of the input; default: as any other input
///     output = 0.60                # 0 where there is none, as for embeddings
///
///     [models."ft:gpt-4o-mini"]    # each fine-tune of it
///     input = 0.30
///     output = 1.20
///
///     [families.reasoning]         # one price for several models
///     models = ["o3", "o4-mini"]
///     input = 2
///     output = 8
/// "#)?;
/// let usage = Usage { input_tokens: 1_000, output_tokens: 500, cached_tokens: 0 };
/// let cost = prices.cost("gpt-4o-mini-2024-07-18", usage).unwrap();
/// assert_eq!(cost.to_string(), "0.00045");
/// assert_eq!(prices.cost("gpt-4o", usage), None);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prices {
    currency: String,
    models: BTreeMap<String, Price>,
}

/// The price of one model's tokens, in 10⁻¹² parts of the currency for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Price {
    input: u64,
    cached_input: u64,
    output: u64,
}

impl Prices {
    /// Reads prices from TOML.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLimit`] with the line, the column and the key of what is wrong.
    pub fn from_toml(text: &str) -> Result<Self> {
        let file: File = from_toml(text)?;
        let currency = file.currency.unwrap_or_else(|| DEFAULT_CURRENCY.to_owned());
        let is_name = |name: &str| {
            let length = name.chars().count();
            let is_short = (1..=LONGEST_CURRENCY).contains(&length);
            is_short && !name.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        if !is_name(&currency) {
            let what = format!("currency = {currency:?}");
            return Err(wrong(&what, "a name such as \"USD\" is needed"));
        }
        let mut models = BTreeMap::new();
        let named = file.models.into_iter().map(|(model, entry)| {
            let place = format!("[models.{model:?}]");
            (model, entry.price(), place)
        });
        let of_families = file.families.into_iter().flat_map(|(name, family)| {
            let (members, price) = family.split();
            let each = move |model| (model, price, format!("[families.{name}]"));
            members.into_iter().map(each)
        });
        for (model, price, place) in named.chain(of_families) {
            if models.insert(model.clone(), price).is_some() {
                let reason = format!("{model:?} has a price already");
                return Err(wrong(&place, &reason));
            }
        }
        if models.is_empty() {
            let reason = "no price in it; begin with [models.\"NAME\"], input and output";
            return Err(wrong("prices", reason));
        }
        Ok(Self { currency, models })
    }

    /// Reads prices from a TOML file on disk.
    ///
    /// # Errors
    ///
    /// [`Error::Batch`] that names the file, and the line and the key in it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        std::fs::read_to_string(path)
            .map_err(|error| error.to_string())
            .and_then(|text| Self::from_toml(&text).map_err(|error| error.to_string()))
            .map_err(|reason| Error::Batch(format!("prices file {}: {reason}", path.display())))
    }

    /// What they are in. Defaults to `USD`.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// What a request cost, by what it used. `None` for a model without a price.
    #[must_use]
    pub fn cost(&self, model: &str, usage: Usage) -> Option<Money> {
        self.of(model).map(|price| price.cost(usage))
    }

    /// What a request can cost at most: nothing of its prompt is cached, and its answer is as long
    /// as its cap. `None` for a model without a price.
    ///
    /// A request without a cap is taken to have the client's
    /// [default](crate::ClientBuilder::max_completion_tokens), and may cost more.
    #[must_use]
    pub fn at_most(&self, model: &str, size: Estimate) -> Option<Money> {
        self.of(model).map(|price| price.at_most(size))
    }

    pub(super) fn of(&self, model: &str) -> Option<Price> {
        let exact = self.models.get(model);
        exact
            .or_else(|| self.models.get(&shared_name(model)))
            .copied()
    }

    /// What is missing, and how to add it.
    pub(super) fn missing(model: &str) -> String {
        let name = shared_name(model);
        format!(
            "no price for {model:?}, so its cost has no bound; add [models.{name:?}] to the prices"
        )
    }
}

/// The name under which a model and those like it have one price.
fn shared_name(model: &str) -> String {
    let tuned = match model.trim().starts_with("ft:") {
        true => "ft:",
        false => "",
    };
    format!("{tuned}{}", base_model(model))
}

impl Price {
    pub(super) fn cost(self, usage: Usage) -> Money {
        let cached = usage.cached_tokens.min(usage.input_tokens);
        Self::sum([
            (usage.input_tokens - cached, self.input),
            (cached, self.cached_input),
            (usage.output_tokens, self.output),
        ])
    }

    pub(super) fn at_most(self, size: Estimate) -> Money {
        let Usage {
            input_tokens,
            output_tokens,
            ..
        } = most(size);
        Self::sum([
            (input_tokens, self.input.max(self.cached_input)),
            (output_tokens, self.output),
        ])
    }

    fn sum(parts: impl IntoIterator<Item = (u64, u64)>) -> Money {
        let costs = parts
            .into_iter()
            .map(|(tokens, price)| u128::from(tokens) * u128::from(price));
        Money::from_trillionths(costs.fold(0, u128::saturating_add))
    }
}

/// What a request can use at most. What is reserved of a limit may be less: that follows the
/// server's way of charging, and this is what is paid.
pub(super) fn most(size: Estimate) -> Usage {
    Usage {
        input_tokens: size.prompt.max(size.tokens),
        output_tokens: size.output,
        cached_tokens: 0,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    currency: Option<String>,
    #[serde(default)]
    models: BTreeMap<String, Entry>,
    #[serde(default)]
    families: BTreeMap<String, Family>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    input: PerToken,
    cached_input: Option<PerToken>,
    output: PerToken,
}

/// Its keys stand here once more: a flattened struct would lose the places of mistakes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    models: Vec<String>,
    input: PerToken,
    cached_input: Option<PerToken>,
    output: PerToken,
}

impl Entry {
    fn price(self) -> Price {
        Price {
            input: self.input.0,
            cached_input: self.cached_input.unwrap_or(self.input).0,
            output: self.output.0,
        }
    }
}

impl Family {
    fn split(self) -> (Vec<String>, Price) {
        let Self {
            models,
            input,
            cached_input,
            output,
        } = self;
        let entry = Entry {
            input,
            cached_input,
            output,
        };
        (models, entry.price())
    }
}

/// A price per million tokens as it is written, in 10⁻¹² parts for one.
#[derive(Clone, Copy)]
struct PerToken(u64);

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
        let per_million = text.parse::<Money>().ok().map(Money::trillionths);
        let each = per_million.filter(|price| price.is_multiple_of(PER));
        each.and_then(|price| u64::try_from(price / PER).ok())
            .map(PerToken)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Other(text), &self))
    }
}

fn wrong(what: &str, reason: &str) -> Error {
    Error::InvalidLimit {
        what: what.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "
        [models.gpt-4o]
        input = 2.5
        cached_input = 1.25
        output = 10
        [models.'ft:gpt-4o']
        input = '3.75'
        output = 15.0
        [models.'gpt-4o-2024-05-13']
        input = 5
        output = 15
        [families.f]
        models = ['o3', 'o4-mini']
        input = 0.1
        output = 0.000001
    ";

    fn usage(input_tokens: u64, cached_tokens: u64, output_tokens: u64) -> Usage {
        Usage {
            input_tokens,
            output_tokens,
            cached_tokens,
        }
    }

    #[test]
    fn a_model_has_the_price_of_its_name_or_its_base_and_a_fine_tune_its_own() {
        let prices = Prices::from_toml(FILE).unwrap();
        assert_eq!(prices.currency(), "USD");
        let million = usage(1_000_000, 0, 1_000_000);
        let table = [
            ("gpt-4o", Some("12.50")),
            ("gpt-4o-2024-08-06", Some("12.50")),
            ("gpt-4o-2024-05-13", Some("20.00")),
            ("gpt-4o-mini", None),
            ("ft:gpt-4o-2024-08-06:acme::B4x", Some("18.75")),
            ("ft:o3:acme", None), // not that of o3, which is lower
            ("o3-2025-04-16", Some("0.100")),
            ("o4-mini", Some("0.100")),
            ("", None),
        ];
        for (model, cost) in table {
            let found = prices.cost(model, million).map(|cost| format!("{cost:.2}"));
            let cost = cost.map(|cost| format!("{:.2}", cost.parse::<Money>().unwrap()));
            assert_eq!(found, cost, "{model}");
        }
    }

    #[test]
    fn cached_input_has_its_own_price_and_each_part_is_exact() {
        let prices = Prices::from_toml(FILE).unwrap();
        let table = [
            ("gpt-4o", usage(1, 0, 0), 2_500_000),
            ("gpt-4o", usage(1, 1, 0), 1_250_000),
            (
                "gpt-4o",
                usage(10, 4, 3),
                6 * 2_500_000 + 4 * 1_250_000 + 3 * 10_000_000,
            ),
            ("gpt-4o", usage(3, 9, 0), 3 * 1_250_000), // more than there was
            ("o3", usage(7, 7, 1), 7 * 100_000 + 1),
        ];
        for (step, (model, usage, cost)) in table.into_iter().enumerate() {
            let found = prices.cost(model, usage).unwrap().trillionths();
            assert_eq!(found, cost, "step {step}");
        }
        let size = Estimate {
            tokens: 9,
            prompt: 7,
            output: 2,
            ..Estimate::default()
        };
        let most = prices.at_most("gpt-4o", size).unwrap();
        assert_eq!(most.trillionths(), 9 * 2_500_000 + 2 * 10_000_000);
        assert_eq!(prices.at_most("gpt-5", size), None);
    }

    #[test]
    fn each_mistake_is_named_with_its_place_and_key() {
        let table = [
            ("input = 5", "line 1, column 1", "unknown field `input`"),
            (
                "[models.gpt-4.1]\ninput = 1\noutput = 2",
                "line 1",
                "in quotes: [models.\"gpt-4.1\"]",
            ),
            (
                "[models.x]\ninput = 1\noutput = 2\noutputs = 3",
                "line 4, column 1",
                "unknown field `outputs`",
            ),
            (
                "[models.x]\ninput = -1\noutput = 2",
                "line 2, column 9",
                "input: ",
            ),
            (
                "[models.x]\ninput = 1\noutput = nan",
                "line 3, column 10",
                "output: ",
            ),
            (
                "[models.x]\ninput = 1\noutput = 'much'",
                "line 3",
                "such as 0.15",
            ),
            ("[models.x]\ninput = 1\noutput = true", "line 3", "output: "),
            (
                "[models.x]\ninput = 0.0000001\noutput = 2",
                "line 2",
                "six decimals",
            ),
            ("[models.x]\ninput = 1e300\noutput = 2", "line 2", "input: "),
            ("[models.x]\ninput = 1", "line 1", "missing field `output`"),
            (
                "[models]\nx = {input = 1, output = -2}",
                "line 2, column 26",
                "output: ",
            ),
            (
                "[families.f]\ninput = 1\noutput = 1",
                "line 1",
                "missing field `models`",
            ),
            (
                "[models.x]\ninput = 1\noutput = 1\n[families.f]\nmodels = ['x']\ninput = 1\noutput = 1",
                "[families.f]",
                "\"x\" has a price already",
            ),
            ("currency = ''", "currency", "such as \"USD\""),
            ("currency = 'a b'", "currency", "such as \"USD\""),
            ("currency = 5", "line 1, column 12", "currency: "),
            ("", "prices", "no price in it"),
            ("[models.x", "line 1", "table"),
        ];
        for (step, (text, place, word)) in table.into_iter().enumerate() {
            let error = Prices::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(place), "step {step}: {error}");
            assert!(error.contains(word), "step {step}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_price_is_what_is_written(micros in 0..1_000_000_000_000_u64, tokens: u64) {
            let written = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
            let text = format!("[models.m]\ninput = {written}\noutput = '{written}'");
            let prices = Prices::from_toml(&text).unwrap();
            let exact = u128::from(tokens) * u128::from(micros);
            let cost = |usage| prices.cost("m", usage).unwrap().trillionths();
            prop_assert_eq!(cost(usage(tokens, 0, 0)), exact);
            prop_assert_eq!(cost(usage(0, 0, tokens)), exact);
        }

        #[test]
        fn what_is_used_within_the_estimate_costs_no_more_than_at_most(
            price in prop::array::uniform3(0..=u64::MAX),
            size in prop::array::uniform3(0..=u64::MAX),
            shares in prop::array::uniform3(0.0..=1.0),
        ) {
            let [input, cached_input, output] = price;
            let price = Price { input, cached_input, output };
            let [tokens, prompt, cap] = size;
            let size = Estimate { tokens, prompt, output: cap, ..Estimate::default() };
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "any share will do")]
            let part = |of: u64, share: f64| ((of as f64 * share) as u64).min(of);
            let used = part(tokens.max(prompt), shares[0]);
            let usage = usage(used, part(used, shares[1]), part(cap, shares[2]));
            prop_assert!(price.cost(usage) <= price.at_most(size));
        }
    }
}
