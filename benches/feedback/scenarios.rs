//! Servers and clients, and what a run may come to at worst.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use paceline::sim::{Dialect, Fault, LimitHeaders, SimAnswer, SimConfig, SimLimits, SimRequest};
use paceline::tokens::Encoding;
use paceline::{LimitTable, Limits};

use super::Result;

/// A server and a client.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What the server is like, given its limit a minute.
    pub(crate) server: fn(SimConfig, u64) -> SimConfig,
    /// The server's bucket, in seconds.
    pub(crate) burst: u64,
    /// What the client is told, given the server's limit.
    pub(crate) told: fn(u64) -> Result<LimitTable>,
    /// What all charges come to, in seconds of the rate.
    pub(crate) total: f64,
    /// When the last request could be admitted at the earliest, in seconds.
    pub(crate) ideal: f64,
    /// When the client begins, in seconds after the server.
    pub(crate) begin: u64,
    pub(crate) most_refused: u64,
    pub(crate) most_time: f64,
    pub(crate) requests: usize,
    /// Whether they are as small as requests can be.
    pub(crate) are_small: bool,
    /// Requests a minute, where the server limits them and the tokens are given in `tokens`.
    pub(crate) per_minute: Option<(u64, u64)>,
    pub(crate) store: Store,
    pub(crate) processes: usize,
    pub(crate) latency: Duration,
    pub(crate) spread: f64,
    /// The most in flight after the first 50 answers.
    pub(crate) most_in_flight: Option<u64>,
    /// Whether refusals are those that the client counts: the server's script or its slots make them, and no
    /// limit of its ledger.
    pub(crate) refuses_itself: bool,
    /// For how long refusals do not count: the limits are not known yet.
    pub(crate) learns_for: Duration,
}

/// Where the limiters of a run keep their counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    None,
    Real,
    /// One that was never reached.
    Unreachable,
}

impl Scenario {
    /// The server keeps to one limit and says so, and the client is told it.
    const fn new(name: &'static str, most_refused: u64, most_time: f64) -> Self {
        Self {
            name,
            server: |config, _| config,
            burst: 60,
            told: given,
            total: 90.0,
            ideal: 30.0,
            begin: 0,
            most_refused,
            most_time,
            requests: 600,
            are_small: false,
            per_minute: None,
            store: Store::None,
            processes: 1,
            latency: Duration::from_millis(300),
            spread: 0.4,
            most_in_flight: None,
            refuses_itself: false,
            learns_for: Duration::ZERO,
        }
    }
}

fn given(limit: u64) -> Result<LimitTable> {
    Ok(LimitTable::empty(Limits::tokens_per_minute(limit)?))
}

