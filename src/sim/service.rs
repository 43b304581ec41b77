//! From a request to its answer: where it goes, who may, what it costs, how long it takes.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::SimConfig;
use super::answers::{Asked, Endpoint};
use super::clock::{Stop, now};
use super::draw::Draw;
use super::errors::{Refusal, over_limit};
use super::http::{Request, Response};
use super::ledger::{Counted, Standing};
use super::models::Models;
use super::report::SimReport;

/// The simulated API, apart from connections.
#[derive(Debug)]
pub(super) struct Service {
    config: SimConfig,
    models: Models,
    counters: Counters,
}

/// Counters that no model's book has.
///
/// They only count, and no memory is published through them, so `Relaxed` is enough.
#[derive(Debug, Default)]
struct Counters {
    received: AtomicU64,
    unauthorized: AtomicU64,
    bad_requests: AtomicU64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
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

/// Where a request goes.
enum Route {
    Models,
    Limited(Endpoint),
}

impl Service {
    pub(super) fn new(config: SimConfig) -> Self {
        Self {
            models: Models::new(&config, now()),
            counters: Counters::default(),
            config,
        }
    }

    /// The answer, after the latency, and the mark that the request is in flight, which is kept
    /// until the answer is sent. None when the flag was raised meanwhile.
    pub(super) fn answer(
        &self,
        request: &Request,
        stop: &Stop,
    ) -> Option<(Response, InFlight<'_>)> {
        let in_flight = InFlight::new(&self.counters);
        let id = self.request_id();
        let mut response = match self.route(request) {
            Ok(Route::Models) => self.list_models(),
            Ok(Route::Limited(endpoint)) => self.limited(endpoint, &request.body, stop)?,
            Err(refusal) => self.refuse(refusal),
        };
        response.header("x-request-id", id);
        Some((response, in_flight))
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
            burst: self.config.burst,
            ..SimReport::default()
        };
        for (model, book) in self.models.books() {
            report.add(model, &book.lock());
        }
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

    /// Admission, latency, answer. None when the flag was raised meanwhile.
    fn limited(&self, endpoint: Endpoint, body: &[u8], stop: &Stop) -> Option<Response> {
        let asked = match Asked::read(endpoint, body) {
            Ok(asked) => asked,
            Err(refusal) => return Some(self.refuse(refusal)),
        };
        let (verdict, standings) = self.models.admit(&asked.model, asked.charge());
        let mut draw = Draw::new(self.config.seed, body);
        let mut latency = std::time::Duration::ZERO;
        let mut response = match over_limit(verdict, &asked.model) {
            Some(refused) => refused,
            None => {
                latency = draw.lognormal(self.config.latency, self.config.latency_spread);
                if !stop.pause(latency) {
                    return None;
                }
                asked.answer(&self.config, draw)
            }
        };
        rate_limit_headers(&mut response, standings);
        let millis = latency.as_millis().to_string();
        response.header("openai-processing-ms", millis);
        Some(response)
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
        let number = self.counters.received.fetch_add(1, Ordering::Relaxed);
        format!("req_{number:016x}")
    }
}

fn rate_limit_headers(response: &mut Response, standings: [(Counted, Option<Standing>); 2]) {
    for (counted, standing) in standings {
        let Some(standing) = standing else { continue };
        let [limit, remaining, reset] = match counted {
            Counted::Requests => [
                "x-ratelimit-limit-requests",
                "x-ratelimit-remaining-requests",
                "x-ratelimit-reset-requests",
            ],
            Counted::Tokens => [
                "x-ratelimit-limit-tokens",
                "x-ratelimit-remaining-tokens",
                "x-ratelimit-reset-tokens",
            ],
        };
        response.header(limit, standing.limit.to_string());
        response.header(remaining, standing.remaining.to_string());
        response.header(reset, super::durations::go_style(standing.reset));
    }
}
