//! `paceline serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::{at_least_one, quantile, size, time};
use super::{AccountingRule, Limits, Rule, SENDING, Server};
#[cfg(feature = "redis")]
use super::{OutageRule, Share};

const SERVING: &str = "Serving";

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Listen on this address
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8317", help_heading = SERVING)]
    pub(crate) listen: SocketAddr,
    /// Wait this long at the end for requests that have come
    #[arg(long, value_name = "TIME", default_value = "30", value_parser = time, help_heading = SERVING, hide_short_help = true)]
    pub(crate) grace: Duration,
    /// Cap connections; further ones get a 503
    #[arg(long, value_name = "N", default_value = "10000", value_parser = at_least_one, help_heading = SERVING, hide_short_help = true)]
    pub(crate) max_connections: usize,
    /// Cap requests that wait for each limit; further ones get a 503 [default: no cap]
    #[arg(long, value_name = "N", value_parser = at_least_one, help_heading = SERVING, hide_short_help = true)]
    pub(crate) max_waiters: Option<usize>,
    /// Cap the body of a request
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size, help_heading = SERVING, hide_short_help = true)]
    pub(crate) max_body: u64,

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
    /// Choose how a prompt is counted [default: larger]
    #[arg(long, value_name = "RULE", help_heading = SENDING, hide_short_help = true)]
    pub(crate) prompt_rule: Option<Rule>,
    /// Overrule the built-in table of how models are counted, in TOML: encodings, tools, images, sounds
    #[arg(long, value_name = "FILE", help_heading = SENDING, hide_short_help = true)]
    pub(crate) model_table: Option<PathBuf>,
    /// Choose how the server counts a request against a token limit [default: the provider's, else
    /// prompt-plus-cap]
    #[arg(long, value_name = "RULE", help_heading = SENDING, hide_short_help = true)]
    pub(crate) accounting: Option<AccountingRule>,
    /// Reserve for a response what this quantile of recent ones needed, not the whole output cap [default
    /// QUANTILE: 0.95]
    #[arg(long, value_name = "QUANTILE", num_args = 0..=1, require_equals = true, default_missing_value = "0.95", value_parser = quantile, help_heading = SENDING, hide_short_help = true)]
    pub(crate) learn_output: Option<f64>,
}
