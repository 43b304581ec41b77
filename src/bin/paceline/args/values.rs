//! The values that flags take, and what is wrong with those that they do not.

use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use paceline::Accounting;
use paceline::batch::{Edits, Money, RequestForm, RowFormat};
use paceline::tokens::PromptRule;

use super::amounts;
pub(crate) use super::amounts::Amount;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines of text
    Text,
    /// A JSON object a line, with time, level and message
    Json,
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let amount = amounts::amount(text);
        let amount =
            amount.ok_or_else(|| "an amount is needed, such as 20, 12.50 or '$20'".to_owned())?;
        if amount.money == Money::default() {
            // The shell expands an unquoted $20 to its empty second argument and a 0.
            return Err(
                "0 buys nothing; put an amount with $ into single quotes: '$20'".to_owned(),
            );
        }
        Ok(amount)
    }
}

/// When to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// Live on a terminal, else a line every 30 seconds
    Auto,
    /// Without a terminal also a line after the first second
    Always,
    /// Not at all
    Never,
}

/// What a prompt counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rule {
    /// Its tokens
    Tokens,
    /// A quarter of its characters
    Characters,
    /// The larger of the two
    Larger,
}

impl From<Rule> for PromptRule {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Tokens => Self::Tokens,
            Rule::Characters => Self::Characters,
            Rule::Larger => Self::Larger,
        }
    }
}

/// How the server counts a request against a token limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AccountingRule {
    /// Prompt and output cap together
    PromptPlusCap,
    /// The larger of prompt and output cap
    Larger,
    /// Both, until the answer gives back what it did not use
    Actual,
    /// The prompt alone
    PromptOnly,
    /// The prompt, and the answer once it is there
    AsUsed,
}

impl From<AccountingRule> for Accounting {
    fn from(rule: AccountingRule) -> Self {
        match rule {
            AccountingRule::PromptPlusCap => Self::PromptPlusCap,
            AccountingRule::Larger => Self::Larger,
            AccountingRule::Actual => Self::Actual,
            AccountingRule::PromptOnly => Self::PromptOnly,
            AccountingRule::AsUsed => Self::AsUsed,
        }
    }
}

/// A limit for every model, or for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) model: Option<String>,
    pub(crate) amount: u64,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (model, number) = match text.rsplit_once('=') {
            Some((model, number)) => (Some(model.trim()), number),
            None => (None, text),
        };
        if model == Some("") {
            return Err("a model is missing before the =".to_owned());
        }
        let amount = amounts::whole(number)
            .ok_or_else(|| format!("{number:?} is no whole number such as 30000, 30_000 or 30k"))?;
        if amount == 0 {
            return Err("a limit of 0 admits nothing; leave it out for no limit".to_owned());
        }
        if amount > paceline::MAX_AMOUNT {
            return Err(format!("the largest limit is {}", paceline::MAX_AMOUNT));
        }
        Ok(Self {
            model: model.map(str::to_owned),
            amount,
        })
    }
}

/// What rows are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Table {
    /// With a header that names the columns, which commas, semicolons, tabs or | part
    Csv,
    /// The same, parted by tabs
    Tsv,
    /// One object a line
    Jsonl,
    /// Plain text: each line that is not blank is a row with the one column `line`
    Lines,
}

impl From<Table> for RowFormat {
    fn from(table: Table) -> Self {
        match table {
            Table::Csv => Self::Csv,
            Table::Tsv => Self::Tsv,
            Table::Jsonl => Self::Jsonl,
            Table::Lines => Self::Lines,
        }
    }
}

/// The endpoint for which requests are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Endpoint {
    /// /v1/responses
    Responses,
    /// /v1/chat/completions
    Chat,
    /// /v1/embeddings: the prompt is the input
    Embeddings,
    /// /v1/messages
    Messages,
}

impl From<Endpoint> for RequestForm {
    fn from(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Responses => Self::Responses,
            Endpoint::Chat => Self::Chat,
            Endpoint::Embeddings => Self::Embeddings,
            Endpoint::Messages => Self::Messages,
        }
    }
}

/// A field of requests, and what it is set to.
pub(super) fn field(text: &str) -> Result<(String, String), String> {
    let (path, value) = text
        .split_once('=')
        .ok_or("a path and a value are needed, such as temperature=0")?;
    let path = path.trim();
    if path == "model" {
        return Err("--model sets the model".to_owned());
    }
    match Edits::new().set(path, value) {
        Ok(_) => Ok((path.to_owned(), value.to_owned())),
        Err(error) => Err(error.to_string()),
    }
}

/// One part of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) index: u32,
    pub(crate) count: u32,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(index, count)| {
            let (index, count) = (index.parse().ok()?, count.parse().ok()?);
            (1..=count)
                .contains(&index)
                .then_some(Self { index, count })
        });
        parts.ok_or_else(|| "a part such as 1/8 is needed, the last of which is 8/8".to_owned())
    }
}

