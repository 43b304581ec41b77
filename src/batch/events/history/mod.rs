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

use crate::batch::record::Record;
use crate::client::Attempt;
use crate::limiter::{Clock, Registry};
use crate::{Admitted, Cost};

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

/// A request in flight, for the record of its attempts.
pub(in crate::batch) struct Sending {
    lane: usize,
    cost: Cost,
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

    /// A run over `input` begins.
    pub(in crate::batch) fn begin(&self, input: &str, registry: &Arc<Registry>) {
        if let Some(shared) = &self.shared {
            *shared.run.lock() = Some(Current {
                began: shared.clock.now(),
                registry: Arc::clone(registry),
                recording: Recording::new(input, wall_clock()),
                has_ended: false,
            });
        }
    }

    /// A limiter has admitted a request.
    pub(in crate::batch) fn admitted(&self, admitted: &Admitted) {
        let (cost, waited, limiter) = (admitted.cost(), admitted.waited(), admitted.limiter());
        let look = self.with(|at, current| {
            let lane = current.lane_of(admitted);
            let recording = &mut current.recording;
            recording
                .admitted(at, lane, cost, waited)
                .then_some((at, lane))
        });
        if let Some(Some((at, lane))) = look {
            let snapshot = limiter.snapshot();
            self.event(|_, recording| {
                if let Some(lane) = recording.lanes.lane(lane) {
                    lane.look(at, &snapshot, cost, waited);
                }
            });
        }
    }

    /// A request is on its way.
    pub(in crate::batch) fn begun(&self, admitted: &Admitted) -> Sending {
        let cost = admitted.cost();
        let lane = self.with(|at, current| {
            current.recording.begun(at);
            current.lane_of(admitted)
        });
        Sending {
            lane: lane.unwrap_or_default(),
            cost,
        }
    }

    /// A try of it has ended.
    pub(in crate::batch) fn tried(&self, sending: &Sending, tried: &Attempt<'_>) {
        let Sending { lane, cost } = *sending;
        self.event(|at, recording| recording.tried(at, lane, cost, tried));
    }

    /// It is no more on its way.
    pub(in crate::batch) fn ended(&self) {
        self.event(|at, recording| recording.ended(at));
    }

    /// A line has been written to one of the output files.
    pub(in crate::batch) fn written(&self, record: &Record) {
        let succeeded = record.succeeded;
        self.event(|at, recording| recording.written(at, succeeded));
    }

    /// The run is over.
    pub(in crate::batch) fn end(&self) {
        let lanes = self.event(|_, recording| {
            let lanes = recording.lanes.told_apart().iter();
            lanes.map(|lane| lane.limiter.clone()).collect::<Vec<_>>()
        });
        for (lane, limiter) in lanes.into_iter().flatten().enumerate() {
            let Some(snapshot) = limiter.map(|limiter| limiter.snapshot()) else {
                continue;
            };
            self.event(|at, recording| {
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
    fn event<T>(&self, what: impl FnOnce(Duration, &mut Recording) -> T) -> Option<T> {
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
    fn lane_of(&mut self, admitted: &Admitted) -> usize {
        let Self {
            registry,
            recording,
            ..
        } = self;
        let name = || registry.table().family_of(admitted.model()).to_owned();
        recording.lanes.find(admitted.limiter(), name)
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
