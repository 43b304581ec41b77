//! All that is kept of a run. The time comes in with each event, as what has passed since the beginning.

use std::time::{Duration, SystemTime};

use super::histogram::Histogram;
use super::lanes::Lanes;
use super::timeline::{Bucket, Timeline};
use crate::client::Attempt;
use crate::{Cost, Error, ErrorKind};

/// What happened to requests in a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::batch) struct Flow {
    /// Requests with a result.
    pub(in crate::batch) succeeded: u64,
    /// Requests and lines that failed.
    pub(in crate::batch) failed: u64,
    /// Tries after the first, by when they ended.
    pub(in crate::batch) retries: u64,
    /// 429 answers that asked to wait.
    pub(in crate::batch) rate_limited: u64,
}

impl Bucket for Flow {
    fn merge(&mut self, later: Self) {
        self.succeeded += later.succeeded;
        self.failed += later.failed;
        self.retries += later.retries;
        self.rate_limited += later.rate_limited;
    }
}

/// Requests in flight in a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::batch) struct InFlight {
    /// The most at once.
    pub(in crate::batch) most: u64,
    /// How many at its end.
    pub(in crate::batch) last: u64,
}

impl Bucket for InFlight {
    fn merge(&mut self, later: Self) {
        self.most = self.most.max(later.most);
        self.last = later.last;
    }

    fn following(&self) -> Self {
        Self {
            most: self.last,
            last: self.last,
        }
    }
}

/// All that is kept of a run.
#[derive(Debug, Clone, Default)]
pub(in crate::batch) struct Recording {
    /// What messages call the input.
    pub(in crate::batch) input: String,
    /// When it began, by the wall clock. None if it has not.
    pub(in crate::batch) began: Option<SystemTime>,
    /// How long it has lasted.
    pub(in crate::batch) lasted: Duration,
    pub(in crate::batch) flow: Timeline<Flow>,
    pub(in crate::batch) in_flight: Timeline<InFlight>,
    pub(in crate::batch) lanes: Lanes,
    /// How long requests stood in line.
    pub(in crate::batch) waits: Histogram,
    /// How long the tries took that brought an answer.
    pub(in crate::batch) latencies: Histogram,
}

impl Recording {
    pub(in crate::batch) fn new(input: &str, began: SystemTime) -> Self {
        Self {
            input: input.to_owned(),
            began: Some(began),
            ..Self::default()
        }
    }

    /// A limiter has admitted a request. True when it is time to look at the limiter.
    pub(in crate::batch) fn admitted(
        &mut self,
        at: Duration,
        lane: usize,
        cost: Cost,
        waited: Duration,
    ) -> bool {
        self.waits.add(waited);
        let lane = self.lanes.lane(lane);
        lane.is_some_and(|lane| lane.granted(at, cost, waited))
    }

    /// A request is on its way.
    pub(in crate::batch) fn begun(&mut self, at: Duration) {
        let now = self.in_flight.latest(at);
        now.last += 1;
        now.most = now.most.max(now.last);
    }

    /// It is no more, whatever became of it.
    pub(in crate::batch) fn ended(&mut self, at: Duration) {
        let now = self.in_flight.latest(at);
        now.last = now.last.saturating_sub(1);
    }

    /// A try of a request has ended. Each after the first was admitted anew, when it began.
    pub(in crate::batch) fn tried(
        &mut self,
        at: Duration,
        lane: usize,
        cost: Cost,
        tried: &Attempt<'_>,
    ) {
        let flow = self.flow.at(at);
        if matches!(tried.error, Some(Error::Api(api)) if api.kind == ErrorKind::RateLimited) {
            flow.rate_limited += 1;
        }
        if tried.number > 1 {
            flow.retries += 1;
            self.waits.add(tried.waited);
            if let Some(lane) = self.lanes.lane(lane) {
                lane.granted_before(at.saturating_sub(tried.took), cost);
            }
        }
        if tried.error.is_none() {
            self.latencies.add(tried.took);
        }
    }

    /// A line has been written to one of the output files: a result, or else a failure.
    pub(in crate::batch) fn written(&mut self, at: Duration, succeeded: bool) {
        let flow = self.flow.at(at);
        match succeeded {
            true => flow.succeeded += 1,
            false => flow.failed += 1,
        }
    }

