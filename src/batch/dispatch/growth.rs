//! How many threads a run may start, by what the last ones brought. Pure: the caller passes the time.

use std::time::{Duration, Instant};

/// Threads that are started without a question, for each core: one sends while the other waits. More of them
/// would only wake one another where a server answers at once.
const FEW_EACH: usize = 2;
/// As many on a machine of few or very many cores.
const FEW: std::ops::RangeInclusive<usize> = 4..=64;
/// Threads that may be started in a second before the first request has ended, and shown how long one
/// takes. A bucket of 1,000 requests is out in a quarter of a second, and a server that answers within
/// a millisecond has answered before a hundred are started.
const FIRST_A_SECOND: f64 = 4_000.0;
/// Requests that take longer on average wait for the server: threads are started as they are needed.
/// Those that take less may have to wait for the processor, of which more threads make no more.
const SLOW: f64 = 1.0;
/// Those that take less on average, in seconds, are answered at once: what they take is the time of the processor, and
/// threads wait for one another. Then all but a few rest, for each that is woken costs as much as a request.
const QUICK: f64 = 0.005;
/// The shortest time over which is counted what threads bring.
const LOOK: Duration = Duration::from_millis(100);
/// The part of its own growth by which the throughput has to rise for a step to have brought something.
const GAIN: f64 = 0.5;
/// After a step that brought nothing: how long until the next one. It doubles.
const HOLD: Duration = Duration::from_secs(1);
const MAX_HOLD: Duration = Duration::from_secs(30);

/// Twice as many threads as there were are allowed as long as more of them end more requests. Where all
/// wait for the processor, or for a server that is slow because it is busy, that ends soon; where they
/// wait for a server that takes its time, nothing is held up.
#[derive(Debug)]
pub(in crate::batch) struct Growth {
    /// Threads that are started without a question.
    few: usize,
    began: Option<Instant>,
    ended: u64,
    allowed: usize,
    /// When and with how many ended requests the current look began.
    from: Option<(Instant, u64)>,
    /// Whether more were wanted in it than are allowed.
    was_short: bool,
    /// Threads, and requests ended in a second, at the last look at which threads were short.
    before: Option<(usize, f64)>,
    /// How many seconds a request takes, as far as that is known.
    takes: Option<f64>,
    hold: Duration,
    held_until: Option<Instant>,
}

impl Growth {
    /// On a machine with this many cores.
    pub(in crate::batch) fn new(cores: usize) -> Self {
        let few = cores
            .saturating_mul(FEW_EACH)
            .clamp(*FEW.start(), *FEW.end());
        Self {
            few,
            began: None,
            ended: 0,
            allowed: few,
            from: None,
            was_short: false,
            before: None,
            takes: None,
            hold: HOLD,
            held_until: None,
        }
    }

    /// A request has ended.
    pub(in crate::batch) fn ended(&mut self) {
        self.ended += 1;
    }

    /// Whether one more thread may be started or woken, beside `threads` that are at work.
    pub(in crate::batch) fn may_start(&mut self, now: Instant, threads: usize) -> bool {
        let began = *self.began.get_or_insert(now);
        if threads < self.few {
            return true;
        }
        if self.ended == 0 {
            let seconds = now.saturating_duration_since(began).as_secs_f64();
            return (threads as f64) < self.few as f64 + seconds * FIRST_A_SECOND;
        }
        self.look(now, threads);
        let is_slow = self.takes.is_some_and(|takes| takes >= SLOW);
        let may = is_slow || threads < self.allowed;
        self.was_short |= !may;
        may
    }

    /// Whether one of `threads` threads at work is one too many.
    pub(in crate::batch) fn rests(&self, threads: usize) -> bool {
        self.is_quick() && threads > self.allowed
    }

    fn is_quick(&self) -> bool {
        self.takes.is_some_and(|takes| takes < QUICK)
    }

    /// When to ask again, after a no.
    pub(in crate::batch) fn next_look(&self, now: Instant) -> Instant {
        let from = self.from.map_or(now, |(from, _)| from);
        // Before anything has ended, a quarter of a millisecond is one thread.
        let length = match self.ended {
            0 => Duration::from_millis(5),
            _ => self.length(),
        };
        (from + length).max(now + Duration::from_millis(5))
    }

