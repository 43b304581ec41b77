//! The stages put together: threads, channels, and the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::bounds::Bound;
use super::count::{Event, count};
use super::finished::{Effort, Listener};
use super::gate::Gate;
use super::input::Input;
use super::journal::Journal;
use super::lanes::{Entrance, Lanes};
use super::plan::{self, Plan};
use super::progress::Watch;
use super::record::Record;
use super::summary::{Before, Ending, Summary};
use super::terms::Terms;
use crate::limiter::{CancelToken, Clock, Priority, Wait};
use crate::{Error, RateLimitedClient, Result, Usage};

/// Finished lines that are not written yet, at most.
const WRITE_BEHIND: usize = 256;

/// Lines are on the disk at the latest this long after they were written, while more follow.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// A run over a file of requests.
///
/// Its requests wait as [batch](crate::Priority::Batch) work: other requests of the same process go
/// ahead of them, and leave them every fourth turn at least.
///
/// ```no_run
/// use paceline::RateLimitedClient;
/// use paceline::batch::{Input, Run};
///
/// let client = RateLimitedClient::new()?;
/// let summary = Run::new(client, Input::file("requests.jsonl")?)
///     .output("requests.results.jsonl")
///     .errors("requests.errors.jsonl")
///     .run()?;
/// println!("{} of {} succeeded", summary.succeeded, summary.requests);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a run does nothing until it is run"]
pub struct Run {
    client: RateLimitedClient,
    input: Input,
    output: PathBuf,
    errors: PathBuf,
    fresh: bool,
    max_in_flight: usize,
    stop: CancelToken,
    watch: Watch,
    pub(super) terms: Terms,
    pub(super) listener: Listener,
}

impl Run {
    /// A run that sends the requests of `input` with `client`.
    pub fn new(client: RateLimitedClient, input: Input) -> Self {
        let base = input.path().unwrap_or(Path::new("paceline.jsonl"));
        Self {
            output: base.with_extension("results.jsonl"),
            errors: base.with_extension("errors.jsonl"),
            fresh: false,
            max_in_flight: 1_000,
            stop: CancelToken::new(),
            watch: Watch::new(&client, input.total()),
            terms: Terms::default(),
            listener: Listener::default(),
            client,
            input,
        }
    }

    /// Sets where results go. Defaults to the input with `.results.jsonl` in place of its
    /// extension.
    pub fn output(mut self, path: impl Into<PathBuf>) -> Self {
        self.output = path.into();
        self
    }

    /// Sets where failures go. Defaults to the input with `.errors.jsonl` in place of its
    /// extension.
    pub fn errors(mut self, path: impl Into<PathBuf>) -> Self {
        self.errors = path.into();
        self
    }

    /// Where results go.
    #[must_use]
    pub fn output_path(&self) -> &Path {
        &self.output
    }

    /// Where failures go.
    #[must_use]
    pub fn errors_path(&self) -> &Path {
        &self.errors
    }

    /// Sets whether to start over. Files that hold something are then moved aside, with a number
    /// behind their names. Defaults to going on after what they hold.
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }

    /// Sets the most requests under way at once, at least 1: one thread each. A run takes only
    /// as many as its limits and the server's latency need. Defaults to 1,000.
    pub fn max_in_flight(mut self, most: usize) -> Self {
        self.max_in_flight = most.max(1);
        self
    }

    /// Sets the token that stops the run: nothing more is begun, what is under way is finished
    /// and written. The run cancels it itself when it has to stop. Defaults to one of its own.
    pub fn stop(mut self, token: &CancelToken) -> Self {
        self.stop = token.clone();
        self
    }

    /// Tells where the run stands, from any thread.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Reads, checks and counts everything, and says what the run would take. Sends nothing and
    /// writes nothing.
    ///
    /// # Errors
    ///
    /// When the input cannot be read on, or no thread can be started.
    pub fn plan(self) -> Result<Plan> {
        plan::plan(&self.client, self.input, self.terms, self.max_in_flight)
    }

    /// Runs, and returns when every line is dealt with or the run was stopped. Lines that cannot
    /// be sent and requests that fail go to the errors file; they end nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] and [`Error::Batch`] when the files cannot be used: before anything is sent,
    /// or in the middle, and then what is written stays good. An error of the account is no error
    /// here: see [`Summary::ending`].
    pub fn run(self) -> Result<Summary> {
        let clock = Clock::real();
        let currency = self.currency();
        let (journal, finished) =
            Journal::open(self.input.path(), &self.output, &self.errors, self.fresh)?;
        let Self {
            client,
            input,
            stop,
            watch,
            terms,
            mut listener,
            ..
        } = self;
        let before = Before::of(client.registry());
        let requests = input.requests();
        let began = clock.now();
        let deadline = terms
            .bounds
            .deadline
            .and_then(|after| began.checked_add(after));
        let verdict = Arc::new(Mutex::new(Verdict::default()));

        let (results, outcomes) = bounded(WRITE_BEHIND);
        let shared = Arc::new(Shared {
            client: client.clone(),
            stop: stop.clone(),
            watch: watch.clone(),
            results,
            verdict: Arc::clone(&verdict),
            gate: Gate::new(&terms.bounds, terms.prices.clone(), &stop),
            deadline,
            failures: AtomicU64::new(0),
            input: requests.name().to_owned(),
            terms,
        });
        let _timer = shared.start_timer()?;
        let lanes = Lanes::open(Arc::clone(&shared), self.max_in_flight);
        let sink = Arc::new(move |event| shared.hear(event, &lanes));
        let started = count(&client, requests, finished, &stop, &sink);
        // Now the stages hold each other, from the reader on: as each ends, so does the next,
        // and with the last of them the outcomes.
        drop(sink);
        if let Err(error) = started {
            stop.cancel();
            verdict.lock().failure = Some(error);
        }
        let tell = |outcome: &Outcome| {
            if !listener.tell(&outcome.finished()) {
                stop.cancel();
            }
        };
        write(journal, &outcomes, &watch, &clock, tell, |error| {
            stop.cancel();
            verdict.lock().failure.get_or_insert(error);
        });
        listener.end();

        let elapsed = clock.now().saturating_duration_since(began);
        let Verdict {
            failure,
            account,
            bound,
        } = std::mem::take(&mut *verdict.lock());
        if let Some(error) = failure {
            return Err(error);
        }
        let is_interrupted = bound.is_none() && stop.is_cancelled();
        let progress = watch.progress();
        // A bound that was met with the last line ended nothing.
        let bound = bound.filter(|_| progress.total.is_none_or(|total| progress.done() < total));
        let ending = match (account, bound) {
            (Some(reason), _) => Ending::AccountError(reason),
            (None, Some(bound)) => Ending::Bound(bound),
            (None, None) if is_interrupted => Ending::Interrupted,
            (None, None) => Ending::Finished,
        };
        let usage = before.usage_since(client.registry(), elapsed);
        Ok(Summary::new(progress, elapsed, usage, ending).priced_in(currency))
    }
}