pub(crate) fn scenarios() -> Vec<Scenario> {
    let new = Scenario::new;
    vec![
        new("limits given, server counts characters", 0, 1.01),
        Scenario {
            server: |config, _| {
                let encoding = Encoding::for_model("gpt-4o-mini");
                config.token_counter(Arc::new(move |text| encoding.count(text)))
            },
            ..new("limits given, server counts tokens", 0, 1.01)
        },
        Scenario {
            server: |config, _| config.charge_factor(1.3),
            ..new("limits given, server counts 1.3 of ours", 0, 1.03)
        },
        Scenario {
            told: |_| Ok(LimitTable::default()),
            ..new("nothing given", 1, 1.03)
        },
        Scenario {
            told: |limit| given(limit * 10),
            ..new("stated 10 times too high", 5, 1.03)
        },
        Scenario {
            told: |limit| {
                let guess = Limits::tokens_per_minute(limit / 10)?.provisional();
                Ok(LimitTable::empty(guess))
            },
            ..new("preset 10 times too low", 0, 1.05)
        },
        Scenario {
            burst: 1,
            total: 31.0,
            ..new("burst of 1 s at the server, not told", 5, 1.05)
        },
        Scenario {
            server: |config, _| config.neighbour(0.5),
            total: 75.0, // half of what comes in is the neighbour's
            ..new("a neighbour takes half, steadily", 5, 1.05)
        },
        Scenario {
            server: |config, _| config.bursty_neighbour(0.5, Duration::from_secs(5)),
            total: 75.0,
            ideal: 27.5, // 60 + 27.5, less five charges of 2.5
            ..new("a neighbour takes half, every 5 s", 20, 1.10)
        },
        Scenario {
            server: |config, _| config.fixed_windows(Duration::from_secs(60)),
            begin: 30, // a window's whole amount now, and the rest when the next begins
            ..new("fixed windows of a minute", 5, 1.10)
        },
        Scenario {
            server: |config, _| config.limit_headers(LimitHeaders::None),
            told: |limit| given(limit * 2),
            ..new("no headers, stated 2 times too high", 18, 1.15)
        },
        Scenario {
            server: |config, _| config.limit_headers(LimitHeaders::None),
            told: |_| Ok(LimitTable::default()),
            ..new("no headers, nothing given", 18, 1.15)
        },
        Scenario {
            server: |config, _| config.limit_headers(LimitHeaders::None),
            told: |_| Ok(LimitTable::default()),
            burst: 1,
            total: 31.0,
            ..new("no headers, nothing given, burst of 1 s", 18, 1.15)
        },
        Scenario {
            server: |config, limit| {
                let after = Duration::from_secs;
                let config = config.default_limits_after(after(10), per_minute(limit / 2));
                config.default_limits_after(after(20), per_minute(limit))
            },
            burst: 1,
            total: 26.0, // a second, ten at the whole rate twice, and ten at half of it
            ..new("the limit halves, then doubles", 5, 1.05)
        },
        Scenario {
            server: |config, _| {
                let faults = [
                    Fault::ServerError,
                    Fault::Overloaded,
                    Fault::Hang,
                    Fault::Drop,
                    Fault::TruncatedJson,
                ];
                let with = |config: SimConfig, fault| config.fault(fault, 0.05);
                faults.into_iter().fold(config, with)
            },
            ..new(
                "5 % each of 500, 503, hang, drop, truncated",
                0,
                f64::INFINITY,
            )
        },
        Scenario {
            server: |config, _| config.out_of_money_after(100),
            ..new("out of money after 100", u64::MAX, f64::INFINITY)
        },
        Scenario {
            server: |config, _| config.fixed_windows(Duration::from_secs(1)),
            burst: 1,
            total: 30.0,
            ..new("fixed windows of a second", 5, 1.06)
        },
        Scenario {
            // 600 answers of 0.1 s by 8 at once.
            server: |config, _| config.slots(8, 10_000).limit_headers(LimitHeaders::None),
            told: |_| given(1_000_000_000_000),
            per_minute: Some((u64::MAX, u64::MAX)),
            ideal: 7.5,
            are_small: true,
            latency: Duration::from_millis(100),
            spread: 0.0,
            most_in_flight: Some(16),
            ..new("8 slots, told a huge limit", 0, 1.15)
        },
        Scenario {
            server: |config, _| config.slots(8, 10_000).limit_headers(LimitHeaders::None),
            told: |_| Ok(LimitTable::default()),
            per_minute: Some((u64::MAX, u64::MAX)),
            ideal: 7.5,
            are_small: true,
            latency: Duration::from_millis(100),
            spread: 0.0,
            most_in_flight: Some(16),
            ..new("8 slots, nothing given", 0, 1.15)
        },
        Scenario {
            // 20 at once, and then ten a second.
            server: |config, _| config.limit_headers(LimitHeaders::None).answer(gateway()),
            ideal: 58.0,
            latency: Duration::from_millis(100),
            ..unstated("gateway of 600 that holds 20, bare 429", 18, 1.3)
        },
        Scenario {
            server: |config, _| config.dialect(Dialect::Moonshot).slots(2, 0),
            requests: 60,
            ideal: 6.0 - 0.2, // until the last one is admitted
            latency: Duration::from_millis(200),
            ..unstated("2 at once, 429 max concurrency", u64::MAX, 1.5)
        },
        Scenario {
            server: |config, _| config.dialect(Dialect::Fireworks).slots(2, 0),
            requests: 60,
            ideal: 6.0 - 0.2,
            latency: Duration::from_millis(200),
            ..unstated("2 at once, 429 model is overloaded", u64::MAX, 1.5)
        },
        Scenario {
            server: |config, _| config.limit_headers(LimitHeaders::None).slots(1, 20),
            requests: 1_500,
            ideal: 1_480.0 * 0.03, // when the last one gets a place in the queue
            latency: Duration::from_millis(30),
            ..unstated("1 slot behind a queue of 20, then 503", 300, 1.2)
        },
        Scenario {
            server: |config, _| config.limit_headers(LimitHeaders::None).answer(sample()),
            requests: 60,
            // The wait that the one refusal asks for. It names 60 requests a minute, too, which no other answer
            // repeats: by that limit the rest would take 54 s, and by one of a day it would not end.
            ideal: 1.0,
            ..unstated("one 429 with 150,000, 0, 6m0s", 1, 25.0)
        },
        two_limits("two limits, nothing given", Store::None, 1, 1),
        two_limits("two limits, nothing given, over a store", Store::Real, 1, 1),
        Scenario {
            requests: 600,
            ..two_limits(
                "two limits, nothing given, 4 over a store",
                Store::Real,
                4,
                4,
            )
        },
        Scenario {
            // A second's amount at once, and then 1,000 a second.
            per_minute: Some((60_000, 6_000_000)),
            burst: 1,
            requests: 31_000,
            ideal: 30.0,
            are_small: true,
            learns_for: Duration::from_secs(1),
            ..two_limits("1,000 a second, 8 over a store", Store::Real, 8, 0)
        },
        two_limits(
            "two limits, a store never reached",
            Store::Unreachable,
            1,
            1,
        ),
    ]
}

