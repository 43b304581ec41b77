//! The options of a run besides its input and outputs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::batch::budget::bounds::Bounds;
use crate::batch::budget::earlier::Spent;
use crate::batch::budget::prices::Prices;
use crate::batch::events::notice::Notices;
use crate::cost::ServiceTier;
use crate::{Result, Usage};

/// Assumed response latency where nothing was sent yet.
const LATENCY: Duration = Duration::from_secs(5);

/// The options of a run besides its input and outputs.
#[derive(Debug, Clone)]
pub(in crate::batch) struct RunOptions {
    pub(in crate::batch) prices: Option<Prices>,
    pub(in crate::batch) bounds: Bounds,
    pub(in crate::batch) latency: Duration,
    pub(in crate::batch) keeps_going: bool,
    pub(in crate::batch) flex_fallback: bool,
    /// By which the cap of an answer is larger that is asked for again.
    pub(in crate::batch) retry_cut_off: Option<f64>,
    pub(in crate::batch) connect_patience: Duration,
    pub(in crate::batch) notices: Notices,
    /// Outputs of other runs that the bounds of all runs hold for, too.
    pub(in crate::batch) others: Vec<PathBuf>,
}

/// How long a server is tried that was never reached.
const CONNECT_PATIENCE: Duration = Duration::from_secs(30);

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            prices: None,
            bounds: Bounds::default(),
            latency: LATENCY,
            keeps_going: false,
            flex_fallback: false,
            retry_cut_off: None,
            connect_patience: CONNECT_PATIENCE,
            notices: Notices::default(),
            others: Vec::new(),
        }
    }
}

impl RunOptions {
    /// What earlier runs into these files have cost: where no bound depends on it, only what no answer tells.
    pub(in crate::batch) fn spent_before(&self, results: &Path, errors: &Path) -> Result<Spent> {
        if !self.bounds.are_of_all_runs() {
            return Spent::lost_in([results, errors]);
        }
        let prices = self.prices.as_ref();
        let others = self.others.iter().map(PathBuf::as_path);
        Spent::of_files([results, errors].into_iter().chain(others), prices)
    }

    /// What is wrong with a request whose cost has to be known and is not.
    pub(in crate::batch) fn objection(&self, model: &str, tier: ServiceTier) -> Option<String> {
        self.bounds.cost.or(self.bounds.cost_this_run)?;
        let prices = self.prices.as_ref();
        let price = prices.and_then(|prices| prices.cost_in(tier, model, Usage::default()));
        price.is_none().then(|| Prices::missing(model, tier))
    }
}
