//! A script of threads that come, wait and go, and what has to become of each.

use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use super::*;
use crate::Permit;
use crate::limiter::{AcquireOptions, CancelToken};

/// What happens to a limiter of `amount` tokens per `period`. All times are milliseconds from the
/// start, and steps are named by their index.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) amount: u64,
    pub(super) period: u64,
    pub(super) burst: u64,
    /// When, and what.
    pub(super) steps: &'static [(u64, Do)],
    /// What is left when the last answer that is expected has come.
    pub(super) level: i64,
}

/// Ten a second, so that one comes in at each step of time; cases name what is else with them.
pub(super) const TEN: Case = Case {
    name: "",
    amount: 10,
    period: 1_000,
    burst: 2,
    steps: &[],
    level: 0,
};

#[derive(Debug, Clone, Copy)]
pub(super) enum Do {
    /// A thread comes for this cost, and that is its end.
    Take(u64, End),
    /// One that waits no longer than this.
    Within(u64, u64, End),
    /// A call that does not wait at all: the wait that its error names, if it is refused.
    Try(u64, Option<u64>),
    /// The token of that step's thread is cancelled, whether it waits or not.
    Cancel(usize),
    /// What that step was granted is given back.
    Refund(usize),
    /// What that step was granted turns out to cost this.
    Settle(usize, u64),
    /// Other limits, of the same period: amount and burst.
    Limits(u64, u64),
    /// Nothing is granted before this time.
    Pause(u64),
    Resume,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum End {
    /// When.
    Granted(u64),
    /// When, and the wait that was predicted.
    Late(u64, u64),
    Cancelled(u64),
    TooLarge(u64),
    /// It waits until the line is closed, after all that the script names.
    Waits,
}

/// What a thread came back with.
struct Answer {
    joined: Duration,
    at: Duration,
    result: Result<Duration, AcquireError>,
    permit: Option<Permit<'static>>,
}

/// Lets the threads go also when the script fails, so that a test fails and does not hang.
struct ClosesAtEnd<'a>(&'a RateLimiter);

impl Drop for ClosesAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Stage<'a> {
    limiter: &'a RateLimiter,
    clock: &'a ManualClock,
    start: Instant,
    came: usize,
    /// By step.
    answers: Vec<Option<Answer>>,
    answer: mpsc::Receiver<(usize, Answer)>,
}

impl Stage<'_> {
    fn now(&self) -> Duration {
        self.clock.now() - self.start
    }

    /// Until every thread that came either waits or has reported its answer. Nothing else moves then, so
    /// what a thread reads from the clock is the time of its answer.
    fn settle(&mut self) {
        loop {
            for (step, answer) in self.answer.try_iter() {
                self.answers[step] = Some(answer);
            }
            // The answers first: a waiter that leaves the queue between the two looks is counted later.
            let told = self.answers.iter().flatten().count();
            if told + self.limiter.snapshot().waiters == self.came {
                return;
            }
            thread::yield_now();
        }
    }

    fn run_until(&mut self, millis: u64) {
        while self.now() < ms(millis) {
            self.clock.advance(MILLISECOND);
            self.settle();
        }
    }

    fn permit(&mut self, step: usize) -> Permit<'static> {
        let answer = self.answers[step].as_mut();
        let permit = answer.and_then(|answer| answer.permit.take());
        permit.unwrap_or_else(|| panic!("step {step} has no permit"))
    }
}

pub(super) fn play_all(cases: &[Case]) {
    for case in cases {
        play(case);
    }
}

fn play(case: &Case) {
    let name = case.name;
    let (limiter, clock) = on_manual_clock([tokens(case.amount, case.period, case.burst)]);
    let cancels: Vec<_> = case.steps.iter().map(|_| CancelToken::new()).collect();
    let (tell, answer) = mpsc::channel();
    let mut stage = Stage {
        limiter: &limiter,
        clock: &clock,
        start: clock.now(),
        came: 0,
        answers: case.steps.iter().map(|_| None).collect(),
        answer,
    };
    let left = thread::scope(|scope| {
        let _close = ClosesAtEnd(&limiter);
        for (index, &(at, step)) in case.steps.iter().enumerate() {
            stage.run_until(at);
            match step {
                Do::Take(cost, _) | Do::Within(cost, ..) => {
                    let mut wait = AcquireOptions::new().cancel(&cancels[index]);
                    if let Do::Within(_, patience, _) = step {
                        wait = wait.deadline(clock.now() + ms(patience));
                    }
                    stage.came += 1;
                    let (tell, limiter, start) = (tell.clone(), &limiter, stage.start);
                    scope.spawn(move || {
                        let joined = limiter.clock().now() - start;
                        let (result, permit) = match limiter.acquire_with(Cost::tokens(cost), wait)
                        {
                            Ok(permit) => (Ok(permit.waited()), Some(permit.into_owned())),
                            Err(error) => (Err(error), None),
                        };
                        let at = limiter.clock().now() - start;
                        let answer = Answer {
                            joined,
                            at,
                            result,
                            permit,
                        };
                        tell.send((index, answer)).unwrap();
                    });
                }
                Do::Try(cost, wait) => {
                    let told = refused_for(&limiter, cost);
                    assert_eq!(told, wait.map(ms), "{name}, step {index}: what it is told");
                }
                Do::Cancel(step) => cancels[step].cancel(),
                Do::Refund(step) => stage.permit(step).refund(),
                Do::Settle(step, cost) => stage.permit(step).settle(Cost::tokens(cost)),
                Do::Limits(amount, burst) => {
                    let quota = tokens(amount, case.period, burst);
                    limiter.set_limits(&Limits::builder().quota(quota).build().unwrap());
                }
                Do::Pause(until) => limiter.pause_until(stage.start + ms(until)),
                Do::Resume => limiter.resume(),
            }
            stage.settle();
        }
        stage.run_until(last_time(case.steps));
        level(&limiter)
    });
    stage.settle();
    for (index, (_, step)) in case.steps.iter().enumerate() {
        if let Do::Take(_, expected) | Do::Within(_, _, expected) = step {
            let answer = stage.answers[index].take().unwrap();
            assert_eq!(end(answer), *expected, "{name}, step {index}: its end");
        }
    }
    assert_eq!(left, case.level, "{name}: what is left");
}

/// The last time that a script names.
fn last_time(steps: &[(u64, Do)]) -> u64 {
    let ends = steps.iter().map(|(at, step)| match step {
        Do::Take(_, end) | Do::Within(_, _, end) => match end {
            End::Granted(at) | End::Late(at, _) | End::Cancelled(at) | End::TooLarge(at) => *at,
            End::Waits => *at,
        },
        _ => *at,
    });
    ends.max().unwrap_or_default()
}

fn end(answer: Answer) -> End {
    let at = whole_millis(answer.at);
    match answer.result {
        Ok(waited) => End::Granted(whole_millis(answer.joined + waited)),
        Err(AcquireError::DeadlineExceeded { wait, .. }) => End::Late(at, whole_millis(wait)),
        Err(AcquireError::Cancelled) => End::Cancelled(at),
        Err(AcquireError::TooLarge { .. }) => End::TooLarge(at),
        Err(AcquireError::Closed) => End::Waits,
        Err(error) => panic!("{error}"),
    }
}

fn whole_millis(time: Duration) -> u64 {
    assert_eq!(time.subsec_nanos() % 1_000_000, 0, "{time:?} is between");
    u64::try_from(time.as_millis()).unwrap()
}
