//! Random courses of everything that threads do to a limiter, judged from outside by the same rules for
//! one of this process and for one that two share: every window holds the limit, everyone gets an
//! answer in time, and in the end nobody is left.
//!
//! A window is judged by the times between which a grant is known to have been made, so what is found
//! is certain, whatever the machine was busy with.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use paceline::{
    AcquireError, AcquireOptions, CancelToken, Cost, Limits, Permit, Priority, Quota, RateLimiter,
    Unit,
};
use proptest::prelude::*;

use super::server::Server;
use super::support::{SOON, limiter};

/// How late a booking may be used, by a process that is two threads and a trip behind, on any machine:
/// what was booked for different times is then used at the same.
const LATE: Duration = Duration::from_secs(1);
/// What a limiter's own clock may differ from this one.
const OFF: Duration = Duration::from_millis(1);

#[derive(Debug, Clone)]
struct Course {
    quotas: Vec<Quota>,
    threads: Vec<Vec<Step>>,
}

#[derive(Debug, Clone)]
struct Step {
    /// In thousandths of what passes at once.
    size: u64,
    how: How,
    end: End,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Acquire,
    AsBatchWork,
    Try,
    Within(u64),
    CalledBack,
    AfterPause(u64),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Drop,
    Refund,
    /// To so many hundredths of what was reserved.
    Settle(u64),
}

/// Something that was granted or given back, and between which times.
#[derive(Debug, Clone, Copy)]
struct Event {
    from: Instant,
    to: Instant,
    cost: Cost,
}

#[derive(Debug, Default)]
struct Log {
    granted: Vec<Event>,
    given: Vec<Event>,
}

fn quotas() -> impl Strategy<Value = Vec<Quota>> {
    let quota = |unit, amounts: std::ops::Range<u64>| {
        (amounts, 20..300_u64).prop_map(move |(amount, burst)| {
            let quota = Quota::per_second(unit, amount).unwrap();
            quota.with_burst((amount * burst / 1_000).max(1))
        })
    };
    let tokens = quota(Unit::Tokens, 1_000..20_000);
    let requests = prop::option::of(quota(Unit::Requests, 100..400));
    let output = prop::option::of(quota(Unit::OutputTokens, 1_000..20_000));
    (tokens, requests, output).prop_map(|(tokens, requests, output)| {
        [Some(tokens), requests, output]
            .into_iter()
            .flatten()
            .collect()
    })
}

fn courses() -> impl Strategy<Value = Course> {
    let how = prop_oneof![
        6 => Just(How::Acquire),
        2 => Just(How::AsBatchWork),
        2 => Just(How::Try),
        2 => (0..400_u64).prop_map(How::Within),
        1 => Just(How::CalledBack),
        1 => (1..60_u64).prop_map(How::AfterPause),
    ];
    let end = prop_oneof![
        4 => Just(End::Drop),
        1 => Just(End::Refund),
        2 => (0..150_u64).prop_map(End::Settle),
    ];
    let step = (1..1_200_u64, how, end).prop_map(|(size, how, end)| Step { size, how, end });
    let threads = prop::collection::vec(prop::collection::vec(step, 3..12), 3..8);
    (quotas(), threads).prop_map(|(quotas, threads)| Course { quotas, threads })
}

impl Course {
    fn limits(&self) -> Limits {
        let quotas = self.quotas.iter().copied();
        let builder = quotas.fold(Limits::builder(), paceline::LimitsBuilder::quota);
        builder.build().unwrap()
    }

    fn cost(&self, size: u64) -> Cost {
        let tokens = (self.quotas[0].burst() * size / 1_000).max(2);
        Cost::sized(tokens / 2, tokens - tokens / 2)
    }

    /// Threads take the limiters by turns.
    fn play(&self, limiters: &[RateLimiter]) -> Log {
        let log = Mutex::new(Log::default());
        thread::scope(|scope| {
            for (number, steps) in self.threads.iter().enumerate() {
                let (limiter, log) = (&limiters[number % limiters.len()], &log);
                scope.spawn(move || {
                    for step in steps {
                        self.step(limiter, step, log);
                    }
                });
            }
        });
        log.into_inner().unwrap()
    }

