//! Limits written down in TOML. [`LimitTable::from_toml`] shows the form.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::{LimitTable, Limits, Tier};
use crate::{Error, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    preset: Option<String>,
    burst_seconds: Option<f64>,
    default: Option<PerMinute>,
    #[serde(default)]
    models: BTreeMap<String, PerMinute>,
    #[serde(default)]
    families: BTreeMap<String, Family>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PerMinute {
    tpm: Option<u64>,
    rpm: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    models: Vec<String>,
    tpm: Option<u64>,
    rpm: Option<u64>,
}

pub(super) fn parse(text: &str) -> Result<LimitTable> {
    let file: File = toml::from_str(text).map_err(|error| Error::InvalidLimit {
        what: place(text, error.span().map_or(0, |span| span.start)),
        reason: error.message().to_owned(),
    })?;
    let mut table = match &file.preset {
        Some(name) => LimitTable::for_tier(name.parse::<Tier>()?),
        None => LimitTable::default(),
    };
    if let Some(default) = &file.default {
        table.set_default(limits("[default]", default.tpm, default.rpm)?);
    }
    for (model, per_minute) in file.models {
        let what = format!("[models.{model:?}]");
        table.set(model, limits(&what, per_minute.tpm, per_minute.rpm)?);
    }
    for (name, family) in file.families {
        let limits = limits(&format!("[families.{name}]"), family.tpm, family.rpm)?;
        table.set_family(name, family.models, limits);
    }
    if let Some(seconds) = file.burst_seconds {
        let burst = Duration::try_from_secs_f64(seconds).ok();
        let burst = burst.filter(|burst| !burst.is_zero());
        table.set_burst_lasting(burst.ok_or_else(|| Error::InvalidLimit {
            what: format!("burst_seconds = {seconds}"),
            reason: "a number of seconds above 0 is needed".to_owned(),
        })?);
    }
    Ok(table)
}

fn limits(what: &str, tpm: Option<u64>, rpm: Option<u64>) -> Result<Limits> {
    let mut builder = Limits::builder();
    if let Some(requests) = rpm {
        builder = builder.requests_per_minute(requests);
    }
    if let Some(tokens) = tpm {
        builder = builder.tokens_per_minute(tokens);
    }
    builder.build().map_err(|error| Error::InvalidLimit {
        what: what.to_owned(),
        reason: match error {
            _ if tpm.is_none() && rpm.is_none() => "tpm, rpm or both are needed".to_owned(),
            error => error.to_string(),
        },
    })
}

fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_is_named_with_its_place() {
        let table = [
            ("tpm = 5", "line 1, column 1", "unknown field"),
            ("[default]\ntpm = -5", "line 2, column 7", "invalid value"),
            ("[default]\nrpm = 'x'", "line 2, column 7", "invalid type"),
            ("[default]\ntpm = 0", "[default]", "admits nothing"),
            ("[models.x]", "[models.\"x\"]", "tpm, rpm or both"),
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
}
