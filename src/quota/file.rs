//! Limits written down in TOML, and read back. [`LimitTable::from_toml`] shows the form.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{DAY, HOUR, LimitTable, Limits, MINUTE, Quota, SECOND, Tier};
use crate::unit::Unit;
use crate::{ConfigError, Error, Result};

/// The keys of a table, each with what it counts and in which time. The form needs them in two
/// structs, one by one: a flattened one would lose the places of mistakes.
macro_rules! keys {
    ($($key:ident: $unit:ident per $period:ident,)*) => {
        const KEYS: &[(&str, Unit, Duration)] = &[$((stringify!($key), Unit::$unit, $period),)*];

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Amounts {
            $($key: Option<u64>,)*
            in_flight: Option<u64>,
        }

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Family {
            models: Vec<String>,
            $($key: Option<u64>,)*
            in_flight: Option<u64>,
        }

        impl Amounts {
            /// In the order of [`KEYS`].
            fn each(&self) -> impl Iterator<Item = Option<u64>> {
                [$(self.$key,)*].into_iter()
            }
        }

        impl Family {
            fn split(self) -> (Vec<String>, Amounts) {
                let Self { models, $($key,)* in_flight } = self;
                (models, Amounts { $($key,)* in_flight })
            }
        }
    };
}

keys! {
    rps: Requests per SECOND,
    tps: Tokens per SECOND,
    rpm: Requests per MINUTE,
    tpm: Tokens per MINUTE,
    itpm: InputTokens per MINUTE,
    otpm: OutputTokens per MINUTE,
    rph: Requests per HOUR,
    tph: Tokens per HOUR,
    rpd: Requests per DAY,
    tpd: Tokens per DAY,
}

/// The key of the cap on requests in flight.
const IN_FLIGHT: &str = "in_flight";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    preset: Option<String>,
    burst_seconds: Option<f64>,
    default: Option<Amounts>,
    #[serde(default)]
    models: BTreeMap<String, Amounts>,
    #[serde(default)]
    families: BTreeMap<String, Family>,
}

impl Amounts {
    /// The limits of the table that stands at `place` in the file.
    fn limits(&self, place: &str) -> Result<Limits> {
        let table = place.trim_matches(['[', ']']);
        let invalid = |key: &str, reason: String| {
            let field = match key {
                "" => table.to_owned(),
                key => format!("{table}.{key}"),
            };
            ConfigError::new(field, format!("{place}: {reason}"))
        };
        if self
            .each()
            .chain([self.in_flight])
            .all(|amount| amount.is_none())
        {
            let keys: Vec<_> = KEYS.iter().map(|(key, ..)| *key).collect();
            let keys = keys.join(", ");
            let reason = format!("at least one of {keys}, {IN_FLIGHT} is needed");
            return Err(invalid("", reason).into());
        }
        let mut builder = Limits::builder();
        for ((key, unit, period), amount) in KEYS.iter().zip(self.each()) {
            if let Some(amount) = amount {
                let quota = Quota::new(*unit, amount, *period);
                let invalid = |error| invalid(key, format!("{key}: {error}")).with_value(amount);
                builder = builder.quota(quota.map_err(invalid)?);
            }
        }
        if let Some(most) = self.in_flight {
            builder = builder.in_flight(most);
        }
        let reason = |error| invalid(IN_FLIGHT, format!("{IN_FLIGHT}: {error}"));
        Ok(builder.build().map_err(reason)?)
    }
}

pub(super) fn parse(text: &str) -> Result<LimitTable> {
    let file: File = from_toml(text)?;
    let mut table = match &file.preset {
        Some(name) => LimitTable::for_tier(name.parse::<Tier>()?),
        None => LimitTable::default(),
    };
    if let Some(default) = &file.default {
        table.set_default(default.limits("[default]")?);
    }
    for (model, amounts) in file.models {
        let limits = amounts.limits(&format!("[models.{model:?}]"))?;
        table.set(model, limits);
    }
    for (name, family) in file.families {
        let (models, amounts) = family.split();
        let limits = amounts.limits(&format!("[families.{name}]"))?;
        table.set_family(name, models, limits);
    }
    if let Some(seconds) = file.burst_seconds {
        let burst = Duration::try_from_secs_f64(seconds).ok();
        let burst = burst.filter(|burst| !burst.is_zero());
        table.set_burst_lasting(burst.ok_or_else(|| {
            let message =
                format!("burst_seconds = {seconds}: a number of seconds above 0 is needed");
            ConfigError::new("burst_seconds", message).with_value(seconds)
        })?);
    }
    Ok(table)
}

