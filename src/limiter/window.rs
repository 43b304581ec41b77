//! How many requests may be in flight: a window that opens while throughput grows with it, and
//! stops where more in flight only wait somewhere else.
//!
//! Errors come too late for that: a server with a queue of its own refuses nothing, it only gets
//! slower. So the window goes by throughput and latency. It compares throughput before and after a
//! change of its own size, in time next to each other, because nothing else tells a queue from
//! requests that take longer: in both more are in flight and each takes more time.
//!
//! - *Opening*: nothing has been measured. The window doubles every tenth of a second, more than
//!   any rate admits that a server has, so a slow model is no reason to wait. When the first answer
//!   is there it stays as it is until all requests in flight have turned over.
//! - *Free*: something else binds, a rate or demand. The window stays above what is in flight by a
//!   factor, as far as throughput (not latency) has grown.
//! - *Testing*: the window binds. It is changed, those in flight turn over once, and throughput is
//!   measured. Half of the change has to show in it, or the smaller window is kept.
//! - *Holding*: at the knee, with a test now and then, alternately up and down.
//!
//! Refusals for want of room close it at once to what the server has kept, and a probe of one more,
//! then two, then four, opens it again.
//!
//! Pure: the caller passes the time. `ARCHITECTURE.md` explains the method.

mod probe; // after refusals for want of room
#[cfg(test)]
mod tests; // one moment at a time

use std::collections::VecDeque;
use std::time::Duration;

use super::bucket::Tick;
use probe::Probe;

/// What may be in flight before anything is known.
const START: f64 = 16.0;
/// The time in which that doubles: 30,000 requests a minute never meet it.
const DOUBLING: Duration = Duration::from_millis(100);
/// The window is not free to shrink below this where something else binds.
const LEAST_FREE: f64 = 12.0;
/// Fewer are not tested downward: they do not wait for long, and each test costs a part of them.
const LEAST_TESTED: f64 = 4.0;
/// How far above what is needed the window stays while something else binds, where the rates are
/// unknown, and where they are known.
const SLACK: f64 = 1.5;
const TRUSTED_SLACK: f64 = 3.0;
/// What a test upward and one downward make of the window.
const DOUBLED: f64 = 2.0;
const RAISED: f64 = 1.25;
const LOWERED: f64 = 0.75;
/// A request that ends this many times as late as answers do has timed out; no time-out is shorter than
/// [`SHORTEST_TIMEOUT`].
const TIMED_OUT: f64 = 3.0;
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);
/// Throughput that has grown by this factor since the last epoch continues to grow.
const GROWN: f64 = 1.05;
/// The part of a change of the window that has to show in throughput.
const ELASTICITY: f64 = 0.5;
/// The fewest answers by which the first size is chosen, and by which throughput is compared.
const FIRST_ANSWERS: u64 = 8;
/// Of the first answers, the part whose latency is that of requests which found room at once; and the
/// part of those in flight below which the others must have waited.
const FIRST_PART: u64 = 4;
const MOSTLY_WAITING: f64 = 0.4;
const FEWEST_ANSWERS: u64 = 16;
/// Epochs of holding before the next test: at first, and at most.
const FIRST_HOLD: u32 = 2;
const LONGEST_HOLD: u32 = 32;
/// The epochs whose latency is remembered.
const REMEMBERED: usize = 8;

/// What became of a request that is no longer in flight.
///
/// As wide as its neighbours in a grant: a narrower one costs each copy a wait for the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u64)]
pub(in crate::limiter) enum Landing {
    /// Nothing is known, or nothing that counts.
    #[default]
    Unknown,
    /// The server took it on, and is done.
    Admitted,
}

/// A window over the requests in flight.
#[derive(Debug, Clone)]
pub(in crate::limiter) struct Window {
    limit: f64,
    /// How far it has come.
    now: Tick,
    phase: Phase,
    epoch: Epoch,
    /// Mean latencies of the last epochs in which nothing was held back here, in seconds.
    latencies: VecDeque<f64>,
    /// Answers per second in the last epoch, and their mean latency in seconds.
    throughput: f64,
    latency: f64,
    /// Whether the rates are stated by the user or reported by the server.
    is_trusted: bool,
    /// For how many epochs the next holding lasts.
    hold: u32,
    /// Whether the next test goes up.
    is_up_next: bool,
    probe: Probe,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// From a size, since its first grant, if there was one.
    Opening(f64, Option<Tick>),
    /// The first answers are measured.
    Opened,
    Free,
    Testing(Test),
    /// For this many epochs more.
    Holding(u32),
}

