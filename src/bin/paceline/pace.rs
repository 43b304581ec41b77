//! How fast a run goes: each model's rate against its limit.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use paceline::{Quota, QuotaSnapshot, RateLimiter, Snapshot, Unit};

use crate::held::mark;
use crate::numbers::{percent, quota as said};
use crate::plain;
use crate::utc;

const MINUTE: Duration = Duration::from_secs(60);
/// The stretch over which rates are measured: long enough to be calm.
const RATE_OVER: Duration = Duration::from_secs(10);
/// A shorter stretch says nothing.
const AT_LEAST: Duration = Duration::from_secs(2);

/// A count that grows, over the last stretch of time.
#[derive(Debug)]
struct Window {
    over: Duration,
    /// When, and what the count was; the oldest first.
    samples: VecDeque<(Instant, u64)>,
}

impl Window {
    fn new(over: Duration) -> Self {
        Self {
            over,
            samples: VecDeque::new(),
        }
    }

    /// How much came over how long, up to now.
    fn add(&mut self, now: Instant, count: u64) -> (u64, Duration) {
        self.samples.push_back((now, count));
        let age = |at: Instant| now.saturating_duration_since(at);
        // One sample as old as the stretch, or older, is where it begins.
        while self
            .samples
            .get(1)
            .is_some_and(|(at, _)| age(*at) >= self.over)
        {
            self.samples.pop_front();
        }
        let (at, before) = self.samples.front().copied().unwrap_or((now, count));
        (count.saturating_sub(before), age(at))
    }
}

/// The rates of one limiter.
#[derive(Debug)]
pub(crate) struct Pace {
    name: String,
    limiter: RateLimiter,
    rates: Vec<Rate>,
    /// What was waited for last.
    binding: Option<Quota>,
}

impl Pace {
    /// `name` is what it is called on the screen.
    pub(crate) fn new(name: &str, limiter: RateLimiter) -> Self {
        Self {
            name: plain::line(name).into_owned(),
            limiter,
            rates: Vec::new(),
            binding: None,
        }
    }

    pub(crate) fn is_of(&self, limiter: &RateLimiter) -> bool {
        self.limiter.is_same(limiter)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `gpt-4.1  *99 % of 30,000 tokens/minute,  42 % of 500 requests/minute`, with a star at the
    /// limit that is waited for, and `(guess)` or `(reported)` behind a limit that is one. Of a limit per minute it is the rate, of others what is used.
    pub(crate) fn describe(&mut self, width: usize) -> String {
        let now = self.limiter.clock().now();
        let Snapshot {
            quotas,
            paused_for,
            binding,
            ..
        } = self.limiter.snapshot();
        if self.rates.len() != quotas.len() {
            self.rates = quotas.iter().map(|_| Rate::new(now)).collect();
        }
        self.binding = binding.or(self.binding); // between two waits no quota is binding
        let rates = self.rates.iter_mut().zip(&quotas);
        let mut rates: Vec<(Unit, String)> = rates
            .map(|(rate, of)| {
                let star = match self.binding == Some(of.quota) {
                    true => "*",
                    false => " ",
                };
                let share = rate.percent(now, of);
                let quota = said(of.quota).replace(" per ", "/");
                // No jumping while digits come and go.
                let mark = mark(of.origin);
                (
                    of.quota.unit(),
                    format!("{star}{share:>2} % of {quota}{mark}"),
                )
            })
            .collect();
        // Tokens first: they are what most runs wait for.
        rates.sort_by_key(|(unit, _)| *unit == Unit::Requests);
        let rates: Vec<String> = rates.into_iter().map(|(_, text)| text).collect();
        let rates = match rates.is_empty() {
            true => " no limit".to_owned(),
            false => rates.join(", "),
        };
        let paused = match paused_for.is_zero() {
            true => String::new(),
            false => format!(" paused until {},", utc::until(utc::now(), paused_for)),
        };
        format!("{:<width$} {paused}{rates}", self.name)
    }
}

/// How fast one quota is spent.
#[derive(Debug)]
struct Rate {
    window: Window,
    spent: Spent,
}

/// What went out of a bucket, net of what requests give back when they used less than they reserved:
/// that is what the server counts in the end.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    /// The last look: when, what was left, and what had been granted.
    last: Option<(Instant, i64, u64)>,
    amount: u64,
}

impl Rate {
    fn new(now: Instant) -> Self {
        let mut window = Window::new(RATE_OVER);
        window.add(now, 0);
        Self {
            window,
            spent: Spent::default(),
        }
    }

