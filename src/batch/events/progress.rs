//! Where a run stands.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::batch::dispatch::lane::Lane;
use crate::batch::events::bottleneck::{Bottleneck, Facts, LimiterFacts};
use crate::batch::events::hold::{Hold, Holds};
use crate::batch::events::reasons::{Failure, Reasons};
use crate::batch::events::resting::Resting;
use crate::batch::machine::InFlightCap;
use crate::batch::money::Money;
use crate::batch::record::{Record, is_retryable, reason_of};
use crate::client::ClientStats;
use crate::error::per;
use crate::providers::refusal_in;
use crate::{ApiError, Completion, Cost, Error, ErrorKind, RateLimitedClient, Usage};

/// Models of which it is known what asked for their last pause, at most.
const MOST_PAUSES: usize = 64;

/// Where a run stands. Its numbers are read one by one, so while requests are in flight they may
/// be of slightly different moments.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// let watch = run.watch(); // for another thread
/// run.run()?;
/// let progress = watch.progress();
/// println!("{} of {:?} lines", progress.done(), progress.total);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// Lines of the input, if that is known.
    pub total: Option<u64>,
    /// Lines that an earlier run has finished.
    pub resumed: u64,
    /// Requests with a result.
    pub succeeded: u64,
    /// Requests and lines that failed.
    pub failed: u64,
    /// Answers, of those with a result, that were cut off at their output cap.
    pub cut_off: u64,
    /// Answers in which the model or a filter refused.
    pub refused: u64,
    /// Answers with nothing in them.
    pub empty: u64,
    /// Requests in flight now, waits between attempts included.
    pub in_flight: u64,
    /// The most requests that were in flight at once.
    pub max_in_flight: u64,
    /// Tries after the first.
    pub retries: u64,
    /// 429 answers that asked to wait.
    pub rate_limited: u64,
    /// Tokens that admitted requests reserved.
    pub tokens_reserved: u64,
    /// Tokens that answers say were used.
    pub tokens_used: u64,
    /// What answers cost. `None` without [prices](crate::batch::Run::prices).
    pub cost: Option<Money>,
    /// Answers whose model has no price, or that do not say what they used: their cost is left
    /// out. 0 without prices.
    pub unpriced: u64,
}

impl Progress {
    /// Lines that need nothing more.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.resumed + self.succeeded + self.failed
    }

    /// Tokens that the run will have used at its end, if the rest takes as many a line as the
    /// lines so far. `None` as long as nothing can be said.
    #[must_use]
    pub fn expected_tokens(&self) -> Option<u64> {
        let tokens = self.at_the_end(self.tokens_used.into())?;
        Some(u64::try_from(tokens).unwrap_or(u64::MAX))
    }

    /// What the run will have cost at its end, by the same rule.
    #[must_use]
    pub fn expected_cost(&self) -> Option<Money> {
        let cost = self.at_the_end(self.cost?.trillionths())?;
        Some(Money::from_trillionths(cost))
    }

    fn at_the_end(&self, so_far: u128) -> Option<u128> {
        let finished = u128::from(self.succeeded + self.failed);
        let remaining = u128::from(self.total?.saturating_sub(self.done()));
        let rest = so_far.saturating_mul(remaining).checked_div(finished)?;
        Some(so_far.saturating_add(rest))
    }
}

