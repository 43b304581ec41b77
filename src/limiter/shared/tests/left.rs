//! What the script makes of an answer's word of what is left.

#![allow(
    clippy::cast_possible_truncation,
    reason = "the store reckons shares as doubles, and so does this"
)]

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::super::visit::Left;
use super::*;
use crate::limiter::level::Tick;
use crate::unit::Unit;

/// The formula as it is written down, with every booking and correction kept and summed up each time.
struct Naive {
    rate: i64,
    scale: i64,
    tick: i64,
    full: i64,
    horizon: i64,
    level: i64,
    at: i64,
    time: i64,
    pause: i64,
    changed: i64,
    events: Vec<i64>,
    others: i64,
    /// When the last request left that was learned from, what was left then, and after which events.
    learned: Option<(i64, i64, usize)>,
}

impl Naive {
    fn new(quota: Quota, horizon: i64, now: i64) -> Self {
        let numbers: Vec<i64> = scale::encode(&[quota])
            .split(' ')
            .map(|number| number.parse().unwrap())
            .collect();
        let [rate, scale, tick, full] = numbers[6..] else {
            panic!("ten numbers");
        };
        Self {
            rate,
            scale,
            tick,
            full,
            horizon,
            level: full.min(numbers[4] * scale),
            at: now,
            time: now,
            pause: 0,
            changed: now,
            events: Vec::new(),
            others: 0,
            learned: None,
        }
    }

    fn advance(&mut self, to: i64) {
        self.time = self.time.max(to);
        let ticks = (to - self.at).max(0) / self.tick;
        self.at += ticks * self.tick;
        self.level += ticks * self.rate;
        if self.level >= self.full && ticks > 0 {
            (self.level, self.at) = (self.full, to);
        }
    }

    fn moves(&mut self, tokens: i64) {
        self.events.push(tokens);
        self.level = (self.level - tokens * self.scale).min(self.full);
    }

    fn book(&mut self, tokens: i64, due: i64) {
        self.advance(due);
        assert!(self.level >= (tokens * self.scale).min(self.full));
        self.moves(tokens);
    }

    fn spent(&self, from: usize, until: usize) -> i64 {
        let sum = |count| self.events[..count].iter().sum::<i64>();
        sum(until) - sum(from)
    }

    fn came(&self, from: i64, to: i64) -> i64 {
        (to - from).div_euclid(self.tick) * self.rate
    }

    fn hear(&mut self, left: i64, after: usize, at: i64, is_whole: bool, now: i64) {
        if at < self.changed {
            return;
        }
        if self
            .learned
            .is_none_or(|(before, ..)| at >= before + self.horizon / 2)
        {
            if let Some((before, was_left, from)) = self.learned
                && before >= self.changed
            {
                let came = self.came(before, at);
                let filled = was_left * self.scale + came;
                let missing = filled - self.spent(from, after) * self.scale - left * self.scale;
                let share = match filled <= self.full && came > 0 {
                    true => (missing as f64 / came as f64).clamp(-1.0, 1.0),
                    false => 0.0,
                };
                let others = (3 * self.others) as f64 + share * 1e6;
                self.others = ((others / 4.0).floor() as i64).clamp(0, 950_000);
            }
            self.learned = Some((at, left, after));
        }
        let came = self.came(at, self.at);
        let filled = left * self.scale + came;
        let theirs = came.max(0) as f64 / 1e6 * self.others as f64;
        let spent = self.spent(after, self.events.len()) * self.scale;
        let more = (filled - spent - theirs.floor() as i64).min(self.full) - self.level;
        let is_lost = !is_whole || filled > self.full || self.pause > now;
        match more {
            1.. if is_lost => {}
            _ if -more as f64 > self.full as f64 / 10.0 => self.level += more,
            _ => self.level += more.div_euclid(4),
        }
    }
}

#[derive(Debug, Clone)]
enum Do {
    Ask(Vec<u64>),
    Give(u64),
    Take(u64),
    Pause(u64),
    Level(i64),
    /// Of how many visits ago, how long ago, what was left, and whether of the quota itself.
    Hear(usize, u64, i64, bool),
}

fn steps() -> impl Strategy<Value = Vec<Do>> {
    let step = prop_oneof![
        4 => prop::collection::vec(0..60_u64, 0..4).prop_map(Do::Ask),
        1 => (0..200_u64).prop_map(Do::Give),
        1 => (0..200_u64).prop_map(Do::Take),
        1 => (0..500_u64).prop_map(Do::Pause),
        1 => (-100..500_i64).prop_map(Do::Level),
        6 => (0..5_usize, 0..800_u64, -200..900_i64, any::<bool>())
            .prop_map(|(visits, ago, left, is_whole)| Do::Hear(visits, ago, left, is_whole)),
    ];
    prop::collection::vec(step, 1..40)
}