    /// A look takes in twice the time of a request: what a step brings is seen only then.
    fn length(&self) -> Duration {
        let takes = self.takes.unwrap_or(0.0).min(SLOW);
        LOOK.max(Duration::from_secs_f64(2.0 * takes))
    }

    fn look(&mut self, now: Instant, threads: usize) {
        if self.from.is_none() {
            self.allowed = self.allowed.max(threads); // until it is seen what they bring
        }
        let (from, ended) = *self.from.get_or_insert((now, self.ended));
        let elapsed = now.saturating_duration_since(from);
        if elapsed < self.length() {
            return;
        }
        let rate = (self.ended - ended) as f64 / elapsed.as_secs_f64();
        self.takes = Some(threads as f64 / rate); // infinite when none has ended
        if std::mem::take(&mut self.was_short) {
            self.judge(now, threads, rate);
        }
        self.from = Some((now, self.ended));
    }

    fn judge(&mut self, now: Instant, threads: usize, rate: f64) {
        let grown = |before: usize| threads as f64 / before as f64 - 1.0;
        match self.before.replace((threads, rate)) {
            None if self.is_quick() => self.allowed = self.few,
            None => self.allowed = threads * 2,
            Some((before, slower)) if threads > before => {
                let is_worth_it = rate / slower - 1.0 >= GAIN * grown(before);
                if is_worth_it {
                    self.hold = HOLD;
                    self.allowed = threads * 2;
                } else {
                    self.allowed = if self.is_quick() { before } else { threads };
                    self.held_until = Some(now + self.hold);
                    self.hold = MAX_HOLD.min(self.hold * 2);
                }
            }
            // A small step, to see whether that has changed.
            Some(_) if self.held_until.is_none_or(|until| until <= now) => {
                self.allowed = threads + threads.div_ceil(4);
            }
            Some(_) => self.allowed = threads,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limiter::Clock;

    /// A server and a machine: how long a request takes with this many in flight.
    type Takes = fn(usize) -> f64;

    /// How many threads there are after `millis` milliseconds, when one more is always wanted.
    fn threads_after(millis: u64, takes: Takes) -> usize {
        let (start, mut growth) = (Clock::real().now(), Growth::new(2));
        let (mut threads, mut ended) = (0, 0.0);
        let first = Duration::from_secs_f64(takes(1));
        for milli in 0..millis {
            let now = start + Duration::from_millis(milli);
            for _ in 0..64 {
                if growth.may_start(now, threads) {
                    threads += 1;
                }
            }
            if Duration::from_millis(milli) >= first {
                ended += threads as f64 / takes(threads) / 1e3;
            }
            while ended >= 1.0 {
                growth.ended();
                ended -= 1.0;
            }
        }
        threads
    }

    #[test]
    fn threads_that_bring_nothing_are_few() {
        // Two cores, and a quarter of a millisecond of processor time each.
        let busy = threads_after(5_000, |threads| threads as f64 / 8_000.0);
        assert!((4..=100).contains(&busy), "{busy}");
        // Where other programs have nearly all of it.
        let busier = threads_after(20_000, |threads| threads as f64 / 500.0);
        assert!((4..=200).contains(&busier), "{busier}");
    }

    #[test]
    fn a_server_that_takes_its_time_gets_all_at_once() {
        for (takes, after, least) in [
            ((|_| 10.0) as Takes, 1_000, 3_900),
            (|_| 10.0, 12_000, 40_000),
            (|_| 0.5, 1_000, 1_900),
            (|_| 0.5, 10_000, 10_000),
            (|_| 0.02, 3_000, 2_000),
        ] {
            let threads = threads_after(after, takes);
            assert!(threads >= least, "{threads} after {after} ms");
        }
    }

    #[test]
    fn a_server_that_hangs_after_quick_answers_gets_more() {
        let (start, mut growth) = (Clock::real().now(), Growth::new(2));
        let mut threads = 4;
        for milli in 0..3_000 {
            let now = start + Duration::from_millis(milli);
            if milli < 1_000 {
                growth.ended();
            }
            if growth.may_start(now, threads) {
                threads += 1;
            }
        }
        assert!(threads > 500, "{threads}");
    }
}
