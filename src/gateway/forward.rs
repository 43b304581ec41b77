//! The way of one request: it waits its turn, goes to the provider, and its response comes back.

use std::io;

use super::clock::now;
use super::headers::{Wishes, sorted};
use super::refusal::Refusal;
use super::service::Proxy;
use crate::client::{RelayBody, RelayRequest, Relayed};
use crate::http::{Exchange, Request};
use crate::limiter::{QuotaSnapshot, RateLimiter};
use crate::{AcquireOptions, CancelToken, Cost, Error, Quota};

/// The most bytes of a stream that are read at once. What has arrived is passed on at once, however little it is.
const PIECE: usize = 16 * 1024;

/// Passes a request on, and its response back.
pub(super) fn forward(
    proxy: &Proxy,
    method: &'static str,
    request: Request,
    exchange: &mut Exchange<'_>,
) -> Result<(), Refusal> {
    let arrived = now();
    let wishes = Wishes::read(&request.headers);
    let wishes = wishes.map_err(|message| Refusal::new(400, "invalid_header", message))?;
    let headers = sorted(&request.headers);
    let caller = proxy.clients.of(&headers.keys).inspect_err(|_| {
        proxy.counters.denied.add();
    })?;
    // A client's key opens the gateway and goes no further.
    let keys = match caller {
        Some(_) => &[],
        None => headers.keys.as_slice(),
    };
    let client = proxy.upstream.client_for(keys);
    let client = client.map_err(|error| Refusal::new(401, "invalid_api_key", error.to_string()))?;
    let Some(client) = client else {
        let message = "no API key: neither the request nor the gateway has one";
        return Err(Refusal::new(401, "missing_api_key", message));
    };
    let may_ask = !request.is_http_10;
    let failed = |error: &Error, of: Option<(&RateLimiter, Cost)>| {
        let binding = of.and_then(|(limiter, cost)| binding(limiter, cost));
        Refusal::of(error, binding, wishes.deadline)
    };
    let relay = client.relay(RelayRequest {
        method,
        target: request.target,
        headers: headers.passed,
        body: request.body,
    });
    let relay = relay.map_err(|error| failed(&error, None))?;
    let (limiter, cost) = (relay.limiter().cloned(), relay.cost());
    let has_left = CancelToken::new();
    let mut options = AcquireOptions::new()
        .cancel(&has_left)
        .priority(match caller {
            Some(caller) => caller.priority_of(wishes.priority),
            None => wishes.priority.unwrap_or_default(),
        });
    if let Some(deadline) = wishes.deadline {
        options = options.deadline(arrived + deadline);
    }
    let watched = limiter.as_ref().map(|_| {
        let token = has_left.clone();
        let left = move || token.cancel();
        let watched = proxy.hang_ups.watch(exchange.stream(), may_ask, left);
        (proxy.waiting.join(&has_left), watched)
    });
    let abort = CancelToken::new();
    let _in_flight = proxy.in_flight.join(&abort);
    let sent = relay.send(options, &abort);
    // From here on the connection may be written to.
    drop(watched);
    match sent {
        Ok(relayed) => {
            respond(proxy, relayed, limiter.as_ref(), exchange);
            Ok(())
        }
        Err(Error::Cancelled) if proxy.waiting.is_over() => Err(failed(&Error::Closed, None)),
        Err(Error::Cancelled) => {
            proxy.counters.hung_up.add();
            exchange.close();
            Ok(())
        }
        Err(error) => {
            match &error {
                Error::DeadlineExceeded { .. } => proxy.counters.refused.add(),
                _ => proxy.counters.failed.add(),
            }
            Err(failed(
                &error,
                limiter.as_ref().map(|limiter| (limiter, cost)),
            ))
        }
    }
}

/// The quota that a request waits for longest: what the first of those that wait does, else what holds back the request
/// itself.
fn binding(limiter: &RateLimiter, cost: Cost) -> Option<Quota> {
    let snapshot = limiter.snapshot();
    let missing = |of: &&QuotaSnapshot| {
        let needed = i128::from(cost.amount(of.quota.unit())) - i128::from(of.level);
        // How long it takes to come in, in nanoseconds.
        let period = i128::try_from(of.quota.period().as_nanos()).unwrap_or(i128::MAX);
        needed.max(0).saturating_mul(period) / i128::from(of.quota.amount().max(1))
    };
    let longest = snapshot.quotas.iter().max_by_key(missing);
    let own = longest.filter(|of| missing(of) > 0).map(|of| of.quota);
    snapshot.binding.or(own)
}

/// Passes a response back.
fn respond(
    proxy: &Proxy,
    relayed: Relayed,
    limiter: Option<&RateLimiter>,
    exchange: &mut Exchange<'_>,
) {
    let mut own = vec![(
        "x-paceline-waited".to_owned(),
        format!("{:.3}", relayed.waited.as_secs_f64()),
    )];
    if let Some(limits) = limiter.map(limits_of) {
        own.push(("x-paceline-limits".to_owned(), limits));
    }
    let headers = relayed.headers.iter().chain(&own);
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
    let sent = match relayed.body {
        RelayBody::Whole(bytes) => exchange.send(relayed.status, headers, &bytes),
        RelayBody::Stream(mut stream) => {
            let mut piece = [0; PIECE];
            exchange.start(relayed.status, headers).and_then(|()| {
                loop {
                    match stream.read(&mut piece) {
                        Ok(0) => break exchange.finish(),
                        Ok(length) => exchange.piece(&piece[..length])?,
                        Err(error) => {
                            log::warn!("a stream of the provider broke off: {error}");
                            proxy.counters.failed.add();
                            // The client sees it by the end of its connection.
                            break Err(io::ErrorKind::UnexpectedEof.into());
                        }
                    }
                }
            })
        }
    };
    if sent.is_err() {
        exchange.close();
    }
}

/// The limits as they stand: what is left of how much in how many seconds.
fn limits_of(limiter: &RateLimiter) -> String {
    let quotas = limiter.snapshot().quotas;
    let quotas = quotas.iter().map(|of| {
        let (quota, left) = (of.quota, of.level.max(0));
        let seconds = quota.period().as_secs_f64();
        format!("{}={left}/{};w={seconds}", quota.unit(), quota.amount())
    });
    quotas.collect::<Vec<_>>().join(", ")
}
