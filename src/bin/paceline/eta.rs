//! How long a run still takes. Pure: the caller passes in the time and the progress.
//!
//! Two estimates are made of each model, and the longer one counts: the recent pace, and what the
//! limits let through. At the start a full bucket makes the pace far too good, and then the limits
//! say better; later the pace knows of latency, refusals and others on the account, which the limits
//! do not.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use paceline::batch::{Bottleneck, ModelProgress, Progress};
use paceline::{QuotaSnapshot, Snapshot, Unit};

use crate::numbers::lasting;
use crate::pace::Spent;

/// Until this part of the requests has ended and this time has passed, an estimate is a guess.
/// Tested by `a_steady_run_is_foreseen_within_a_fifth`.
const PART: f64 = 0.1;
const TIME: Duration = Duration::from_secs(30);
/// The pace is that of the last half of the time, and of the last minute once that is less.
const MINUTE: Duration = Duration::from_secs(60);
/// The pace of fewer requests is a wide guess: the time that ten random ones take varies by a third (1 / √10).
const FEW: u64 = 10;
/// During a pause of at least this length the pace's clock stands still; shorter ones count in the pace.
/// Tested by `a_pause_that_is_announced_is_added_and_spoils_no_pace`.
const LONG_PAUSE: Duration = Duration::from_secs(5);
/// Seconds for which a limit still counts as binding after a request last waited for it: between two
/// waits no request does.
const WAITED_FOR: f64 = 5.0;
/// The factor by which a guess may be off, and one of fewer than [`FEW`] requests.
/// Tested by `before_it_is_sure_it_is_a_guess_that_the_truth_is_in`.
const SPREAD: f64 = 1.5;
const WIDE_SPREAD: f64 = 2.5;

/// How long a run still takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum TimeLeft {
    /// Nothing can be said.
    Unknown,
    /// Right within a fifth, as long as conditions stay.
    About(Duration),
    /// A guess.
    Between(Duration, Duration),
}

impl TimeLeft {
    /// `about 3 min 05 s left`, `about 4 to 9 min left (guess)`.
    pub(crate) fn words(self) -> Option<String> {
        match self {
            Self::Unknown => None,
            Self::About(left) => Some(format!("about {} left", lasting(left))),
            Self::Between(low, high) => {
                let (unit, name) = match high.as_secs() {
                    0..100 => (1, "s"),
                    100..6_000 => (60, "min"),
                    _ => (3_600, "h"),
                };
                let (low, high) = (low.as_secs() / unit, high.as_secs().div_ceil(unit).max(1));
                Some(match low {
                    0 => format!("up to {high} {name} left (guess)"),
                    low if low == high => format!("about {high} {name} left (guess)"),
                    low => format!("about {low} to {high} {name} left (guess)"),
                })
            }
        }
    }
}

/// Estimates of one run, look by look.
#[derive(Debug, Default)]
pub(crate) struct Eta {
    last_look: Option<Instant>,
    /// Time in which the run could get on.
    active: f64,
    stands_still: bool,
    models: Vec<Model>,
}

/// What is known of one model.
#[derive(Debug, Default)]
struct Model {
    name: String,
    /// By the active time: requests ended and tokens started, the oldest first.
    samples: VecDeque<(f64, u64, u64)>,
    /// When a request last waited for a limit on tokens.
    waited_for_tokens: Option<f64>,
    /// What went out of each bucket, net of what came back.
    spent: Vec<Spent>,
}

