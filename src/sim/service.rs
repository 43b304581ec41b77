//! From a request to its answer: its route, its authorization, its cost and its latency.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::answers::{Asked, Endpoint};
use super::charge::charge_answer;
use super::clock::{Stop, now};
use super::config::Said;
use super::config::{ChargeRule, Dialect, Fault};
use super::dialect::{over_limit, rate_limit_headers};
use super::draw::Draw;
use super::errors::{Refusal, broken, failure_inside, no_capacity, no_slot, out_of_money};
use super::gate::{Gate, Passage};
use super::models::Models;
use super::prompt_cache::PromptCache;
use super::report::SimReport;
use super::response::Response;
use super::route::{Route, route};
use super::slots::Slots;
use super::{SimConfig, SimRequest};
use crate::http::Request;

/// The simulated API, apart from connections.
#[derive(Debug)]
pub(super) struct Service {
    config: SimConfig,
    models: Models,
    gate: Gate,
    slots: Option<Slots>,
    prompt_cache: PromptCache,
    counters: Counters,
}

/// Counters that no model's book has.
///
/// They only count, and no memory is published through them, so `Relaxed` is enough.
#[derive(Debug)]
struct Counters {
    /// In nanoseconds since the simulator's start; the largest number until there is one.
    first_arrival: AtomicU64,
    received: AtomicU64,
    unauthorized: AtomicU64,
    bad_requests: AtomicU64,
    no_slot: AtomicU64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
    scripted: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            first_arrival: AtomicU64::new(u64::MAX),
            received: AtomicU64::default(),
            unauthorized: AtomicU64::default(),
            bad_requests: AtomicU64::default(),
            no_slot: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            most_in_flight: AtomicU64::default(),
            scripted: AtomicU64::default(),
        }
    }
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(super) struct InFlight<'a>(&'a Counters);

impl<'a> InFlight<'a> {
    fn new(counters: &'a Counters) -> Self {
        let others = counters.in_flight.fetch_add(1, Ordering::Relaxed);
        let most = &counters.most_in_flight;
        most.fetch_max(others + 1, Ordering::Relaxed);
        Self(counters)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer, and how much of it is sent.
#[derive(Debug)]
pub(super) enum Answer {
    Whole(Response),
    /// Up to the middle, then the connection closes.
    Half(Response),
    /// Nothing: the connection closes.
    Drop,
    /// Nothing: the connection stays.
    Hang,
}

impl Service {
    pub(super) fn new(config: SimConfig) -> Self {
        Self {
            models: Models::new(&config, now()),
            gate: Gate::default(),
            slots: config.slots.map(Slots::new),
            prompt_cache: PromptCache::default(),
            counters: Counters::default(),
            config,
        }
    }

    /// The answer, after the latency, and the mark that the request is in flight, which is kept
    /// until the answer is sent. None when the flag was raised meanwhile.
    pub(super) fn answer(&self, request: &Request, stop: &Stop) -> Option<(Answer, InFlight<'_>)> {
        let in_flight = InFlight::new(&self.counters);
        let id = self.request_id();
        let dialect = self.dialect(request.path());
        let mut answer = match self.route(request) {
            Ok(Route::Models) => Answer::Whole(self.list_models()),
            Ok(Route::Model(name)) => Answer::Whole(Response::json(200, &described(name))),
            Ok(Route::Limited {
                endpoint,
                deployment,
            }) => self.limited(endpoint, deployment, request, stop)?,
            Err(refusal) => Answer::Whole(self.refuse(refusal, dialect)),
        };
        if let Answer::Whole(response) | Answer::Half(response) = &mut answer {
            let name = match dialect {
                Dialect::Anthropic => "request-id",
                _ => "x-request-id",
            };
            response.header(name, id);
        }
        Some((answer, in_flight))
    }

    /// The answer to what is not even a request.
    pub(super) fn malformed(&self, refusal: Refusal) -> Response {
        let id = self.request_id();
        let mut response = self.refuse(refusal, self.config.dialect);
        response.header("x-request-id", id);
        response
    }

    /// All that is known here; connections are counted elsewhere.
    pub(super) fn report(&self) -> SimReport {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut report = SimReport {
            received: read(&self.counters.received),
            unauthorized: read(&self.counters.unauthorized),
            bad_requests: read(&self.counters.bad_requests),
            refused_for_slots: read(&self.counters.no_slot),
            most_in_flight: read(&self.counters.most_in_flight),
            ..SimReport::default()
        };
        let first = read(&self.counters.first_arrival);
        report.first_arrival = (first < u64::MAX).then(|| Duration::from_nanos(first));
        let mut times = Vec::new();
        for (model, book) in self.models.books() {
            let book = book.lock();
            times.extend(book.admitting);
            report.add(model, &book);
        }
        report.add_times(times.into_iter());
        self.gate.add_to(&mut report);
        report
    }

    fn route<'a>(&self, request: &'a Request) -> Result<Route<'a>, Refusal> {
        let route = route(&request.method, request.path())?;
        self.authorize(request)?;
        if matches!(
            route,
            Route::Limited {
                endpoint: Endpoint::Messages,
                ..
            }
        ) && request.header("anthropic-version").is_none()
        {
            return Err(Refusal::new(400, "anthropic-version: header is required"));
        }
        Ok(route)
    }

