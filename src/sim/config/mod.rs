//! The configuration of a simulator.

mod charging; // what a request is charged
mod dialect; //  the provider whose API it is
mod faults; //   what goes wrong
mod headers; //  what answers say of the limits
mod limiting; // how the limits are enforced
mod script; //   answers that a test has written

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::slots::SlotRule;
pub(super) use charging::Charging;
pub use charging::{ChargeRule, TokenCounter};
pub use dialect::Dialect;
pub use faults::Fault;
pub(super) use faults::Faults;
pub(super) use headers::HeaderRules;
pub use headers::LimitHeaders;
pub use limiting::DailyLimits;
pub(super) use limiting::{Change, Limiting, NeighbourRule};
pub(super) use script::{Said, Script};
pub use script::{SimAnswer, SimRequest};

/// The limits that the simulator enforces on one model.
///
/// ```
/// use paceline::sim::{SimConfig, SimLimits};
///
/// let limits = SimLimits::none().tokens_per_minute(200_000);
/// let config = SimConfig::new().default_limits(limits);
/// # let _ = config;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
#[non_exhaustive]
pub struct SimLimits {
    /// Tokens a minute. 0 admits nothing, `None` is no limit.
    pub tokens_per_minute: Option<u64>,
    /// Requests a minute. 0 admits nothing, `None` is no limit.
    pub requests_per_minute: Option<u64>,
}

impl SimLimits {
    /// No limits.
    pub const fn none() -> Self {
        Self {
            tokens_per_minute: None,
            requests_per_minute: None,
        }
    }

    /// Sets the limit on tokens a minute; 0 admits nothing. Default: none.
    pub fn tokens_per_minute(mut self, tokens: impl Into<Option<u64>>) -> Self {
        self.tokens_per_minute = tokens.into();
        self
    }

    /// Sets the limit on requests a minute; 0 admits nothing. Default: none.
    pub fn requests_per_minute(mut self, requests: impl Into<Option<u64>>) -> Self {
        self.requests_per_minute = requests.into();
        self
    }
}

/// The settings of a [`Simulator`](super::Simulator).
///
/// ```
/// use std::time::Duration;
/// use paceline::sim::{SimConfig, SimLimits};
///
/// let config = SimConfig::new()
///     .limits("gpt-4o-mini", SimLimits::none().tokens_per_minute(200_000).requests_per_minute(500))
///     .burst(Duration::from_secs(1))
///     .latency(Duration::from_millis(20))
///     .latency_spread(0.3);
/// # let _ = config;
/// ```
#[derive(Clone)]
pub struct SimConfig {
    pub(super) port: u16,
    pub(super) default_limits: SimLimits,
    pub(super) limits: BTreeMap<String, SimLimits>,
    pub(super) burst: Duration,
    pub(super) latency: Duration,
    pub(super) latency_spread: f64,
    pub(super) seed: u64,
    pub(super) api_key: Option<String>,
    pub(super) output_tokens: Option<RangeInclusive<u64>>,
    pub(super) charging: Charging,
    pub(super) limiting: Limiting,
    pub(super) headers: HeaderRules,
    pub(super) faults: Faults,
    pub(super) dialect: Dialect,
    pub(super) slots: Option<SlotRule>,
    pub(super) prompt_cache: bool,
    pub(super) script: Script,
}

impl SimConfig {
    /// The defaults, as each setting names its own.
    #[must_use]
    pub fn new() -> Self {
        Self {
            port: 0,
            default_limits: SimLimits::none()
                .tokens_per_minute(30_000)
                .requests_per_minute(500),
            limits: BTreeMap::new(),
            burst: Duration::from_secs(60),
            latency: Duration::ZERO,
            latency_spread: 0.0,
            seed: 0,
            api_key: None,
            output_tokens: None,
            charging: Charging::default(),
            limiting: Limiting::default(),
            headers: HeaderRules::default(),
            faults: Faults::default(),
            dialect: Dialect::default(),
            slots: None,
            prompt_cache: false,
            script: Script::default(),
        }
    }

    /// Sets the port on the loopback interface; 0 takes any free port. Default: 0.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the limits of every model without limits of its own: each model gets them for itself.
    /// Default: 30,000 tokens and 500 requests a minute.
    #[must_use]
    pub fn default_limits(mut self, limits: SimLimits) -> Self {
        self.default_limits = limits;
        self
    }

