//! From a request to its answer: where it goes, who may, what it costs, how long it takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::SimConfig;
use super::answers::{Asked, Endpoint};
use super::charge::charge_answer;
use super::clock::{Stop, now};
use super::config::{ChargeRule, Fault};
use super::draw::Draw;
use super::errors::{Refusal, broken, out_of_money, over_limit};
use super::gate::{Gate, Passage};
use super::headers::rate_limit_headers;
use super::http::{Request, Response};
use super::models::Models;
use super::report::SimReport;

/// The simulated API, apart from connections.
#[derive(Debug)]
pub(super) struct Service {
    config: SimConfig,
    models: Models,
    gate: Gate,
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
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            first_arrival: AtomicU64::new(u64::MAX),
            received: AtomicU64::default(),
            unauthorized: AtomicU64::default(),
            bad_requests: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            most_in_flight: AtomicU64::default(),
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

/// Where a request goes.
enum Route {
    Models,
    Limited(Endpoint),
}

impl Service {
    pub(super) fn new(config: SimConfig) -> Self {
        Self {
            models: Models::new(&config, now()),
            gate: Gate::default(),
            counters: Counters::default(),
            config,
        }
    }

    /// The answer, after the latency, and the mark that the request is in flight, which is kept
    /// until the answer is sent. None when the flag was raised meanwhile.
    pub(super) fn answer(&self, request: &Request, stop: &Stop) -> Option<(Answer, InFlight<'_>)> {
        let in_flight = InFlight::new(&self.counters);
        let id = self.request_id();
        let mut answer = match self.route(request) {
            Ok(Route::Models) => Answer::Whole(self.list_models()),
            Ok(Route::Limited(endpoint)) => self.limited(endpoint, &request.body, stop)?,
            Err(refusal) => Answer::Whole(self.refuse(refusal)),
        };
        if let Answer::Whole(response) | Answer::Half(response) = &mut answer {
            response.header("x-request-id", id);
        }
        Some((answer, in_flight))
    }

    /// The answer to what is not even a request.
    pub(super) fn malformed(&self, refusal: Refusal) -> Response {
        let id = self.request_id();
        let mut response = self.refuse(refusal);
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

    fn route(&self, request: &Request) -> Result<Route, Refusal> {
        let (method, path) = (request.method.as_str(), request.path.as_str());
        let (route, allowed) = match path {
            "/v1/models" => (Route::Models, "GET"),
            "/v1/chat/completions" => (Route::Limited(Endpoint::Chat), "POST"),
            "/v1/completions" => (Route::Limited(Endpoint::Completion), "POST"),
            "/v1/embeddings" => (Route::Limited(Endpoint::Embeddings), "POST"),
            "/v1/responses" => (Route::Limited(Endpoint::Responses), "POST"),
            _ => return Err(Refusal::unknown_url(method, path)),
        };
        if method != allowed {
            return Err(Refusal::wrong_method(method, path, allowed));
        }
        self.authorize(request.authorization.as_deref())?;
        Ok(route)
    }

    fn authorize(&self, authorization: Option<&str>) -> Result<(), Refusal> {
        let key = authorization
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map_or("", |(_, key)| key.trim());
        if key.is_empty() {
            return Err(Refusal::missing_key());
        }
        match &self.config.api_key {
            Some(expected) if expected != key => Err(Refusal::wrong_key()),
            _ => Ok(()),
        }
    }

    /// Faults and money, admission, latency, answer. None when the flag was raised meanwhile.
    fn limited(&self, endpoint: Endpoint, body: &[u8], stop: &Stop) -> Option<Answer> {
        let config = &self.config;
        let asked = match Asked::read(endpoint, body, config.charging.counter.as_ref()) {
            Ok(asked) => asked,
            Err(refusal) => return Some(Answer::Whole(self.refuse(refusal))),
        };
        let charge = asked.charge(&config.charging);
        let admit = || self.models.admit(&asked.model, charge);
        let (decision, fault) = match self.gate.pass(config, body, admit) {
            Passage::Broken(fault) => return Some(Answer::Whole(broken(fault))),
            Passage::OutOfMoney => return Some(Answer::Whole(out_of_money())),
            Passage::Judged(decision, fault) => (decision, fault),
        };
        let rules = &config.headers;
        let refused = over_limit(decision.verdict, &asked.model, !rules.no_retry_after);
        if let Some(mut refused) = refused {
            rate_limit_headers(&mut refused, decision.standings, rules);
            refused.header("openai-processing-ms", "0".to_owned());
            return Some(Answer::Whole(refused));
        }
        if fault == Some(Fault::Hang) {
            return Some(Answer::Hang);
        }
        let mut draw = Draw::new(config.seed, body);
        let latency = draw.lognormal(config.latency, config.latency_spread);
        if !stop.pause(latency) {
            return None;
        }
        let (mut response, used) = asked.answer(config, draw);
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
        rate_limit_headers(&mut response, decision.standings, rules);
        response.header("openai-processing-ms", latency.as_millis().to_string());
        Some(match fault {
            Some(Fault::Drop) => Answer::Drop,
            Some(Fault::DropMidway) => Answer::Half(response),
            Some(Fault::TruncatedJson) => {
                response.truncate();
                Answer::Whole(response)
            }
            _ => Answer::Whole(response),
        })
    }

    fn list_models(&self) -> Response {
        let models = self.models.books().into_iter().map(
            |(name, _)| json!({"id": name, "object": "model", "created": 0, "owned_by": "org-sim"}),
        );
        let data: Vec<Value> = models.collect();
        Response::json(200, &json!({"object": "list", "data": data}))
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        let counter = match refusal.status {
            401 => &self.counters.unauthorized,
            _ => &self.counters.bad_requests,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        refusal.into_response()
    }

    /// Counts a request, and names it.
    fn request_id(&self) -> String {
        let first = &self.counters.first_arrival;
        first.fetch_min(self.models.now(), Ordering::Relaxed);
        let number = self.counters.received.fetch_add(1, Ordering::Relaxed);
        format!("req_{number:016x}")
    }
}