    /// The run has lasted until now: everything is as long as that.
    pub(in crate::batch) fn lasted(&mut self, at: Duration) {
        self.lasted = self.lasted.max(at);
        self.flow.at(at);
        self.in_flight.latest(at);
        for lane in self.lanes.all_mut() {
            lane.grants.at(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{ApiError, Limits, RateLimiter, Unit};

    fn api_error(status: u16, kind: ErrorKind) -> Error {
        Error::Api(Box::new(ApiError {
            kind,
            status,
            effective_status: None,
            message: "as told".to_owned(),
            error_type: None,
            code: Some(format!("code_{status}")),
            request_id: None,
            retry_after: None,
            body: None,
        }))
    }

    /// Something that happens.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Admitted {
            lane: usize,
            tokens: u64,
            waited: u64,
        },
        Begun,
        Ended,
        Tried {
            lane: usize,
            tokens: u64,
            number: u32,
            error: usize,
            took: u64,
        },
        Written {
            succeeded: bool,
        },
    }

    fn steps() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..12_usize, 0..10_000_u64, 0..90_000_u64).prop_map(|(lane, tokens, waited)| {
                Step::Admitted {
                    lane,
                    tokens,
                    waited,
                }
            }),
            Just(Step::Begun),
            Just(Step::Ended),
            (
                0..12_usize,
                0..10_000_u64,
                1..4_u32,
                0..3_usize,
                0..90_000_u64
            )
                .prop_map(|(lane, tokens, number, error, took)| Step::Tried {
                    lane,
                    tokens,
                    number,
                    error,
                    took
                }),
            any::<bool>().prop_map(|succeeded| Step::Written { succeeded }),
        ]
    }

    /// What everything sums up to, by a name.
    type Sums = BTreeMap<&'static str, u64>;

    fn sums(recording: &Recording) -> Sums {
        let flow = |count: fn(&Flow) -> u64| recording.flow.buckets().iter().map(count).sum();
        let lanes = recording.lanes.all();
        let granted = |unit| {
            let buckets = lanes.iter().flat_map(|lane| lane.grants.buckets());
            buckets.map(|bucket| bucket.amount(unit)).sum()
        };
        let in_flight = recording.in_flight.buckets();
        BTreeMap::from([
            ("succeeded", flow(|it| it.succeeded)),
            ("failed", flow(|it| it.failed)),
            ("retries", flow(|it| it.retries)),
            ("rate_limited", flow(|it| it.rate_limited)),
            ("tokens", granted(Unit::Tokens)),
            ("requests", granted(Unit::Requests)),
            ("waits", recording.waits.total()),
            ("latencies", recording.latencies.total()),
            ("in_flight", in_flight.last().map_or(0, |it| it.last)),
            (
                "most_in_flight",
                in_flight.iter().map(|it| it.most).max().unwrap_or(0),
            ),
        ])
    }

    proptest! {
        #[test]
        fn every_event_is_in_the_totals_through_every_doubling(
            steps in prop::collection::vec((0_u64..600_000, steps()), 1..250),
            late in 0_u64..2_000,
        ) {
            let limiters: Vec<RateLimiter> = (0..12)
                .map(|_| RateLimiter::new(Limits::tokens_per_minute(1_000).unwrap()))
                .collect();
            let errors = [
                api_error(429, ErrorKind::RateLimited),
                api_error(500, ErrorKind::Server),
            ];
            let mut recording = Recording::new("in", SystemTime::UNIX_EPOCH);
            let mut expected = sums(&recording);
            let mut millis = 0;
            for (index, (pause, step)) in steps.into_iter().enumerate() {
                // Every other event comes from a thread that was held up on its way here.
                millis += pause;
                let at = Duration::from_millis(millis - if index % 2 == 0 { 0 } else { late.min(millis) });
                let mut count = |name, more: u64| *expected.entry(name).or_default() += more;
                match step {
                    Step::Admitted { lane, tokens, waited } => {
                        let lane = recording.lanes.find(&limiters[lane], || lane.to_string());
                        let waited = Duration::from_millis(waited);
                        recording.admitted(at, lane, Cost::tokens(tokens), waited);
                        count("tokens", tokens);
                        count("requests", 1);
                        count("waits", 1);
                    }
                    Step::Begun => {
                        recording.begun(at);
                        count("in_flight", 1);
                        let now = expected["in_flight"];
                        let most = expected.entry("most_in_flight").or_default();
                        *most = now.max(*most);
                    }
                    Step::Ended => {
                        recording.ended(at);
                        let now = expected.entry("in_flight").or_default();
                        *now = now.saturating_sub(1);
                    }
                    Step::Tried { lane, tokens, number, error, took } => {
                        let lane = recording.lanes.find(&limiters[lane], || lane.to_string());
                        let tried = Attempt {
                            number,
                            waited: Duration::ZERO,
                            took: Duration::from_millis(took),
                            error: errors.get(error),
                        };
                        recording.tried(at, lane, Cost::tokens(tokens), &tried);
                        if number > 1 {
                            count("retries", 1);
                            count("tokens", tokens);
                            count("requests", 1);
                            count("waits", 1);
                        }
                        count("rate_limited", u64::from(error == 0));
                        count("latencies", u64::from(error == 2));
                    }
                    Step::Written { succeeded } => {
                        recording.written(at, succeeded);
                        count(if succeeded { "succeeded" } else { "failed" }, 1);
                    }
                }
                prop_assert_eq!(&sums(&recording), &expected, "step {}: {:?}", index, step);
            }
            recording.lasted(Duration::from_millis(millis));
            prop_assert_eq!(&sums(&recording), &expected, "at the end");
        }
    }

    #[test]
    fn a_retry_is_granted_when_it_began() {
        let limiter = RateLimiter::new(Limits::tokens_per_minute(1_000).unwrap());
        let mut recording = Recording::new("in", SystemTime::UNIX_EPOCH);
        let lane = recording.lanes.find(&limiter, || "m".to_owned());
        let tried = Attempt {
            number: 2,
            waited: Duration::ZERO,
            took: Duration::from_secs(3),
            error: None,
        };
        recording.tried(Duration::from_secs(4), lane, Cost::tokens(9), &tried);
        let buckets = recording.lanes.told_apart()[0].grants.buckets();
        let filled = buckets.iter().position(|it| it.amount(Unit::Tokens) == 9);
        assert_eq!(filled, Some(64)); // the first of the second second
        let flow = recording.flow.buckets();
        assert_eq!(flow.iter().position(|it| it.retries == 1), Some(256));
    }
}
