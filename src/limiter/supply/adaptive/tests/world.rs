//! A server and its way, in a time of their own: a whole run takes milliseconds, and every
//! machine gets the same one.
//!
//! The server is not the simulator and shares nothing with the limiter: it counts what is used, in
//! floating point.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of tests, whose amounts and times are small"
)]

#[cfg(feature = "redis")]
mod store; // many processes

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use crate::cost::Cost;
use crate::limiter::Priority;
use crate::limiter::bucket::Tick;
use crate::limiter::queue::{Answer, Asked, Grant, Rules, WaitQueue};
use crate::limiter::snapshot::QuotaSnapshot;
use crate::limiter::window::Landing;
use crate::observation::{LimitStatus, Observation, Refusal};
use crate::quota::Limits;
use crate::unit::Unit;

const MINUTE: f64 = 60.0;
pub(super) const JITTER: Duration = Duration::from_millis(100);

/// What the server's answers say of its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Everything,
    /// Only what remains.
    Remaining,
    /// Only how long to wait, when it refuses.
    Wait,
    /// The same, and what the limit is.
    Refusals,
    Nothing,
}

/// How many a server serves at once.
#[derive(Debug, Clone)]
pub(super) struct Room {
    pub(super) slots: usize,
    /// How many more it lets wait.
    pub(super) queue: usize,
    /// What it says to all others.
    pub(super) refuses: Observation,
    /// How much the time that it takes varies: the sigma of its logarithm.
    pub(super) sigma: f64,
    pub(super) busy: usize,
    pub(super) waiting: VecDeque<(usize, Grant)>,
}

impl Room {
    pub(super) fn new(slots: usize, queue: usize, refuses: Observation) -> Self {
        Self {
            slots,
            queue,
            refuses,
            sigma: 0.0,
            busy: 0,
            waiting: VecDeque::new(),
        }
    }
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// Tokens a minute.
    pub(super) limit: f64,
    /// The bucket, in seconds.
    pub(super) burst: f64,
    /// The length of its windows, in seconds, where it counts in windows.
    pub(super) window: Option<f64>,
    /// Whether it counts requests and no tokens.
    pub(super) counts_requests: bool,
    /// What a token is charged.
    pub(super) factor: f64,
    /// By how much charges vary around that, as a share.
    pub(super) spread: f64,
    /// The share of the limit that a neighbour takes, and how often.
    pub(super) neighbour: Option<(f64, f64)>,
    /// Other limits from a time on.
    pub(super) changes: Vec<(f64, f64)>,
    pub(super) said: Said,
    /// The mean time that answers take, in seconds.
    pub(super) latency: f64,
    /// Whether its refusals name the limit that they are for.
    pub(super) names_unit: bool,
    /// How many it serves at once, where that is what it limits.
    pub(super) room: Option<Room>,
    /// The request, by its place, that gets one refusal with the numbers of a guide.
    pub(super) sample_at: Option<u64>,
    pub(super) used: f64,
    pub(super) at: f64,
    pub(super) owed: f64,
    pub(super) next: f64,
}

impl Server {
    pub(super) fn new(limit: f64, burst: f64) -> Self {
        Self {
            limit,
            burst,
            window: None,
            counts_requests: false,
            factor: 1.0,
            spread: 0.1,
            neighbour: None,
            changes: Vec::new(),
            said: Said::Everything,
            latency: 0.3,
            names_unit: true,
            room: None,
            sample_at: None,
            used: 0.0,
            at: 0.0,
            owed: 0.0,
            next: 0.0,
        }
    }

    fn capacity(&self) -> f64 {
        match self.window {
            Some(window) => self.limit * window / MINUTE,
            None => self.limit * self.burst / MINUTE,
        }
    }

    /// Lets time pass, with all that happens in it.
    fn advance(&mut self, now: f64) {
        loop {
            let change = self.changes.first().map_or(f64::INFINITY, |(at, _)| *at);
            let neighbour = self
                .neighbour
                .map_or(f64::INFINITY, |(_, every)| self.next + every);
            let next = change.min(neighbour).min(now);
            self.leak(next);
            if next == now {
                return;
            }
            if next == change {
                self.limit = self.changes.remove(0).1;
            } else if let Some((share, every)) = self.neighbour {
                self.next += every;
                self.owed += share * every * self.limit / MINUTE;
            }
        }
    }

