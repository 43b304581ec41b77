//! What holds a run back now: one pure decision over what its stages show.

use std::fmt;
use std::time::Duration;

use crate::batch::events::hold::Hold;
use crate::batch::events::model_progress::ModelProgress;
use crate::batch::machine::InFlightCap;
use crate::limiter::{LimitOrigin, Snapshot};
use crate::quota::Quota;

/// What holds a run back at one moment: what would have to change for it to go faster.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Bottleneck, Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// let watch = run.watch(); // for another thread
/// run.run()?;
/// if let Bottleneck::Limit { model, quota, .. } = watch.bottleneck() {
///     println!("{model}: {} {} a minute bind", quota.amount(), quota.unit());
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Bottleneck {
    /// Nothing that is known: requests start as fast as threads do, or the run has not begun.
    #[default]
    Nothing,
    /// No request is left to start until more of the input is read.
    Input,
    /// A rate limit.
    Limit {
        /// The model, or the family of models that share the limit.
        model: String,
        /// The limit.
        quota: Quota,
        /// Where the limit comes from.
        origin: LimitOrigin,
        /// How long the next request still waits.
        wait: Duration,
        /// How much more was used of it than there was.
        debt: u64,
    },
    /// A pause for all requests of a model, which a response asked for.
    Pause {
        /// The model, or the family of models that share the pause.
        model: String,
        /// How much of the pause is left.
        left: Duration,
        /// What asked for it, such as `rate limit of gpt-4o, tokens per day (429)`.
        reason: Option<String>,
    },
    /// A careful start: requests of a model start slowly until responses show its limits.
    CarefulStart {
        /// The model, or the family of models.
        model: String,
    },
    /// The cap on requests in flight of one model.
    InFlight {
        /// The model, or the family of models that share the cap.
        model: String,
        /// How many may be in flight.
        most: u64,
    },
    /// How many requests of the whole [run](crate::batch::Run::max_in_flight) may be in flight.
    MaxInFlight {
        /// How many may be in flight.
        most: usize,
        /// What caps them.
        cap: InFlightCap,
    },
    /// The server: all that is left is in flight.
    Latency {
        /// How many requests are in flight.
        in_flight: usize,
    },
    /// Requests that are sent again, or wait until they are: at least half of those in flight.
    Retries {
        /// How many requests in flight have failed at least once.
        retried: u64,
        /// How many requests are in flight.
        in_flight: usize,
    },
    /// A budget: what is in flight may use up the rest of it.
    Budget,
    /// The disk, or whatever else results cannot be written to.
    Disk,
    /// The run ends: requests in flight finish, and no other starts.
    Stopping {
        /// How many requests are in flight.
        in_flight: usize,
    },
    /// A cause outside of the requests, such as a server that cannot be reached.
    Held(Hold),
}

/// What the stages of a run show at one moment.
#[derive(Debug, Clone, Default)]
pub(in crate::batch) struct Facts {
    pub(in crate::batch) is_stopped: bool,
    /// Results cannot be written.
    pub(in crate::batch) has_backpressure: bool,
    pub(in crate::batch) hold: Option<Hold>,
    /// Requests that wait for others to give back what they may use of the budget.
    pub(in crate::batch) claiming: u64,
    /// Whether more of the input may come.
    pub(in crate::batch) is_open: bool,
    /// Requests that have been read and not begun.
    pub(in crate::batch) waiting: usize,
    pub(in crate::batch) sending: usize,
    /// Threads with an admitted request that wait to send it.
    pub(in crate::batch) ready: usize,
    /// How many may be sending, and what that is for.
    pub(in crate::batch) most: (InFlightCap, usize),
    /// What keeps requests that wait from being in flight, and how many are.
    pub(in crate::batch) capped_by: Option<(InFlightCap, usize)>,
    /// Requests in flight whose last attempt failed.
    pub(in crate::batch) retried: u64,
    pub(in crate::batch) models: Vec<ModelProgress>,
    pub(in crate::batch) limiters: Vec<LimiterFacts>,
    /// Requests that rest between two attempts because an answer asked for a long wait: the model, how
    /// long they still rest, and why.
    pub(in crate::batch) resting: Vec<(String, Duration, String)>,
}

/// What one limiter shows.
#[derive(Debug, Clone)]
pub(in crate::batch) struct LimiterFacts {
    pub(in crate::batch) model: String,
    /// Requests that wait for it, in memory or on the disk.
    pub(in crate::batch) waiting: u64,
    pub(in crate::batch) snapshot: Snapshot,
    /// What asked for its last pause.
    pub(in crate::batch) pause: Option<String>,
}

