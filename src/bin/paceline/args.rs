//! What may be said on the command line. What it means is decided elsewhere.

mod server; //   the API, and how to reach it
mod shape; //    what the input is made of, and what is taken of it
#[cfg(feature = "redis")]
mod share; //    the store over which limits are shared
mod simulate; // `paceline simulate`
mod values; //   what flags take

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use paceline::batch::Money;

pub(crate) use server::{DEFAULT_KEY, Server};
pub(crate) use shape::Shape;
#[cfg(feature = "redis")]
pub(crate) use share::{Outage, Share};
pub(crate) use simulate::{Charging as SimCharging, Simulate};
pub(crate) use values::{AccountingRule, Limit, Rule, When};

use values::{at_least_one, count, seconds, share, size, time};

const FILES: &str = "Files and display";
const SENDING: &str = "Sending";
const BOUNDS: &str = "Prices and bounds";
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
    /// Run a JSONL file of requests in the Batch format, or a prompt over a table
    ///
    /// Results are appended to the output as they come. When a run was stopped or killed, the same
    /// command goes on where it left off, and failed requests are tried again.
    ///
    /// Exit status: 0 all succeeded; 1 some requests failed; 2 wrong usage, or a file that cannot be
    /// used; 3 stopped because nothing can succeed: an account error, a server that is never
    /// reached, an invalid certificate, failures that are all alike; 4 stopped at a bound, such as
    /// --max-cost, or before a wait of more than a day; 130 interrupted; 143 terminated. After 3, 4, 130 and 143 the same command resumes
    /// the run.
    Run(Box<Run>),
    /// Serve a simulated API that enforces limits, until Ctrl-C
    ///
    /// Of a limits file it enforces tokens and requests per minute, for each model by itself, and
    /// tokens and requests per day, which every model has alike: those of [default], unless a model
    /// has others.
    Simulate(Simulate),
    /// Count the tokens of a file of requests, or of a text
    Count(Count),
    /// Ask the API what an account's limits are, and print them as a limits file
    ///
    /// Sends one request for each model, the smallest that there is, and prints what its answer
    /// says on standard output, in the form that --limits reads. It costs a few tokens of each.
    ///
    #[cfg_attr(
        feature = "redis",
        doc = "With --share it asks the store instead, and prints how the limits stand that are shared over it, and who waits.\n"
    )]
    /// Exit status: 0 the limits of all models were found; 1 a request failed, or its answer says
    /// nothing of limits; 2 wrong usage; 3 stopped by an account error.
    Limits(Ask),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// JSONL in the Batch format, or rows with --prompt; gzip and zstd are unpacked; - for standard
    /// input
    pub(crate) input: PathBuf,

    /// Where results go, - for standard output, from which nothing is resumed [default: INPUT with
    /// .results.jsonl in place of its extension, with --simulate .simulated.results.jsonl]
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    pub(crate) output: Option<PathBuf>,
    /// Where failures go [default: beside the results, x.errors.jsonl for x.jsonl]
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    pub(crate) errors: Option<PathBuf>,
    /// Start over; output files that hold something are moved aside, none is deleted
    #[arg(long, help_heading = FILES)]
    pub(crate) fresh: bool,
    /// Send failed requests of earlier runs again [the default]
    #[arg(long, overrides_with = "keep_failed", help_heading = FILES)]
    pub(crate) retry_failed: bool,
    /// Leave failed requests of earlier runs at that: they stay in the errors file
    #[arg(long, overrides_with = "retry_failed", help_heading = FILES)]
    pub(crate) keep_failed: bool,
    /// Most time until a finished line is on the disk, not only written; 0 waits for each
    #[arg(long, value_name = "SECS", default_value = "1", value_parser = time, help_heading = FILES)]
    pub(crate) sync_every: Duration,
    /// How long to wait, sending nothing, for room on a full disk and the like
    #[arg(long, value_name = "SECS", default_value = "60", value_parser = time, help_heading = FILES)]
    pub(crate) write_patience: Duration,
    /// Write a JSON summary at the end, to a file or to standard output (-)
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    pub(crate) summary: Option<PathBuf>,
    /// Write a page about the run at the end: its pace, its waits, what failed
    #[arg(long, value_name = "FILE.html", help_heading = FILES)]
    pub(crate) report: Option<PathBuf>,
    /// Show on standard error where the run stands
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = FILES)]
    pub(crate) progress: When,

    #[command(flatten)]
    pub(crate) shape: Shape,

    #[command(flatten)]
    pub(crate) limits: Limits,

    #[cfg(feature = "redis")]
    #[command(flatten)]
    pub(crate) share: Share,
    /// What becomes of requests while the store of --share cannot be reached
    #[cfg(feature = "redis")]
    #[arg(
        long,
        value_name = "RULE",
        default_value = "divide",
        help_heading = "Sharing"
    )]
    pub(crate) share_on_outage: Outage,
    /// How many processes share the limits at least, to divide them by then [default: as many as were
    /// seen of late]
    #[cfg(feature = "redis")]
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true, value_parser = count, help_heading = "Sharing")]
    pub(crate) share_processes: u64,

    #[command(flatten)]
    pub(crate) server: Server,
    /// What a prompt counts as [default: larger; with --simulate characters, as it counts itself]
    #[arg(long, value_name = "RULE", help_heading = SENDING)]
    pub(crate) prompt_rule: Option<Rule>,
    /// How models are counted, in TOML: encodings, tools, images, sounds; overrules the built-in table
    #[arg(long, value_name = "FILE", help_heading = SENDING)]
    pub(crate) models: Option<PathBuf>,
    /// How the server counts a request against a token limit [default: as the provider does, else
    /// prompt-plus-cap]; with --simulate, how the simulator does (actual and --learn-output: an answer counts when
    /// it is there)
    #[arg(long, value_name = "RULE", help_heading = SENDING)]
    pub(crate) accounting: Option<AccountingRule>,
    /// Reserve for an answer what this share of the last ones needed, and not the whole output cap
    /// [default SHARE: 0.95]; only with --accounting actual, where the server does not hold the cap itself
    #[arg(long, value_name = "SHARE", num_args = 0..=1, require_equals = true, default_missing_value = "0.95", value_parser = share, help_heading = SENDING)]
    pub(crate) learn_output: Option<f64>,
    /// Cap requests in flight [default: what open files, threads and memory allow]
    #[arg(long, value_name = "N", value_parser = at_least_one, help_heading = SENDING)]
    pub(crate) max_in_flight: Option<usize>,
    /// Cap the memory of requests in flight, with bodies and responses, and of those that wait, such as
    /// 500M or 2G [default: a quarter of the machine's or of the control group's]
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = SENDING)]
    pub(crate) max_memory: Option<u64>,
    /// How often a request is sent again after an error that may pass
    #[arg(long, value_name = "N", default_value_t = 8, help_heading = SENDING)]
    pub(crate) max_retries: u32,
    /// How long to try to reach a server that was never reached
    #[arg(long, value_name = "SECS", default_value = "30", value_parser = time, help_heading = SENDING)]
    pub(crate) connect_patience: Duration,
    /// How long to wait, when told to stop, for what is under way
    #[arg(long, value_name = "SECS", default_value = "120", value_parser = time, help_heading = SENDING)]
    pub(crate) grace: Duration,

    /// Say what the run costs, by prices in TOML or those that are built in; repeatable, the last overrules
    #[arg(long, value_name = "FILE|builtin", help_heading = BOUNDS)]
    pub(crate) prices: Vec<PathBuf>,
    /// Send a request that the flex tier has no room for as a usual one, once its retries are used up
    #[arg(long, help_heading = BOUNDS)]
    pub(crate) flex_fallback: bool,
    /// Stop before this run uses more tokens
    #[arg(long, value_name = "N", value_parser = count, help_heading = BOUNDS)]
    pub(crate) budget_tokens: Option<u64>,
    /// Stop before this run costs more, in the currency of the prices
    #[arg(long, value_name = "AMOUNT", requires = "prices", help_heading = BOUNDS)]
    pub(crate) max_cost: Option<Money>,
    /// Stop when so many requests have failed
    #[arg(long, value_name = "N", value_parser = count, help_heading = BOUNDS)]
    pub(crate) max_failures: Option<u64>,
    /// Go on although nothing has succeeded and 20 requests failed alike
    #[arg(long, help_heading = BOUNDS)]
    pub(crate) keep_going: bool,
    /// Begin nothing more after this time
    #[arg(long, value_name = "SECS", value_parser = seconds, help_heading = BOUNDS)]
    pub(crate) deadline: Option<Duration>,

    /// Read, check and count, print what the run would take, and send nothing
    #[arg(long, help_heading = TRYING)]
    pub(crate) dry_run: bool,
    /// With --dry-run: how long an answer is taken to take [default: 5]
    #[arg(long, value_name = "SECS", value_parser = time, requires = "dry_run", help_heading = TRYING)]
    pub(crate) expect_latency: Option<Duration>,
    /// Run against a built-in simulated API with the same limits: no key, no network
    #[arg(long, conflicts_with = "base_url", help_heading = TRYING)]
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
    /// Size of each bucket per minute, in seconds of its rate [default: 60, or what the file says]
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) burst_seconds: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// The models to ask for
    #[cfg_attr(not(feature = "redis"), arg(required = true, value_name = "MODEL"))]
    #[cfg_attr(
        feature = "redis",
        arg(required_unless_present = "share", value_name = "MODEL")
    )]
    pub(crate) models: Vec<String>,
    #[cfg(feature = "redis")]
    #[command(flatten)]
    pub(crate) share: Share,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Count {
    /// JSONL in the Batch format, or any text with --text; - for standard input
    pub(crate) file: PathBuf,
    /// Count the file, unpacked if it is packed with gzip or zstd, as one text
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
    /// How models are counted, in TOML; overrules the built-in table
    #[arg(long, value_name = "FILE")]
    pub(crate) models: Option<PathBuf>,
    /// How the server counts a request against a token limit
    #[arg(
        long,
        value_name = "RULE",
        default_value = "prompt-plus-cap",
        conflicts_with = "text"
    )]
    pub(crate) accounting: AccountingRule,
    /// What a prompt counts as: tokens is what is billed
    #[arg(
        long,
        value_name = "RULE",
        default_value = "larger",
        conflicts_with = "text"
    )]
    pub(crate) prompt_rule: Rule,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_declaration_holds_together() {
        Arguments::command().debug_assert();
    }
}