    /// The key may come in any of the headers that providers take.
    fn authorize(&self, request: &Request) -> Result<(), Refusal> {
        let bearer = request
            .header("authorization")
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| key.trim());
        let names = ["x-api-key", "api-key", "x-goog-api-key"];
        let other = names.iter().find_map(|name| request.header(name));
        let key = bearer.or(other).unwrap_or("");
        if key.is_empty() {
            return Err(Refusal::missing_key());
        }
        match &self.config.api_key {
            Some(expected) if expected != key => Err(Refusal::wrong_key()),
            _ => Ok(()),
        }
    }

    /// The dialect of an answer on this path: messages are Anthropic's everywhere.
    fn dialect(&self, path: &str) -> Dialect {
        if path.ends_with("/messages") {
            Dialect::Anthropic
        } else {
            self.config.dialect
        }
    }

    /// Faults and money, admission, latency, answer. None when the flag was raised meanwhile.
    fn limited(
        &self,
        endpoint: Endpoint,
        deployment: Option<&str>,
        request: &Request,
        stop: &Stop,
    ) -> Option<Answer> {
        let (config, body) = (&self.config, request.body.as_slice());
        let dialect = self.dialect(request.path());
        let mut asked = match Asked::read(endpoint, deployment, body, config) {
            Ok(asked) => asked,
            Err(refusal) => return Some(Answer::Whole(self.refuse(refusal, dialect))),
        };
        let said = self.said(request);
        if let Said::Status {
            status,
            message,
            retry_after,
            headers,
        } = said
        {
            let mut response = Refusal::scripted(status, message).into_response(dialect);
            if let Some(wait) = retry_after {
                response.header("retry-after-ms", wait.as_millis().to_string());
            }
            for (name, value) in headers {
                response.header(name, value);
            }
            return Some(Answer::Whole(response));
        }
        let mut draw = Draw::new(config.seed, body);
        let latency = draw.lognormal(config.latency, config.latency_spread);
        let charge = asked.charge(&config.charging);
        let now = self.models.now();
        let mut places = self.slots.as_ref().map(Slots::lock);
        if places.as_mut().is_some_and(|places| places.are_full(now)) {
            return Some(Answer::Whole(self.no_slot(dialect)));
        }
        let admit = || self.models.admit(&asked.model, charge);
        let (decision, fault) = match self.gate.pass(config, body, asked.is_flex, admit) {
            Passage::Broken(Fault::NoCapacity) => {
                return Some(Answer::Whole(no_capacity(dialect)));
            }
            Passage::Broken(fault) => return Some(Answer::Whole(broken(fault, dialect))),
            Passage::OutOfMoney => return Some(Answer::Whole(out_of_money(dialect))),
            Passage::Judged(decision, fault) => (decision, fault),
        };
        let rules = &config.headers;
        let retry_after = !rules.no_retry_after;
        let refused = over_limit(decision.verdict, &asked.model, dialect, retry_after);
        if let Some(mut refused) = refused {
            rate_limit_headers(&mut refused, decision.standings, rules, dialect, true);
            refused.header("openai-processing-ms", "0".to_owned());
            return Some(Answer::Whole(refused));
        }
        if fault == Some(Fault::Hang) {
            return Some(Answer::Hang);
        }
        let time = places.map_or(latency, |places| places.take(now, latency));
        if !stop.pause(time) {
            return None;
        }
        if config.prompt_cache {
            let (beginnings, tokens) = asked.prompt();
            asked.cached = self.prompt_cache.visit(beginnings, tokens);
        }
        let (mut response, used) = asked.answer(config, draw, &said);
        match config.charging.rule {
            ChargeRule::Sum | ChargeRule::Max => {}
            ChargeRule::Usage => {
                let unused = charge.saturating_sub(used);
                self.models.give_back(&asked.model, unused, decision.at);
            }
            ChargeRule::Answered => {
                let more = charge_answer(&config.charging, charge, used);
                self.models.take_answer(&asked.model, more);
            }
        }
        rate_limit_headers(&mut response, decision.standings, rules, dialect, false);
        response.header("openai-processing-ms", time.as_millis().to_string());
        Some(match fault {
            Some(Fault::Drop) => Answer::Drop,
            Some(Fault::ErrorInside) => Answer::Whole(failure_inside()),
            Some(Fault::DropMidway) => Answer::Half(response),
            Some(Fault::TruncatedJson) => {
                response.truncate();
                Answer::Whole(response)
            }
            _ => Answer::Whole(response),
        })
    }

    /// What a test has written for a request.
    fn said(&self, request: &Request) -> Said {
        if self.config.script.is_empty() {
            return Said::MadeUp;
        }
        let body = serde_json::from_slice(&request.body).unwrap_or_default();
        let number = self.counters.scripted.fetch_add(1, Ordering::Relaxed);
        let request = SimRequest {
            number,
            path: request.path(),
            body: &body,
        };
        self.config.script.answer(&request).0
    }

    fn list_models(&self) -> Response {
        let models = self.models.books().into_iter();
        let data: Vec<Value> = models.map(|(name, _)| described(&name)).collect();
        Response::json(200, &json!({"object": "list", "data": data}))
    }

    fn no_slot(&self, dialect: Dialect) -> Response {
        self.counters.no_slot.fetch_add(1, Ordering::Relaxed);
        let at_once = self.config.slots.map_or(0, |rule| rule.at_once);
        no_slot(dialect, at_once)
    }

    fn refuse(&self, refusal: Refusal, dialect: Dialect) -> Response {
        let counter = match refusal.status {
            401 => &self.counters.unauthorized,
            _ => &self.counters.bad_requests,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        refusal.into_response(dialect)
    }

    /// Counts a request, and names it.
    fn request_id(&self) -> String {
        let first = &self.counters.first_arrival;
        first.fetch_min(self.models.now(), Ordering::Relaxed);
        let number = self.counters.received.fetch_add(1, Ordering::Relaxed);
        format!("req_{number:016x}")
    }
}

/// A model as the list has it.
fn described(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": "org-sim"})
}
