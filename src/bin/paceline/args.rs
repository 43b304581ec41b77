//! What may be said on the command line. What it means is decided elsewhere.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use paceline::DEFAULT_BASE_URL;
use paceline::tokens::PromptRule;

const FILES: &str = "Files and display";
const SENDING: &str = "Sending";
const TRYING: &str = "Trying out";

/// Run language-model requests at exactly the pace that your limits allow.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Say more: each retry, each file that is moved aside
    #[arg(long, short, global = true, display_order = 900)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a JSONL file of requests in the Batch format
    ///
    /// Results are appended to the output as they come. When a run was stopped or killed, the same
    /// command goes on where it left off, and failed requests are tried again.
    ///
    /// Exit status: 0 all succeeded; 1 some requests failed; 2 wrong usage, or a file that cannot be
    /// used; 3 stopped by an account error; 130 interrupted (and resumable).
    Run(Box<Run>),
    /// Serve a simulated API that enforces limits, until Ctrl-C
    Simulate(Simulate),
    /// Count the tokens of a file of requests, or of a text
    Count(Count),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// JSONL in the Batch format, or - for standard input
    pub(crate) input: PathBuf,

    /// Where results go [default: INPUT with .results.jsonl in place of its extension]
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    pub(crate) output: Option<PathBuf>,
    /// Where failures go [default: INPUT with .errors.jsonl in place of its extension]
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    pub(crate) errors: Option<PathBuf>,
    /// Start over; output files that hold something are moved aside, none is deleted
    #[arg(long, help_heading = FILES)]
    pub(crate) fresh: bool,
    /// Write a JSON summary at the end, to a file or to standard output (-)
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    pub(crate) summary: Option<PathBuf>,
    /// Show on standard error where the run stands
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = FILES)]
    pub(crate) progress: When,

    #[command(flatten)]
    pub(crate) limits: Limits,

    #[arg(
        long,
        value_name = "URL",
        conflicts_with = "simulate",
        help_heading = SENDING,
        help = format!("The API, with its /v1 [env: OPENAI_BASE_URL] [default: {DEFAULT_BASE_URL}]")
    )]
    pub(crate) base_url: Option<String>,
    /// The environment variable that holds the key
    #[arg(long, value_name = "NAME", default_value = "OPENAI_API_KEY", help_heading = SENDING)]
    pub(crate) api_key_env: String,
    /// What a prompt counts as [default: larger; with --simulate characters, as it counts itself]
    #[arg(long, value_name = "RULE", help_heading = SENDING)]
    pub(crate) prompt_rule: Option<Rule>,
    /// Most requests in flight at once; fewer when limits and latency need no more
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = at_least_one, help_heading = SENDING)]
    pub(crate) max_in_flight: usize,
    /// How often a request is sent again after an error that may pass
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = SENDING)]
    pub(crate) max_retries: u32,
    /// Most time that one try may take
    #[arg(long, value_name = "SECS", default_value = "600", value_parser = seconds, help_heading = SENDING)]
    pub(crate) timeout: Duration,

    /// Read, check and count, print what the run would take, and send nothing
    #[arg(long, help_heading = TRYING)]
    pub(crate) dry_run: bool,
    /// Run against a built-in simulated API with the same limits: no key, no network
    #[arg(long, help_heading = TRYING)]
    pub(crate) simulate: bool,
    /// With --simulate: how long its answers take on average
    #[arg(long, value_name = "SECS", default_value = "0.3", value_parser = time, requires = "simulate", help_heading = TRYING)]
    pub(crate) sim_latency: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// Tokens per minute, for every model or for one; repeatable
    #[arg(long, value_name = "[MODEL=]N")]
    pub(crate) tpm: Vec<Limit>,
    /// Requests per minute, for every model or for one; repeatable
    #[arg(long, value_name = "[MODEL=]N")]
    pub(crate) rpm: Vec<Limit>,
    /// Limits, families and presets in TOML; --tpm and --rpm overrule it
    #[arg(long, value_name = "FILE")]
    pub(crate) limits: Option<PathBuf>,
    /// Size of each bucket, in seconds of its rate [default: 60, or what the file says]
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) burst_seconds: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// The port to listen on; 0 for any that is free
    #[arg(long, value_name = "N", default_value_t = 8080)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) limits: Limits,
    /// How long answers take on average
    #[arg(long, value_name = "SECS", default_value = "0.3", value_parser = time)]
    pub(crate) latency: Duration,
    /// How much that varies: the sigma of a lognormal distribution
    #[arg(long, value_name = "SIGMA", default_value_t = 0.0)]
    pub(crate) latency_spread: f64,
    /// The seed of all that is drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// The environment variable that holds the only key to accept [default: any key]
    #[arg(long, value_name = "NAME")]
    pub(crate) api_key_env: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Count {
    /// JSONL in the Batch format, or any text with --text; - for standard input
    pub(crate) file: PathBuf,
    /// Count the file as one text
    #[arg(long)]
    pub(crate) text: bool,
    /// The model whose encoding counts a --text
    #[arg(
        long,
        value_name = "MODEL",
        default_value = "gpt-4.1",
        requires = "text"
    )]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// When to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal
    Auto,
    /// Also without a terminal, as a line now and then
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
        let digits = number.trim().replace(['_', ','], "");
        let amount: u64 = digits
            .parse()
            .map_err(|_| format!("{number:?} is no whole number such as 30000 or 30_000"))?;
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

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1 is needed".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}

/// A time above 0.
fn seconds(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err("a time above 0 is needed".to_owned()),
        duration => Ok(duration),
    }
}

/// A time, at most a year.
fn time(text: &str) -> Result<Duration, String> {
    const YEAR: f64 = 365.0 * 24.0 * 60.0 * 60.0;
    let number = text.parse::<f64>().ok().filter(|number| *number <= YEAR);
    number
        .and_then(|number| Duration::try_from_secs_f64(number).ok())
        .ok_or_else(|| "a number of seconds is needed, at most a year".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_declaration_holds_together() {
        Arguments::command().debug_assert();
    }

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
    fn times_are_seconds_above_zero() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "-1", "nan", "inf", "1e300", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
