//! Requests and responses of another program's, passed on as they stand.
//!
//! What names a model is counted, admitted, observed and settled like any other request: a [`Relay`] that is
//! limited has no way to the transport without a permit.

use std::io::{self, Read};
use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use super::settlement::Settlement;
use super::{Permit, Prepared};
use crate::client::RateLimitedClient;
use crate::client::answer::{Fault, glance, read_chunk, value};
use crate::client::errors::{api_error, error_inside};
use crate::client::raw::ApiRequest;
use crate::client::retry::{Tries, is_rate_limit, is_uncharged};
use crate::client::stream::merged;
use crate::client::transport::{Answer, Bounds, Outgoing};
use crate::cost::{Cost, Usage};
use crate::error::ApiError;
use crate::limiter::{AcquireOptions, Advice, CancelToken, RateLimiter};
use crate::observation::Observation;
use crate::providers::Reading;
use crate::tokens::{Endpoint, Estimate};
use crate::{AcquireError, Error, Result};

/// A request, unchanged. Its headers are without those of one connection and without credentials that the
/// client has of its own.
pub(crate) struct RelayRequest {
    pub(crate) method: &'static str,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A request that is counted, where it names a model.
pub(crate) struct Relay {
    prepared: Prepared,
    headers: HeaderMap,
    is_limited: bool,
}

/// A response whose head is there.
pub(crate) struct Relayed {
    pub(crate) status: u16,
    /// As they came, without those of one connection.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: RelayBody,
    /// How long the request waited for its limiter, retries included.
    pub(crate) waited: Duration,
    pub(crate) attempts: u32,
}

/// The body of a response.
pub(crate) enum RelayBody {
    Whole(Vec<u8>),
    Stream(Box<RelayStream>),
}

/// A body that is passed on as it arrives, and settles its request at its end.
pub(crate) struct RelayStream {
    reader: Box<dyn Read + Send>,
    events: Option<Events>,
    settlement: Option<Settlement>,
    status: u16,
}

impl RateLimitedClient {
    /// Counts a request and finds its limiter, where it names a model: in its JSON, in a field of its form, or in
    /// its path.
    pub(crate) fn relay(&self, request: RelayRequest) -> Result<Relay> {
        let RelayRequest {
            method,
            target,
            headers,
            body,
        } = request;
        if !self.transport().takes(&target) {
            let message = "the path has characters that no URL has".to_owned();
            return Err(Error::InvalidRequest(message));
        }
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let counted = Counted::of(self, path, &headers, &body);
        let raw = |model| ApiRequest::relayed(method, target.clone(), body, model);
        let (model, size, is_stated) = match counted {
            Some(Counted { model, size }) => {
                (Some(model), size.unwrap_or_default(), size.is_none())
            }
            None => (None, Estimate::default(), true),
        };
        let is_limited = model.is_some();
        let name = model.clone().unwrap_or_default();
        let prepared = match is_limited {
            true => Prepared::of(self, target.clone(), String::new(), name, size),
            false => Prepared::free(self, target.clone()),
        };
        Ok(Relay {
            prepared: prepared.with_raw(raw(model), is_stated),
            headers,
            is_limited,
        })
    }
}

/// The model of a request, and how large it is where that can be counted.
struct Counted {
    model: String,
    size: Option<Estimate>,
}

impl Counted {
    fn of(
        client: &RateLimitedClient,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Self> {
        let kind = headers.get(http::header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let in_path = model_in_path(path).map(str::to_owned);
        let is_form = kind.to_ascii_lowercase().starts_with("multipart/");
        if is_form {
            let model = form_model(kind, body).or(in_path)?;
            return Some(Self { model, size: None });
        }
        let text = std::str::from_utf8(body).ok();
        let text = text.filter(|text| text.trim_start().starts_with('{'));
        let Some(body) = text.and_then(|text| value(text).ok()) else {
            let model = in_path?;
            return Some(Self { model, size: None });
        };
        let stated = body.get("model").and_then(Value::as_str);
        let model = stated.map(str::to_owned).or(in_path)?;
        let size = client.size_of(path, &body, &model);
        Some(Self {
            model,
            size: Some(size),
        })
    }
}

/// The model that a path names, as those of deployments and of Gemini do.
fn model_in_path(path: &str) -> Option<&str> {
    if let Some((_, rest)) = path.split_once("/deployments/") {
        return rest.split('/').next().filter(|name| !name.is_empty());
    }
    // `/v1/models/NAME` alone asks what the model is.
    let (_, rest) = path.split_once("/models/")?;
    let (name, _) = rest.split_once(':')?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// The field `model` of a form.
fn form_model(kind: &str, body: &[u8]) -> Option<String> {
    let boundary = kind.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        let is_boundary = name.eq_ignore_ascii_case("boundary");
        is_boundary.then(|| value.trim_matches('"'))
    })?;
    let mark = format!("--{boundary}");
    let mut rest = body;
    loop {
        rest = &rest[find(rest, mark.as_bytes())? + mark.len()..];
        let end = find(rest, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
        rest = &rest[end + 4..];
        let is_model = head.lines().any(|line| {
            line.starts_with("content-disposition:")
                && line
                    .split(';')
                    .any(|part| matches!(part.trim(), "name=\"model\"" | "name=model"))
        });
        if is_model {
            let end = find(rest, b"\r\n")?;
            let name = std::str::from_utf8(&rest[..end]).ok()?.trim();
            return (!name.is_empty()).then(|| name.to_owned());
        }
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    // The first byte of a mark is rare enough to skip by it.
    let first = *part.first()?;
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|byte| *byte == first)?;
        if bytes[at..].starts_with(part) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// How an attempt ended that has an answer or none.
enum Tried {
    Passed(Relayed),
    /// A limit refused it, and it may come again.
    Refused(Box<ApiError>, Relayed),
    Lost(Error),
}

impl Relay {
    /// What it will reserve.
    pub(crate) fn cost(&self) -> Cost {
        match self.is_limited {
            true => self.prepared.cost(),
            false => Cost::default(),
        }
    }

    /// The limiter that it has to pass.
    pub(crate) fn limiter(&self) -> Option<&RateLimiter> {
        self.is_limited.then_some(self.prepared.limiter())
    }

    /// Waits for its limiter, if it names a model, and sends it; waits again and sends it again while a limit of the
    /// provider's refuses it. Returns when the head of its response is there, of JSON all of it. Cancelling `abort`
    /// closes the connection to the provider, also while the response is read.
    pub(crate) fn send(self, wait: AcquireOptions<'_>, abort: &CancelToken) -> Result<Relayed> {
        let mut permit = match self.is_limited {
            true => {
                let permit = self
                    .prepared
                    .limiter()
                    .acquire_with(self.prepared.cost(), wait);
                Some(permit?.into_owned())
            }
            false => None,
        };
        let policy = self.prepared.client.settings().retry;
        let clock = self.prepared.limiter().clock().clone();
        let counters = &self.prepared.client.inner.counters;
        let started = clock.now();
        let mut waited = permit.as_ref().map(Permit::waited).unwrap_or_default();
        let mut tries = Tries::default();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut advice = Advice::default();
            let mut held = permit.take();
            let tried = self.attempt(&mut held, &mut advice, abort);
            let (error, response) = match tried {
                Tried::Passed(mut relayed) => {
                    (relayed.waited, relayed.attempts) = (waited, attempts);
                    return Ok(relayed);
                }
                Tried::Lost(error) => {
                    if is_uncharged(&error)
                        && let Some(permit) = &mut held
                    {
                        permit.give_back();
                    }
                    return Err(error);
                }
                Tried::Refused(error, response) => (Error::from(error), response),
            };
            counters.rate_limited();
            let elapsed = clock.now().saturating_duration_since(started);
            tries.count(&error, &advice, elapsed <= policy.max_elapsed);
            let Some(held) = held.filter(|_| tries.leave_another(policy.max_retries)) else {
                return Ok(Relayed {
                    waited,
                    attempts,
                    ..response
                });
            };
            log::info!(
                "{}: {error}; waiting to send it again",
                self.prepared.model()
            );
            let again = held.keep_place().acquire(self.prepared.cost(), wait);
            let again = again.map_err(|ended| match ended {
                AcquireError::DeadlineExceeded { wait } => Error::DeadlineExceeded {
                    wait,
                    last: Some(Box::new(error)),
                },
                ended => ended.into(),
            })?;
            waited += again.waited();
            counters.retried();
            permit = Some(again);
        }
    }

    /// One attempt. The permit stays where it is to be tried again.
    fn attempt(
        &self,
        permit: &mut Option<Permit<'static>>,
        advice: &mut Advice,
        abort: &CancelToken,
    ) -> Tried {
        let prepared = &self.prepared;
        let client = &prepared.client;
        client.inner.counters.sent();
        let secrets = client.secrets();
        let Some((raw, _)) = prepared.raw.as_deref() else {
            return Tried::Lost(Error::InvalidRequest("nothing to send".to_owned()));
        };
        let path = client.path(&prepared.path, &prepared.model);
        let sent = client.transport().send(&Outgoing {
            method: raw.method(),
            path: &path,
            body: raw.body(),
            headers: Some(&self.headers),
            bounds: Bounds {
                cancel: Some(abort),
                ..Bounds::default()
            },
        });
        let mut answer = match sent {
            Ok(answer) => answer,
            Err(mut error) => {
                secrets.hide_in_error(&mut error);
                if let Some(permit) = permit {
                    *advice = permit.observe(&Observation::default());
                }
                return Tried::Lost(error);
            }
        };
        let mut heard = client.read(&answer.headers);
        let headers = passed(&answer);
        let status = answer.status;
        let relayed = |body| Relayed {
            status,
            headers,
            body,
            waited: Duration::ZERO,
            attempts: 0,
        };
        let endpoint = Endpoint::from_path(&prepared.path);
        let kind = answer.content_type();
        let is_error = answer.is_error();
        if !is_error && !kind.contains("json") {
            // It has been let in; what the rest says comes later.
            heard.judge(answer.status, None);
            if let Some(permit) = permit {
                *advice = permit.observe(&heard.feedback);
            }
            let stream = RelayStream {
                reader: Box::new(answer.take_reader()),
                events: kind.contains("event-stream").then(Events::default),
                settlement: permit.take().map(|permit| prepared.settlement(permit)),
                status: answer.status,
            };
            return Tried::Passed(relayed(RelayBody::Stream(Box::new(stream))));
        }
        let mut bytes = Vec::new();
        let read = match is_error {
            true => answer.read_error(&mut bytes),
            false => answer.read(&mut bytes, &|_| true),
        };
        if let Err(mut error) = read
            && (!is_error || bytes.is_empty())
        {
            secrets.hide_in_error(&mut error);
            if let Some(permit) = permit {
                *advice = permit.observe(&Observation::default());
            }
            return Tried::Lost(error);
        }
        let (usage, mut error) = judged(&bytes, answer.status, is_error, endpoint, &heard);
        if let Some(error) = &mut error {
            if let Ok(text) = std::str::from_utf8(&bytes) {
                // A provider quotes the key that it refuses, and the caller may not know it.
                let mut text = text.to_owned();
                secrets.hide_exact(&mut text);
                bytes = text.into_bytes();
            }
            heard.judge(answer.status, Some(error));
            secrets.hide_in_api_error(error);
        } else {
            heard.judge(answer.status, None);
        }
        if let Some(permit) = permit.as_mut() {
            *advice = permit.observe(&heard.feedback);
        }
        let relayed = relayed(RelayBody::Whole(bytes));
        match error {
            Some(error) if is_rate_limit(&Error::Api(Box::new(error.clone()))) => {
                Tried::Refused(Box::new(error), relayed)
            }
            Some(error) => {
                if let Some(mut permit) = permit.take()
                    && is_uncharged(&Error::Api(Box::new(error)))
                {
                    permit.give_back();
                }
                Tried::Passed(relayed)
            }
            None => {
                if let Some(permit) = permit.take() {
                    prepared.settlement(permit).settle(usage);
                }
                Tried::Passed(relayed)
            }
        }
    }
}

/// What a whole body says that was used, and the error that it is.
fn judged(
    bytes: &[u8],
    status: u16,
    is_error: bool,
    endpoint: Endpoint,
    heard: &Reading,
) -> (Option<Usage>, Option<ApiError>) {
    if is_error {
        return (None, Some(api_error(status, heard, bytes)));
    }
    let text = std::str::from_utf8(bytes).ok();
    let Some((usage, fault)) = text.and_then(|text| glance(endpoint, text)) else {
        return (None, None);
    };
    // What an endpoint answers is between the two; only what says that it failed counts.
    let fault = fault.filter(|fault| *fault == Fault::Error);
    let error = fault.map(|fault| error_inside(status, heard, text.unwrap_or_default(), fault));
    (usage, error)
}

/// The headers of a response that are passed on: its body is unpacked, and framed anew.
fn passed(answer: &Answer) -> Vec<(String, String)> {
    const OWN: [&str; 9] = [
        "connection",
        "content-encoding",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let named: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name == "connection")
        .flat_map(|(_, value)| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let all = answer.headers.iter();
    all.filter(|(name, _)| !OWN.contains(name) && !named.iter().any(|own| own == name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

impl RelayStream {
    /// The next piece as it arrives; 0 at the end. The request is settled with the usage that a stream of events names
    /// at its end, or with a token for each event.
    ///
    /// # Errors
    ///
    /// When the rest of the body does not come.
    pub(crate) fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(piece)?;
        match (&mut self.events, read) {
            (_, 0) => self.end(),
            (Some(events), read) => {
                let failed = events.add(&piece[..read]);
                if let Some((text, fault)) = failed {
                    self.observe(&text, fault);
                }
            }
            (None, _) => {}
        }
        Ok(read)
    }

    /// Has the limiter observe an error within the stream.
    fn observe(&mut self, text: &str, fault: Fault) {
        let mut heard = Reading::default();
        let error = error_inside(self.status, &heard, text, fault);
        heard.judge(self.status, Some(&error));
        if let Some(settlement) = &mut self.settlement {
            settlement.observe(&heard.feedback);
        }
    }

    fn end(&mut self) {
        let Some(settlement) = self.settlement.take() else {
            return;
        };
        let usage = self.events.as_ref().and_then(|events| {
            let by_length = || Some(settlement.usage_of_length(events.pieces));
            events.usage.or_else(by_length)
        });
        settlement.settle(usage);
    }
}

impl Drop for RelayStream {
    /// One that is left is settled by what it has said so far.
    fn drop(&mut self) {
        self.end();
    }
}

/// The longest event that is looked into: a longer one has no usage that anybody needs.
const MAX_EVENT: usize = 1024 * 1024;

/// Looks for usage and failures in a stream of events while it passes.
#[derive(Default)]
struct Events {
    line: Vec<u8>,
    usage: Option<Usage>,
    /// Events with data.
    pieces: u64,
}

impl Events {
    /// Looks at more of the stream; returns an event that says that it failed.
    fn add(&mut self, bytes: &[u8]) -> Option<(String, Fault)> {
        let mut failed = None;
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + part.len() <= MAX_EVENT {
                self.line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                failed = self.end_of_line().or(failed);
                self.line.clear();
            }
        }
        failed
    }

    fn end_of_line(&mut self) -> Option<(String, Fault)> {
        let data = self.line.strip_prefix(b"data:")?;
        self.pieces += 1;
        let has = |part: &[u8]| find(data, part).is_some();
        // Most events are pieces of text, which say neither.
        if !has(b"\"usage\"") && !has(b"\"error\"") && !has(b"_tokens\"") && !has(b"usageMetadata")
        {
            return None;
        }
        let text = std::str::from_utf8(data).ok()?.trim();
        let body = read_chunk(text).ok()?;
        self.usage = merged(self.usage, body.usage, body.output_tokens);
        body.fault.map(|fault| (body.text, fault))
    }
}