#[test]
fn the_level_follows_what_answers_say_is_left_by_the_formula() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut runner = TestRunner::new(Config::with_cases(150));
    let limiters = std::cell::Cell::new(0);
    let heard_of = std::cell::Cell::new([0_u32; 3]);
    let course = ((1..2_000_u64, 1..100_000_u64, 1..1_000_u64), steps());
    let result = runner.run(&course, |((amount, period, burst), steps)| {
        let limiter = limiters.replace(limiters.get() + 1);
        let period = Duration::from_micros(period * 10);
        let quota = Quota::new(Unit::Tokens, amount, period).unwrap();
        let quota = quota.burst_of(burst);
        let mut process = Process::new(&server, &format!("m{limiter}"), "a", &[quota]);
        process.manners.horizon = Duration::from_millis(2);
        let first = process.ask(&[]);
        let mut naive = Naive::new(quota, 2_000, first.now.cast_signed());
        let mut visits = vec![(first.booked[1] + first.moved[1], 0)];
        for (step, what) in steps.into_iter().enumerate() {
            let told = &mut process.visit.told;
            let mut costs = Vec::new();
            // What an earlier visit counted.
            let then = |back: usize| visits[visits.len().saturating_sub(back + 1)];
            process.visit.at = Tick(1_000_000);
            match &what {
                Do::Ask(asked) => costs = asked.iter().map(|cost| Cost::tokens(*cost)).collect(),
                Do::Give(tokens) => told.given = [0, *tokens, 0, 0],
                Do::Take(tokens) => told.taken = [0, *tokens, 0, 0],
                Do::Pause(length) => {
                    told.orders
                        .push(Order::Pause(Tick((1_000 + length) * 1_000)));
                }
                Do::Level(left) => told.orders.push(Order::Level(Unit::Tokens, period, *left)),
                Do::Hear(back, ago, left, is_whole) => told.left.push(Left {
                    unit: Unit::Tokens,
                    period,
                    units: *left,
                    counted: then(*back).0,
                    at: Tick((1_000 - ago) * 1_000),
                    is_whole: *is_whole,
                }),
            }
            let heard = process.ask(&costs);
            let now = heard.now.cast_signed();
            naive.advance(now.max(naive.time));
            let before = naive.level;
            match what {
                Do::Give(amount) => naive.moves(-amount.cast_signed()),
                Do::Take(amount) => naive.moves(amount.cast_signed()),
                Do::Pause(length) => naive.pause = naive.pause.max(now + length.cast_signed()),
                Do::Level(left) => {
                    naive.level = (left * naive.scale).min(naive.full);
                    naive.changed = now;
                }
                Do::Hear(back, ago, left, is_whole) => {
                    naive.hear(left, then(back).1, now - ago.cast_signed(), is_whole, now);
                    let mut counts = heard_of.get();
                    counts[0] += u32::from(naive.level > before);
                    counts[1] += u32::from(naive.level < before);
                    counts[2] += u32::from(naive.others > 0);
                    heard_of.set(counts);
                }
                Do::Ask(_) => {}
            }
            for (cost, due) in costs.iter().zip(&heard.dues) {
                naive.book(cost.tokens.cast_signed(), due.cast_signed());
            }
            prop_assert_eq!(naive.time, heard.time.cast_signed(), "step {}", step);
            let whole = naive.level.div_euclid(naive.scale);
            prop_assert_eq!(whole, heard.levels[0], "step {}", step);
            prop_assert!(naive.level <= naive.full, "step {}", step);
            let counted = heard.booked[1] + heard.moved[1];
            prop_assert_eq!(naive.spent(0, naive.events.len()), counted, "step {}", step);
            visits.push((counted, naive.events.len()));
        }
        Ok(())
    });
    result.unwrap();
    let heard_of = heard_of.get();
    assert!(heard_of.iter().all(|count| *count > 0), "{heard_of:?}");
}

/// One a second, so that next to nothing comes in during a test.
fn hourly() -> Quota {
    Quota::per_hour(Unit::Tokens, 3_600).unwrap()
}

/// Tells that so much was left just now, with all counted that the last answer had.
fn say(process: &mut Process, last: &Heard, units: i64, is_whole: bool) -> Heard {
    process.visit.told.left.push(Left {
        unit: Unit::Tokens,
        period: hourly().period(),
        units,
        counted: last.booked[1] + last.moved[1],
        at: process.visit.at,
        is_whole,
    });
    process.ask(&[])
}

#[test]
fn what_is_far_lower_is_taken_over_whole_and_all_else_by_a_quarter() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut one = Process::new(&server, "m", "one", &[hourly()]);
    let mut two = Process::new(&server, "m", "two", &[hourly()]);
    let begun = one.ask(&[]);
    two.ask(&[]);
    let heard = one.ask(&[Cost::tokens(600)]);
    // The answer to a request that was booked before counts the 600 on top.
    let heard_of = say(&mut one, &begun, 2_800, true).levels[0];
    assert!((2_200..2_210).contains(&heard_of), "{heard_of}");
    let raised = say(&mut two, &heard, 3_000, true).levels[0];
    assert!((2_400..2_410).contains(&raised), "a quarter: {raised}");
    let lowered = say(&mut one, &heard, 2_200, true).levels[0];
    assert!((2_345..2_360).contains(&lowered), "a quarter: {lowered}");
    let capped = say(&mut one, &heard, 3_500, false).levels[0];
    assert!((2_345..2_365).contains(&capped), "another limit: {capped}");
    let beyond = say(&mut one, &heard, 3_650, true).levels[0];
    assert!((2_345..2_370).contains(&beyond), "a larger one: {beyond}");
    one.order(Order::Pause(Tick(60_000_000_000)));
    let paused = say(&mut one, &heard, 3_500, true).levels[0];
    assert!((2_345..2_375).contains(&paused), "a pause: {paused}");
}

#[test]
fn what_a_store_counted_that_has_forgotten_it_says_nothing() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut one = Process::new(&server, "m", "one", &[hourly()]);
    let heard = one.ask(&[Cost::tokens(600)]);
    server.say(&["FLUSHALL"]);
    let mut two = Process::new(&server, "m", "two", &[hourly()]);
    two.ask(&[]);
    one.visit.joins = Process::new(&server, "m", "one", &[hourly()]).visit.joins;
    assert!(say(&mut one, &heard, 5, true).levels[0] >= 3_600);
    let heard = two.ask(&[]);
    assert!(say(&mut two, &heard, 5, true).levels[0] < 10, "of its own");
}