impl Eta {
    /// Looks at a run, and estimates.
    pub(crate) fn look(
        &mut self,
        now: Instant,
        progress: &Progress,
        bottleneck: &Bottleneck,
        models: &[(ModelProgress, Snapshot)],
    ) -> TimeLeft {
        let since = self.last_look.replace(now).unwrap_or(now);
        self.stands_still = match bottleneck {
            Bottleneck::Pause { left, .. } => self.stands_still || *left >= LONG_PAUSE,
            Bottleneck::Disk | Bottleneck::Held(_) => true,
            _ => false,
        };
        if !self.stands_still {
            self.active += now.saturating_duration_since(since).as_secs_f64();
        }
        for (index, (of, snapshot)) in models.iter().enumerate() {
            if self.models.len() == index {
                self.models.push(Model::default());
            }
            self.models[index].look(now, self.active, of, snapshot);
        }
        let Some(total) = progress.total else {
            return TimeLeft::Unknown;
        };
        let remaining = total.saturating_sub(progress.done());
        if remaining == 0 {
            return TimeLeft::About(Duration::ZERO);
        }
        self.estimate(progress, remaining, bottleneck, models)
    }

    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    fn estimate(
        &self,
        progress: &Progress,
        remaining: u64,
        bottleneck: &Bottleneck,
        models: &[(ModelProgress, Snapshot)],
    ) -> TimeLeft {
        let read: u64 = models.iter().map(|(of, _)| of.read).sum();
        let known: u64 = models.iter().map(|(of, _)| of.read - of.ended).sum();
        // What is not read yet is taken to be as what was.
        let more = remaining.saturating_sub(known) as f64 / read.max(1) as f64;
        let mut longest: Option<Estimate> = None;
        for (model, (of, snapshot)) in self.models.iter().zip(models) {
            if of.read == of.ended && more == 0.0 {
                continue;
            }
            let Some(estimate) = model.estimate(self.active, of, snapshot, more) else {
                return TimeLeft::Unknown;
            };
            if longest.is_none_or(|longest| longest.seconds < estimate.seconds) {
                longest = Some(estimate);
            }
        }
        let Some(Estimate { seconds, of }) = longest else {
            return TimeLeft::Unknown;
        };
        let pause = match bottleneck {
            Bottleneck::Pause { left, .. } => left.as_secs_f64(),
            _ => 0.0,
        };
        let after =
            |seconds: f64| Duration::try_from_secs_f64(seconds + pause).unwrap_or(Duration::MAX);
        let done = (progress.succeeded + progress.failed) as f64;
        let is_sure = done >= PART * (done + remaining as f64)
            && self.active >= TIME.as_secs_f64()
            && of >= FEW;
        match (is_sure, of < FEW) {
            (true, _) => TimeLeft::About(after(seconds)),
            (false, true) => {
                TimeLeft::Between(after(seconds / WIDE_SPREAD), after(seconds * WIDE_SPREAD))
            }
            (false, false) => TimeLeft::Between(after(seconds / SPREAD), after(seconds * SPREAD)),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Estimate {
    seconds: f64,
    /// How many requests the pace was measured by.
    of: u64,
}

impl Model {
    fn look(&mut self, now: Instant, active: f64, of: &ModelProgress, snapshot: &Snapshot) {
        self.name.clone_from(&of.model);
        // 256 · ln 2, about 177 samples for each doubling of the time, so memory stays small.
        let last = self.samples.back().map_or(f64::MIN, |(at, ..)| *at);
        if active - last >= active / 256.0 {
            self.samples
                .push_back((active, of.ended, of.tokens_started));
        }
        let waits = snapshot.waiters > 0 && snapshot.paused_for.is_zero();
        if let Some(binding) = snapshot.binding.filter(|_| waits) {
            let is_tokens = binding.unit() != Unit::Requests;
            self.waited_for_tokens = Some(active).filter(|_| is_tokens);
        }
        self.spent
            .resize_with(snapshot.quotas.len(), Spent::default);
        for (spent, quota) in self.spent.iter_mut().zip(&snapshot.quotas) {
            spent.look(now, quota);
        }
    }

    /// `more` is the part of the requests that were read which is still to be read.
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    fn estimate(
        &self,
        active: f64,
        of: &ModelProgress,
        snapshot: &Snapshot,
        more: f64,
    ) -> Option<Estimate> {
        let unread = more * of.read as f64;
        let waiting = (of.read - of.started) as f64 + unread;
        let left = (of.read - of.ended) as f64 + unread;
        let unread_tokens = more * of.tokens_read as f64;
        let tokens = of.tokens_read.saturating_sub(of.tokens_started) as f64 + unread_tokens;
        let (began, ended, started) = self.window(active);
        let elapsed = active - began;
        let (ended, started) = (of.ended - ended, of.tokens_started - started);
        if ended == 0 || elapsed <= 0.0 {
            return None;
        }
        let requests = ended as f64 / elapsed;
        // The last one takes its time, too.
        let latency = of.in_flight as f64 / requests;
        let is_waited_for = self
            .waited_for_tokens
            .is_some_and(|at| active - at <= WAITED_FOR);
        let by_pace = match is_waited_for && started > 0 {
            true => tokens * elapsed / started as f64 + latency,
            false => left / requests,
        };
        let by_limits = self
            .spent
            .iter()
            .zip(&snapshot.quotas)
            .map(|(spent, quota)| {
                let need = match quota.quota.unit() {
                    Unit::Requests => waiting,
                    _ => tokens * cost_of_a_token(spent, quota, of),
                };
                let rate = quota.quota.amount() as f64 / quota.quota.period().as_secs_f64();
                let rate = rate * (1.0 - quota.others.clamp(0.0, 0.99));
                (need - quota.level as f64) / rate.max(f64::MIN_POSITIVE) + latency
            });
        Some(Estimate {
            seconds: by_limits.fold(by_pace, f64::max),
            of: ended,
        })
    }

    /// The start of the interval whose pace counts.
    fn window(&self, active: f64) -> (f64, u64, u64) {
        let ended = self.samples.back().map_or(0, |(_, ended, _)| *ended);
        let is_early = |(at, count, _): &&(f64, u64, u64)| {
            let age = active - at;
            let is_long = age >= MINUTE.as_secs_f64() && ended - count >= 5 * FEW;
            age >= active / 2.0 || is_long
        };
        let found = self.samples.iter().rev().find(is_early);
        found.copied().unwrap_or_default()
    }
}

/// What a bucket pays in the end for a token of prompt and output cap, by the requests that have ended.
#[allow(clippy::cast_precision_loss, reason = "an estimate")]
fn cost_of_a_token(spent: &Spent, quota: &QuotaSnapshot, of: &ModelProgress) -> f64 {
    let started = of.started.max(1) as f64;
    // Those in flight still hold all that they reserved.
    let reserved = quota.granted as f64 / started;
    let held = (of.started - of.ended) as f64 * reserved;
    let tokens = of.tokens_started as f64 * of.ended as f64 / started;
    match tokens > 0.0 {
        true => ((spent.amount() as f64 - held) / tokens).max(0.0),
        false => 1.0,
    }
}

#[cfg(test)]
mod tests;