    fn leak(&mut self, now: f64) {
        match self.window {
            Some(window) if (now / window).floor() > (self.at / window).floor() => self.used = 0.0,
            Some(_) => {}
            None => self.used = (self.used - (now - self.at) * self.limit / MINUTE).max(0.0),
        }
        // The neighbour goes first.
        let taken = self.owed.min((self.capacity() - self.used).max(0.0));
        self.owed -= taken;
        self.used += taken;
        self.at = now;
    }

    /// Takes a charge, or says after what time it would.
    fn admit(&mut self, charge: f64, now: f64) -> Result<(), f64> {
        self.advance(now);
        let over = self.used + charge - self.capacity().max(charge);
        if over <= 0.0 {
            self.used += charge;
            return Ok(());
        }
        Err(match self.window {
            Some(window) => window - now % window,
            None => over / self.limit * MINUTE,
        })
    }

    fn observation(&self, asked: Result<(), f64>, charge: f64, now: f64) -> Observation {
        let mut observation = match asked {
            Ok(()) => Observation::admitted(),
            Err(_) if self.said == Said::Nothing => Observation::refused(Refusal::default()),
            Err(wait) => Observation::refused(Refusal {
                unit: self.names_unit.then_some(Unit::Tokens),
                period: self.names_unit.then_some(Duration::from_secs(60)),
                limit: (self.said != Said::Wait).then_some(self.limit as u64),
                requested: (self.said != Said::Wait).then_some(charge as u64),
                wait: Some(Duration::from_secs_f64((wait * 1e3).ceil() / 1e3)),
                is_for_room: false,
            }),
        };
        let mut report = LimitStatus::of(Unit::Tokens);
        report.remaining = Some((self.capacity() - self.used).max(0.0) as u64);
        if self.said == Said::Everything {
            report.limit = Some(self.limit as u64);
            let reset = match self.window {
                Some(window) => window - now % window,
                None => self.used / self.limit * MINUTE,
            };
            report.reset = Some(Duration::from_secs_f64((reset * 1e3).ceil() / 1e3));
        }
        if matches!(self.said, Said::Everything | Said::Remaining) {
            observation = observation.with(report);
        }
        observation
    }
}

/// A refusal with the numbers of a guide, which contradict each other.
fn sample() -> Observation {
    let report = |unit, limit, seconds| LimitStatus {
        limit: Some(limit),
        remaining: Some(0),
        reset: Some(Duration::from_secs(seconds)),
        ..LimitStatus::of(unit)
    };
    Observation::refused(Refusal {
        wait: Some(Duration::from_secs(1)),
        ..Refusal::default()
    })
    .with(report(Unit::Requests, 60, 1))
    .with(report(Unit::Tokens, 150_000, 360))
}

/// Numbers that look like chance: Steele, Lea and Flood's `SplitMix64`.
#[derive(Debug, Clone)]
struct Chance(u64);

impl Chance {
    /// Evenly from 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.next()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.next()).cos()
    }

    /// With this mean, and this sigma of the logarithm.
    fn lognormal(&mut self, mean: f64, sigma: f64) -> f64 {
        mean * (sigma * self.normal() - sigma * sigma / 2.0).exp()
    }
}

/// What came of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    pub(super) refused: usize,
    /// The most that a single request was refused.
    pub(super) most_refused: usize,
    /// When the server let in the last request, in seconds.
    pub(super) last: f64,
    /// When the last request was granted, in seconds.
    pub(super) last_sent: f64,
    /// When the last answer came, in seconds.
    pub(super) ended: f64,
    /// The most in flight, in all and after the first 50 answers.
    pub(super) most: u64,
    pub(super) most_later: u64,
    pub(super) answers: usize,
    /// What the limiter's snapshot says of its limit at the end.
    pub(super) known: Option<QuotaSnapshot>,
}

enum Event {
    Alarm(usize, Tick),
    /// A request of a process's lane joins its line.
    Join(usize),
    /// A process goes to the store, or hears its answer.
    #[cfg(feature = "redis")]
    Store(store::Step),
    Arrives(usize, Grant),
    Answered(usize, Grant, Observation),
    /// One of the server's slots is free again.
    Served(usize, Grant),
    /// A process dies.
    #[cfg(feature = "redis")]
    Dies(usize),
}

