//! What may be said on the command line. What it means is decided elsewhere.

mod amounts; //  numbers, times and sums of money
mod extract; //  `paceline extract`
mod serve; //    `paceline serve`
mod server; //   the API, and how to reach it
mod shape; //    what the input is made of, and what is taken of it
#[cfg(feature = "redis")]
mod share; //    the store over which limits are shared
mod simulate; // `paceline simulate`
mod values; //   what flags take

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use extract::{Extract, Status};
pub(crate) use serve::Serve;
pub(crate) use server::{DEFAULT_KEY, Server};
pub(crate) use shape::Shape;
#[cfg(feature = "redis")]
pub(crate) use share::{OutageRule, Share};
pub(crate) use simulate::{Charging as SimCharging, Simulate};
pub(crate) use values::{AccountingRule, Amount, Limit, LogFormat, Rule, When};

use values::{at_least_one, count, factor, quantile, retries, seconds, size, time};

const FILES: &str = "Files and display";
const SENDING: &str = "Sending";
const BOUNDS: &str = "Prices and bounds";
const TRYING: &str = "Trying out";

/// Run language-model requests at exactly the pace that your limits allow.
#[derive(Debug, Parser)]
#[command(
    name = "paceline",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "Start with: paceline run FILE --dry-run"
)]
pub(crate) struct Arguments {
    /// Print more: each retry, each file that is moved aside
    #[arg(
        long,
        short,
        global = true,
        display_order = 900,
        hide_short_help = true
    )]
    pub(crate) verbose: bool,
    /// Print warnings and errors only: no progress, no summary
    #[arg(
        long,
        short,
        global = true,
        display_order = 901,
        conflicts_with = "verbose",
        hide_short_help = true
    )]
    pub(crate) quiet: bool,
    /// Print messages on standard error as text or as JSON lines
    #[arg(
        long,
        value_name = "FORMAT",
        global = true,
        display_order = 902,
        default_value = "text",
        hide_short_help = true
    )]
    pub(crate) log_format: LogFormat,
    /// Read flags from FILE, in TOML: keys are the flags' names, in a table for each command
    ///
    /// A flag on the command line overrules an environment variable, and that overrules the file. No file is
    /// read without this flag.
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        display_order = 903,
        hide_short_help = true
    )]
    pub(crate) config: Option<PathBuf>,
    /// Print the flags as they take effect, with where each comes from, and do nothing
    #[arg(long, global = true, display_order = 904, hide_short_help = true)]
    pub(crate) print_config: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The whole command line, for its parser, completions and manual pages.
