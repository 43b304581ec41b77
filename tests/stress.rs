//! Everything that threads can do to one limiter, by 64 of them at once on the real clock, for ten
//! seconds: nothing is lost, nothing is made up, nobody is left waiting, and the scheduler sleeps.
//!
//! A process of its own, so that its scheduler thread serves nobody else.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test of real threads in real time"
)]

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use paceline::{
    AcquireError, AcquireOptions, CancelToken, Clock, Cost, Limits, Permit, Priority, Quota,
    RateLimiter, Result, Unit,
};

const THREADS: u64 = 64;
const LENGTH: Duration = Duration::from_secs(10);
/// Costs are so many tokens times a small number, so that the microseconds within which the time
/// of a snapshot is known, a token each, hide none.
const GRAIN: u64 = 1_000;
/// Tokens a second: one a microsecond.
const RATE: u64 = 1_000_000;
/// More than comes in: no refill is cut off at the burst.
const BURST: u64 = 1_000_000_000;
const AT_ONCE: u64 = 48;
const MOST_WAITERS: usize = 60;
/// Those whose turn was kept, who are not turned away.
const AT_ONCE_KEPT: usize = 64;

/// What all threads share.
struct Shared {
    limiter: RateLimiter,
    stop: AtomicBool,
    /// What has been taken and not given back, in grains.
    taken: AtomicI64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
    granted: AtomicU64,
}

/// A small generator, so that a failure names its seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn grains(count: u64) -> Cost {
    Cost::tokens(count * GRAIN)
}

fn limits() -> Limits {
    let quota = Quota::per_second(Unit::Tokens, RATE).unwrap();
    let limits = Limits::builder().quota(quota.with_burst(BURST).with_initial(0));
    limits.in_flight(AT_ONCE).build().unwrap()
}

impl Shared {
    /// Asks for so many grains, in some way.
    fn ask(&self, count: u64, chance: &mut Chance) -> Result<Permit<'_>, AcquireError> {
        let (limiter, cost) = (&self.limiter, grains(count));
        let millis = Duration::from_millis;
        match chance.below(8) {
            0 | 1 => limiter.acquire(cost),
            2 => limiter.try_acquire(cost),
            3 => limiter.acquire_timeout(cost, millis(20)),
            4 => limiter.acquire_until(cost, limiter.clock().now()),
            5 => limiter.acquire_with(cost, AcquireOptions::new().priority(Priority::Batch)),
            6 => {
                let token = CancelToken::new();
                thread::scope(|scope| {
                    scope.spawn(|| token.cancel());
                    limiter.acquire_with(cost, AcquireOptions::new().cancel(&token))
                })
            }
            _ => {
                let turn = limiter.acquire(cost)?.keep_place();
                self.taken.fetch_add(signed(count), Ordering::SeqCst);
                turn.acquire(
                    cost,
                    AcquireOptions::new().deadline(limiter.clock().now() + millis(50)),
                )
            }
        }
    }

    /// Ends a permit for so many grains, in some way.
    fn end(&self, permit: Permit<'_>, count: u64, chance: &mut Chance) {
        let under_way = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(under_way, Ordering::SeqCst);
        if chance.below(4) == 0 {
            thread::yield_now();
        }
        // Before its place is free again.
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        let kept = match chance.below(4) {
            0 => {
                permit.refund();
                0
            }
            1 => {
                let actual = chance.below(8);
                permit.settle(grains(actual));
                actual
            }
            _ => {
                drop(permit);
                count
            }
        };
        self.taken.fetch_add(signed(kept), Ordering::SeqCst);
    }

    fn work(&self, seed: u64) {
        let mut chance = Chance(seed);
        while !self.stop.load(Ordering::SeqCst) {
            match chance.below(20_000) {
                0 => self
                    .limiter
                    .pause_until(self.limiter.clock().now() + Duration::from_millis(2)),
                1 => self.limiter.resume(),
                2 => self.limiter.set_limits(&limits()),
                3 => assert!(self.limiter.waiters().len() <= MOST_WAITERS + AT_ONCE_KEPT),
                _ => {}
            }
            let count = if chance.below(50) == 0 {
                0
            } else {
                1 + chance.below(5)
            };
            match self.ask(count, &mut chance) {
                Ok(permit) => {
                    self.granted.fetch_add(1, Ordering::SeqCst);
                    self.end(permit, count, &mut chance);
                }
                Err(
                    AcquireError::WouldBlock { .. }
                    | AcquireError::DeadlineExceeded { .. }
                    | AcquireError::Cancelled
                    | AcquireError::QueueFull { .. },
                ) => {}
                Err(error) => panic!("seed {seed}: {error}"),
            }
        }
    }
}

