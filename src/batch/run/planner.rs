//! Makes a plan: reads and counts everything, and sends nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use super::plan::{ModelPlan, Plan, RequestPlan};
use crate::batch::fingerprint::Fingerprint;
use crate::batch::ids::{Ids, Known};
use crate::batch::input::{BadLine, Input, Request};
use crate::batch::money::Money;
use crate::batch::read::bad_lines::BadLines;
use crate::batch::read::lines::{Line, side_by_side};
use crate::batch::run::options::RunOptions;
use crate::client::Weighed;
use crate::limiter::CancelToken;
use crate::quota::{Limits, Quota};
use crate::{Cost, Error, RateLimitedClient, Result};

/// Bad lines that are kept, at most: memory does not grow with the file.
const MOST_BAD_LINES: usize = 2_000;

/// What is called for each request that can be sent.
pub(super) type OnRequest = Arc<dyn Fn(RequestPlan<'_>) + Send + Sync>;

struct Tally {
    /// What messages call the input.
    input: String,
    models: BTreeMap<String, Sums>,
    bad_lines: BadLines,
    done: u64,
    uncapped: u64,
    default_cap: u64,
    failure: Option<Error>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            input: String::new(),
            models: BTreeMap::new(),
            bad_lines: BadLines::keeping(MOST_BAD_LINES),
            done: 0,
            uncapped: 0,
            default_cap: 0,
            failure: None,
        }
    }
}

struct Sums {
    requests: u64,
    prompt_tokens: u64,
    reserved: Cost,
    limits: Limits,
    at_most: Money,
    unpriced: u64,
}

/// Reads and counts the input, and sums up what it would take.
pub(super) fn plan(
    client: &RateLimitedClient,
    input: Input,
    ids: Ids,
    options: RunOptions,
    max_in_flight: usize,
    on_request: Option<OnRequest>,
) -> Result<Plan> {
    let tally = Arc::new(Mutex::new(Tally::default()));
    let latency = options.latency;
    let prices = options.prices.as_ref();
    let currency = prices.map(|prices| prices.currency().to_owned());
    let requests = input.requests(ids);
    tally.lock().input = requests.name().to_owned();
    let (ended, end) = crossbeam_channel::bounded::<()>(0);
    let sink = {
        let (tally, client) = (Arc::clone(&tally), client.clone());
        Arc::new(move |line| {
            let _until_all_have_ended = &ended;
            match line {
                Line::Request(request) => {
                    if request.known.is_some() {
                        return tally.lock().add_known(&request);
                    }
                    let weighed = client.weigh(&request.url, &request.body);
                    if let (Some(on_request), Ok(weighed)) = (&on_request, &weighed) {
                        on_request(RequestPlan {
                            line: request.line,
                            custom_id: &request.custom_id,
                            model: weighed.model,
                            prompt_tokens: weighed.size.prompt,
                            output_tokens: weighed.size.output,
                            reserved: weighed.cost,
                        });
                    }
                    tally.lock().add(&client, &options, &request, weighed);
                }
                Line::Bad(bad) => tally.lock().bad_lines.add(&bad),
                Line::Finished(count) => tally.lock().done += count,
                Line::Broken(error) => tally.lock().failure = Some(error),
            }
        })
    };
    side_by_side(requests, None, &CancelToken::new(), &sink)?;
    drop(sink);
    let _ = end.recv(); // disconnected: every thread has dropped its sink
    let Tally {
        models,
        bad_lines,
        done,
        uncapped,
        default_cap,
        failure,
        input: _,
    } = std::mem::take(&mut *tally.lock());
    if let Some(error) = failure {
        return Err(error);
    }
    let (bad_lines, more_bad_lines) = bad_lines.into_parts();
    let most = u64::try_from(max_in_flight).unwrap_or(u64::MAX);
    let models = models.into_iter();
    Ok(Plan {
        models: models
            .map(|(name, sums)| sums.plan(name, latency, most, currency.is_some()))
            .collect(),
        bad_lines,
        more_bad_lines,
        done,
        uncapped,
        default_cap,
        currency,
        latency,
    })
}

impl Tally {
    fn add(
        &mut self,
        client: &RateLimitedClient,
        options: &RunOptions,
        request: &Request,
        weighed: Result<Weighed<'_>>,
    ) {
        let Weighed {
            model,
            size,
            cost,
            tier,
        } = match weighed {
            Ok(weighed) => weighed,
            Err(error) => return self.refuse(request, &error.to_string()),
        };
        let table = client.registry().table();
        let limits = table.limits_for(model);
        let mut quotas = limits.quotas().iter();
        let fits = quotas.try_for_each(|quota| quota.check(cost.amount(quota.unit())));
        let too_large = fits.err().map(|error| error.to_string());
        if let Some(message) = too_large.or_else(|| options.objection(model, tier)) {
            return self.refuse(request, &message);
        }
        // The cap costs something where it is reserved.
        if !has_cap(&request.body) && size.output > 0 && cost.tokens > size.prompt {
            self.default_cap = match self.uncapped {
                0 => size.output,
                _ => self.default_cap.min(size.output), // several answers reserve several caps
            };
            self.uncapped += 1;
        }
        let family = table.family_of(model).to_owned();
        let sums = self.models.entry(family).or_insert_with(|| Sums {
            requests: 0,
            prompt_tokens: 0,
            reserved: Cost::default(),
            limits: limits.clone(),
            at_most: Money::ZERO,
            unpriced: 0,
        });
        sums.requests += 1;
        sums.prompt_tokens = sums.prompt_tokens.saturating_add(size.prompt);
        sums.reserved = sums.reserved.saturating_add(cost);
        if let Some(prices) = &options.prices {
            match prices.at_most(tier, model, size) {
                Some(cost) => sums.at_most = sums.at_most.saturating_add(cost),
                None => sums.unpriced += 1,
            }
        }
    }