/// The keys of one table; see [`Limits::to_toml`].
pub(super) fn write(limits: &Limits) -> String {
    let quotas = limits.quotas();
    let mut text = String::new();
    for (index, quota) in quotas.iter().enumerate() {
        let same = |other: &Quota| key(*other).is_some() && key(*other) == key(*quota);
        let (before, after) = (&quotas[..index], &quotas[index + 1..]);
        // A key stands once: for the lowest amount, which is the one that holds in the long run.
        let is_lowest = before
            .iter()
            .all(|o| !same(o) || quota.amount() < o.amount())
            && after
                .iter()
                .all(|o| !same(o) || quota.amount() <= o.amount());
        // Writing to a string does not fail.
        let _ = match key(*quota) {
            Some(key) if is_lowest => writeln!(text, "{key} = {}", quota.amount()),
            Some(_) => writeln!(text, "# also {quota}"),
            None => writeln!(text, "# no key for {quota}"),
        };
    }
    if let Some(most) = limits.in_flight() {
        let _ = writeln!(text, "{IN_FLIGHT} = {most}");
    }
    text
}

fn key(quota: Quota) -> Option<&'static str> {
    let is_it = |(_, unit, period): &&(_, Unit, Duration)| {
        (*unit, *period) == (quota.unit(), quota.period())
    };
    KEYS.iter().find(is_it).map(|(key, ..)| *key)
}

/// Where in a text something stands, for people.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    line: usize,
    column: usize,
}

impl Place {
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
        }
    }

    /// The mistake in `field` that stands there.
    pub(crate) fn wrong(self, field: &str, reason: &str) -> Error {
        let error = ConfigError::new(field, format!("{self}: {reason}"));
        error.with_line(self.line).into()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Reads a file of settings.
///
/// # Errors
///
/// [`Error::Config`] with the line, the column and the key of what is wrong.
pub(crate) fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let key = key_before(text, start).unwrap_or_default();
        let colon = if key.is_empty() { "" } else { ": " };
        let advice = advice(text, start).unwrap_or_default();
        let reason = format!("{key}{colon}{}{advice}", error.message());
        Place::of(text, start).wrong(key, &reason)
    })
}

/// The key whose value begins at `offset`, if one does.
fn key_before(text: &str, offset: usize) -> Option<&str> {
    let before = text.get(..offset)?.trim_end().strip_suffix('=')?;
    let is_other = |char: char| !(char.is_alphanumeric() || "_-".contains(char));
    before
        .trim_end()
        .rsplit(is_other)
        .next()
        .filter(|key| !key.is_empty())
}

