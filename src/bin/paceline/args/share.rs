//! The store over which limits are shared.

use clap::{Args, ValueEnum};
use paceline::OnStoreOutage;

use super::values::count;

/// Where limits are shared, and what becomes of them without.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sharing")]
pub(crate) struct Share {
    #[arg(
        long,
        value_name = "URL",
        hide_short_help = true,
        help = "Share the limits with other processes and machines over this Redis or Valkey \
                [env: PACELINE_SHARE_URL]",
        long_help = "Share the limits with other processes and machines over this Redis or Valkey: \
                redis://HOST:PORT, rediss:// for TLS, unix:///PATH [env: PACELINE_SHARE_URL]\n\n\
                A password is read from PACELINE_SHARE_PASSWORD: others could read it on the command \
                line."
    )]
    pub(crate) share: Option<String>,
}

/// What a run or a gateway does while the store cannot be reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sharing")]
pub(crate) struct OutageRule {
    /// Choose what happens to requests while the store of --share cannot be reached
    #[arg(
        long,
        value_name = "RULE",
        default_value = "divide",
        hide_short_help = true
    )]
    pub(crate) share_on_outage: Outage,
    /// Assume at least N processes when the limits are divided [default: those seen in the last two minutes]
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        hide_default_value = true,
        value_parser = count,
        hide_short_help = true
    )]
    pub(crate) share_processes: u64,
}

/// What becomes of a run while the store cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Outage {
    /// Refuse requests, which are retried as others are
    Fail,
    /// Divide the limits by the number of processes that shared them
    Divide,
    /// Wait until the store is back
    Wait,
}

impl From<Outage> for OnStoreOutage {
    fn from(outage: Outage) -> Self {
        match outage {
            Outage::Fail => Self::Fail,
            Outage::Divide => Self::Divide,
            Outage::Wait => Self::Wait,
        }
    }
}