/// A run of many requests, one after the other into the line.
pub(super) struct World {
    pub(super) server: Server,
    /// One for each process.
    queues: Vec<WaitQueue>,
    #[cfg(feature = "redis")]
    store: Option<store::Store>,
    costs: Vec<(u64, f64)>,
    refusals: Vec<usize>,
    chance: Chance,
    events: BinaryHeap<Reverse<(u64, usize)>>,
    what: Vec<Option<Event>>,
    /// Requests in line, with their places.
    waiting: Vec<(usize, u64)>,
    priorities: Vec<VecDeque<usize>>,
    in_lane: Vec<Option<usize>>,
    /// Whose each request is, and whether it has been answered.
    owners: Vec<usize>,
    is_done: Vec<bool>,
    is_dead: Vec<bool>,
    outcome: Outcome,
}

impl World {
    /// This many requests, whose charges are `total` together.
    pub(super) fn new(
        server: Server,
        limits: &Limits,
        requests: usize,
        total: f64,
        seed: u64,
    ) -> Self {
        let rules = Rules {
            jitter: Some(JITTER),
            ..Rules::default()
        };
        let mut chance = Chance(seed);
        let mut charges: Vec<f64> = (0..requests).map(|_| 0.2 + 1.6 * chance.next()).collect();
        let sum: f64 = charges.iter().sum();
        for charge in &mut charges {
            *charge = (*charge * total / sum).round();
        }
        let costs = charges.into_iter().map(|charge| {
            let spread = 1.0 + server.spread * (2.0 * chance.next() - 1.0);
            ((charge / server.factor * spread).max(1.0) as u64, charge)
        });
        Self {
            queues: vec![WaitQueue::new(limits, rules, Tick(0))],
            #[cfg(feature = "redis")]
            store: None,
            costs: costs.collect(),
            refusals: vec![0; requests],
            chance,
            events: BinaryHeap::new(),
            what: Vec::new(),
            waiting: Vec::new(),
            priorities: vec![(0..requests).collect()],
            in_lane: vec![None],
            owners: vec![0; requests],
            is_done: vec![false; requests],
            is_dead: vec![false],
            outcome: Outcome::default(),
            server,
        }
    }

    fn at(&mut self, now: u64, after: f64, event: Event) {
        let at = now + (after * 1e9) as u64;
        self.events.push(Reverse((at, self.what.len())));
        self.what.push(Some(event));
    }

    /// Plays until every request has been answered.
    pub(super) fn run(mut self) -> Outcome {
        for process in 0..self.queues.len() {
            self.at(0, 0.0, Event::Join(process));
        }
        let mut now = 0;
        while let Some(Reverse((at, number))) = self.events.pop() {
            now = at;
            let Some(event) = self.what[number].take() else {
                continue;
            };
            self.happens(event, now);
            for process in (0..self.queues.len())
                .filter(|it| !self.is_dead[*it])
                .collect::<Vec<_>>()
            {
                self.queues[process].serve(Tick(now));
                self.collect(process, now);
                if let Some(alarm) = self.queues[process].alarm_needed() {
                    let wait = alarm.0.saturating_sub(now) as f64 / 1e9;
                    self.at(now, wait, Event::Alarm(process, alarm));
                }
                #[cfg(feature = "redis")]
                self.call(process, now);
            }
        }
        assert!(self.waiting.is_empty(), "someone waits for ever");
        self.outcome.known = self.queues[0].snapshot(Tick(now)).quotas.first().copied();
        self.outcome.most_refused = self.refusals.iter().copied().max().unwrap_or(0);
        self.outcome
    }

