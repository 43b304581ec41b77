//! Servers and clients, and what a run may come to at worst.

use std::sync::Arc;
use std::time::Duration;

use paceline::sim::{Fault, LimitHeaders, SimConfig, SimLimits};
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
        two_limits(
            "two limits, a store never reached",
            Store::Unreachable,
            1,
            1,
        ),
    ]
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
