//! What an acquire costs that never waits, side by side with other crates for rate limits.
//!
//! `cargo bench --bench acquire`, or with `-- --quick` for a look within seconds. The exit status is 1 when
//! a figure is beyond its aim, except after a quick look.
//!
//! Every competitor spends one request and 25 tokens under a limit on each. paceline does so at limits
//! that exist, 200,000 tokens and 10,000 requests a minute. So that nothing is ever refused, one row fills
//! its buckets again after some hundreds of acquires, and the two others refund each permit, which is in
//! their figures. governor and ratelimit have no refund, so their limits are set so high that they refuse
//! nothing. They do not do the same amount of work for it: governor and ratelimit check two
//! independent limiters one after the other, and keep what the first one granted when the second one
//! refuses; paceline takes from both at once or not at all, and returns a permit that can give it back.
//!
//! governor reads the processor's counter and takes that for the time. It is shown with the system's
//! clock, too, which does not drift and which paceline goes by.

mod support;

use std::cell::Cell;
use std::env;
use std::error::Error;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use support::{Aim, Competitor, Contest, Effort, compare};

const BASELINE: &str = "governor";
const CONTROL: &str = "one clock reading";
/// What the registry allows for.
const JITTER: Duration = paceline::DEFAULT_JITTER;
const MINUTE: Duration = Duration::from_secs(60);
const TOKENS_PER_MINUTE: u64 = 200_000;
const REQUESTS_PER_MINUTE: u64 = 10_000;
/// A limit that refuses nothing, for those who have no refund.
const UNLIMITED: u64 = 9_000_000_000_000;
/// What one operation takes from the limit on tokens.
const TOKENS: u32 = 25;

const CONTESTS: [Contest; 3] = [
    Contest {
        threads: 1,
        operations_per_thread: 400_000,
        aims: [plain(1.0), adaptive(2.0)],
    },
    Contest {
        threads: 2,
        operations_per_thread: 200_000,
        aims: [plain(0.8), adaptive(1.6)],
    },
    Contest {
        threads: 8,
        operations_per_thread: 50_000,
        aims: [plain(0.5), adaptive(1.0)],
    },
];

const PLAIN: &str = "paceline";
const REFUNDED: &str = "paceline, refunded";
const ADAPTIVE: &str = "paceline, adaptive";
/// Acquires of a thread between two fillings of the buckets: by eight threads together, what they hold.
const FILLED_AFTER: u32 = 900;

const fn plain(most: f64) -> Aim {
    Aim { name: PLAIN, most }
}