    /// Adds a request of whose id earlier runs know something.
    fn add_known(&mut self, request: &Request) {
        let of = || {
            let Request {
                url, body, text, ..
            } = request;
            Fingerprint::of_exact(url, body, &body.to_string(), text.as_deref())
        };
        match request.known {
            Some(Known::Finished(Some(other))) if other != of() => {
                let message = format!(
                    "custom_id {:?} has a result already, of a request with another url or body; \
                     give this one another custom_id, or start over",
                    request.custom_id
                );
                self.refuse(request, &message);
            }
            _ => self.done += 1,
        }
    }

    fn refuse(&mut self, request: &Request, message: &str) {
        self.bad_lines.add(&BadLine {
            line: request.line,
            message: format!("{}:{}: {message}", self.input, request.line),
            custom_id: Some(request.custom_id.clone()),
        });
    }
}

/// Whether a request says how long its answer may be.
fn has_cap(body: &Value) -> bool {
    let caps = ["max_completion_tokens", "max_output_tokens", "max_tokens"];
    caps.iter()
        .any(|cap| body.get(*cap).is_some_and(Value::is_number))
}

impl Sums {
    fn plan(self, model: String, latency: Duration, most: u64, is_priced: bool) -> ModelPlan {
        let times = self.limits.quotas().iter().map(|quota| {
            let total = self.reserved.amount(quota.unit());
            (quota.time_for(total.saturating_sub(quota.burst())), *quota)
        });
        let longest = times.max_by_key(|(time, _)| *time);
        let binding = longest.map(|(_, quota)| quota);
        ModelPlan {
            model,
            requests: self.requests,
            prompt_tokens: self.prompt_tokens,
            reserved: self.reserved,
            binding,
            shortest: longest.map_or(Duration::ZERO, |(time, _)| time),
            in_flight: self.in_flight(binding, latency, most),
            at_most: is_priced.then_some(self.at_most),
            unpriced: self.unpriced,
            limits: self.limits,
        }
    }

    /// As many as begin while one is answered.
    fn in_flight(&self, binding: Option<Quota>, latency: Duration, most: u64) -> u64 {
        let at_rate = binding.map_or(u64::MAX, |quota| {
            // requests per total of the unit · amount per period · latency
            let total = u128::from(self.reserved.amount(quota.unit()));
            let per_period = u128::from(self.requests) * u128::from(quota.amount());
            let whole = per_period.saturating_mul(latency.as_nanos());
            let each = total.max(1).saturating_mul(quota.period().as_nanos());
            u64::try_from(whole.div_ceil(each)).unwrap_or(u64::MAX)
        });
        let cap = self.limits.in_flight().unwrap_or(u64::MAX);
        at_rate.max(1).min(self.requests).min(cap).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LimitTable, Unit};

    fn sums(requests: u64, each: Cost, limits: &str) -> Sums {
        let table = LimitTable::from_toml(&format!("[default]\n{limits}")).unwrap();
        Sums {
            requests,
            prompt_tokens: 0,
            reserved: (0..requests).fold(Cost::default(), |sum, _| sum.saturating_add(each)),
            limits: table.default_limits().clone(),
            at_most: Money::ZERO,
            unpriced: 0,
        }
    }

    #[test]
    fn the_number_in_flight_follows_the_binding_limit_and_the_latency() {
        let each = Cost::sized(300, 200);
        let table = [
            // 600 requests a minute are 10 a second.
            ("rpm = 600", 5, 1_000, Unit::Requests, 50),
            ("rpm = 600", 0, 1_000, Unit::Requests, 1),
            // 60,000 tokens are 120 requests, 2 a second.
            ("rpm = 600\ntpm = 60_000", 5, 1_000, Unit::Tokens, 10),
            ("otpm = 240_000", 5, 1_000, Unit::OutputTokens, 100),
            ("rpm = 600_000", 5, 1_000, Unit::Requests, 400), // no more than there are
            ("rpm = 600_000", 5, 7, Unit::Requests, 7),
            ("rpm = 600\nin_flight = 3", 5, 1_000, Unit::Requests, 3),
            ("rpd = 1", 1, 1_000, Unit::Requests, 1),
        ];
        for (step, (limits, seconds, most, binding, expected)) in table.into_iter().enumerate() {
            let latency = Duration::from_secs(seconds);
            let plan = sums(400, each, limits).plan(String::new(), latency, most, false);
            assert_eq!(
                plan.binding.map(|quota| quota.unit()),
                Some(binding),
                "step {step}"
            );
            assert_eq!(plan.in_flight, expected, "step {step}");
        }
        let unlimited = sums(400, each, "in_flight = 1_000").plan(
            String::new(),
            Duration::from_secs(5),
            30,
            false,
        );
        assert_eq!((unlimited.binding, unlimited.in_flight), (None, 30));
    }
}