    /// Sets the limits of one model, which its dated snapshots (`gpt-4o-mini-2024-07-18`) and
    /// fine-tunes (`ft:gpt-4o-mini:…`) share, unless they have limits of their own. Default:
    /// [`default_limits`](Self::default_limits).
    #[must_use]
    pub fn limits(mut self, model: impl Into<String>, limits: SimLimits) -> Self {
        self.limits.insert(model.into(), limits);
        self
    }

    /// Sets the most that may pass at one instant, as a time of the rate: a limit of 30,000 a minute
    /// with a burst of 2 s lets 1,000 pass at once. Rounded down, but at least 1. A request above
    /// the burst and within the limit is admitted when nothing is used, and leaves a debt.
    /// Default: 60 s, as the API itself has it.
    #[must_use]
    pub fn burst(mut self, burst: Duration) -> Self {
        self.burst = burst;
        self
    }

    /// Sets the mean time between admission and answer. Default: 0 s.
    #[must_use]
    pub fn latency(mut self, mean: Duration) -> Self {
        self.latency = mean;
        self
    }

    /// Sets the spread of latencies: they are lognormal with this sigma, and keep their mean. 0.3 is
    /// a steady server, 1 an erratic one. 0, negative and infinite values mean no spread.
    /// Default: 0.
    #[must_use]
    pub fn latency_spread(mut self, sigma: f64) -> Self {
        self.latency_spread = sigma;
        self
    }

    /// Sets the seed of answers and latencies, which are drawn from it and the request's body: the
    /// same request gets the same answer and latency, in whatever order requests arrive.
    /// Default: 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Accepts only this bearer token; `None` accepts any that is not empty. Default: `None`.
    #[must_use]
    pub fn api_key(mut self, key: Option<String>) -> Self {
        self.api_key = key;
        self
    }

    /// Sets the range of an answer's tokens, unless the request states them (`metadata`,
    /// `simulated_output_tokens`). The number is cut at the request's own cap
    /// (`finish_reason` "length"). An answer never has fewer than 1 or more than 16,384 tokens.
    /// Default: anything between 1 and the request's cap.
    #[must_use]
    pub fn output_tokens(mut self, range: RangeInclusive<u64>) -> Self {
        self.output_tokens = Some(range);
        self
    }

    /// Serves `at_once` requests at a time, each for its [latency](Self::latency). `queue` more wait
    /// for a slot; the simulator refuses further requests in the [dialect](Self::dialect)'s form.
    /// 0 at once counts as 1. Default: no limit.
    ///
    /// More in flight than `at_once` only adds latency: this is the knee of a self-hosted server.
    #[must_use]
    pub fn slots(mut self, at_once: usize, queue: usize) -> Self {
        let at_once = at_once.max(1);
        self.slots = Some(SlotRule { at_once, queue });
        self
    }

    /// Reports the beginning of a prompt that came before as cached tokens, in blocks of 128 from
    /// 1,024 on. Limits and charges do not change. Default: false.
    #[must_use]
    pub fn prompt_cache(mut self, cached: bool) -> Self {
        self.prompt_cache = cached;
        self
    }
}

impl Default for SimConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Taken apart, so that no field is forgotten and the key is never printed.
        let Self {
            port,
            default_limits,
            limits,
            burst,
            latency,
            latency_spread,
            seed,
            api_key,
            output_tokens,
            charging,
            limiting,
            headers,
            faults,
            dialect,
            slots,
            prompt_cache,
            script,
        } = self;
        f.debug_struct("SimConfig")
            .field("port", port)
            .field("default_limits", default_limits)
            .field("limits", limits)
            .field("burst", burst)
            .field("latency", latency)
            .field("latency_spread", latency_spread)
            .field("seed", seed)
            .field("api_key", &api_key.as_ref().map(|_| "…"))
            .field("output_tokens", output_tokens)
            .field("charging", charging)
            .field("limiting", limiting)
            .field("headers", headers)
            .field("faults", faults)
            .field("dialect", dialect)
            .field("slots", slots)
            .field("prompt_cache", prompt_cache)
            .field("answer", script)
            .finish()
    }
}