    fn happens(&mut self, event: Event, now: u64) {
        let seconds = now as f64 / 1e9;
        match event {
            Event::Alarm(process, set_for) => self.queues[process].alarm_rang(set_for),
            #[cfg(feature = "redis")]
            Event::Store(step) => self.syncs(step, now),
            Event::Join(process) => {
                let Some(next) = self.priorities[process].pop_front() else {
                    return;
                };
                self.in_lane[process] = Some(next);
                let cost = Cost::tokens(self.costs[next].0);
                self.join(next, cost, None, now);
            }
            Event::Arrives(request, grant) if self.server.room.is_some() => {
                self.arrives(request, grant, now);
            }
            Event::Served(request, grant) => {
                self.outcome.last = seconds;
                let admitted = Observation::admitted();
                self.at(now, 0.0, Event::Answered(request, grant, admitted));
                let room = self.server.room.as_mut().unwrap();
                room.busy -= 1;
                if let Some((next, grant)) = room.waiting.pop_front() {
                    self.arrives(next, grant, now);
                }
            }
            Event::Arrives(request, grant) if self.server.sample_at == Some(grant.place) => {
                self.server.sample_at = None;
                self.at(now, 0.001, Event::Answered(request, grant, sample()));
            }
            Event::Arrives(request, grant) => {
                let charge = match self.server.counts_requests {
                    true => 1.0,
                    false => self.costs[request].1,
                };
                let asked = self.server.admit(charge, seconds);
                let observation = self.server.observation(asked, charge, seconds);
                let latency = match asked {
                    Ok(()) => {
                        self.outcome.last = seconds;
                        self.chance.lognormal(self.server.latency, 0.4)
                    }
                    Err(_) => 0.001,
                };
                self.at(now, latency, Event::Answered(request, grant, observation));
            }
            Event::Answered(request, ..) if self.is_dead[self.owners[request]] => {}
            #[cfg(feature = "redis")]
            Event::Dies(process) => self.dies(process, now),
            Event::Answered(request, grant, observation) => {
                let queue = &mut self.queues[self.owners[request]];
                queue.bring_up_to(Tick(now));
                let cost = Cost::tokens(self.costs[request].0);
                queue.observe(&grant, cost, &observation, Tick(now));
                let landing = match observation.outcome {
                    crate::Outcome::Admitted => Landing::Admitted,
                    _ => Landing::Unknown,
                };
                queue.landed(landing, grant.at, Tick(now));
                if observation.outcome == crate::Outcome::Admitted {
                    self.outcome.ended = seconds;
                    self.is_done[request] = true;
                    self.outcome.answers += 1;
                } else {
                    self.refusals[request] += 1;
                    self.outcome.refused += 1;
                    self.join(request, cost, Some(grant.place), now);
                }
            }
        }
    }

    /// A request comes to a server that serves a fixed number at once.
    fn arrives(&mut self, request: usize, grant: Grant, now: u64) {
        let Some(room) = &mut self.server.room else {
            return;
        };
        if room.busy < room.slots {
            room.busy += 1;
            let sigma = room.sigma;
            let latency = self.chance.lognormal(self.server.latency, sigma);
            self.at(now, latency, Event::Served(request, grant));
        } else if room.waiting.len() < room.queue {
            room.waiting.push_back((request, grant));
        } else {
            let refuses = room.refuses.clone();
            self.at(now, 0.001, Event::Answered(request, grant, refuses));
        }
    }

    fn join(&mut self, request: usize, cost: Cost, place: Option<u64>, now: u64) {
        let asked = Asked {
            cost,
            priority: Priority::Batch,
            place,
        };
        let process = self.owners[request];
        let waiter = self.queues[process].join(asked, None, None, Tick(now));
        self.waiting.push((request, waiter.unwrap().place));
    }

    /// Sends those whose turn has come.
    fn collect(&mut self, process: usize, now: u64) {
        let Some(answered) = self.queues[process].take_answered() else {
            return;
        };
        for (waiter, answer) in answered.iter() {
            let owners = &self.owners;
            let index = self
                .waiting
                .iter()
                .position(|(of, place)| owners[*of] == process && *place == waiter.place);
            let (request, _) = self.waiting.swap_remove(index.unwrap());
            match answer {
                Answer::Granted(grant) => {
                    let way = 0.0005 + 0.005 * self.chance.next();
                    self.at(now, way, Event::Arrives(request, grant.clone()));
                }
                other => panic!("request {request} was not granted: {other:?}"),
            }
            self.outcome.last_sent = now as f64 / 1e9;
            let in_flight = self.queues[process].snapshot(Tick(now)).in_flight;
            self.outcome.most = self.outcome.most.max(in_flight);
            if self.outcome.answers >= 50 {
                self.outcome.most_later = self.outcome.most_later.max(in_flight);
            }
            if self.in_lane[process] == Some(request) {
                self.in_lane[process] = None;
                self.at(now, 0.000_05, Event::Join(process));
            }
        }
    }
}