    fn step(&self, limiter: &RateLimiter, step: &Step, log: &Mutex<Log>) {
        let (cost, from) = (self.cost(step.size), Instant::now());
        let token = CancelToken::new();
        let taken = match step.how {
            How::Acquire => limiter.acquire(cost),
            How::AsBatchWork => {
                limiter.acquire_with(cost, AcquireOptions::new().priority(Priority::Batch))
            }
            How::Try => limiter.try_acquire(cost),
            How::Within(millis) => limiter.acquire_timeout(cost, Duration::from_millis(millis)),
            How::CalledBack => thread::scope(|scope| {
                scope.spawn(|| token.cancel());
                limiter.acquire_with(cost, AcquireOptions::new().cancel(&token))
            }),
            How::AfterPause(millis) => {
                limiter.pause_until(from + Duration::from_millis(millis));
                limiter.acquire(cost)
            }
        };
        match taken {
            Ok(permit) => {
                // It came no earlier than it was called for, and stood in line for so long.
                let (from, to) = (from + permit.waited(), Instant::now());
                log.lock().unwrap().granted.push(Event { from, to, cost });
                end(permit, step.end, log);
            }
            Err(
                AcquireError::WouldBlock { .. }
                | AcquireError::DeadlineExceeded { .. }
                | AcquireError::Cancelled,
            ) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Every window between two grants holds what may be there at once, what comes in, and what is
    /// given back.
    fn conforms(&self, log: &Log, late: Duration) -> Result<(), TestCaseError> {
        for quota in &self.quotas {
            let of = |event: &Event| event.cost.amount(quota.unit());
            for (first, last) in log
                .granted
                .iter()
                .flat_map(|first| log.granted.iter().map(move |last| (first.from, last.to)))
            {
                let inside = |event: &&Event| event.from >= first && event.to <= last;
                let granted = || log.granted.iter().filter(inside);
                let sum: u64 = granted().map(of).sum();
                let largest = granted().map(of).max().unwrap_or(0);
                let touching = |event: &&Event| event.to + late * 3 >= first && event.from <= last;
                let given: u64 = log.given.iter().filter(touching).map(of).sum();
                let length = last.saturating_duration_since(first) + late;
                let comes = quota.amount() as f64 * length.as_secs_f64();
                let most = quota.burst().max(largest) as f64 + comes + given as f64;
                prop_assert!(
                    sum as f64 <= most + 1.0,
                    "{quota}: {sum} of {most} in {length:?}"
                );
            }
        }
        Ok(())
    }
}

fn end(permit: Permit<'_>, how: End, log: &Mutex<Log>) {
    let (cost, from) = (permit.cost(), Instant::now());
    let actual = match how {
        End::Drop => return drop(permit),
        End::Refund => Cost::sized(0, 0),
        End::Settle(hundredths) => {
            let part = |amount: u64| amount * hundredths / 100;
            Cost::sized(part(cost.input_tokens), part(cost.output_tokens))
        }
    };
    match how {
        End::Refund => permit.refund(),
        _ => permit.settle(actual),
    }
    let mut given = Cost::sized(
        cost.input_tokens.saturating_sub(actual.input_tokens),
        cost.output_tokens.saturating_sub(actual.output_tokens),
    );
    given.requests = u64::from(matches!(how, End::Refund));
    let to = Instant::now();
    log.lock().unwrap().given.push(Event {
        from,
        to,
        cost: given,
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 8, ..ProptestConfig::with_cases(8) })]

    #[test]
    fn any_course_holds_the_limit_on_one_process_and_on_two(course in courses()) {
        let begun = Instant::now();
        let local = [RateLimiter::new(course.limits())];
        course.conforms(&course.play(&local), OFF)?;
        prop_assert_eq!(local[0].snapshot().waiters, 0);
        let Some(server) = Server::start() else { return Ok(()) };
        let shared = [0; 2].map(|_| limiter(&server.url(), course.limits()));
        course.conforms(&course.play(&shared), LATE)?;
        for limiter in &shared {
            prop_assert_eq!(limiter.snapshot().waiters, 0);
        }
        prop_assert!(begun.elapsed() < SOON * 4, "{:?}", begun.elapsed());
    }
}