/// A change of the window whose effect is awaited.
#[derive(Debug, Clone, Copy)]
struct Test {
    /// The window before.
    before: f64,
    /// Answers per second before.
    throughput: f64,
}

/// A stretch of answers by which throughput is measured.
#[derive(Debug, Clone, Copy, Default)]
struct Epoch {
    /// Answers to be let pass before it begins.
    settle: u64,
    /// Answers that it takes.
    needed: u64,
    /// When it began.
    since: Tick,
    landed: u64,
    /// The sum of their latencies, in seconds, and of those of the first few.
    latency: f64,
    first_latency: f64,
    /// Whether the window, and nothing else, held a request back in it.
    is_bound: bool,
    /// Whether a rate held a request back in it.
    is_paced: bool,
}

impl Epoch {
    /// Begins now, after `settle` more answers.
    fn new(settle: u64, needed: u64, now: Tick) -> Self {
        Self {
            settle,
            needed,
            since: now,
            ..Self::default()
        }
    }

    /// Counts an answer. Returns whether it was the last.
    fn landed(&mut self, latency: f64, now: Tick) -> bool {
        if self.settle > 0 {
            self.settle -= 1;
            self.since = now;
            (self.is_bound, self.is_paced) = (false, false);
            return false;
        }
        self.landed += 1;
        self.latency += latency;
        if self.landed <= self.first() {
            self.first_latency += latency;
        }
        self.landed >= self.needed
    }

    /// Answers per second.
    fn throughput(&self, now: Tick) -> f64 {
        self.landed as f64 / now.since(self.since).as_secs_f64().max(1e-6)
    }

    fn mean_latency(&self) -> f64 {
        self.latency / self.landed.max(1) as f64
    }

    /// How many are the first few.
    fn first(&self) -> u64 {
        (self.needed / FIRST_PART).max(1)
    }

    fn mean_first_latency(&self) -> f64 {
        self.first_latency / self.first() as f64
    }
}

impl Window {
    pub(in crate::limiter) fn new() -> Self {
        Self {
            limit: START,
            now: Tick::default(),
            phase: Phase::Opening(START, None),
            epoch: Epoch::default(),
            latencies: VecDeque::new(),
            throughput: 0.0,
            latency: 0.0,
            is_trusted: false,
            hold: FIRST_HOLD,
            is_up_next: false,
            probe: Probe::default(),
        }
    }

    /// How many may be in flight.
    pub(in crate::limiter) fn limit(&self) -> u64 {
        whole(self.limit)
    }

    /// Sets whether the rates are stated by the user or reported by the server.
    pub(in crate::limiter) fn trust(&mut self, is_trusted: bool) {
        self.is_trusted = is_trusted;
    }

    /// Advances to `now`.
    pub(in crate::limiter) fn advance(&mut self, now: Tick) {
        if now <= self.now {
            return; // called twice for one change, or by a thread that read the clock before
        }
        self.now = now;
        if let Phase::Opening(from, Some(since)) = self.phase {
            let doublings = now.since(since).as_secs_f64() / DOUBLING.as_secs_f64();
            // Beyond any count of threads.
            let open = from * doublings.min(40.0).exp2();
            self.limit = self.probe.bound(open);
        }
    }

    /// When more than `taken` may be in flight, if only time passes.
    pub(in crate::limiter) fn opens_at(&self, taken: u64) -> Tick {
        let wanted = taken as f64 + 1.0;
        match self.phase {
            Phase::Opening(from, Some(since)) if !self.probe.is_closed() => {
                let doublings = (wanted / from).log2().max(0.0);
                // A microsecond for rounding, which would be an alarm for nothing.
                let after = DOUBLING.mul_f64(doublings) + Duration::from_micros(1);
                since.after(after)
            }
            _ => Tick::NEVER,
        }
    }

    /// A request has left.
    pub(in crate::limiter) fn granted(&mut self, now: Tick) {
        if let Phase::Opening(_, since @ None) = &mut self.phase {
            *since = Some(now);
        }
    }