/// Writes outcomes until there are no more. What is under way when a write fails is still taken:
/// it is paid for, and the next write may succeed.
fn write(
    mut journal: Journal,
    outcomes: &Receiver<Outcome>,
    watch: &Watch,
    clock: &Clock,
    mut tell: impl FnMut(&Outcome),
    fail: impl Fn(Error),
) {
    let mut synced = clock.now();
    for outcome in outcomes {
        let Outcome { record, usage, .. } = &outcome;
        match journal.write(record) {
            Ok(()) => {
                watch.written(record.succeeded, *usage);
                tell(&outcome);
            }
            Err(error) => fail(error),
        }
        let now = clock.now();
        if now.saturating_duration_since(synced) >= SYNC_EVERY {
            journal.sync().unwrap_or_else(&fail);
            synced = now;
        }
    }
    journal.sync().unwrap_or_else(fail);
}

/// What the stages of a run share.
pub(super) struct Shared {
    pub(super) client: RateLimitedClient,
    pub(super) stop: CancelToken,
    pub(super) watch: Watch,
    /// What messages call the input.
    input: String,
    pub(super) terms: Terms,
    pub(super) gate: Arc<Gate>,
    pub(super) deadline: Option<Instant>,
    pub(super) failures: AtomicU64,
    results: Sender<Outcome>,
    pub(super) verdict: Arc<Mutex<Verdict>>,
}

/// Why a run ended before its time, if it did.
#[derive(Default)]
pub(super) struct Verdict {
    failure: Option<Error>,
    account: Option<String>,
    pub(super) bound: Option<Bound>,
}

impl Shared {
    /// How every request of a run waits: until the run is stopped or its time is up, and behind
    /// those for which somebody waits.
    pub(super) fn wait(&self) -> Wait<'_> {
        let wait = Wait::new().cancel(&self.stop).priority(Priority::Batch);
        match self.deadline {
            Some(deadline) => wait.deadline(deadline),
            None => wait,
        }
    }

    /// Takes a line from the counting threads.
    fn hear(&self, event: Event, lanes: &Entrance) {
        match event {
            Event::Finished => self.watch.resumed(),
            Event::Bad(line) => self.finish(Outcome::failed(Record::bad_line(line))),
            // What was read before is still run.
            Event::Broken(error) => self.fail(error),
            Event::Counted(counted) => {
                if let Some(message) = self.terms.objection(counted.request.model()) {
                    let line = counted.refused(&self.input, &message);
                    self.finish(Outcome::failed(Record::bad_line(line)));
                } else if let Err(error) = lanes.put(counted) {
                    self.fail_for(error);
                }
            }
        }
    }

    /// Hands a finished line to the journal.
    pub(super) fn finish(&self, outcome: Outcome) {
        self.count_failure(&outcome);
        // Nobody takes it when writing has failed; the error of that is the run's.
        let _ = self.results.send(outcome);
    }

    /// Ends a request that has no answer, or one that is an error.
    pub(super) fn refused(&self, custom_id: String, waited: Duration, error: &Error) {
        match error {
            // It was waiting when the run was stopped: it stays undone, for the next run.
            Error::Cancelled => return,
            Error::DeadlineExceeded { .. } => return self.is_out_of_time(),
            _ => {}
        }
        if error.is_account_error() {
            self.stop_for(error);
        }
        let mut outcome = Outcome::failed(Record::failure(custom_id, error));
        outcome.effort.waited = waited;
        self.finish(outcome);
    }

    /// Stops the run: it cannot go on.
    pub(super) fn fail_for(&self, error: Error) {
        self.fail(error);
        self.stop.cancel();
    }

    /// Stops the run: no request can succeed.
    pub(super) fn stop_for(&self, error: &Error) {
        self.verdict
            .lock()
            .account
            .get_or_insert_with(|| error.to_string());
        self.stop.cancel();
    }

    fn fail(&self, error: Error) {
        self.verdict.lock().failure.get_or_insert(error);
    }
}

/// A finished line on its way to the journal.
pub(super) struct Outcome {
    pub(super) record: Record,
    pub(super) usage: Option<Usage>,
    pub(super) effort: Effort,
}

impl Outcome {
    /// A line that was not answered.
    pub(super) fn failed(record: Record) -> Self {
        Self {
            record,
            usage: None,
            effort: Effort::default(),
        }
    }
}