/// Tells where a run stands, from any thread, while it runs and after. Clones watch the same run.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// let watch = run.watch();
/// std::thread::spawn(move || println!("{} done", watch.progress().done()));
/// run.run()?;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Watch {
    client: RateLimitedClient,
    before: ClientStats,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// 0 is not known: a file without lines is no input.
    total: AtomicU64,
    resumed: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    cut_off: AtomicU64,
    refused: AtomicU64,
    empty: AtomicU64,
    in_flight: AtomicU64,
    max_in_flight: AtomicU64,
    tokens_reserved: AtomicU64,
    tokens_used: AtomicU64,
    unpriced: AtomicU64,
    /// Larger than any atomic.
    cost: Mutex<Option<Money>>,
    holds: Holds,
    reasons: Mutex<Reasons>,
    /// Lines that were read.
    read: AtomicU64,
    /// Requests in flight of which an attempt has failed.
    retried: AtomicU64,
    /// What asked for the last pause, by the model.
    pauses: Mutex<HashMap<String, String>>,
    /// Requests that rest for long between two attempts.
    resting: Mutex<Resting>,
    view: Mutex<Option<Weak<dyn View>>>,
    capped_by: Mutex<Option<InFlightCap>>,
}

/// A look into a run.
pub(in crate::batch) trait View: Send + Sync {
    /// What its stages show now, limiters and retries aside.
    fn facts(&self) -> Facts;
}

/// Where the requests of one limiter stand, in this run.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Input, Run};
///
/// let run = Run::new(RateLimitedClient::new()?, Input::file("requests.jsonl")?);
/// let watch = run.watch(); // for another thread
/// run.run()?;
/// for model in watch.models() {
///     println!("{}: {} in flight", model.model, model.in_flight);
/// }
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct ModelProgress {
    /// The model, or the family of models that share the limiter.
    pub model: String,
    /// Requests that were read and counted.
    pub read: u64,
    /// Those of them that left the queue, to wait for the limiter and be sent.
    pub started: u64,
    /// Those of them that are no longer in flight, whatever became of them.
    pub ended: u64,
    /// Prompt tokens and output caps of the requests that were read.
    pub tokens_read: u64,
    /// Prompt tokens and output caps of the requests that were started.
    pub tokens_started: u64,
    /// Requests in flight.
    pub in_flight: u64,
}

impl ModelProgress {
    pub(in crate::batch) fn of(lane: &Lane) -> Self {
        let tally = lane.tally;
        Self {
            model: lane.name.clone(),
            read: tally.read,
            started: tally.started,
            ended: tally.ended,
            tokens_read: tally.tokens_read,
            tokens_started: tally.tokens_started,
            in_flight: lane.sending as u64,
        }
    }
}

impl Watch {
    pub(in crate::batch) fn new(client: &RateLimitedClient, total: Option<u64>) -> Self {
        let counts = Counts::default();
        counts.total.store(total.unwrap_or(0), Ordering::Relaxed);
        Self {
            client: client.clone(),
            before: client.stats(),
            counts: Arc::new(counts),
        }
    }