pub(crate) fn command() -> clap::Command {
    // One name for all: `paceline 0.1.0`, also of a command.
    Arguments::command().mut_subcommands(|command| command.display_name("paceline"))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a JSONL file of requests in the Batch format, or a prompt over a table
    ///
    /// Results are appended to the output as they arrive. When a run was stopped or killed, the same
    /// command resumes it, and retries failed requests.
    ///
    /// Exit status: 0 all succeeded; 1 some requests failed; 2 wrong usage, or a file that cannot be
    /// used; 3 stopped because nothing can succeed: an account error, a server that is never
    /// reached, an invalid certificate, failures that are all alike; 4 stopped at a bound, such as
    /// --max-cost, or before a wait of more than a day; 130 interrupted; 143 terminated. After 3, 4, 130 and 143 the same command resumes
    /// the run.
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<Run>),
    /// Write the rows of an input with their answers, from results that are there
    ///
    /// The rows keep their order and columns; rows without an answer stay, with the reason. The results of
    /// parts (--shard) are merged.
    ///
    /// Exit status: 0 all rows have an answer; 1 some have none; 2 wrong usage, or a file that cannot be used.
    Extract(Extract),
    /// Serve a gateway through which other programs keep the limits, until Ctrl-C
    ///
    /// Name it as a program's base URL, <http://127.0.0.1:8317/v1>: each call of the program waits its turn and continues to
    /// the provider. It listens for this machine alone and speaks no TLS.
    ///
    /// Exit status: 0 ended by a signal, and all requests had their responses; 1 some were cut off; 2 wrong usage, or
    /// a port that is taken.
    Serve(Box<Serve>),
    /// Print how a run stands, by its files: from another terminal, or another machine
    ///
    /// Reads the results and the errors and changes nothing. A run in progress is watched for two seconds
    /// for its pace.
    Status(Status),
    /// Serve a simulated API that enforces limits, until Ctrl-C
    ///
    /// Of a limits file it enforces tokens and requests per minute, for each model by itself, and
    /// tokens and requests per day, which every model has alike: those of [default], unless a model
    /// has others.
    Simulate(Simulate),
    /// Count the tokens of a file of requests, or of a text
    Count(Count),
    /// Ask the API for an account's limits, and print them as a limits file
    ///
    /// Sends one request for each model, the smallest that there is, and prints what its response
    /// says on standard output, in the form that --limits reads. It costs a few tokens of each.
    ///
    #[cfg_attr(
        feature = "redis",
        doc = "With --share, it reads the store instead and prints the levels of the shared limits and the waiters of each process.\n"
    )]
    /// Exit status: 0 the limits of all models were found; 1 a request failed, or its answer says
    /// nothing of limits; 2 wrong usage; 3 stopped by an account error.
    Limits(Ask),
    /// Print a completion script for a shell
    ///
    /// For bash: paceline completions bash > ~/.local/share/bash-completion/completions/paceline
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write manual pages to a folder
    Man {
        /// The folder, which has to exist
        folder: PathBuf,
    },
}

