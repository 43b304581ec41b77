//! The options of a run: prices, bounds, callbacks.

use std::time::Duration;

use crate::Usage;
use crate::batch::budget::bounds::Bounds;
use crate::batch::budget::prices::Prices;
use crate::batch::events::listener::{Finished, Listener};
use crate::batch::events::notice::{Notice, Notices};
use crate::batch::money::Money;
use crate::batch::run::Run;
use crate::cost::ServiceTier;

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
    pub(in crate::batch) connect_patience: Duration,
    pub(in crate::batch) notices: Notices,
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
            connect_patience: CONNECT_PATIENCE,
            notices: Notices::default(),
        }
    }
}

impl RunOptions {
    /// What is wrong with a request whose cost has to be known and is not.
    pub(in crate::batch) fn objection(&self, model: &str, tier: ServiceTier) -> Option<String> {
        self.bounds.cost?;
        let prices = self.prices.as_ref();
        let price = prices.and_then(|prices| prices.cost_in(tier, model, Usage::default()));
        price.is_none().then(|| Prices::missing(model, tier))
    }
}

/// # Prices and bounds
///
/// Bounds are for one run: what an earlier one used is not counted again. A run that meets one
/// begins no more requests, finishes and writes those in flight, and ends with
/// [`StopReason::Bound`](crate::batch::StopReason::Bound); a later run resumes after the last line.
impl Run {
    /// Sets what tokens cost, so that the run says what it costs. A model without a price is left
    /// out of that. Default: no prices.
    pub fn prices(mut self, prices: Prices) -> Self {
        self.watch().is_priced();
        self.options.prices = Some(prices);
        self
    }

    /// What costs are in, where there are prices.
    #[must_use]
    pub fn currency(&self) -> Option<String> {
        let prices = self.options.prices.as_ref();
        prices.map(|prices| prices.currency().to_owned())
    }

    /// Caps the tokens of the run: the tokens that answers used, and those that requests in flight may
    /// use at most (prompt and output cap), never exceed it together. The first request that does not
    /// fit into what is left ends the run, after those in flight. Default: no bound.
    ///
    /// A request without an output cap is taken to have the client's
    /// [default](crate::ClientBuilder::max_completion_tokens); one that uses more can pass the
    /// budget by that much, which is logged. So can tries that were lost and sent again: a request
    /// is counted once.
    pub fn budget_tokens(mut self, tokens: u64) -> Self {
        self.options.bounds.tokens = Some(tokens);
        self
    }

    /// Sets how much the run may cost, by its [`prices`](Run::prices), as
    /// [`budget_tokens`](Run::budget_tokens) does for tokens. A line whose model has no price is
    /// not sent: it fails. Default: no bound.
    pub fn max_cost(mut self, most: Money) -> Self {
        self.options.bounds.cost = Some(most);
        self
    }

    /// Sets how many failed requests stop the run, at least 1. Requests in flight at that point may still
    /// fail. Lines that cannot be sent do not count, as they come again with each start. Default: no
    /// bound.
    pub fn max_failures(mut self, most: u64) -> Self {
        self.options.bounds.failures = Some(most.max(1));
        self
    }

    /// Sets after which time nothing more is begun, counted from the call of [`run`](Run::run).
    /// What would have to wait for longer is not waited for. Default: no bound.
    pub fn deadline(mut self, after: Duration) -> Self {
        self.options.bounds.deadline = Some(after);
        self
    }

    /// Sets the assumed response latency, for [`plan`](Run::plan) alone. Default: 5 s.
    pub fn expect_latency(mut self, latency: Duration) -> Self {
        self.options.latency = latency;
        self
    }

    /// Sets how long to try to reach a server that was never reached in this run, before the run
    /// [stops](crate::batch::StopReason::Unreachable). A server that is lost later is tried until the
    /// [deadline](Self::deadline). Default: 30 s.
    pub fn connect_patience(mut self, time: Duration) -> Self {
        self.options.connect_patience = time;
        self
    }

    /// Registers a callback for what the run has to say while it runs, such as that the server
    /// cannot be reached. It is called by threads of the run, which wait until it returns.
    /// Default: a warning in the log.
    pub fn on_notice(mut self, call: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        self.options.notices = Notices::new(call);
        self
    }

    /// Sets whether the run continues when its failures show one cause: when 20 requests failed
    /// alike and none of this output has ever succeeded, or when the server answers 403 to 20
    /// requests of a model in a row. Default: false, it [stops](crate::batch::StopReason::SameFailure).
    pub fn keep_going(mut self, keep_going: bool) -> Self {
        self.options.keeps_going = keep_going;
        self
    }

    /// Sets whether a request with `"service_tier": "flex"` is sent as a usual one when its retries are used up, or
    /// the deadline is near, and the flex tier still has no room. Its dearer price then has to fit into
    /// [`max_cost`](Run::max_cost) first. Default: false, it fails or stays undone.
    pub fn flex_fallback(mut self, fallback: bool) -> Self {
        self.options.flex_fallback = fallback;
        self
    }

    /// Registers a callback for finished lines. The thread that wrote a line calls it, for one line at a
    /// time. The next line is written when it returns, so a slow callback holds up the whole run and its
    /// end. Default: none.
    ///
    /// If it panics, it is not called again, and the run stops as if it were interrupted. The panic
    /// resumes when the requests in flight are written.
    ///
    /// ```no_run
    /// # use paceline::RateLimitedClient;
    /// use paceline::batch::{Input, Run};
    ///
    /// # let client = RateLimitedClient::new()?;
    /// let run = Run::new(client, Input::file("requests.jsonl")?);
    /// run.on_result(|line| println!("{:?}: {}", line.custom_id, line.succeeded)).run()?;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn on_result(mut self, call: impl FnMut(&Finished<'_>) + Send + 'static) -> Self {
        self.listener = Listener::new(call);
        self
    }
}