    /// A request waits although the rates cover it.
    pub(in crate::limiter) fn binds(&mut self) {
        if matches!(self.phase, Phase::Free) && self.is_trusted {
            // More is wanted than ever before, at known rates.
            self.phase = Phase::Opening(self.limit, Some(self.now));
        }
        self.epoch.is_bound = true;
    }

    /// A request waits for a rate.
    pub(in crate::limiter) fn paced(&mut self) {
        self.epoch.is_paced = true;
    }

    /// Whether it makes a difference when a request lands like this.
    pub(in crate::limiter) fn measures(&self, landing: Landing) -> bool {
        landing == Landing::Admitted || self.latency > 0.0
    }

    /// A request that was granted at `sent` is no longer in flight, and `left` are.
    pub(in crate::limiter) fn landed(
        &mut self,
        landing: Landing,
        sent: Tick,
        left: u64,
        now: Tick,
    ) {
        if landing != Landing::Admitted {
            self.lost(now.since(sent), left, now);
            return;
        }
        if let Some(limit) = self.probe.admitted(self.limit, self.epoch.is_bound) {
            self.limit = limit;
        }
        if let Phase::Opening(_, since) = self.phase {
            if since.is_some_and(|since| sent < since) {
                return; // it left before
            }
            self.open(since.unwrap_or(sent), left, now);
        }
        if self.epoch.landed(now.since(sent).as_secs_f64(), now) {
            let ended = self.epoch;
            self.end(ended, left, now);
        }
    }

    /// A request has ended without an answer that counts. Those that have timed out, and no others, took
    /// far longer than answers do: many of them are a sign of too many at once, as an overload is.
    fn lost(&mut self, took: Duration, left: u64, now: Tick) {
        let is_late = self.latency > 0.0 && took.as_secs_f64() > TIMED_OUT * self.latency;
        if is_late && took >= SHORTEST_TIMEOUT {
            self.overloaded(left, now);
        }
    }

    /// The server has refused a request for want of room, with `left` others in flight.
    pub(in crate::limiter) fn refused(&mut self, left: u64, now: Tick) {
        self.limit = self.probe.refused(self.limit, left);
        self.phase = Phase::Holding(self.hold);
        self.measure(left, now);
    }

    /// A server that is overloaded has refused a request, with `left` others in flight: it is one
    /// sign of many, of which a fifth of a window means that they are too many.
    pub(in crate::limiter) fn overloaded(&mut self, left: u64, now: Tick) {
        if self.probe.overloaded(self.limit) {
            self.refused(left, now);
        }
    }

    /// The first answer is there.
    fn open(&mut self, since: Tick, left: u64, now: Tick) {
        let (is_bound, is_paced) = (self.epoch.is_bound, self.epoch.is_paced);
        if !is_bound {
            self.limit = self.probe.bound(f64::MAX); // until all these are there
        }
        self.phase = Phase::Opened;
        self.epoch = Epoch::new(0, left.max(FIRST_ANSWERS), now);
        self.epoch = Epoch {
            since,
            is_bound,
            is_paced,
            ..self.epoch
        };
    }

    /// Whether the window is what held requests back. Where the rates are known they do, too, as soon as
    /// they have held a request back: a burst after a pause is no knee.
    fn is_bound(&self, epoch: &Epoch) -> bool {
        epoch.is_bound && !(self.is_trusted && epoch.is_paced)
    }

