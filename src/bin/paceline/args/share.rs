//! The store over which limits are shared.

use clap::{Args, ValueEnum};
use paceline::OnStoreOutage;

/// Where limits are shared, and what becomes of them without.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sharing")]
pub(crate) struct Share {
    #[arg(
        long,
        value_name = "URL",
        help = "Share the limits over this Redis or Valkey with all who do so, on any machine: \
                redis://HOST:PORT, rediss:// for TLS, unix:///PATH. A password is not taken here, \
                where others can read it, but as PACELINE_SHARE_PASSWORD [env: PACELINE_SHARE_URL]"
    )]
    pub(crate) share: Option<String>,
}

/// What becomes of a run while the store cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Outage {
    /// Refuse requests; they are tried again, as often as others are
    Fail,
    /// Go on with the limits divided by those who shared them
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
