//! What a run would take: everything but the sending.

use std::time::Duration;

use crate::Cost;
use crate::batch::money::Money;
use crate::quota::{Limits, Quota};

/// What a run would take.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// let plan = run.plan()?;
/// println!("{} requests, {:?} at least", plan.requests(), plan.shortest());
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// By model, or family of models that share limits.
    pub models: Vec<ModelPlan>,
    /// What is wrong with lines that cannot be sent, each with its place, in their order: the
    /// first 2,000 of them.
    pub bad_lines: Vec<String>,
    /// How many more there are.
    pub more_bad_lines: u64,
    /// Requests that have a result already and are left out of all else.
    pub done: u64,
    /// Requests without an output cap, for whose answers the client's default is reserved.
    pub uncapped: u64,
    /// That default, in tokens: what is reserved for the answer of each of them.
    pub default_cap: u64,
    /// What costs are in, where the run has [prices](crate::batch::Run::prices).
    pub currency: Option<String>,
    /// How long an answer is taken to take; see [`Run::expect_latency`](crate::batch::Run::expect_latency).
    pub latency: Duration,
}

/// What a run would take of one model's limits.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// for model in run.plan()?.models {
///     println!("{}: {} requests", model.model, model.requests);
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelPlan {
    /// The model, or the family of models that share the limits.
    pub model: String,
    /// Requests.
    pub requests: u64,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// What is reserved in all, each output with its cap.
    pub reserved: Cost,
    /// The limits.
    pub limits: Limits,
    /// The quota that takes longest.
    pub binding: Option<Quota>,
    /// The shortest time until the last request is admitted, beginning with full buckets.
    pub shortest: Duration,
    /// Requests in flight at the rate of the binding quota, when each takes the plan's latency.
    /// While full buckets empty, at first, they can be more.
    pub in_flight: u64,
    /// What the requests can cost at most, where the run has prices.
    pub at_most: Option<Money>,
    /// Requests that have no price and are left out of that.
    pub unpriced: u64,
}

impl Plan {
    /// Requests of all models.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.models.iter().map(|model| model.requests).sum()
    }

    /// Tokens of all prompts.
    #[must_use]
    pub fn prompt_tokens(&self) -> u64 {
        let models = self.models.iter();
        models.fold(0, |sum, model| sum.saturating_add(model.prompt_tokens))
    }

    /// Tokens that are reserved in all.
    #[must_use]
    pub fn reserved_tokens(&self) -> u64 {
        let models = self.models.iter();
        models.fold(0, |sum, model| sum.saturating_add(model.reserved.tokens))
    }

    /// What all requests can cost at most, where the run has prices.
    #[must_use]
    pub fn at_most(&self) -> Option<Money> {
        self.currency.as_ref()?;
        let costs = self.models.iter().filter_map(|model| model.at_most);
        Some(costs.fold(Money::ZERO, Money::saturating_add))
    }

    /// Requests without a price, where the run has prices.
    #[must_use]
    pub fn unpriced(&self) -> u64 {
        self.models.iter().map(|model| model.unpriced).sum()
    }

    /// The shortest time until the last request of all is admitted. Models wait side by side.
    #[must_use]
    pub fn shortest(&self) -> Duration {
        self.models
            .iter()
            .map(|model| model.shortest)
            .max()
            .unwrap_or_default()
    }
}

/// What one request would take, as [`Run::plan_each`](crate::batch::Run::plan_each) passes it.
///
/// ```
/// use paceline::batch::RequestPlan;
///
/// fn line(request: RequestPlan<'_>) -> String {
///     format!("{}: {} tokens", request.custom_id, request.prompt_tokens)
/// }
/// # let _ = line;
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RequestPlan<'a> {
    /// The line of the input.
    pub line: u64,
    /// Its id.
    pub custom_id: &'a str,
    /// Its model.
    pub model: &'a str,
    /// Tokens of its prompt.
    pub prompt_tokens: u64,
    /// Tokens that are reserved for its answers.
    pub output_tokens: u64,
    /// What it reserves of the limits.
    pub reserved: Cost,
}
