//! What a run would take: everything but the sending.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::count::{Counted, Event, count};
use super::ids::Ids;
use super::input::Input;
use crate::limiter::CancelToken;
use crate::quota::{Limits, Quota};
use crate::{Cost, Error, RateLimitedClient, Result};

/// What a run would take.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// By model, or family of models that share limits.
    pub models: Vec<ModelPlan>,
    /// What is wrong with lines that cannot be sent, each with its place, in their order.
    pub bad_lines: Vec<String>,
}

/// What a run would take of one model's limits.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelPlan {
    /// The model, or the family of models that share the limits.
    pub model: String,
    /// Requests.
    pub requests: u64,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// What is reserved in all.
    pub reserved: Cost,
    /// The limits.
    pub limits: Limits,
    /// The quota that takes longest.
    pub binding: Option<Quota>,
    /// The shortest time until the last request is admitted, beginning with full buckets.
    pub shortest: Duration,
}

impl Plan {
    /// Requests of all models.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.models.iter().map(|model| model.requests).sum()
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

#[derive(Default)]
struct Tally {
    /// What messages call the input.
    input: String,
    models: BTreeMap<String, Sums>,
    /// By the number of the line: threads count side by side, and finish in any order.
    bad_lines: BTreeMap<u64, String>,
    failure: Option<Error>,
}

struct Sums {
    requests: u64,
    prompt_tokens: u64,
    reserved: Cost,
    limits: Limits,
}

pub(super) fn plan(client: &RateLimitedClient, input: Input) -> Result<Plan> {
    let tally = Arc::new(Mutex::new(Tally::default()));
    let requests = input.requests(Ids::default());
    tally.lock().input = requests.name().to_owned();
    let (ended, end) = crossbeam_channel::bounded::<()>(0);
    let sink = {
        let (tally, client) = (Arc::clone(&tally), client.clone());
        Arc::new(move |event| {
            let _until_all_have_ended = &ended;
            tally.lock().add(&client, event);
        })
    };
    count(client, requests, &CancelToken::new(), &sink)?;
    drop(sink);
    let _ = end.recv(); // disconnected: every thread has dropped its sink
    let Tally {
        models,
        bad_lines,
        failure,
        input: _,
    } = std::mem::take(&mut *tally.lock());
    match failure {
        Some(error) => Err(error),
        None => Ok(Plan {
            models: models
                .into_iter()
                .map(|(name, sums)| sums.plan(name))
                .collect(),
            bad_lines: bad_lines.into_values().collect(),
        }),
    }
}

impl Tally {
    fn add(&mut self, client: &RateLimitedClient, event: Event) {
        match event {
            Event::Finished | Event::Failed => {}
            Event::Bad(bad) => drop(self.bad_lines.insert(bad.line, bad.message)),
            Event::Broken(error) => self.failure = Some(error),
            Event::Counted(counted) => self.count(client, &counted),
        }
    }

    fn count(&mut self, client: &RateLimitedClient, counted: &Counted) {
        let (model, cost) = (counted.request.model(), counted.request.cost());
        let table = client.registry().table();
        let limits = table.limits_for(model);
        let mut quotas = limits.quotas().iter();
        if let Err(error) = quotas.try_for_each(|quota| quota.check(cost.amount(quota.unit()))) {
            let message = format!("{}:{}: {error}", self.input, counted.line);
            self.bad_lines.insert(counted.line, message);
            return;
        }
        let family = table.family_of(model).to_owned();
        let sums = self.models.entry(family).or_insert_with(|| Sums {
            requests: 0,
            prompt_tokens: 0,
            reserved: Cost::default(),
            limits: limits.clone(),
        });
        sums.requests += 1;
        let prompt = counted.request.estimate().prompt;
        sums.prompt_tokens = sums.prompt_tokens.saturating_add(prompt);
        sums.reserved = sums.reserved.saturating_add(cost);
    }
}

impl Sums {
    fn plan(self, model: String) -> ModelPlan {
        let times = self.limits.quotas().iter().map(|quota| {
            let total = self.reserved.amount(quota.unit());
            (quota.time_for(total.saturating_sub(quota.burst())), *quota)
        });
        let longest = times.max_by_key(|(time, _)| *time);
        ModelPlan {
            model,
            requests: self.requests,
            prompt_tokens: self.prompt_tokens,
            reserved: self.reserved,
            binding: longest.map(|(_, quota)| quota),
            shortest: longest.map_or(Duration::ZERO, |(time, _)| time),
            limits: self.limits,
        }
    }
}