const RUN_EXAMPLES: &str = "\
Examples:
  paceline run requests.jsonl --dry-run
  paceline run reviews.csv --model gpt-4.1-mini --prompt 'Good or bad? {text}' --extract answers.csv
  paceline run requests.jsonl --tpm 60k --prices builtin --max-cost '$20'";

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Read requests (JSONL in the Batch format) or, with --prompt, rows; - is standard input
    ///
    /// Input packed with gzip or zstd is unpacked.
    pub(crate) input: PathBuf,

    /// Write results to FILE [default: INPUT with .results.jsonl as its extension]
    ///
    /// With --simulate the extension is .simulated.results.jsonl. With - results go to standard output, and
    /// nothing can be resumed.
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    pub(crate) output: Option<PathBuf>,
    /// Write failures to FILE [default: beside the results, x.errors.jsonl for x.jsonl]
    #[arg(long, value_name = "FILE", help_heading = FILES, hide_short_help = true)]
    pub(crate) errors: Option<PathBuf>,
    /// Start over; move output files that hold something aside, and delete none
    #[arg(long, help_heading = FILES, hide_short_help = true)]
    pub(crate) fresh: bool,
    /// Retry requests that failed in an earlier run [the default]
    #[arg(long, overrides_with = "keep_failed", help_heading = FILES, hide_short_help = true)]
    pub(crate) retry_failed: bool,
    /// Skip requests that failed in an earlier run; they stay in the errors file
    #[arg(long, overrides_with = "retry_failed", help_heading = FILES, hide_short_help = true)]
    pub(crate) keep_failed: bool,
    /// Send requests again whose answers were cut off, with a cap FACTOR times as large, such as 2
    ///
    /// Those of this run, once, and those of earlier runs. The shorter answer stays until the longer one is
    /// there.
    #[arg(long, value_name = "FACTOR", value_parser = factor, help_heading = FILES, hide_short_help = true)]
    pub(crate) retry_cut_off: Option<f64>,
    /// Set the maximum interval between fsyncs; 0 syncs after every line
    #[arg(long, value_name = "TIME", default_value = "1", value_parser = time, help_heading = FILES, hide_short_help = true)]
    pub(crate) sync_every: Duration,
    /// Wait this long for room on a full disk, sending nothing meanwhile
    #[arg(long, value_name = "TIME", default_value = "60", value_parser = time, help_heading = FILES, hide_short_help = true)]
    pub(crate) disk_full_timeout: Duration,
    /// Write a JSON summary at the end, to FILE or to standard output (-)
    #[arg(long, value_name = "FILE", help_heading = FILES, hide_short_help = true)]
    pub(crate) summary: Option<PathBuf>,
    /// Write an HTML report at the end: throughput, waits, failures
    #[arg(long, value_name = "FILE.html", help_heading = FILES, hide_short_help = true)]
    pub(crate) report: Option<PathBuf>,
    /// Show progress on standard error [default: auto, with --quiet never]
    #[arg(long, value_name = "WHEN", help_heading = FILES, hide_short_help = true)]
    pub(crate) progress: Option<When>,

    #[command(flatten)]
    pub(crate) shape: Shape,

    #[command(flatten)]
    pub(crate) limits: Limits,

    #[cfg(feature = "redis")]
    #[command(flatten)]
    pub(crate) share: Share,
    #[cfg(feature = "redis")]
    #[command(flatten)]
    pub(crate) outage: OutageRule,

    #[command(flatten)]
    pub(crate) server: Server,
    /// Choose how a prompt is counted [default: larger; with --simulate characters]
    #[arg(long, value_name = "RULE", help_heading = SENDING, hide_short_help = true)]
    pub(crate) prompt_rule: Option<Rule>,
    /// Overrule the built-in table of how models are counted, in TOML: encodings, tools, images, sounds
    #[arg(long, value_name = "FILE", help_heading = SENDING, hide_short_help = true)]
    pub(crate) model_table: Option<PathBuf>,
    /// Choose how the server counts a request against a token limit [default: the provider's, else
    /// prompt-plus-cap]
    ///
    /// With --simulate it is how the simulator counts (actual and --learn-output: a response counts when it
    /// is sent).
    #[arg(long, value_name = "RULE", help_heading = SENDING, hide_short_help = true)]
    pub(crate) accounting: Option<AccountingRule>,
    /// Reserve for a response what this quantile of recent ones needed, not the whole output cap [default
    /// QUANTILE: 0.95]
    ///
    /// Only with --accounting actual, where the server does not hold the cap itself.
    #[arg(long, value_name = "QUANTILE", num_args = 0..=1, require_equals = true, default_missing_value = "0.95", value_parser = quantile, help_heading = SENDING, hide_short_help = true)]
    pub(crate) learn_output: Option<f64>,
    /// Cap requests in flight [default: what open files, threads and memory allow]
    #[arg(long, value_name = "N", value_parser = at_least_one, help_heading = SENDING, hide_short_help = true)]
    pub(crate) max_in_flight: Option<usize>,
    /// Cap the memory of requests in flight and of those that wait, such as 500M or 2G [default: a quarter of
    /// the machine's or of the control group's]
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = SENDING, hide_short_help = true)]
    pub(crate) max_memory: Option<u64>,
    /// Cap retries of a request after transient errors
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = retries, help_heading = SENDING, hide_short_help = true)]
    pub(crate) max_retries: u32,
    /// Give up on a server that was never reached after this time
    #[arg(long, value_name = "TIME", default_value = "30", value_parser = time, help_heading = SENDING, hide_short_help = true)]
    pub(crate) connect_patience: Duration,
    /// Wait this long for requests in flight when the run is stopped
    #[arg(long, value_name = "TIME", default_value = "120", value_parser = time, help_heading = SENDING, hide_short_help = true)]
    pub(crate) grace: Duration,

    /// Compute costs by prices in TOML, or by the built-in ones; repeatable, the last overrules
    #[arg(long, value_name = "FILE|builtin", help_heading = BOUNDS, hide_short_help = true)]
    pub(crate) prices: Vec<PathBuf>,
    /// Send a request that the flex tier has no capacity for as a standard one, once its retries are used up
    #[arg(long, help_heading = BOUNDS, hide_short_help = true)]
    pub(crate) flex_fallback: bool,
    /// Stop before more tokens are used, those of earlier runs into this output included
    #[arg(long, value_name = "N", value_parser = count, help_heading = BOUNDS, hide_short_help = true)]
    pub(crate) budget_tokens: Option<u64>,
    /// Stop before this run uses more tokens
    #[arg(long, value_name = "N", value_parser = count, help_heading = BOUNDS, hide_short_help = true)]
    pub(crate) budget_tokens_this_run: Option<u64>,
    /// Stop before this run costs more
    #[arg(long, value_name = "AMOUNT", requires = "prices", help_heading = BOUNDS, hide_short_help = true)]
    pub(crate) max_cost_this_run: Option<Amount>,
    /// Stop before more is spent in all runs, such as '$20'; needs --prices
    #[arg(long, value_name = "AMOUNT", requires = "prices", help_heading = BOUNDS)]
    pub(crate) max_cost: Option<Amount>,
    /// Stop when N requests have failed
    #[arg(long, value_name = "N", value_parser = count, help_heading = BOUNDS, hide_short_help = true)]
    pub(crate) max_failures: Option<u64>,
    /// Continue although none has succeeded and 20 requests failed alike
    #[arg(long, help_heading = BOUNDS, hide_short_help = true)]
    pub(crate) keep_going: bool,
    /// Start no more requests after this time
    #[arg(long, value_name = "TIME", value_parser = seconds, help_heading = BOUNDS, hide_short_help = true)]
    pub(crate) deadline: Option<Duration>,

    /// Print what the run would take, and send nothing
    #[arg(long, help_heading = TRYING)]
    pub(crate) dry_run: bool,
    /// With --dry-run: assume this response latency [default: 5]
    #[arg(long, value_name = "TIME", value_parser = time, requires = "dry_run", help_heading = TRYING, hide_short_help = true)]
    pub(crate) expect_latency: Option<Duration>,
    /// Run against a built-in simulated API with the same limits: no key, no network
    #[arg(long, conflicts_with = "base_url", help_heading = TRYING)]
    pub(crate) simulate: bool,
    /// With --simulate: set the average response latency
    #[arg(long, value_name = "TIME", default_value = "0.3", value_parser = time, requires = "simulate", help_heading = TRYING, hide_short_help = true)]
    pub(crate) sim_latency: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// Cap tokens per minute, for every model or for one, such as 60k; repeatable
    #[arg(long, value_name = "[MODEL=]N")]
    pub(crate) tpm: Vec<Limit>,
    /// Cap requests per minute, for every model or for one; repeatable
    #[arg(long, value_name = "[MODEL=]N")]
    pub(crate) rpm: Vec<Limit>,
    /// Read limits, families and presets in TOML; --tpm and --rpm overrule them
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) limits: Option<PathBuf>,
    /// Set the bucket size of limits per minute, in time at their rate [default: 60, or what the file says]
    #[arg(long, value_name = "TIME", value_parser = seconds, hide_short_help = true)]
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

/// What an object of `count --json` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum By {
    /// One line for each model
    Model,
    /// One line for each request, with its line in the file, in no order
    Request,
}

#[derive(Debug, Args)]
pub(crate) struct Count {
    /// Read requests (JSONL in the Batch format), or any text with --text; - is standard input
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
    /// Overrule the built-in table of how models are counted, in TOML
    #[arg(long, value_name = "FILE")]
    pub(crate) model_table: Option<PathBuf>,
    /// Print JSON: an object for each model, or for each request
    #[arg(
        long,
        value_name = "BY",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "model",
        conflicts_with = "text"
    )]
    pub(crate) json: Option<By>,
    /// Choose how the server counts a request against a token limit
    #[arg(
        long,
        value_name = "RULE",
        default_value = "prompt-plus-cap",
        conflicts_with = "text"
    )]
    pub(crate) accounting: AccountingRule,
    /// Choose how a prompt is counted: tokens is what is billed
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
    use super::*;

    #[test]
    fn the_declaration_holds_together() {
        command().debug_assert();
    }
}