impl Facts {
    /// What holds the run back. Of several, the first in the order of these lines: what stops
    /// everything, then what requests wait for, then what they do.
    pub(in crate::batch) fn bottleneck(&self) -> Bottleneck {
        let in_flight = self.sending;
        if self.is_stopped {
            return Bottleneck::Stopping { in_flight };
        }
        if self.has_backpressure {
            return Bottleneck::Disk;
        }
        if let Some(hold) = &self.hold {
            return Bottleneck::Held(hold.clone());
        }
        // Of several, the one that most requests wait for.
        let held = self.limiters.iter().filter(|it| it.snapshot.waiters > 0);
        if let Some(held) = held.max_by_key(|it| (it.waiting, it.snapshot.head_due)) {
            return held.bottleneck();
        }
        if self.claiming > 0 {
            return Bottleneck::Budget;
        }
        let retried = self.retried.min(in_flight as u64);
        if retried > 0 && retried.saturating_mul(2) >= in_flight as u64 {
            return Bottleneck::Retries { retried, in_flight };
        }
        let capped_by = self.capped_by.filter(|_| self.waiting > 0);
        if let Some((cap, most)) = capped_by.or((self.ready > 0).then_some(self.most)) {
            return Bottleneck::MaxInFlight { most, cap };
        }
        match (self.waiting, self.is_open) {
            (0, true) => Bottleneck::Input,
            (0, false) if in_flight > 0 => Bottleneck::Latency { in_flight },
            _ => Bottleneck::Nothing,
        }
    }
}

impl LimiterFacts {
    /// What its first waiter waits for.
    pub(in crate::batch) fn bottleneck(&self) -> Bottleneck {
        let Self {
            model,
            snapshot,
            pause,
            ..
        } = self;
        let model = model.clone();
        if !snapshot.paused_for.is_zero() {
            return Bottleneck::Pause {
                model,
                left: snapshot.paused_for,
                reason: pause.clone(),
            };
        }
        let Some(wait) = snapshot.head_due else {
            // Without a due time it waits for a place in flight.
            let most = snapshot.max_in_flight.unwrap_or(snapshot.in_flight);
            return Bottleneck::InFlight { model, most };
        };
        let of = snapshot.binding.and_then(|binding| {
            let mut quotas = snapshot.quotas.iter();
            quotas.find(|it| it.quota == binding)
        });
        let cost = snapshot.head_cost.unwrap_or_default();
        match of {
            Some(of) if is_short(of.level, cost.amount(of.quota.unit()), of.quota) => {
                Bottleneck::Limit {
                    model,
                    quota: of.quota,
                    origin: of.origin,
                    wait,
                    debt: of.level.min(0).unsigned_abs(),
                }
            }
            // Its limits would let it go.
            _ if !wait.is_zero() => Bottleneck::CarefulStart { model },
            _ => Bottleneck::Nothing,
        }
    }
}

/// Whether a request has to wait for a limit: one that is larger than the bucket goes when it is full.
fn is_short(level: i64, cost: u64, quota: Quota) -> bool {
    level < cost.min(quota.burst()).cast_signed()
}

impl fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Input => f.write_str("the input: no more requests have been read"),
            Self::Limit { model, quota, .. } => write!(f, "{model}: {quota}"),
            Self::Pause {
                model,
                reason: None,
                ..
            } => write!(f, "a pause of {model}"),
            Self::Pause {
                reason: Some(reason),
                ..
            } => write!(f, "a pause: {reason}"),
            Self::CarefulStart { model } => write!(f, "a careful start of {model}"),
            Self::InFlight { model, most } => write!(f, "{model}: at most {most} in flight"),
            Self::MaxInFlight { most, cap } => write!(f, "at most {most} in flight, by {cap}"),
            Self::Latency { in_flight } => {
                write!(f, "the server: the last {in_flight} requests are in flight")
            }
            Self::Retries { retried, in_flight } => {
                write!(f, "retries: {retried} of {in_flight} requests in flight")
            }
            Self::Budget => f.write_str("the budget: requests in flight may use up the rest"),
            Self::Disk => f.write_str("the disk: results cannot be written"),
            Self::Stopping { in_flight } => {
                write!(f, "stopping: {in_flight} requests in flight")
            }
            Self::Held(hold) => hold.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