pub(super) fn retries(text: &str) -> Result<u32, String> {
    let number = amounts::whole(text).and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| "a whole number such as 8 is needed".to_owned())
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match amounts::whole(text).and_then(|number| usize::try_from(number).ok()) {
        Some(0) => Err("at least 1 is needed, such as 100".to_owned()),
        Some(number) => Ok(number),
        None => Err("a whole number such as 100 is needed".to_owned()),
    }
}

/// By which something is to be larger.
pub(super) fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse::<f64>().ok();
    let factor = factor.filter(|factor| (1.01..=1_000.0).contains(factor));
    factor.ok_or_else(|| "a number from 1.01 to 1000 is needed, such as 2".to_owned())
}

/// A whole number above 0.
pub(super) fn count(text: &str) -> Result<u64, String> {
    match amounts::whole(text) {
        Some(0) => Err("at least 1 is needed, such as 30000".to_owned()),
        Some(number) => Ok(number),
        None => Err("a whole number such as 30000, 30_000 or 30k is needed".to_owned()),
    }
}

/// A size in bytes, such as `500M` or `1.5G`: units are powers of 1,024, as in `ulimit` and systemd.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(char, u32); 4] = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];
    let needed = || "a size above 0 is needed, such as 500M or 2G".to_owned();
    let text = text.trim().to_ascii_uppercase().replace(['_', ','], "");
    let text = text
        .strip_suffix("IB")
        .or(text.strip_suffix('B'))
        .unwrap_or(&text);
    let unit = UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit));
    let (number, power) = match unit {
        Some((unit, power)) => (text.strip_suffix(unit).unwrap_or(text), power),
        None => (text, 0),
    };
    // Without a sign, an exponent or a word such as `inf`.
    let number = number.trim();
    let is_number = number
        .chars()
        .all(|char| char.is_ascii_digit() || char == '.');
    let number: f64 = number.parse().map_err(|_| needed())?;
    let bytes = number * f64::from(power).exp2();
    if !is_number || !(1.0..=2f64.powi(60)).contains(&bytes) {
        return Err(needed());
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is from 1 to 2^60"
    )]
    Ok(bytes as u64)
}

/// A quantile of answers, as [`paceline::ClientBuilder::learned_output`] takes it.
pub(super) fn quantile(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    let number = number.filter(|number| (0.5..=0.99).contains(number));
    number.ok_or_else(|| "a quantile from 0.5 to 0.99 is needed, such as 0.95".to_owned())
}

/// A time above 0.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err("a time above 0 is needed, such as 30s".to_owned()),
        duration => Ok(duration),
    }
}

/// A time, at most a year.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    amounts::time(text).ok_or_else(|| {
        "a time is needed, such as 30 (seconds), 500ms, 5m or 2h, at most a year".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_for_every_model_or_for_one() {
        let limit = |model: Option<&str>, amount| {
            Ok(Limit {
                model: model.map(str::to_owned),
                amount,
            })
        };
        let table = [
            ("30000", limit(None, 30_000)),
            ("30_000", limit(None, 30_000)),
            ("gpt-4o=5", limit(Some("gpt-4o"), 5)),
            ("ft:a=b=5", limit(Some("ft:a=b"), 5)),
        ];
        for (step, (text, expected)) in table.into_iter().enumerate() {
            assert_eq!(text.parse::<Limit>(), expected, "step {step}: {text}");
        }
        for (step, text) in ["", "0", "-5", "1.5", "=5", "gpt=", "99999999999999999"]
            .iter()
            .enumerate()
        {
            assert!(text.parse::<Limit>().is_err(), "step {step}: {text}");
        }
    }

    #[test]
    fn a_part_is_one_of_those_that_there_are() {
        let shard = |index, count| Ok(Shard { index, count });
        for (text, expected) in [
            ("1/1", shard(1, 1)),
            ("3/8", shard(3, 8)),
            ("8/8", shard(8, 8)),
        ] {
            assert_eq!(text.parse::<Shard>(), expected, "{text}");
        }
        for text in [
            "",
            "1",
            "0/8",
            "9/8",
            "0/0",
            "1/",
            "/8",
            "-1/8",
            "1/8/8",
            "1/9999999999",
        ] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_quantile_has_bounds() {
        for (text, expected) in [("0.5", 0.5), ("0.95", 0.95), ("0.99", 0.99)] {
            assert_eq!(quantile(text), Ok(expected), "{text}");
        }
        for text in ["", "0.49", "0.991", "1", "95", "-0.9", "nan", "inf", "most"] {
            assert!(quantile(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        let table = [
            ("1", 1),
            ("4096", 4_096),
            ("64k", 64 << 10),
            ("500M", 500 << 20),
            ("500 MB", 500 << 20),
            ("2G", 2 << 30),
            ("1.5GiB", 3 << 29),
            ("1_000", 1_000),
            ("1T", 1 << 40),
        ];
        for (text, bytes) in table {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "", "0", "M", "-1G", "inf", "nan", "1e9", "2X", "1.2.3M", "0.5", "9999999T",
        ] {
            assert!(size(text).is_err(), "{text}: {:?}", size(text));
        }
    }

    #[test]
    fn times_are_seconds_above_zero() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "-1", "nan", "inf", "1e300", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