/// What to do about a mistake at `offset`, if that is a table's name with a dot in it and no quotes,
/// such as `[models.gpt-4.1]`: there TOML takes a model for two tables.
fn advice(text: &str, offset: usize) -> Option<String> {
    let begin = text.get(..offset)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(begin..)?.lines().next()?;
    let header = line.trim_start().strip_prefix('[')?.split(']').next()?;
    let (table, name) = header.split_once('.')?;
    let is_bare = name.contains('.') && !name.contains(['"', '\'']);
    is_bare.then(|| format!("; a name with a dot is written in quotes: [{table}.\"{name}\"]"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::subsequence;

    use super::*;
    use crate::{LimitsBuilder, MAX_AMOUNT};

    const EVERY_KEY: &str =
        "at least one of rps, tps, rpm, tpm, itpm, otpm, rph, tph, rpd, tpd, in_flight is needed";

    #[test]
    fn each_mistake_is_named_with_its_place() {
        let table = [
            ("tpm = 5", "line 1, column 1", "unknown field"),
            ("[default]\ntpm = -5", "line 2, column 7", "invalid value"),
            (
                "[default]\ntpm = 5\n [models.gpt-4.1]\ntpm = 5",
                "line 3, column 16",
                "in quotes: [models.\"gpt-4.1\"]",
            ),
            ("[default]\nrpm = 'x'", "line 2, column 7", "invalid type"),
            ("[default]\ntpm = 0", "[default]", "admits nothing"),
            ("[default]\ntpd = 0", "[default]", "tpd: limit of 0 tokens"),
            ("[models.x]", "[models.\"x\"]", EVERY_KEY),
            ("[families.f]\nmodels = []", "[families.f]", EVERY_KEY),
            ("[models.x]\ntpw = 5", "line 2, column 1", "`rpd`, `tpd`"),
            ("[models.x]\nin_flight = 0", "[models.\"x\"]", "0 in flight"),
            (
                "[families.f]\nmodels = []\ntpd = 'x'",
                "line 3, column 7",
                "invalid type",
            ),
            ("[families.f]\ntpm = 5", "line 1, column 1", "models"),
            ("preset = 'gold'", "gold", "tier-1 to tier-5"),
            ("burst_seconds = 0", "burst_seconds = 0", "above 0"),
            ("burst_seconds = nan", "burst_seconds", "above 0"),
            ("[default", "line 1", "table"),
        ];
        for (step, (text, place, word)) in table.into_iter().enumerate() {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(place), "step {step}: {error}");
            assert!(error.contains(word), "step {step}: {error}");
        }
    }

    #[test]
    fn what_a_file_does_not_say_comes_from_its_preset() {
        let table = parse("preset = 'tier-2'\n[models.o3]\nrpm = 3\n").unwrap();
        assert_eq!(table.limits_for("o3").to_string(), "3 requests per minute");
        let gpt = table.limits_for("gpt-4o").to_string();
        assert_eq!(gpt, "5000 requests per minute, 450000 tokens per minute");
    }

    #[test]
    fn every_key_has_its_unit_and_period_and_is_stated() {
        let keys = "rps = 1\ntps = 2\nrpm = 3\ntpm = 4\nitpm = 5\notpm = 6\nrph = 7\ntph = 8\n\
                    rpd = 9\ntpd = 10\nin_flight = 11\n";
        let family = format!("[families.f]\nmodels = ['x']\n{keys}");
        for place in [
            "[default]\n",
            "[models.x]\n",
            &family[..family.len() - keys.len()],
        ] {
            let limits = parse(&format!("{place}{keys}")).unwrap();
            let limits = limits.limits_for("x");
            assert_eq!(
                limits.to_string(),
                "1 requests per second, 2 tokens per second, 3 requests per minute, \
                 4 tokens per minute, 5 input tokens per minute, 6 output tokens per minute, \
                 7 requests per hour, 8 tokens per hour, 9 requests per day, 10 tokens per day, \
                 11 in flight",
                "{place}"
            );
            assert!(
                !limits.quotas().iter().any(Quota::is_provisional),
                "{place}"
            );
            assert_eq!(limits.to_toml(), keys, "{place}");
        }
    }

    #[test]
    fn what_the_form_cannot_say_is_a_comment() {
        let tokens = |amount, seconds| {
            Quota::new(Unit::Tokens, amount, Duration::from_secs(seconds)).unwrap()
        };
        let table = [
            (vec![tokens(7, 10)], "# no key for 7 tokens per 10.0 s\n"),
            (
                vec![tokens(7, 10), tokens(9, 10)],
                "# no key for 7 tokens per 10.0 s\n# no key for 9 tokens per 10.0 s\n",
            ),
            (
                vec![tokens(9, 60), tokens(7, 60), tokens(7, 60)],
                "# also 9 tokens per minute\ntpm = 7\n# also 7 tokens per minute\n",
            ),
        ];
        for (step, (quotas, text)) in table.into_iter().enumerate() {
            let builder = quotas
                .into_iter()
                .fold(Limits::builder(), LimitsBuilder::quota);
            assert_eq!(builder.build().unwrap().to_toml(), text, "step {step}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            keys in subsequence(KEYS.to_vec(), 1..=KEYS.len()).prop_shuffle(),
            amounts in prop::array::uniform10(1..=MAX_AMOUNT),
        ) {
            let quotas = keys.into_iter().zip(amounts);
            let quotas = quotas.map(|((_, unit, period), amount)| {
                Quota::new(unit, amount, period).unwrap()
            });
            let limits = Limits::from_quotas(quotas.collect());
            let table = parse(&format!("[default]\n{}", limits.to_toml())).unwrap();
            let sorted = |limits: &Limits| {
                let mut quotas = limits.quotas().to_vec();
                quotas.sort_by_key(|quota| (quota.unit(), quota.period()));
                quotas
            };
            prop_assert_eq!(sorted(table.default_limits()), sorted(&limits));
        }
    }
}
