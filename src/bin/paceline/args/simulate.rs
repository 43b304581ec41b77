//! What may be said to `paceline simulate`.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use paceline::sim::{Dialect, Fault, LimitHeaders};

use super::Limits;
use super::values::{seconds, time};

const CHARGES: &str = "Counting";
const MANNERS: &str = "Less orderly servers";

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// Listen on this port; 0 takes any free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    pub(crate) port: u16,
    /// Set the mean latency of answers
    #[arg(long, value_name = "SECS", default_value = "0.3", value_parser = time)]
    pub(crate) latency: Duration,
    /// Set the spread of latencies: the sigma of a lognormal distribution
    #[arg(long, value_name = "SIGMA", default_value_t = 0.0)]
    pub(crate) latency_spread: f64,
    /// Set the seed of answers, latencies and faults
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Accept only the key in this environment variable [default: any key]
    #[arg(long, value_name = "NAME")]
    pub(crate) api_key_env: Option<String>,

    /// Speak like this provider: its headers, errors and fields
    #[arg(long, value_name = "PROVIDER", default_value = "openai", value_parser = dialect_parser())]
    pub(crate) dialect: Dialect,
    /// Work on N requests at once; more wait for a place [default: no limit]
    #[arg(long, value_name = "N")]
    pub(crate) slots: Option<NonZeroUsize>,
    /// Let N requests wait for a slot; more are refused
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1_000_000,
        requires = "slots"
    )]
    pub(crate) slot_queue: usize,
    /// Report the beginning of a prompt that came before as cached tokens
    #[arg(long)]
    pub(crate) prompt_cache: bool,

    #[command(flatten)]
    pub(crate) limits: Limits,

    /// Set what a request is charged
    #[arg(long, value_name = "RULE", default_value = "sum", help_heading = CHARGES)]
    pub(crate) charge: Charging,
    /// Multiply every charge: with 1.3 each request counts three tenths more
    #[arg(long, value_name = "F", default_value = "1", value_parser = factor, help_heading = CHARGES)]
    pub(crate) charge_factor: f64,
    /// Count prompts by their tokens (as for gpt-4.1), and not as a quarter of their characters
    #[arg(long, help_heading = CHARGES)]
    pub(crate) exact_tokens: bool,

    /// Count in windows of this length, each from nothing, in place of a continuous refill
    #[arg(long, value_name = "SECS", value_parser = seconds, conflicts_with = "burst_seconds", help_heading = MANNERS)]
    pub(crate) fixed_windows: Option<Duration>,
    /// Add a neighbour that takes this fraction of each limit: 0.3 is three tenths
    #[arg(long, value_name = "SHARE", value_parser = fraction, help_heading = MANNERS)]
    pub(crate) neighbour: Option<f64>,
    /// Let the neighbour take the amount of SECS at once [default: steadily; at least 0.25]
    #[arg(long, value_name = "SECS", value_parser = seconds, requires = "neighbour", help_heading = MANNERS)]
    pub(crate) neighbour_every: Option<Duration>,
    /// Set which rate limit headers answers have
    #[arg(long, value_name = "WHICH", default_value = "all", help_heading = MANNERS)]
    pub(crate) headers: Headers,
    /// Run out of money after N admitted requests [default: never]
    #[arg(long, value_name = "N", help_heading = MANNERS)]
    pub(crate) out_of_money_after: Option<u64>,
    #[arg(
        long,
        value_name = "KIND=P",
        help_heading = MANNERS,
        help = format!("Cause a fault with a probability of 0 to 1; repeatable. Kinds: {}", kinds())
    )]
    pub(crate) fault: Vec<FaultRate>,
}

/// What the simulated API charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Charging {
    /// Prompt and output cap together
    Sum,
    /// The larger of prompt and output cap
    Max,
    /// Both, until the answer gives back what it did not use
    Usage,
    /// The prompt, and the answer when it is there
    Answered,
}

/// Which rate limit headers an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Headers {
    /// Limit, remaining and reset
    All,
    /// Only what remains
    Remaining,
    /// None
    None,
}

impl From<Headers> for LimitHeaders {
    fn from(headers: Headers) -> Self {
        match headers {
            Headers::All => Self::All,
            Headers::Remaining => Self::Remaining,
            Headers::None => Self::None,
        }
    }
}

/// The names of what can go wrong.
const FAULTS: [(&str, Fault); 9] = [
    ("server-error", Fault::ServerError),
    ("overloaded", Fault::Overloaded),
    ("overloaded-for-a-second", Fault::OverloadedForASecond),
    ("no-capacity", Fault::NoCapacity),
    ("hang", Fault::Hang),
    ("drop", Fault::Drop),
    ("drop-midway", Fault::DropMidway),
    ("truncated-json", Fault::TruncatedJson),
    ("error-inside", Fault::ErrorInside),
];

/// The names of the dialects, which help and errors list.
fn dialect_parser() -> impl TypedValueParser<Value = Dialect> {
    PossibleValuesParser::new(Dialect::ALL.map(|(name, _)| name)).map(|text| {
        let found = Dialect::ALL.into_iter().find(|(name, _)| *name == text);
        found.map_or_else(Dialect::default, |(_, dialect)| dialect)
    })
}

fn kinds() -> String {
    FAULTS.map(|(name, _)| name).join(", ")
}

/// What goes wrong, and how often.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FaultRate {
    pub(crate) fault: Fault,
    pub(crate) probability: f64,
}

impl FromStr for FaultRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, probability)) = text.split_once('=') else {
            return Err("a kind and a probability are needed, such as hang=0.01".to_owned());
        };
        let known = FAULTS.into_iter().find(|(known, _)| *known == name.trim());
        let Some((_, fault)) = known else {
            return Err(format!("{name:?} is none of {}", kinds()));
        };
        Ok(Self {
            fault,
            probability: fraction(probability.trim())?,
        })
    }
}

/// A number from 0 to 1.
fn fraction(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    let number = number.filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "a number from 0 to 1 is needed".to_owned())
}

/// A number from 0 up.
fn factor(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let number = number.filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "a number from 0 up is needed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_a_kind_and_a_probability() {
        for (step, (name, fault)) in FAULTS.into_iter().enumerate() {
            let probability = 0.25;
            let found = format!("{name}=0.25").parse();
            let expected = FaultRate { fault, probability };
            assert_eq!(found, Ok(expected), "step {step}");
        }
        let table = [
            ("hang", "a kind and a probability"),
            ("fire=0.5", "\"fire\" is none of server-error, overloaded"),
            ("hang=", "0 to 1"),
            ("hang=1.5", "0 to 1"),
            ("hang=-0.1", "0 to 1"),
            ("hang=nan", "0 to 1"),
        ];
        for (step, (text, words)) in table.into_iter().enumerate() {
            let error = text.parse::<FaultRate>().unwrap_err();
            assert!(error.contains(words), "step {step}: {error}");
        }
    }

    #[test]
    fn a_factor_is_a_finite_number_from_zero_up() {
        assert_eq!(factor("1.3"), Ok(1.3));
        assert_eq!(factor("0"), Ok(0.0));
        for text in ["-1", "nan", "inf", "much", ""] {
            assert!(factor(text).is_err(), "{text}");
        }
    }
}