    fn percent(&mut self, now: Instant, of: &QuotaSnapshot) -> u64 {
        self.spent.look(now, of);
        let quota = of.quota;
        if quota.period() != MINUTE {
            let left = u64::try_from(of.level).unwrap_or(0); // debt is nothing left
            return percent(quota.burst().saturating_sub(left), quota.burst());
        }
        let (spent, elapsed) = self.window.add(now, self.spent.amount());
        let millis = elapsed.max(AT_LEAST).as_millis();
        let rate = u128::from(spent) * MINUTE.as_millis() / millis;
        // Above the limit is what stood ready at first.
        percent(u64::try_from(rate).unwrap_or(u64::MAX), quota.amount()).min(100)
    }
}

impl Spent {
    pub(crate) fn amount(&self) -> u64 {
        self.amount
    }

    /// What went out since the last look is what came in, less what the level rose by.
    pub(crate) fn look(&mut self, now: Instant, of: &QuotaSnapshot) {
        let full = of.quota.burst();
        let start = (now, full.cast_signed(), 0);
        let (at, level, granted) = self
            .last
            .replace((now, of.level, of.granted))
            .unwrap_or(start);
        let granted = of.granted.saturating_sub(granted);
        let elapsed = now.saturating_duration_since(at).as_nanos();
        let period = of.quota.period().as_nanos().max(1);
        let came_in = u128::from(of.quota.amount()).saturating_mul(elapsed) / period;
        let came_in = i64::try_from(came_in).unwrap_or(i64::MAX);
        let out = came_in.saturating_add(level.saturating_sub(of.level));
        // A bucket that is full takes in no more.
        let most = match of.level >= full.cast_signed() {
            true => granted.cast_signed(),
            false => i64::MAX,
        };
        self.amount = self.amount.saturating_add_signed(out.min(most));
    }
}

#[cfg(test)]
mod tests {
    use paceline::{Cost, Limits, ManualClock};

    use super::*;

    #[test]
    fn a_rate_is_net_of_what_is_given_back_and_a_full_bucket_spends_nothing() {
        let clock = ManualClock::new();
        let limits = Limits::tokens_per_minute(60_000).unwrap();
        let limiter = RateLimiter::builder(limits).clock(&clock).build();
        let mut pace = Pace::new("m", limiter.clone());
        let expect = |pace: &mut Pace, percent: &str| {
            let text = format!("m   {percent} % of 60,000 tokens/minute");
            assert_eq!(pace.describe(2), text);
        };
        expect(&mut pace, " 0");
        let permit = limiter.acquire(Cost::tokens(10_000)).unwrap();
        permit.settle(Cost::tokens(1_000));
        expect(&mut pace, "50"); // 1,000 in the shortest stretch
        clock.advance(RATE_OVER);
        expect(&mut pace, " 0"); // what came in was not spent
        let permit = limiter.acquire(Cost::tokens(30_000)).unwrap();
        clock.advance(RATE_OVER);
        permit.settle(Cost::tokens(12_000));
        expect(&mut pace, "100"); // 72,000 a minute: what stood ready was used, too
        assert_eq!(pace.rates[0].spent.amount(), 1_000 + 12_000);
    }

    #[test]
    fn the_limit_that_is_waited_for_has_a_star_and_keeps_it_between_two_waits() {
        let clock = ManualClock::new();
        let limits = Limits::builder()
            .per_day(Unit::Requests, 200)
            .tokens_per_minute(60_000)
            .build()
            .unwrap();
        let limiter = RateLimiter::builder(limits).clock(&clock).build();
        let mut pace = Pace::new("m", limiter.clone());
        limiter
            .acquire(Cost::tokens(60_000))
            .unwrap()
            .settle(Cost::tokens(60_000));
        assert_eq!(
            pace.describe(1),
            "m  100 % of 60,000 tokens/minute,   0 % of 200 requests/day"
        );
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| limiter.acquire(Cost::tokens(30_000)).map(drop));
            while limiter.snapshot().waiters == 0 {
                std::thread::yield_now();
            }
            let starred = pace.describe(1);
            assert!(starred.starts_with("m *100 % of 60,000"), "{starred}");
            assert!(
                starred.ends_with(",   0 % of 200 requests/day"),
                "{starred}"
            );
            clock.advance(MINUTE / 2);
            waiting.join().unwrap().unwrap();
        });
        let starred = pace.describe(1);
        assert!(starred.starts_with("m *"), "{starred}");
        assert!(
            starred.ends_with(",   1 % of 200 requests/day"),
            "{starred}"
        );
    }
}