/// Two moments between which something happened.
#[derive(Clone, Copy)]
struct Moment {
    earliest: Instant,
    latest: Instant,
}

/// Does something that may be done again, until the time at which it was done is known well enough.
///
/// At a rate of a token a microsecond, the refill between two such moments is known to twice
/// `CLOSE`, which is half a grain. One look takes a few microseconds, so a look takes longer only
/// where the system takes the processor away in between, and no machine does that every time: a
/// slice lasts a millisecond or more, in which hundreds of looks fit.
fn timed<T>(action: impl Fn() -> T) -> (Moment, T) {
    const CLOSE: Duration = Duration::from_micros(GRAIN / 4);
    for _ in 0..10_000 {
        let earliest = Instant::now();
        let value = action();
        let latest = Instant::now();
        if latest - earliest < CLOSE {
            return (Moment { earliest, latest }, value);
        }
    }
    panic!("10,000 looks at the clock took longer than {CLOSE:?} each");
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap()
}

#[test]
fn nothing_is_lost_nobody_waits_and_the_scheduler_sleeps() {
    drop(Clock::real()); // finds out how fast the processor counts, before the time is taken
    let (start, limiter) = timed(|| {
        RateLimiter::builder(limits())
            .bypass(true)
            .max_waiters(MOST_WAITERS)
            .build()
    });
    let shared = Arc::new(Shared {
        limiter,
        stop: AtomicBool::new(false),
        taken: AtomicI64::new(0),
        in_flight: AtomicU64::new(0),
        most_in_flight: AtomicU64::new(0),
        granted: AtomicU64::new(0),
    });

    let (ended, ends) = mpsc::channel();
    let threads: Vec<_> = (0..THREADS)
        .map(|seed| {
            let (shared, ended) = (Arc::clone(&shared), ended.clone());
            let thread = thread::Builder::new().name(format!("stress-{seed}"));
            let work = move || {
                shared.work(seed);
                ended.send(seed).unwrap();
            };
            thread.spawn(work).unwrap()
        })
        .collect();
    assert!(
        ends.recv_timeout(LENGTH).is_err(),
        "a thread has ended early"
    );
    shared.stop.store(true, Ordering::SeqCst);
    for count in 0..THREADS {
        // Far more than anyone has to wait: who is not back by then has been forgotten.
        let back = ends.recv_timeout(Duration::from_secs(120));
        let waiting = || shared.limiter.waiters();
        assert!(
            back.is_ok(),
            "only {count} threads came back: {:?}",
            waiting()
        );
    }
    for thread in threads {
        thread.join().unwrap();
    }

    let limiter = &shared.limiter;
    let (end, snapshot) = timed(|| limiter.snapshot());
    let (least, most) = (end.earliest - start.latest, end.latest - start.earliest);
    let refilled = |time: Duration| i64::try_from(time.as_micros()).unwrap();
    let taken = shared.taken.load(Ordering::SeqCst) * signed(GRAIN);
    let level = snapshot.quotas[0].level;
    // What the two moments leave open is less than half a grain; the clock may be behind by what it
    // takes to read it.
    let slack = signed(GRAIN) / 2;
    assert!(
        level >= refilled(least) - taken - slack,
        "lost: {snapshot:?}, {taken} taken"
    );
    assert!(
        level <= refilled(most) - taken + slack,
        "made up: {snapshot:?}, {taken} taken"
    );

    assert_eq!(snapshot.waiters, 0);
    assert_eq!(snapshot.in_flight, 0);
    assert!(shared.most_in_flight.load(Ordering::SeqCst) <= AT_ONCE);
    // Those whose turn was kept were granted before, too.
    assert!(snapshot.counters.grants >= shared.granted.load(Ordering::SeqCst));
    assert!(snapshot.counters.waited > 500, "{:?}", snapshot.counters);
    asleep();
}

/// An alarm that is left over may still ring; after that the scheduler sleeps without a timeout.
#[cfg(target_os = "linux")]
fn asleep() {
    use std::fs;

    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let folders = tasks.map(|task| task.unwrap().path());
    let is_it = |folder: &std::path::PathBuf| {
        fs::read_to_string(folder.join("comm")).is_ok_and(|name| name.trim() == "paceline-refill")
    };
    let folder = folders.into_iter().find(is_it).expect("the scheduler");
    let wakes = || {
        let status = fs::read_to_string(folder.join("status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt_switches"));
        line.unwrap()
            .split_whitespace()
            .last()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let before = wakes();
    thread::sleep(Duration::from_secs(1));
    let after = wakes();
    assert!(
        after <= before + 2,
        "it has woken {} times for nobody",
        after - before
    );
}

#[cfg(not(target_os = "linux"))]
fn asleep() {}
