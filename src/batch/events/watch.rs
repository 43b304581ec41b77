//! Where a run stands, told from any thread: counts that follow its events.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::event::{RunEvent, SentRequest};
use super::model_progress::ModelProgress;
use super::outcome::Outcome;
use super::progress::Progress;
use crate::batch::events::bottleneck::{Bottleneck, Facts, LimiterFacts};
use crate::batch::events::hold::{Hold, Holds};
use crate::batch::events::reasons::{Failure, Reasons};
use crate::batch::events::resting::Resting;
use crate::batch::machine::InFlightCap;
use crate::batch::money::Money;
use crate::batch::record::{is_retryable, reason_of};
use crate::client::ClientStats;
use crate::error::per;
use crate::providers::refusal_in;
use crate::{ApiError, Completion, Error, ErrorKind, RateLimitedClient};

/// Models of which it is known what asked for their last pause, at most.
const MOST_PAUSES: usize = 64;

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
    /// What its stages show now, limiters and retries aside. `None` when none is left.
    fn facts(&self) -> Option<Facts>;
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
        view?.facts()
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
    pub(in crate::batch) fn show(&self, view: &Weak<dyn View>) {
        *self.counts.view.lock() = Some(Weak::clone(view));
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

    /// What has kept requests from being in flight, the last time that it did.
    pub(in crate::batch) fn capped_by(&self) -> Option<InFlightCap> {
        *self.counts.capped_by.lock()
    }

    /// Counts what happens in the run.
    pub(super) fn follow(&self, event: RunEvent<'_>) {
        let counts = &*self.counts;
        match event {
            RunEvent::Begins { .. } | RunEvent::Notice(_) | RunEvent::Over => {}
            RunEvent::LineRead => add(&counts.read, 1),
            RunEvent::InputRead => {
                let read = counts.read.load(Ordering::Relaxed);
                let total = &counts.total;
                let _ = total.compare_exchange(0, read, Ordering::Relaxed, Ordering::Relaxed);
            }
            RunEvent::Resumed => add(&counts.resumed, 1),
            RunEvent::KeptFailed => add(&counts.failed, 1),
            RunEvent::Admitted(admitted) => add(&counts.tokens_reserved, admitted.cost().tokens),
            RunEvent::Sent => {
                let now = counts.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
                counts.max_in_flight.fetch_max(now, Ordering::Relaxed);
            }
            RunEvent::Attempted {
                request,
                attempt,
                has_failed,
            } => {
                if let Some(error) = attempt.error {
                    add(&counts.retried, u64::from(!has_failed));
                    self.attempt_failed(request, error);
                }
            }
            RunEvent::Ended {
                request,
                has_failed,
            } => {
                counts.in_flight.fetch_sub(1, Ordering::Relaxed);
                if has_failed {
                    counts.retried.fetch_sub(1, Ordering::Relaxed);
                    counts.resting.lock().ended(&request.custom_id);
                }
            }
            RunEvent::Charged(cost) => self.charged(cost),
            RunEvent::Written(outcome) => self.written(outcome),
            RunEvent::Capped(cap) => *counts.capped_by.lock() = Some(cap),
            RunEvent::Unreachable(hold) => counts.holds.link(hold.cloned()),
            RunEvent::Suspected(hold) => counts.holds.suspicion(hold.cloned()),
            RunEvent::Exhausted {
                is_limited,
                in_flight,
                reason,
            } => counts.holds.exhaustion(is_limited, in_flight, reason),
        }
    }

    fn charged(&self, cost: Option<Money>) {
        let mut sum = self.counts.cost.lock();
        match (&mut *sum, cost) {
            (None, _) => {}
            (Some(sum), Some(cost)) => *sum = sum.saturating_add(cost),
            (Some(_), None) => add(&self.counts.unpriced, 1),
        }
    }

    /// An attempt has failed, which may not have been the last one.
    fn attempt_failed(&self, request: &SentRequest, error: &Error) {
        let SentRequest {
            custom_id, model, ..
        } = request;
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
            let mut resting = self.counts.resting.lock();
            resting.rests(custom_id, model, wait, reason);
        }
        let (kind, message) = reason_of(error);
        self.counts.reasons.lock().attempted(&Failure {
            kind: &kind,
            message: &message,
            custom_id: Some(custom_id),
            retryable: is_retryable(error),
        });
    }

    fn written(&self, outcome: &Outcome) {
        let (counts, record) = (&*self.counts, &outcome.record);
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
        add(count, 1);
        match record.completion {
            Completion::Complete => {}
            Completion::CutOff => add(&counts.cut_off, 1),
            Completion::Refused => add(&counts.refused, 1),
            Completion::Empty => add(&counts.empty, 1),
        }
        let used = outcome.usage.map_or(0, |usage| usage.total());
        add(&counts.tokens_used, used);
    }
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
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