/// Small requests to a server without limits of its own; nothing is stated.
const fn unstated(name: &'static str, refused: u64, time: f64) -> Scenario {
    Scenario {
        told: |_| Ok(LimitTable::default()),
        per_minute: Some((u64::MAX, u64::MAX)),
        are_small: true,
        spread: 0.0,
        refuses_itself: true,
        ..Scenario::new(name, refused, time)
    }
}

/// Holds 20 requests and gets ten a second, and says nothing when it refuses.
#[allow(clippy::disallowed_methods, reason = "its time is the client's: real")]
fn gateway() -> impl Fn(&SimRequest<'_>) -> SimAnswer + Send + Sync + 'static {
    const HOLDS: f64 = 20.0;
    const PER_SECOND: f64 = 10.0;
    let level = Mutex::new((Instant::now(), HOLDS));
    move |_| {
        let mut level = level.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, left) = *level;
        let now = Instant::now();
        let left = HOLDS.min(left + now.duration_since(before).as_secs_f64() * PER_SECOND);
        let is_let_in = left >= 1.0;
        *level = (now, if is_let_in { left - 1.0 } else { left });
        match is_let_in {
            true => SimAnswer::made_up(),
            false => SimAnswer::status(429, ""),
        }
    }
}

/// Refuses the sixth request with the sample of a guide: it may be a limit of a day or of a minute.
fn sample() -> impl Fn(&SimRequest<'_>) -> SimAnswer + Send + Sync + 'static {
    |request| match request.number() {
        5 => SimAnswer::status(429, "Rate limit reached")
            .header("x-ratelimit-limit-requests", "60")
            .header("x-ratelimit-remaining-requests", "0")
            .header("x-ratelimit-reset-requests", "1s")
            .header("x-ratelimit-limit-tokens", "150000")
            .header("x-ratelimit-remaining-tokens", "0")
            .header("x-ratelimit-reset-tokens", "6m0s")
            .header("retry-after", "1"),
        _ => SimAnswer::made_up(),
    }
}

/// 300 requests and 60,000 tokens a minute; nothing is stated.
fn two_limits(name: &'static str, store: Store, processes: usize, refused: u64) -> Scenario {
    Scenario {
        told: |_| Ok(LimitTable::default()),
        per_minute: Some((300, 60_000)),
        requests: 400,
        ideal: 0.0, // the one that binds says it
        store,
        processes,
        ..Scenario::new(name, refused, 1.1)
    }
}

pub(crate) fn per_minute(tokens: u64) -> SimLimits {
    SimLimits::none().tokens_per_minute(tokens)
}