const fn adaptive(most: f64) -> Aim {
    Aim {
        name: ADAPTIVE,
        most,
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let effort = effort(env::args().skip(1))?;
    let competitors = [
        clock(),
        governor(),
        governor_by_the_system(),
        ratelimit()?,
        paceline_kept()?,
        paceline(REFUNDED, |limiter| limiter)?,
        paceline(ADAPTIVE, |limiter| limiter.adaptive(JITTER))?,
    ];
    println!("cores: {}", thread::available_parallelism()?);
    println!("ns/op: median over rounds of wall time / operations of all threads");
    println!("control: on free cores, {CONTROL} shrinks as threads are added, down to 1/cores");
    let mut all_within = true;
    for contest in CONTESTS {
        all_within &= compare(&competitors, BASELINE, contest, effort)?;
    }
    // A quick look is for finding out whether it runs.
    let is_quick = effort.divisor > 1;
    Ok(ExitCode::from(u8::from(!all_within && !is_quick)))
}

/// What the arguments ask for. Cargo itself passes `--bench`.
fn effort(arguments: impl Iterator<Item = String>) -> Result<Effort, String> {
    let mut effort = Effort {
        rounds: 21,
        divisor: 1,
    };
    for argument in arguments {
        match argument.as_str() {
            "--bench" => {}
            "--quick" => {
                effort = Effort {
                    rounds: 3,
                    divisor: 20,
                }
            }
            other => return Err(format!("unknown argument {other}; there is only --quick")),
        }
    }
    Ok(effort)
}

/// An acquire alone: the permit is dropped, which keeps its charge.
fn paceline_kept() -> Result<Competitor, paceline::Error> {
    use paceline::{Cost, RateLimiter, Unit};

    thread_local! {
        static LEFT: Cell<u32> = const { Cell::new(0) };
    }
    let limiter = RateLimiter::new(limits()?);
    Ok(Competitor::new(PLAIN, move || {
        let left = LEFT.get();
        LEFT.set(left.wrapping_sub(1));
        if left == 0 {
            LEFT.set(FILLED_AFTER);
            for unit in [Unit::Tokens, Unit::Requests] {
                if limiter.set_level(unit, MINUTE, i64::MAX).is_err() {
                    return false;
                }
            }
        }
        let cost = Cost::tokens(u64::from(black_box(TOKENS)));
        black_box(&limiter.acquire(cost)).is_ok()
    }))
}

fn limits() -> Result<paceline::Limits, paceline::Error> {
    paceline::Limits::builder()
        .tokens_per_minute(TOKENS_PER_MINUTE)
        .requests_per_minute(REQUESTS_PER_MINUTE)
        .build()
}

/// An acquire and its refund, with or without following what a server says.
fn paceline(
    name: &'static str,
    set: impl FnOnce(paceline::RateLimiterBuilder) -> paceline::RateLimiterBuilder,
) -> Result<Competitor, paceline::Error> {
    use paceline::{Cost, RateLimiter};

    let limiter = set(RateLimiter::builder(limits()?)).build();
    Ok(Competitor::new(name, move || {
        let permit = limiter.acquire(Cost::tokens(u64::from(black_box(TOKENS))));
        permit.map(paceline::Permit::refund).is_ok()
    }))
}

/// Two GCRA limiters. Its largest quota is below the others': 2³² − 1 tokens a second, one a
/// nanosecond. An operation may well be faster than that, 25 ns, but the burst of 4.3 s covers
/// the difference.
fn governor() -> Competitor {
    use governor::{Quota, RateLimiter};

    const N: NonZeroU32 = NonZeroU32::MIN.saturating_add(TOKENS - 1);
    let requests = RateLimiter::direct(Quota::per_second(NonZeroU32::MAX));
    let tokens = RateLimiter::direct(Quota::per_second(NonZeroU32::MAX));
    Competitor::new(BASELINE, move || {
        black_box(&requests.check()).is_ok()
            && matches!(black_box(&tokens.check_n(black_box(N))), Ok(Ok(())))
    })
}

/// The same by the system's clock.
fn governor_by_the_system() -> Competitor {
    use governor::clock::MonotonicClock;
    use governor::{Quota, RateLimiter};

    const N: NonZeroU32 = NonZeroU32::MIN.saturating_add(TOKENS - 1);
    let limiter =
        || RateLimiter::direct_with_clock(Quota::per_second(NonZeroU32::MAX), MonotonicClock);
    let (requests, tokens) = (limiter(), limiter());
    Competitor::new("governor, system's clock", move || {
        black_box(&requests.check()).is_ok()
            && matches!(black_box(&tokens.check_n(black_box(N))), Ok(Ok(())))
    })
}

/// Two lock-free token buckets, full at the start.
fn ratelimit() -> Result<Competitor, ratelimit::Error> {
    let bucket = |amount| {
        ratelimit::Ratelimiter::builder(amount)
            .period(MINUTE)
            .initial_available(amount)
            .build()
    };
    let requests = bucket(UNLIMITED)?;
    let tokens = bucket(UNLIMITED)?;
    Ok(Competitor::new("ratelimit", move || {
        black_box(&requests.try_wait()).is_ok()
            && black_box(&tokens.try_wait_n(u64::from(black_box(TOKENS)))).is_ok()
    }))
}

/// No limiter at all: one look at the clock, which none of them can do without. It is also the
/// control: two threads on two free cores share nothing and halve it. Where it stays as it was
/// with one thread, other programs had the cores, and the table shows time slices instead of
/// contention.
#[allow(
    clippy::disallowed_methods,
    reason = "the real clock is what is measured"
)]
fn clock() -> Competitor {
    Competitor::new(CONTROL, || {
        black_box(Instant::now());
        true
    })
}
