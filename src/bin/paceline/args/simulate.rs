//! What may be said to `paceline simulate`.

use std::time::Duration;

use clap::Args;

use super::Limits;
use super::values::time;

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