    /// An epoch is over.
    fn end(&mut self, epoch: Epoch, left: u64, now: Tick) {
        let throughput = epoch.throughput(now);
        let is_bound = self.is_bound(&epoch);
        let before = std::mem::replace(&mut self.throughput, throughput);
        self.latency = epoch.mean_latency();
        match self.phase {
            // Every landing looks for this phase first.
            Phase::Opening(..) => {}
            Phase::Opened if is_bound => {
                // This many find room at once.
                let room = throughput * epoch.mean_first_latency();
                self.set(room * SLACK);
                match room < MOSTLY_WAITING * left as f64 {
                    true => self.hold(left, now),
                    false => self.test(DOUBLED, throughput, left, now),
                }
            }
            Phase::Opened => {
                let needed = throughput * epoch.mean_latency();
                self.set((needed * TRUSTED_SLACK).max(LEAST_FREE));
                self.free(left, now);
            }
            // A rate that rises holds requests back, too, and throughput still rises with it.
            Phase::Free if is_bound && epoch.is_paced && throughput > GROWN * before => {
                self.set(self.limit * RAISED);
                self.free(left, now);
            }
            Phase::Free if is_bound => {
                let up = self.is_trusted;
                self.test(if up { DOUBLED } else { LOWERED }, throughput, left, now);
            }
            Phase::Free => {
                self.remember(epoch.mean_latency());
                let slack = match self.is_trusted {
                    true => TRUSTED_SLACK,
                    false => SLACK,
                };
                let usual = self.usual_latency().unwrap_or_default();
                self.set((throughput * usual * slack).max(LEAST_FREE));
                self.free(left, now);
            }
            Phase::Testing(_) | Phase::Holding(_) if !is_bound => {
                // Something else binds, so there is nothing to be learned.
                self.latencies.clear();
                self.remember(epoch.mean_latency());
                self.set(self.limit.max(LEAST_FREE));
                self.free(left, now);
            }
            Phase::Testing(test) => self.judge(test, throughput, left, now),
            Phase::Holding(epochs) if epochs > 0 => {
                self.phase = Phase::Holding(epochs - 1);
                self.measure(left, now);
            }
            Phase::Holding(_) => {
                let up = self.is_up_next;
                self.is_up_next = !up;
                let factor = if up { RAISED } else { LOWERED };
                self.test(factor, throughput, left, now);
            }
        }
    }

    /// Whether a change of the window has shown in the throughput, and what comes of that.
    fn judge(&mut self, test: Test, throughput: f64, left: u64, now: Tick) {
        let change = self.limit / test.before - 1.0;
        let shown = throughput / test.throughput - 1.0;
        let follows = match change > 0.0 {
            true => shown >= ELASTICITY * change,
            false => shown <= ELASTICITY * change,
        };
        match (change > 0.0, follows) {
            (true, true) => {
                self.hold = FIRST_HOLD;
                self.test(DOUBLED, throughput, left, now);
            }
            (false, false) => {
                self.hold = FIRST_HOLD;
                self.test(LOWERED, throughput, left, now);
            }
            (true, false) => {
                self.set(test.before * (1.0 + shown.max(0.0)));
                self.rest(left, now);
            }
            (false, true) => {
                self.set(test.before);
                // More may be needed, too, where fewer are not enough.
                self.is_up_next = true;
                self.rest(left, now);
            }
        }
    }

    /// Changes the window to see what comes of it; holds it where there is nothing to change.
    fn test(&mut self, factor: f64, throughput: f64, left: u64, now: Tick) {
        let before = self.limit;
        let target = match factor > 1.0 {
            true => (before * factor).max(before + 1.0),
            false => (before * factor).max(LEAST_TESTED).min(before),
        };
        self.set(target);
        if self.limit() == whole(before) {
            self.limit = before;
            return self.rest(left, now);
        }
        self.phase = Phase::Testing(Test { before, throughput });
        self.measure(left, now);
    }

    /// Holds the window for longer than the last time.
    fn rest(&mut self, left: u64, now: Tick) {
        self.hold = (self.hold * 2).min(LONGEST_HOLD);
        self.hold(left, now);
    }

    fn hold(&mut self, left: u64, now: Tick) {
        self.phase = Phase::Holding(self.hold);
        self.measure(left, now);
    }

    fn free(&mut self, left: u64, now: Tick) {
        self.phase = Phase::Free;
        self.epoch = Epoch::new(0, left.max(FEWEST_ANSWERS), now);
    }

    /// Measures once all requests in flight have turned over.
    fn measure(&mut self, left: u64, now: Tick) {
        let turnover = left.max(self.limit());
        self.epoch = Epoch::new(turnover, self.limit().max(FEWEST_ANSWERS), now);
    }

    fn set(&mut self, limit: f64) {
        self.limit = self.probe.bound(limit.max(1.0));
    }

    fn remember(&mut self, latency: f64) {
        if self.latencies.len() == REMEMBERED {
            self.latencies.pop_front();
        }
        self.latencies.push_back(latency);
    }

    /// The second lowest of the latencies: the lowest is chance.
    fn usual_latency(&self) -> Option<f64> {
        let mut sorted: Vec<f64> = self.latencies.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(1).or(sorted.first()).copied()
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is meant"
)]
fn whole(limit: f64) -> u64 {
    (limit as u64).max(1)
}