    /// Where the run stands now.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let stats = self.client.stats();
        let counts = &*self.counts;
        Progress {
            total: Some(read(&counts.total)).filter(|total| *total > 0),
            resumed: read(&counts.resumed),
            succeeded: read(&counts.succeeded),
            failed: read(&counts.failed),
            cut_off: read(&counts.cut_off),
            refused: read(&counts.refused),
            empty: read(&counts.empty),
            in_flight: read(&counts.in_flight),
            max_in_flight: read(&counts.max_in_flight),
            retries: stats.retries - self.before.retries,
            rate_limited: stats.rate_limited - self.before.rate_limited,
            tokens_reserved: read(&counts.tokens_reserved),
            tokens_used: read(&counts.tokens_used),
            cost: *counts.cost.lock(),
            unpriced: read(&counts.unpriced),
        }
    }

    /// What holds up the run now besides its limits, such as a server that cannot be reached.
    #[must_use]
    pub fn held(&self) -> Option<Hold> {
        self.counts.holds.first()
    }

    pub(in crate::batch) fn holds(&self) -> Holds {
        self.counts.holds.clone()
    }

    /// Why lines failed and attempts were retried, up to now.
    #[must_use]
    pub fn reasons(&self) -> Reasons {
        self.counts.reasons.lock().clone()
    }

    /// What holds the run back now. [`Bottleneck::Nothing`] before it begins and after its end.
    #[must_use]
    pub fn bottleneck(&self) -> Bottleneck {
        self.facts().bottleneck()
    }

    /// Where the requests of each limiter stand, in the order in which their models came up. Empty
    /// before the run begins and after its end.
    #[must_use]
    pub fn models(&self) -> Vec<ModelProgress> {
        self.view().map_or_else(Vec::new, |facts| facts.models)
    }

    fn view(&self) -> Option<Facts> {
        let view = self.counts.view.lock().as_ref().and_then(Weak::upgrade);
        view.map(|view| view.facts())
    }

    pub(in crate::batch) fn facts(&self) -> Facts {
        let Some(mut facts) = self.view() else {
            return Facts::default();
        };
        facts.hold = self.held();
        facts.resting = self.counts.resting.lock().now();
        facts.retried = self.counts.retried.load(Ordering::Relaxed);
        let limiters = self.client.registry().limiters().into_iter();
        let pauses = self.counts.pauses.lock();
        facts.limiters = limiters
            .map(|(model, limiter)| {
                let mut models = facts.models.iter();
                let of = models.find(|it| it.model == model);
                LimiterFacts {
                    waiting: of.map_or(0, |it| it.read - it.started),
                    snapshot: limiter.snapshot(),
                    pause: pauses.get(&model).cloned(),
                    model,
                }
            })
            .collect();
        facts
    }

    /// From now on a run can be looked into.
    pub(in crate::batch) fn show(&self, view: Weak<dyn View>) {
        *self.counts.view.lock() = Some(view);
    }

    /// A line of the input was read, whatever it holds.
    pub(in crate::batch) fn line_read(&self) {
        self.counts.read.fetch_add(1, Ordering::Relaxed);
    }

    /// The whole input was read: now it is known how long it is.
    pub(in crate::batch) fn is_read(&self) {
        let read = self.counts.read.load(Ordering::Relaxed);
        let total = &self.counts.total;
        let _ = total.compare_exchange(0, read, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// An attempt of a request in flight has failed for the first time.
    pub(in crate::batch) fn is_retried(&self) {
        self.counts.retried.fetch_add(1, Ordering::Relaxed);
    }

    /// The client that the run sends with.
    #[must_use]
    pub fn client(&self) -> &RateLimitedClient {
        &self.client
    }

    /// From now on the cost is counted.
    pub(in crate::batch) fn is_priced(&self) {
        self.counts.cost.lock().get_or_insert_default();
    }

    /// An answer came that cost this; `None` when its price is not known.
    pub(in crate::batch) fn spent(&self, cost: Option<Money>) {
        let mut sum = self.counts.cost.lock();
        match (&mut *sum, cost) {
            (None, _) => {}
            (Some(sum), Some(cost)) => *sum = sum.saturating_add(cost),
            (Some(_), None) => drop(self.counts.unpriced.fetch_add(1, Ordering::Relaxed)),
        }
    }

    pub(in crate::batch) fn resumed(&self) {
        self.counts.resumed.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::batch) fn admitted(&self, cost: Cost) {
        self.counts
            .tokens_reserved
            .fetch_add(cost.tokens, Ordering::Relaxed);
    }

    pub(in crate::batch) fn begun(&self) {
        let now = self.counts.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.counts.max_in_flight.fetch_max(now, Ordering::Relaxed);
    }

    /// Requests could not begin, for this cap.
    pub(in crate::batch) fn is_capped(&self, cap: InFlightCap) {
        *self.counts.capped_by.lock() = Some(cap);
    }

    /// What has kept requests from being in flight, the last time that it did.
    pub(in crate::batch) fn capped_by(&self) -> Option<InFlightCap> {
        *self.counts.capped_by.lock()
    }

    /// A request is no longer in flight, of which an attempt failed or not.
    pub(in crate::batch) fn ended(&self, was_retried: bool) {
        self.counts.in_flight.fetch_sub(1, Ordering::Relaxed);
        if was_retried {
            self.counts.retried.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A request whose answers asked for waits is no longer in flight.
    pub(in crate::batch) fn rested(&self, custom_id: &str) {
        self.counts.resting.lock().ended(custom_id);
    }

    /// A line whose failure stands in the errors file already is skipped.
    pub(in crate::batch) fn kept_failed(&self) {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// An attempt has failed, which may not have been the last one.
    pub(in crate::batch) fn attempt_failed(&self, custom_id: &str, model: &str, error: &Error) {
        if let Error::Api(api) = error
            && matches!(api.kind, ErrorKind::RateLimited | ErrorKind::Overloaded)
        {
            let family = self.client.registry().table().family_of(model);
            let mut pauses = self.counts.pauses.lock();
            if pauses.len() < MOST_PAUSES || pauses.contains_key(family) {
                pauses.insert(family.to_owned(), pause_reason(model, api));
            }
        }
        if let Error::Api(api) = error
            && let Some(wait) = api.retry_after
            && api.kind != ErrorKind::RateLimited
        {
            let reason = format!("{model} asked for it ({})", api.status);
            self.counts
                .resting
                .lock()
                .rests(custom_id, model, wait, reason);
        }
        let (kind, message) = reason_of(error);
        self.counts.reasons.lock().attempted(&Failure {
            kind: &kind,
            message: &message,
            custom_id: Some(custom_id),
            retryable: is_retryable(error),
        });
    }

    pub(in crate::batch) fn written(&self, record: &Record, usage: Option<Usage>) {
        let counts = &self.counts;
        if let Some((kind, message)) = &record.reason {
            let failure = Failure {
                kind,
                message,
                custom_id: record.custom_id.as_deref(),
                retryable: record.is_retryable,
            };
            let was_attempted = record.was_attempted;
            counts.reasons.lock().failed(&failure, was_attempted);
        }
        let count = match record.succeeded {
            true => &counts.succeeded,
            false => &counts.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        let ended = match record.completion {
            Completion::Complete => None,
            Completion::CutOff => Some(&counts.cut_off),
            Completion::Refused => Some(&counts.refused),
            Completion::Empty => Some(&counts.empty),
        };
        if let Some(count) = ended {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let used = usage.map_or(0, |usage| usage.total());
        self.counts.tokens_used.fetch_add(used, Ordering::Relaxed);
    }
}

/// What asked for a pause: `rate limit of gpt-4o, tokens per day (429)`.
fn pause_reason(model: &str, error: &ApiError) -> String {
    let status = error.status;
    if error.kind == ErrorKind::Overloaded {
        return format!("{model} is overloaded ({status})");
    }
    let refusal = refusal_in(error);
    let of = match (refusal.unit, refusal.period) {
        (Some(unit), Some(period)) => format!(", {unit} per {}", per(period)),
        (Some(unit), None) => format!(", {unit}"),
        (None, _) => String::new(),
    };
    format!("rate limit of {model}{of} ({status})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_expected_to_take_as_much_a_line_as_what_is_done() {
        let mut progress = Progress {
            total: Some(100),
            resumed: 40,
            tokens_used: 150,
            cost: Some(Money::from_trillionths(70)),
            ..Progress::default()
        };
        assert_eq!(progress.expected_tokens(), None);
        (progress.succeeded, progress.failed) = (8, 2);
        assert_eq!(progress.expected_tokens(), Some(150 + 15 * 50));
        assert_eq!(
            progress.expected_cost(),
            Some(Money::from_trillionths(70 + 7 * 50))
        );
        progress.cost = None;
        assert_eq!(progress.expected_cost(), None);
        progress.tokens_used = u64::MAX;
        assert_eq!(progress.expected_tokens(), Some(u64::MAX));
        progress.total = None;
        assert_eq!(progress.expected_tokens(), None);
    }
}
