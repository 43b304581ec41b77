//! What tokens cost, by model: those that are built in, with their date, and those of files.

mod builtin; // a dated table
mod file; //    prices in TOML
mod price; //   of one model

use std::collections::BTreeMap;
use std::path::Path;

use crate::batch::money::Money;
use crate::cost::ServiceTier;
use crate::quota::{base_model, from_toml};
use crate::tokens::Estimate;
use crate::{ConfigError, Error, Result, Usage};
use file::File;

pub(in crate::batch) use price::{Price, most};

const DEFAULT_CURRENCY: &str = "USD";
/// Characters of a currency's name, at most.
const LONGEST_CURRENCY: usize = 8;

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
///     cache_write = 0.1875         # input that a cache takes; default: as any other input
///     output = 0.60                # 0 where there is none, as for embeddings
///     flex_input = 0.075           # in a tier of its own, also batch_ and priority_; default of
///     flex_output = 0.30           # flex and batch: as usual; of priority there is no default
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
/// let usage = Usage::new(1_000, 500);
/// let cost = prices.cost("gpt-4o-mini-2024-07-18", usage).unwrap();
/// assert_eq!(cost.to_string(), "0.00045");
/// assert_eq!(prices.cost("gpt-4o", usage), None);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prices {
    currency: String,
    dated: Option<String>,
    models: BTreeMap<String, Price>,
}

impl Prices {
    /// Reads prices from TOML.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the line, the column and the key of what is wrong.
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
            let price = family.price();
            let each = move |model| (model, price.clone(), format!("[families.{name}]"));
            family.models.into_iter().map(each)
        });
        for (model, price, place) in named.chain(of_families) {
            let price = price.map_err(|reason| wrong(&place, &reason))?;
            if models.insert(model.clone(), price).is_some() {
                let reason = format!("{model:?} has a price already");
                return Err(wrong(&place, &reason));
            }
        }
        if models.is_empty() {
            let reason = "no price in it; begin with [models.\"NAME\"], input and output";
            return Err(wrong("prices", reason));
        }
        Ok(Self {
            currency,
            dated: file.dated,
            models,
        })
    }

    /// Returns the prices that are part of the program: list prices of common models in US dollars, as of
    /// [`dated`](Prices::dated). They change; a file of your own overrules them with [`over`](Prices::over).
    ///
    /// ```
    /// use paceline::batch::Prices;
    ///
    /// let prices = Prices::builtin();
    /// println!("as of {}", prices.dated().unwrap_or("?"));
    /// ```
    #[must_use]
    pub fn builtin() -> Self {
        Self {
            currency: DEFAULT_CURRENCY.to_owned(),
            dated: Some(builtin::dated().to_owned()),
            models: builtin::models(),
        }
    }

    /// Lays these prices over others: a model that both name has the price of these.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when they are in different currencies.
    pub fn over(mut self, others: Self) -> Result<Self> {
        if self.currency != others.currency {
            let message = format!(
                "prices in {} and in {}: one currency is needed",
                self.currency, others.currency
            );
            return Err(ConfigError::new("currency", message)
                .with_value(others.currency)
                .into());
        }
        for (model, price) in others.models {
            self.models.entry(model).or_insert(price);
        }
        self.dated = others.dated.or(self.dated);
        Ok(self)
    }

    /// The date of the built-in prices, or the one that a file states. `None` without.
    #[must_use]
    pub fn dated(&self) -> Option<&str> {
        self.dated.as_deref()
    }

    /// Reads prices from a TOML file on disk.
    ///
    /// # Errors
    ///
    /// [`Error::File`] with the line and the key.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Error::in_file("prices file", path.as_ref(), Self::from_toml)
    }

    /// The currency of the prices. Default: `USD`.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// What a request cost in the usual class of service, by what it used. `None` for a model without a price.
    #[must_use]
    pub fn cost(&self, model: &str, usage: Usage) -> Option<Money> {
        self.cost_in(ServiceTier::Standard, model, usage)
    }

    /// What a request cost in a class of service. `None` for a model without a price, and for the priority tier
    /// without one of its own.
    #[must_use]
    pub fn cost_in(&self, tier: ServiceTier, model: &str, usage: Usage) -> Option<Money> {
        self.of(model)?.cost(usage, tier)
    }

    /// What a request can cost at most in a class of service: its prompt is of the dearest kind, and its answer
    /// as long as its cap. `None` as of [`cost_in`](Prices::cost_in).
    ///
    /// A request without a cap is taken to have the client's
    /// [default](crate::ClientBuilder::max_completion_tokens), and may cost more.
    #[must_use]
    pub fn at_most(&self, tier: ServiceTier, model: &str, size: Estimate) -> Option<Money> {
        self.of(model)?.at_most(size, tier)
    }

    pub(in crate::batch) fn of(&self, model: &str) -> Option<Price> {
        let exact = self.models.get(model);
        exact
            .or_else(|| self.models.get(&shared_name(model)))
            .copied()
    }

    /// What is missing, and how to add it.
    pub(in crate::batch) fn missing(model: &str, tier: ServiceTier) -> String {
        let name = shared_name(model);
        if tier == ServiceTier::Priority {
            return format!(
                "no price for {model:?} in the priority tier, so its cost has no bound; add priority_input and \
                 priority_output to [models.{name:?}] in the prices"
            );
        }
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

fn wrong(what: &str, reason: &str) -> Error {
    ConfigError::new(what, format!("{what}: {reason}")).into()
}

#[cfg(test)]
mod tests;
