//! The store over which limits are shared.

use clap::{Args, ValueEnum};
use paceline::OnOutage;

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
    Closed,
    /// Go on with the limits divided by those who shared them
    Share,
    /// Wait until the store is back
    Lease,
}

impl From<Outage> for OnOutage {
    fn from(outage: Outage) -> Self {
        match outage {
            Outage::Closed => Self::Closed,
            Outage::Share => Self::Share,
            Outage::Lease => Self::Lease,
        }
    }
}
