//! What happened in a run over time: recorded as it happens, in memory that does not grow with it.

mod histogram; // how durations are spread
mod lanes; //     what each limiter granted, and which limit held requests up
mod recording; // all of it; the caller passes the time
mod timeline; //  buckets of time that grow wider

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

pub(in crate::batch) use histogram::{Bin, Histogram};
pub(in crate::batch) use lanes::{Grants, Lane, Limit};
pub(in crate::batch) use recording::{Flow, Recording};
pub(in crate::batch) use timeline::Timeline;

use super::event::RunEvent;
use crate::limiter::{Clock, Registry};
use crate::{Admitted, Cost, RateLimiter};

/// What happens in a [run](crate::batch::Run) over time: what its limits granted, how many requests were
/// in flight, how long they waited and took, what was refused and what failed. A
/// [`Report`](crate::batch::Report) is made of it.
///
/// It takes the same few hundred kilobytes for a run of ten seconds and one of ten hours: it keeps
/// sums for at most 512 stretches of time, which grow longer as the run does. Clones are of the
/// same history. One that is given to another run begins anew.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{History, Input, Report, Run};
///
/// let history = History::new();
/// let client = RateLimitedClient::new()?;
/// let run = Run::new(client, Input::file("requests.jsonl")?).record(&history);
/// let summary = run.run()?;
/// Report::new(&history, &summary).write("requests.html")?;
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Clone)]
pub struct History {
    /// `None` when nothing is recorded.
    shared: Option<Arc<Shared>>,
}

/// # Locking
///
/// Locked for one event, and not while a limiter is looked at.
struct Shared {
    clock: Clock,
    run: Mutex<Option<Current>>,
}

/// The run that is recorded.
struct Current {
    began: Instant,
    registry: Arc<Registry>,
    recording: Recording,
    /// Requests still in flight when the run's grace period ends are not recorded.
    has_ended: bool,
}

impl History {
    /// A history of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Some(Arc::new(Shared {
                clock: Clock::real(),
                run: Mutex::new(None),
            })),
        }
    }

    /// One that records nothing, for a run without a history.
    pub(in crate::batch) fn none() -> Self {
        Self { shared: None }
    }

    /// A copy of what was recorded so far.
    pub(in crate::batch) fn recording(&self) -> Recording {
        let shared = self.shared.as_ref();
        let run = shared.map(|shared| shared.run.lock());
        let current = run.as_ref().and_then(|run| run.as_ref());
        current.map_or_else(Recording::default, |current| current.recording.clone())
    }

    /// Records what happens in a run.
    pub(super) fn follow(&self, event: RunEvent<'_>) {
        match event {
            RunEvent::Begins { input, registry } => self.begin(input, registry),
            RunEvent::Admitted(admitted) => self.admitted(admitted),
            RunEvent::Sent => {
                self.record(|at, recording| recording.begun(at));
            }
            RunEvent::Attempted {
                request, attempt, ..
            } => {
                self.with(|at, current| {
                    let lane = current.lane_of(&request.limiter, &request.model);
                    let recording = &mut current.recording;
                    recording.tried(at, lane, request.cost, attempt);
                });
            }
            RunEvent::Ended { .. } => {
                self.record(|at, recording| recording.ended(at));
            }
            RunEvent::Written(outcome) => {
                let succeeded = outcome.record.succeeded;
                self.record(|at, recording| recording.written(at, succeeded));
            }
            RunEvent::Over => self.end(),
            RunEvent::LineRead
            | RunEvent::InputRead
            | RunEvent::Resumed
            | RunEvent::KeptFailed
            | RunEvent::Charged(_)
            | RunEvent::Capped(_)
            | RunEvent::Unreachable(_)
            | RunEvent::Suspected(_)
            | RunEvent::Exhausted { .. }
            | RunEvent::Notice(_) => {}
        }
    }

    fn begin(&self, input: &str, registry: &Arc<Registry>) {
        if let Some(shared) = &self.shared {
            *shared.run.lock() = Some(Current {
                began: shared.clock.now(),
                registry: Arc::clone(registry),
                recording: Recording::new(input, wall_clock()),
                has_ended: false,
            });
        }
    }

    fn admitted(&self, admitted: &Admitted) {
        let (cost, waited, limiter) = (admitted.cost(), admitted.waited(), admitted.limiter());
        let look = self.with(|at, current| {
            let lane = current.lane_of(limiter, admitted.model());
            let recording = &mut current.recording;
            recording
                .admitted(at, lane, cost, waited)
                .then_some((at, lane))
        });
        if let Some(Some((at, lane))) = look {
            let snapshot = limiter.snapshot();
            self.record(|_, recording| {
                if let Some(lane) = recording.lanes.lane(lane) {
                    lane.look(at, &snapshot, cost, waited);
                }
            });
        }
    }

    fn end(&self) {
        let lanes = self.record(|_, recording| {
            let lanes = recording.lanes.told_apart().iter();
            lanes.map(|lane| lane.limiter.clone()).collect::<Vec<_>>()
        });
        for (lane, limiter) in lanes.into_iter().flatten().enumerate() {
            let Some(snapshot) = limiter.map(|limiter| limiter.snapshot()) else {
                continue;
            };
            self.record(|at, recording| {
                if let Some(lane) = recording.lanes.lane(lane) {
                    lane.look(at, &snapshot, Cost::default(), Duration::ZERO);
                }
            });
        }
        self.with(|at, current| {
            current.recording.lasted(at);
            current.has_ended = true;
        });
    }

    /// Calls `what` with the recording and the time since it began, if there is one that has not ended.
    fn record<T>(&self, what: impl FnOnce(Duration, &mut Recording) -> T) -> Option<T> {
        self.with(|at, current| what(at, &mut current.recording))
    }

    fn with<T>(&self, what: impl FnOnce(Duration, &mut Current) -> T) -> Option<T> {
        let shared = self.shared.as_ref()?;
        let now = shared.clock.now();
        let mut run = shared.run.lock();
        let current = run.as_mut().filter(|current| !current.has_ended)?;
        Some(what(now.saturating_duration_since(current.began), current))
    }
}

impl Current {
    fn lane_of(&mut self, limiter: &RateLimiter, model: &str) -> usize {
        let Self {
            registry,
            recording,
            ..
        } = self;
        let name = || registry.table().family_of(model).to_owned();
        recording.lanes.find(limiter, name)
    }
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recording = self.recording();
        f.debug_struct("History")
            .field("input", &recording.input)
            .field("lasted", &recording.lasted)
            .finish_non_exhaustive()
    }
}

/// A run has a date.
#[allow(
    clippy::disallowed_methods,
    reason = "a date that people read; everything else goes by a monotonic clock"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
