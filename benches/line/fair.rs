//! A large request among small ones that never stop: when it is served. Beside it governor, whose
//! callers are told when to come again, and then take their chance with all others.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, Builder, Scope};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::{DefaultDirectRateLimiter, Quota};
use paceline::{Cost, Limits, RateLimiter, Unit};

use crate::Result;
use crate::effort::Effort;
use crate::table::{Row, seconds};

/// Tokens a second, and the burst.
const RATE: NonZeroU32 = NonZeroU32::MIN.saturating_add(999);
const SMALL: NonZeroU32 = NonZeroU32::MIN.saturating_add(24);
const LARGE: NonZeroU32 = NonZeroU32::MIN.saturating_add(899);
const LOOPS: usize = 4;
/// How long the small ones are alone.
const HEAD_START: Duration = Duration::from_millis(200);
/// In seconds: 900 tokens come in within 0.9, and 100 before it may belong to the small ones.
const MOST: f64 = 1.1;

pub(crate) fn rows(effort: Effort) -> Result<Vec<Row>> {
    let own = contest(&Paceline::new()?, effort.patience)?;
    let beside = contest(&Governor::new()?, effort.patience)?;
    let text = |served: Option<Duration>| match served {
        Some(after) => seconds(after),
        None => format!("not served within {} s", effort.patience.as_secs()),
    };
    let figure = own.map_or(f64::INFINITY, |after| after.as_secs_f64());
    let what = format!("{LARGE} tokens among {LOOPS} loops of {SMALL}, 1,000 a second");
    Ok(vec![
        Row::shown(what, text(own), text(beside)).judged(figure, MOST, " s"),
    ])
}

/// A limiter that has nothing left at the start.
trait Limiter: Sync {
    /// Blocks until so much is granted; false when the contest has ended before.
    fn take(&self, amount: NonZeroU32) -> bool;

    /// Ends every `take`.
    fn end(&self);
}

/// How long the large request waits among the small ones, if it is served at all.
fn contest(limiter: &impl Limiter, patience: Duration) -> Result<Option<Duration>> {
    thread::scope(|scope| {
        let result = run(scope, limiter, patience);
        limiter.end();
        result
    })
}

fn run<'scope>(
    scope: &'scope Scope<'scope, '_>,
    limiter: &'scope impl Limiter,
    patience: Duration,
) -> Result<Option<Duration>> {
    let failed = |error| format!("a thread could not be started: {error}");
    for number in 0..LOOPS {
        Builder::new()
            .name(format!("small-{number}"))
            .spawn_scoped(scope, || while limiter.take(SMALL) {})
            .map_err(failed)?;
    }
    thread::sleep(HEAD_START);
    let (served, serving) = mpsc::channel();
    Builder::new()
        .name("large".to_owned())
        .spawn_scoped(scope, move || large(limiter, &served))
        .map_err(failed)?;
    match serving.recv_timeout(patience) {
        Ok(after) => Ok(Some(after)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => Err("the large request failed".into()),
    }
}

fn large(limiter: &impl Limiter, served: &Sender<Duration>) {
    let asked = Instant::now();
    if limiter.take(LARGE) {
        let _ = served.send(asked.elapsed()); // or nobody waits for it any more
    }
}

struct Paceline(RateLimiter);

impl Paceline {
    fn new() -> Result<Self> {
        let all = u64::from(RATE.get());
        let quota = paceline::Quota::new(Unit::Tokens, all, Duration::from_secs(1))?;
        let limiter = RateLimiter::new(Limits::builder().quota(quota).build()?);
        drop(limiter.acquire(Cost::tokens(all))?);
        Ok(Self(limiter))
    }
}

impl Limiter for Paceline {
    fn take(&self, amount: NonZeroU32) -> bool {
        self.0.acquire(Cost::tokens(amount.get().into())).is_ok()
    }

    fn end(&self) {
        self.0.close();
    }
}

struct Governor {
    limiter: DefaultDirectRateLimiter,
    over: AtomicBool,
}

impl Governor {
    fn new() -> Result<Self> {
        let quota = Quota::per_second(RATE); // with a burst of as much
        let limiter = governor::RateLimiter::direct(quota);
        match limiter.check_n(RATE) {
            Ok(Ok(())) => Ok(Self {
                limiter,
                over: AtomicBool::new(false),
            }),
            _ => Err("governor refuses its first second".into()),
        }
    }
}

impl Limiter for Governor {
    fn take(&self, amount: NonZeroU32) -> bool {
        while !self.over.load(Ordering::Relaxed) {
            match self.limiter.check_n(amount) {
                Ok(Ok(())) => return true,
                // It says when so much will be there, if nobody else takes it. At most a second.
                Ok(Err(refusal)) => {
                    thread::sleep(refusal.wait_time_from(self.limiter.clock().now()));
                }
                Err(_) => return false, // above the burst: never
            }
        }
        false
    }

    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
