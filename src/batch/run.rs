//! The stages put together: threads, channels, and the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::count::{Event, count};
use super::input::Input;
use super::journal::Journal;
use super::pace::Lanes;
use super::plan::{self, Plan};
use super::progress::Watch;
use super::record::Record;
use super::send::Senders;
use super::summary::{Before, Ending, Summary};
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
}

impl Run {
    /// A run that sends the requests of `input` with `client`.
    pub fn new(client: RateLimitedClient, input: Input) -> Self {
        Self {
            output: input.beside("results"),
            errors: input.beside("errors"),
            fresh: false,
            max_in_flight: 1_000,
            stop: CancelToken::new(),
            watch: Watch::new(&client, input.total()),
            client,
            input,
        }
    }

    /// Sets where results go. Defaults to the input with `.results.jsonl` in place of its
    /// extension, with the part in it when the input is [one of several](Input::shard). `-` is
    /// standard output, from which no later run can go on.
    pub fn output(mut self, path: impl Into<PathBuf>) -> Self {
        self.output = path.into();
        self
    }

    /// Sets where failures go. Defaults to the input with `.errors.jsonl` in place of its
    /// extension, with the part in it when there are several.
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
        plan::plan(&self.client, self.input)
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
        let (journal, finished) =
            Journal::open(self.input.path(), &self.output, &self.errors, self.fresh)?;
        let Self {
            client,
            input,
            stop,
            watch,
            ..
        } = self;
        let before = Before::of(client.registry());
        let began = clock.now();
        let verdict = Arc::new(Mutex::new(Verdict::default()));

        let (results, outcomes) = bounded(WRITE_BEHIND);
        let shared = Arc::new(Shared {
            client: client.clone(),
            stop: stop.clone(),
            watch: watch.clone(),
            results,
            verdict: Arc::clone(&verdict),
        });
        let senders = Senders::new(Arc::clone(&shared), self.max_in_flight);
        let lanes = Lanes::new(Arc::clone(&shared), senders);
        let sink = Arc::new(move |event| shared.hear(event, &lanes));
        let started = count(&client, input.requests(), finished, &stop, &sink);
        // Now the stages hold each other, from the reader on: as each ends, so does the next,
        // and with the last of them the outcomes.
        drop(sink);
        if let Err(error) = started {
            stop.cancel();
            verdict.lock().failure = Some(error);
        }
        write(journal, &outcomes, &watch, &clock, |error| {
            stop.cancel();
            verdict.lock().failure.get_or_insert(error);
        });

        let elapsed = clock.now().saturating_duration_since(began);
        let Verdict { failure, account } = std::mem::take(&mut *verdict.lock());
        if let Some(error) = failure {
            return Err(error);
        }
        let ending = match account {
            Some(reason) => Ending::AccountError(reason),
            None if stop.is_cancelled() => Ending::Interrupted,
            None => Ending::Finished,
        };
        let usage = before.usage_since(client.registry(), elapsed);
        Ok(Summary::new(watch.progress(), elapsed, usage, ending))
    }
}

/// Writes outcomes until there are no more. What is under way when a write fails is still taken:
/// it is paid for, and the next write may succeed.
fn write(
    mut journal: Journal,
    outcomes: &Receiver<Outcome>,
    watch: &Watch,
    clock: &Clock,
    fail: impl Fn(Error),
) {
    let mut synced = clock.now();
    for Outcome { record, usage } in outcomes {
        match journal.write(&record) {
            Ok(()) => watch.written(record.succeeded, usage),
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
    results: Sender<Outcome>,
    verdict: Arc<Mutex<Verdict>>,
}

/// Why a run ended before its time, if it did.
#[derive(Default)]
struct Verdict {
    failure: Option<Error>,
    account: Option<String>,
}

impl Shared {
    /// How every request of a run waits: until the run is stopped, and behind those for which
    /// somebody waits.
    pub(super) fn wait(&self) -> Wait<'_> {
        Wait::new().cancel(&self.stop).priority(Priority::Batch)
    }

    /// Takes a line from the counting threads.
    fn hear(&self, event: Event, lanes: &Lanes) {
        match event {
            Event::Finished => self.watch.resumed(),
            Event::Bad(line) => self.finish(Outcome {
                record: Record::bad_line(line),
                usage: None,
            }),
            // What was read before is still run.
            Event::Broken(error) => self.fail(error),
            Event::Counted(counted) => {
                if let Err(error) = lanes.put(counted) {
                    self.fail(error);
                    self.stop.cancel();
                }
            }
        }
    }

    /// Hands a finished line to the journal.
    pub(super) fn finish(&self, outcome: Outcome) {
        // Nobody takes it when writing has failed; the error of that is the run's.
        let _ = self.results.send(outcome);
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
}
